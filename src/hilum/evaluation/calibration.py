"""Whether probabilities are what they say, and how to make them so."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hilum.errors import InputError
from hilum.findings import Record

FloatArray = npt.NDArray[np.float64]
_ROUNDS = 100
_SMALL = 1e-10


@dataclass(frozen=True, slots=True)
class Bin(Record):
    """Cases that were given nearly the same probability.

    Attributes:
        low: Lower edge, included.
        high: Upper edge, excluded but for 1.
        n: How many cases.
        said: Mean probability.
        true: Share that was positive.
    """

    low: float
    high: float
    n: int
    said: float
    true: float


@dataclass(frozen=True, slots=True)
class Platt(Record):
    """Turns a score into a probability: 1 / (1 + exp(-(slope * score + offset))).

    Attributes:
        slope: Above 0 for a score that rises with the probability.
        offset: See slope.
    """

    slope: float
    offset: float

    def __call__(self, score: npt.ArrayLike) -> FloatArray:
        """Give the probabilities of scores, of the same shape."""
        logit = self.slope * np.asarray(score, dtype=np.float64) + self.offset
        return np.asarray(1 / (1 + np.exp(-np.clip(logit, -500, 500))))


def fit_platt(score: npt.ArrayLike, truth: npt.ArrayLike) -> Platt:
    """Fit slope and offset to cases by maximum likelihood.

    The truths are drawn in a little (to (p + 1) / (p + 2) and 1 / (n + 2)), so that
    a score that separates them does not give certainty.

    Args:
        score: (n,) of any scale; not those that the score was trained on.
        truth: (n,) bool.

    Raises:
        InputError: There is no positive or no negative, or all scores are alike.

    Source:
        Platt, "Probabilistic outputs for support vector machines", 1999.
    """
    scores, positive = np.asarray(score, dtype=np.float64), np.asarray(truth, bool)
    positives, negatives = int(positive.sum()), int((~positive).sum())
    if not positives or not negatives or np.ptp(scores) == 0:
        raise InputError(
            f"Cannot calibrate on {positives} positives and {negatives} negatives with "
            f"scores from {scores.min(initial=0)} to {scores.max(initial=0)}; expected "
            "both kinds and scores that differ."
        )
    target = np.where(positive, (positives + 1) / (positives + 2), 1 / (negatives + 2))
    middle, spread = scores.mean(), scores.std()
    design = np.stack([(scores - middle) / spread, np.ones_like(scores)], axis=1)
    weights = np.zeros(2)
    for _ in range(_ROUNDS):  # Newton's method
        p = 1 / (1 + np.exp(-np.clip(design @ weights, -500, 500)))
        curve = design.T @ (design * (p * (1 - p))[:, None]) + _SMALL * np.eye(2)
        step = np.linalg.solve(curve, design.T @ (target - p))
        weights = weights + step
        if np.abs(step).max() < _SMALL:
            break
    slope = float(weights[0] / spread)
    return Platt(slope, float(weights[1] - slope * middle))


def reliability(
    probability: npt.ArrayLike, truth: npt.ArrayLike, *, bins: int = 10
) -> tuple[Bin, ...]:
    """Compare what was said with what was true, by what was said.

    Args:
        probability: (n,) in [0, 1].
        truth: (n,) bool.
        bins: Of equal width.

    Returns:
        The bins that have cases, from low to high.

    Raises:
        InputError: The lengths differ, or a probability lies outside [0, 1].
    """
    p, true = np.asarray(probability, dtype=np.float64), np.asarray(truth, bool)
    if p.shape != true.shape or not ((p >= 0) & (p <= 1)).all():
        raise InputError(
            f"Need a probability in [0, 1] for each truth; got {p.shape} from "
            f"{p.min(initial=0)} to {p.max(initial=0)} for {true.shape} truths. "
            "Apply a sigmoid to logits first."
        )
    at = np.minimum((p * bins).astype(int), bins - 1)
    return tuple(
        Bin(
            b / bins,
            (b + 1) / bins,
            int((at == b).sum()),
            float(p[at == b].mean()),
            float(true[at == b].mean()),
        )
        for b in np.unique(at).tolist()
    )


def expected_calibration_error(
    probability: npt.ArrayLike, truth: npt.ArrayLike, *, bins: int = 10
) -> float:
    """Average how far what was said lies from what was true, over all cases.

    Takes and raises what `reliability` does.

    Returns:
        In [0, 1], or NaN without cases.

    Source:
        Naeini et al., AAAI 2015 (bins of equal width).

    Example:
        >>> expected_calibration_error([0.75, 0.75], [True, False])
        0.25
    """
    table = reliability(probability, truth, bins=bins)
    total = sum(b.n for b in table)
    if not total:
        return float("nan")
    return sum(b.n * abs(b.said - b.true) for b in table) / total
