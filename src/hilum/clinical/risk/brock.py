"""The Brock (PanCan) model: is a nodule found in screening cancer?"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import product
from typing import Literal, TypedDict, get_args

from hilum.clinical.facts import Facts
from hilum.clinical.population import PANCAN_AGES_YEARS, brock_doubts
from hilum.clinical.risk.estimate import (
    RiskEstimate,
    Term,
    middle_of,
    options,
    probability_of,
    say_sum,
    untold,
)
from hilum.clinical.rounding import check_size
from hilum.errors import InputError
from hilum.findings import NoduleType, Probability, Record

BROCK_AGES_YEARS = PANCAN_AGES_YEARS
"""Ages at entry to the PanCan study: the range when the age is not known."""

BROCK_FACTS = ("age_years", "sex", "family_history", "emphysema")
"""What of the facts the model asks for."""

BROCK_COUNTS = (1, 10)
"""Nodules on a scan: the range when their number is not known."""

BROCK_MOST = 1000
"""More nodules than this were not counted one by one."""

BROCK_LARGEST_MM = 30.0
"""A mass, above which the model has not been shown to hold."""

SIZE_AT_4_MM = 1.58113883
"""(4 mm / 10 mm)^-0.5, which the paper centres the size at."""

_Kind = Literal["solid", "part-solid", "ground-glass"]

_PAPER = "McWilliams et al., NEJM 2013;369:910"
BROCK_POPULATION = (
    "nodules found by screening in people of 50 to 75 years who smoked (PanCan), none "
    "above 30 mm"
)


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

    def terms(self, f: BrockFactors) -> tuple[Term, ...]:
        """List what adds up to the logit, in the order of the paper's table."""
        size = (f.diameter_mm / 10) ** -0.5 - SIZE_AT_4_MM
        return (
            Term("intercept", self.intercept),
            Term(f"age {f.age_years:g}", self.age * (f.age_years - 62)),
            Term("female", self.female * f.female),
            Term("family history", self.family_history * f.family_history),
            Term("emphysema", self.emphysema * f.emphysema),
            Term(f"{f.diameter_mm:g} mm", self.size * size),
            Term("part-solid", self.part_solid * (f.type == "part-solid")),
            Term("ground glass", self.ground_glass * (f.type == "ground-glass")),
            Term("upper lobe", self.upper_lobe * f.upper_lobe),
            Term(f"count {f.count}", self.count * (f.count - 4)),
            Term("spiculation", self.spiculated * bool(f.spiculated)),
        )


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
        InputError: The age is not finite, the size is not > 0, the count is below 1
            or none, or the nodule is calcified: those were outside the study.

    Source:
        McWilliams et al., NEJM 2013;369:910, models 2a and 2b.

    Example:
        >>> round(brock(BrockFactors(age_years=62, female=False,
        ...     family_history=False, emphysema=False, diameter_mm=8, type="solid",
        ...     upper_lobe=False, count=1)), 5)
        0.01906
    """
    return probability_of(_terms(factors))


def estimate_brock(
    facts: Facts,
    *,
    diameter_mm: float,
    type: NoduleType | None = None,
    count: int | None = None,
    upper_lobe: bool | None = None,
    spiculation: bool | None = None,
) -> RiskEstimate:
    """Say what model 2b gives, from what sum, and over all that was not told.

    Args:
        facts: The patient. Age and sex have no default: without them there is a
            range and no probability.
        diameter_mm: Nodule size, above 0 to 30 mm.
        type: Solid, part-solid or ground-glass; None: not told, solid is the value.
        count: Nodules on the scan, this one included; None: not told, 1 is the value
            and `BROCK_COUNTS` the range.
        upper_lobe: The nodule lies in an upper lobe; None: not told.
        spiculation: The nodule is spiculated; None: not told.

    Raises:
        InputError: As `brock`, and for a mass above 30 mm.
    """
    if diameter_mm > BROCK_LARGEST_MM:
        raise InputError(
            f"The Brock model holds for nodules up to {BROCK_LARGEST_MM:g} mm; got "
            f"{diameter_mm:g} mm. A mass is more suspicious than the model can say."
        )
    possible = [
        BrockFactors(
            **patient,
            diameter_mm=diameter_mm,
            type=kind,
            upper_lobe=upper,
            count=number,
            spiculated=spiculated,
        )
        for patient in _patients(facts)
        for kind in (get_args(_Kind) if type is None else (type,))
        for number in (BROCK_COUNTS if count is None else (count,))
        for upper in options(upper_lobe)
        for spiculated in options(spiculation)
    ]
    # `options` puts no before yes, so the first is the one of all that was not told
    first, risks = possible[0], [brock(f) for f in possible]
    told = facts.age_years is not None and facts.sex is not None
    return RiskEstimate(
        model=f"Brock (PanCan) 2b, {_PAPER}",
        probability=risks[0] if told else None,
        low=min(risks),
        high=max(risks),
        rule=say_sum(_terms(first)) if told else "age or sex is not known: a range",
        population=BROCK_POPULATION,
        missing=(
            *facts.missing_of(BROCK_FACTS),
            *untold(
                type=type, count=count, upper_lobe=upper_lobe, spiculation=spiculation
            ),
        ),
        doubts=brock_doubts(facts),
    )


def brock_range(
    facts: Facts,
    *,
    diameter_mm: float,
    type: NoduleType,
    count: int,
    upper_lobe: bool | None = None,
    fewest: int | None = None,
) -> Probability:
    """Give Brock 2a over everything that the missing facts could be.

    Args:
        facts: The patient. An unknown age ranges over 50 to 75 years, every
            other unknown over yes and no.
        diameter_mm: Nodule size, > 0.
        type: Solid, part-solid or ground-glass.
        count: Nodules on the scan, this one included.
        upper_lobe: None when the lobe is not known.
        fewest: Count if some of the others are no nodules; None: all are.

    Returns:
        Lowest and highest probability, and as value the middle on the logit
        scale, where the model is linear. One and the same when nothing is missing.

    Raises:
        InputError: As `brock`.
    """
    risks = [
        brock(
            BrockFactors(
                **patient, diameter_mm=diameter_mm, type=type, upper_lobe=u, count=n
            )
        )
        for patient in _patients(facts)
        for u in options(upper_lobe)
        for n in {count, count if fewest is None else min(fewest, count)}
    ]
    return middle_of(min(risks), max(risks))


def _terms(factors: BrockFactors) -> tuple[Term, ...]:
    """Check the factors, and list the terms of the model that they ask for."""
    _check(factors)
    model = _MODEL_2A if factors.spiculated is None else _MODEL_2B
    return model.terms(factors)


def _check(factors: BrockFactors) -> None:
    """Refuse what was outside the study."""
    if not math.isfinite(factors.age_years):
        raise InputError(f"Age must be a number of years; got {factors.age_years}.")
    check_size(factors.diameter_mm, "Nodule size", "mm")
    if factors.count < 1:
        raise InputError(
            f"Nodule count must be at least 1; got {factors.count}. "
            "It counts the nodule itself."
        )
    if factors.count > BROCK_MOST:
        raise InputError(
            f"Nodule count must be at most {BROCK_MOST}; got {factors.count}. Give the "
            "number of nodules on the scan."
        )
    if factors.type not in get_args(_Kind):
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
    sexes = (False, True) if facts.sex is None else (facts.sex == "female",)
    histories, emphysemas = options(facts.family_history), options(facts.emphysema)
    return [
        _Patient(age_years=a, female=s, family_history=h, emphysema=e)
        for a, s, h, e in product(ages, sexes, histories, emphysemas)
    ]
