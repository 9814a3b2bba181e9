"""Five lobes: where the fissures run.

The oblique fissure falls from the back at the level of the fourth vertebra to
the front at the diaphragm; the minor fissure lies level at the height of the
right hilum. Both are gently wavy surfaces z = f(x, y) of a standard adult.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from hilum.phantom.person import Person

Doubles = npt.NDArray[np.float64]


def fissure_waves(person: Person) -> Doubles:
    """Draw the numbers that make one person's fissures.

    Args:
        person: Whose.

    Returns:
        (3, 5) for the right oblique, the minor and the left oblique fissure:
        height at the middle, slope along y, slope along |x|, wave, phase.
    """
    rng = np.random.default_rng([person.seed, 3])
    base = np.array(
        [
            (-38.0, 1.02, 0.16, 5.0, 0.0),
            (-10.0, 0.10, -0.12, 4.0, 0.0),
            (-30.0, 1.08, 0.10, 5.0, 0.0),
        ]
    )
    base[:, 0] += rng.normal(0, 6, 3)
    base[:, 1] *= rng.normal(1, 0.05, 3)
    base[:, 4] = rng.uniform(0, 2 * np.pi, 3)
    return base


def fissure_z(waves: Doubles, which: int, x: Any, y: Any) -> Any:
    """Height of a fissure over (x, y); arrays broadcast."""
    height, along, across, wave, phase = waves[which]
    ripple = wave * np.sin(x / 27 + phase) * np.cos(y / 35 + phase)
    return height + along * y + across * np.abs(x) + ripple


def lobe_of(waves: Doubles, points: Doubles) -> npt.NDArray[np.int64]:
    """Tell the lobe of points in the lung.

    Args:
        waves: From `fissure_waves`.
        points: (n, 3) points (x, y, z) in a standard adult.

    Returns:
        (n,) index into `mediastinum.LOBES`.
    """
    x, y, z = points.T
    above_right = z > fissure_z(waves, 0, x, y)
    above_minor = z > fissure_z(waves, 1, x, y)
    right = np.where(above_right, np.where(above_minor, 0, 1), 2)
    left = np.where(z > fissure_z(waves, 2, x, y), 3, 4)
    return np.asarray(np.where(x < 2, right, left), dtype=np.int64)


def fissure_gap(waves: Doubles, points: Doubles) -> Doubles:
    """How far points lie from the nearest fissure of their lung, in mm."""
    x, y, z = points.T
    oblique = np.where(x < 2, fissure_z(waves, 0, x, y), fissure_z(waves, 2, x, y))
    gap = np.abs(z - oblique) / 1.5
    minor = np.where((x < 2) & (z > oblique), np.abs(z - fissure_z(waves, 1, x, y)), 99)
    return np.asarray(np.minimum(gap, minor))
