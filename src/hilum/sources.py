"""Where a CT comes from: one function for whatever the user named.

`dicom` and `formats` do the reading; this decides which of the two. What lies on a
DICOMweb server is fetched first, into a folder that is gone afterwards.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hilum import dicom, formats
from hilum._names import name_of
from hilum.errors import HilumError, InputError
from hilum.volume import CTVolume

_ADDRESS = re.compile("dicomwebs?:/")


def read_ct(source: str | Path, *, series_uid: str | None = None) -> CTVolume:
    """Read a CT from whatever it is stored in.

    Args:
        source: A DICOM folder, file or zip, or a NIfTI, MetaImage or npz file; or
            the address of a study, `dicomweb://HOST/…/studies/UID` (`dicomwebs`
            over TLS; a token is read from HILUM_DICOMWEB_TOKEN).
        series_uid: The series to read where there are several, by its whole UID
            or the end of it; by default the best chest series is chosen.

    Returns:
        The volume in canonical order, with the repairs of reading as notices.

    Raises:
        InputError: There is no chest CT that can be read, and why.
        UnreachableError: The DICOMweb server cannot be reached.
    """
    with local_source(source) as place:
        return _read_local(place, series_uid)


@contextmanager
def local_source(source: str | Path) -> Iterator[Path]:
    """Give a source as a file or folder of this machine, while a block runs.

    Args:
        source: As for `read_ct`. What lies on a DICOMweb server is fetched into a
            folder that is removed after the block; everything else is where it is.

    Raises:
        InputError: The study cannot be had, or there is no room for it.
        UnreachableError: The DICOMweb server cannot be reached.
    """
    if not _ADDRESS.match(str(source)):
        yield Path(source)
        return
    with tempfile.TemporaryDirectory(prefix="hilum-") as folder:
        _fetch(str(source), Path(folder))
        yield Path(folder)


def _fetch(address: str, folder: Path) -> None:
    from hilum.dicomweb import (  # noqa: PLC0415  seldom used
        Server,
        fetch_series,
        parse_address,
        read_token,
    )

    server = Server(parse_address(address), read_token())
    try:
        fetch_series(server, folder)
    except OSError as error:
        if isinstance(error, HilumError):
            raise
        raise InputError(
            f"Cannot keep what the DICOMweb server sends: {error.strerror}. Make room, "
            "or set TMPDIR to a folder with room."
        ) from error


def _read_local(source: Path, series_uid: str | None) -> CTVolume:
    try:
        exists, is_file = source.exists(), source.is_file()
    except OSError as error:
        raise InputError(
            f"Cannot open `{name_of(source)}`: "
            f"{error.strerror or type(error).__name__}. Check the path, and that it "
            "may be read."
        ) from error
    if not exists:
        raise InputError(
            f"There is nothing at `{name_of(source)}`. Check the path; it may be a "
            "DICOM folder, file or zip, or a .nii, .nii.gz, .mha, .mhd or .npz file."
        )
    if is_file and formats.is_volume_file(source):
        if series_uid is not None:
            raise InputError(
                f"`{name_of(source)}` holds one volume, so there is no series to pick. "
                "Leave out --series."
            )
        return formats.read_volume(source)
    return dicom.read_dicom(source, series_uid=series_uid)


def convert(
    source: str | Path, out: str | Path, *, series_uid: str | None = None
) -> CTVolume:
    """Read a CT and write it as another format.

    Args:
        source: As for `read_ct`.
        out: Ends in .nii, .nii.gz, .mha, .mhd or .npz.
        series_uid: As for `read_ct`.

    Returns:
        The volume that was written.

    Raises:
        InputError: The CT cannot be read, or the file cannot be written.
    """
    volume = read_ct(source, series_uid=series_uid)
    formats.write_volume(volume, Path(out))
    return volume
