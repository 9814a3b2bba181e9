"""What follows from a score: at which threshold, and which of two scores is better."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hilum.errors import InputError
from hilum.evaluation.ranking import area_under_curve
from hilum.findings import Record

Floats = npt.NDArray[np.float64]
_95_PERCENT = 1.959963984540054


@dataclass(frozen=True, slots=True)
class NetBenefit(Record):
    """Worth of acting above a threshold, in cancers found a patient.

    Attributes:
        threshold: Probability from which one would act.
        model: True positives less false ones, weighted by the odds of the threshold.
        all: The same when everybody is worked up; nobody is 0.
    """

    threshold: float
    model: float
    all: float


@dataclass(frozen=True, slots=True, kw_only=True)
class AucDifference(Record):
    """Two scores on the same patients.

    Attributes:
        first: AUC.
        second: AUC.
        difference: First less second.
        low: Lower end of the 95 % interval of the difference.
        high: Upper end.
        p_value: Of no difference; 1 when the scores rank alike.
    """

    first: float
    second: float
    difference: float
    low: float
    high: float
    p_value: float


def sensitivity_at(
    score: npt.ArrayLike, truth: npt.ArrayLike, *, specificity: float
) -> float:
    """Give the largest sensitivity at which the specificity is at least so high.

    Args:
        score: (n,), higher for positives.
        truth: (n,) bool.
        specificity: In [0, 1].

    Returns:
        In [0, 1]; NaN without both kinds.

    Example:
        >>> sensitivity_at([1, 2, 3, 4], [0, 1, 0, 1], specificity=1.0)
        0.5
    """
    scores, positive = np.asarray(score, np.float64), np.asarray(truth, bool)
    if not positive.any() or positive.all():
        return float("nan")
    others = np.sort(scores[~positive])
    wrong = math.floor((1 - specificity) * len(others) + 1e-9)
    if wrong >= len(others):
        return 1.0
    return float(np.mean(scores[positive] > others[len(others) - 1 - wrong]))


def decision_curve(
    probability: npt.ArrayLike, truth: npt.ArrayLike, thresholds: npt.ArrayLike
) -> tuple[NetBenefit, ...]:
    """Say at each threshold what acting by the probabilities is worth.

    Args:
        probability: (n,) in [0, 1].
        truth: (n,) bool.
        thresholds: (k,) in (0, 1).

    Raises:
        InputError: A threshold lies outside (0, 1), or there is no patient.

    Source:
        Vickers and Elkin, Med Decis Making 2006;26:565.

    Example:
        >>> decision_curve([0.8, 0.8, 0.1, 0.1], [1, 0, 0, 0], [0.5])[0].model
        0.0
    """
    p, positive = np.asarray(probability, np.float64), np.asarray(truth, bool)
    limits = np.asarray(thresholds, np.float64)
    if not ((limits > 0) & (limits < 1)).all() or not p.size:
        raise InputError("A decision curve needs patients and thresholds in (0, 1).")
    share = positive.mean()
    found = []
    for limit in limits.tolist():
        odds = limit / (1 - limit)
        act = p >= limit
        model = np.mean(act & positive) - odds * np.mean(act & ~positive)
        found.append(NetBenefit(limit, float(model), float(share - odds * (1 - share))))
    return tuple(found)


def compare_aucs(
    first: npt.ArrayLike, second: npt.ArrayLike, truth: npt.ArrayLike
) -> AucDifference:
    """Compare two scores of the same patients by DeLong's method.

    Args:
        first: (n,) scores.
        second: (n,) scores of the same patients.
        truth: (n,) bool, at least two of each kind.

    Raises:
        InputError: There are fewer than two positives or negatives.

    Source:
        DeLong et al., Biometrics 1988;44:837, computed as in Sun and Xu, IEEE Signal
        Process Lett 2014;21:1389.
    """
    positive = np.asarray(truth, bool)
    if positive.sum() < 2 or (~positive).sum() < 2:
        raise InputError(
            f"DeLong's method needs two of each kind; got {int(positive.sum())} "
            f"positives and {int((~positive).sum())} negatives."
        )
    scores = [np.asarray(s, np.float64) for s in (first, second)]
    aucs = [area_under_curve(s, positive) for s in scores]
    parts = [_placements(s, positive) for s in scores]
    of_positives, of_negatives = (
        parts[0][0] - parts[1][0],
        parts[0][1] - parts[1][1],
    )
    variance = float(
        of_positives.var(ddof=1) / len(of_positives)
        + of_negatives.var(ddof=1) / len(of_negatives)
    )
    difference = aucs[0] - aucs[1]
    error = math.sqrt(variance)
    p_value = math.erfc(abs(difference) / error / math.sqrt(2)) if error > 0 else 1.0
    return AucDifference(
        first=aucs[0],
        second=aucs[1],
        difference=difference,
        low=difference - _95_PERCENT * error,
        high=difference + _95_PERCENT * error,
        p_value=p_value,
    )


def _placements(
    scores: Floats, positive: npt.NDArray[np.bool_]
) -> tuple[Floats, Floats]:
    """Say for each case which share of the other kind it is on the right side of."""
    ups, downs = scores[positive], scores[~positive]
    return _share_below(ups, downs), 1 - _share_below(downs, ups)


def _share_below(values: Floats, others: Floats) -> Floats:
    """Give for each value the share of others below it, ties half."""
    ranked = np.sort(others)
    low = np.searchsorted(ranked, values, side="left")
    high = np.searchsorted(ranked, values, side="right")
    return np.asarray((low + high) / 2 / len(ranked))
