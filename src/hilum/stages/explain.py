"""Why the most suspicious nodules were rated as they were.

Rates nothing anew and changes nothing: it asks the network of `MalignancyModel` what
it would have said of other nodules. It is for the report, and costs time, so only the
first nodules are explained and fewer still are shown on the images.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hilum._threads import map_in_threads
from hilum.errors import InputError
from hilum.features import surround
from hilum.findings import Nodule
from hilum.runtime.explanation import (
    Array,
    Occlusion,
    occlude,
    read_typical,
    shares_of,
)
from hilum.runtime.predictor import load_predictor
from hilum.runtime.ratings import MARGIN_MM, PATCH_SIZE, PATCH_SPACING_MM, rating_inputs
from hilum.space import Grid
from hilum.volume import CTVolume, Mask


@dataclass(frozen=True, slots=True, eq=False)
class Heat:
    """What each place adds to a rating.

    Attributes:
        points: (slice, row, column) float32, in points of the rating; above 0 where
            what is there raises it.
        grid: Where the blocks are.
    """

    points: Array
    grid: Grid


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Explanation:
    """Why a nodule was rated as it was.

    Attributes:
        rating: The malignancy that readers would say, 1 to 5.
        typical: That of the typical nodule of the training set.
        shares: What added how many points: "size", "shape", "density",
            "surroundings" and "image"; their sum is `rating` less `typical`.
        heat: What each place in the patch adds, or None where it was not asked.
    """

    rating: float
    typical: float
    shares: dict[str, float]
    heat: Heat | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Explainer:
    """Explain malignancies.

    Attributes:
        weights: Those of `MalignancyModel`.
        most: How many nodules are explained, from the first on.
        shown: How many of them also place by place, which takes longest.
    """

    weights: str = "malignancy"
    most: int = 10
    shown: int = 2

    def __post_init__(self) -> None:
        """Refuse counts that are none."""
        if self.most < 0 or self.shown < 0:
            raise InputError(
                f"`most` and `shown` must be at least 0; got {self.most} and "
                f"{self.shown}."
            )

    def __call__(
        self, volume: CTVolume, nodules: Sequence[Nodule], masks: Sequence[Mask]
    ) -> tuple[Explanation | None, ...]:
        """Explain each nodule, in their order.

        Args:
            volume: The CT.
            nodules: The most suspicious first.
            masks: The voxels of each, on a part of the grid of the volume.

        Returns:
            One for each nodule; None where its malignancy is not known, from `most`
            on, and where the weights do not tell what is typical.

        Raises:
            WeightsError: The weights are absent, damaged or of another task.
        """
        if not nodules or not self.most:
            return (None,) * len(nodules)
        predict = load_predictor(self.weights)
        typical = read_typical(predict.path)
        found: list[Explanation | None] = [None] * len(nodules)
        if typical is None:
            return tuple(found)
        known = [
            number
            for number, nodule in enumerate(nodules[: self.most])
            if nodule.malignancy.value is not None
        ]
        sampled = map_in_threads(lambda n: rating_inputs(volume, masks[n]), known)
        for number, inputs in zip(known, sampled, strict=True):
            shares = shares_of(inputs, typical, predict)
            heat = None
            if number < self.shown:
                heat = _heat(occlude(inputs, predict), volume, masks[number])
            found[number] = Explanation(
                rating=typical.rating + sum(shares.values()),
                typical=typical.rating,
                shares=shares,
                heat=heat,
            )
        return tuple(found)


def _heat(found: Occlusion, volume: CTVolume, mask: Mask) -> Heat:
    """Place the blocks of a patch in the patient."""
    around = surround(volume, mask, margin_mm=MARGIN_MM)
    voxels = PATCH_SPACING_MM / np.array(around.spacing_mm)
    middle = np.argwhere(around.inside).mean(axis=0)
    corner = middle - (np.array(PATCH_SIZE) - 1) / 2 * voxels
    size = np.array(found.size)
    center = np.array(found.first) + (size - 1) / 2
    affine = around.grid.affine.copy()
    affine[:3, 3] = around.grid.to_world(corner + center * voxels)
    affine[:3, :3] = around.grid.affine[:3, :3] * (voxels * size)
    z, y, x = found.points.shape
    return Heat(found.points, Grid((z, y, x), affine, volume.grid.frame_uid))
