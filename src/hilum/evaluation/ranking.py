"""How well a score ranks the malignant above the benign."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from hilum.errors import InputError


def area_under_curve(score: npt.ArrayLike, truth: npt.ArrayLike) -> float:
    """Measure the area under the ROC curve.

    The probability that a positive scores above a negative; a tie counts half.

    Args:
        score: (n,) of any scale, higher for positives.
        truth: (n,) bool.

    Returns:
        In [0, 1], or NaN without a positive or without a negative.

    Raises:
        InputError: The lengths differ, or a score is NaN.

    Source:
        Hanley and McNeil, Radiology 1982;143:29.

    Example:
        >>> area_under_curve([0.1, 0.4, 0.4, 0.8], [False, False, True, True])
        0.875
    """
    scores, positive = np.asarray(score, dtype=np.float64), np.asarray(truth, bool)
    if scores.shape != positive.shape or scores.ndim != 1 or np.isnan(scores).any():
        raise InputError(
            f"Need one score for each truth, none NaN; got {scores.shape} scores, "
            f"{int(np.isnan(scores).sum())} of them NaN, and {positive.shape} truths. "
            "Leave out cases without a score."
        )
    positives = int(positive.sum())
    negatives = len(positive) - positives
    if not positives or not negatives:
        return float("nan")
    _, first, counts = np.unique(scores, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    ranks = (last - (counts - 1) / 2)[first]
    least = positives * (positives + 1) / 2
    return float((ranks[positive].sum() - least) / (positives * negatives))
