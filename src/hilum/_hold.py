"""Holding a folder, so that one process at a time writes into it."""

from __future__ import annotations

import fcntl
from pathlib import Path
from typing import IO


def hold(path: Path) -> IO[str] | None:
    """Hold a lock file until it is closed, or this process ends, however it ends.

    Args:
        path: Made when it is not there; its folder must be.

    Returns:
        The open file; None where another process holds it.

    Raises:
        OSError: It cannot be opened for writing.
    """
    file = path.open("w", encoding="utf-8")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        return None
    return file
