"""How many processor cores this process may keep busy, and what they are good at."""

from __future__ import annotations

import math
import os
from functools import cache
from threading import Lock

from hilum._cgroup import cores_allowed

BF16_UNITS = (("amx_bf16",), ("AuthenticAMD", "avx512_bf16"))
"""What Linux says of processors that are faster in bf16: matrix units, or AMD's vector
units, which take half the time of fp32. Others are slower in it."""


class _Limit:
    """The number that was set, if one was."""

    cores: int | None = None
    lock = Lock()


def count_cores() -> int:
    """Count the cores that this process may use, at least 1.

    The system may keep a process to some cores, a container to the time of fewer (a
    part of a core counts as one), and `limit_cores` to fewer still.
    """
    free = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None
    found = free or os.cpu_count() or 1
    quota = _quota()
    if quota < found:
        found = math.ceil(quota)
    return max(1, min(found, _Limit.cores or found))


@cache
def _quota() -> float:
    """Read once what a container leaves: it is asked for often, and seldom changes."""
    return cores_allowed()


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
    """Tell whether a processor is faster in bf16 than in fp32.

    Args:
        processor: What Linux says of it in /proc/cpuinfo.

    Example:
        >>> gains_by_bf16("flags : fpu amx_bf16"), gains_by_bf16("flags : avx512_bf16")
        (True, False)
    """
    words = set(processor.split())
    return any(words.issuperset(units) for units in BF16_UNITS)
