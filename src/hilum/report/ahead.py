"""What documents are written with, loaded while networks still run.

A network leaves Python to others while it computes, so this costs hardly any time then;
after the networks it would be waited for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from threading import Thread

from hilum.report.dicom import load_library
from hilum.report.documents import FORMATS, Format

_FIRST_LONG = "nodules"
"""The first stage of a pipeline that is nearly all network."""


def load_ahead(formats: Sequence[Format]) -> Thread | None:
    """Start to load, in a thread of its own, what some formats are written with.

    Args:
        formats: Which documents will be written.

    Returns:
        The thread, or None where there is nothing to load.
    """
    if not any(FORMATS[name].refers for name in formats):
        return None
    thread = Thread(target=_load, name="hilum-load-ahead")
    thread.start()
    return thread


def _load() -> None:
    """Load; what fails here fails again where it is needed, and is told there."""
    with suppress(Exception):
        load_library()


def loading_ahead(
    progress: Callable[[str], None], formats: Sequence[Format]
) -> Callable[[str], None]:
    """Load ahead as soon as the networks run.

    Args:
        progress: Told of each stage.
        formats: Which documents will be written after the stages.

    Returns:
        To be told of each stage in its place.
    """

    def tell(stage: str) -> None:
        progress(stage)
        if stage == _FIRST_LONG:
            load_ahead(formats)

    return tell
