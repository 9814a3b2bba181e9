"""Compiled loops that paint the body of a lesion."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
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
    rows, columns = cover.shape
    ox, oy, oz = frame[0, 3], frame[1, 3], frame[2, 3]
    sx, ry, rz, tz = frame[0, 2], frame[1, 1], frame[2, 1], frame[2, 0]
    most = 1.0
    for b in range(bumps.shape[0]):
        most += bumps[b, 3]
    reach = body[3] * most + body[5] + 0.5 * sx
    i0 = max(int(np.ceil((body[1] - reach - ry - oy) / ry)), 0)
    i1 = min(int((body[1] + reach + ry - oy) / ry) + 1, rows)
    j0 = max(int(np.ceil((body[0] - reach - sx - ox) / sx)), 0)
    j1 = min(int((body[0] + reach + sx - ox) / sx) + 1, columns)
    total = cuts[0] * cuts[1] * cuts[2]
    fine = (sx / cuts[2] + ry / cuts[1] + tz / cuts[0]) / 3
    ramp = max(body[5], fine)
    half = 0.5 * np.sqrt(sx * sx + ry * ry + (abs(rz) + tz) ** 2) + ramp
    touched = False
    for i in range(i0, i1):
        for j in range(j0, j1):
            px = ox + j * sx - body[0]
            py, pz = oy + i * ry - body[1], oz + i * rz - body[2]
            if np.sqrt(px * px + py * py + pz * pz) > reach + half:
                continue
            touched = True
            sum_ = 0.0
            for q in range(total):
                qz = (q // (cuts[1] * cuts[2]) + 0.5) / cuts[0] - 0.5
                qy = (q // cuts[2] % cuts[1] + 0.5) / cuts[1] - 0.5
                qx = (q % cuts[2] + 0.5) / cuts[2] - 0.5
                x = px + qx * sx
                y = py + qy * ry
                z = pz + qy * rz + qz * tz
                d = np.sqrt(x * x + y * y + z * z) + 1e-9
                r = 1.0
                for b in range(bumps.shape[0]):
                    toward = x * bumps[b, 0] + y * bumps[b, 1] + z * bumps[b, 2]
                    r += bumps[b, 3] * np.exp(bumps[b, 4] * (toward / d - 1.0))
                # linear in d^3, so that fading the margin keeps the volume
                r *= body[3]
                past = (r * r * r - d * d * d) / (3.0 * r * r * min(ramp, 0.6 * r))
                sum_ += min(max(0.5 + past, 0.0), 1.0)
            cover[i, j] = max(cover[i, j], np.float32(sum_ / total))
    return touched
