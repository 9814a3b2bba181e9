"""The voxels of a nodule, from the patch that the network sees of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt

from hilum._threads import map_in_threads
from hilum.errors import InputError
from hilum.findings import Point
from hilum.runtime.patches import cut_patch, patch_grid, sample
from hilum.space import Grid, Index
from hilum.volume import CTVolume, Mask

Probabilities = npt.NDArray[np.float32]

_STEPS = 10_000
"""Probabilities are resampled as whole numbers of this fineness."""

_NEAR_MM = 3.0
_BATCH = 8


def outline_nodule(
    volume: CTVolume,
    center_mm: Point,
    diameter_mm: float,
    *,
    predict: Callable[[Any], Any],
    mirrored: int = 4,
    threshold: float = 0.5,
) -> Mask:
    """Tell which voxels a nodule fills.

    Args:
        volume: The scan, or a part of it.
        center_mm: World point (x, y, z) in the nodule, 2 mm off at most.
        diameter_mm: Of the nodule, about.
        predict: The segmentation network: (batch, slice, row, column, 1) HU to
            probabilities of the same shape.
        mirrored: Average over this many mirrored views, 1 to 8.
        threshold: Least probability of a voxel.

    Returns:
        The voxels, on the part of the volume's grid that the patch covers; none, if
        the network sees no nodule.

    Raises:
        InputError: The centre lies outside the volume, or the diameter is not above 0.
    """
    found, box = nodule_probabilities(
        volume, center_mm, diameter_mm, predict=predict, mirrored=mirrored
    )
    return Mask(central_part(found > threshold, box, center_mm, diameter_mm), box)


def nodule_probabilities(
    volume: CTVolume,
    center_mm: Point,
    diameter_mm: float,
    *,
    predict: Callable[[Any], Any],
    mirrored: int = 4,
) -> tuple[Probabilities, Grid]:
    """Tell how probable it is of each voxel that a nodule fills it.

    Args:
        volume: The scan, or a part of it.
        center_mm: World point (x, y, z) in the nodule, 2 mm off at most.
        diameter_mm: Of the nodule, about.
        predict: The segmentation network, as for `outline_nodule`.
        mirrored: Average over this many mirrored views, 1 to 8.

    Returns:
        (slice, row, column), and the part of the volume's grid that they lie on.

    Raises:
        InputError: The centre lies outside the volume, or the diameter is not above 0.
    """
    place = center_mm, diameter_mm
    return probabilities_of(volume, [place], predict=predict, mirrored=mirrored)[0]


def probabilities_of(
    volume: CTVolume,
    places: Sequence[tuple[Point, float]],
    *,
    predict: Callable[[Any], Any],
    mirrored: int = 1,
) -> list[tuple[Probabilities, Grid]]:
    """Tell the same of several nodules at once, which takes less time.

    Args:
        volume: The scan, or a part of it.
        places: Centre and diameter of each, as for `nodule_probabilities`.
        predict: The segmentation network.
        mirrored: Average over this many mirrored views, 1 to 8.

    Returns:
        As `nodule_probabilities`, in the order of the places.

    Raises:
        InputError: As there.
    """
    for center_mm, diameter_mm in places:
        _check(volume.grid, center_mm, diameter_mm)
    grids = [patch_grid(center_mm, diameter_mm) for center_mm, diameter_mm in places]
    views = map_in_threads(
        lambda grid: mirror_views(cut_patch(volume, grid), mirrored), grids
    )
    answers = [
        answer
        for first in range(0, len(views), _BATCH)
        for answer in _split(
            predict(np.concatenate(views[first : first + _BATCH])), mirrored
        )
    ]
    return map_in_threads(
        lambda pair: _on_voxels(average_views(pair[1]), pair[0], volume.grid),
        list(zip(grids, answers, strict=True)),
        work=lambda pair: pair[0].voxel_mm3,  # of large ones there is more to resample
    )


def _on_voxels(
    mean: Probabilities, grid: Grid, scan: Grid
) -> tuple[Probabilities, Grid]:
    """Bring what is said of a patch to the voxels of the scan that it covers."""
    box = _covered(scan, grid)
    chances = sample(np.rint(mean * _STEPS).astype(np.int16), grid, box)
    return chances.astype(np.float32) / np.float32(_STEPS), box


def central_part(
    inside: npt.NDArray[np.bool_], grid: Grid, center_mm: Point, diameter_mm: float
) -> npt.NDArray[np.bool_]:
    """Keep the part with the most voxels near a point; the largest if none is near.

    Args:
        inside: (slice, row, column), voxels that may be nodule.
        grid: Where they lie.
        center_mm: World point (x, y, z).
        diameter_mm: Near is within half of it, and within 3 mm.
    """
    import cc3d  # noqa: PLC0415  slow to import

    parts = cc3d.connected_components(inside, connectivity=26)
    count = int(parts.max())
    if count <= 1:
        return inside
    off = grid.to_world(np.argwhere(inside)) - np.array(center_mm)
    near = np.linalg.norm(off, axis=1) <= max(diameter_mm / 2, _NEAR_MM)
    voxels = parts[inside]
    counts = np.bincount(voxels, near + 1e-6, minlength=count + 1)
    return np.asarray(parts == counts[1:].argmax() + 1)


def mirror_views(patch: Probabilities, count: int) -> Probabilities:
    """Stack a patch with its mirror images.

    Args:
        patch: (slice, row, column, 1).
        count: 1 for the patch alone, to 8.

    Returns:
        (count, slice, row, column, 1).
    """
    return np.stack([np.flip(patch, axes) for axes in _axes(count)])


def average_views(views: Probabilities) -> Probabilities:
    """Mirror the answers back and average them.

    Args:
        views: (count, slice, row, column, 1), in the order of `mirror_views`.

    Returns:
        (slice, row, column).
    """
    turned = [np.flip(v, a) for v, a in zip(views, _axes(len(views)), strict=True)]
    return np.asarray(np.mean(turned, axis=0)[..., 0], dtype=np.float32)


def _split(answers: Probabilities, count: int) -> list[Probabilities]:
    """Part a batch into the views of each nodule."""
    return [answers[n : n + count] for n in range(0, len(answers), count)]


def _check(grid: Grid, center_mm: Point, diameter_mm: float) -> None:
    """Refuse a nodule without size, or outside the volume."""
    if not (np.isfinite(diameter_mm) and diameter_mm > 0):
        raise InputError(
            f"Nodule has diameter {diameter_mm} mm; expected a number above 0."
        )
    if not grid.contains(center_mm):
        raise InputError(
            f"Nodule at {tuple(center_mm)} mm lies outside the volume. "
            "Is it of another series?"
        )


def _axes(count: int) -> list[tuple[int, ...]]:
    """List which axes to mirror; those across the body first."""
    choices = [(x, y, z) for z, y, x in product((0, 1), repeat=3)]
    named = [tuple(2 - n for n, flip in enumerate(c) if flip) for c in choices]
    return named[:count]


def _covered(have: Grid, patch: Grid) -> Grid:
    """Find the voxels of a grid whose centres lie in an upright patch."""
    low = have.to_index(patch.to_world((-0.5, -0.5, -0.5)))
    high = have.to_index(patch.to_world(np.array(patch.shape) - 0.5))
    first, last = np.minimum(low, high), np.maximum(low, high)
    last_index = np.array(have.shape) - 1
    start = np.clip(np.ceil(first), 0, last_index).astype(int).tolist()
    stop = (np.clip(np.floor(last), start, last_index).astype(int) + 1).tolist()
    return have.crop(_index(start), _index(stop))


def _index(values: list[int]) -> Index:
    return values[0], values[1], values[2]
