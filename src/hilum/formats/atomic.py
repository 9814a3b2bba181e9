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


@contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """Open a new file beside `path`, and give it that name once it is complete.

    Args:
        path: Replaced when the block ends without an error, otherwise untouched.
    """
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        with part.open("xb") as file:
            yield file
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


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
