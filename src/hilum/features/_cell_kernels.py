"""Inner loops over the cells of a nodule, compiled by numba once and cached on disk."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from hilum._compiled import compiled


@compiled
def blend(field: Any, low: Any, part: Any, out: Any) -> None:
    """Interpolate linearly between voxels, on a grid along their axes.

    Weighs and adds up the eight neighbours exactly as SciPy does, on whose numbers the
    networks were trained: whether two that cancel give 0 or a little less decides on
    which side of a surface a cell lies.

    Args:
        field: (slice, row, column) float64.
        low: For each axis, the voxel before each place along it, int64.
        part: For each axis, how far beyond it each place lies, 0 to 1.
        out: A value for each place.
    """
    depth, height, width = field.shape
    (z, y, x), (tz, ty, tx) = low, part
    count = len(x)
    weighed = np.empty(width)
    totals = np.empty(count)
    for i in range(len(z)):
        for j in range(len(y)):
            totals[:] = 0.0
            for a in range(2):
                wz = 1.0 - tz[i]
                wz = 1.0 - wz if a else wz
                for b in range(2):
                    wy = 1.0 - ty[j]
                    wy = 1.0 - wy if b else wy
                    row = field[min(z[i] + a, depth - 1), min(y[j] + b, height - 1)]
                    for k in range(width):
                        weighed[k] = row[k] * wz * wy
                    for k in range(count):
                        before = 1.0 - tx[k]
                        totals[k] += weighed[x[k]] * before
                        after = min(x[k] + 1, width - 1)
                        totals[k] += weighed[after] * (1 - before)
            for k in range(count):
                out[i, j, k] = totals[k]


@compiled
def hull(points: Any) -> tuple[float, float]:
    """Measure area and perimeter of the convex hull of points in the plane.

    By the monotone chain of Andrew, Information Processing Letters 9(5):216 (1979).

    Args:
        points: (n, 2) float64, sorted by the first, then by the second number.
    """
    count = len(points)
    chain = np.empty((2 * count + 1, 2))
    size = 0
    for turn in range(2):
        start = size + 1
        for n in range(count):
            point = points[n] if turn == 0 else points[count - 1 - n]
            while size > start and _turns_right(
                chain[size - 2], chain[size - 1], point
            ):
                size -= 1
            chain[size] = point
            size += 1
        size -= 1  # the next turn begins with this point
    area, perimeter = 0.0, 0.0
    for n in range(size):
        one, other = chain[n], chain[(n + 1) % size]
        area += one[0] * other[1] - one[1] * other[0]
        perimeter += math.hypot(other[0] - one[0], other[1] - one[1])
    return abs(area) / 2, perimeter


@compiled
def _turns_right(one: Any, other: Any, point: Any) -> bool:
    """Tell whether the way from one point over another to a third bends right."""
    along = (other[0] - one[0]) * (point[1] - one[1])
    across = (other[1] - one[1]) * (point[0] - one[0])
    return bool(along - across <= 0.0)
