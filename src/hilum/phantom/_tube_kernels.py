"""Compiled loops that paint tubes: bones, vessels, airways, spicules."""

from __future__ import annotations

from typing import Any

import numpy as np

from hilum._compiled import compiled


@compiled
def _gap(tube: Any, x: float, y: float, z: float) -> float:
    """Distance of a point, seen from the start of a tube, to its surface."""
    dx, dy, dz = tube[3] - tube[0], tube[4] - tube[1], tube[5] - tube[2]
    length2 = max(dx * dx + dy * dy + dz * dz, 1e-9)
    s = min(max((x * dx + y * dy + z * dz) / length2, 0.0), 1.0)
    ex, ey, ez = x - s * dx, y - s * dy, z - s * dz
    d = ex * ex + ey * ey + ez * ez
    if tube[11] > 1.0:
        along = ex * tube[8] + ey * tube[9] + ez * tube[10]
        d += along * along * (tube[11] * tube[11] - 1.0)
    return np.sqrt(d) - (tube[6] + s * (tube[7] - tube[6]))  # type: ignore[no-any-return]


@compiled
def _share(tube: Any, x: float, y: float, z: float, frame: Any, cuts: Any) -> float:
    """Share of a voxel that a tube fills, from samples each as wide as its cell."""
    sx, ry, rz, tz = frame[0, 2], frame[1, 1], frame[2, 1], frame[2, 0]
    fine = max(sx / cuts[2], ry / cuts[1], (abs(tz) + abs(rz)) / cuts[0])
    total = 0.0
    for k in range(cuts[0]):
        qz = (k + 0.5) / cuts[0] - 0.5
        for i in range(cuts[1]):
            qy = (i + 0.5) / cuts[1] - 0.5
            for j in range(cuts[2]):
                qx = (j + 0.5) / cuts[2] - 0.5
                gap = _gap(tube, x + qx * sx, y + qy * ry, z + qy * rz + qz * tz)
                total += min(max(0.5 - gap / fine, 0.0), 1.0)
    # the samples' width adds to a thin tube: take that back
    r = 0.5 * (tube[6] + tube[7])
    if r < 1.5 * fine:
        seen = r * r + fine * fine / 12
        if r < 0.5 * fine:
            seen = (r + 0.5 * fine) ** 3 / (3 * fine)
        total *= r * r / seen
    return total / (cuts[0] * cuts[1] * cuts[2])  # type: ignore[no-any-return]


@compiled
def _steps(low: float, high: float, start: float, step: float, count: int) -> Any:
    """Range of steps from `low` to `high`, within the count."""
    first = max(int(np.ceil((low - start) / step)), 0)
    return first, min(int(np.floor((high - start) / step)) + 1, count)


@compiled
def cover_with_tubes(tubes: Any, which: Any, frame: Any, cuts: Any, cover: Any) -> None:
    """Raise `cover` to the share of each voxel that tubes fill.

    Args:
        tubes: (n, 12), see `tubes.Tubes`.
        which: Indices of the tubes that may touch the slice.
        frame: (3, 4): the world (x, y, z) of (slice 0, row, column, 1). Columns
            run along x alone, rows along y and z, slices along z alone, where
            the step is one slice thickness.
        cuts: Samples of a voxel along (slice, row, column).
        cover: (row, column) float32.
    """
    ox, oy, oz = frame[0, 3], frame[1, 3], frame[2, 3]
    sx, ry, rz = frame[0, 2], frame[1, 1], frame[2, 1]
    hx, hy, hz = sx / 2, ry / 2, (abs(frame[2, 0]) + abs(rz)) / 2
    half = np.sqrt(hx * hx + hy * hy + hz * hz)
    for w in range(which.shape[0]):
        tube = tubes[which[w]]
        r = max(tube[6], tube[7])
        low = np.minimum(tube[:3], tube[3:6]) - r
        high = np.maximum(tube[:3], tube[3:6]) + r
        i0, i1 = _steps(low[1] - hy, high[1] + hy, oy, ry, cover.shape[0])
        j0, j1 = _steps(low[0] - hx, high[0] + hx, ox, sx, cover.shape[1])
        for i in range(i0, i1):
            z = oz + i * rz
            if z < low[2] - hz or z > high[2] + hz:
                continue
            z -= tube[2]
            y = oy + i * ry - tube[1]
            for j in range(j0, j1):
                x = ox + j * sx - tube[0]
                if cover[i, j] >= 1.0:
                    continue
                gap = _gap(tube, x, y, z)
                if gap > half * tube[11]:
                    continue
                share = 1.0
                if gap > -half * tube[11]:
                    share = _share(tube, x, y, z, frame, cuts)
                cover[i, j] = max(cover[i, j], np.float32(share))
