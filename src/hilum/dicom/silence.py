"""Keeping pydicom from quoting the values that it doubts: they may name people.

Filters of warnings and loggers are those of the whole process. Silences of several
threads may overlap: the first to begin changes them, the last to end gives back what
was there before. Other libraries change the filters too while they work, so begin no
silence in one thread while another one computes: who ends last would undo the other.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from threading import Lock


class _Silences:
    """Those that last, of all threads."""

    lock = Lock()
    count = 0
    undo = ExitStack()


@contextmanager
def silence() -> Iterator[None]:
    """Let pydicom log nothing, and nobody warn, until the block ends.

    Example:
        >>> with silence():
        ...     warnings.warn("Invalid value for VR DA: '1960-01-02'.")
    """
    with _Silences.lock:
        if not _Silences.count:
            _Silences.undo = _begin()
        _Silences.count += 1
    try:
        yield
    finally:
        with _Silences.lock:
            _Silences.count -= 1
            if not _Silences.count:
                _Silences.undo.close()


def _begin() -> ExitStack:
    """Be silent; gives what ends it."""
    with ExitStack() as undo:
        undo.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")
        logger = logging.getLogger("pydicom")
        undo.callback(setattr, logger, "disabled", logger.disabled)
        logger.disabled = True
        return undo.pop_all()
