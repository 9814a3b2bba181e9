"""Writing files and folders so that their names never stand for half of them."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from hilum._names import name_of
from hilum.errors import InputError

_OF_THE_SYSTEM = (Path("/dev"), Path("/dev/fd"), Path("/proc/self/fd"))


@contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """Open a new file beside `path`, and give it that name once it is complete.

    A device or a pipe, such as /dev/null, is written into and stays what it is.

    Args:
        path: Replaced when the block ends without an error, otherwise untouched.

    Raises:
        InputError: It is a folder.
    """
    if path.is_dir():
        raise InputError(
            f"Cannot write `{name_of(path)}`: it is a folder. Name a file in it."
        )
    if _is_special(path):
        with path.open("wb") as file:
            yield file
        return
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        with part.open("xb") as file:
            yield file
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _is_special(path: Path) -> bool:
    """Tell whether a name is of a device or a pipe, or of what the shell gave us."""
    if path.parent in _OF_THE_SYSTEM:
        return path.exists()
    return path.exists() and not (path.is_file() or path.is_dir())


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn the errors of the file system into one that names the file.

    Raises:
        InputError: The block raised an OSError.
    """
    try:
        yield
    except OSError as error:
        raise InputError(
            f"Cannot write `{name_of(path)}`: "
            f"{error.strerror or type(error).__name__}. "
            "Check that its folder exists, may be written to and has room."
        ) from error


@contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """Fill a new folder beside `path`, and give it that name once it is complete.

    Args:
        path: Replaced, with all that it holds, when the block ends without an error,
            otherwise untouched.
    """
    mark = secrets.token_hex(4)
    part = path.with_name(f".{path.name}.{mark}.part")
    old = path.with_name(f".{path.name}.{mark}.old")
    part.mkdir()
    try:
        yield part
        if path.exists():
            path.rename(old)
        part.rename(path)
    finally:
        for rest in (part, old):
            shutil.rmtree(rest, ignore_errors=True)
