"""Fetch the CT series of a study into files (QIDO-RS, then WADO-RS).

Files get numbers for names. Parts are written as they arrive, so memory stays small
however long a study is.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from hilum.dicomweb.server import Answer, Server
from hilum.errors import InputError

MOST_BYTES = 16 << 30
MOST_FILES = 50_000
_MOST_JSON = 64 << 20
_MOST_HEAD = 16_384
_PIECE = 1 << 18
_UID = re.compile(r"^[0-9.]{1,64}$")
_DICOM = 'multipart/related; type="application/dicom"; transfer-syntax=*'


def fetch_series(server: Server, folder: Path) -> int:
    """Fetch the CT series that an address names.

    Args:
        server: Its address names a study, and maybe one series of it.
        folder: Where the files go; must exist.

    Returns:
        How many files were written.

    Raises:
        InputError: There is no CT, the answer cannot be used, or it is too large.
        UnreachableError: The server cannot be reached.
    """
    address = server.address
    wanted = [address.series_uid] if address.series_uid else list(_find_ct(server))
    if not wanted:
        raise InputError("The DICOMweb server has no CT series in that study.")
    count = 0
    for uid in wanted:
        path = f"/studies/{address.study_uid}/series/{uid}"
        with server.ask("GET", path, {"Accept": _DICOM}) as answer:
            parts = _Parts(answer, _boundary(answer))
            count = parts.write_all(folder, count)
    if not count:
        raise InputError("The DICOMweb server sends no files for that series.")
    return count


def _find_ct(server: Server) -> Iterator[str]:
    """Give the UIDs of the CT series of the study."""
    path = f"/studies/{server.address.study_uid}/series"
    with server.ask("GET", path, {"Accept": "application/dicom+json"}) as answer:
        if answer.status == 204:
            return
        data = answer.read(_MOST_JSON + 1)
    try:
        found = json.loads(data)
    except ValueError as error:
        raise InputError("The DICOMweb server answers no DICOM JSON.") from error
    for entry in found if isinstance(found, list) else ():
        uid = _value(entry, "0020000E")
        if _value(entry, "00080060") in ("CT", None) and uid and _UID.match(uid):
            yield uid


def _value(entry: Any, tag: str) -> str | None:
    try:
        return str(entry[tag]["Value"][0])
    except (KeyError, IndexError, TypeError):
        return None


def _boundary(answer: Answer) -> bytes:
    kind = answer.kind
    match = re.search(r'boundary="?([^";]{1,200})"?', kind)
    if not kind.lower().startswith("multipart/related") or not match:
        raise InputError(
            "The DICOMweb server answers no multipart/related, which WADO-RS asks for."
        )
    return b"\r\n--" + match[1].encode("latin-1")


class _Parts:
    """The parts of a multipart answer, read forward."""

    def __init__(self, answer: Answer, boundary: bytes) -> None:
        self._answer, self._boundary = answer, boundary
        self._buffer = b"\r\n"  # the first boundary may open the answer
        self._total = 0

    def write_all(self, folder: Path, number: int) -> int:
        """Write each part as a file; numbers go on from `number`."""
        self._copy_to_boundary(None)
        while self._has_part():
            if number >= MOST_FILES:
                raise InputError(f"The DICOMweb server sends over {MOST_FILES} files.")
            with (folder / f"{number:06d}.dcm").open("xb") as file:
                self._copy_to_boundary(file)
            number += 1
        return number

    def _has_part(self) -> bool:
        """Read the head of the next part; False after the last."""
        while len(self._buffer) < 2 and self._more():
            pass
        if self._buffer.startswith(b"--"):
            return False
        while b"\r\n\r\n" not in self._buffer:
            if len(self._buffer) > _MOST_HEAD or not self._more():
                raise InputError("The answer of the DICOMweb server is cut short.")
        _, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
        return True

    def _copy_to_boundary(self, file: IO[bytes] | None) -> None:
        """Copy up to the next boundary and step behind it."""
        keep = len(self._boundary) - 1
        while True:
            place = self._buffer.find(self._boundary)
            if place >= 0:
                if file:
                    file.write(self._buffer[:place])
                self._buffer = self._buffer[place + len(self._boundary) :]
                return
            if file and len(self._buffer) > keep:
                file.write(self._buffer[:-keep])
            self._buffer = self._buffer[-keep:]
            if not self._more():
                raise InputError("The answer of the DICOMweb server is cut short.")

    def _more(self) -> bool:
        piece = self._answer.read(_PIECE)
        self._total += len(piece)
        if self._total > MOST_BYTES:
            raise InputError(
                f"The DICOMweb server sends over {MOST_BYTES >> 30} GB. "
                "Name one series."
            )
        self._buffer += piece
        return bool(piece)
