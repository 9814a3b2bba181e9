"""How much a figure owes to which patients there happened to be."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hilum.errors import InputError
from hilum.findings import Record

Statistic = Callable[[npt.NDArray[np.int64]], float]


@dataclass(frozen=True, slots=True)
class Figure(Record):
    """A figure and its 95 % interval; None where there is nothing to compute it from.

    Attributes:
        value: From all cases.
        low: 2.5 % of the figures of resampled patients lie below.
        high: 2.5 % lie above.
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
            where these cases do not allow one.
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
    low, high = np.percentile(drawn or [value], [2.5, 97.5])
    return Figure(float(value), float(low), float(high), len(whose))
