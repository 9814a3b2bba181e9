"""Probability that a nodule is cancer, from what a radiologist can write down.

Every coefficient is the published one, and published examples are the tests.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import product

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
        InputError: The size is not > 0, the count is below 1, or the nodule is
            calcified: those were outside the study.

    Source:
        McWilliams et al., NEJM 2013;369:910, models 2a and 2b.

    Example:
        >>> round(brock(BrockFactors(age_years=62, female=False,
        ...     family_history=False, emphysema=False, diameter_mm=8, type="solid",
        ...     upper_lobe=False, count=1)), 5)
        0.01906
    """
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
    size = (factors.diameter_mm / 10) ** -0.5 - 1.58113883
    part, glass = factors.type == "part-solid", factors.type == "ground-glass"
    if factors.spiculated is None:
        x = (
            -6.8071
            + 0.0321 * (factors.age_years - 62)
            + 0.5635 * factors.female
            + 0.3013 * factors.family_history
            + 0.3462 * factors.emphysema
            - 5.6693 * size
            + 0.3395 * part
            - 0.3005 * glass
            + 0.7116 * factors.upper_lobe
            - 0.0803 * (factors.count - 4)
        )
    else:
        x = (
            -6.7892
            + 0.0287 * (factors.age_years - 62)
            + 0.6011 * factors.female
            + 0.2961 * factors.family_history
            + 0.2953 * factors.emphysema
            - 5.3854 * size
            + 0.3770 * part
            - 0.1276 * glass
            + 0.6581 * factors.upper_lobe
            - 0.0824 * (factors.count - 4)
            + 0.7729 * factors.spiculated
        )
    return 1 / (1 + math.exp(-x))


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
    ages = BROCK_AGES_YEARS if facts.age_years is None else (facts.age_years,)
    sexes = (True, False) if facts.sex is None else (facts.sex == "female",)
    options = product(
        ages,
        sexes,
        _options(facts.family_history),
        _options(facts.emphysema),
        _options(upper_lobe),
    )
    risks = [
        brock(
            BrockFactors(
                age_years=age,
                female=female,
                family_history=family,
                emphysema=emphysema,
                diameter_mm=diameter_mm,
                type=type,
                upper_lobe=upper,
                count=count,
            )
        )
        for age, female, family, emphysema, upper in options
    ]
    low, high = min(risks), max(risks)
    middle = (_logit(low) + _logit(high)) / 2
    value = min(max(1 / (1 + math.exp(-middle)), low), high)
    return Probability(low=low, value=value, high=high)


def _options(fact: bool | None) -> tuple[bool, ...]:
    return (True, False) if fact is None else (fact,)


def _logit(p: float) -> float:
    return math.log(p / (1 - p))
