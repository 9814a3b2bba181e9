"""From what the network says of each cell to marks: one for each nodule."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hilum.space import FloatArray, Index

STRIDE = 4
"""Voxels along each edge of a cell."""

SIZE_MULTIPLE = 16
"""Sizes that the network takes are multiples of this."""

LEAST_APART = 4.0
"""Marks whose middles are nearer than this many voxels are one."""

MOST_MARKS = 400
"""Fewer than ten a scan are nodules; the rest only costs time."""

_LONGEST = 80.0

Float32Array = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Marks:
    """Places that the network takes for nodules, the surest first.

    Attributes:
        index: (n, 3) middles (slice, row, column) in voxels.
        diameter: (n,) in voxels.
        chance: (n,) in [0, 1]; ranks, not calibrated.
    """

    index: FloatArray
    diameter: FloatArray
    chance: FloatArray

    def kept(self, which: npt.NDArray[np.bool_] | npt.NDArray[np.int64]) -> Marks:
        """Keep some of them."""
        return Marks(self.index[which], self.diameter[which], self.chance[which])

    def moved(self, by: Index) -> Marks:
        """Give the same marks where so many voxels (slice, row, column) come before."""
        return Marks(self.index + np.array(by), self.diameter, self.chance)


def padded(hu: npt.NDArray[np.int16], first: Index = (0, 0, 0)) -> Float32Array:
    """Bring a region to sizes that the network takes; its outermost voxels go on.

    Args:
        hu: (slice, row, column).
        first: Voxels to add before each axis.

    Returns:
        (1, slice, row, column, 1) float32.
    """
    more = [(f, -(f + n) % SIZE_MULTIPLE) for f, n in zip(first, hu.shape, strict=True)]
    return np.pad(hu, more, mode="edge").astype(np.float32)[None, ..., None]


def marks_of(
    output: Float32Array,
    shape: Index,
    *,
    least: float,
    most: int = MOST_MARKS,
    first: Index = (0, 0, 0),
) -> Marks:
    """Find the cells that stand out, and say where in them nodules are.

    A cell stands out that is surer than its 26 neighbours. Of marks within the
    radius of a surer one, or `LEAST_APART`, only that one stays.

    Args:
        output: (slice, row, column, 5) as `hilum.nn.models.detection_net` gives it.
        shape: Of the region in voxels; marks beyond it fall away.
        least: Chances below it are no marks.
        most: How many are given at most, the surest.
        first: Voxels that were added before the region; marks in them fall away.
    """
    from scipy import ndimage  # noqa: PLC0415  slow to import

    chance = output[..., 0]
    top = ndimage.maximum_filter(chance, 3, mode="constant")
    cells = np.argwhere((chance == top) & (chance >= least))
    said = output[tuple(cells.T)].astype(np.float64)
    index = cells * STRIDE + (STRIDE - 1) / 2 + STRIDE * np.clip(said[:, 1:4], -1, 1)
    index -= np.array(first)
    inside = ((index >= -0.5) & (index < np.array(shape) - 0.5)).all(axis=1)
    order = np.flatnonzero(inside)[np.argsort(-said[inside, 0], kind="stable")]
    diameter = np.exp(np.clip(said[:, 4], 0, np.log(_LONGEST)))
    return _apart(Marks(index[order], diameter[order], said[order, 0]), most)


def _apart(marks: Marks, most: int) -> Marks:
    """Drop marks that lie in surer ones, and those after so many."""
    kept: list[int] = []
    for n in range(len(marks.index)):
        gaps = np.linalg.norm(marks.index[kept] - marks.index[n], axis=1)
        if (gaps > np.maximum(marks.diameter[kept] / 2, LEAST_APART)).all():
            kept.append(n)
        if len(kept) == most:
            break
    return marks.kept(np.array(kept, dtype=np.int64))
