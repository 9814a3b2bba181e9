"""The data folder: where the files of each study are.

    hilum.sqlite, jobs.sqlite     what is known of jobs; absent with PostgreSQL
    secret                        key of the digests of patients
    incoming/NAME                 arriving; whoever receives writes here
    studies/ID/source/            as it arrived: slices, a zip or one file
    studies/ID/results/           the documents
    studies/ID/views/             what the viewer loads

A study appears under its name in one step, whole or not at all.
"""

from __future__ import annotations

import errno
import os
import re
import secrets
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from hilum._hold import hold
from hilum._names import name_of
from hilum.errors import InputError

_JOB_ID = re.compile(r"[0-9a-f]{32}")
_STALE_S = 86_400.0
_LOG_BYTES = 10_000_000
WORKERS_LOG = "workers.log"
"""What workers write to stderr; the last 10 to 20 MB of it are kept."""

UPLOADS = "upload-"
"""How folders of the web page in `incoming` begin; swept when a day old."""


class Store:
    """The folders of the studies.

    Args:
        data: The data folder; made when it is not there.
        free_bytes: Room on the disk below which nothing new is begun.

    Raises:
        InputError: The folder cannot be made or written to, or another service
            uses it.
    """

    def __init__(self, data: Path, free_bytes: float) -> None:
        self.data = Path(data).absolute()
        self._free_bytes = free_bytes
        try:
            self.data.parent.mkdir(parents=True, exist_ok=True)
            for path in (self.data, self.data / "incoming", self.data / "studies"):
                path.mkdir(exist_ok=True, mode=0o700)
            lock = hold(self.data / "lock")
        except OSError as error:
            raise InputError(
                f"Cannot use `{name_of(self.data)}` for data: "
                f"{error.strerror or type(error).__name__}. Name a folder that may be "
                "written to."
            ) from error
        if lock is None:
            raise InputError(
                f"Another service uses `{name_of(self.data)}`. Stop it, or name "
                "another folder."
            )
        self._lock = lock

    def close(self) -> None:
        """Let another service use the folder."""
        self._lock.close()

    def secret(self) -> bytes:
        """Give the key of this service, made at its first use."""
        path = self.data / "secret"
        if not path.exists():
            part = self.data / f".secret.{secrets.token_hex(4)}"
            descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(secrets.token_bytes(32))
            part.replace(path)
        return path.read_bytes()

    def spool(self, prefix: str = "") -> Path:
        """Make a new, empty folder for files that arrive."""
        path = self.data / "incoming" / f"{prefix}{secrets.token_hex(16)}"
        path.mkdir(mode=0o700)
        return path

    def folder(self, job_id: str) -> Path:
        """Give the folder of a study.

        Raises:
            InputError: It is no id of a job.
        """
        if not _JOB_ID.fullmatch(job_id):
            raise InputError(
                "The id of a study has 32 hexadecimal digits; this is none."
            )
        return self.data / "studies" / job_id

    def source(self, job_id: str) -> Path:
        """Give the study as it arrived: a folder, or the one file in it."""
        folder = self.folder(job_id) / "source"
        files = [path for path in folder.iterdir() if path.is_file()]
        inner = any(path.is_dir() for path in folder.iterdir())
        return files[0] if len(files) == 1 and not inner else folder

    def results(self, job_id: str) -> Path:
        """Give the folder of the documents."""
        return self.folder(job_id) / "results"

    def views(self, job_id: str) -> Path:
        """Give the folder of what the viewer loads."""
        return self.folder(job_id) / "views"

    def place(self, source: Path, job_id: str, *, move: bool) -> None:
        """Put an arrived study in its place, in one step.

        Args:
            source: A folder or a file.
            job_id: Its job.
            move: Take the source away from where it was.

        Raises:
            OSError: There is no room, or the folder may not be written to.
        """
        place = self.folder(job_id)
        if (place / "source").is_dir():
            self.discard(source, move=move)
            return
        part = place.with_name(f".{job_id}.{secrets.token_hex(4)}.part")
        part.mkdir(mode=0o700)
        inner = part / "source"
        try:
            if source.is_dir():
                _take_folder(source, inner, move=move)
            else:
                inner.mkdir()
                _take_file(source, inner / _neutral_name(source), move=move)
            shutil.rmtree(place, ignore_errors=True)  # what has no source is no study
            part.rename(place)
        finally:
            shutil.rmtree(part, ignore_errors=True)

    def discard(self, source: Path, *, move: bool) -> None:
        """Drop an arrival that is known already, if it is ours to drop."""
        if not move:
            return
        if source.is_dir():
            shutil.rmtree(source, ignore_errors=True)
        else:
            source.unlink(missing_ok=True)

    def remove(self, job_id: str) -> None:
        """Remove the files of a study."""
        place = self.folder(job_id)
        gone = place.with_name(f".{job_id}.{secrets.token_hex(4)}.gone")
        try:
            place.rename(gone)
        except FileNotFoundError:
            return
        shutil.rmtree(gone, ignore_errors=True)

    def placed(self) -> Iterator[str]:
        """List the studies whose files are there."""
        for path in (self.data / "studies").iterdir():
            if _JOB_ID.fullmatch(path.name) and (path / "source").is_dir():
                yield path.name

    def size_bytes(self, job_id: str) -> int:
        """Give the size of all files of a study."""
        return sum(
            path.stat().st_size
            for path in self.folder(job_id).rglob("*")
            if path.is_file()
        )

    def sweep(self) -> None:
        """Remove what an interruption left, and uploads that nobody finished."""
        for path in (self.data / "studies").iterdir():
            if path.name.startswith("."):
                shutil.rmtree(path, ignore_errors=True)
        log = self.data / WORKERS_LOG
        if log.exists() and log.stat().st_size > _LOG_BYTES:
            log.replace(log.with_suffix(".log.1"))
        self.sweep_uploads()

    def sweep_uploads(self) -> None:
        """Remove uploads that nobody went on with for a day."""
        now = time.time()
        for path in (self.data / "incoming").glob(f"{UPLOADS}*"):
            try:  # a file that grows does not touch its folder
                last = max(one.stat().st_mtime for one in (path, *path.iterdir()))
            except FileNotFoundError:
                continue
            if now - last > _STALE_S:
                shutil.rmtree(path, ignore_errors=True)

    def trouble(self) -> str | None:
        """Say why nothing can be written now, or None."""
        probe = self.data / f".probe.{secrets.token_hex(8)}"  # others ask as well
        try:
            free = shutil.disk_usage(self.data).free
            if free < self._free_bytes:
                return (
                    f"The disk is nearly full: {free / 1e9:.1f} GB are free, "
                    f"{self._free_bytes / 1e9:.1f} GB are kept. Make room; work goes "
                    "on by itself."
                )
            probe.write_bytes(b"x" * 4096)
            probe.unlink()
        except OSError as error:
            return explain(error)
        return None


def explain(error: OSError) -> str:
    """Say what keeps the data folder from being written to.

    Args:
        error: What writing raised.
    """
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "The disk is full. Make room; work goes on by itself."
    if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
        return (
            "The data folder may not be written to. Give the service the right to; "
            "work goes on by itself."
        )
    return f"The data folder cannot be used ({error.strerror or 'unknown'})."


def _renamed(source: Path, place: Path) -> bool:
    """Rename, unless the place is on another disk; tell whether it was done."""
    try:
        source.rename(place)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        return False
    return True


def _take_folder(source: Path, place: Path, *, move: bool) -> None:
    """Rename a folder, or copy it where that cannot be; links are left out."""
    if move and _renamed(source, place):
        return
    place.mkdir()
    for path in source.rglob("*"):
        if path.is_file() and not path.is_symlink():
            target = place / path.relative_to(source)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
    if move:
        shutil.rmtree(source, ignore_errors=True)


def _take_file(source: Path, place: Path, *, move: bool) -> None:
    """Rename a file, or copy it where that cannot be."""
    if move and _renamed(source, place):
        return
    shutil.copyfile(source, place)
    if move:
        source.unlink(missing_ok=True)


def _neutral_name(source: Path) -> str:
    """Keep what a name says of the format, and nothing that it may say of a person."""
    name = source.name.lower()
    for ending in (".nii.gz", ".nii", ".mha", ".npz", ".zip"):
        if name.endswith(ending):
            return f"study{ending}"
    return "study.dcm"
