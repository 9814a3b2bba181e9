"""Where lesions go: in the lung, at the pleura or on a vessel of one person.

Places depend on the seed alone, never on spacing or dose, and every lesion draws
its own numbers, so that one more at the end moves none before it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from hilum.errors import InputError
from hilum.findings import NoduleType
from hilum.phantom.anatomy import Anatomy, build_anatomy
from hilum.phantom.bones import on_rib_cage
from hilum.phantom.lesions import Form, Lesion, Site, check_size, check_words
from hilum.phantom.person import Person
from hilum.phantom.tubes import Tubes
from hilum.phantom.vessels import lung_trees

Doubles = npt.NDArray[np.float64]

TRIES = 600
GAP_MM = 6.0
"""Least distance between the surfaces of two lesions."""
CLEAR_MM = 1.0
"""Least distance between a lesion in the lung and the pleura."""

DIP = 0.015
"""Share of its volume by which a lesion at the pleura dips into the wall."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A lesion that has no place yet; fields as in `Lesion`."""

    diameter_mm: float
    kind: NoduleType = "solid"
    form: Form = "round"
    solid_diameter_mm: float | None = None
    site: Site = "lung"

    def __post_init__(self) -> None:
        """Refuse what is not a nodule."""
        check_words(self.kind, self.form, self.site)
        check_size(self.diameter_mm, self.kind, self.solid_diameter_mm)

    def at(self, center_mm: Doubles, seed: int) -> Lesion:
        """Give the lesion at a place."""
        x, y, z = center_mm.tolist()
        return Lesion(
            center_mm=(x, y, z),
            diameter_mm=self.diameter_mm,
            kind=self.kind,
            form=self.form,
            solid_diameter_mm=self.solid_diameter_mm,
            site=self.site,
            seed=seed,
        )


@lru_cache(maxsize=8)
def default_lesions(seed: int) -> tuple[Lesion, ...]:
    """Place the lesions that a phantom has unless told otherwise.

    Args:
        seed: Of the person; it draws sizes and places.
    """
    rng = np.random.default_rng([seed, 20])
    size = rng.uniform(0.85, 1.2, 8)
    plans = [
        Plan(diameter_mm=15 * size[0], form="spiculated"),
        Plan(diameter_mm=6 * size[1]),
        Plan(diameter_mm=9 * size[2], form="lobulated", site="vessel"),
        Plan(diameter_mm=8 * size[3], form="lobulated", site="pleura"),
        Plan(diameter_mm=14 * size[4], kind="part-solid", form="lobulated"),
        Plan(diameter_mm=11 * size[5], kind="ground-glass", form="lobulated"),
        Plan(diameter_mm=5 * size[6], kind="calcified"),
        Plan(diameter_mm=4 * size[7]),
    ]
    return place_lesions(seed, plans)


def place_lesions(seed: int, plans: Sequence[Plan]) -> tuple[Lesion, ...]:
    """Find a place for each lesion in the lungs of one person.

    A lesion in the lung stays `CLEAR_MM` from the pleura and off the large
    vessels; one at the pleura dips into the wall by `DIP` of its volume; one on a
    vessel is pierced by a vessel of 2 to 5 mm. No two come nearer than `GAP_MM`.

    Args:
        seed: Of the person.
        plans: What to place, in this order.

    Raises:
        InputError: A lesion finds no room.
    """
    person = Person.from_seed(seed)
    anatomy, trees = build_anatomy(person), lung_trees(person)
    placed: list[Lesion] = []
    for index, plan in enumerate(plans):
        rng = np.random.default_rng([seed, 21, index])
        lesion = _find_place(anatomy, trees, plan, rng, placed)
        if lesion is None:
            raise InputError(
                f"No room for lesion {index + 1} of {len(plans)} "
                f"({plan.diameter_mm:.1f} mm, {plan.site}) in the person of seed "
                f"{seed}. Place it first, make it smaller, or take another seed."
            )
        placed.append(lesion)
    return tuple(placed)


def grow_lesions(
    seed: int, lesions: Sequence[Lesion], factor: float | Sequence[float]
) -> tuple[Lesion, ...]:
    """Give the same lesions at another time.

    Shape and density stay; a lesion that would outgrow the lung, or that touches
    the pleura, moves inwards as far as it must.

    Args:
        seed: Of the person.
        lesions: As they were.
        factor: By how much volumes grow (or shrink, below 1): one for all, or
            one for each. For a wanted diameter d: (d / diameter_mm) ** 3.

    Raises:
        InputError: The factors do not fit the lesions, or one is not > 0.
    """
    factors = [factor] * len(lesions) if isinstance(factor, int | float) else factor
    if len(factors) != len(lesions) or not all(f > 0 for f in factors):
        raise InputError(
            f"{len(lesions)} lesions cannot grow by the factors {factor}; "
            "give one > 0 for all, or one for each."
        )
    anatomy = build_anatomy(Person.from_seed(seed))
    grown = []
    for lesion, by in zip(lesions, factors, strict=True):
        scale = float(by) ** (1 / 3)
        core = lesion.solid_diameter_mm
        new = replace(
            lesion,
            diameter_mm=lesion.diameter_mm * scale,
            solid_diameter_mm=None if core is None else core * scale,
        )
        grown.append(_seated(anatomy, new))
    return tuple(grown)


def _find_place(
    anatomy: Anatomy,
    trees: Tubes,
    plan: Plan,
    rng: np.random.Generator,
    others: Sequence[Lesion],
) -> Lesion | None:
    seed = int(rng.integers(2**31))
    if plan.site == "pleura":
        centers = _at_wall(anatomy, plan, rng)
    elif plan.site == "vessel":
        centers = _at_vessels(trees, plan, rng)
    else:
        span = np.array([130.0, 105.0, 140.0])
        centers = rng.uniform(-span, span, (20 * TRIES, 3))
        deep = anatomy.at("lung", centers) < -0.5 * plan.diameter_mm - CLEAR_MM
        centers = centers[deep][:TRIES]
    thick = trees.of("blood", "vessel", "lumen")
    for center in centers:
        if _crowded(center, plan.diameter_mm, others):
            continue
        lesion = plan.at(center, seed)
        if plan.site == "pleura":
            lesion = _seated(anatomy, lesion)
        if plan.site != "vessel" and _on_thick_vessel(thick, lesion):
            continue
        if not _crowded(
            np.array(lesion.center_mm), lesion.diameter_mm, others
        ) and _fits(anatomy, lesion):
            return lesion
    return None


def _at_wall(anatomy: Anatomy, plan: Plan, rng: np.random.Generator) -> Doubles:
    """Points a radius inside of the ribs."""
    angles = np.deg2rad(rng.uniform(20, 150, TRIES)) * rng.choice([-1, 1], TRIES)
    heights = rng.uniform(-95, 95, TRIES) * anatomy.person.scale[0]
    wall = on_rib_cage(anatomy, angles, heights, 0.0)
    inward = -anatomy.normal("cavity", wall)
    return np.asarray(wall + inward * plan.diameter_mm / 2)


def _at_vessels(trees: Tubes, plan: Plan, rng: np.random.Generator) -> Doubles:
    """Points beside vessels, so near that the vessel pierces the lesion."""
    tubes = trees.of("vessel").data
    radius = tubes[:, 6:8].mean(axis=1)
    tubes = tubes[(radius > 1.0) & (radius < 2.5)]
    tubes = tubes[rng.permutation(len(tubes))[:TRIES]]
    along = tubes[:, 3:6] - tubes[:, :3]
    side = np.cross(along, rng.standard_normal(along.shape))
    side /= np.linalg.norm(side, axis=1, keepdims=True)
    middle = (tubes[:, :3] + tubes[:, 3:6]) / 2
    return np.asarray(middle + side * (0.35 * plan.diameter_mm))


def _seated(anatomy: Anatomy, lesion: Lesion) -> Lesion:
    """Move a lesion along the normal of the wall to where it belongs.

    One at the pleura comes to touch it; another is only moved when it would
    leave the lung.
    """
    pleural = lesion.site == "pleura"
    field = "cavity" if pleural else "lung"
    center = np.array(lesion.center_mm)
    inward = -anatomy.normal(field, center)
    body = _Sample.of(lesion)

    def too_far(step_mm: float) -> bool:
        at = center + step_mm * inward
        if pleural:
            return body.beyond(anatomy, field, at) > DIP
        return body.nearest(anatomy, at) > -0.5 * CLEAR_MM

    if not pleural and not too_far(0.0):
        return lesion
    low, high = -lesion.diameter_mm, lesion.diameter_mm
    for _ in range(24):
        middle = (low + high) / 2
        low, high = (middle, high) if too_far(middle) else (low, middle)
    x, y, z = (center + high * inward).tolist()
    return replace(lesion, center_mm=(x, y, z))


def _fits(anatomy: Anatomy, lesion: Lesion) -> bool:
    center = np.array(lesion.center_mm)
    body = _Sample.of(lesion)
    if lesion.site == "pleura":
        return body.beyond(anatomy, "lung", center) < 1.3 * DIP
    return body.nearest(anatomy, center) < -CLEAR_MM


@dataclass(frozen=True, slots=True, eq=False)
class _Sample:
    """Points of a lesion's body, seen from its centre: cones cut into shells.

    Attributes:
        surface: (n, 3) points spread over the surface.
        inside: (n, shells, 3) points, each for an equal share of its cone.
        share: (n, 1) share of the volume for which each point stands.
    """

    surface: Doubles
    inside: Doubles
    share: Doubles

    @classmethod
    def of(cls, lesion: Lesion) -> _Sample:
        shape = lesion.shape()
        surface = shape.surface(400)
        rays = surface - shape.origin_mm
        shells = ((np.arange(16) + 0.5) / 16) ** (1 / 3)
        inside = rays[:, None] * shells[:, None] + shape.origin_mm
        volume = np.linalg.norm(rays, axis=1, keepdims=True) ** 3
        return cls(surface, inside, volume / volume.sum() / len(shells))

    def beyond(self, anatomy: Anatomy, field: str, center: Doubles) -> float:
        """Share of the volume outside of an organ."""
        outside = anatomy.at(field, center + self.inside) > 0
        return float((outside * self.share).sum())

    def nearest(self, anatomy: Anatomy, center: Doubles) -> float:
        """How far the surface gets towards, or beyond, the pleura."""
        return float(anatomy.at("lung", center + self.surface).max())


def _crowded(center: Doubles, diameter_mm: float, others: Sequence[Lesion]) -> bool:
    return any(
        np.linalg.norm(center - other.center_mm)
        < (diameter_mm + other.diameter_mm) / 2 + GAP_MM
        for other in others
    )


def _on_thick_vessel(tubes: Tubes, lesion: Lesion) -> bool:
    """Whether a vessel or airway runs into it that is not small beside it."""
    data = tubes.data
    radius = data[:, 6:8].max(axis=1)
    data = data[radius > max(1.2, 0.12 * lesion.diameter_mm)]
    start, along = data[:, :3], data[:, 3:6] - data[:, :3]
    to = lesion.center_mm - start
    share = (to * along).sum(1) / np.maximum((along**2).sum(1), 1e-9)
    nearest = start + np.clip(share, 0, 1)[:, None] * along
    gap = np.linalg.norm(nearest - lesion.center_mm, axis=1) - data[:, 6:8].max(1)
    return bool((gap < lesion.diameter_mm / 2).any())
