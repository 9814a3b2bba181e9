"""How large a bright dot is: rays from its centre to where it has half faded."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

from hilum.space import FloatArray
from hilum.volume import HUArray

PAIRS = 32
"""Pairs of opposite rays."""

LONGEST_RAY = 1.6
"""Rays longer than this times the median follow a vessel, and count as this."""

FAINTEST_RISE_HU = 150
"""Least rise of a dot above the lung; below it, half of the rise is noise."""


def measure_diameters(
    hu: HUArray, index: FloatArray, diameter: FloatArray, *, around_hu: int
) -> FloatArray:
    """Measure the diameter of the sphere with the volume that the rays span.

    A ray that meets no border within twice the expected radius (it runs into the
    chest wall) takes the length of the one opposite, so that half a dome at the
    pleura gives the diameter of the ball.

    Args:
        hu: (slice, row, column) of cubic voxels.
        index: (n, 3) centres (slice, row, column) in voxels.
        diameter: (n,) expected diameters in voxels.
        around_hu: What is around the dots: lung.

    Returns:
        (n,) diameters in voxels.
    """
    pairs = zip(index, diameter, strict=True)
    return np.array([_measure(hu, c, float(d), around_hu) for c, d in pairs])


def _measure(hu: HUArray, center: FloatArray, diameter: float, around_hu: int) -> float:
    """Measure one dot."""
    from hilum.stages.nodules import _ray_kernels  # noqa: PLC0415  numba is slow

    directions = even_directions()
    radius = diameter / 2
    limit = max(2 * radius, radius + 3)
    rise_hu = _ray_kernels.mean_at(hu, center, directions, radius / 2) - around_hu
    level_hu = around_hu + max(rise_hu, FAINTEST_RISE_HU) / 2
    rays = np.empty(2 * PAIRS)
    _ray_kernels.reaches(hu, center, directions, level_hu, limit, rays)
    rays = np.where(rays < limit, rays, np.roll(rays, PAIRS))
    longest = LONGEST_RAY * float(np.median(rays))
    volume = float(np.mean(np.minimum(rays, longest) ** 3))
    return 2 * math.cbrt(volume)


@lru_cache(maxsize=1)
def even_directions() -> FloatArray:
    """Spread `2 * PAIRS` unit vectors evenly, the second half opposite to the first.

    The first half is a Fibonacci lattice on the upper half of the sphere.
    """
    n = np.arange(PAIRS) + 0.5
    height = 1 - n / PAIRS
    turn = math.pi * (1 + math.sqrt(5)) * n
    flat = np.sqrt(1 - height**2)
    half = np.stack([height, flat * np.sin(turn), flat * np.cos(turn)], axis=1)
    both = np.ascontiguousarray(np.concatenate([half, -half]))
    both.setflags(write=False)
    return both
