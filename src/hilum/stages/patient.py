"""From nodules to one probability per patient."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hilum.errors import InputError
from hilum.findings import Nodule, Probability

_95_PERCENT = 1.959963984540054
_LEAST = 1e-4
"""Scores are brought this far from 0 and 1, where log odds have no end."""


def leaky_noisy_or(malignancy: Iterable[float], *, leak: float = 0.0) -> float:
    """Combine nodule probabilities as independent causes of cancer.

    P(cancer) = 1 - (1 - leak) * prod_i(1 - malignancy_i). The leak is the
    probability that a cancer exists which no nodule in the list explains, so it
    is also the answer for a patient without nodules.

    Args:
        malignancy: (n,) probabilities in [0, 1], in any order; may be empty.
        leak: Probability in [0, 1).

    Returns:
        Probability in [leak, 1].

    Raises:
        InputError: A probability lies outside [0, 1] or is NaN.

    Source:
        Liao et al., "Evaluate the Malignancy of Pulmonary Nodules Using the 3-D
        Deep Leaky Noisy-OR Network", arXiv:1711.08324, section on leaky noisy-OR.

    Example:
        >>> round(leaky_noisy_or([0.5, 0.2], leak=0.1), 3)
        0.64
    """
    p = np.fromiter(malignancy, dtype=np.float64)
    bad = p[~((p >= 0) & (p <= 1))]
    if bad.size:
        raise InputError(
            f"Malignancy must lie in [0, 1]; got {bad.tolist()}. "
            "Pass probabilities, not logits: apply a sigmoid first."
        )
    if not 0 <= leak < 1:
        raise InputError(f"Leak must lie in [0, 1); got {leak}.")
    return float(1 - (1 - leak) * np.prod(1 - p))


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskModel:
    """Patient-level probability from the nodules of one series.

    A nodule counts with its malignancy (of the Brock model) times the chance that the
    finding is a nodule, which follows from its detection score. The ends of the
    interval take in what the malignancy leaves open, the doubt of that chance and of
    the leak, and how the networks say that the nodule looks, with their spread; the
    value does not: it was not shown that looks tell more than the Brock model does.

    A worse nodule (larger, surer, with a worse look) never lowers any of the three.

    Attributes:
        leak: Probability of a cancer that no detected nodule explains.
        leak_range: Between what it may lie; widened to hold a leak beyond.
        top: How many of the most suspicious nodules count.
        detection: Slope and offset from the log odds of a detection score to those of
            being a nodule.
        detection_doubt: Variance of the slope, covariance, variance of the offset.
        look: How many log odds of malignancy one log odd of a look is worth.
        calibration: A calibration.json of `hilum calibrate`, by which the probability
            and the ends of its interval are brought to a cohort; None: as they are.

    Source:
        `benchmarks/patient.py` shows what the numbers were learned from.
    """

    leak: float = 0.0025
    leak_range: tuple[float, float] = (0.0003, 0.0086)
    top: int = 5
    detection: tuple[float, float] = (1.99, -0.93)
    detection_doubt: tuple[float, float, float] = (0.123, 0.065, 0.157)
    look: float = 0.2
    calibration: Path | None = None

    def __post_init__(self) -> None:
        """Refuse settings that combine nothing, or let a worse nodule count less."""
        if not 0 <= self.leak < 1:
            raise InputError(f"`leak` must lie in [0, 1); got {self.leak}.")
        low, high = self.leak_range
        if not 0 <= low <= high < 1:
            raise InputError(
                f"`leak_range` must rise and lie in [0, 1); got {low} to {high}."
            )
        if self.top < 1:
            raise InputError(f"`top` must be at least 1; got {self.top}.")
        of_slope, together, of_offset = self.detection_doubt
        least = _95_PERCENT * math.sqrt(max(of_slope, 0.0))
        if not (self.detection[0] > least and together**2 <= of_slope * of_offset):
            raise InputError(
                "`detection` must rise with the score beyond its doubt; got a slope of "
                f"{self.detection[0]} and a doubt of {self.detection_doubt}."
            )
        if not 0 <= self.look <= 1:
            raise InputError(f"`look` must lie in [0, 1]; got {self.look}.")

    def __call__(
        self, nodules: Sequence[Nodule], looks: Sequence[Probability] = ()
    ) -> Probability:
        """Combine the `top` most suspicious nodules, each end of the interval alone.

        Args:
            nodules: With known malignancy, in any order.
            looks: What the networks say of each, in that order; none: not asked.

        Raises:
            InputError: A nodule has no malignancy yet, or looks are of other nodules.
        """
        if any(n.malignancy.value is None for n in nodules):
            raise InputError(
                "A nodule has no malignancy. Run the malignancy stage first."
            )
        if looks and len(looks) != len(nodules):
            raise InputError(
                f"Got {len(looks)} looks of {len(nodules)} nodules; give one for each."
            )
        seen = looks or (Probability.UNKNOWN,) * len(nodules)
        causes = [self._cause(n, look) for n, look in zip(nodules, seen, strict=True)]
        least, most = self.leak_range
        leaks = (min(self.leak, least), self.leak, max(self.leak, most))
        low, value, high = (
            leaky_noisy_or(sorted(end, reverse=True)[: self.top], leak=leak)
            for end, leak in zip(zip(*causes, strict=True) if causes else ((),) * 3,
                                 leaks, strict=True)
        )  # fmt: skip
        if self.calibration is not None:
            low, value, high = _on_curve(self.calibration, (low, value, high))
        return Probability(low=low, value=value, high=high)

    def chance_of_nodule(self, score: float) -> Probability:
        """Say how likely a finding of some detection score is a nodule.

        Args:
            score: In [0, 1].
        """
        x = _logit(score)
        of_slope, together, of_offset = self.detection_doubt
        variance = of_slope * x**2 + 2 * together * x + of_offset
        reach = _95_PERCENT * math.sqrt(max(variance, 0.0))
        middle = self.detection[0] * x + self.detection[1]
        low, value, high = (_sigmoid(middle + r) for r in (-reach, 0.0, reach))
        return Probability(low=low, value=value, high=high)

    def _cause(self, nodule: Nodule, look: Probability) -> tuple[float, float, float]:
        """Give how likely a finding is a cancer: low, value, high."""
        malignancy, chance = (
            nodule.malignancy,
            self.chance_of_nodule(nodule.detection_score),
        )
        better = min(0.0, _logit(look.low)) if look.low is not None else 0.0
        worse = max(0.0, _logit(look.high)) if look.high is not None else 0.0
        low = _shift(malignancy.low or 0.0, self.look * better)
        high = _shift(malignancy.high or 0.0, self.look * worse)
        return (
            low * (chance.low or 0.0),
            (malignancy.value or 0.0) * (chance.value or 0.0),
            high * (chance.high or 0.0),
        )

    def calibrated_on(self) -> str | None:
        """Give what the calibration says of itself; None without one.

        Raises:
            InputError: It is no file of `hilum calibrate`.
        """
        if self.calibration is None:
            return None
        self.check()
        said = json.loads(self.calibration.read_text(encoding="utf-8")).get("sentence")
        return str(said or "It holds for patients like those of its cohort.")

    def check(self) -> None:
        """Refuse a calibration that cannot be read, before any work.

        Raises:
            InputError: It is no file of `hilum calibrate`.
        """
        if self.calibration is not None:
            _on_curve(self.calibration, (0.0, 0.5, 1.0))


def _logit(p: float) -> float:
    q = min(max(p, _LEAST), 1 - _LEAST)
    return math.log(q / (1 - q))


def _sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def _shift(p: float, logits: float) -> float:
    """Move a probability on the logit scale; nothing moves 0 and 1."""
    return p * math.exp(logits) / (1 - p + p * math.exp(logits))


def _on_curve(
    path: Path, values: tuple[float, float, float]
) -> tuple[float, float, float]:
    """Bring probabilities onto the curve of a file, which must rise."""
    try:
        x, y = np.array(json.loads(path.read_text())["points"], np.float64).T
        fine = (np.diff(x) >= 0).all() and (np.diff(y) >= -1e-12).all()
        fine = fine and x[0] <= 0 and x[-1] >= 1 and y[0] >= 0 and y[-1] <= 1
    except (OSError, ValueError, KeyError, TypeError, IndexError, RecursionError):
        fine = False
    if not fine:
        raise InputError(
            f"`{path.name}` is no calibration: it needs `points` from 0 to 1 that "
            "rise. Make one with `hilum calibrate`."
        )
    low, value, high = np.interp(values, x, y).tolist()
    return low, value, high
