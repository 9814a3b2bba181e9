"""Why a network rates a nodule as it does, found by taking away.

Two questions are put to the network itself, nothing is guessed from its weights:

- **Which facts count?** The features of a group (size, shape, density, surroundings)
  are set to those of a typical nodule, for every choice of groups. What a group adds
  is its Shapley value, so the shares add up to the rating less the typical one.
- **Which places count?** A block of the patch is blanked, as if lung were there, and
  the rating is asked for again. What it lost, the block had added.

Both are in points of the rating that readers would give, 1 to 5, and both say what
the *network* makes of the nodule, not what is true of it.

Sources:
    Zeiler and Fergus, "Visualizing and Understanding Convolutional Networks",
    ECCV 2014, arXiv:1311.2901, section 4.2 (occlusion).
    Lundberg and Lee, "A Unified Approach to Interpreting Model Predictions", NeurIPS
    2017, arXiv:1705.07874, equation 4 (Shapley values of groups of inputs).
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hilum.errors import WeightsError
from hilum.features import FEATURES
from hilum.features.groups import GROUPS, members_of
from hilum.features.patches import BLANK_HU
from hilum.space import Index

Array = npt.NDArray[np.float32]
Inputs = Mapping[str, Array]
Predict = Callable[[Any], Any]

IMAGE = "image"
"""The share of what the network sees in the patch, beside those of `GROUPS`."""

BLOCKS = 3
"""Blocks along each axis of the part of a patch that shows something."""

_SHOWS_HU = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class Typical:
    """The typical nodule of those that a network was trained on.

    Attributes:
        features: (87,) the median of each, in the order of `FEATURES`.
        rating: What the network expects of such features, on the average over the
            patches of those nodules.
    """

    features: Array
    rating: float


@dataclass(frozen=True, slots=True, eq=False)
class Occlusion:
    """What each block of a patch adds to a rating.

    Attributes:
        first: The first voxel (slice, row, column) of the first block.
        size: Voxels of a block along each axis.
        points: (slice, row, column) of blocks, float32; above 0 where what is there
            raises the rating.
    """

    first: Index
    size: Index
    points: Array


def expected_rating(found: Any) -> npt.NDArray[np.float64]:
    """Give the malignancy that readers would say, averaged over the networks.

    Args:
        found: What a network of ratings gives: "malignancy" (batch, members, 4), or
            (batch, 4), is P(rating > 1) to P(rating > 4).

    Returns:
        (batch,) from 1 to 5.

    Raises:
        WeightsError: The network gives no malignancy.
    """
    if not isinstance(found, dict) or "malignancy" not in found:
        raise WeightsError(
            "The network gives no malignancy, so there is nothing to explain. "
            "Is it a network for another task?"
        )
    shares = np.asarray(found["malignancy"], dtype=np.float64)
    members = shares.reshape(len(shares), -1, shares.shape[-1])
    return np.asarray(1 + members.sum(axis=-1).mean(axis=-1))


def shares_of(inputs: Inputs, typical: Typical, predict: Predict) -> dict[str, float]:
    """Tell how many points each group of features, and the image, add to a rating.

    Args:
        inputs: Of one nodule, out of `rating_inputs`.
        typical: What the groups are compared with.
        predict: The network.

    Returns:
        Each of `GROUPS` and `IMAGE` to points; their sum is the rating of the nodule
        less `typical.rating`. A group that is already typical adds 0.

    Raises:
        WeightsError: The network is one for another task.
    """
    own = np.asarray(inputs["features"], np.float32)[0]
    members = np.stack([members_of(group) for group in GROUPS])
    chosen = np.array(list(product((False, True), repeat=len(GROUPS))))
    kept = (chosen[:, :, None] & members).any(axis=1)
    rows = np.where(kept, own, typical.features).astype(np.float32)
    found = predict({**inputs, "features": rows})
    rating = dict(zip(map(tuple, chosen.tolist()), expected_rating(found), strict=True))
    shares = {
        group: _shapley(rating, number, len(GROUPS))
        for number, group in enumerate(GROUPS)
    }
    shares[IMAGE] = float(rating[(False,) * len(GROUPS)]) - typical.rating
    return shares


def occlude(inputs: Inputs, predict: Predict, *, blocks: int = BLOCKS) -> Occlusion:
    """Tell how many points each block of the patch adds to a rating.

    Blocks in which nothing is shown add 0 and cost nothing.

    Args:
        inputs: Of one nodule, out of `rating_inputs`.
        predict: The network.
        blocks: Along each axis, at least 1.

    Raises:
        WeightsError: The network is one for another task.
    """
    hu, mask = (np.asarray(inputs[name], np.float32) for name in ("hu", "mask"))
    shown = (np.abs(hu[0, ..., 0] - BLANK_HU) > _SHOWS_HU) | (mask[0, ..., 0] > 0)
    first, size = _boxes(shown, blocks)
    points = np.zeros((blocks,) * 3, np.float32)
    parts = {
        place: part
        for place in np.ndindex(points.shape)
        if shown[part := _part(place, first, size)].any()
    }
    several = {
        "features": np.repeat(inputs["features"], len(parts) + 1, axis=0),
        "hu": np.repeat(hu, len(parts) + 1, axis=0),
        "mask": np.repeat(mask, len(parts) + 1, axis=0),
    }
    for number, part in enumerate(parts.values(), start=1):
        several["hu"][number][part] = BLANK_HU
        several["mask"][number][part] = 0.0
    rating = expected_rating(predict(several))
    for place, without in zip(parts, rating[1:], strict=True):
        points[place] = rating[0] - without
    return Occlusion(first, size, points)


def read_typical(weights: Path) -> Typical | None:
    """Read what lies beside weights as NAME.typical.json.

    Args:
        weights: The `.keras` or `.xml` file.

    Returns:
        None where there is no such file: then nothing can be explained.

    Raises:
        WeightsError: It is damaged, or of other features.
    """
    path = weights.with_suffix(".typical.json")
    if not path.is_file():
        return None
    try:
        tree = json.loads(path.read_text(encoding="utf-8"))
        features = np.array([tree["features"][name] for name in FEATURES], np.float32)
        rating = float(tree["rating"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise WeightsError(
            f"Cannot read `{path.name}`, which tells the typical nodule: {error!r}. "
            f"Copy it beside `{weights.name}`; `hilum train malignancy` wrote it."
        ) from error
    if not (np.isfinite(features).all() and 1 <= rating <= 5):
        raise WeightsError(
            f"`{path.name}` has a rating of {rating} and features that must be finite; "
            "expected 1 to 5. Train again."
        )
    return Typical(features, rating)


def _shapley(rating: Mapping[tuple[bool, ...], float], player: int, n: int) -> float:
    """Average what one player adds, over all orders in which they could come."""
    total = 0.0
    for others in product((False, True), repeat=n - 1):
        without = (*others[:player], False, *others[player:])
        having = (*others[:player], True, *others[player:])
        k = sum(others)
        weight = math.factorial(k) * math.factorial(n - k - 1) / math.factorial(n)
        total += weight * float(rating[having] - rating[without])
    return total


def _boxes(shown: npt.NDArray[np.bool_], blocks: int) -> tuple[Index, Index]:
    """Lay blocks of one size over what is shown, in its middle."""
    first, size = [], []
    for axis in range(3):
        others = tuple(a for a in range(3) if a != axis)
        at = np.flatnonzero(shown.any(axis=others))
        low, high = (int(at[0]), int(at[-1]) + 1) if len(at) else (0, shown.shape[axis])
        side = -(-(high - low) // blocks)
        size.append(side)
        first.append(low - (side * blocks - (high - low)) // 2)
    return (first[0], first[1], first[2]), (size[0], size[1], size[2])


def _part(place: tuple[int, ...], first: Index, size: Index) -> tuple[slice, ...]:
    """Give the voxels of a block; where it leaves the patch, fewer."""
    return tuple(
        slice(max(a + n * s, 0), max(a + (n + 1) * s, 0))
        for n, a, s in zip(place, first, size, strict=True)
    )
