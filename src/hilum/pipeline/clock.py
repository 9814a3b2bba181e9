"""How long each stage takes, and a word to the user as it starts."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter

Progress = Callable[[str], None]


class Clock:
    """Seconds by stage, as a context manager: `with clock("lungs"): ...`."""

    def __init__(self, progress: Progress | None) -> None:
        self.seconds: dict[str, float] = {}
        self._progress = progress
        self._stage = ""
        self._start = 0.0

    def __call__(self, stage: str) -> Clock:
        """Say that a stage starts; its time is taken by `with`."""
        if self._progress:
            self._progress(stage)
        self._stage = stage
        return self

    def __enter__(self) -> None:
        """Start."""
        self._start = perf_counter()

    def __exit__(self, *error: object) -> None:
        """Stop, whether or not the stage failed."""
        self.seconds[self._stage] = round(perf_counter() - self._start, 3)
