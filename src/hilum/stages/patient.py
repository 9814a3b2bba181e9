"""From nodules to one probability per patient."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hilum.errors import InputError
from hilum.findings import Nodule, Probability


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

    Each nodule counts with its malignancy times its detection score: a finding
    that may not be a nodule is no full cause. Not calibrated on patients.

    Attributes:
        leak: Probability of a cancer that no detected nodule explains.
        top: How many of the most suspicious nodules count.
        calibration: A calibration.json of `hilum calibrate`, by which the probability
            and the ends of its interval are brought to a cohort; None: as they are.
    """

    leak: float = 0.01
    top: int = 5
    calibration: Path | None = None

    def __post_init__(self) -> None:
        """Refuse settings that combine nothing, or are no probability."""
        if not 0 <= self.leak < 1:
            raise InputError(f"`leak` must lie in [0, 1); got {self.leak}.")
        if self.top < 1:
            raise InputError(f"`top` must be at least 1; got {self.top}.")

    def __call__(self, nodules: tuple[Nodule, ...]) -> Probability:
        """Combine the `top` most suspicious nodules, ends of intervals likewise.

        Args:
            nodules: With known malignancy, in any order.

        Raises:
            InputError: A nodule has no malignancy yet.
        """
        if any(n.malignancy.value is None for n in nodules):
            raise InputError(
                "A nodule has no malignancy. Run the malignancy stage first."
            )
        worst = sorted(nodules, key=lambda n: n.suspicion, reverse=True)[: self.top]
        low, value, high = (
            leaky_noisy_or(
                (
                    n.detection_score * (getattr(n.malignancy, end) or 0.0)
                    for n in worst
                ),
                leak=self.leak,
            )
            for end in ("low", "value", "high")
        )
        if self.calibration is not None:
            low, value, high = _on_curve(self.calibration, (low, value, high))
        return Probability(low=low, value=value, high=high)

    def check(self) -> None:
        """Refuse a calibration that cannot be read, before any work.

        Raises:
            InputError: It is no file of `hilum calibrate`.
        """
        if self.calibration is not None:
            _on_curve(self.calibration, (0.0, 0.5, 1.0))


def _on_curve(
    path: Path, values: tuple[float, float, float]
) -> tuple[float, float, float]:
    """Bring probabilities onto the curve of a file, which must rise."""
    try:
        x, y = np.array(json.loads(path.read_text())["points"], np.float64).T
        fine = (np.diff(x) >= 0).all() and (np.diff(y) >= -1e-12).all()
        fine = fine and x[0] <= 0 and x[-1] >= 1 and y[0] >= 0 and y[-1] <= 1
    except (OSError, ValueError, KeyError, TypeError, IndexError):
        fine = False
    if not fine:
        raise InputError(
            f"`{path.name}` is no calibration: it needs `points` from 0 to 1 that "
            "rise. Make one with `hilum calibrate`."
        )
    low, value, high = np.interp(values, x, y).tolist()
    return low, value, high
