"""Compiled loops that paint the body of a lesion."""

from __future__ import annotations

from typing import Any

import numpy as np

from hilum._compiled import compiled


@compiled
def _inside(body: Any, bumps: Any, ramp: float, x: float, y: float, z: float) -> float:
    """How far a point, seen from the origin, is inside: 0 to 1 across the margin.

    Linear in the cube of the distance, so that fading the margin keeps the volume.
    """
    d = np.sqrt(x * x + y * y + z * z) + 1e-9
    r = 1.0
    for b in range(bumps.shape[0]):
        toward = x * bumps[b, 0] + y * bumps[b, 1] + z * bumps[b, 2]
        r += bumps[b, 3] * np.exp(bumps[b, 4] * (toward / d - 1.0))
    r *= body[3]
    past = (r * r * r - d * d * d) / (3.0 * r * r * min(ramp, 0.6 * r))
    return min(max(0.5 + past, 0.0), 1.0)  # type: ignore[no-any-return]


@compiled
def cover_with_body(body: Any, bumps: Any, frame: Any, cuts: Any, cover: Any) -> bool:
    """Raise `cover` to the share of each voxel that a body fills.

    Args:
        body: (6,) origin (x, y, z), R, HU (unused), margin; see `shapes.Shape`.
        bumps: (n, 5).
        frame: (3, 4), see `cover_with_tubes`.
        cuts: Samples of a voxel along (slice, row, column).
        cover: (row, column) float32.

    Returns:
        Whether the body touches the slice.
    """
    sx, ry, rz, tz = frame[0, 2], frame[1, 1], frame[2, 1], frame[2, 0]
    ramp = max(body[5], (sx / cuts[2] + ry / cuts[1] + tz / cuts[0]) / 3)
    reach = body[3] * (1.0 + bumps[:, 3].sum()) + ramp
    reach += 0.5 * np.sqrt(sx * sx + ry * ry + (abs(rz) + tz) ** 2)
    x0, y0, z0 = frame[0, 3] - body[0], frame[1, 3] - body[1], frame[2, 3] - body[2]
    rows = range(
        max(int(np.ceil((-reach - y0) / ry)), 0),
        min(int((reach - y0) / ry) + 1, cover.shape[0]),
    )
    columns = range(
        max(int(np.ceil((-reach - x0) / sx)), 0),
        min(int((reach - x0) / sx) + 1, cover.shape[1]),
    )
    total = cuts[0] * cuts[1] * cuts[2]
    touched = False
    for i in rows:
        for j in columns:
            px, py, pz = x0 + j * sx, y0 + i * ry, z0 + i * rz
            if px * px + py * py + pz * pz > reach * reach:
                continue
            touched = True
            share = 0.0
            for q in range(total):
                qz = (q // (cuts[1] * cuts[2]) + 0.5) / cuts[0] - 0.5
                qy = (q // cuts[2] % cuts[1] + 0.5) / cuts[1] - 0.5
                qx = (q % cuts[2] + 0.5) / cuts[2] - 0.5
                z = pz + qy * rz + qz * tz
                share += _inside(body, bumps, ramp, px + qx * sx, py + qy * ry, z)
            cover[i, j] = max(cover[i, j], np.float32(share / total))
    return touched
