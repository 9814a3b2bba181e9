"""How many processor cores this process may keep busy."""

from __future__ import annotations

import math
import os
from functools import cache
from threading import Lock

from hilum._cgroup import cores_allowed


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
