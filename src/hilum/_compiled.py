"""How loops are compiled: once, and kept on disk where that is possible."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba import njit


def compiled(function: Callable[..., Any]) -> Any:
    """Compile a function that runs without the GIL.

    The machine code is kept beside the source or in the user's cache. Where neither
    can be written, as in a read-only installation without a home, each process
    compiles it anew.
    """
    try:
        return njit(cache=True, nogil=True)(function)
    except RuntimeError:  # numba finds no place to keep it
        return njit(nogil=True)(function)
