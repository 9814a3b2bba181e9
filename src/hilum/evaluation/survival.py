"""How well a score tells who will have the event sooner, where follow-up ends early.

Times are in years; an event is a diagnosis of cancer, everything else is censored.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


def harrell_c(score: npt.ArrayLike, time: npt.ArrayLike, event: npt.ArrayLike) -> float:
    """Give the share of comparable pairs in which who fell ill sooner scored higher.

    A pair is comparable when the earlier time is an event; at equal times when one is
    an event and the other is not. Equal scores count half.

    Args:
        score: (n,), higher for an earlier event.
        time: (n,) to the event or the end of follow-up.
        event: (n,) bool.

    Returns:
        In [0, 1]; NaN without a comparable pair.

    Source:
        Harrell et al., JAMA 1982;247:2543.

    Example:
        >>> harrell_c([3, 2, 1], [1, 2, 3], [True, True, False])
        1.0
    """
    scores, times, events = _arrays(score, time, event)
    return _concordance(scores, times, events, np.ones(len(times)))


def uno_c(
    score: npt.ArrayLike,
    time: npt.ArrayLike,
    event: npt.ArrayLike,
    *,
    until: float | None = None,
) -> float:
    """Give the same with each pair weighted so that censoring has no influence.

    The weight is 1 / G(t)^2 with the time t of the event and the Kaplan-Meier
    estimate G of being followed that long.

    Args:
        score: (n,), higher for an earlier event.
        time: (n,) to the event or the end of follow-up.
        event: (n,) bool.
        until: Events from this time on do not count; None: all do.

    Returns:
        In [0, 1]; NaN without a comparable pair.

    Source:
        Uno et al., Stat Med 2011;30:1105.
    """
    scores, times, events = _arrays(score, time, event)
    followed = followed_until(times, events, times)
    weight = np.divide(1, followed**2, where=followed > 0, out=np.zeros(len(times)))
    counted = events if until is None else events & (times < until)
    return _concordance(scores, times, events, weight * counted)


def horizon_auc(
    score: npt.ArrayLike, time: npt.ArrayLike, event: npt.ArrayLike, *, year: float
) -> float:
    """Give the AUC of who has the event by a year against who has not by then.

    Who was censored before counts neither way; who had the event is weighted by
    1 / G(t), for those whose event censoring hid.

    Args:
        score: (n,), higher for an earlier event.
        time: (n,) to the event or the end of follow-up.
        event: (n,) bool.
        year: The horizon.

    Returns:
        In [0, 1]; NaN without both kinds.

    Source:
        Uno et al., J Am Stat Assoc 2007;102:527 (cumulative cases, dynamic controls).
    """
    scores, times, events = _arrays(score, time, event)
    case, control = events & (times <= year), times > year
    if not case.any() or not control.any():
        return float("nan")
    followed = followed_until(times, events, times[case])
    weight = np.divide(1, followed, where=followed > 0, out=np.zeros(len(followed)))
    others = np.sort(scores[control])
    below = np.searchsorted(others, scores[case], side="left")
    ties = np.searchsorted(others, scores[case], side="right") - below
    share = (below + ties / 2) / len(others)
    return (
        float((weight * share).sum() / weight.sum()) if weight.any() else float("nan")
    )


def followed_until(time: Floats, event: Bools, at: Floats) -> Floats:
    """Estimate the probability of being followed beyond some times (Kaplan-Meier).

    The event here is the end of follow-up; who has the real event at the same time has
    it before.

    Args:
        time: (n,) to the event or the end of follow-up.
        event: (n,) bool, the real one.
        at: (k,) times.
    """
    moments, at_moment, count = np.unique(time, return_inverse=True, return_counts=True)
    ended = np.bincount(at_moment, weights=~event, minlength=len(moments))
    at_risk = len(time) - np.cumsum(count) + ended
    factor = np.where(at_risk > 0, 1 - ended / np.maximum(at_risk, 1), 1.0)
    curve = np.concatenate([[1.0], np.cumprod(factor)])
    return np.asarray(curve[np.searchsorted(moments, at, side="right")])


def _concordance(scores: Floats, times: Floats, events: Bools, weight: Floats) -> float:
    """Sum up the pairs, each with the weight of its earlier event."""
    right = total = 0.0
    for n in np.flatnonzero(events & (weight > 0)):
        later = (times > times[n]) | ((times == times[n]) & ~events)
        more = np.count_nonzero(scores[later] < scores[n])
        same = np.count_nonzero(scores[later] == scores[n])
        right += weight[n] * (more + same / 2)
        total += weight[n] * np.count_nonzero(later)
    return float(right / total) if total else float("nan")


def _arrays(
    score: npt.ArrayLike, time: npt.ArrayLike, event: npt.ArrayLike
) -> tuple[Floats, Floats, Bools]:
    return (
        np.asarray(score, np.float64),
        np.asarray(time, np.float64),
        np.asarray(event, bool),
    )
