"""The trained detector: what a network marks in a scan, at a first and second look."""

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
from hilum.volume import CTVolume, Mask

NETWORK_VOXEL_MM = 1.0
"""What networks are trained on."""

MARGIN_MM = 24.0
"""How much around the lungs the network sees."""

NO_LUNGS = "No lungs are found in it. Is it a chest CT?"

LEAST_CHANCE = 0.005

MOST_VOXELS = 48_000_000
"""What is looked at in one go; a pair of lungs seldom has 40 million mm³ around it."""

SEEN_AROUND = 96
"""How far the network sees, in voxels, and a little more; a multiple of 16."""

LOOKED_AT_FROM = 0.1
LOOKED_AT_MOST = 32
LOOK_RAMP = 0.5
"""Of the `MOST_MARKS` surest marks, of at least this chance, so many of those near the
lungs get a second look, the best by their odds. It counts in full for those whose
logarithm of the odds is by the ramp above that of the first that gets none."""

LARGEST_LOOKED_AT = 24.0
"""A mass fills what is seen then, so one look has to do."""

LOOK_EDGE = 48
"""Voxels along the edge of what is seen then."""

LOOK_AROUND = 1
"""Cells on each side of a mark that the second look may change."""


def network_region(volume: CTVolume, lungs: Mask) -> Region | None:
    """Cut out what the network sees of a scan; None without lungs.

    Args:
        volume: The CT, of any slice spacing.
        lungs: On its grid.

    Raises:
        InputError: The mask is not on the grid of the volume.
    """
    return Region.cut(
        volume, lungs, voxel_mm=NETWORK_VOXEL_MM, margin_mm=MARGIN_MM, anchored=True
    )


def network_marks(
    region: Region,
    predict: Callable[[Float32Array], Any],
    *,
    margin_mm: float,
    odds_of: Callable[[Marks], FloatArray] | None = None,
) -> Marks:
    """Let the network look over a region, and look again at what it marks.

    The network's coarsest cells are counted from the region's anchor, so that where
    it begins does not matter.

    Args:
        region: Cubic voxels of about 1 mm.
        predict: The network, see `hilum.nn.models.detectors.detection_net`.
        margin_mm: How far outside the lungs a centre may lie; that of a mass half
            its diameter, if that is more.
        odds_of: Logarithm of the odds of each mark, by all that is known of it. The
            network looks at the three mirror images of the surroundings of the best as
            well, and the mean counts; None for one look.
    """
    anchor = region.grid.nearest_index(region.anchor_mm)
    z, y, x = (-n % SIZE_MULTIPLE for n in anchor)
    hu = padded(region.hu, (z, y, x))
    said = _in_slabs(hu, predict)
    if odds_of is not None:
        marks = marks_of(said, region.hu.shape, least=LOOKED_AT_FROM, first=(z, y, x))
        marks = _near_lungs(marks, region, margin_mm)
        marks = marks.kept(marks.diameter <= LARGEST_LOOKED_AT)
        odds = odds_of(marks)
        said = _looked_again(hu[0], said, marks.moved((z, y, x)), odds, predict)
    marks = marks_of(said, region.hu.shape, least=LEAST_CHANCE, first=(z, y, x))
    return _near_lungs(marks, region, margin_mm)


def _near_lungs(marks: Marks, region: Region, margin_mm: float) -> Marks:
    """Keep the marks that lie where a centre may."""
    away = region.distance_mm
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
    hu: Float32Array,
    said: Float32Array,
    marks: Marks,
    odds: FloatArray,
    predict: Callable[[Float32Array], Any],
) -> Float32Array:
    """Average what was said around the best marks with what mirror images say.

    The mean counts the more, the better a mark was at first sight, so that one that is
    looked at again only just does not differ from one that only just is not.

    Args:
        hu: (slice, row, column, 1).
        said: (slice / 4, row / 4, column / 4, 5) of the network.
        marks: In it, counted in voxels of `hu`.
        odds: (n,) logarithm of the odds of each.
        predict: The network.
    """
    order = np.argsort(-odds, kind="stable")
    best, rest = order[:LOOKED_AT_MOST], order[LOOKED_AT_MOST:]
    starts = _crops_around(marks.index[best], (hu.shape[0], hu.shape[1], hu.shape[2]))
    if not len(starts):
        return said
    places, which = np.unique(starts, axis=0, return_inverse=True)
    crops = np.stack([_crop(hu, place) for place in places])
    views = np.zeros((len(places), *(LOOK_EDGE // STRIDE,) * 3, 5), np.float32)
    for axis in (1, 2, 3):
        found = np.array(predict(np.ascontiguousarray(np.flip(crops, axis))))
        found = np.flip(found, axis).astype(np.float32)
        found[..., axis] *= -1  # the place along a mirrored axis
        views += found
    shares = np.ones(len(best))
    if rest.size:
        shares = np.clip((odds[best] - odds[rest[0]]) / LOOK_RAMP, 0, 1)
    out = said.copy()
    best_last = zip(
        marks.index[best], shares.tolist(), starts, views[which.ravel()], strict=True
    )
    for index, share, start, seen in reversed(list(best_last)):
        whole, part = _cells_around(index, start // STRIDE)
        mean = (said[whole] + seen[part]) / 4
        out[whole] = share * mean + (1 - share) * said[whole]
    return out


def _cells_around(
    index: FloatArray, first: npt.NDArray[np.int64]
) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """Find the cells that a second look at a mark may change: of all, and of its crop.

    Args:
        index: (3,) the mark in voxels.
        first: (3,) the first cell of the crop.
    """
    cell = np.floor((index + 0.5) / STRIDE).astype(int)
    low = np.maximum(cell - LOOK_AROUND, first)
    high = np.minimum(cell + LOOK_AROUND + 1, first + LOOK_EDGE // STRIDE)
    whole = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    part = tuple(slice(a, b) for a, b in zip(low - first, high - first, strict=True))
    return whole, part


def _crops_around(index: FloatArray, shape: Sequence[int]) -> npt.NDArray[np.int64]:
    """Place a crop around each mark, on the grid of the coarsest cells."""
    starts = np.rint((index - LOOK_EDGE / 2) / SIZE_MULTIPLE) * SIZE_MULTIPLE
    last = np.array(shape) - LOOK_EDGE
    if not len(index) or (last < 0).any():  # smaller than a crop: one look is enough
        return np.zeros((0, 3), np.int64)
    return np.asarray(np.clip(starts, 0, last).astype(np.int64))


def _crop(hu: Float32Array, start: npt.NDArray[np.int64]) -> Float32Array:
    z, y, x = start.tolist()
    return hu[z : z + LOOK_EDGE, y : y + LOOK_EDGE, x : x + LOOK_EDGE]
