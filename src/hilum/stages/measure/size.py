"""Diameters of a nodule on the axial slice where it is largest.

The contour lies where the scan reads half-way between nodule and lung, found
between the cells by linear interpolation; so lengths are finer than a voxel. Where
noise was smoothed away, which draws small nodules in, it lies where it encloses as
much as the nodule fills.
Lengths on a thick slice come out short, because the slice misses the equator or
averages across it; an ellipsoid of the nodule's height tells by how much.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hilum.findings import Point
from hilum.space import FloatArray
from hilum.stages.measure.boxes import part_at
from hilum.stages.measure.filling import Filling, find_filling
from hilum.stages.measure.levels import highest
from hilum.stages.measure.neighbourhood import BoolArray, HUField, Neighbourhood
from hilum.stages.measure.search import Outline

_STEP_MM = 0.1
_FURTHEST_OFF = 0.55
_LOWER = 0.25


@dataclass(frozen=True, slots=True)
class Size:
    """Where an outlined nodule lies, and how large it is.

    Attributes:
        center_mm: World point (x, y, z).
        long_mm: Long axis on the axial slice where it is largest.
        short_mm: Longest chord at right angles to that.
        volume_mm3: Volume.
    """

    center_mm: Point
    long_mm: float
    short_mm: float
    volume_mm3: float


def size_of(hood: Neighbourhood, outline: Outline) -> Size:
    """Measure an outline, or what was fitted where a thin rim surrounds a core."""
    if outline.rim is not None:
        x, y, z = hood.voxels.to_world(outline.rim.center).tolist()
        return Size((x, y, z), *outline.rim.axes_mm, outline.rim.volume_mm3)
    filling = find_filling(hood, outline.cells, outline.tissue, outline.lung_hu)
    long_mm, short_mm = axes_mm(hood, outline, filling)
    cell, _, _ = filling.ellipsoid(hood, outline.full_hu)
    x, y, z = hood.to_world(cell).tolist()
    volume_mm3 = filling.volume_mm3(hood, outline.full_hu)
    return Size((x, y, z), long_mm, short_mm, volume_mm3)


def axes_mm(
    hood: Neighbourhood, outline: Outline, filling: Filling
) -> tuple[float, float]:
    """Measure the long axis and the longest chord at right angles to it.

    Returns:
        Long and short axis, in mm.
    """
    center, _, height = filling.ellipsoid(hood, outline.full_hu)
    cells, level_hu = outline.cells, outline.edge_hu
    if outline.hu is not hood.hu:
        cells, level_hu = _as_full(outline, filling)
    slice_ = _largest_slice(hood, cells, center)
    field = _edge_field(outline, cells[slice_], slice_, level_hu)
    long_mm, short_mm = axes_in_plane(field, hood.cell_mm[1:])
    off = abs(slice_ - center[0]) * hood.cell_mm[0]
    factor = _equator_factor(max(off, hood.slice_mm / 4), height)
    return long_mm * factor, short_mm * factor


def axes_in_plane(field: HUField, plane_mm: tuple[float, float]) -> tuple[float, float]:
    """Measure the longest chord of a contour, and the longest at right angles to it.

    Args:
        field: (row, column), positive inside, negative along its border.
        plane_mm: Distance of cells along (row, column).

    Returns:
        Long and short axis, in mm.
    """
    step_mm = np.array(plane_mm)
    points = _contour(field) * step_mm
    apart = np.linalg.norm(points[:, None] - points[None], axis=-1)
    i, j = np.unravel_index(int(np.argmax(apart)), apart.shape)
    long_mm = float(apart[i, j])
    short_mm = _longest_chord(field, points[i] / step_mm, points[j] / step_mm, step_mm)
    return long_mm, min(short_mm, long_mm)


def _largest_slice(hood: Neighbourhood, cells: BoolArray, center: FloatArray) -> int:
    """Give the scanned slice on which the nodule is largest, as a slice of cells.

    Of slices that are nearly alike, the one nearest to the centre.
    """
    count = hood.cells[0]
    scanned = np.arange(count // 2, cells.shape[0], count)
    area = cells[scanned].sum(axis=(1, 2))
    if not area.any():
        scanned = np.arange(cells.shape[0])
        area = cells.sum(axis=(1, 2))
    best = scanned[area >= 0.98 * area.max()]
    return int(best[np.argmin(np.abs(best - center[0]))])


def _equator_factor(off_mm: float, height_mm: float) -> float:
    """Tell how much wider an ellipsoid is at its equator than at a height.

    Args:
        off_mm: Distance of the slice from the equator. A slice that averages over
            a thickness shows half its level where the ellipsoid is half as high
            as the slice, so this is at least a quarter of the thickness.
        height_mm: Half the height of the ellipsoid.
    """
    return float((1 - min(off_mm / height_mm, _FURTHEST_OFF) ** 2) ** -0.5)


def _as_full(outline: Outline, filling: Filling) -> tuple[BoolArray, float]:
    """Give the cells and the level that enclose as much as a nodule fills."""
    box = filling.box
    where = filling.full | filling.edge
    hu = outline.hu[box]
    seen = hu[where]
    count = round(float(filling.at_level(outline.full_hu).sum()))
    count = min(max(count, 1), len(seen))
    level = float(np.partition(seen, len(seen) - count)[len(seen) - count])
    lowest = outline.edge_hu - _LOWER * (outline.rim_hu - outline.lung_hu)
    level = min(max(level, lowest), outline.edge_hu)
    cells = outline.cells.copy()
    cells[box] |= where & (hu > level)
    return part_at(cells, highest(np.where(outline.cells, outline.hu, -np.inf))), level


def _edge_field(
    outline: Outline, inside: BoolArray, slice_: int, level_hu: float
) -> HUField:
    """Give a field on one slice that is zero on the contour and positive inside.

    Where other tissue touches the nodule, the contour runs half-way between the
    cells. One cell of outside is added on all sides.
    """
    contrast = outline.rim_hu - outline.lung_hu
    field = np.clip((outline.hu[slice_] - level_hu) / contrast, -0.5, 0.5)
    field = np.where(inside, np.maximum(field, 1e-3), np.minimum(field, -1e-3))
    rest = np.pad(outline.tissue[slice_] & ~inside, 1)
    field[rest[1:-1, 1:-1]] = -0.5
    beside = rest[2:, 1:-1] | rest[:-2, 1:-1] | rest[1:-1, 2:] | rest[1:-1, :-2]
    field[beside & inside] = 0.5
    return np.pad(field, 1, constant_values=-0.5).astype(np.float32)


def _contour(field: HUField) -> FloatArray:
    """Find the (n, 2) points (row, column) between cells where a field is zero."""
    parts = []
    for axis in (0, 1):
        a = field[:-1] if axis == 0 else field[:, :-1]
        b = field[1:] if axis == 0 else field[:, 1:]
        crosses = (a > 0) != (b > 0)
        index = np.argwhere(crosses).astype(np.float64)
        index[:, axis] += a[crosses] / (a[crosses] - b[crosses])
        parts.append(index)
    return np.concatenate(parts)


def _longest_chord(
    field: HUField, start: FloatArray, stop: FloatArray, plane_mm: FloatArray
) -> float:
    """Measure the longest chord inside the contour at right angles to a line.

    Args:
        field: (row, column), positive inside.
        start: One end of the line (row, column).
        stop: The other end.
        plane_mm: Distance of cells along (row, column).
    """
    from scipy import ndimage  # noqa: PLC0415  slow to import

    from hilum.stages.measure._distance_kernels import (  # noqa: PLC0415  numba is slow
        longest_run,
    )

    line = (stop - start) * plane_mm
    length = float(np.linalg.norm(line))
    across = np.array([-line[1], line[0]]) / length
    along = np.linspace(0, 1, max(3, int(length / (2 * _STEP_MM))))[1:-1]
    beside = np.arange(-length, length + _STEP_MM, _STEP_MM)
    origin = start * plane_mm + along[:, None, None] * line
    points = (origin + beside[:, None] * across) / plane_mm
    values = ndimage.map_coordinates(
        field, np.moveaxis(points, -1, 0), order=1, mode="nearest"
    )
    return _STEP_MM * float(longest_run(values))
