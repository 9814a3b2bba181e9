"""What every format asks of a grid, whatever header it came from."""

from __future__ import annotations

import numpy as np

from hilum.errors import InputError
from hilum.space import FloatArray, Grid, Index, check_chest_sized

SHEAR = 0.01


def chest_grid(
    shape: Index, affine: FloatArray, *, file: str, frame_uid: str | None = None
) -> Grid:
    """Make the grid that a header describes, or say why no chest lies on it.

    Args:
        shape: Voxels along (slice, row, column).
        affine: (4, 4), index (slice, row, column) to world (x, y, z) LPS in mm.
        file: Name for messages.
        frame_uid: Frame of Reference UID, or None.

    Raises:
        InputError: The axes are not three perpendicular ones, or they are not
            those of a chest-sized volume.
    """
    try:
        grid = Grid(shape, affine, frame_uid)
        check_chest_sized(grid)
    except InputError as error:
        raise InputError(f"`{file}`: {error}") from error
    axes = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    shear = np.abs(axes.T @ axes - np.eye(3)).max()
    if shear > SHEAR:
        raise InputError(
            f"`{file}` is sheared: its axes are {np.degrees(np.arcsin(shear)):.1f} "
            "degrees off perpendicular, as after a gantry tilt. Convert it from "
            "DICOM with `hilum convert`, or resample it to a regular grid first."
        )
    return grid


def label_grid(shape: Index, affine: FloatArray, *, file: str) -> Grid:
    """Make the grid of labels, of any extent.

    Args:
        shape: (slice, row, column).
        affine: Index (slice, row, column) to LPS mm.
        file: Name of the file, for errors.

    Raises:
        InputError: The affine is not finite or not invertible.
    """
    try:
        return Grid(shape, affine)
    except InputError as error:
        raise InputError(f"`{file}`: {error}") from error
