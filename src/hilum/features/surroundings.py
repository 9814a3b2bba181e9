"""A nodule with room around it, also where its volume ends with it.

Where the volume ends, its last slice goes on, without the nodule: its voxels there,
and those within 3 mm, take the level of the lung. So neither the features nor a
patch tell how much of the scan there was.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from hilum.errors import InputError
from hilum.space import FloatArray, Grid, Spacing
from hilum.volume import CTVolume, HUArray, Mask

_CLEAR_MM = 3.0
_LUNG_HU = -850.0
_AIR_HU = (-1000, -500)
_ENOUGH = 30
_ALIKE = 0.02

BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Surroundings:
    """A nodule and what is around it.

    Attributes:
        hu: (slice, row, column) int16.
        inside: Its voxels, bool of the same shape.
        grid: Where they are.
        lung_hu: Level of the air around it.
    """

    hu: HUArray
    inside: BoolArray
    grid: Grid
    lung_hu: float

    @cached_property
    def depth_mm(self) -> FloatArray:
        """How deep each voxel lies in the nodule; see `signed_distance_mm`."""
        depth = _signed_distance_mm(self.inside, self.spacing_mm)
        depth.setflags(write=False)
        return depth

    @property
    def spacing_mm(self) -> Spacing:
        """Distance between voxel centres along (slice, row, column), to 0.1 µm.

        Rounded, since a step of a feature must not hang on the seventh digit, in
        which formats differ.
        """
        return _rounded(self.grid.spacing_mm)

    @property
    def center_mm(self) -> tuple[float, float, float]:
        """World point (x, y, z): the middle of the nodule's voxels."""
        middle = np.argwhere(self.inside).mean(axis=0)
        x, y, z = self.grid.to_world(middle).tolist()
        return x, y, z


def surround(volume: CTVolume, mask: Mask, *, margin_mm: float = 8.0) -> Surroundings:
    """Cut out a nodule with a margin, which goes on where the volume ends.

    Args:
        volume: A CT or a part of one.
        mask: The nodule, on the grid of the volume or a part of it.
        margin_mm: How far to go beyond the nodule, on all sides.

    Raises:
        InputError: The mask is empty, or its voxels are not voxels of the volume.
    """
    first = _offset(volume.grid, mask.grid)
    cells = np.argwhere(mask.voxels) + first
    if not len(cells):
        raise InputError("The mask of the nodule has no voxel set. Segment it first.")
    shape = np.array(volume.grid.shape)
    if (cells < 0).any() or (cells >= shape).any():
        raise InputError(
            f"The mask of the nodule leaves its volume of {volume.grid.shape} voxels. "
            "Give the volume that it was drawn on."
        )
    spacing_mm = _rounded(volume.grid.spacing_mm)
    room = np.array([math.ceil(margin_mm / s) for s in spacing_mm])
    low, high = cells.min(axis=0) - room, cells.max(axis=0) + room + 1
    kept_low, kept_high = np.maximum(low, 0), np.minimum(high, shape)
    box = tuple(slice(a, b) for a, b in zip(kept_low, kept_high, strict=True))
    hu = np.asarray(volume.hu[box])
    inside = np.zeros(hu.shape, bool)
    inside[tuple((cells - kept_low).T)] = True
    lung_hu = _lung_level(hu, inside)
    pads = list(zip(kept_low - low, high - kept_high, strict=True))
    hu = _go_on(hu, inside, pads, lung_hu, spacing_mm)
    affine = volume.grid.affine.copy()
    affine[:3, 3] = volume.grid.to_world(low)
    z, y, x = hu.shape
    grid = Grid((z, y, x), affine, volume.grid.frame_uid)
    return Surroundings(hu, np.pad(inside, pads), grid, lung_hu)


def signed_distance_mm(surroundings: Surroundings) -> FloatArray:
    """Measure how deep each voxel lies in the nodule; below 0 outside it.

    The surface runs half a voxel beyond the outermost centres.

    Returns:
        (slice, row, column) float64, mm.
    """
    return surroundings.depth_mm


def _signed_distance_mm(inside: BoolArray, spacing: Spacing) -> FloatArray:
    """Measure the distances of `signed_distance_mm`."""
    from scipy import ndimage  # noqa: PLC0415  slow to import

    # one voxel around it is enough: what lies outside of that is never the nearest
    ends = [np.flatnonzero(inside.any(axis=axes)) for axes in ((1, 2), (0, 2), (0, 1))]
    box = tuple(slice(max(0, at[0] - 1), at[-1] + 2) for at in ends)
    within = np.zeros(inside.shape)
    within[box] = ndimage.distance_transform_edt(inside[box], sampling=spacing)
    beyond = ndimage.distance_transform_edt(~inside, sampling=spacing)
    half = min(spacing) / 2
    return np.where(inside, within - half, half - beyond)


def _rounded(spacing_mm: Spacing) -> Spacing:
    z, y, x = (round(s, 4) for s in spacing_mm)
    return z, y, x


def _offset(volume: Grid, mask: Grid) -> npt.NDArray[np.int64]:
    """Tell which voxel of the volume the first one of the mask is."""
    to_volume = volume.index_map_from(mask)
    first = np.rint(to_volume[:3, 3]).astype(np.int64)
    turned = np.abs(to_volume[:3, :3] - np.eye(3)).max()
    if turned > _ALIKE or np.abs(to_volume[:3, 3] - first).max() > 0.1:
        raise InputError(
            f"The mask of the nodule, spacing {mask.spacing_mm} mm, does not lie on "
            f"voxels of its volume, spacing {volume.spacing_mm} mm. Resample it first."
        )
    return np.asarray(first)


def _lung_level(hu: HUArray, inside: BoolArray) -> float:
    """Give the level of the air around a nodule."""
    air = hu[~inside & (hu > _AIR_HU[0]) & (hu < _AIR_HU[1])]
    return float(np.median(air)) if air.size > _ENOUGH else _LUNG_HU


def _go_on(
    hu: HUArray,
    inside: BoolArray,
    pads: list[tuple[int, int]],
    lung_hu: float,
    spacing_mm: Spacing,
) -> HUArray:
    """Repeat the outermost voxels outwards, without the nodule."""
    if not any(low or high for low, high in pads):
        return hu
    from scipy import ndimage  # noqa: PLC0415  slow to import

    near = ndimage.distance_transform_edt(~inside, sampling=spacing_mm) <= _CLEAR_MM
    bare = np.where(near, np.int16(lung_hu), hu)
    grown = np.pad(bare, pads, mode="edge")
    core = tuple(
        slice(low, n - high) for (low, high), n in zip(pads, grown.shape, strict=True)
    )
    grown[core] = hu
    return np.asarray(grown)
