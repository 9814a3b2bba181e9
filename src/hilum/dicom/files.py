"""Where the bytes are: files in a folder and members of a zip.

A member is read from inside its zip, never extracted, so nothing is written and
nothing has to be cleaned up. A `File` is plain data; an `Opener` opens it.
"""

from __future__ import annotations

import threading
import zipfile
import zlib
from abc import ABC, abstractmethod
from dataclasses import dataclass
from io import FileIO
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import Protocol, Self

from hilum._names import printable

_PIECE = 1 << 20


class Stream(Protocol):
    """Bytes that are read forward."""

    def read(self, count: int, /) -> bytes:
        """Read up to `count` bytes; fewer only at the end."""

    def readinto(self, buffer: memoryview, /) -> int | None:
        """Read into a buffer; how many bytes, 0 at the end."""

    def seek(self, position: int, /) -> int:
        """Move to a place."""

    def close(self) -> None:
        """Let go of the file."""


def read_exactly(stream: Stream, buffer: memoryview) -> bool:
    """Fill a buffer; False when the stream ends before it is full."""
    done = 0
    while done < len(buffer):
        count = stream.readinto(buffer[done:])
        if not count:
            return False
        done += count
    return True


@dataclass(frozen=True, slots=True)
class File:
    """A file, or a member of a zip.

    Attributes:
        path: The file, or the zip.
        member: Name inside the zip, or None.
        size: Bytes, uncompressed.
    """

    path: str
    member: str | None
    size: int

    @property
    def name(self) -> str:
        """Base name, for messages; whatever it holds, it can be printed."""
        path = PurePosixPath(self.member) if self.member else Path(self.path)
        return printable(path.name)


class Opener:
    """Opens files; keeps a zip open while it is in use. Threads may share it."""

    def __init__(self) -> None:
        self._zips: dict[str, zipfile.ZipFile] = {}
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        """Use it in a `with` block."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the zips."""
        for archive in self._zips.values():
            archive.close()
        self._zips.clear()

    def open(self, file: File) -> Stream:
        """Open a file at its start.

        Raises:
            OSError: It cannot be opened.
            zipfile.BadZipFile: The zip is damaged there.
        """
        if file.member is None:
            return FileIO(file.path)
        with self._lock:
            if file.path not in self._zips:
                self._zips[file.path] = zipfile.ZipFile(file.path)
            return _Member(self._zips[file.path], file.member, self._lock)


class _Forward(ABC):
    """What is read forward only, whatever asks for a place in it."""

    def __init__(self) -> None:
        self._position = 0

    @abstractmethod
    def read(self, count: int, /) -> bytes:
        """Read up to `count` bytes, and count them."""

    def readinto(self, buffer: memoryview, /) -> int:
        """Read into a buffer."""
        part = self.read(min(len(buffer), _PIECE))
        buffer[: len(part)] = part
        return len(part)

    def seek(self, position: int, /) -> int:
        """Move forward to a place; a jump would leave a checksum unchecked."""
        while self._position < position:
            if not self.read(min(position - self._position, _PIECE)):
                break
        return self._position


class _Member(_Forward):
    """A member of a zip, read in one go so that its checksum is checked."""

    def __init__(
        self, archive: zipfile.ZipFile, name: str, lock: threading.Lock
    ) -> None:
        self._lock = lock  # the bookkeeping of a zip is not made for threads
        self._file = archive.open(name)
        super().__init__()

    def read(self, count: int, /) -> bytes:
        """Read up to `count` bytes; fewer only at the end."""
        part = self._file.read(count)
        self._position += len(part)
        return part

    def close(self) -> None:
        """Let go of the member."""
        with self._lock:
            self._file.close()


class Inflated(_Forward):
    """A raw deflate stream, read forward without ever holding more than is asked.

    Args:
        stream: The file.
        start: Where the deflated bytes start.
    """

    def __init__(self, stream: Stream, start: int) -> None:
        stream.seek(start)
        self._stream = stream
        super().__init__()
        self._inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        self._waiting = b""

    def read(self, count: int, /) -> bytes:
        """Read up to `count` bytes; fewer at the end or where it is damaged."""
        parts: list[bytes] = []
        left = count
        while left > 0 and not self._inflater.eof:
            source = self._waiting or self._stream.read(65536)
            try:
                part = self._inflater.decompress(source, left)
            except zlib.error:
                break
            self._waiting = self._inflater.unconsumed_tail
            if not source and not part:
                break
            parts.append(part)
            left -= len(part)
        self._position += count - left
        return b"".join(parts)

    def close(self) -> None:
        """Let go of the file."""
        self._stream.close()
