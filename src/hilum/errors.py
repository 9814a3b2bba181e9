"""What can go wrong, by who can fix it.

The exit code of each error is the exit code of the command line.
"""

from __future__ import annotations


class HilumError(Exception):
    """Base of every error this package raises on purpose."""

    exit_code = 1


class InputError(HilumError, ValueError):
    """The data cannot be used as given; the caller can supply other data."""

    exit_code = 3


class MissingDependencyError(HilumError, ImportError):
    """An optional package is not installed."""

    exit_code = 4


class WeightsError(HilumError):
    """Trained weights are missing, damaged or not those that were named."""

    exit_code = 5
