"""The trained detector: what a network marks, and the shape of what it marks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from hilum.space import FloatArray
from hilum.stages.nodules.marks import (
    SIZE_MULTIPLE,
    STRIDE,
    Float32Array,
    Marks,
    marks_of,
    padded,
)
from hilum.stages.nodules.region import Region

MARGIN_MM = 24.0
"""How much around the lungs the network sees."""

LEAST_CHANCE = 0.005
FAINTEST_DOT = 0.03
"""Strength of a dot where the filter finds none."""

MOST_VOXELS = 48_000_000
"""What is looked at in one go; a pair of lungs seldom has 40 million mm³ around it."""

SEEN_AROUND = 96
"""How far the network sees, in voxels, and a little more; a multiple of 16."""

LOOKED_AT_FROM = 0.05
LOOKED_AT_MOST = 24
"""Marks with at least this chance, and at most so many, get a second look."""

LARGEST_LOOKED_AT = 24.0
"""A mass fills what is seen then, so one look has to do."""

LOOK_EDGE = 48
"""Voxels along the edge of what is seen then."""

LOOK_BORDER = 2
"""Cells at its border that are not believed, for what lies beyond is not seen."""

_CLOSE_MM = 4.0


def network_marks(
    region: Region,
    predict: Callable[[Float32Array], Any],
    *,
    margin_mm: float,
    mirrored: bool,
) -> Marks:
    """Let the network look over a region, and look again at what it marks.

    Args:
        region: Cubic voxels of about 1 mm.
        predict: The network, see `hilum.nn.models.detectors.detection_net`.
        margin_mm: How far outside the lungs a centre may lie; that of a mass half
            its diameter, if that is more.
        mirrored: Look at the three mirror images of the surroundings of the marks as
            well, and take the mean.
    """
    hu = padded(region.hu)
    said = _in_slabs(hu, predict)
    if mirrored:
        said = _looked_again(hu[0], said, predict)
    marks = marks_of(said, region.hu.shape, least=LEAST_CHANCE)
    away = region.distance_mm()
    at = np.minimum((marks.index / 2).astype(int), np.array(away.shape) - 1)
    allowed = np.maximum(margin_mm, marks.diameter * region.grid.spacing_mm[0] / 2)
    return marks.kept(away[tuple(np.maximum(at, 0).T)] <= allowed)


def _in_slabs(hu: Float32Array, predict: Callable[[Float32Array], Any]) -> Float32Array:
    """Look over a region whole, or slab by slab where that would take much memory.

    Slabs overlap by as much as the network sees, so the answer is the same.

    Args:
        hu: (1, slice, row, column, 1).
        predict: The network.

    Returns:
        (slice / 4, row / 4, column / 4, 5).
    """
    slices = hu.shape[1]
    if hu.size <= MOST_VOXELS or slices <= SEEN_AROUND:
        whole: Float32Array = np.array(predict(hu), np.float32)[0]
        return whole
    fit = MOST_VOXELS // (hu.size // slices) - 2 * SEEN_AROUND
    step = max(fit // SIZE_MULTIPLE, 1) * SIZE_MULTIPLE
    parts = []
    for start in range(0, slices, step):
        low, high = max(start - SEEN_AROUND, 0), start + step + SEEN_AROUND
        found = np.array(predict(np.ascontiguousarray(hu[:, low:high])), np.float32)[0]
        first = (start - low) // STRIDE
        parts.append(found[first : first + step // STRIDE])
    return np.concatenate(parts)


def _looked_again(
    hu: Float32Array, said: Float32Array, predict: Callable[[Float32Array], Any]
) -> Float32Array:
    """Average what was said around the best marks with what mirror images say.

    Args:
        hu: (slice, row, column, 1).
        said: (slice / 4, row / 4, column / 4, 5) of the network.
        predict: The network.
    """
    shape = (hu.shape[0], hu.shape[1], hu.shape[2])
    marks = marks_of(said, shape, least=LOOKED_AT_FROM, most=2 * LOOKED_AT_MOST)
    small = np.flatnonzero(marks.diameter <= LARGEST_LOOKED_AT)[:LOOKED_AT_MOST]
    starts = _crops_around(marks.index[small], shape)
    if not len(starts):
        return said
    crops = np.stack([_crop(hu, start) for start in starts])
    total = np.zeros(said.shape[:3], np.float32)
    summed = np.zeros_like(said)
    inner = slice(LOOK_BORDER, -LOOK_BORDER)
    for axis in (1, 2, 3):
        found = np.array(predict(np.ascontiguousarray(np.flip(crops, axis))))
        found = np.flip(found, axis).astype(np.float32)
        found[..., axis] *= -1  # the place along a mirrored axis
        for start, cells in zip(starts, found, strict=True):
            box = tuple(
                slice(
                    a // STRIDE + LOOK_BORDER, (a + LOOK_EDGE) // STRIDE - LOOK_BORDER
                )
                for a in start.tolist()
            )
            summed[box] += cells[inner, inner, inner]
            total[box] += 1
    # where crops overlap, each view counts as often as there are crops
    views = total[..., None] / 3
    return np.asarray(
        np.where(views > 0, (said + summed / np.maximum(views, 1)) / 4, said),
        np.float32,
    )


def _crops_around(index: FloatArray, shape: Sequence[int]) -> npt.NDArray[np.int64]:
    """Place a crop around each mark, on the grid of the coarsest cells, once each."""
    starts = np.rint((index - LOOK_EDGE / 2) / SIZE_MULTIPLE) * SIZE_MULTIPLE
    last = np.array(shape) - LOOK_EDGE
    if not len(index) or (last < 0).any():  # smaller than a crop: one look is enough
        return np.zeros((0, 3), np.int64)
    return np.asarray(np.unique(np.clip(starts, 0, last).astype(np.int64), axis=0))


def _crop(hu: Float32Array, start: npt.NDArray[np.int64]) -> Float32Array:
    z, y, x = start.tolist()
    return hu[z : z + LOOK_EDGE, y : y + LOOK_EDGE, x : x + LOOK_EDGE]


def odds_with_dots(
    marks: Marks,
    dots_at: FloatArray,
    strength: FloatArray,
    *,
    even_strength: float,
    share: float,
) -> FloatArray:
    """Join what the network says with the shape that the dot filter sees.

    The logarithm of the odds: that of the network, and `share` times that of the
    strongest dot in the mark, or within 4 voxels, by the strength of an even one.

    Args:
        marks: Of the network.
        dots_at: (n, 3) centres of dots in voxels.
        strength: (n,) of them.
        even_strength: Of a dot that counts neither way.
        share: How much dots count.
    """
    chance = np.clip(marks.chance, 1e-6, 1 - 1e-6)
    found = np.full(len(chance), FAINTEST_DOT)
    for n, (index, diameter) in enumerate(
        zip(marks.index, marks.diameter, strict=True)
    ):
        gaps = np.linalg.norm(dots_at - index, axis=1)
        near = strength[gaps <= max(diameter / 2, _CLOSE_MM)]
        found[n] = max(FAINTEST_DOT, float(near.max())) if near.size else FAINTEST_DOT
    return np.asarray(
        np.log(chance / (1 - chance)) + share * np.log(found / even_strength)
    )
