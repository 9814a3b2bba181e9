"""How far a bright thing reaches from a point, compiled by numba once and cached."""

from __future__ import annotations

from typing import Any

from hilum._compiled import compiled


@compiled
def _sample(volume: Any, z: float, y: float, x: float) -> Any:
    """Interpolate trilinearly; beyond the edges, the value at the edge."""
    z = min(max(z, 0.0), volume.shape[0] - 1.0)
    y = min(max(y, 0.0), volume.shape[1] - 1.0)
    x = min(max(x, 0.0), volume.shape[2] - 1.0)
    i, j, k = int(z), int(y), int(x)
    i2, j2 = min(i + 1, volume.shape[0] - 1), min(j + 1, volume.shape[1] - 1)
    k2 = min(k + 1, volume.shape[2] - 1)
    w, v, u = z - i, y - j, x - k
    a = volume[i, j, k] * (1 - u) + volume[i, j, k2] * u
    b = volume[i, j2, k] * (1 - u) + volume[i, j2, k2] * u
    c = volume[i2, j, k] * (1 - u) + volume[i2, j, k2] * u
    d = volume[i2, j2, k] * (1 - u) + volume[i2, j2, k2] * u
    return (a * (1 - v) + b * v) * (1 - w) + (c * (1 - v) + d * v) * w


@compiled
def mean_at(volume: Any, center: Any, directions: Any, radius: float) -> float:
    """Average the volume at `radius` voxels from the centre."""
    total = 0.0
    for d in directions:
        z, y, x = radius * d[0], radius * d[1], radius * d[2]
        total += _sample(volume, center[0] + z, center[1] + y, center[2] + x)
    return total / len(directions)


@compiled
def reaches(
    volume: Any, center: Any, directions: Any, level: float, limit: float, out: Any
) -> None:
    """Walk out along each direction until the volume falls below `level`.

    Fills `out` with the distances in voxels, or `limit` where it never does.
    """
    step = 0.25
    start = _sample(volume, center[0], center[1], center[2])
    for n in range(len(directions)):
        d = directions[n]
        before, t = start, 0.0
        out[n] = limit
        while t < limit:
            t += step
            value = _sample(
                volume, center[0] + t * d[0], center[1] + t * d[1], center[2] + t * d[2]
            )
            if value < level:
                fall = max(before - value, 1e-6)
                out[n] = min(max(t - step * (level - value) / fall, 0.0), limit)
                break
            before = value
