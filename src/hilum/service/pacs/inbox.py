"""Studies that are arriving: where their files lie, and when they are complete.

A study is a folder named by a keyed digest of its UID; a file appears in it whole or
not at all. A study is complete when nothing came for it for a while, a longer while
where the sender broke off. It is then handed over, and is not the inbox's any more.
After a crash the folders that lie there are taken up again.
"""

from __future__ import annotations

import hmac
import logging
import os
import secrets
import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from hilum._names import name_of
from hilum.errors import InputError

Submit = Callable[[Path], object]
"""Takes a folder with a complete study; it moves or copies what it wants to keep, and
the inbox removes the rest. It raises when the study cannot be taken now."""

LOG = logging.getLogger(__name__)
LOG.addHandler(logging.NullHandler())
_RETRIES_S = 30.0
_PAUSE_S = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class InboxSettings:
    """How studies arrive.

    Attributes:
        folder: Where they lie meanwhile; made if absent.
        quiet_s: A study to which nothing came for this long is complete.
        broken_s: The same where the sender's association was aborted.
        most_files: Files a study may have.
        most_bytes: Bytes a study may have.
        free_bytes: Room on the disk below which nothing is taken.

    Raises:
        InputError: A limit is not above 0.
    """

    folder: Path
    quiet_s: float = 10.0
    broken_s: float = 60.0
    most_files: int = 20_000
    most_bytes: int = 32 << 30
    free_bytes: int = 1 << 30

    def __post_init__(self) -> None:
        """Refuse limits that let nothing through."""
        for name in ("quiet_s", "broken_s", "most_files", "most_bytes"):
            if not getattr(self, name) > 0:
                raise InputError(
                    f"`{name}` of the inbox must be above 0; got {getattr(self, name)}."
                )


class FullError(Exception):
    """There is no room for a file: on the disk, or in its study."""


@dataclass(slots=True)
class _Study:
    """One study that is arriving; guarded by the lock of the inbox."""

    folder: Path
    due_s: float
    files: int = 0
    size: int = 0
    writers: int = 0
    senders: set[int] = field(default_factory=set)


class Inbox:
    """Studies that are arriving. Use it in a `with` block.

    Args:
        settings: How they arrive.
        submit: Called in a thread with the folder of each complete study.

    Raises:
        InputError: The folder cannot be used.
    """

    def __init__(self, settings: InboxSettings, submit: Submit) -> None:
        self._settings, self._submit = settings, submit
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._studies: dict[str, _Study] = {}
        self._watcher = threading.Thread(target=self._watch, name="inbox", daemon=True)
        try:
            settings.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._secret = _read_secret(settings.folder / "key")
            self._take_up()
        except OSError as error:
            raise InputError(
                f"Cannot receive into `{name_of(settings.folder)}`: "
                f"{error.strerror or type(error).__name__}. Name a folder that may be "
                "written to."
            ) from error

    def __enter__(self) -> Self:
        """Begin to watch for complete studies."""
        self._watcher.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop; what is incomplete stays, and is taken up at the next start."""
        self._stop.set()
        self._watcher.join()

    @property
    def waiting(self) -> int:
        """How many studies are arriving."""
        with self._lock:
            return len(self._studies)

    def add(
        self, study_uid: str, instance_uid: str, parts: tuple[bytes, ...], sender: int
    ) -> bool:
        """Keep one file.

        Args:
            study_uid: Its study.
            instance_uid: Which instance it is.
            parts: Its bytes, in pieces.
            sender: Number of the association.

        Returns:
            False when the instance is there already; the first one stays.

        Raises:
            FullError: There is no room for it.
            OSError: It cannot be written.
        """
        name = f"{self._digest('instance', instance_uid)}.dcm"
        size = sum(map(len, parts))
        self._check_room(size)
        study = self._begin(self._digest("study", study_uid), size, sender)
        is_new = False
        try:
            is_new = _write_new(study.folder, name, parts)
        finally:
            with self._lock:
                study.writers -= 1
                study.files += is_new
                study.size += size if is_new else 0
                study.due_s = time.monotonic() + self._settings.quiet_s
        return is_new

    def broken(self, sender: int) -> None:
        """Say that an association was aborted: what it sent may be sent again."""
        with self._lock:
            for study in self._studies.values():
                if sender in study.senders:
                    study.due_s = time.monotonic() + self._settings.broken_s

    def _begin(self, key: str, size: int, sender: int) -> _Study:
        with self._lock:
            study = self._studies.get(key)
            if study is None:
                folder = self._settings.folder / f"{key}-{secrets.token_hex(4)}"
                folder.mkdir(mode=0o700)
                study = self._studies[key] = _Study(folder, time.monotonic())
            limits = self._settings
            if (
                study.files >= limits.most_files
                or study.size + size > limits.most_bytes
            ):
                raise FullError
            study.senders.add(sender)
            study.writers += 1
        return study

    def _check_room(self, size: int) -> None:
        if (
            shutil.disk_usage(self._settings.folder).free - size
            < self._settings.free_bytes
        ):
            raise FullError

    def _take_up(self) -> None:
        """Find the studies that were arriving when the last process ended."""
        for folder in sorted(p for p in self._settings.folder.iterdir() if p.is_dir()):
            for part in folder.glob(".*"):
                part.unlink()
            files = list(folder.iterdir())
            key = folder.name.partition("-")[0]
            if not files or key in self._studies:
                if not files:
                    folder.rmdir()
                    continue
                key = folder.name  # a second part of the same study
            self._studies[key] = _Study(
                folder,
                time.monotonic() + self._settings.quiet_s,
                files=len(files),
                size=sum(file.stat().st_size for file in files),
            )

    def _watch(self) -> None:
        """Hand over what is complete; a thread of its own."""
        while not self._stop.wait(_PAUSE_S):
            for key, study in self._take_complete():
                self._hand_over(key, study)

    def _take_complete(self) -> list[tuple[str, _Study]]:
        now = time.monotonic()
        with self._lock:
            found = [
                (key, study)
                for key, study in self._studies.items()
                if not study.writers and study.due_s <= now
            ]
            for key, _ in found:
                del self._studies[key]
        return found

    def _hand_over(self, key: str, study: _Study) -> None:
        try:
            if study.files:
                self._submit(study.folder)
            shutil.rmtree(study.folder, ignore_errors=True)
            LOG.info("a study of %d files was handed over", study.files)
        except Exception as error:  # noqa: BLE001  the next study must not suffer
            LOG.warning(
                "a study of %d files could not be handed over (%s); it is tried again",
                study.files,
                type(error).__name__,
            )
            study.due_s = time.monotonic() + _RETRIES_S
            with self._lock:
                name = key if key not in self._studies else study.folder.name
                self._studies[name] = study

    def _digest(self, kind: str, uid: str) -> str:
        text = f"{kind} {uid}".encode("utf-8", "replace")
        return hmac.digest(self._secret, text, "sha256")[:16].hex()


def _read_secret(path: Path) -> bytes:
    """Read the key that names files; made at the first use."""
    if not path.exists():
        part = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_bytes(32))
        part.replace(path)
    return path.read_bytes()


def _write_new(folder: Path, name: str, parts: tuple[bytes, ...]) -> bool:
    """Write a file, whole or not at all; False when there is one of that name."""
    path = folder / name
    if path.exists():
        return False
    part = folder / f".{secrets.token_hex(8)}"
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb", buffering=0) as file:
            for piece in parts:
                view = memoryview(piece)
                while view:
                    view = view[file.write(view) or 0 :]
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    return True
