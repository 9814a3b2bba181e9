"""How much a figure owes to which patients there happened to be.

Draws of cases that are all right are all right: the percentiles of an AUC or a
sensitivity of 1 would be [1, 1] of three cases as of three thousand. There the interval
goes at least to where so much luck has a chance of 2.5 %: n independent units that each
come out right with probability p are all right with p^n, so to 0.025^(1/n), as the
interval of Clopper and Pearson does. The units of a sensitivity are patients, or scans.
Those of an AUC or C are pairs of patients that can be ordered, no patient in two: an
AUC of 1 means that all of them, which are independent, are in order, and each is with
a probability of at most the AUC, as long as who is paired with whom has nothing to do
with how easily they are told apart.

Weights that censoring gives to cases are left out of account, and so is that the
threshold of a sensitivity is found in the same patients.

Sources:
    Clopper and Pearson, Biometrika 1934;26:404; Obuchowski and Lieber, Acad Radiol
    2002;9:526 (bounds of an AUC of 1: why they are needed).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hilum.errors import InputError
from hilum.findings import Record

Indices = npt.NDArray[np.int64]
Statistic = Callable[[Indices], float]
_TAIL = 0.025


@dataclass(frozen=True, slots=True)
class Share:
    """A statistic in [0, 1] that is 1 (or 0) only where all of its units agree.

    Attributes:
        of: The statistic.
        units: How many independent units there are among cases.
    """

    of: Statistic
    units: Callable[[Indices], int]

    def __call__(self, cases: Indices) -> float:
        """Compute the statistic."""
        return self.of(cases)


@dataclass(frozen=True, slots=True)
class Figure(Record):
    """A figure and its 95 % interval; None where there is nothing to compute it from.

    Attributes:
        value: From all cases.
        low: 2.5 % of the figures of resampled patients lie below. Where a `Share` is 0
            or 1 the interval goes at least to the exact end of this module.
        high: 2.5 % lie above; the same.
        n: Cases that it rests on.
    """

    value: float | None
    low: float | None
    high: float | None
    n: int

    @property
    def excludes_zero(self) -> bool:
        """Whether the whole interval lies on one side of 0."""
        if self.low is None or self.high is None:
            return False
        return self.low > 0 or self.high < 0


def bootstrap(
    statistic: Statistic,
    patients: Sequence[str] | npt.NDArray[np.str_],
    *,
    rounds: int = 1000,
    seed: int = 0,
) -> Figure:
    """Compute a figure, and again for patients drawn with replacement.

    A patient is drawn with all cases, so cases of one patient do not pass for
    independent ones. For the difference of two methods on the same cases, let the
    statistic compute the difference.

    Args:
        statistic: Takes (k,) numbers of cases, with repeats; returns the figure, NaN
            where these cases do not allow one. A `Share` has at least the exact
            interval where it is 0 or 1.
        patients: (n,) whose each case is.
        rounds: How many draws.
        seed: Of the draws.

    Raises:
        InputError: There are fewer than 1 rounds.

    Source:
        Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, percentile
        interval; Field and Welsh, J R Stat Soc B 2007;69:369 (clusters).
    """
    if rounds < 1:
        raise InputError(f"A bootstrap needs at least 1 round; got {rounds}.")
    names, whose = np.unique(np.asarray(patients, dtype=str), return_inverse=True)
    value = statistic(np.arange(len(whose))) if len(whose) else math.nan
    if math.isnan(value):
        return Figure(None, None, None, len(whose))
    order = np.argsort(whose, kind="stable")
    cases = np.split(order, np.cumsum(np.bincount(whose))[:-1])
    rng = np.random.default_rng(seed)
    drawn = []
    for _ in range(rounds):
        chosen = rng.integers(len(names), size=len(names))
        figure = statistic(np.concatenate([cases[c] for c in chosen]))
        if not math.isnan(figure):
            drawn.append(figure)
    units = -1
    if isinstance(statistic, Share):
        units = statistic.units(np.arange(len(whose)))
    low, high = ends_of(value, np.array(drawn or [value]), units=units)
    return Figure(float(value), low, high, len(whose))


def ends_of(
    value: float, drawn: npt.NDArray[np.float64], *, units: int = -1
) -> tuple[float, float]:
    """Give the ends of the 95 % interval of a figure.

    Args:
        value: From all cases.
        drawn: (rounds,) from draws, at least one.
        units: Independent units of a `Share`; -1: it is none.

    Example:
        >>> low, high = ends_of(1.0, np.ones(9), units=10)
        >>> round(low, 4), high  # 10 of 10 by Clopper and Pearson
        (0.6915, 1.0)
    """
    low, high = np.percentile(drawn, [100 * _TAIL, 100 * (1 - _TAIL)]).tolist()
    if units < 0 or value not in (0.0, 1.0):
        return low, high
    end = _TAIL ** (1 / units) if units else 0.0
    return (min(low, end), 1.0) if value else (0.0, max(high, 1 - end))


def disjoint_pairs(
    patients: Sequence[str] | npt.NDArray[np.str_], positive: npt.NDArray[np.bool_]
) -> int:
    """Count pairs of a positive and a negative patient, no patient in two.

    Args:
        patients: (n,) whose each case is.
        positive: (n,) bool.

    Example:
        >>> disjoint_pairs(["a", "a", "b", "c"], np.array([True, False, False, False]))
        1
    """
    names = np.asarray(patients, dtype=str)
    ups, downs = set(names[positive].tolist()), set(names[~positive].tolist())
    return min(len(ups), len(downs), len(ups | downs) // 2)
