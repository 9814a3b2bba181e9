"""What a network sees of a nodule: a patch that grows with the nodule.

The patch is a cube around the centre, its side twice the diameter and 8 mm more, cut
into few slices, rows and columns. So nodules of 4 and of 40 mm look alike, with lung
around both, and a centre that is 2 mm off or a diameter that is 20 % off still has
all of the nodule in it. Training and inference both cut here.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from hilum.findings import Point
from hilum.space import Grid, Index
from hilum.volume import CTVolume, HUArray

PATCH_SHAPE: Index = (16, 32, 32)
"""Voxels of the patch that the segmentation network takes."""

_TIMES = 2.0
_MORE_MM = 8.0


def patch_grid(
    center_mm: Point, diameter_mm: float, shape: Index = PATCH_SHAPE
) -> Grid:
    """Lay the patch around a nodule.

    Args:
        center_mm: World point (x, y, z).
        diameter_mm: Of the nodule, as the detector gave it.
        shape: Voxels along (slice, row, column).

    Returns:
        An axial grid, a cube of twice the diameter and 8 mm.

    Example:
        >>> patch_grid((0.0, 0.0, 0.0), 4.0).spacing_mm
        (1.0, 0.5, 0.5)
    """
    side = _TIMES * diameter_mm + _MORE_MM
    z, y, x = (side / n for n in shape)
    first = [
        c - (n - 1) / 2 * s
        for c, n, s in zip(center_mm, shape[::-1], (x, y, z), strict=True)
    ]
    return Grid.axial(shape, (z, y, x), origin_mm=(first[0], first[1], first[2]))


def cut_patch(volume: CTVolume, grid: Grid) -> npt.NDArray[np.float32]:
    """Interpolate a volume on a patch; beyond the volume its edge goes on.

    Args:
        volume: The scan, or a part of it.
        grid: Of the patch; may be turned.

    Returns:
        (slice, row, column, 1) float32, HU.
    """
    return sample(volume.hu, volume.grid, grid).astype(np.float32)[..., None]


def sample(values: HUArray, have: Grid, want: Grid) -> HUArray:
    """Interpolate int16 values trilinearly; beyond their edge the edge goes on.

    Args:
        values: (slice, row, column) on `have`.
        have: Where the values are.
        want: Where they are wanted; may be turned.
    """
    from hilum._kernels import trilinear  # noqa: PLC0415  numba is slow to import

    corners = np.array(np.meshgrid(*([0, n - 1] for n in want.shape))).reshape(3, -1).T
    index = have.to_index(want.to_world(corners))
    first = np.floor(index.min(axis=0)).astype(int) - 1
    last = np.ceil(index.max(axis=0)).astype(int) + 2
    cells: list[npt.NDArray[Any]] = [
        np.clip(np.arange(a, b), 0, n - 1)
        for a, b, n in zip(first, last, values.shape, strict=True)
    ]
    part = values[np.ix_(*cells)]
    index_map = np.ascontiguousarray(have.index_map_from(want))
    index_map[:3, 3] -= first
    out = np.empty(want.shape, np.int16)
    # in this thread alone: starting others takes longer than so small a patch
    trilinear(np.ascontiguousarray(part), index_map, out, 0, want.shape[0], 0)
    return out
