"""Find the studies and series in a folder, a file or a zip."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hilum._names import name_of
from hilum.dicom.archives import is_zip, list_members
from hilum.dicom.elements import NotDicomError
from hilum.dicom.files import File, Opener
from hilum.dicom.frames import read_headers
from hilum.dicom.guard import guarded
from hilum.dicom.headers import DICOMDIR, Header
from hilum.dicom.looks import claims_dicom, describe, is_junk, is_volume_name
from hilum.dicom.series import UNNAMED, Series, Study, make_series, order_of
from hilum.dicom.words import count, list_files, list_kinds
from hilum.errors import InputError
from hilum.findings import Notice

_THREADS = 8
_CHUNK = 16
_SLOW_SECONDS = 0.001
"""A header takes a tenth of this where storage is fast; slow storage gets threads."""

_HEAD = 400


@dataclass(frozen=True, slots=True, eq=False)
class Search:
    """What was found.

    Attributes:
        studies: In the order of their UIDs.
        notices: What lay beside them, and what could not be read.
    """

    studies: tuple[Study, ...]
    notices: tuple[Notice, ...]

    def to_json(self) -> dict[str, Any]:
        """Give what `hilum find` prints."""
        return {
            "studies": [study.to_json() for study in self.studies],
            "notices": [notice.to_json() for notice in self.notices],
        }


@dataclass(slots=True)
class _Findings:
    """What the files turned out to be."""

    headers: list[Header] = field(default_factory=list)
    damaged: list[tuple[str, str]] = field(default_factory=list)
    others: list[tuple[str, str]] = field(default_factory=list)
    has_directory: bool = False

    def add(self, other: _Findings) -> None:
        self.headers += other.headers
        self.damaged += other.damaged
        self.others += other.others
        self.has_directory |= other.has_directory


def find_studies(source: Path) -> Search:
    """Find the studies in a folder, however nested and mixed, a file or a zip.

    Pixels are not decoded, so a series that is `usable` here may still prove to be
    damaged when it is read.

    Args:
        source: A folder, a DICOM file, or a zip of DICOM files.

    Raises:
        InputError: There is nothing there, or nothing that is DICOM.
    """
    source = Path(source)
    files, is_single = find_files(source)
    if not files:
        kind = "Folder" if source.is_dir() else "Zip"
        raise InputError(
            f"{kind} `{name_of(source)}` holds no files. Give a DICOM series."
        )
    with Opener() as opener:
        found = _read_all(files, opener)
        if is_single and found.has_directory and not found.headers:
            return find_studies(source.parent)  # a DICOMDIR stands for its folder
        if not found.headers:
            raise InputError(_explain_nothing(source, found, is_single=is_single))
        studies = _make_studies(found.headers, opener)
    return Search(studies, tuple(_make_notices(found)))


def _make_studies(headers: Sequence[Header], opener: Opener) -> tuple[Study, ...]:
    """Sort headers into studies and series; where UIDs lack, the patient divides."""
    by_series: dict[tuple[str, ...], list[Header]] = {}
    for header in headers:
        study, series = header.study_uid, header.series_uid
        patient = header.patient_digest
        key: tuple[str, ...] = (
            *(study or UNNAMED, "" if study else patient),
            *(series or UNNAMED, "" if study and series else patient),
        )
        by_series.setdefault(key, []).append(header)
    by_study: dict[tuple[str, ...], list[Series]] = {}
    for key, members in sorted(by_series.items()):
        by_study.setdefault(key[:2], []).append(make_series(members, opener))
    return tuple(
        Study(key[0], tuple(sorted(found, key=order_of)))
        for key, found in by_study.items()
    )


def find_files(source: Path) -> tuple[list[File], bool]:
    """List the files of a source, and whether it is a single one."""
    try:
        if source.is_dir():
            return list(_walk(source)), False
        if not source.exists():
            raise InputError(
                f"There is nothing at `{name_of(source)}`. Check the path; it may be a "
                "DICOM folder, file or zip."
            )
        if not source.is_file():
            raise InputError(f"`{name_of(source)}` is neither a file nor a folder.")
        if is_zip(source):
            return list_members(source), False
        return [File(str(source), None, source.stat().st_size)], True
    except OSError as error:
        raise InputError(
            f"Cannot open `{name_of(source)}`: "
            f"{error.strerror or type(error).__name__}."
        ) from error


def _walk(folder: Path) -> Iterator[File]:
    """Walk a folder by name, each folder once whatever links lead to it."""
    seen: set[tuple[int, int]] = set()
    waiting = [str(folder)]
    while waiting:
        path = waiting.pop()
        try:
            status = Path(path).stat()
            with os.scandir(path) as found:
                entries = sorted(found, key=lambda entry: entry.name)
        except OSError:
            if path == str(folder):
                raise
            continue
        key = (status.st_dev, status.st_ino)
        if key in seen and status.st_ino:
            continue
        seen.add(key)
        folders = []
        for entry in entries:
            try:
                status = entry.stat()
            except OSError:  # a link to nothing
                continue
            if stat.S_ISDIR(status.st_mode):
                folders.append(entry.path)
            elif stat.S_ISREG(status.st_mode) and not is_junk(entry.name):
                yield File(entry.path, None, status.st_size)
        waiting += reversed(folders)


def _read_all(files: Sequence[File], opener: Opener) -> _Findings:
    """Read the headers of all files, in their order."""
    start = time.perf_counter()
    found = _read_some(files[:_CHUNK], opener)
    seconds_a_file = (time.perf_counter() - start) / len(files[:_CHUNK])
    rest = files[_CHUNK:]
    if seconds_a_file < _SLOW_SECONDS:  # threads would wait for each other
        found.add(_read_some(rest, opener))
        return found
    chunks = [rest[n : n + _CHUNK] for n in range(0, len(rest), _CHUNK)]
    with ThreadPoolExecutor(_THREADS) as pool:
        for part in pool.map(lambda chunk: _read_some(chunk, opener), chunks):
            found.add(part)
    return found


def _read_some(files: Sequence[File], opener: Opener) -> _Findings:
    found = _Findings()
    for file in files:
        failures: list[str] = []
        with guarded(failures.append):
            try:
                headers = read_headers(file, opener)
            except NotDicomError:
                with closing(opener.open(file)) as stream:
                    look = describe(stream.read(_HEAD))
                bin_ = found.damaged if claims_dicom(file.name) else found.others
                bin_.append((file.name, look))
                continue
            _sort(headers, found)
        found.damaged += [(file.name, failure) for failure in failures]
    return found


def _sort(headers: list[Header], found: _Findings) -> None:
    """Keep the headers of one file, unless it is a directory or a ruin."""
    first = headers[0]
    if first.media_class == DICOMDIR:
        found.has_directory = True
    elif not first.series_uid and (first.damage or not first.modality):
        reason = first.damage or "its header names no series and no modality"
        found.damaged.append((first.file.name, reason))
    else:
        found.headers += headers


def _explain_nothing(source: Path, found: _Findings, *, is_single: bool) -> str:
    """Say what there is in place of DICOM, and what to do."""
    things = [*found.damaged, *found.others]
    if found.has_directory and not things:
        return (
            f"`{name_of(source)}` holds a DICOMDIR and none of the files that it lists."
        )
    if is_single and found.others:
        what = f"`{name_of(source)}` is no DICOM file but {found.others[0][1]}."
    elif is_single:
        what = f"`{name_of(source)}` is no DICOM file that can be read: {things[0][1]}."
    else:
        what = (
            f"`{name_of(source)}` holds no DICOM file that can be read. It holds "
            f"{count(len(things), 'other file')}: {_list(found)}."
        )
    names = [source.name, *(name for name, _ in things)]
    if is_single and is_volume_name(source.name):
        return (
            f"{what} Only DICOM is searched for series; `hilum assess` and the other "
            "commands read this file as it is."
        )
    if any(is_volume_name(name) for name in names):
        unpack = "" if source.is_dir() else "Unpack it. "
        return f"{what} {unpack}Give the NIfTI or MetaImage file itself."
    if any(look == "a zip" for _, look in things):
        return f"{what} Give the zip itself."
    return f"{what} Give a DICOM folder, file or zip, or a NIfTI or MetaImage file."


def _list(found: _Findings) -> str:
    """List damaged files by name; others, often named after people, by kind."""
    parts = [list_files(found.damaged), list_kinds([look for _, look in found.others])]
    return "; ".join(filter(None, parts))


def _make_notices(found: _Findings) -> Iterator[Notice]:
    if found.damaged:
        text = (
            f"{count(len(found.damaged), 'file')} cannot be read as DICOM: "
            f"{list_files(found.damaged)}."
        )
        yield Notice("damaged-files", text, "read")
    zips = [look for _, look in found.others if look == "a zip"]
    if zips:
        text = (
            f"{count(len(zips), 'zip')} inside not opened. Give a zip itself to read "
            "what it holds."
        )
        yield Notice("nested-archives", text, "read")
    others = [look for _, look in found.others if look != "a zip"]
    if others:
        is_are = "is" if len(others) == 1 else "are"
        text = (
            f"{count(len(others), 'file')} ignored that {is_are} not DICOM: "
            f"{list_kinds(others)}."
        )
        yield Notice("ignored-files", text, "read")
