"""The border where whatever goes wrong with one file becomes a sentence."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Callable
from types import TracebackType

from hilum.dicom.elements import DamagedError


class guarded:  # noqa: N801  used like a function
    """Run a block that reads one file or frame; report what goes wrong with it.

    Damaged bytes may make a parser or a codec raise anything, so every exception
    ends here, and only here; an interrupt passes.

    Args:
        report: Called with the reason, in words that end "cannot be used: ...".
    """

    __slots__ = ("_report",)

    def __init__(self, report: Callable[[str], None]) -> None:
        self._report = report

    def __enter__(self) -> None:
        """Begin the block."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        """Report an exception and go on after the block."""
        if not isinstance(error, Exception):
            return False
        self._report(_explain(error))
        return True


def _explain(error: Exception) -> str:
    if isinstance(error, DamagedError):
        return str(error)
    if isinstance(error, zipfile.BadZipFile | zlib.error | EOFError):
        return "it is damaged inside the zip"
    if isinstance(error, OSError):
        return f"it cannot be opened ({error.strerror or type(error).__name__})"
    return f"it is damaged ({type(error).__name__})"
