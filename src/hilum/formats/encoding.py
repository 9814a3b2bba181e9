"""Stored bytes to Hounsfield units, in no more memory than the file warrants."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hilum._names import name_of
from hilum._plausible import find_implausible
from hilum.errors import InputError
from hilum.findings import Notice
from hilum.space import Grid, Index
from hilum.volume import HUArray, to_int16

CHUNK = 1 << 18

UNUSABLE_AT_MOST = 0.01
"""Share of voxels that may be no number or beyond what a CT can hold."""


@dataclass(frozen=True, slots=True, eq=False)
class Stored:
    """Voxels as they go into a file.

    Attributes:
        voxels: (slice, row, column) int16 HU or uint8 labels.
        grid: Where they are.
        series_uid: To be kept in the header, or None.
    """

    voxels: npt.NDArray[np.int16] | npt.NDArray[np.uint8]
    grid: Grid
    series_uid: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoding:
    """How a file holds its voxels, as the header says.

    Attributes:
        path: File with the voxels.
        dtype: Number type, with its byte order.
        shape: (slice, row, column); columns run fastest in the file.
        start: Bytes of the file before the data, or before the deflated stream.
        length: Bytes of the deflated stream; None: up to the end of the file.
        deflated: Whether a zlib or gzip stream stands at `start`.
        skip: Bytes before the data inside the inflated stream.
        slope: HU = slope * stored + intercept.
        intercept: See slope.
    """

    path: Path
    dtype: np.dtype[Any]
    shape: Index
    start: int = 0
    length: int | None = None
    deflated: bool = False
    skip: int = 0
    slope: float = 1.0
    intercept: float = 0.0


def read_hu(
    encoding: Encoding, *, check: bool = True
) -> tuple[HUArray, tuple[Notice, ...]]:
    """Read voxels as Hounsfield units.

    Args:
        encoding: How the file holds them.
        check: Refuse values that are no HU of a chest; labels are none.

    Returns:
        (slice, row, column) int16, rounded and clipped by `to_int16`, and a notice
        when some voxels held no value that a CT can have.

    Raises:
        InputError: The file holds fewer or more bytes than the header says, the
            deflated stream is damaged, over 1 % of the voxels are no number or
            beyond the range of int16, or the values are no HU of a chest.
        OSError: The file cannot be read.
    """
    data = _inflated(encoding) if encoding.deflated else _plain(encoding)
    stored = data.reshape(encoding.shape)
    unusable = 0
    exact = encoding.slope == 1 and encoding.intercept == 0
    if exact and stored.dtype == np.int16:
        hu = to_int16(stored)
    else:
        hu = np.empty(encoding.shape, np.int16)
        with np.errstate(over="ignore", invalid="ignore"):
            for given, wanted in zip(stored, hu, strict=True):
                values = given.astype(np.float64)
                if not exact:
                    values = values * encoding.slope + encoding.intercept
                unusable += values.size - int(np.count_nonzero(abs(values) <= 32768))
                wanted[...] = to_int16(values)
    name = name_of(encoding.path)
    notices = _doubt_unusable(unusable, hu.size, name)
    if check:
        check_hounsfield(hu, name)
    return hu, notices


def _doubt_unusable(count: int, total: int, file: str) -> tuple[Notice, ...]:
    """Say how many voxels held no value of a CT; refuse when they are many."""
    if not count:
        return ()
    what = f"{count} of {total} voxels are no finite number, or beyond -32768 to 32768"
    if count > UNUSABLE_AT_MOST * total:
        raise InputError(
            f"`{file}`: {what}; expected at most {UNUSABLE_AT_MOST:.0%}. Fill what was "
            "not measured with -1024 HU, and check slope and intercept."
        )
    text = f"{what}; they were taken for air or clipped."
    return (Notice("unusable-values", text, "read"),)


def read_start(path: Path, count: int) -> tuple[bytes, bool]:
    """Read the first bytes of a file, inflated when it is gzip.

    Args:
        path: File.
        count: How many bytes; fewer come from a shorter file.

    Returns:
        The bytes, and whether they had to be inflated.

    Raises:
        InputError: The gzip stream is damaged at its start.
        OSError: The file cannot be read.
    """
    with path.open("rb") as file:
        start = file.read(4096)
    if start[:2] != b"\x1f\x8b":
        return start[:count], False
    try:
        return zlib.decompressobj(47).decompress(start, count), True
    except zlib.error as error:
        raise _damaged(name_of(path), error) from error


def _plain(encoding: Encoding) -> npt.NDArray[Any]:
    """Read voxels that are stored as they are."""
    voxels = encoding.shape[0] * encoding.shape[1] * encoding.shape[2]
    need = voxels * encoding.dtype.itemsize
    have = encoding.path.stat().st_size - encoding.start
    if have != need:
        raise InputError(
            f"`{name_of(encoding.path)}` has {max(have, 0)} bytes of voxels; its "
            f"header says {need}. It is cut or damaged: copy or convert it again."
        )
    return np.fromfile(
        encoding.path, encoding.dtype, count=voxels, offset=encoding.start
    )


def _inflated(encoding: Encoding) -> npt.NDArray[Any]:
    """Inflate voxels, never past what the header says, and check their digest."""
    name = name_of(encoding.path)
    voxels = encoding.shape[0] * encoding.shape[1] * encoding.shape[2]
    need = encoding.skip + voxels * encoding.dtype.itemsize
    stored = encoding.path.stat().st_size - encoding.start
    if encoding.length is not None and encoding.length > stored:
        raise InputError(
            f"`{name}` has {max(stored, 0)} bytes of compressed voxels; its header "
            f"says {encoding.length}. It is cut: copy it again."
        )
    left = stored if encoding.length is None else encoding.length
    data = bytearray()
    try:
        _inflate_into(data, encoding, left, need)
    except zlib.error as error:
        raise _damaged(name, error) from error
    if len(data) != need:
        raise InputError(
            f"`{name}` inflates to {'more' if len(data) > need else 'fewer'} bytes "
            f"than the {need} that its header says. It is cut or damaged: copy or "
            "convert it again."
        )
    return np.frombuffer(data, encoding.dtype, offset=encoding.skip)


def _inflate_into(data: bytearray, encoding: Encoding, left: int, need: int) -> None:
    """Inflate up to one byte more than needed; streams may follow each other."""
    inflater, streams, ended = zlib.decompressobj(47), 0, False
    pending = b""
    with encoding.path.open("rb") as file:
        file.seek(encoding.start)
        while len(data) <= need:
            if not pending:
                pending = file.read(min(CHUNK, left))
                left -= len(pending)
                if not pending:
                    break
            data += inflater.decompress(pending, min(4 * CHUNK, need + 1 - len(data)))
            pending, ended = inflater.unconsumed_tail, inflater.eof
            if ended:
                pending = inflater.unused_data.lstrip(b"\0")
                inflater, streams = zlib.decompressobj(47), streams + 1
                if streams > 16 + len(data) // 1024:
                    raise zlib.error("too many empty streams")
    if len(data) == need and not ended:
        raise zlib.error("the stream has no end")


def check_hounsfield(hu: HUArray, file: str) -> None:
    """Refuse masks, pictures and shifted or normalised values.

    Args:
        hu: (slice, row, column) of what should be a chest.
        file: Name for messages.

    Raises:
        InputError: Air or tissue fills less than one voxel in a thousand.
    """
    wrong = find_implausible(hu)
    if wrong:
        raise InputError(f"`{file}` {wrong}")


def _damaged(file: str, error: Exception) -> InputError:
    return InputError(
        f"`{file}` is damaged: it cannot be decompressed ({error}). Copy it again."
    )
