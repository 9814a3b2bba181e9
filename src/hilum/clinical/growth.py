"""How fast a nodule grows.

Source:
    British Thoracic Society guideline, Callister et al., Thorax 2015;70:ii1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from hilum.clinical.rounding import beside, check_size
from hilum.errors import InputError
from hilum.findings import Record

Growth = Literal["grown", "stable", "shrunk"]

STABLE_CHANGE = 0.25
"""A volume that changed by less than this share is stable."""

FAST_DAYS = 400.0
SLOW_DAYS = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeChange(Record):
    """How a volume changed.

    Attributes:
        doubling_time_days: None when the volume did not grow.
        change: Grown, stable (by less than 25 %) or shrunk.
        volume_change: Share of the first volume that was added; below 0 lost.
        rule: What it means, with the numbers.
    """

    doubling_time_days: float | None
    change: Growth
    volume_change: float
    rule: str


def sphere_mm3(diameter_mm: float) -> float:
    """Give the volume of a sphere, pi / 6 d^3.

    Example:
        >>> round(sphere_mm3(6.0), 1)
        113.1
    """
    check_size(diameter_mm, "The diameter", "mm")
    return math.pi / 6 * diameter_mm**3


def doubling_time_days(
    first_mm3: float, second_mm3: float, days: float
) -> float | None:
    """Give the time in which the volume doubles, ln 2 * days / ln(V2 / V1).

    Args:
        first_mm3: Volume at the first scan.
        second_mm3: Volume at the second scan.
        days: Between the two.

    Returns:
        Days, or None when the volume did not grow.

    Raises:
        InputError: A volume or the time is not above 0.

    Example:
        >>> round(doubling_time_days(sphere_mm3(6), sphere_mm3(8), 90), 2)
        72.28
    """
    check_size(first_mm3, "The first volume", "mm³")
    check_size(second_mm3, "The second volume", "mm³")
    check_size(days, "The time between the scans", "days")
    if second_mm3 <= first_mm3:
        return None
    return math.log(2) * days / math.log(second_mm3 / first_mm3)


def judge_growth(first_mm3: float, second_mm3: float, days: float) -> VolumeChange:
    """Say whether a nodule grew, and what its doubling time means.

    A change below 25 % is within the error of measuring: stable. Otherwise a
    doubling time up to 400 days asks for work-up, up to 600 days is intermediate,
    above it the nodule is likely benign.

    Takes and raises what `doubling_time_days` does.
    """
    time = doubling_time_days(first_mm3, second_mm3, days)
    change = second_mm3 / first_mm3 - 1
    share = beside(100 * abs(change), 100 * STABLE_CHANGE)
    sign = "-" if change < 0 else "+"
    said = f"{first_mm3:.4g} to {second_mm3:.4g} mm³ in {days:g} days, {sign}{share}%"
    # 80 to 100 is exactly 25 %, but not in binary
    if abs(change) < STABLE_CHANGE - 1e-12:
        return VolumeChange(
            doubling_time_days=time,
            change="stable",
            volume_change=change,
            rule=f"{said}: less than 25 % -> stable",
        )
    if time is None:
        return VolumeChange(
            doubling_time_days=None,
            change="shrunk",
            volume_change=change,
            rule=f"{said}: no growth, so no doubling time -> shrunk",
        )
    near = FAST_DAYS if time < (FAST_DAYS + SLOW_DAYS) / 2 else SLOW_DAYS
    if time <= FAST_DAYS:
        meaning = f"<= {FAST_DAYS:g} days -> work-up"
    elif time <= SLOW_DAYS:
        meaning = f"{FAST_DAYS:g} to {SLOW_DAYS:g} days -> intermediate"
    else:
        meaning = f"> {SLOW_DAYS:g} days -> likely benign"
    return VolumeChange(
        doubling_time_days=time,
        change="grown",
        volume_change=change,
        rule=f"{said}: doubling time {beside(time, near)} days, {meaning}",
    )


def volumes_of(
    diameters_mm: tuple[float, float] | None, volumes_mm3: tuple[float, float] | None
) -> tuple[float, float]:
    """Give two volumes, from spheres where diameters were given.

    Raises:
        InputError: Neither or both were given.
    """
    if (diameters_mm is None) == (volumes_mm3 is None):
        raise InputError("Growth needs two diameters or two volumes, and not both.")
    if diameters_mm is not None:
        return sphere_mm3(diameters_mm[0]), sphere_mm3(diameters_mm[1])
    return volumes_mm3 or (0.0, 0.0)
