"""Compiled loops of the coarse fields."""

from __future__ import annotations

from typing import Any

import numpy as np

from hilum._compiled import compiled


@compiled
def near_tubes(
    tubes: Any, start: Any, step: float, width: float, out: Any, first: int, last: int
) -> None:
    """Fill planes `first` to `last` with a soft distance from tubes.

    The distance is -width * log(sum of exp(-d / width)), each tube weighted by its
    length so that a straight chain of them comes out at its true distance;
    between chains it makes fillets. Far away it is the value that `out` had.
    """
    far = 5.0 * width
    total = np.empty(out.shape[1:], np.float32)
    for iz in range(first, last):
        total[:] = 0.0
        for t in range(tubes.shape[0]):
            ax, ay, az, bx, by, bz, ra, rb = tubes[t, :8]
            cx, cy, cz, r = (ax + bx) / 2, (ay + by) / 2, (az + bz) / 2, (ra + rb) / 2
            pz = start[0] + iz * step - cz
            if abs(pz) > r + far:
                continue
            length = np.sqrt((bx - ax) ** 2 + (by - ay) ** 2 + (bz - az) ** 2)
            weight = length / np.sqrt(2.0 * np.pi * width * (r + width))
            wide = np.sqrt((r + far) ** 2 - pz * pz)
            y0 = max(int((cy - wide - start[1]) / step), 0)
            y1 = min(int((cy + wide - start[1]) / step) + 2, out.shape[1])
            x0 = max(int((cx - wide - start[2]) / step), 0)
            x1 = min(int((cx + wide - start[2]) / step) + 2, out.shape[2])
            for iy in range(y0, y1):
                py = start[1] + iy * step - cy
                for ix in range(x0, x1):
                    px = start[2] + ix * step - cx
                    d = np.sqrt(px * px + py * py + pz * pz) - r
                    if d < far:
                        total[iy, ix] += weight * np.exp(-d / width)
        for iy in range(out.shape[1]):
            for ix in range(out.shape[2]):
                if total[iy, ix] > 0:
                    soft = -width * np.log(total[iy, ix])
                    out[iz, iy, ix] = min(out[iz, iy, ix], np.float32(soft))
