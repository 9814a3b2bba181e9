"""Where slices lie: pure functions of positions, no files.

Slices are ordered by their position along the slice normal, whatever their names
and numbers say. A stack is regular when every slice lies within a tolerance of an
equally spaced place; places without a slice are missing slices. SliceThickness
and SpacingBetweenSlices are never asked.

Sources:
    DICOM PS3.3 C.7.6.2.1.1 (image position and orientation).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hilum.space import FloatArray

IntArray = npt.NDArray[np.int64]

TOLERANCE_MM = 0.05
TOLERANCE_OF_SPACING = 0.05
"""A slice may lie 0.05 mm, or 5 % of the spacing if that is more, off its place."""

SAME_PLACE_MM = 0.01
"""Slices nearer than this lie at one position."""

MOST_MISSING_IN_A_ROW = 3
MOST_MISSING = 0.1
"""Share of the places of a stack that may lack their slice."""

_MOST_POSITIONS = 5000


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """Slices at equally spaced places.

    Attributes:
        members: (n,) which of the positions belong to it, ascending.
        places: (n,) the place of each, counted from 0.
        spacing_mm: Distance of neighbouring places.
    """

    members: IntArray
    places: IntArray
    spacing_mm: float

    @property
    def count(self) -> int:
        """How many places it has, missing slices included."""
        return int(self.places[-1]) + 1

    @property
    def missing(self) -> list[int]:
        """Places without a slice."""
        return sorted(set(range(self.count)) - set(self.places.tolist()))

    @property
    def extent_mm(self) -> float:
        """Distance of the first from the last slice."""
        return self.spacing_mm * (self.count - 1)


def find_normal(orientation: npt.ArrayLike) -> FloatArray:
    """Give the slice normal.

    Args:
        orientation: (6,) unit vectors along a row and along a column.

    Returns:
        (3,) unit vector, row x column.

    Example:
        >>> find_normal([1, 0, 0, 0, 1, 0]).tolist()
        [0.0, 0.0, 1.0]
    """
    axes = np.asarray(orientation, dtype=np.float64)
    return np.cross(axes[:3], axes[3:])


def find_repeats(positions_mm: FloatArray) -> list[IntArray]:
    """Group slices that lie at one position.

    Args:
        positions_mm: (n,) along the normal, in any order.

    Returns:
        Indices of each group, the groups in ascending order of position.

    Example:
        >>> [g.tolist() for g in find_repeats(np.array([5.0, 0.0, 2.5, 0.0]))]
        [[1, 3], [2], [0]]
    """
    order = np.argsort(positions_mm, kind="stable")
    edges = np.flatnonzero(np.diff(positions_mm[order]) > SAME_PLACE_MM) + 1
    return np.split(order, edges)


def fit_run(positions_mm: FloatArray, members: IntArray | None = None) -> Run | None:
    """Place slices at equal distances, if that is where they lie.

    The distance follows from the first and the last; each gap is a whole number of
    it, more than one where slices are missing.

    Args:
        positions_mm: (n,) ascending, apart from each other.
        members: Which of them to place; None: all.

    Returns:
        The run, or None when a slice lies off its place by more than the tolerance
        or too many are missing.

    Example:
        >>> fit_run(np.array([0.0, 2.0, 4.0, 8.0, 10.0])).missing
        [3]
        >>> fit_run(np.array([0.0, 2.0, 4.0, 7.0, 10.0])) is None
        True
    """
    which = np.arange(len(positions_mm)) if members is None else members
    at = positions_mm[which]
    if len(at) < 2:
        return None
    gaps = np.diff(at)
    steps = np.rint(gaps / np.median(gaps)).astype(np.int64)
    if steps.min() < 1 or steps.max() > MOST_MISSING_IN_A_ROW + 1:
        return None
    places = np.concatenate([[0], np.cumsum(steps)])
    missing = places[-1] + 1 - len(at)
    if missing > max(1, MOST_MISSING * (places[-1] + 1)):
        return None
    spacing = float(at[-1] - at[0]) / int(places[-1])
    off = np.abs(at - at[0] - spacing * places).max()
    if off > max(TOLERANCE_MM, TOLERANCE_OF_SPACING * spacing):
        return None
    return Run(which, places, spacing)


def drop_displaced(positions_mm: FloatArray) -> Run | None:
    """Place all slices but a few that lie between the places of the others.

    Args:
        positions_mm: (n,) ascending.

    Returns:
        The run without at most 3 displaced slices, or None.

    Example:
        >>> run = drop_displaced(np.array([0, 1, 2, 2.4, 4, 5, 6, 7, 8, 9, 10.0]))
        >>> run.members.tolist(), run.missing
        ([0, 1, 2, 4, 5, 6, 7, 8, 9, 10], [3])
    """
    if len(positions_mm) < 5:
        return None
    gaps = np.diff(positions_mm)
    spacing = float(np.median(gaps))
    tolerance = max(TOLERANCE_MM, TOLERANCE_OF_SPACING * spacing)

    def is_off(gap: FloatArray) -> npt.NDArray[np.bool_]:
        steps = np.rint(gap / spacing)
        return np.asarray((steps < 1) | (np.abs(gap - steps * spacing) > tolerance))

    off = is_off(gaps)
    both = off[:-1] & off[1:] & ~is_off(gaps[:-1] + gaps[1:])
    displaced = np.flatnonzero(both) + 1
    if not 1 <= len(displaced) <= 3:
        return None
    keep = np.setdiff1d(np.arange(len(positions_mm)), displaced)
    return fit_run(positions_mm, keep)


def find_longest_run(positions_mm: FloatArray) -> Run | None:
    """Find the longest part of a stack that is regular.

    A part without missing slices goes before a longer one with some.

    Args:
        positions_mm: (n,) ascending.

    Returns:
        The part of the greatest extent, of at least 3 slices, or None.

    Example:
        >>> find_longest_run(np.array([0, 1, 2, 3, 5.5, 8, 10.5])).members.tolist()
        [3, 4, 5, 6]
    """
    count = len(positions_mm)
    if not 3 <= count <= _MOST_POSITIONS:
        return None
    best: Run | None = None
    first = 0
    for last in range(1, count):
        run = None
        while first < last and (run is None or run.missing):
            run = fit_run(positions_mm, np.arange(first, last + 1))
            first += run is None or bool(run.missing)
        if run is None or last - first < 2:
            continue
        if best is None or run.extent_mm > best.extent_mm:
            best = run
    return best


def find_lateral(
    corners_mm: FloatArray, orientation: npt.ArrayLike
) -> tuple[FloatArray, float]:
    """Tell how far slices are shifted sideways against the first one.

    Args:
        corners_mm: (n, 3) world points of the first voxel of each slice, ascending
            along the normal.
        orientation: (6,) unit vectors along a row and along a column.

    Returns:
        (n, 2) shift along (column, row) direction in mm, and the angle in degrees
        between the slice normal and the way from the first to the last slice.
    """
    axes = np.asarray(orientation, dtype=np.float64)
    offsets = corners_mm - corners_mm[0]
    lateral = np.stack([offsets @ axes[3:], offsets @ axes[:3]], axis=1)
    way = offsets[-1]
    along = abs(float(way @ find_normal(axes)))
    angle = np.degrees(np.arctan2(np.linalg.norm(lateral[-1]), along))
    return lateral, float(angle)


def is_straight(lateral_mm: FloatArray, places: IntArray, tolerance_mm: float) -> bool:
    """Tell whether sideways shifts grow steadily, as those of a tilted gantry do.

    Args:
        lateral_mm: (n, 2) shifts.
        places: (n,) places along the normal.
        tolerance_mm: How far off a straight line a shift may be.
    """
    line = np.outer(places / places[-1], lateral_mm[-1])
    return bool(np.abs(lateral_mm - line).max() <= tolerance_mm)


def fill_lateral(lateral_mm: FloatArray, places: IntArray, count: int) -> FloatArray:
    """Interpolate the shifts of missing slices.

    Args:
        lateral_mm: (n, 2) shifts of the slices that are there.
        places: (n,) their places.
        count: How many places there are.

    Returns:
        (count, 2) shifts.
    """
    every = np.arange(count)
    return np.stack([np.interp(every, places, s) for s in lateral_mm.T], axis=1)
