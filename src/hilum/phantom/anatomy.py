"""The chest without its thin parts: organs as smooth fields on a coarse grid.

A field is negative inside an organ, positive outside, and grows about 1 per mm.
It is drawn for a standard adult, in a frame whose origin lies in the middle of
the chest (x left, y back, z head, mm), every 3 mm; interpolated in between it
gives borders far finer than that. What is thinner than the grid (ribs, vessels,
airways) is not here but a tube, in `bones` and `vessels`.

Layers are painted one over the other, in order, so that a later one wins.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from hilum._threads import in_threads
from hilum.phantom.person import Person

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]

STEP_MM = 3.0
START_MM = (-213.0, -153.0, -213.0)
COUNT = (143, 119, 143)

FIELDS = (
    "body",
    "muscle",
    "cavity",
    "liver",
    "spleen",
    "stomach",
    "gas",
    "heart",
    "spine",
    "lung",
    "couch",
)

LUNG_HU = -10000
"""Stands in `LAYERS` for the lung, whose density is a texture, not a number."""

LAYERS = (
    ("body", 0.0, 20),  # skin
    ("body", -1.8, -105),  # fat under it
    ("muscle", 0.0, 55),
    ("cavity", 0.0, -90),  # fat of the mediastinum and the abdomen
    ("liver", 0.0, 60),
    ("spleen", 0.0, 50),
    ("stomach", 0.0, 40),
    ("gas", 0.0, -960),
    ("heart", 0.0, 42),
    ("spine", 0.0, 430),  # cortex
    ("spine", -1.7, 165),  # marrow
    ("lung", 0.0, LUNG_HU),
    ("couch", 0.0, -200),  # shell
    ("couch", -1.6, -930),  # foam
)


@dataclass(frozen=True, slots=True, eq=False)
class Anatomy:
    """The organs of one person as fields.

    Attributes:
        person: Whose.
        fields: (field, z, y, x) float32 in the order of `FIELDS`.
    """

    person: Person
    fields: Floats

    @property
    def start_mm(self) -> Doubles:
        """First node (z, y, x) in this person's mm."""
        return np.array(START_MM) * self.person.scale

    @property
    def step_mm(self) -> Doubles:
        """Distance of nodes along (z, y, x) in this person's mm."""
        return STEP_MM * np.array(self.person.scale)

    def at(self, field: str, points: npt.ArrayLike) -> Doubles:
        """Interpolate a field.

        Args:
            field: One of `FIELDS`.
            points: (..., 3) points (x, y, z) in this person's mm.

        Returns:
            (...) about mm outside (> 0) or inside (< 0) the organ.
        """
        from scipy.ndimage import map_coordinates  # noqa: PLC0415  slow to import

        zyx = np.asarray(points, dtype=np.float64)[..., ::-1]
        index = ((zyx - self.start_mm) / self.step_mm).reshape(-1, 3).T
        grid = self.fields[FIELDS.index(field)]
        flat = map_coordinates(grid, index, np.float64, order=1, mode="nearest")
        return np.asarray(flat.reshape(zyx.shape[:-1]))

    def normal(self, field: str, points: npt.ArrayLike) -> Doubles:
        """Give the unit direction (x, y, z) in which a field grows.

        Args:
            field: One of `FIELDS`.
            points: (..., 3) points (x, y, z) in this person's mm.
        """
        points = np.asarray(points, dtype=np.float64)
        slopes = [
            self.at(field, points + step) - self.at(field, points - step)
            for step in 2.0 * np.eye(3)
        ]
        out = np.stack(slopes, axis=-1)
        length = np.linalg.norm(out, axis=-1, keepdims=True)
        return np.asarray(out / np.maximum(length, 1e-9))


@lru_cache(maxsize=1)
def build_anatomy(person: Person) -> Anatomy:
    """Draw the organs of a person; the last one drawn is remembered.

    Args:
        person: Whose.
    """
    from hilum.phantom.mediastinum import envelope  # noqa: PLC0415  needs numba
    from hilum.phantom.organs import draw_organs  # noqa: PLC0415  with the above

    fields = np.empty((len(FIELDS), *COUNT), np.float32)
    warp = _warp(person)
    middle = envelope(person, COUNT, START_MM, STEP_MM)
    axes = [
        (a + STEP_MM * np.arange(n)).astype(np.float32)
        for a, n in zip(START_MM, COUNT, strict=True)
    ]

    def part(first: int, last: int) -> None:
        for z in range(first, last, 4):
            some = slice(z, min(z + 4, last))
            height, back, left = np.meshgrid(
                axes[0][some], axes[1], axes[2], indexing="ij", sparse=True
            )
            nodes = (height, back + warp[1, some], left + warp[2, some])
            organs = draw_organs(person, nodes, middle[some], warp[0, some], back)
            for index, name in enumerate(FIELDS):
                fields[index, some] = organs[name]

    in_threads(part, COUNT[0])
    fields.setflags(write=False)
    return Anatomy(person, fields)


def _warp(person: Person) -> Floats:
    """Smooth random shifts (3, z, y, x), so that no border is a textbook curve."""
    rng = np.random.default_rng([person.seed, 2])
    knots = [n // 12 + 4 for n in COUNT]
    shifts = rng.standard_normal((3, *knots)).astype(np.float32)
    for axis, (many, few) in enumerate(zip(COUNT, knots, strict=True)):
        place = np.linspace(0, few - 1, many)[:, None] - np.arange(few)
        weight = np.exp(-(place**2) / 0.72).astype(np.float32)
        weight /= weight.sum(axis=1, keepdims=True)
        shifts = np.moveaxis(np.tensordot(weight, shifts, (1, axis + 1)), 0, axis + 1)
    return np.ascontiguousarray(shifts * (person.warp_mm * 0.85))
