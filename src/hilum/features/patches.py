"""A nodule on a grid of its own: what a network looks at.

A patch is told neither the spacing of the scan nor where it ended, and beyond 3 mm
of the nodule it shows nothing: a patch that was cut out with the nodule and one from
a whole scan look the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from hilum.errors import InputError
from hilum.features import Surroundings, signed_distance_mm
from hilum.features.cells import interpolate
from hilum.space import FloatArray, Index

SHOWN_MM = 3.0
BLANK_HU = -850.0
_SOFT_MM = 0.8
_FAR_MM = 30.0

Float32Array = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Patch:
    """A nodule, sampled.

    Attributes:
        hu: (slice, row, column) int16.
        depth: int16, how deep each voxel lies in the nodule in 0.01 mm, below 0
            outside it.
    """

    hu: npt.NDArray[np.int16]
    depth: npt.NDArray[np.int16]


def sample_patch(
    surroundings: Surroundings,
    *,
    size: Index = (32, 32, 32),
    spacing_mm: float = 1.0,
    rotation: FloatArray | None = None,
    shift_mm: tuple[float, float, float] = (0.0, 0.0, 0.0),
) -> Patch:
    """Sample a nodule around its middle, trilinearly.

    Args:
        surroundings: Out of `hilum.features.surround`.
        size: Voxels along (slice, row, column).
        spacing_mm: Of the patch.
        rotation: (3, 3) from the axes of the patch to those of the scan, both in the
            order (slice, row, column); None for none.
        shift_mm: Of the middle, along (slice, row, column).

    Raises:
        InputError: The spacing is not above 0.
    """
    if not spacing_mm > 0:
        raise InputError(f"Patch spacing must be > 0 mm; got {spacing_mm}.")
    turn = np.eye(3) if rotation is None else np.asarray(rotation, dtype=np.float64)
    spacing = np.array(surroundings.spacing_mm)
    middle = np.argwhere(surroundings.inside).mean(axis=0) + shift_mm / spacing
    matrix = turn * spacing_mm / spacing[:, None]
    offset = middle - matrix @ ((np.array(size) - 1) / 2)

    depth = np.clip(signed_distance_mm(surroundings), -_FAR_MM, _FAR_MM)
    hu = np.clip(surroundings.hu, -1024, 3071)
    sampled = partial(_sampled, matrix=matrix, offset=offset, size=size)
    return Patch(sampled(hu), sampled(100 * depth, outside=-100 * _FAR_MM))


def _sampled(
    field: npt.NDArray[np.number],
    *,
    matrix: FloatArray,
    offset: FloatArray,
    size: Index,
    outside: float | None = None,
) -> npt.NDArray[np.int16]:
    """Interpolate at `matrix @ index + offset`; beyond, the edge or a value."""
    field = field.astype(np.float32)
    if np.array_equal(matrix, np.diag(np.diag(matrix))):
        places = [
            o + np.arange(n) * m
            for o, n, m in zip(offset, size, np.diag(matrix), strict=True)
        ]
        values = interpolate(field, places).astype(np.float32)
        if outside is not None:
            for axis, (wanted, n) in enumerate(zip(places, field.shape, strict=True)):
                beyond = (wanted < 0) | (wanted > n - 1)
                np.moveaxis(values, axis, 0)[beyond] = outside
    else:
        from scipy import ndimage  # noqa: PLC0415  slow to import

        values = ndimage.affine_transform(
            field,
            matrix,
            offset,
            output_shape=size,
            order=1,
            mode="nearest" if outside is None else "constant",
            cval=outside or 0.0,
        )
    return np.asarray(np.rint(values), dtype=np.int16)


def to_channels(
    patch: Patch, *, grown_mm: float = 0.0
) -> tuple[Float32Array, Float32Array]:
    """Give what a network takes, blank beyond 3 mm of the nodule.

    Args:
        patch: Sampled.
        grown_mm: How much to grow the nodule; below 0 to shrink it.

    Returns:
        HU and mask, each (slice, row, column, 1) float32; the mask from 0 to 1, soft
        at its edge.
    """
    depth = patch.depth.astype(np.float32)[..., None] / 100 + grown_mm
    mask = np.clip(depth / _SOFT_MM + 0.5, 0, 1).astype(np.float32)
    shown = np.clip((depth + SHOWN_MM) / _SOFT_MM + 0.5, 0, 1)
    hu = BLANK_HU + (patch.hu.astype(np.float32)[..., None] - BLANK_HU) * shown
    return hu.astype(np.float32), mask
