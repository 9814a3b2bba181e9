"""Extent of a small mask, exact distances in it and runs, compiled by numba.

The masks here are small and the distances short, which a general transform does
not use: looking outward along each axis until nothing nearer can come takes a
fifth of its time or less.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from hilum._compiled import compiled


@compiled
def squared_depth(mask: Any, unit: Any, limit: float, out: Any) -> None:
    """Give each cell of a mask its squared distance to the nearest cell outside.

    Args:
        mask: (slice, row, column) bool.
        unit: (3,) float32, length of a step along each axis.
        limit: Longer distances are given as this.
        out: (slice, row, column) float32.
    """
    depth, height, width = mask.shape
    far = np.float32(limit)
    for z in range(depth):
        for y in range(height):
            off = far
            for x in range(width):
                off = min(off + unit[2], far) if mask[z, y, x] else np.float32(0)
                out[z, y, x] = off
            off = far
            for x in range(width - 1, -1, -1):
                off = min(off + unit[2], far) if mask[z, y, x] else np.float32(0)
                nearest = min(off, out[z, y, x])
                out[z, y, x] = nearest * nearest
    # what is worked on lies without gaps, or the loops would go one cell at a time
    row = np.empty(width, np.float32)
    known = np.empty((height, width), np.float32)
    for z in range(depth):
        known[:] = out[z]
        _look_along(known, unit[1], row, out[z])
    known = np.empty((depth, width), np.float32)
    for y in range(height):
        known[:] = out[:, y]
        _look_along(known, unit[0], row, out[:, y])


@compiled
def _look_along(known: Any, step: float, row: Any, out: Any) -> None:
    """Add the first axis to squared distances that are known along the others."""
    count, width = known.shape
    for i in range(count):
        furthest = np.float32(0)
        for x in range(width):
            row[x] = known[i, x]
            furthest = max(furthest, row[x])
        k = 1
        more = np.float32(step * step)
        while more < furthest and (i >= k or i + k < count):
            before = known[i - k] if i >= k else known[i + k]
            after = known[i + k] if i + k < count else known[i - k]
            for x in range(width):
                row[x] = min(row[x], min(before[x], after[x]) + more)
            k += 1
            more = np.float32(k * step * k * step)
        for x in range(width):
            out[i, x] = row[x]


@compiled
def bounds(mask: Any, out: Any) -> None:
    """Find the first and the last index along each axis at which a mask has cells.

    Args:
        mask: (slice, row, column) bool.
        out: (3, 2) int64; the first is the length of the axis in an empty mask.
    """
    depth, height, width = mask.shape
    out[0, 0], out[1, 0], out[2, 0] = depth, height, width
    out[:, 1] = -1
    for z in range(depth):
        for y in range(height):
            row = mask[z, y]
            first = 0
            while first < width and not row[first]:
                first += 1
            if first == width:
                continue
            last = width - 1
            while not row[last]:
                last -= 1
            out[0, 0], out[0, 1] = min(out[0, 0], z), z
            out[1, 0], out[1, 1] = min(out[1, 0], y), max(out[1, 1], y)
            out[2, 0], out[2, 1] = min(out[2, 0], first), max(out[2, 1], last)


@compiled
def longest_run(values: Any) -> float:
    """Measure the longest stretch of positive values in any row, between its zeros.

    Args:
        values: (rows, points) float32; stretches that a row begins or ends with do
            not count.

    Returns:
        In steps from point to point.
    """
    longest = 0.0
    for row in values:
        start = -1.0
        for n in range(len(row) - 1):
            if (row[n] >= 0) != (row[n + 1] >= 0):
                zero = n + row[n] / (row[n] - row[n + 1])
                if row[n + 1] >= 0:
                    start = zero
                elif start >= 0:
                    longest = max(longest, zero - start)
    return longest
