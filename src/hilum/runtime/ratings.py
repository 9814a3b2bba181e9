"""How readers would rate a nodule, by networks that learned it from their ratings."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hilum._threads import map_in_threads
from hilum.errors import WeightsError
from hilum.features import features_of, surround
from hilum.features.patches import sample_patch, to_channels
from hilum.findings import Attributes, Probability
from hilum.volume import CTVolume, Mask

PATCH_SIZE = (32, 32, 32)
PATCH_SPACING_MM = 1.0
MARGIN_MM = 8.0
"""How much around a nodule the networks are shown, before what is far is blanked."""

KIND_NAMES = ("ground-glass", "part-solid", "solid")

Predict = Callable[[Any], Any]

_DOUBT = 0.01
_BATCH = 16
_WANTED = ("malignancy", "kind", *(item.name for item in fields(Attributes)))


@dataclass(frozen=True, slots=True)
class Calibration:
    """From an expected rating to a probability, never nearer to certainty than 1 %.

    p = 0.01 + 0.98 / (1 + exp(-(slope rating + offset))): on the few hundred nodules
    that it was fitted on, no more could be shown.

    Attributes:
        slope: Above 0.
        offset: See slope.
        covariance: Variance of the slope, covariance, variance of the offset: what
            the patients that it was fitted on leave open.
    """

    slope: float
    offset: float
    covariance: tuple[float, float, float] = (0.0, 0.0, 0.0)

    def __call__(self, rating: float) -> float:
        """Give the probability of a rating."""
        return _probability(self.slope * rating + self.offset)

    def doubted(self, ratings: npt.NDArray[np.float64]) -> Probability:
        """Give the probability with its 95 % interval.

        The doubt on the logit scale is that of the calibration, and the spread of the
        networks.

        Args:
            ratings: (members,) what each network expects.
        """
        rating, spread = float(ratings.mean()), float(ratings.std())
        of_slope, together, of_offset = self.covariance
        variance = of_slope * rating**2 + 2 * together * rating + of_offset
        reach = 1.96 * math.sqrt(max(variance, 0.0) + (self.slope * spread) ** 2)
        logit = self.slope * rating + self.offset
        low, value, high = (_probability(logit + r) for r in (-reach, 0.0, reach))
        return Probability(low=low, value=value, high=high)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rating:
    """What networks say of a nodule.

    Attributes:
        malignancy: Probability that readers would rate it 3.5 or more, of nodules
            that they rate either so or up to 2.5.
        attributes: How readers would rate its look.
        kind: 0 ground glass, 1 part-solid, 2 solid; see `KIND_NAMES`.
    """

    malignancy: Probability
    attributes: Attributes
    kind: int


def rate_nodule(
    volume: CTVolume, mask: Mask, *, predict: Predict, calibration: Calibration
) -> Rating:
    """Rate a nodule.

    Args:
        volume: The scan, or a part of it.
        mask: The nodule, on the grid of the volume or a part of it.
        predict: The network, from {"features", "hu", "mask"} to what each of its
            members gives of each rating: (batch, members, thresholds).
        calibration: From the mean of malignancy to a probability.

    Raises:
        InputError: The mask is empty, or its voxels are not voxels of the volume.
        WeightsError: The network is one for another task.
    """
    return rate_nodules(volume, [mask], predict=predict, calibration=calibration)[0]


def rate_nodules(
    volume: CTVolume,
    masks: Sequence[Mask],
    *,
    predict: Predict,
    calibration: Calibration,
) -> tuple[Rating, ...]:
    """Rate several nodules at once, which takes less time than one by one.

    Args:
        volume: The scan, or a part of it.
        masks: The nodules, each on the grid of the volume or a part of it.
        predict: As for `rate_nodule`.
        calibration: As for `rate_nodule`.

    Returns:
        In the order of the masks.

    Raises:
        InputError: As `rate_nodule`.
        WeightsError: As `rate_nodule`.
    """
    ratings: list[Rating] = []
    for first in range(0, len(masks), _BATCH):
        inputs = map_in_threads(
            lambda mask: rating_inputs(volume, mask),
            masks[first : first + _BATCH],
            work=lambda mask: float(np.count_nonzero(mask.voxels)),
        )
        found = predict(
            {name: np.concatenate([one[name] for one in inputs]) for name in inputs[0]}
        )
        _check(found)
        ratings.extend(
            _rating({name: found[name][n] for name in _WANTED}, calibration)
            for n in range(len(inputs))
        )
    return tuple(ratings)


def rating_inputs(volume: CTVolume, mask: Mask) -> dict[str, npt.NDArray[np.float32]]:
    """Measure and sample a nodule as the networks take it.

    Takes and raises what `rate_nodule` does.

    Returns:
        "features" (1, 87), "hu" and "mask" (1, slice, row, column, 1).
    """
    around = surround(volume, mask, margin_mm=MARGIN_MM)
    patch = sample_patch(around, size=PATCH_SIZE, spacing_mm=PATCH_SPACING_MM)
    hu, inside = to_channels(patch)
    return {"features": features_of(around)[None], "hu": hu[None], "mask": inside[None]}


def read_calibration(weights: Path) -> Calibration:
    """Read the calibration that lies beside weights, as NAME.calibration.json.

    Args:
        weights: The `.keras` or `.xml` file.

    Raises:
        WeightsError: It is absent or damaged.
    """
    path = weights.with_suffix(".calibration.json")
    try:
        tree = json.loads(path.read_text(encoding="utf-8"))
        slope, offset = float(tree["slope"]), float(tree["offset"])
        first, second, third = (float(v) for v in tree.get("covariance", (0, 0, 0)))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise WeightsError(
            f"Cannot read `{path.name}`, which turns ratings into probabilities: "
            f"{error!r}. Copy it beside `{weights.name}`; `hilum train malignancy` "
            "wrote it."
        ) from error
    known = (offset, first, second, third)
    if not (0 < slope < math.inf and all(map(math.isfinite, known))):
        raise WeightsError(
            f"`{path.name}` has slope {slope} and {known}; expected a slope above 0 "
            "and numbers. Train again."
        )
    return Calibration(slope, offset, (first, second, third))


def _check(found: Any) -> None:
    """Refuse what a network for another task gives."""
    if not isinstance(found, dict) or not set(_WANTED) <= set(found):
        raise WeightsError(
            f"The network gives no ratings; expected {', '.join(_WANTED)}. "
            "Is it a network for another task?"
        )


def _rating(
    found: Mapping[str, npt.NDArray[np.float32]], calibration: Calibration
) -> Rating:
    """Turn what the network gives of one nodule into a rating."""
    ratings = {name: _expected(found[name]) for name in _WANTED if name != "kind"}
    members = ratings.pop("malignancy")
    kinds = np.reshape(found["kind"], (-1, len(KIND_NAMES)))
    return Rating(
        malignancy=calibration.doubted(members),
        attributes=Attributes(
            **{name: round(float(r.mean()), 2) for name, r in ratings.items()}
        ),
        kind=int(kinds.mean(axis=0).argmax()),
    )


def _expected(thresholds: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Turn P(rating > 1), P(rating > 2), ... into (members,) expected ratings."""
    values = np.asarray(thresholds, dtype=np.float64)
    return np.asarray(1 + np.reshape(values, (-1, values.shape[-1])).sum(axis=-1))


def _probability(logit: float) -> float:
    """Give the probability of a logit, kept from certainty."""
    return _DOUBT + (1 - 2 * _DOUBT) / (1 + math.exp(min(-logit, 700)))
