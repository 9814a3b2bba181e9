"""The pages of the synthetic chest, made while a reader looks at the first of them.

    python -m hilum.primer.press FOLDER [FIRST]

writes them, politely, in a process of its own; so neither the seconds nor the memory
that a chest and its networks take are the server's. Pages that need no chest are made
at once.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from threading import Lock
from typing import Self

from hilum.errors import HilumError
from hilum.primer.lessons import LESSONS
from hilum.primer.server import NotReadyError
from hilum.primer.site import Site, write_pages

NICE = 10
"""How far the process stands back behind others."""


class Press:
    """Pages, of which some are made elsewhere once the first of all is asked for.

    Leaving ends the process and forgets its pages.
    """

    def __init__(self, first: str = "") -> None:
        """Prepare, and make nothing yet.

        Args:
            first: The page to be made before the others, by its file's name.
        """
        self._first = first
        self._site = Site(served=True)
        self._folder = tempfile.TemporaryDirectory(prefix="hilum-pages-")
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = Lock()
        self._elsewhere = {one.file for one in LESSONS if one.needs_scan}

    def __enter__(self) -> Self:
        """Start with none."""
        return self

    def __exit__(self, *error: object) -> None:
        """End the process and forget the pages."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        self._folder.cleanup()

    def page(self, name: str) -> str | None:
        """Give a page by its file's name; None when there is none such.

        Args:
            name: As `03-filters.html`.

        Raises:
            NotReadyError: It is being made.
            HilumError: It could not be made.
        """
        if name not in self._site.names():
            return None
        process = self.start()
        if name not in self._elsewhere:
            return self._site.page(name)
        path = Path(self._folder.name) / name
        ended = process.poll()
        if path.exists():
            return path.read_text(encoding="utf-8")
        if ended is None:
            raise NotReadyError("The page is being made. Wait a moment.")
        raise HilumError(
            "The page could not be made. See why with: hilum primer --export FOLDER"
        )

    def start(self) -> subprocess.Popen[bytes]:
        """Begin to make the pages, before the first is asked for; once."""
        with self._lock:
            if self._process is None:
                self._process = subprocess.Popen(
                    _command(Path(self._folder.name), self._first),
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                )
            return self._process


def _command(folder: Path, first: str) -> list[str]:
    """Say how to write the pages into a folder."""
    return [sys.executable, "-m", "hilum.primer.press", str(folder), first]


def main(argv: list[str]) -> None:
    """Write the pages into a folder, behind whatever else the computer does."""
    os.nice(NICE)
    site, first = Site(), "".join(argv[1:])
    names = sorted(site.names(), key=lambda name: name != first)
    write_pages(site, names, Path(argv[0]))


if __name__ == "__main__":
    main(sys.argv[1:])
