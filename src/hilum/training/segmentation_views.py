"""What the segmentation network is trained on: random views with their answer.

A voxel of the answer is the share of it that the readers' mask fills, or -1 where
nobody knows. Where a small volume ends, its surroundings are made up by `surround`,
and there is no nodule in them. In some views the last slice goes on instead; what it
shows there is unknown, and does not count. So the network learns where nodules end
without learning that they end where volumes do.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from keras import ops

from hilum.datasets import NoduleCase, load_nodule
from hilum.errors import InputError
from hilum.findings import Point
from hilum.runtime.patches import cut_patch, sample
from hilum.space import Grid
from hilum.training.augment import (
    Variety,
    donor,
    random_grid,
    surround,
    thicken,
    vary_scan,
)
from hilum.volume import CTVolume, Mask

_STEPS = 1000
_UNKNOWN = -1.0
_EDGE_SLICES = 2


class NoduleViews:
    """Makes a random view of a case and the answer; as `hilum.training.fit` wants.

    Attributes:
        cases: The nodules.
        pieces: The volume and mask of each.
        variety: How far views go.
        repeated: Share of views in which the last slices go on.
    """

    def __init__(
        self,
        cases: Sequence[NoduleCase],
        pieces: Sequence[tuple[CTVolume, Mask]],
        *,
        variety: Variety,
        repeated: float,
        donors: Sequence[npt.NDArray[np.float32]] = (),
    ):
        """Take lung to surround nodules with, or look for it in the volumes.

        Volumes that all go on beyond their nodule do without.

        Raises:
            InputError: No volume has a slice of lung beyond its nodule, and some end
                with it.
        """
        self.cases, self.pieces = cases, pieces
        self.variety, self.repeated = variety, repeated
        found = (donor(volume, mask) for volume, mask in pieces)
        self.donors = list(donors) or [piece for piece in found if piece is not None]
        ends = any(mask.voxels[[0, -1]].any() for _, mask in pieces)
        if not self.donors and ends:
            raise InputError(
                f"None of {len(cases)} volumes has a slice of lung beyond its nodule, "
                "40 x 40 voxels or more. Cut some of them larger."
            )

    def __call__(self, case: int, rng: np.random.Generator) -> tuple[Any, Any]:
        """Give the HU of a view, (slice, row, column, 1), and its answer alike."""
        volume, mask = self.pieces[case]
        center, diameter = center_of(self.cases[case], mask), size_of(self.cases[case])
        if rng.uniform() < self.repeated:
            cells, grid = _with_unknown_ends(mask)
        else:
            if self.donors:
                volume, mask = surround(volume, mask, rng, donors=self.donors)
            cells, grid = mask.voxels.astype(np.int16) * _STEPS, mask.grid
        volume = thicken(volume, rng, self.variety.thick)
        patch = random_grid(center, diameter, rng, variety=self.variety)
        hu = vary_scan(cut_patch(volume, patch), rng, self.variety)
        answer = sample(cells, grid, patch).astype(np.float32)[..., None] / _STEPS
        return hu, np.where(answer < 0, np.float32(_UNKNOWN), answer)


def load_pieces(
    cases: Sequence[NoduleCase],
) -> tuple[tuple[CTVolume, Mask], ...]:
    """Read the volume and mask of each case."""
    return tuple(load_nodule(case) for case in cases)


def center_of(case: NoduleCase, mask: Mask) -> Point:
    """Give the centre that the table states, or else that of the mask."""
    if case.center_mm is not None:
        return case.center_mm
    middle = np.argwhere(mask.voxels).mean(axis=0)
    x, y, z = mask.grid.to_world(middle).tolist()
    return x, y, z


def size_of(case: NoduleCase) -> float:
    """Give the diameter that the table states, or else that of the mask."""
    return case.table_diameter_mm or case.diameter_mm


def outline_loss(answer: Any, found: Any) -> Any:
    """Compute 1 - Dice plus the cross-entropy, for each patch; -1 does not count.

    Args:
        answer: (batch, slice, row, column, 1), in [0, 1], or -1 for unknown.
        found: Probabilities of the same shape.

    Returns:
        (batch,).
    """
    axes = (1, 2, 3, 4)
    known = ops.cast(answer >= 0, "float32")
    answer = ops.maximum(answer, 0.0)
    found = ops.clip(found, 1e-6, 1 - 1e-6)
    both = ops.sum(known * found * answer, axes)
    total = ops.sum(known * (found + answer), axes)
    surprise = answer * ops.log(found) + (1 - answer) * ops.log(1 - found)
    mean = ops.sum(known * surprise, axes) / (ops.sum(known, axes) + 1)
    return 1 - (2 * both + 1) / (total + 1) - mean


def _with_unknown_ends(mask: Mask) -> tuple[npt.NDArray[np.int16], Grid]:
    """Say of the slices beyond a mask that nobody knows what is there."""
    count = _EDGE_SLICES
    cells = np.pad(
        mask.voxels.astype(np.int16) * _STEPS,
        ((count, count), (0, 0), (0, 0)),
        constant_values=-2 * _STEPS,
    )
    affine = mask.grid.affine.copy()
    affine[:3, 3] = mask.grid.to_world((-count, 0, 0))
    z, y, x = cells.shape
    return cells, Grid((z, y, x), affine)
