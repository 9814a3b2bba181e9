"""Random views of a nodule, as another scanner or another breath might show it.

A view is a patch laid at random: shifted as detectors err, turned about the body's
axis and a little about the others, mirrored, stretched by a tenth. Then the scan
varies: level and noise, and slices as thick as two or three of the thin ones.

Small volumes of one nodule often end with the nodule. `surround` adds the lung that
was cut off: their last slices without the nodule, which is replaced by a piece of
lung from another such volume and fades out as partial volume does.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from hilum.findings import Point
from hilum.runtime.patches import PATCH_SHAPE, patch_grid
from hilum.settings import check_ranges
from hilum.space import Grid, Index
from hilum.training.turning import rotation
from hilum.volume import CTVolume, Mask

_AIR_HU = (-1000, -500)
_USUAL_LUNG_HU = -850.0
_BLANK_MM = 1.5
_DONOR_SIDE = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Variety:
    """How far random views may go.

    Attributes:
        shift_mm: Off the centre, at most.
        size: The diameter is off by this share, at most.
        tilt_deg: About the axes across the body; about its axis any angle.
        stretch: Of each axis, by this share at most.
        level_hu: Standard deviation of the shift of all HU.
        noise_hu: Standard deviation of the noise, at most.
        thick: Share of views of thin slices that are averaged to thick ones.
    """

    shift_mm: float = 2.0
    size: float = 0.2
    tilt_deg: float = 15.0
    stretch: float = 0.1
    level_hu: float = 15.0
    noise_hu: float = 40.0
    thick: float = 0.3

    def __post_init__(self) -> None:
        """Refuse views that show nothing."""
        check_ranges(
            self,
            {
                "shift_mm": (0, 1000),
                "size": (0, 0.99),
                "tilt_deg": (0, 360),
                "stretch": (0, 0.99),
                "level_hu": (0, 1000),
                "noise_hu": (0, 1000),
                "thick": (0, 1),
            },
        )


def random_grid(
    center_mm: Point,
    diameter_mm: float,
    rng: np.random.Generator,
    *,
    variety: Variety,
    shape: Index = PATCH_SHAPE,
) -> Grid:
    """Lay a patch at random around a nodule.

    Args:
        center_mm: World point (x, y, z).
        diameter_mm: Of the nodule.
        rng: Where the randomness comes from.
        variety: How far to go.
        shape: Voxels along (slice, row, column).
    """
    way = rng.normal(size=3)
    way *= variety.shift_mm * rng.uniform() / max(float(np.linalg.norm(way)), 1e-9)
    size = diameter_mm * rng.uniform(1 - variety.size, 1 + variety.size)
    grid = patch_grid((0.0, 0.0, 0.0), size, shape)
    turn = rotation(math.radians(rng.uniform(0, 360)), 2)
    for axis in (0, 1):
        tilt = math.radians(rng.uniform(-1, 1) * variety.tilt_deg)
        turn = rotation(tilt, axis) @ turn
    stretch = rng.uniform(1 - variety.stretch, 1 + variety.stretch, 3)
    mirror = rng.choice((-1.0, 1.0), 3)
    affine = np.eye(4)
    affine[:3] = turn @ np.diag(stretch * mirror) @ grid.affine[:3]
    affine[:3, 3] += np.array(center_mm) + way
    return Grid(shape, affine)


def vary_scan(
    hu: npt.NDArray[np.float32], rng: np.random.Generator, variety: Variety
) -> npt.NDArray[np.float32]:
    """Shift all HU, and add noise that is white or has the grain of smooth kernels."""
    noise = rng.standard_normal(hu.shape, dtype=np.float32)
    if rng.uniform() < 0.5:
        noise = ndimage.gaussian_filter(noise, (0, 0.7, 0.7), axes=(0, 1, 2))
        noise /= noise.std()
    shift = np.float32(rng.normal(0, variety.level_hu))
    return hu + shift + noise * np.float32(rng.uniform(0, variety.noise_hu))


def thicken(volume: CTVolume, rng: np.random.Generator, share: float) -> CTVolume:
    """Average neighbouring slices, in this share of the volumes of thin slices."""
    spacing = volume.grid.spacing_mm[0]
    if spacing > 1.5 or rng.uniform() >= share:
        return volume
    slices = int(rng.integers(2, max(3, int(2.6 / spacing) + 1)))
    hu = ndimage.uniform_filter1d(volume.hu.astype(np.float32), slices, axis=0)
    return CTVolume(np.rint(hu).astype(np.int16), volume.grid, volume.series_uid)


def donor(volume: CTVolume, mask: Mask) -> npt.NDArray[np.float32] | None:
    """Take a piece of lung from a slice beyond the nodule, if there is one.

    Returns:
        (row, column) HU above the level of that lung, or None where no slice is free
        of the nodule or no lung in its middle.
    """
    for end in (0, -1):
        piece = volume.hu[end].astype(np.float32)
        if mask.voxels[end].any() or min(piece.shape) < _DONOR_SIDE:
            continue
        y, x = ((n - _DONOR_SIDE) // 2 for n in piece.shape)
        piece = piece[y : y + _DONOR_SIDE, x : x + _DONOR_SIDE]
        quarter = _DONOR_SIDE // 4
        if np.mean(piece[quarter:-quarter, quarter:-quarter] < _AIR_HU[1]) > 0.9:
            return np.asarray(piece - np.median(piece), dtype=np.float32)
    return None


def surround(
    volume: CTVolume,
    mask: Mask,
    rng: np.random.Generator,
    *,
    reach_mm: float = 5.0,
    donors: Sequence[npt.NDArray[np.float32]],
) -> tuple[CTVolume, Mask]:
    """Add slices beyond both ends, as the scan might have gone on.

    Args:
        volume: Ends with the nodule, or near it.
        mask: Of the nodule.
        rng: Where the randomness comes from.
        reach_mm: How far to go; the last slice may be repeated from there.
        donors: Pieces of lung out of `donor`; at least one.

    Returns:
        The volume with more slices, and the mask, which is empty there.
    """
    count = math.ceil(reach_mm / volume.grid.spacing_mm[0])
    mirrored = rng.uniform() < 0.5
    fade = rng.uniform(0, 0.4)
    parts = []
    for end in (0, -1):
        piece = donors[int(rng.integers(len(donors)))]
        piece = np.rot90(piece, int(rng.integers(4)))
        parts.append(
            [
                _beyond(volume, mask, end, step if mirrored else 0, piece, fade**step)
                for step in range(1, count + 1)
            ]
        )
    extra = np.array([parts[0][::-1], parts[1]])
    extra += rng.normal(0, 8, extra.shape)
    hu = np.concatenate([extra[0], volume.hu, extra[1]])
    affine = volume.grid.affine.copy()
    affine[:3, 3] = volume.grid.to_world((-count, 0, 0))
    z, y, x = hu.shape
    grid = Grid((z, y, x), affine)
    cells = np.zeros(hu.shape, bool)
    cells[count:-count] = mask.voxels > 0
    longer = CTVolume(np.rint(hu).astype(np.int16), grid, volume.series_uid)
    return longer, Mask(cells, grid)


def _beyond(
    volume: CTVolume,
    mask: Mask,
    end: int,
    step: int,
    piece: npt.NDArray[np.float32],
    left: float,
) -> npt.NDArray[np.float64]:
    """Take a slice near an end and replace the nodule by lung, but for what is left."""
    last = volume.grid.shape[0] - 1
    at = min(max(step - 1, 0), last)
    at = at if end == 0 else last - at
    hu, inside = volume.hu[at].astype(np.float64), mask.voxels[at] > 0
    if not inside.any():
        return np.asarray(hu, dtype=np.float64)
    spacing = volume.grid.spacing_mm[1]
    far = ndimage.distance_transform_edt(~inside) * spacing
    weight = np.clip(1.5 - far / _BLANK_MM, 0, 1) * (1 - left)
    air = hu[(hu > _AIR_HU[0]) & (hu < _AIR_HU[1])]
    level = float(np.median(air)) if air.size > 30 else _USUAL_LUNG_HU
    rows, columns = (
        np.abs((np.arange(n) + int(m)) % (2 * _DONOR_SIDE - 2) - _DONOR_SIDE + 1)
        for n, m in zip(hu.shape, _middle_shift(inside), strict=True)
    )
    lung = level + piece[np.ix_(rows, columns)]
    return np.asarray(weight * lung + (1 - weight) * hu, dtype=np.float64)


def _middle_shift(inside: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """Shift a mirrored tiling so that the middle of a donor meets the nodule."""
    middle = np.argwhere(inside).mean(axis=0)
    return np.asarray(np.rint(_DONOR_SIDE * 1.5 - 1 - middle), dtype=np.int64)
