"""Progress on stderr, as the commands show it."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager
from time import perf_counter
from typing import Any, Self

STAGES = {
    "read": "reading the slices",
    "lungs": "finding the lungs",
    "nodules": "looking for nodules",
    "measure": "measuring them",
    "malignancy": "judging them",
    "patient": "summing up",
    "prior": "assessing the prior",
    "registration": "laying the scans onto each other",
    "compare": "comparing the nodules",
    "write": "writing the documents",
    "phantom": "building a chest",
    "check": "reading the scans",
    "train": "training",
    "export": "exporting",
    "evaluate": "judging",
    "deidentify": "copying without the person",
    "lessons": "writing the lessons",
    "batch": "assessing the cohort",
}

_EVERY_SECONDS = 30


class Talk(AbstractContextManager["Talk"]):
    """Progress on stderr: a line that moves on a terminal, plain lines elsewhere."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self._status: Any = None
        self._stage: str | None = None
        self._start = 0.0
        self._said = perf_counter()

    def __enter__(self) -> Self:
        """Start the moving line, on a terminal."""
        if not self._quiet and sys.stderr.isatty():
            from rich.console import Console  # noqa: PLC0415  slow, and often unused

            self._status = Console(stderr=True).status("")
            self._status.start()
        return self

    def __exit__(self, *error: object) -> None:
        """Finish the last stage."""
        self._finish()
        if self._status is not None:
            self._status.stop()

    def __call__(self, stage: str) -> None:
        """Say that a stage starts, and how long the one before took."""
        self._finish()
        self._stage, self._start = stage, perf_counter()
        if self._status is not None:
            self._status.update(f"hilum: {STAGES.get(stage, stage)} …")

    def at(self, text: str) -> None:
        """Say how far the stage is, by its name."""
        stage = STAGES.get(self._stage or "", self._stage or "")
        self.tell(f"{stage}: {text}", every_s=_EVERY_SECONDS)

    def tell(self, text: str, *, every_s: float) -> None:
        """Say how far something is: on the moving line, or seldom by lines.

        Args:
            text: What the line says.
            every_s: Least seconds between two lines where none moves.
        """
        if self._status is not None:
            self._status.update(f"hilum: {text}")
        elif not self._quiet and perf_counter() - self._said >= every_s:
            self._said = perf_counter()
            sys.stderr.write(f"hilum: {text}\n")

    def say(self, text: str) -> None:
        """Say something that is not progress."""
        self._finish()
        if not self._quiet:
            sys.stderr.write(f"hilum: {text}\n")

    def _finish(self) -> None:
        stage, self._stage = self._stage, None
        if stage is not None and not self._quiet:
            seconds = perf_counter() - self._start
            sys.stderr.write(f"hilum: {STAGES.get(stage, stage)}: {seconds:.1f} s\n")
