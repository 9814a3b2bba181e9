"""How full a scanner shows ellipsoids that share a centre, compiled by numba."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from hilum._compiled import compiled

_FAR = 4.0
"""So many standard deviations from an edge, a voxel is full or empty."""


@compiled
def show_ellipsoids(
    points: Any, form: Any, scales: Any, blur_mm: float, slice_mm: float, out: Any
) -> None:
    """Give how full each voxel is of an ellipsoid, at several scales of it.

    The slice averages along the body; the blur in the axial plane is that of a
    straight edge, drawn in so far that a disc keeps its area.

    Args:
        points: (n, 3) middles of voxels (slice, row, column) from its centre, in mm.
        form: (3, 3) matrix A with x A x = 1 on the surface of scale 1.
        scales: (k,) of the ellipsoids.
        blur_mm: Standard deviation of the blur in the axial plane.
        slice_mm: Thickness that a slice averages over.
        out: (k, n) float64.
    """
    a, b, c = form[1, 1], form[1, 2], form[2, 2]
    p, q = form[0, 1], form[0, 2]
    det = a * c - b * b
    lean_y, lean_x = (c * p - b * q) / det, (a * q - b * p) / det
    tall = form[0, 0] - p * lean_y - q * lean_x
    parts = max(3, math.ceil(slice_mm / 0.36))
    for i in range(points.shape[0]):
        for k in range(len(scales)):
            out[k, i] = 0.0
        for part in range(parts):
            z = points[i, 0] + ((part + 0.5) / parts - 0.5) * slice_mm
            y = points[i, 1] + lean_y * z
            x = points[i, 2] + lean_x * z
            off = math.sqrt(a * y * y + 2 * b * y * x + c * x * x) + 1e-9
            steep = (math.sqrt(y * y + x * x) + 1e-9) / off / blur_mm
            for k in range(len(scales)):
                wide = scales[k] * scales[k] - tall * z * z - 1 / (steep * steep)
                if wide <= 0:
                    continue
                edge = math.sqrt(wide)
                share = _below((edge - off) * steep) - _below((-edge - off) * steep)
                out[k, i] += share / parts


@compiled
def _below(x: float) -> float:
    """Give the normal distribution."""
    if x > _FAR:
        return 1.0
    if x < -_FAR:
        return 0.0
    return 0.5 * math.erfc(-x * math.sqrt(0.5))


@compiled
def residuals(
    shares: Any, seen: Any, weights: Any, usual: Any, amplitudes: Any, out: Any
) -> None:
    """Fit the level of each ellipsoid, and give what is left over.

    Args:
        shares: (k, n) how full each voxel is, k being 1 or 2.
        seen: (n,) levels of the voxels.
        weights: (2,) of the last level, and of the sum of all, being usual.
        usual: (2,) what these usually are.
        amplitudes: (k,) to fill.
        out: (n,) to fill.
    """
    k, n = shares.shape
    gram = np.zeros((k, k))
    told = np.zeros(k)
    for i in range(n):
        for r in range(k):
            told[r] += shares[r, i] * seen[i]
            for s in range(k):
                gram[r, s] += shares[r, i] * shares[s, i]
    for r in range(k):
        gram[r, r] += 1e-6
    gram[k - 1, k - 1] += weights[0]
    told[k - 1] += weights[0] * usual[0]
    for r in range(k):
        told[r] += weights[1] * usual[1]
        for s in range(k):
            gram[r, s] += weights[1]
    if k == 1:
        amplitudes[0] = told[0] / gram[0, 0]
    else:
        det = gram[0, 0] * gram[1, 1] - gram[0, 1] * gram[1, 0]
        amplitudes[0] = (told[0] * gram[1, 1] - told[1] * gram[0, 1]) / det
        amplitudes[1] = (told[1] * gram[0, 0] - told[0] * gram[1, 0]) / det
    for i in range(n):
        left = seen[i]
        for r in range(k):
            left -= amplitudes[r] * shares[r, i]
        out[i] = left
