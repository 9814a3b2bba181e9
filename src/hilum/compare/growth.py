"""How much a nodule grew, and how sure that is.

Both scans are measured alike: at the edge; and where one of them ends with ground glass
around a dense part and the other does not, both by the dense part alone. Whether a
nodule grew is told by its volume (25 %, British Thoracic Society), because a volume
shows growth long before a diameter does; guidelines that count in millimetres of
diameter get those.

The interval covers the edge, the dense part and what a network draws, which fail in
different ways, and around them what measuring the same nodule twice is off. See docs on
growth.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from hilum.clinical.growth import STABLE_CHANGE, doubling_time_days, judge_growth
from hilum.findings import ChangeStatus, Growth, Nodule, Outlining

SURFACE_MM = 0.2
"""How far the edge of one measurement may lie off another's (90 %), whatever the
voxels."""

SURFACE_SLICES = 0.06
"""And so much of the slice spacing more."""


@dataclass(frozen=True, slots=True)
class Sized:
    """One nodule of one scan, measured in all ways.

    Attributes:
        edge: At the edge of its density.
        drawn_mm3: Volume as a network draws it; None where it draws nothing.
        slice_mm: Largest spacing of the voxels.
        dense: Its dense part, where ground glass around that is in `edge`; else None.
    """

    edge: Nodule
    drawn_mm3: float | None
    slice_mm: float
    dense: Nodule | None = None

    def by(self, outlining: Outlining) -> Nodule:
        """Give the nodule as it was measured in one way."""
        return self.dense if outlining == "dense" and self.dense else self.edge


def outlining_of(before: Sized, now: Sized) -> Outlining:
    """Tell how two scans can be measured alike."""
    return "edge" if (before.dense is None) == (now.dense is None) else "dense"


def sphere_mm(nodule: Nodule) -> float:
    """Give the diameter of the sphere of the volume of a nodule."""
    return math.cbrt(6 * nodule.volume_mm3 / math.pi)


def log_error(nodule: Nodule, slice_mm: float) -> float:
    """Give half the interval (90 %) of the logarithm of a measured volume.

    A surface that is off by s changes the volume of a ball by 3 ln(1 + 2 s / d).

    Args:
        nodule: As it was measured.
        slice_mm: Largest spacing of the voxels.
    """
    surface_mm = SURFACE_MM + SURFACE_SLICES * slice_mm
    return 3 * math.log1p(2 * surface_mm / max(sphere_mm(nodule), 1.0))


def measure_growth(before: Sized, now: Sized, days: int) -> Growth:
    """Say how much a nodule grew.

    Args:
        before: At the prior.
        now: At the current scan.
        days: Between the two.
    """
    outlining = outlining_of(before, now)
    first, second = before.by(outlining), now.by(outlining)
    ways = _log_ratios(before, now)
    error = math.hypot(
        log_error(first, before.slice_mm), log_error(second, now.slice_mm)
    )
    low, high = min(ways) - error, max(ways) + error
    verdict = judge_growth(first.volume_mm3, second.volume_mm3, days)
    return Growth(
        volume_change=verdict.volume_change,
        low=math.expm1(low),
        high=math.expm1(high),
        doubling_time_days=verdict.doubling_time_days,
        shortest_days=doubling_time_days(1.0, math.exp(high), days),
        longest_days=doubling_time_days(1.0, math.exp(low), days),
        outlining=outlining,
        rule=verdict.rule,
    )


def status_of(volume_change: float) -> ChangeStatus:
    """Name a change of volume: grown or shrunk by 25 % or more, else stable.

    Example:
        >>> [status_of(c) for c in (-0.25, -0.2, 0.0, 0.24, 0.25)]
        ['shrunk', 'stable', 'stable', 'stable', 'grown']
    """
    if abs(volume_change) < STABLE_CHANGE - 1e-12:
        return "stable"
    return "grown" if volume_change > 0 else "shrunk"


def possible_of(growth: Growth) -> tuple[ChangeStatus, ...]:
    """Name all that a change may be within its interval, the named one first."""
    named = status_of(growth.volume_change)
    ends = {named, status_of(growth.low), status_of(growth.high)}
    if {"grown", "shrunk"} <= ends:
        ends.add("stable")
    order: tuple[ChangeStatus, ...] = ("grown", "stable", "shrunk")
    return (named, *(s for s in order if s in ends and s != named))


def _log_ratios(before: Sized, now: Sized) -> list[float]:
    """Give the logarithm of the ratio of volumes by each way of measuring."""
    pairs = [(before.edge.volume_mm3, now.edge.volume_mm3)]
    if before.dense or now.dense:
        first, second = before.by("dense"), now.by("dense")
        pairs.append((first.volume_mm3, second.volume_mm3))
    if before.drawn_mm3 and now.drawn_mm3:
        pairs.append((before.drawn_mm3, now.drawn_mm3))
    return [math.log(second / first) for first, second in pairs]
