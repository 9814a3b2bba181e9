"""What can go wrong, by who can fix it.

The exit code of each error is the exit code of the command line.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any


class HilumError(Exception):
    """Base of every error this package raises on purpose.

    Attributes:
        exit_code: Of the command line.
        results: What was computed before it, as a command prints it; None: nothing.
    """

    exit_code = 1
    results: Mapping[str, Any] | None = None


class InputError(HilumError, ValueError):
    """The data cannot be used as given; the caller can supply other data."""

    exit_code = 3


class MissingDependencyError(HilumError, ImportError):
    """An optional package is not installed."""

    exit_code = 4


class WeightsError(HilumError):
    """Trained weights are missing, damaged or not those that were named."""

    exit_code = 5


@contextmanager
def keeping(results: Mapping[str, Any]) -> Iterator[None]:
    """Give an error of the block what was computed before it, so that it is not lost.

    Args:
        results: As a command prints them.
    """
    try:
        yield
    except HilumError as error:
        error.results = results
        raise
