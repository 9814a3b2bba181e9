"""Probability that a nodule is cancer, from what a radiologist can write down.

Every coefficient is the published one, and published examples are the tests.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import product
from typing import TypedDict

from hilum.clinical.facts import Facts
from hilum.errors import InputError
from hilum.findings import NoduleType, Probability, Record

BROCK_AGES_YEARS = (50.0, 75.0)
"""Ages at entry to the PanCan study: the range when the age is not known."""

BROCK_LARGEST_MM = 30.0
"""A mass, above which the model has not been shown to hold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BrockFactors(Record):
    """What the Brock model asks of one nodule and its patient.

    Attributes:
        age_years: Age.
        female: Sex is female.
        family_history: Lung cancer in the family.
        emphysema: Emphysema on CT.
        diameter_mm: Nodule size, > 0.
        type: Solid, part-solid or ground-glass.
        upper_lobe: The nodule lies in an upper lobe.
        count: Nodules on the scan, this one included.
        spiculated: The nodule is spiculated; None asks model 2a, which does
            without.
    """

    age_years: float
    female: bool
    family_history: bool
    emphysema: bool
    diameter_mm: float
    type: NoduleType
    upper_lobe: bool
    count: int
    spiculated: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Model:
    """Coefficients of one Brock model, as published."""

    intercept: float
    age: float
    female: float
    family_history: float
    emphysema: float
    size: float
    part_solid: float
    ground_glass: float
    upper_lobe: float
    count: float
    spiculated: float = 0.0

    def logit(self, f: BrockFactors) -> float:
        """Sum up the logit of the probability, in the order of the paper's table."""
        x: float = (
            self.intercept
            + self.age * (f.age_years - 62)
            + self.female * f.female
            + self.family_history * f.family_history
            + self.emphysema * f.emphysema
            + self.size * ((f.diameter_mm / 10) ** -0.5 - 1.58113883)
            + self.part_solid * (f.type == "part-solid")
            + self.ground_glass * (f.type == "ground-glass")
            + self.upper_lobe * f.upper_lobe
            + self.count * (f.count - 4)
            + self.spiculated * bool(f.spiculated)
        )
        return x


_MODEL_2A = _Model(
    intercept=-6.8071,
    age=0.0321,
    female=0.5635,
    family_history=0.3013,
    emphysema=0.3462,
    size=-5.6693,
    part_solid=0.3395,
    ground_glass=-0.3005,
    upper_lobe=0.7116,
    count=-0.0803,
)
_MODEL_2B = _Model(
    intercept=-6.7892,
    age=0.0287,
    female=0.6011,
    family_history=0.2961,
    emphysema=0.2953,
    size=-5.3854,
    part_solid=0.3770,
    ground_glass=-0.1276,
    upper_lobe=0.6581,
    count=-0.0824,
    spiculated=0.7729,
)


def brock(factors: BrockFactors) -> float:
    """Estimate the probability that a screening nodule is cancer (PanCan).

    p = 1 / (1 + exp(-x)); the size enters as (d / 10 mm)^-0.5 - 1.58113883, the
    age as age - 62, the count as count - 4. Full model 2b when spiculation is
    known, 2a when it is not.

    Args:
        factors: The nodule and its patient. Built on nodules of people of 50 to
            75 years who smoked; not on masses above 30 mm.

    Returns:
        Probability in [0, 1].

    Raises:
        InputError: The age is not finite, the size is not > 0, the count is below
            1, or the nodule is calcified: those were outside the study.

    Source:
        McWilliams et al., NEJM 2013;369:910, models 2a and 2b.

    Example:
        >>> round(brock(BrockFactors(age_years=62, female=False,
        ...     family_history=False, emphysema=False, diameter_mm=8, type="solid",
        ...     upper_lobe=False, count=1)), 5)
        0.01906
    """
    _check(factors)
    model = _MODEL_2A if factors.spiculated is None else _MODEL_2B
    return _sigmoid(model.logit(factors))


def brock_range(
    facts: Facts,
    *,
    diameter_mm: float,
    type: NoduleType,
    count: int,
    upper_lobe: bool | None = None,
) -> Probability:
    """Give Brock 2a over everything that the missing facts could be.

    Args:
        facts: The patient. An unknown age ranges over 50 to 75 years, every
            other unknown over yes and no.
        diameter_mm: Nodule size, > 0.
        type: Solid, part-solid or ground-glass.
        count: Nodules on the scan, this one included.
        upper_lobe: None when the lobe is not known.

    Returns:
        Lowest and highest probability, and as value the middle on the logit
        scale, where the model is linear. One and the same when nothing is missing.

    Raises:
        InputError: As `brock`.
    """
    risks = [
        brock(
            BrockFactors(
                **patient, diameter_mm=diameter_mm, type=type, upper_lobe=u, count=count
            )
        )
        for patient in _patients(facts)
        for u in _options(upper_lobe)
    ]
    low, high = min(risks), max(risks)
    middle = (_logit(low) + _logit(high)) / 2
    return Probability(low=low, value=min(max(_sigmoid(middle), low), high), high=high)


def _check(factors: BrockFactors) -> None:
    """Refuse what was outside the study."""
    if not math.isfinite(factors.age_years):
        raise InputError(f"Age must be a number of years; got {factors.age_years}.")
    if not (math.isfinite(factors.diameter_mm) and factors.diameter_mm > 0):
        raise InputError(f"Nodule size must be > 0 mm; got {factors.diameter_mm}.")
    if factors.count < 1:
        raise InputError(
            f"Nodule count must be at least 1; got {factors.count}. "
            "It counts the nodule itself."
        )
    if factors.type not in ("solid", "part-solid", "ground-glass"):
        raise InputError(
            f"Brock knows solid, part-solid and ground-glass; got {factors.type!r}. "
            "Calcified nodules were outside the study."
        )


class _Patient(TypedDict):
    """What of the factors belongs to the patient."""

    age_years: float
    female: bool
    family_history: bool
    emphysema: bool


def _patients(facts: Facts) -> list[_Patient]:
    """List every patient whom the facts may mean."""
    ages = BROCK_AGES_YEARS if facts.age_years is None else (facts.age_years,)
    sexes = (True, False) if facts.sex is None else (facts.sex == "female",)
    histories, emphysemas = _options(facts.family_history), _options(facts.emphysema)
    return [
        _Patient(age_years=a, female=s, family_history=h, emphysema=e)
        for a, s, h, e in product(ages, sexes, histories, emphysemas)
    ]


def _sigmoid(x: float) -> float:
    """Give 1 / (1 + exp(-x)), never below 1e-304, where exp would overflow."""
    return 1 / (1 + math.exp(min(-x, 700)))


def _options(fact: bool | None) -> tuple[bool, ...]:
    return (True, False) if fact is None else (fact,)


def _logit(p: float) -> float:
    return math.log(p / (1 - p))
