"""What a nodule is made of: solid, part-solid, ground glass or calcified.

Judged on the inner cells, whose level no edge blurs. Thin nodules, which nowhere
show their full level, are judged on the level that they would show.

Sources:
    Solid from -250 HU: published limits of the solid part of a subsolid nodule
    run from -300 to -160 HU. Calcified from 250 HU: above what contrast medium
    does to a nodule. The shares were set on 780 LIDC nodules; see
    docs/explanation/measurement.md.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from hilum.findings import NoduleType
from hilum.stages.measure.boxes import depth_of, part_at
from hilum.stages.measure.filling import find_filling
from hilum.stages.measure.levels import highest, inner_cells
from hilum.stages.measure.neighbourhood import BoolArray, Neighbourhood
from hilum.stages.measure.rim import Rim
from hilum.stages.measure.search import Outline
from hilum.stages.measure.size import axes_mm

_SMALLEST_SOLID_RADIUS_MM = 1.25
_CLEAR_SHARE = 0.1


@dataclass(frozen=True, slots=True)
class Densities:
    """Levels and shares that tell the kinds of nodule apart.

    Attributes:
        solid_hu: Tissue above this is solid.
        calcified_hu: Tissue above this is calcified.
        solid_share: A nodule with this share of solid tissue is solid.
        calcified_share: A nodule with this share of calcified tissue is calcified.
    """

    solid_hu: float = -250.0
    calcified_hu: float = 250.0
    solid_share: float = 0.8
    calcified_share: float = 0.3


def tell_kind(
    hood: Neighbourhood, outline: Outline, limits: Densities
) -> tuple[NoduleType, float | None]:
    """Tell the kind of a nodule and the diameter of its solid part.

    Returns:
        The kind, and the mean diameter of the solid part in mm: 0 where there is
        none, None where it is the whole nodule.
    """
    if outline.rim is not None:
        return _kind_of_rim(outline.rim, outline.lung_hu, limits)
    hu = outline.lung_hu + (outline.hu - outline.lung_hu) / np.float32(outline.shown)
    inner = hu[inner_cells(hood, outline.cells)]
    if float(np.mean(inner > limits.calcified_hu)) >= limits.calcified_share:
        return "calcified", None
    share = float(np.mean(inner > limits.solid_hu))
    if share >= limits.solid_share:
        return "solid", None
    least_mm = 0.0 if share >= _CLEAR_SHARE else _SMALLEST_SOLID_RADIUS_MM
    solid = _solid_part(hood, outline, limits.solid_hu, least_mm)
    if solid is None:
        return "ground-glass", 0.0
    filling = find_filling(hood, solid.cells, solid.cells, solid.lung_hu)
    return "part-solid", sum(axes_mm(hood, solid, filling)) / 2


def kind_at_level(level_hu: float, limits: Densities) -> NoduleType:
    """Tell the kind of a nodule of which nothing but one level is known."""
    if level_hu > limits.calcified_hu:
        return "calcified"
    return "solid" if level_hu > limits.solid_hu else "ground-glass"


def _kind_of_rim(
    rim: Rim, lung_hu: float, limits: Densities
) -> tuple[NoduleType, float]:
    """Tell the kind of a core in a thin rim, whose levels were fitted."""
    if lung_hu + rim.core_hu <= limits.solid_hu:
        return "ground-glass", 0.0
    return "part-solid", rim.core * sum(rim.axes_mm) / 2


def _solid_part(
    hood: Neighbourhood, outline: Outline, solid_hu: float, least_mm: float
) -> Outline | None:
    """Outline the largest solid part, half-way between its level and the glass."""
    hu = hood.hu
    solid = _largest(hood, outline.cells & (hu > solid_hu), least_mm)
    glass = outline.cells & (hu <= solid_hu)
    if solid is None or not glass.any():
        return None
    glass_hu = float(np.median(hu[glass]))
    core_hu = float(np.median(hu[inner_cells(hood, solid)]))
    edge_hu = max((glass_hu + core_hu) / 2, solid_hu)
    solid = _largest(hood, outline.cells & (hu > edge_hu), 0.0)
    if solid is None:
        return None
    return replace(
        outline,
        cells=solid,
        tissue=solid,
        hu=hu,
        lung_hu=glass_hu,
        rim_hu=2 * edge_hu - glass_hu,
        full_hu=2 * edge_hu - glass_hu,
    )


def _largest(
    hood: Neighbourhood, cells: BoolArray, least_mm: float
) -> BoolArray | None:
    """Keep the part that holds the largest ball; None if that is too small."""
    if not cells.any():
        return None
    depth = depth_of(cells, hood.cell_mm)
    top = highest(depth)
    if depth[top] < least_mm:
        return None
    return part_at(cells, top)
