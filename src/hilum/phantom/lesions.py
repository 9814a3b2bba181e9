"""Nodules to be placed in a phantom, and the truth about them.

Source of the densities:
    Solid about 30 HU, ground glass -700 to -500 HU, calcified above 200 HU:
    Bankier et al., "Recommendations for measuring pulmonary nodules at CT: a
    statement from the Fleischner Society", Radiology 285:584, 2017.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from hilum.errors import InputError
from hilum.findings import NoduleType, Point, Record
from hilum.phantom.shapes import Shape
from hilum.phantom.tubes import Tubes

Form = Literal["round", "lobulated", "spiculated"]
Site = Literal["lung", "pleura", "vessel"]

_NO_BUMPS = np.empty((0, 5))


@dataclass(frozen=True, slots=True, kw_only=True)
class Lesion(Record):
    """One nodule of a person, as it is before any scanner looks at it.

    Attributes:
        center_mm: Centre of mass (x, y, z) in the person, which is the world of
            a scan whose `shift_mm` is 0.
        diameter_mm: Diameter of the sphere of equal volume.
        kind: Solid, part-solid, ground-glass or calcified.
        form: Round, lobulated, or lobulated with spicules. Spicules are drawn
            beyond the body, and are not part of its volume or diameters.
        solid_diameter_mm: Of the round solid core of a part-solid nodule; None
            for half its diameter. Other kinds have none.
        site: In the lung, touching the pleura, or on a vessel.
        seed: Draws bumps, spicules and density; kept when a lesion grows.

    Raises:
        InputError: A diameter is out of range or does not fit the kind, or the
            kind, form or site does not exist.
    """

    center_mm: Point
    diameter_mm: float
    kind: NoduleType = "solid"
    form: Form = "round"
    solid_diameter_mm: float | None = None
    site: Site = "lung"
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what is not a nodule; give a part-solid one its core."""
        check_words(self.kind, self.form, self.site)
        check_size(self.diameter_mm, self.kind, self.solid_diameter_mm)
        if not all(math.isfinite(c) for c in self.center_mm):
            raise InputError(
                f"A lesion needs a finite centre (x, y, z) in mm; got {self.center_mm}."
            )
        if self.kind == "part-solid" and self.solid_diameter_mm is None:
            object.__setattr__(self, "solid_diameter_mm", self.diameter_mm / 2)

    @property
    def volume_mm3(self) -> float:
        """Volume of the body."""
        return math.pi / 6 * self.diameter_mm**3

    def shape(self) -> Shape:
        """Give the outline of the body."""
        rng = np.random.default_rng([self.seed, 11])
        if self.form == "round":
            return Shape.of_volume(self.volume_mm3, _NO_BUMPS)
        smooth = self.form == "lobulated"
        count = 7 if smooth else 14
        directions = rng.standard_normal((count, 3))
        directions /= np.linalg.norm(directions, axis=1, keepdims=True)
        low, high = (0.15, 0.45) if smooth else (0.1, 0.32)
        narrow = rng.uniform(3, 8 if smooth else 14, count)
        bumps = np.column_stack([directions, rng.uniform(low, high, count), narrow])
        return Shape.of_volume(self.volume_mm3, bumps)

    def spicules(self) -> Tubes:
        """Give the spicules as tubes, none unless spiculated."""
        if self.form != "spiculated":
            return Tubes.join([])
        rng = np.random.default_rng([self.seed, 12])
        shape = self.shape()
        feet = shape.surface(26) * 0.92
        ways = feet / np.linalg.norm(feet, axis=1, keepdims=True)
        ways += rng.normal(0, 0.25, ways.shape)
        lengths = self.diameter_mm * rng.uniform(0.2, 0.5, len(feet)) + 1.5
        chains = []
        for foot, way, length in zip(feet, ways, lengths, strict=True):
            bend = rng.normal(0, 0.12, 3) * length
            path = [foot, foot + 0.5 * length * way + bend, foot + length * way]
            points = np.array(path) + self.center_mm
            chains.append(Tubes.chain("spicule", points, [1.2, 0.75, 0.3]))
        return Tubes.join(chains)

    def bodies(self) -> tuple[Body, ...]:
        """Give what is painted for this lesion, the outermost first."""
        rng = np.random.default_rng([self.seed, 13])
        jitter = float(rng.uniform(-1, 1))
        shape = self.shape()
        if self.kind == "solid":
            return (Body(shape, self.center_mm, 32 + 8 * jitter, 0.0),)
        if self.kind == "calcified":
            core = _sphere(0.55 * self.diameter_mm)
            return (
                Body(shape, self.center_mm, 240 + 40 * jitter, 0.0),
                Body(core, self.center_mm, 560 + 60 * jitter, 0.0),
            )
        glass = Body(shape, self.center_mm, -610 + 50 * jitter, 1.5)
        if self.kind == "ground-glass" or self.solid_diameter_mm is None:
            return (glass,)
        core = _sphere(self.solid_diameter_mm)
        return glass, Body(core, self.center_mm, 15 + 10 * jitter, 0.5)

    def truth(self, shift_mm: Point = (0.0, 0.0, 0.0)) -> Truth:
        """Say exactly what a perfect reader would measure.

        Args:
            shift_mm: Of the person in the scan.
        """
        long_mm, short_mm = self.shape().axes_mm()
        solid = {"part-solid": self.solid_diameter_mm or 0.0, "ground-glass": 0.0}
        x, y, z = (c + s for c, s in zip(self.center_mm, shift_mm, strict=True))
        return Truth(
            center_mm=(x, y, z),
            diameter_mm=self.diameter_mm,
            long_axis_mm=long_mm,
            short_axis_mm=short_mm,
            volume_mm3=self.volume_mm3,
            type=self.kind,
            solid_diameter_mm=solid.get(self.kind, (long_mm + short_mm) / 2),
            form=self.form,
            site=self.site,
        )


@dataclass(frozen=True, slots=True, eq=False)
class Body:
    """A shape of one density, to be painted.

    Attributes:
        shape: Its outline.
        center_mm: Centre of mass (x, y, z).
        hu: Density.
        margin_mm: Width over which the density fades across the outline.
    """

    shape: Shape
    center_mm: Point
    hu: float
    margin_mm: float

    def packed(self, shift_mm: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Give origin (x, y, z), R, HU and margin for the kernel."""
        origin = np.add(self.center_mm, self.shape.origin_mm) + np.asarray(shift_mm)
        return np.array([*origin, self.shape.radius_mm, self.hu, self.margin_mm])


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth(Record):
    """What is exactly known of one lesion in a scan.

    Attributes:
        center_mm: World point (x, y, z), centre of mass.
        diameter_mm: Diameter of the sphere of equal volume.
        long_axis_mm: Longest diameter of any axial section.
        short_axis_mm: Longest chord at right angles to it in that section.
        volume_mm3: Volume, spicules left out.
        type: Solid, part-solid, ground-glass or calcified.
        solid_diameter_mm: Of the solid core; mean of the axes when all of it is
            solid, 0 for ground glass.
        form: Round, lobulated or spiculated.
        site: In the lung, touching the pleura, or on a vessel.
    """

    center_mm: Point
    diameter_mm: float
    long_axis_mm: float
    short_axis_mm: float
    volume_mm3: float
    type: NoduleType
    solid_diameter_mm: float
    form: Form
    site: Site


def check_words(kind: str, form: str, site: str) -> None:
    """Refuse a kind, form or site that does not exist.

    Raises:
        InputError: As above.
    """
    for name, value, known in (
        ("kind", kind, get_args(NoduleType)),
        ("form", form, get_args(Form)),
        ("site", site, get_args(Site)),
    ):
        if value not in known:
            raise InputError(
                f"A lesion cannot have the {name} {value!r}; "
                f"choose one of {', '.join(known)}."
            )


def check_size(
    diameter_mm: float, kind: NoduleType, solid_diameter_mm: float | None
) -> None:
    """Refuse diameters that no nodule of this kind has.

    Raises:
        InputError: As above.
    """
    if not 1 <= diameter_mm <= 80:
        raise InputError(
            f"A lesion of {diameter_mm} mm cannot be placed; "
            "give a diameter from 1 to 80 mm."
        )
    if solid_diameter_mm is None:
        return
    if kind != "part-solid" or not 0 < solid_diameter_mm < diameter_mm:
        raise InputError(
            f"A {kind} lesion of {diameter_mm} mm cannot have a solid core of "
            f"{solid_diameter_mm} mm; only a part-solid one has a core, smaller "
            "than itself."
        )


def _sphere(diameter_mm: float) -> Shape:
    return Shape.of_volume(math.pi / 6 * diameter_mm**3, _NO_BUMPS)
