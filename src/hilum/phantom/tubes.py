"""Everything thinner than the grid of the organs: chains of tapered tubes.

A tube is a round cone between two points, or a flat one when it has a flat
direction. Ribs, vessels, airways and spicules are all made of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Doubles = npt.NDArray[np.float64]

# Painted in this order; a later kind wins. "brightens": only where it is brighter.
KINDS: tuple[tuple[str, int, bool], ...] = (
    ("soft", 35, False),
    ("blood", 44, True),
    ("cartilage", 95, False),
    ("cortex", 560, False),
    ("marrow", 210, False),
    ("vessel", 44, True),
    ("wall", 10, True),
    ("lumen", -1000, False),
    ("spicule", 0, True),
)
KIND_NAMES = tuple(kind[0] for kind in KINDS)


@dataclass(frozen=True, slots=True, eq=False)
class Tubes:
    """Tubes of several kinds.

    Attributes:
        kind: (n,) index into `KINDS`.
        data: (n, 12) float64: start (x, y, z), end (x, y, z), radius at start
            and end, flat direction (x, y, z) and by how much it is flatter.
    """

    kind: npt.NDArray[np.int64]
    data: Doubles

    @classmethod
    def chain(
        cls,
        kind: str,
        points: npt.ArrayLike,
        radii: npt.ArrayLike,
        *,
        flat: npt.ArrayLike = (0.0, 0.0, 1.0),
        flatness: float = 1.0,
    ) -> Tubes:
        """Join points by tubes.

        Args:
            kind: Name of one of `KINDS`.
            points: (n, 3) points (x, y, z) in mm.
            radii: One radius in mm, or (n,).
            flat: Direction in which the tube is flat: (3,) or (n, 3).
            flatness: Radius divided by the radius along `flat`.
        """
        points = np.asarray(points, dtype=np.float64)
        radii = np.broadcast_to(np.asarray(radii, np.float64), len(points))
        flat = np.broadcast_to(np.asarray(flat, np.float64), points.shape)
        data = np.column_stack(
            [
                points[:-1],
                points[1:],
                radii[:-1],
                radii[1:],
                flat[:-1],
                np.full(len(points) - 1, flatness),
            ]
        )
        return cls(np.full(len(data), KIND_NAMES.index(kind)), data)

    @classmethod
    def join(cls, parts: Sequence[Tubes]) -> Tubes:
        """Put several sets of tubes into one."""
        if not parts:
            return cls(np.empty(0, np.int64), np.empty((0, 12)))
        kind = np.concatenate([p.kind for p in parts])
        return cls(kind, np.concatenate([p.data for p in parts]))

    def of(self, *names: str) -> Tubes:
        """Keep the tubes of some kinds."""
        keep = np.isin(self.kind, [KIND_NAMES.index(name) for name in names])
        return Tubes(self.kind[keep], self.data[keep])

    def stretched(self, scale: tuple[float, float, float]) -> Tubes:
        """Stretch the places along (z, y, x), not the radii."""
        data = self.data.copy()
        data[:, :6] *= np.tile(scale[::-1], 2)
        return Tubes(self.kind, data)

    def moved(self, offset_mm: tuple[float, float, float]) -> Tubes:
        """Shift all tubes by (x, y, z) mm."""
        data = self.data.copy()
        data[:, :6] += np.tile(offset_mm, 2)
        return Tubes(self.kind, data)


def curve(points: npt.ArrayLike, count: int) -> Doubles:
    """Draw a smooth curve through points.

    Args:
        points: (n, k) knots; the parameter is the length along the chords.
        count: Points of the curve.

    Returns:
        (count, k).
    """
    from scipy.interpolate import PchipInterpolator  # noqa: PLC0415  slow to import

    knots = np.asarray(points, dtype=np.float64)
    steps = np.linalg.norm(np.diff(knots[:, :3], axis=0), axis=1)
    along = np.concatenate([[0], np.cumsum(steps)])
    smooth = PchipInterpolator(along, knots, axis=0)
    return np.asarray(smooth(np.linspace(0, along[-1], count)))
