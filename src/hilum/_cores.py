"""How many processor cores this process may keep busy, and what they are good at."""

from __future__ import annotations

import os
from threading import Lock

_MATRIX_UNITS = "amx_bf16"
_AMD, _VECTOR_UNITS = "AuthenticAMD", "avx512_bf16"
"""What Linux calls the units that make bf16 faster; without them it is slower.

Vectors of bf16 were found to gain on processors of AMD alone.
"""


class _Limit:
    """The number that was set, if one was."""

    cores: int | None = None
    lock = Lock()


def count_cores() -> int:
    """Count the cores that this process may use, at least 1.

    The system may keep a process to some cores, and `limit_cores` to fewer.
    """
    free = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None
    found = free or os.cpu_count() or 1
    return max(1, min(found, _Limit.cores or found))


def cores_limit() -> int | None:
    """Give the number that `limit_cores` set; None: it set none."""
    return _Limit.cores


def limit_cores(cores: int | None) -> None:
    """Let this process keep so many cores busy, for it shares them with others.

    Args:
        cores: At least 1; None: all that there are. Networks that are loaded already
            keep what they have.
    """
    with _Limit.lock:
        _Limit.cores = cores


def gains_by_bf16(processor: str) -> bool:
    """Tell whether a processor computes faster in bf16 than in fp32.

    Args:
        processor: What Linux says of it in /proc/cpuinfo.
    """
    vectors = _AMD in processor and _VECTOR_UNITS in processor
    return vectors or _MATRIX_UNITS in processor
