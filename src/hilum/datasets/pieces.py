"""Volumes of a part of a chest: what `hilum.formats` refuses for its size.

NIfTI's world is RAS; it turns into LPS here, as in `hilum.formats.nifti`.
"""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np
import numpy.typing as npt

from hilum.errors import InputError
from hilum.space import Grid
from hilum.volume import CTVolume, Mask

_LPS_FROM_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


def read_piece(path: Path) -> CTVolume:
    """Read a part of a CT, of any size.

    Args:
        path: A .nii or .nii.gz in HU.

    Returns:
        Canonical, int16 HU; its `series_uid` is the name of the file.

    Raises:
        InputError: The file is absent, damaged, does not say where it lies, or is
            not one three-dimensional volume.
    """
    values, grid = _read(path)
    return CTVolume.from_array(values, grid, path.name)


def read_piece_mask(path: Path) -> Mask:
    """Read a mask of a part of a CT; whatever is above 0 belongs to it.

    Args:
        path: A .nii or .nii.gz.

    Returns:
        Bool, in canonical order.

    Raises:
        InputError: See `read_piece`.
    """
    values, grid = _read(path)
    inside = (np.nan_to_num(values) > 0).astype(np.int16)
    turned = CTVolume.from_array(inside, grid, path.name)
    return Mask(turned.hu > 0, turned.grid)


def _read(path: Path) -> tuple[npt.NDArray[np.number], Grid]:
    """Read values (slice, row, column) and where they are, in the file's order."""
    import nibabel  # noqa: PLC0415  slow to import
    from nibabel.filebasedimages import ImageFileError  # noqa: PLC0415

    try:
        image = nibabel.load(path)
        values = np.asarray(image.dataobj)
        ras = np.asarray(image.affine, dtype=np.float64)
        placed = image.header["sform_code"] > 0 or image.header["qform_code"] > 0
    except FileNotFoundError as error:
        raise InputError(
            f"`{path.parent.name}/{path.name}` is absent. Each row of nodules.csv "
            "needs its volume: copy it, or take the row out."
        ) from error
    except (OSError, EOFError, ValueError, KeyError, zlib.error) as error:
        raise InputError(
            f"`{path.parent.name}/{path.name}` cannot be read as NIfTI: {error}. It is "
            "cut or damaged, or of another kind: copy it again."
        ) from error
    except ImageFileError as error:
        raise InputError(
            f"`{path.parent.name}/{path.name}` is no NIfTI file: {error}. Write it as "
            ".nii.gz."
        ) from error
    if not placed or values.ndim != 3 or values.dtype.kind not in "iuf":
        raise InputError(
            f"`{path.parent.name}/{path.name}` has shape {values.shape}, "
            f"{values.dtype}, and {'a' if placed else 'no'} place in the patient; "
            "expected three axes of real numbers with an sform or qform. Convert it "
            "again."
        )
    affine = (_LPS_FROM_RAS @ ras)[:, [2, 1, 0, 3]]
    z, y, x = values.shape[::-1]
    try:
        return values.transpose(2, 1, 0), Grid((z, y, x), affine)
    except InputError as error:
        raise InputError(f"`{path.parent.name}/{path.name}`: {error}") from error
