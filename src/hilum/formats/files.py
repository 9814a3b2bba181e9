"""Reading and writing by the extension of the name."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np

from hilum._names import name_of, printable
from hilum.errors import InputError
from hilum.formats.archive import read_archive, write_archive
from hilum.formats.atomic import writing
from hilum.formats.encoding import Stored
from hilum.formats.metaimage import read_metaimage, write_metaimage
from hilum.formats.nifti import read_nifti, write_nifti
from hilum.volume import CTVolume, Mask

Extension = Literal[".nii", ".nii.gz", ".mha", ".mhd", ".npz"]
EXTENSIONS: tuple[Extension, ...] = (".nii", ".nii.gz", ".mha", ".mhd", ".npz")


def is_volume_file(path: str | Path) -> bool:
    """Tell whether `read_volume` is the one to ask, going by the name alone.

    Args:
        path: A file, which need not exist. A folder is never a volume file,
            whatever its name.

    Raises:
        InputError: The path cannot be looked at.

    Example:
        >>> is_volume_file("scan.NII.gz"), is_volume_file("scan.dcm")
        (True, False)
    """
    path = Path(path)
    try:
        return _extension(path) is not None and not path.is_dir()
    except OSError as error:
        raise InputError(
            f"Cannot open `{name_of(path)}`: {error.strerror}. Check the path."
        ) from error


def read_volume(path: str | Path) -> CTVolume:
    """Read a CT from NIfTI, MetaImage or .npz.

    Args:
        path: A .nii, .nii.gz, .mha, .mhd (its .raw or .zraw beside it) or .npz.

    Returns:
        Canonical, int16 HU. Its `series_uid` is the one that `write_volume` left
        in the file, otherwise the name of the file without extension.

    Raises:
        InputError: The file is absent, damaged, of another kind, not in HU, or
            not the size of a chest.
    """
    return _read(Path(path))


def read_mask(path: str | Path) -> Mask:
    """Read labels, such as a mask of a nodule or of the lungs.

    Args:
        path: A .nii, .nii.gz, .mha or .mhd, of any extent.

    Returns:
        Canonical, uint8.

    Raises:
        InputError: The file is absent, damaged, of another kind, or holds values that
            are no labels from 0 to 255.
    """
    path = Path(path)
    if _known_extension(path) == ".npz":
        raise InputError(
            f"`{name_of(path)}` holds a CT. Give a mask as .nii, .nii.gz, .mha or .mhd."
        )
    volume = _read(path, labels=True)
    low, high = int(volume.hu.min()), int(volume.hu.max())
    if low < 0 or high > 255:
        raise InputError(
            f"`{name_of(path)}` has values from {low} to {high}; labels lie in 0 to "
            "255. Is it the CT?"
        )
    return Mask(volume.hu.astype(np.uint8), volume.grid)


def write_volume(volume: CTVolume, path: str | Path) -> None:
    """Write a CT so that `read_volume` gives the same HU at the same places.

    The file appears under its name only when it is complete. NIfTI and MetaImage
    keep the series UID; .npz keeps everything.

    Args:
        volume: To be written.
        path: A .nii, .nii.gz, .mha, .mhd (writes a .zraw beside it) or .npz.

    Raises:
        InputError: The extension is another, or the place cannot be written to.
    """
    path = Path(path)
    if _known_extension(path) == ".npz":
        with writing(path):
            write_archive(volume, path)
    else:
        _write(Stored(volume.hu, volume.grid, volume.series_uid), path)


def write_mask(mask: Mask, path: str | Path) -> None:
    """Write labels as uint8, on the grid of their volume.

    Args:
        mask: To be written.
        path: A .nii, .nii.gz, .mha or .mhd.

    Raises:
        InputError: The extension is another, or the place cannot be written to.
    """
    path = Path(path)
    if _known_extension(path) == ".npz":
        raise InputError(
            f"A mask cannot be written as .npz (`{name_of(path)}`). "
            "Use .nii.gz or .mha, which viewers open."
        )
    _write(Stored(mask.voxels.astype(np.uint8), mask.grid, None), path)


def _read(path: Path, *, labels: bool = False) -> CTVolume:
    """Read a CT, or labels, by what the name says."""
    extension = _known_extension(path)
    name = _stem(path, extension)
    try:
        if extension == ".npz":
            return read_archive(path, name=name)
        read = read_nifti if extension in (".nii", ".nii.gz") else read_metaimage
        return read(path, name=name, labels=labels)
    except OSError as error:
        raise InputError(
            f"Cannot read `{name_of(path)}`: {error.strerror or type(error).__name__}. "
            "Check that the file exists and may be read."
        ) from error


def _write(stored: Stored, path: Path) -> None:
    """Write voxels as NIfTI or MetaImage, whichever the name says."""
    with writing(path):
        if _known_extension(path) in (".nii", ".nii.gz"):
            write_nifti(stored, path)
        else:
            write_metaimage(stored, path)


def _extension(path: Path) -> Extension | None:
    """Find the known extension that a name ends in, in any case of letters."""
    name = path.name.lower()
    return next((e for e in EXTENSIONS if name.endswith(e) and name != e), None)


def _known_extension(path: Path) -> Extension:
    """Find the extension of a name, or say which there are."""
    extension = _extension(path)
    if extension is None:
        raise InputError(
            f"`{name_of(path)}` has no extension of a volume that we know. "
            f"Use one of {', '.join(EXTENSIONS)}; DICOM goes by folder, file or zip."
        )
    return extension


def _stem(path: Path, extension: Extension) -> str:
    """Give the name of a file without its extension."""
    return printable(path.name[: -len(extension)])
