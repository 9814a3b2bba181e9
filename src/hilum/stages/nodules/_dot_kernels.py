"""Inner loops of the dot filter, compiled by numba once and cached on disk.

Volumes are (slice, row, column) float32 HU on a grid of cubic voxels. Each kernel
works on slices `first` to `last` and releases the GIL, so that threads can share
the work.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from hilum._compiled import compiled


@compiled
def blur_slices(volume: Any, weights: Any, out: Any, first: int, last: int) -> None:
    """Convolve along the slices; `weights[k]` for k voxels off, edges repeated."""
    depth, rows, columns = volume.shape
    for z in range(first, last):
        for y in range(rows):
            line, result = volume[z, y], out[z, y]
            for x in range(columns):
                result[x] = weights[0] * line[x]
            for k in range(1, len(weights)):
                below = volume[max(z - k, 0), y]
                above = volume[min(z + k, depth - 1), y]
                weight = weights[k]
                for x in range(columns):
                    result[x] += weight * (below[x] + above[x])


@compiled
def blur_in_plane(volume: Any, weights: Any, out: Any, first: int, last: int) -> None:
    """Convolve along rows and columns; edges repeated."""
    _, rows, columns = volume.shape
    reach = len(weights) - 1
    padded = np.empty(columns + 2 * reach, np.float32)
    middle = padded[reach : reach + columns]
    for z in range(first, last):
        for y in range(rows):
            line, result = volume[z, y], out[z, y]
            for x in range(columns):
                middle[x] = weights[0] * line[x]
            for k in range(1, reach + 1):
                front = volume[z, max(y - k, 0)]
                back = volume[z, min(y + k, rows - 1)]
                weight = weights[k]
                for x in range(columns):
                    middle[x] += weight * (front[x] + back[x])
            padded[:reach] = middle[0]
            padded[reach + columns :] = middle[columns - 1]
            for x in range(columns):
                result[x] = weights[0] * middle[x]
            for k in range(1, reach + 1):
                left = padded[reach - k : reach - k + columns]
                right = padded[reach + k : reach + k + columns]
                weight = weights[k]
                for x in range(columns):
                    result[x] += weight * (left[x] + right[x])


@compiled
def _bulge(smooth: Any, z: int, first: int, last: int, out: Any) -> None:
    """Fill rows of a slice with the negative Laplacian; 0 at the volume's edges."""
    depth, rows, columns = smooth.shape
    out[first:last] = 0
    if z < 1 or z > depth - 2:
        return
    for y in range(max(first, 1), min(last, rows - 1)):
        line, result = smooth[z, y], out[y]
        below, above = smooth[z - 1, y], smooth[z + 1, y]
        front, back = smooth[z, y - 1], smooth[z, y + 1]
        for x in range(1, columns - 1):
            around = below[x] + above[x] + front[x] + back[x] + line[x - 1]
            result[x] = np.float32(6) * line[x] - around - line[x + 1]


@compiled
def _is_peak(below: Any, here: Any, above: Any, y: int, x: int) -> bool:
    """Tell whether a voxel tops its 26 neighbours; of equals, the first in order."""
    value = here[y, x]
    for dy in range(-1, 2):
        for dx in range(-1, 2):
            if below[y + dy, x + dx] >= value or above[y + dy, x + dx] > value:
                return False
            before = dy < 0 or (dy == 0 and dx < 0)
            other = here[y + dy, x + dx]
            if (before and other >= value) or (not before and other > value):
                return False
    return True


@compiled
def curvatures(smooth: Any, z: int, y: int, x: int) -> tuple[float, float, float]:
    """Give the eigenvalues of the Hessian at a voxel, ascending, per voxel squared."""
    twice = 2.0 * smooth[z, y, x]
    zz = smooth[z + 1, y, x] + smooth[z - 1, y, x] - twice
    yy = smooth[z, y + 1, x] + smooth[z, y - 1, x] - twice
    xx = smooth[z, y, x + 1] + smooth[z, y, x - 1] - twice
    zy = smooth[z + 1, y + 1, x] + smooth[z - 1, y - 1, x]
    zy = (zy - smooth[z + 1, y - 1, x] - smooth[z - 1, y + 1, x]) / 4.0
    zx = smooth[z + 1, y, x + 1] + smooth[z - 1, y, x - 1]
    zx = (zx - smooth[z + 1, y, x - 1] - smooth[z - 1, y, x + 1]) / 4.0
    yx = smooth[z, y + 1, x + 1] + smooth[z, y - 1, x - 1]
    yx = (yx - smooth[z, y + 1, x - 1] - smooth[z, y - 1, x + 1]) / 4.0
    low, mid, high = eigenvalues(zz, yy, xx, zy, zx, yx)
    return low, mid, high


@compiled
def eigenvalues(
    a: float, b: float, c: float, ab: float, ac: float, bc: float
) -> tuple[float, float, float]:
    """Give the eigenvalues of a symmetric 3 x 3 matrix, ascending.

    By the trigonometric solution of the characteristic cubic (Smith, "Eigenvalues
    of a symmetric 3 x 3 matrix", Communications of the ACM 4(4):168, 1961).
    """
    mean = (a + b + c) / 3.0
    a, b, c = a - mean, b - mean, c - mean
    spread = a * a + b * b + c * c + 2.0 * (ab * ab + ac * ac + bc * bc)
    if spread < 1e-20:
        return mean, mean, mean
    p = math.sqrt(spread / 6.0)
    half_det = a * (b * c - bc * bc) - ab * (ab * c - bc * ac) + ac * (ab * bc - b * ac)
    angle = math.acos(min(1.0, max(-1.0, half_det / (2.0 * p * p * p)))) / 3.0
    high = mean + 2.0 * p * math.cos(angle)
    low = mean + 2.0 * p * math.cos(angle + 2.0 * math.pi / 3.0)
    return low, 3.0 * mean - high - low, high


@compiled
def _vertex(before: float, here: float, after: float) -> float:
    """Give the offset of the top of the parabola through three samples."""
    bend = 2.0 * here - before - after
    return min(0.5, max(-0.5, 0.5 * (after - before) / bend)) if bend > 0 else 0.0


@compiled
def find_bulges(
    smooth: Any, inside: Any, least: float, first: int, last: int
) -> list[tuple[float, float, float, float, float]]:
    """Find local maxima of the negative Laplacian that bend down in every direction.

    Returns:
        For each, its index (slice, row, column), refined below the voxel, and the
        least and the greatest curvature (positive, HU per voxel squared); only
        those whose least curvature reaches `least`.
    """
    depth, rows, columns = smooth.shape
    ring = np.zeros((3, rows, columns), np.float32)
    found = [(0.0, 0.0, 0.0, 0.0, 0.0) for _ in range(0)]
    upper = np.full(depth + 2, rows)  # the row before each slice's first in question
    lower = np.zeros(depth + 2, np.int64)
    for z in range(max(first - 1, 0), min(last + 1, depth)):
        for y in range(rows):
            if inside[z, y].any():
                upper[z] = min(upper[z], max(y - 1, 0))
                lower[z] = min(y + 2, rows)
    for z in range(first - 1, last + 1):
        start = min(upper[z - 1], upper[z], upper[z + 1])
        stop = max(lower[z - 1], lower[z], lower[z + 1])
        _bulge(smooth, z, start, stop, ring[z % 3])
        middle = z - 1
        if middle < max(first, 1) or middle > depth - 2:
            continue
        below, here, above = ring[(middle - 1) % 3], ring[middle % 3], ring[z % 3]
        for y in range(max(upper[middle], 1), min(lower[middle], rows - 1)):
            for x in range(1, columns - 1):
                value = here[y, x]
                # three curvatures of at least `least` add up to this
                if value < 3.0 * least or not inside[middle, y, x]:
                    continue
                if not _is_peak(below, here, above, y, x):
                    continue
                low, _, high = curvatures(smooth, middle, y, x)
                if -high < least:
                    continue
                dz = _vertex(below[y, x], value, above[y, x])
                dy = _vertex(here[y - 1, x], value, here[y + 1, x])
                dx = _vertex(here[y, x - 1], value, here[y, x + 1])
                found.append((middle + dz, y + dy, x + dx, -high, -low))
    return found
