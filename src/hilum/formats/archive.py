"""Our own .npz: a volume with all that is known of it.

Members: hu.npy ((slice, row, column) int16), affine.npy ((4, 4) float64) and
about.npy (a JSON text). `np.load` opens it without pickles; this module reads it
with a stricter eye, since the file may come from anywhere.

Source:
    NumPy Enhancement Proposal 1, format version 1.0.
"""

from __future__ import annotations

import json
import re
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from hilum._names import name_of
from hilum.errors import InputError
from hilum.findings import Notice, Record
from hilum.formats.atomic import replacing
from hilum.formats.encoding import check_hounsfield
from hilum.formats.geometry import chest_grid
from hilum.volume import Acquisition, CTVolume

MAGIC = b"\x93NUMPY\x01\x00"
HEADER = re.compile(
    rb"\{'descr': '([<|]\w{2,9})', 'fortran_order': False, "
    rb"'shape': \(([\d, ]{0,40})\), \}"
)
ABOUT_AT_MOST = 1 << 20
DEFLATE_AT_MOST = 1032
"""How much larger than its deflated form data can be (zlib's documentation)."""
DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    ValueError,
    KeyError,
    OverflowError,
    NotImplementedError,
    RuntimeError,  # zipfile: password needed; json: nested too deep
)


@dataclass(frozen=True, slots=True, kw_only=True)
class About(Record):
    """What goes with the voxels.

    Attributes:
        series_uid: SeriesInstanceUID, or a name where there is none.
        frame_uid: Frame of Reference UID, or None.
        acquisition: How the scan was made.
        notices: Doubts and repairs of reading it.
    """

    series_uid: str
    frame_uid: str | None
    acquisition: Acquisition
    notices: tuple[Notice, ...]


def read_archive(path: Path, *, name: str) -> CTVolume:
    """Read a CT from a .npz that `write_archive` wrote.

    Args:
        path: File.
        name: Series name where the file holds none.

    Raises:
        InputError: See `hilum.formats.read_volume`.
        OSError: The file cannot be read.
    """
    try:
        with zipfile.ZipFile(path) as members:
            about = _read_about(members)
            affine = _read_array(members, "affine.npy", np.dtype("<f8"), 2)
            opened = _open_array(members, "hu.npy", np.dtype("<i2"), 3)
            slices, rows, columns = opened.shape
            grid = chest_grid(
                (slices, rows, columns),
                affine,
                file=name_of(path),
                frame_uid=about.frame_uid,
            )
            hu = opened.read()
    except InputError:
        raise
    except DAMAGE as error:
        raise InputError(
            f"`{name_of(path)}` is not a volume that hilum wrote, or it is damaged "
            f"({error}). Expected hu, affine and about; copy or convert it again."
        ) from error
    check_hounsfield(hu, name_of(path))
    return CTVolume.from_array(
        hu,
        grid,
        about.series_uid or name,
        acquisition=about.acquisition,
        notices=about.notices,
    )


def write_archive(volume: CTVolume, path: Path) -> None:
    """Write a CT with all that is known of it.

    Raises:
        OSError: The file cannot be written.
    """
    about = About(
        series_uid=volume.series_uid,
        frame_uid=volume.grid.frame_uid,
        acquisition=volume.acquisition,
        notices=volume.notices,
    )
    arrays: dict[str, npt.NDArray[Any]] = {
        "about": np.array(json.dumps(about.to_json())),
        "affine": volume.grid.affine,
        "hu": volume.hu,
    }
    with (
        replacing(path) as file,
        zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as members,
    ):
        for key, array in arrays.items():
            little = array.dtype.newbyteorder("<")
            body = np.ascontiguousarray(array).reshape(array.shape)
            with members.open(f"{key}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(
                    member, body.astype(little, copy=False), version=(1, 0)
                )


@dataclass(frozen=True, slots=True)
class _OpenArray:
    """A member whose header was read and believed."""

    file: IO[bytes]
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    size: int

    def read(self) -> npt.NDArray[Any]:
        """Read the voxels; the end of the member checks its digest."""
        data = bytearray(self.size)
        view, have = memoryview(data), 0
        while have < self.size:
            count = self.file.readinto(view[have:])  # type: ignore[attr-defined]
            if not count:
                raise EOFError("an array is cut")
            have += count
        return np.frombuffer(data, self.dtype).reshape(self.shape)


def _open_array(
    members: zipfile.ZipFile, name: str, dtype: np.dtype[Any] | None, axes: int
) -> _OpenArray:
    """Open one array, once its header agrees with the size of the member."""
    info = members.getinfo(name)
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError(f"{name} is compressed in a way that NumPy does not use")
    file = members.open(info)
    start = file.read(10)
    if start[:8] != MAGIC:
        raise ValueError(f"{name} is not a NumPy array of format 1.0")
    length = int.from_bytes(start[8:], "little")
    found = HEADER.fullmatch(file.read(length).rstrip())
    if not found:
        raise ValueError(f"{name} has a header that NumPy would not write")
    kind = np.dtype(found[1].decode("ascii"))
    shape = tuple(int(n) for n in found[2].decode("ascii").split(",") if n.strip())
    size = kind.itemsize
    for n in shape:
        size *= n
    if len(shape) != axes or (kind != dtype if dtype else kind.kind != "U"):
        raise ValueError(f"{name} is {kind} of shape {shape}")
    if size != info.file_size - 10 - length:
        raise ValueError(f"{name} has not the size that its header says")
    if info.compress_size * DEFLATE_AT_MOST < size:
        raise ValueError(f"{name} cannot inflate to the size that its header says")
    return _OpenArray(file, kind, shape, size)


def _read_array(
    members: zipfile.ZipFile, name: str, dtype: np.dtype[Any], axes: int
) -> npt.NDArray[Any]:
    opened = _open_array(members, name, dtype, axes)
    if opened.size > ABOUT_AT_MOST:
        raise ValueError(f"{name} is too large")
    return opened.read()


def _read_about(members: zipfile.ZipFile) -> About:
    opened = _open_array(members, "about.npy", None, 0)
    if opened.size > ABOUT_AT_MOST:
        raise ValueError("about.npy is too large")
    return About.from_json(json.loads(str(opened.read()[()])))
