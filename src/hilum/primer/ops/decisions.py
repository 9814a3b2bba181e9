"""From scores to statements: calibration, losses, many nodules, many scans."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hilum.primer.ops.activations import sigmoid

FloatArray = NDArray[np.float64]

SUREST = 1e-15
"""Probabilities are kept this far from 0 and 1 before a logarithm is taken."""


def log_loss(probability: ArrayLike, truth: ArrayLike) -> float:
    """Average -log of the probability that was given to what happened.

    Args:
        probability: (n,) of the event.
        truth: (n,) 1 where it happened, else 0.

    Example:
        >>> round(log_loss([0.9, 0.1], [1, 0]), 4), round(log_loss([0.1], [1]), 4)
        (0.1054, 2.3026)
    """
    p = np.clip(np.asarray(probability, np.float64), SUREST, 1 - SUREST)
    happened = np.asarray(truth) > 0
    return float(-np.log(np.where(happened, p, 1 - p)).mean())


def recalibrate(probability: ArrayLike, slope: float, offset: float) -> FloatArray:
    """Bend probabilities on the scale of logits: sigmoid(slope logit(p) + offset).

    Slope 1 and offset 0 leave them as they are; a slope below 1 makes them less
    sure, an offset below 0 lowers them all. The order of two never changes.
    """
    p = np.clip(np.asarray(probability, np.float64), SUREST, 1 - SUREST)
    return sigmoid(slope * (np.log(p) - np.log1p(-p)) + offset)


def reliability(
    probability: ArrayLike, truth: ArrayLike, bins: int = 10
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Compare what was said with what happened, in equal bins of what was said.

    Args:
        probability: (n,) of the event.
        truth: (n,) 1 where it happened, else 0.
        bins: How many from 0 to 1.

    Returns:
        (bins,) each: mean probability, share that happened, and how many; the first
        two are NaN where a bin is empty.
    """
    p, happened = np.asarray(probability, np.float64), np.asarray(truth, np.float64)
    place = np.minimum(np.floor(p * bins).astype(np.int64), bins - 1)
    count = np.bincount(place, minlength=bins).astype(np.float64)
    divisor = np.where(count > 0, count, np.nan)
    said = np.bincount(place, weights=p, minlength=bins) / divisor
    came = np.bincount(place, weights=happened, minlength=bins) / divisor
    return said, came, count


def calibration_error(
    probability: ArrayLike, truth: ArrayLike, bins: int = 10
) -> float:
    """Average over all cases how far what was said lies from what happened."""
    said, came, count = reliability(probability, truth, bins)
    gaps = np.where(count > 0, np.abs(said - came), 0.0)
    return float((gaps * count).sum() / count.sum())


def noisy_or(probability: ArrayLike, leak: float = 0.0) -> float:
    """Let each nodule be a cause of its own: 1 - (1 - leak) prod (1 - p).

    Args:
        probability: (n,) that each nodule is a cancer; may be empty.
        leak: Probability of a cancer that no nodule explains.

    Example:
        >>> round(noisy_or([0.5, 0.2], leak=0.1), 3)
        0.64
    """
    causes = 1 - np.asarray(probability, np.float64)
    return float(1 - (1 - leak) * np.prod(causes))


def froc(
    score: ArrayLike, is_hit: Sequence[bool], nodules: int, scans: int
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Lower the threshold mark by mark: nodules found against false marks a scan.

    Args:
        score: (n,) of each mark.
        is_hit: (n,) whether it lies on a nodule that no surer mark lies on.
        nodules: How many there are.
        scans: How many were looked at.

    Returns:
        (n,) each, surest mark first: threshold, sensitivity, false marks a scan.
    """
    score = np.asarray(score, np.float64)
    order = np.argsort(-score, kind="stable")
    hits = np.asarray(is_hit, np.float64)[order]
    found = np.cumsum(hits) / max(nodules, 1)
    wrong = np.cumsum(1 - hits) / scans
    return score[order], found, wrong
