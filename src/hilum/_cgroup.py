"""What the control groups of Linux leave to this process: a container's limits.

Neither the number of processors nor the memory that the machine shows tells them. A
limit of a group holds for all groups in it, so the least of all on the way counts.
A container may see its own group as the root, or the paths of the machine, of which
nothing is there: then the root is its own.

Sources:
    cgroups(7), /proc/pid/cgroup; Linux kernel documentation, "Control Group v2"
    (cpu.max, memory.max, memory.current, memory.stat) and "Control Groups version 1"
    (cpu.cfs_quota_us, cpu.cfs_period_us, memory.limit_in_bytes,
    memory.usage_in_bytes).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

_ROOT = Path("/sys/fs/cgroup")
_MINE = Path("/proc/self/cgroup")


def cores_allowed(root: Path = _ROOT, mine: Path = _MINE) -> float:
    """Read how many cores the groups of this process may keep busy; inf: any number.

    Args:
        root: Where the file systems of the groups are.
        mine: Which groups this process is in, as cgroups(7) has it.
    """
    least = math.inf
    for folder in _groups(root, mine, "cpu"):
        numbers = list(_numbers(folder / "cpu.max")) or [
            *_numbers(folder / "cpu.cfs_quota_us"),
            *_numbers(folder / "cpu.cfs_period_us"),
        ]
        if len(numbers) == 2 and min(numbers) > 0:  # a quota of -1 is none
            least = min(least, numbers[0] / numbers[1])
    return least


def memory_limit_bytes(root: Path = _ROOT, mine: Path = _MINE) -> float:
    """Read how much memory the groups of this process may take; inf: any amount.

    Args:
        root: Where the file systems of the groups are.
        mine: Which groups this process is in, as cgroups(7) has it.
    """
    return min((limit for _, limit in _limits(root, mine)), default=math.inf)


def memory_left_bytes(root: Path = _ROOT, mine: Path = _MINE) -> float:
    """Read how much of that is not taken; inf: there is no limit.

    What is kept of files and was not used of late counts as free, for it is given up
    first.

    Args:
        root: Where the file systems of the groups are.
        mine: Which groups this process is in, as cgroups(7) has it.
    """
    return min(
        (limit - _taken(g) for g, limit in _limits(root, mine)), default=math.inf
    )


def _limits(root: Path, mine: Path) -> Iterator[tuple[Path, float]]:
    """Go through the groups with a limit of memory."""
    for folder in _groups(root, mine, "memory"):
        for name in ("memory.max", "memory.limit_in_bytes"):
            yield from ((folder, limit) for limit in _numbers(folder / name))


def _taken(folder: Path) -> float:
    """Read how much memory a group takes, files that can be given up apart."""
    names = ("memory.current", "memory.usage_in_bytes")
    used = max(sum(_numbers(folder / name)) for name in names)
    idle = 0.0
    for line in _lines(folder / "memory.stat"):
        name, _, value = line.partition(" ")
        if name in ("inactive_file", "total_inactive_file") and value.isdecimal():
            idle = max(idle, float(value))
    return max(0.0, used - idle)


def _groups(root: Path, mine: Path, controller: str) -> Iterator[Path]:
    """Go through the folders of the groups of this process, from the innermost out."""
    for line in _lines(mine):
        number, _, rest = line.partition(":")
        names, _, path = rest.partition(":")
        if number == "0" and not names:
            tops = [root, root / "unified"]
        elif controller in names.split(","):
            tops = [root / names, root / controller]
        else:
            continue
        parts = [part for part in path.split("/") if part not in ("", "..")]
        for top in tops:
            for depth in range(len(parts), -1, -1):
                yield top.joinpath(*parts[:depth])


def _numbers(path: Path) -> Iterator[float]:
    """Read the numbers of a file: of one that is not there, or "max", none."""
    for word in " ".join(_lines(path)).split():
        if not word.lstrip("-").isdecimal():
            return
        yield float(word)


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
