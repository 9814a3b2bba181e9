"""What malignancy is trained on: features, patches from several sides, targets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from hilum.datasets import NoduleCase, load_nodule
from hilum.features import FEATURES, Surroundings, features_of, surround
from hilum.features.patches import Patch, sample_patch
from hilum.findings import Candidate
from hilum.formats.atomic import replacing
from hilum.nn.models import RATING_CATEGORIES
from hilum.runtime.ratings import MARGIN_MM, PATCH_SIZE, PATCH_SPACING_MM
from hilum.stages.measure import segment_nodule
from hilum.training.turning import rotation
from hilum.volume import CTVolume, Mask

_TILT_DEG = 10.0
_SHIFT_MM = 1.2
_STRETCH = 0.1
_WALL_HU = -300
_WALL_MM3 = 150.0

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """Nodules, ready to be trained on; axis 1 is the source of the mask.

    Source 0 is the mask of the folder, 1 the one of `hilum.stages.measure`.

    Attributes:
        features: (n, 2, m).
        hu: (n, views + 2, slice, row, column) int16: the upright patches of both
            sources, then random views with the mask of the folder.
        depth: int16 of the same shape; see `hilum.features.patches.Patch`.
        volumes_mm3: (n, 2) volumes of the masks.
        overlap: (n,) Dice of the two masks.
    """

    features: Floats
    hu: npt.NDArray[np.int16]
    depth: npt.NDArray[np.int16]
    volumes_mm3: npt.NDArray[np.float64]
    overlap: npt.NDArray[np.float64]


def prepare(
    cases: Sequence[NoduleCase], cache: Path, *, views: int, seed: int
) -> Prepared:
    """Measure and sample all nodules, or read what was done before.

    Args:
        cases: With masks.
        cache: A .npz, written once.
        views: Random views of each nodule.
        seed: Of the views.
    """
    names = np.array([case.name for case in cases])
    key = np.array([*FEATURES, str(views), str(seed)])
    if cache.exists():
        with np.load(cache) as stored:
            if np.array_equal(stored["names"], names) and np.array_equal(
                stored["key"], key
            ):
                fields = Prepared.__dataclass_fields__
                return Prepared(*(stored[name] for name in fields))
    parts = [_prepare_one(c, n, views, seed) for n, c in enumerate(cases)]
    made = Prepared(*(np.stack(part) for part in zip(*parts, strict=True)))
    with replacing(cache) as file:
        np.savez(
            file,
            names=names,
            key=key,
            **{name: getattr(made, name) for name in Prepared.__dataclass_fields__},
        )
    return made


def automatic_mask(around: Surroundings, diameter_mm: float) -> Mask:
    """Outline a nodule that was cut out as `hilum.stages.measure` would.

    Tissue that hangs together outside the nodule and reaches the border is wall.

    Args:
        around: The nodule with its mask, which only tells where it is.
        diameter_mm: As a detector might give it.
    """
    near = ndimage.binary_dilation(around.inside)
    parts, _ = ndimage.label((around.hu > _WALL_HU) & ~near)
    sizes = np.bincount(parts.ravel()) * around.grid.voxel_mm3
    rim = np.ones(parts.shape, bool)
    rim[1:-1, 1:-1, 1:-1] = False
    walls = [p for p in np.unique(parts[rim]) if p and sizes[p] > _WALL_MM3]
    lungs: npt.NDArray[np.uint8] = (~np.isin(parts, walls)).astype(np.uint8)
    volume = CTVolume(around.hu, around.grid, "nodule")
    found = Candidate(around.center_mm, diameter_mm, 1.0)
    return segment_nodule(volume, found, Mask(lungs, around.grid))


def ordinal_targets(cases: Sequence[NoduleCase]) -> dict[str, Floats]:
    """Give P(rating > 1), P(rating > 2), ... of each rating; modes where no mean is.

    A mean of 3.25 counts as: above 1, above 2, and above 3 for a quarter.
    """
    targets = {}
    for name, categories in RATING_CATEGORIES.items():
        rated = np.array([rating_of(case, name) for case in cases])[:, None]
        targets[name] = np.clip(rated - np.arange(1, categories), 0, 1).astype("f4")
    return targets


def rating_of(case: NoduleCase, name: str) -> float:
    """Give the mean rating; else the mode, else the middle of the scale."""
    for known in (getattr(case.ratings, name), getattr(case.modes, name)):
        if known is not None:
            return float(known)
    return (1 + RATING_CATEGORIES[name]) / 2


def _prepare_one(
    case: NoduleCase, number: int, views: int, seed: int
) -> tuple[npt.NDArray[np.number], ...]:
    rng = np.random.default_rng((seed, number))
    around = surround(*load_nodule(case), margin_mm=MARGIN_MM)
    wide = surround(*load_nodule(case), margin_mm=2 * MARGIN_MM)
    size = case.diameter_mm * float(rng.uniform(0.85, 1.15))
    mask = automatic_mask(wide, max(size, 3.0))
    volume = CTVolume(wide.hu, wide.grid, "nodule")
    found = surround(volume, mask, margin_mm=MARGIN_MM)
    patches = [_upright(around), _upright(found)]
    patches += [_random_view(around, rng) for _ in range(views)]
    whole = np.zeros(wide.grid.shape, bool)
    first = np.rint(wide.grid.to_index(mask.grid.to_world((0, 0, 0)))).astype(int)
    box = tuple(slice(a, a + n) for a, n in zip(first, mask.grid.shape, strict=True))
    whole[box] = mask.voxels
    both = 2 * np.count_nonzero(whole & wide.inside)
    total = np.count_nonzero(whole) + np.count_nonzero(wide.inside)
    return (
        np.stack([features_of(around), features_of(found)]),
        np.stack([patch.hu for patch in patches]),
        np.stack([patch.depth for patch in patches]),
        np.array([wide.inside.sum(), whole.sum()]) * wide.grid.voxel_mm3,
        np.array(both / total),
    )


def _upright(around: Surroundings) -> Patch:
    return sample_patch(around, size=PATCH_SIZE, spacing_mm=PATCH_SPACING_MM)


def _random_view(around: Surroundings, rng: np.random.Generator) -> Patch:
    """Turn about the body's axis at will, tilt a little, shift and stretch."""
    turn = rotation(rng.uniform(0, 2 * np.pi), 0)
    for axis in (1, 2):
        turn = turn @ rotation(np.radians(rng.normal(0, _TILT_DEG)), axis)
    z, y, x = rng.uniform(-_SHIFT_MM, _SHIFT_MM, 3).tolist()
    return sample_patch(
        around,
        size=PATCH_SIZE,
        spacing_mm=PATCH_SPACING_MM * float(rng.uniform(1 - _STRETCH, 1 + _STRETCH)),
        rotation=turn,
        shift_mm=(z, y, x),
    )
