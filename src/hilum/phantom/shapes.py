"""Bodies of lesions: star-shaped, with exact volume, centre and diameters.

A shape is a sphere with bumps: its radius along the unit direction u is
R * (1 + sum_i a_i * exp(k_i * (u . d_i - 1))). Everything that a truth states is
an integral over, or an outline of, this formula; no voxel takes part.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

Doubles = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Shape:
    """A sphere with bumps, in the frame of its centre of mass.

    Attributes:
        radius_mm: R of the formula.
        origin_mm: Where the radii start, seen from the centre of mass (x, y, z).
        bumps: (n, 5) direction d (x, y, z), height a, narrowness k.
    """

    radius_mm: float
    origin_mm: tuple[float, float, float]
    bumps: Doubles

    @classmethod
    def of_volume(cls, volume_mm3: float, bumps: Doubles) -> Shape:
        """Make the shape that has exactly this volume.

        Volume and centre are integrals of r^3 / 3 and r^4 / 4 over all
        directions (Gauss-Legendre in height, even steps around).

        Args:
            volume_mm3: Wanted volume.
            bumps: (n, 5); none gives a sphere.
        """
        unit = cls(1.0, (0.0, 0.0, 0.0), bumps)
        u, part = _sphere()
        r = unit.reach(u)
        volume = float((part * r**3 / 3).sum())
        center = (part[..., None] * (r**4 / 4)[..., None] * u).sum((0, 1)) / volume
        scale = (volume_mm3 / volume) ** (1 / 3)
        x, y, z = (-scale * center).tolist()
        return cls(scale, (x, y, z), bumps)

    def reach(self, directions: npt.ArrayLike) -> Doubles:
        """Radius in mm along unit directions (..., 3), from the origin."""
        u = np.asarray(directions, dtype=np.float64)
        total = np.ones(u.shape[:-1])
        for bump in self.bumps:
            total += bump[3] * np.exp(bump[4] * (u @ bump[:3] - 1))
        return np.asarray(self.radius_mm * total)

    def surface(self, count: int) -> Doubles:
        """Give (count, 3) points spread over the surface, from the centre."""
        index = np.arange(count) + 0.5
        turn = math.pi * (1 + math.sqrt(5)) * index
        u = _directions(1 - 2 * index / count, turn)
        return np.asarray(self.origin_mm + self.reach(u)[:, None] * u)

    def axes_mm(self) -> tuple[float, float]:
        """Measure long and short axis as a reader does, without voxels.

        Returns:
            The longest diameter of any axial section, and the longest chord at
            right angles to it in the same section.
        """
        if not len(self.bumps):
            return 2 * self.radius_mm, 2 * self.radius_mm
        best = (0.0, 0.0)
        for outline in self._sections():
            turns = np.arange(360) * (math.pi / 360)
            across = outline @ np.stack([np.cos(turns), np.sin(turns)])
            width = across.max(0) - across.min(0)
            widest = int(width.argmax())
            if width[widest] > best[0]:
                best = (float(width[widest]), _chord(outline, turns[widest]))
        return best

    def _sections(self) -> list[Doubles]:
        """Outlines (n, 2) of axial sections near the middle."""
        around = np.arange(360) * (2 * math.pi / 360)
        height = np.cos(np.linspace(0.02, math.pi - 0.02, 181))
        u = _directions(height[:, None], around[None, :])
        points = self.reach(u)[..., None] * u
        outlines = []
        for z in np.linspace(-0.6, 0.6, 41) * self.radius_mm:
            # where the surface, followed down along each meridian, passes z
            below = (points[..., 2] < z).argmax(axis=0)
            columns = np.arange(len(around))
            a, b = points[below - 1, columns], points[below, columns]
            t = (a[:, 2] - z) / (a[:, 2] - b[:, 2])
            outlines.append(a[:, :2] + t[:, None] * (b - a)[:, :2])
        return outlines


@lru_cache(maxsize=1)
def _sphere() -> tuple[Doubles, Doubles]:
    """Directions all around, and the solid angle for which each stands."""
    height, weight = np.polynomial.legendre.leggauss(96)
    around = np.arange(192) * (2 * math.pi / 192)
    u = _directions(height[:, None], around[None, :])
    return u, np.broadcast_to(weight[:, None] * (2 * math.pi / 192), u.shape[:2])


def _directions(height: npt.ArrayLike, around: npt.ArrayLike) -> Doubles:
    """Unit vectors (x, y, z) from their z and their angle about it."""
    height = np.asarray(height, dtype=np.float64)
    flat = np.sqrt(1 - height**2)
    x, y, z = np.broadcast_arrays(flat * np.cos(around), flat * np.sin(around), height)
    return np.asarray(np.stack([x, y, z], axis=-1))


def _chord(outline: Doubles, turn: float) -> float:
    """Longest chord of an outline at right angles to a direction."""
    along = outline @ np.array([math.cos(turn), math.sin(turn)])
    across = outline @ np.array([-math.sin(turn), math.cos(turn)])
    follow_along, follow_across = np.roll(along, -1), np.roll(across, -1)
    cuts = np.linspace(along.min(), along.max(), 203)[1:-1, None]
    crossed = (along <= cuts) != (follow_along <= cuts)
    step = np.where(crossed, follow_along - along, 1.0)
    at = across + (cuts - along) / step * (follow_across - across)
    high = np.where(crossed, at, -np.inf).max(axis=1)
    low = np.where(crossed, at, np.inf).min(axis=1)
    return float((high - low).max())
