"""The Mayo model of a nodule found by chance, and Herder's, which adds PET."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import product
from typing import Literal, get_args

from hilum.clinical.facts import Facts
from hilum.clinical.risk.estimate import (
    RiskEstimate,
    Term,
    options,
    probability_of,
    say_sum,
    untold,
)
from hilum.errors import InputError
from hilum.findings import Record

Uptake = Literal["none", "faint", "moderate", "intense"]

MAYO_SIZES_MM = (4.0, 30.0)
"""Sizes of the nodules that the model was built on."""

MAYO_AGES_YEARS = (35.0, 90.0)
"""The range when the age is not known; the paper gives no limits."""

MAYO_FACTS = ("age_years", "smoker", "extrathoracic_cancer")
"""What of the facts the model asks for."""

_UPTAKE = {"none": 0.0, "faint": 2.322, "moderate": 4.617, "intense": 4.771}
_MAYO_POPULATION = (
    "nodules of 4 to 30 mm found by chance on radiographs, in patients without a known "
    "lung cancer and without any cancer within 5 years"
)
_HERDER_POPULATION = "nodules found by chance and sent to FDG-PET"


@dataclass(frozen=True, slots=True, kw_only=True)
class MayoFactors(Record):
    """What the Mayo model asks of one nodule and its patient.

    Attributes:
        age_years: Age.
        ever_smoker: Smokes or smoked.
        extrathoracic_cancer: A cancer outside the chest, more than 5 years ago.
        diameter_mm: Nodule size, 4 to 30 mm.
        spiculated: The nodule is spiculated.
        upper_lobe: The nodule lies in an upper lobe.
    """

    age_years: float
    ever_smoker: bool
    extrathoracic_cancer: bool
    diameter_mm: float
    spiculated: bool
    upper_lobe: bool


def mayo(factors: MayoFactors) -> float:
    """Estimate the probability that a nodule found by chance is cancer.

    p = 1 / (1 + exp(-x)), x = -6.8272 + 0.0391 age + 0.7917 smoker + 1.3388
    extrathoracic cancer + 0.1274 mm + 1.0407 spiculation + 0.7838 upper lobe.

    Args:
        factors: The nodule and its patient.

    Raises:
        InputError: The age is not finite, or the size lies outside 4 to 30 mm.

    Source:
        Swensen et al., Arch Intern Med 1997;157:849. (-6.872 and -6.8238, which
        some copies have as intercept, are errors.)

    Example:
        >>> round(mayo(MayoFactors(age_years=50, ever_smoker=False,
        ...     extrathoracic_cancer=False, diameter_mm=8, spiculated=False,
        ...     upper_lobe=False)), 5)
        0.02078
    """
    return probability_of(_terms(factors))


def estimate_mayo(
    facts: Facts,
    *,
    diameter_mm: float,
    upper_lobe: bool | None = None,
    spiculation: bool | None = None,
) -> RiskEstimate:
    """Say what the Mayo model gives, from what sum, and over all that was not told.

    Args:
        facts: The patient. Age has no default: without it there is a range alone.
        diameter_mm: Nodule size, 4 to 30 mm.
        upper_lobe: The nodule lies in an upper lobe; None: not told.
        spiculation: The nodule is spiculated; None: not told.

    Raises:
        InputError: As `mayo`, and for a patient with a known cancer.
    """
    if facts.known_cancer:
        raise InputError(
            "The Mayo model does not hold for a patient with a cancer now or within 5 "
            "years. Such a nodule is judged as a possible metastasis."
        )
    possible = _possible(
        facts, diameter_mm, upper_lobe=upper_lobe, spiculation=spiculation
    )
    told = facts.age_years is not None
    risks = [mayo(f) for f in possible]
    return RiskEstimate(
        model="Mayo, Swensen et al., Arch Intern Med 1997;157:849",
        probability=risks[0] if told else None,
        low=min(risks),
        high=max(risks),
        rule=say_sum(_terms(possible[0])) if told else "age is not known: a range",
        population=_MAYO_POPULATION,
        missing=(
            *facts.missing_of(MAYO_FACTS),
            *untold(upper_lobe=upper_lobe, spiculation=spiculation),
        ),
    )


def _possible(
    facts: Facts,
    diameter_mm: float,
    *,
    upper_lobe: bool | None,
    spiculation: bool | None,
) -> list[MayoFactors]:
    """List all that a nodule and its patient may be; every unknown fact as no first."""
    ages = MAYO_AGES_YEARS if facts.age_years is None else (facts.age_years,)
    return [
        MayoFactors(
            age_years=age,
            ever_smoker=smoker,
            extrathoracic_cancer=cancer,
            diameter_mm=diameter_mm,
            spiculated=spiculated,
            upper_lobe=upper,
        )
        for age, smoker, cancer, spiculated, upper in product(
            ages,
            options(facts.ever_smoker),
            options(facts.extrathoracic_cancer),
            options(spiculation),
            options(upper_lobe),
        )
    ]


def herder(mayo_probability: float, uptake: Uptake) -> float:
    """Update the Mayo probability by what PET shows.

    p = 1 / (1 + exp(-x)), x = -4.739 + 3.691 p_Mayo + 0 (no uptake), 2.322 (faint),
    4.617 (moderate) or 4.771 (intense).

    Args:
        mayo_probability: In [0, 1], not in percent.
        uptake: Of FDG by the nodule.

    Raises:
        InputError: The probability lies outside [0, 1], or the uptake is unknown.

    Source:
        Herder et al., Chest 2005;128:2490. (1.439, 3.893 and 5.534, which some
        copies have for the uptake, are errors.)

    Example:
        >>> round(herder(0.187, "intense"), 4)
        0.6731
    """
    return probability_of(_herder_terms(mayo_probability, uptake))


def estimate_herder(mayo_probability: float, uptake: Uptake) -> RiskEstimate:
    """Say what Herder's model gives, and from what sum; takes what `herder` does."""
    terms = _herder_terms(mayo_probability, uptake)
    risk = probability_of(terms)
    return RiskEstimate(
        model="Herder et al., Chest 2005;128:2490",
        probability=risk,
        low=risk,
        high=risk,
        rule=say_sum(terms),
        population=_HERDER_POPULATION,
    )


def _terms(f: MayoFactors) -> tuple[Term, ...]:
    """Check the factors and list what adds up to the logit."""
    if not math.isfinite(f.age_years):
        raise InputError(f"Age must be a number of years; got {f.age_years}.")
    smallest, largest = MAYO_SIZES_MM
    if not smallest <= f.diameter_mm <= largest:
        raise InputError(
            f"The Mayo model holds for {smallest:g} to {largest:g} mm; got "
            f"{f.diameter_mm:.1f} mm. Smaller ones are followed by size, larger ones "
            "are masses."
        )
    return (
        Term("intercept", -6.8272),
        Term(f"age {f.age_years:g}", 0.0391 * f.age_years),
        Term("smoked", 0.7917 * f.ever_smoker),
        Term("extrathoracic cancer", 1.3388 * f.extrathoracic_cancer),
        Term(f"{f.diameter_mm:g} mm", 0.1274 * f.diameter_mm),
        Term("spiculation", 1.0407 * f.spiculated),
        Term("upper lobe", 0.7838 * f.upper_lobe),
    )


def _herder_terms(mayo_probability: float, uptake: Uptake) -> tuple[Term, ...]:
    """Check the input and list what adds up to the logit."""
    if not 0 <= mayo_probability <= 1:
        raise InputError(
            f"The Mayo probability must lie in [0, 1]; got {mayo_probability:g}. "
            "Divide percent by 100."
        )
    if uptake not in get_args(Uptake):
        raise InputError(
            f"Uptake must be one of {', '.join(get_args(Uptake))}; got {uptake!r}."
        )
    return (
        Term("intercept", -4.739),
        Term(f"Mayo {mayo_probability:g}", 3.691 * mayo_probability),
        Term(f"{uptake} uptake", _UPTAKE[uptake]),
    )
