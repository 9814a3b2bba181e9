"""PLCOm2012: who of those who smoked will have lung cancer within six years."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Literal, get_args

from hilum.clinical.population import age_doubts
from hilum.clinical.risk.estimate import (
    RiskEstimate,
    Term,
    probability_of,
    say_sum,
)
from hilum.errors import InputError
from hilum.findings import Record

Race = Literal["white", "black", "hispanic", "asian", "american-indian", "pacific"]

PLCO_AGES_YEARS = (55.0, 74.0)
"""Ages at entry to the PLCO trial."""

PLCO_UNTOLD = (
    "race",
    "copd",
    "personal_cancer",
    "family_history",
    "current_smoker",
    "years_quit",
)
"""Facts that may be missing; then there is a range."""

_RACES = {
    "white": 0.0,
    "black": 0.3944778,
    "hispanic": -0.7434744,
    "asian": -0.466585,
    "american-indian": 0.0,
    "pacific": 1.027152,
}
_LIMITS = {
    "age_years": (18, 120),
    "education": (1, 6),
    "bmi": (10, 90),
    "cigarettes_per_day": (0.1, 200),
    "years_smoked": (0, 110),
    "years_quit": (0, 110),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PlcoFactors(Record):
    """What PLCOm2012 asks of a person who smokes or smoked.

    Attributes:
        age_years: Age.
        race: As the trial recorded it; "american-indian" stands also for Alaskan
            natives, "pacific" for Hawaiians and Pacific islanders.
        education: 1 less than high school, 2 high school, 3 training after it, 4 some
            college, 5 college, 6 postgraduate.
        bmi: Body-mass index in kg/m².
        copd: COPD, emphysema or chronic bronchitis.
        personal_cancer: Any cancer before.
        family_history: Lung cancer in the family.
        current_smoker: Smokes now.
        cigarettes_per_day: Mean number, above 0.
        years_smoked: How long.
        years_quit: Since when no more; 0 for a current smoker.

    Raises:
        InputError: A number is out of bounds, or a current smoker has quit.
    """

    age_years: float
    race: Race = "white"
    education: int
    bmi: float
    copd: bool = False
    personal_cancer: bool = False
    family_history: bool = False
    current_smoker: bool
    cigarettes_per_day: float
    years_smoked: float
    years_quit: float = 0.0

    def __post_init__(self) -> None:
        """Refuse what the model cannot take."""
        for name, (low, high) in _LIMITS.items():
            value = getattr(self, name)
            if not (math.isfinite(value) and low <= value <= high):
                raise InputError(
                    f"`{name}` must lie in {low} to {high}; got {value}. "
                    "PLCOm2012 is for people who smoke or smoked."
                )
        if self.race not in get_args(Race):
            raise InputError(
                f"Race must be one of {', '.join(get_args(Race))}; got {self.race!r}."
            )
        if self.current_smoker and self.years_quit > 0:
            raise InputError(
                f"A current smoker has not quit; got {self.years_quit:g} years since. "
                "Give years_quit=0, or a former smoker."
            )
        if self.years_smoked + self.years_quit > self.age_years:
            raise InputError(
                f"{self.years_smoked:g} years of smoking and {self.years_quit:g} since "
                f"do not fit into an age of {self.age_years:g}."
            )


def plco(factors: PlcoFactors) -> float:
    """Estimate the probability of lung cancer within six years.

    Where sources conflict (the terms of American Indians and of Pacific islanders, and
    the sign of education) this takes 0, 1.027152, and less risk with more education.

    Args:
        factors: The person.

    Source:
        Tammemägi et al., NEJM 2013;368:728.

    Example:
        >>> round(plco(PlcoFactors(age_years=62, education=4, bmi=27,
        ...     current_smoker=False, cigarettes_per_day=20, years_smoked=27,
        ...     years_quit=10)), 5)
        0.00892
    """
    return probability_of(_terms(factors))


def estimate_plco(factors: PlcoFactors, *, missing: Sequence[str] = ()) -> RiskEstimate:
    """Say what PLCOm2012 gives, from what sum, and over all that was not told.

    Args:
        factors: The person.
        missing: Which of `PLCO_UNTOLD` were not told. They range over all that they
            may be; the probability takes them as `factors` has them.

    Raises:
        InputError: One of those cannot be missing.
    """
    unknown = sorted(set(missing) - set(PLCO_UNTOLD))
    if unknown:
        raise InputError(
            f"PLCOm2012 cannot do without {', '.join(unknown)}. It may do without "
            f"{', '.join(PLCO_UNTOLD)}."
        )
    terms = _terms(factors)
    risks = [plco(person) for person in _people(factors, missing)]
    return RiskEstimate(
        model="PLCOm2012 (six years), Tammemägi et al., NEJM 2013;368:728",
        probability=probability_of(terms),
        low=min(risks),
        high=max(risks),
        rule=say_sum(terms),
        population="people of 55 to 74 years who smoked, in the United States (PLCO)",
        missing=tuple(name for name in PLCO_UNTOLD if name in missing),
        doubts=age_doubts(factors.age_years, PLCO_AGES_YEARS, "the PLCO trial"),
    )


def _people(f: PlcoFactors, missing: Sequence[str]) -> Iterator[PlcoFactors]:
    """List everybody whom the facts may mean; the ends, of what has a range."""
    flags = ("copd", "personal_cancer", "family_history")
    open_facts = [n for n in flags if n in missing]
    races = get_args(Race) if "race" in missing else (f.race,)
    for race, yes in product(races, product((False, True), repeat=len(open_facts))):
        told = dict(zip(open_facts, yes, strict=True))
        for smokes, quit_for in _smoking(f, missing):
            yield replace(
                f, race=race, current_smoker=smokes, years_quit=quit_for, **told
            )


def _smoking(f: PlcoFactors, missing: Sequence[str]) -> set[tuple[bool, float]]:
    """List whether a person may smoke now, and for how long not."""
    longest = max(f.age_years - f.years_smoked, 0.0)
    found: set[tuple[bool, float]] = set()
    if f.current_smoker or ("current_smoker" in missing and not f.years_quit):
        found.add((True, 0.0))
    if not f.current_smoker or "current_smoker" in missing:
        ends = (0.0, longest) if "years_quit" in missing else (f.years_quit,)
        found |= {(False, end) for end in ends}
    return found


def _terms(f: PlcoFactors) -> tuple[Term, ...]:
    """List what adds up to the logit."""
    cigarettes = 10 / f.cigarettes_per_day - 0.4021541613
    return (
        Term("intercept", -4.532506),
        Term(f"age {f.age_years:g}", 0.0778868 * (f.age_years - 62)),
        Term(f.race, _RACES[f.race]),
        Term(f"education {f.education}", -0.0812744 * (f.education - 4)),
        Term(f"BMI {f.bmi:g}", -0.0274194 * (f.bmi - 27)),
        Term("COPD", 0.3553063 * f.copd),
        Term("cancer before", 0.4589971 * f.personal_cancer),
        Term("family history", 0.587185 * f.family_history),
        Term("smokes now", 0.2597431 * f.current_smoker),
        Term(f"{f.cigarettes_per_day:g} cigarettes a day", -1.822606 * cigarettes),
        Term(f"{f.years_smoked:g} years", 0.0317321 * (f.years_smoked - 27)),
        Term(f"quit for {f.years_quit:g} years", -0.0308572 * (f.years_quit - 10)),
    )
