"""Zips: their members as files, and what makes a zip unfit to be read.

Nothing is ever extracted, so no member can be written outside of anything; a zip
that tries is refused all the same, for it is damaged or hostile. Limits: 100,000
members; no member of more than 100 MB that unpacks to over 200 times its size; no
members that share bytes.
"""

from __future__ import annotations

import stat
import zipfile
from pathlib import Path, PurePosixPath

from hilum._names import name_of
from hilum.dicom.files import File
from hilum.errors import InputError

_MOST_MEMBERS = 100_000
_MOST_RATIO = 200
_HARMLESS_BYTES = 100_000_000


def is_zip(path: Path) -> bool:
    """Tell by its first bytes whether a file is a zip."""
    with path.open("rb") as file:
        return file.read(4) in (b"PK\3\4", b"PK\5\6", b"PK\7\x08")


def list_members(path: Path) -> list[File]:
    """List the files inside a zip, in the order of their names.

    Raises:
        InputError: The zip is damaged, encrypted or hostile.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            infos = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise InputError(
            f"`{name_of(path)}` is a damaged zip ({type(error).__name__}). Was it "
            "copied or downloaded to its end? Pack it again."
        ) from error
    if len(infos) > _MOST_MEMBERS:
        raise InputError(
            f"Zip `{name_of(path)}` has {len(infos)} members, more than "
            f"{_MOST_MEMBERS}. Pack one study a zip."
        )
    infos = [info for info in infos if not info.is_dir()]
    for info in infos:
        problem = _find_problem(info)
        if problem:
            raise InputError(f"Zip `{name_of(path)}` is refused: {problem}")
    _check_overlap(path, infos)
    infos.sort(key=lambda info: info.filename)
    return [File(str(path), info.filename, info.file_size) for info in infos]


def _find_problem(info: zipfile.ZipInfo) -> str | None:
    parts = PurePosixPath(info.filename.replace("\\", "/")).parts
    if info.flag_bits & 0x1:
        return (
            "it is encrypted. Unpack it with its password and give the folder, or "
            "pack it without a password."
        )
    if not parts or ".." in parts or parts[0] == "/" or parts[0].endswith(":"):
        return (
            "a member names a path outside of the zip. It is damaged or hostile; "
            "pack it again."
        )
    if stat.S_ISLNK(info.external_attr >> 16):
        return "a member is a link instead of a file. Pack it again without links."
    if (
        info.file_size > _HARMLESS_BYTES
        and info.file_size > _MOST_RATIO * info.compress_size
    ):
        return (
            f"a member of {info.compress_size} bytes claims to hold {info.file_size}, "
            "as zip bombs do."
        )
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return (
            f"a member is packed by method {info.compress_type}. Pack it again with "
            "the usual method, deflate."
        )
    return None


def _check_overlap(path: Path, infos: list[zipfile.ZipInfo]) -> None:
    """Refuse members that share bytes, as bombs without nesting do."""
    end = 0
    for info in sorted(infos, key=lambda info: info.header_offset):
        if info.header_offset < end:
            raise InputError(
                f"Zip `{name_of(path)}` is refused: its members share bytes, as in zip "
                "bombs. Pack it again."
            )
        end = info.header_offset + info.compress_size
