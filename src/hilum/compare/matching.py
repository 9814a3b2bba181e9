"""Which nodule of the one scan is which of the other.

Distances are in the millimetres of the current scan, whereto nodules of the prior are
mapped. Two may be one nodule within a reach that grows with the doubt of the map and
with their size: a nodule that grows on one side moves its centre by up to its radius.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hilum.findings import Point

DOUBTS = 2.0
"""A nodule may lie so many times the doubt of the map from where it is mapped."""

LEAST_REACH_MM = 4.0
SIZE_COUNTS = 0.25
"""What a volume of eight times the other costs, of what the whole reach costs."""

_ALONE = 0.75
"""What leaving one nodule alone costs, of what the whole reach costs."""


@dataclass(frozen=True, slots=True)
class Spot:
    """Where a nodule or candidate lies in the current scan, and how large it is."""

    at_mm: Point
    diameter_mm: float


def reach_mm(one: Spot, other: Spot, doubt_mm: float) -> float:
    """Give the distance within which two may be one nodule.

    Args:
        one: A nodule.
        other: One of the other scan.
        doubt_mm: Of the map.

    Example:
        >>> reach_mm(Spot((0, 0, 0), 6.0), Spot((0, 0, 0), 10.0), 1.5)
        8.0
    """
    most = max(one.diameter_mm, other.diameter_mm)
    return max(DOUBTS * doubt_mm + most / 2, LEAST_REACH_MM)


def match(
    prior: Sequence[Spot], current: Sequence[Spot], *, doubt_mm: float
) -> tuple[tuple[int, int], ...]:
    """Match one to one, so that all together fit best.

    The optimal assignment: a pair costs the square of its distance by its reach, and
    something for unlike sizes; beyond the reach there is none. More pairs are better
    than fewer.

    Args:
        prior: Those of the prior, mapped to the current scan.
        current: Those of the current scan.
        doubt_mm: Of the map.

    Returns:
        Index in `prior` and index in `current` of each pair, by the latter.

    Example:
        >>> near = [Spot((0.0, 0.0, 0.0), 6.0), Spot((50.0, 0.0, 0.0), 6.0)]
        >>> match(near, near[::-1], doubt_mm=1.0)
        ((1, 0), (0, 1))
    """
    from scipy.optimize import linear_sum_assignment  # noqa: PLC0415  slow to import

    n, m = len(prior), len(current)
    if not n or not m:
        return ()
    never = 1e6
    cost = np.full((n + m, n + m), never)
    cost[:n, m:] = cost[n:, :m] = _ALONE
    cost[n:, m:] = 0.0
    for i, one in enumerate(prior):
        for j, other in enumerate(current):
            share = math.dist(one.at_mm, other.at_mm) / reach_mm(one, other, doubt_mm)
            if share <= 1:
                times = abs(math.log(other.diameter_mm / one.diameter_mm, 2))
                cost[i, j] = share**2 + SIZE_COUNTS * min(times, 2.0) ** 2
    rows, columns = linear_sum_assignment(cost)
    pairs = [
        (int(i), int(j))
        for i, j in zip(rows, columns, strict=True)
        if i < n and j < m and cost[i, j] < never
    ]
    return tuple(sorted(pairs, key=lambda pair: pair[1]))
