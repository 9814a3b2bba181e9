"""Cells of a three-dimensional mask: boxes around them, parts, holes, depth."""

from __future__ import annotations

import math

import numpy as np

from hilum.space import Index, Spacing
from hilum.stages.measure.neighbourhood import BoolArray, HUField

Box = tuple[slice, slice, slice]


def box_around(mask: BoolArray, margin: Index = (0, 0, 0)) -> Box:
    """Find the smallest box that holds all cells, and `margin` more where it can.

    Args:
        mask: (slice, row, column); not empty.
        margin: Cells to add on both sides along each axis.
    """
    from hilum.stages.measure._distance_kernels import (  # noqa: PLC0415  numba is slow
        bounds,
    )

    found = np.empty((3, 2), np.int64)
    bounds(mask, found)
    z, y, x = (
        slice(max(0, first - m), min(n, last + m + 1))
        for (first, last), m, n in zip(found.tolist(), margin, mask.shape, strict=True)
    )
    return z, y, x


def part_at(mask: BoolArray, cell: Index) -> BoolArray:
    """Keep the cells that hang together with one cell, face to face."""
    import cc3d  # noqa: PLC0415  slow to import

    labels = cc3d.connected_components(mask, connectivity=6)
    return np.asarray((labels == labels[cell]) & mask)


def fill_holes(mask: BoolArray) -> BoolArray:
    """Add the cells that the mask encloses on all sides."""
    import cc3d  # noqa: PLC0415  slow to import

    box = box_around(mask)
    labels = cc3d.connected_components(~np.pad(mask[box], 1), connectivity=6)
    filled = mask.copy()
    filled[box] = (labels != labels[0, 0, 0])[1:-1, 1:-1, 1:-1]
    return filled


def depth_of(mask: BoolArray, unit: Spacing) -> HUField:
    """Give each cell of the mask its distance to the nearest cell outside.

    Cells beyond the array count as outside.

    Args:
        mask: (slice, row, column); not empty.
        unit: Length of a step along each axis.
    """
    box = box_around(mask)
    depth = np.zeros(mask.shape, np.float32)
    depth[box] = _distances(np.pad(mask[box], 1), unit, np.inf)[1:-1, 1:-1, 1:-1]
    return depth


def within(mask: BoolArray, unit: Spacing, reach: float) -> BoolArray:
    """Tell which cells are no further than `reach` from a cell of the mask.

    Args:
        mask: (slice, row, column).
        unit: Length of a step along each axis.
        reach: In the same unit.
    """
    return np.asarray(distance_to(mask, unit, beyond=1.01 * reach) <= reach)


def distance_to(mask: BoolArray, unit: Spacing, *, beyond: float) -> HUField:
    """Give each cell its distance to the nearest cell of the mask; 0 inside.

    Args:
        mask: (slice, row, column).
        unit: Length of a step along each axis.
        beyond: Longer distances are given as this.
    """
    return _distances(~mask, unit, beyond)


def _distances(mask: BoolArray, unit: Spacing, limit: float) -> HUField:
    """Give each cell of the mask its distance to the nearest other cell."""
    from hilum.stages.measure._distance_kernels import (  # noqa: PLC0415  numba is slow
        squared_depth,
    )

    out = np.empty(mask.shape, np.float32)
    squared_depth(
        np.ascontiguousarray(mask), np.array(unit, np.float32), float(limit), out
    )
    return np.sqrt(out, out=out)


def close(mask: BoolArray, unit: Spacing, radius: float) -> BoolArray:
    """Fill the dents that a ball rolling along the outside cannot reach.

    Works on every second cell, and as if the edges of the array went on.

    Args:
        mask: (slice, row, column).
        unit: Length of a step along each axis.
        radius: Of the ball.
    """
    z, y, x = (2 * u for u in unit)
    pads = [(math.ceil(radius / u) + 1,) * 2 for u in (z, y, x)]
    coarse = np.pad(mask[::2, ::2, ::2], pads, mode="edge")
    reached = ~within(coarse, (z, y, x), radius)
    closed = ~within(reached, (z, y, x), radius)
    (a, _), (b, _), (c, _) = pads
    closed = closed[a : len(closed) - a, b : closed.shape[1] - b, c:-c]
    for axis, count in enumerate(mask.shape):
        closed = np.repeat(closed, 2, axis).take(np.arange(count), axis)
    return np.asarray(closed | mask)
