"""Where in the lungs a nodule lies: side, lobe, and how far from the pleura."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from hilum.findings import Nodule, Point, Side
from hilum.space import Index
from hilum.stages.measure.boxes import distance_to
from hilum.stages.measure.lobes import LABELS, LungShape
from hilum.volume import Mask

FURTHEST_MM = 10.0
"""Distances from the pleura are told up to this."""

_SIDE_REACH_MM = 10.0

_Cells = np.ndarray[tuple[int, int], np.dtype[np.int_]]


def side_of(lungs: Mask, center_mm: Point) -> Side | None:
    """Tell which lung a point lies in, or the nearest within 10 mm.

    Args:
        lungs: Labels 1 right, 2 left.
        center_mm: World point (x, y, z).
    """
    label = int(lungs.at(center_mm))
    if not label:
        spacing = np.array(lungs.grid.spacing_mm)
        middle = np.rint(lungs.grid.to_index(center_mm)).astype(int)
        middle = np.clip(middle, 0, np.array(lungs.grid.shape) - 1)
        half = np.ceil(_SIDE_REACH_MM / spacing).astype(int)
        first = np.maximum(middle - half, 0)
        z, y, x = (
            slice(int(a), int(b)) for a, b in zip(first, middle + half + 1, strict=True)
        )
        cells = np.argwhere(lungs.voxels[z, y, x])
        if not len(cells):
            return None
        off = np.linalg.norm((cells + first - middle) * spacing, axis=1)
        if off.min() > _SIDE_REACH_MM:
            return None
        label = int(lungs.voxels[tuple(cells[int(off.argmin())] + first)])
    return next((side for side, known in LABELS.items() if known == label), None)


def placed(
    nodule: Nodule, mask: Mask, lungs: Mask, shapes: Mapping[Side, LungShape]
) -> Nodule:
    """Tell where a nodule lies.

    Args:
        nodule: Measured.
        mask: Its voxels, on a part of the grid of the lungs.
        lungs: Labels 1 right, 2 left.
        shapes: Of the lungs that are whole.
    """
    side = side_of(lungs, nodule.center_mm)
    if side is None:
        return nodule
    nodule = replace(nodule, side=side, pleura_mm=pleura_mm(mask, lungs, side))
    if side not in shapes:
        return nodule
    lobes = shapes[side].lobes_at(nodule.center_mm)
    return replace(
        nodule,
        lobe=lobes.name(side),
        upper_lobe_probability=lobes.upper,
    )


def share_outside(mask: Mask, lungs: Mask) -> float:
    """Tell how much of a nodule lies outside both lungs, from 0 to 1.

    Args:
        mask: Its voxels, at least one, on a part of the grid of the lungs.
        lungs: Labels 1 right, 2 left.
    """
    return float(np.mean(lungs.voxels[_index(_voxels_in(lungs, mask))] == 0))


def pleura_mm(mask: Mask, lungs: Mask, side: Side) -> float:
    """Measure how far a nodule is from the surface of its lung, 10 mm at most.

    Args:
        mask: Its voxels, at least one, on a part of the grid of the lungs.
        lungs: Labels 1 right, 2 left.
        side: Its lung.

    Returns:
        From the edge of the nodule to the edge of the lung, 0 where they touch.
    """
    depth, row, column = (round(s, 4) for s in lungs.grid.spacing_mm)
    spacing = (depth, row, column)
    cells = _voxels_in(lungs, mask)
    room = np.ceil(FURTHEST_MM / np.array(spacing)).astype(int) + 1
    start = np.maximum(cells.min(axis=0) - room, 0)
    stop = np.minimum(cells.max(axis=0) + room + 1, lungs.grid.shape)
    z, y, x = (slice(int(a), int(b)) for a, b in zip(start, stop, strict=True))
    outside = lungs.voxels[z, y, x] != LABELS[side]
    inside = np.zeros(outside.shape, bool)
    inside[_index(cells - start)] = True
    off = distance_to(inside, spacing, beyond=FURTHEST_MM + min(spacing))
    beyond = off[outside & ~inside]
    if (outside & inside).any():
        return 0.0
    if not beyond.size:
        return FURTHEST_MM
    return min(max(float(beyond.min()) - min(spacing), 0.0), FURTHEST_MM)


def _voxels_in(lungs: Mask, mask: Mask) -> _Cells:
    """List the voxels of a mask, (n, 3), as the lungs count them."""
    first = np.rint(lungs.grid.to_index(mask.grid.to_world((0, 0, 0)))).astype(int)
    cells: _Cells = np.argwhere(mask.voxels) + first
    return cells


def _index(cells: _Cells) -> Index:
    z, y, x = cells.T
    return z, y, x  # type: ignore[return-value]
