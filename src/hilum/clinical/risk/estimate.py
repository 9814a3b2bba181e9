"""What a clinical model says: a probability, its sum, and on whom it holds."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from hilum.findings import Probability, Record

FURTHEST_LOGIT = 700.0
"""Beyond it exp overflows."""


@dataclass(frozen=True, slots=True)
class Term:
    """One summand of a logit.

    Attributes:
        words: What it is for, with its number.
        value: What it adds.
    """

    words: str
    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskEstimate(Record):
    """What one model says of one patient or nodule.

    Attributes:
        model: Its name and paper.
        probability: In [0, 1], with every yes-or-no fact that was not told taken as
            no; None when a fact that has no such default, such as age, is missing.
        low: Lowest probability over all that was not told; the same when all was.
        high: Highest probability over all that was not told.
        rule: The sum, term by term.
        population: On whom the model was built.
        missing: Names of the facts that were not told.
        doubts: Where the given facts do not fit the population.
    """

    model: str
    probability: float | None
    low: float
    high: float
    rule: str
    population: str
    missing: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()


def logit_of(terms: Iterable[Term]) -> float:
    """Sum up the terms."""
    return float(sum(term.value for term in terms))


def probability_of(terms: Iterable[Term]) -> float:
    """Turn the sum of the terms into a probability, above 0 and below 1."""
    return sigmoid(logit_of(terms))


def sigmoid(x: float) -> float:
    """Give 1 / (1 + exp(-x)), never below 1e-304, where exp would overflow."""
    return 1 / (1 + math.exp(min(-x, FURTHEST_LOGIT)))


def middle_of(low: float, high: float) -> Probability:
    """Put the value of a range in its middle on the logit scale.

    Args:
        low: Above 0.
        high: Below 1, at least `low`.

    Example:
        >>> round(middle_of(0.1, 0.5).value, 6)  # odds of 1/9 and 1: 1/3, so 1/4
        0.25
    """
    logits = [math.log(p / (1 - p)) for p in (low, high)]
    value = min(max(sigmoid(sum(logits) / 2), low), high)
    return Probability(low=low, value=value, high=high)


def say_sum(terms: Iterable[Term]) -> str:
    """Write the sum out, without the terms that add nothing.

    Example:
        >>> say_sum([Term("intercept", -2.0), Term("age 65", 0.5), Term("COPD", 0.0)])
        'x = -2.0000 (intercept) + 0.5000 (age 65) = -1.5000; p = 0.1824'
    """
    terms = tuple(terms)
    first, *rest = [term for term in terms if term.value]
    text = f"x = {first.value:.4f} ({first.words})"
    for term in rest:
        text += (
            f" {'-' if term.value < 0 else '+'} {abs(term.value):.4f} ({term.words})"
        )
    return f"{text} = {logit_of(terms):.4f}; p = {probability_of(terms):.4g}"


def untold(**facts: bool | float | str | None) -> tuple[str, ...]:
    """Give the names of those facts that were not told.

    Example:
        >>> untold(upper_lobe=None, spiculation=False)
        ('upper_lobe',)
    """
    return tuple(name for name, fact in facts.items() if fact is None)


def options(fact: bool | None) -> tuple[bool, ...]:
    """Give what a fact could be."""
    return (False, True) if fact is None else (fact,)
