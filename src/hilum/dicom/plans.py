"""How a series becomes a volume, decided from its headers before pixels are read.

Limits, all stated here:
    A volume has at least 3 slices, no more than 20 mm apart, and the size of a
    chest (`space.check_chest_sized`).
    Up to 3 missing slices in a row and 10 % of the stack are interpolated.
    Of an irregular stack the longest regular run is used when it covers 60 % of
    the extent or 120 mm.
    A stack whose slices drift sideways by more than a pixel, or at more than half
    a degree, is sheared back: no file format holds a sheared grid for certain.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hilum.dicom.files import Opener
from hilum.dicom.geometry import (
    Run,
    drop_displaced,
    fill_lateral,
    find_lateral,
    find_longest_run,
    find_normal,
    fit_run,
    is_straight,
)
from hilum.dicom.headers import Header
from hilum.dicom.repeats import choose_regular_part, choose_slices
from hilum.dicom.stacks import find_stack
from hilum.dicom.words import count, list_mm
from hilum.errors import InputError
from hilum.findings import Notice
from hilum.space import FloatArray, Grid, check_chest_sized

LEAST_SLICES = 3
MOST_SPACING_MM = 20.0
LEAST_RUN = 0.6
LEAST_RUN_MM = 120.0
LEAST_TILT_DEG = 0.5
MOST_TILT_DEG = 45.0
MOST_ENLARGEMENT = 2.0


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """Which slice goes where.

    Attributes:
        places: Header of each place along the normal; None where one is missing.
        grid: Of the volume, its axes in the order of acquisition.
        shifts: (slice, 2) rows and columns to move each slice by, or None.
        notices: Doubts and repairs.
    """

    places: tuple[Header | None, ...]
    grid: Grid
    shifts: FloatArray | None
    notices: tuple[Notice, ...]

    @property
    def first(self) -> Header:
        """A slice to ask for what all slices share."""
        return next(h for h in self.places if h is not None)

    @property
    def missing(self) -> list[int]:
        """Places without a slice."""
        return [n for n, header in enumerate(self.places) if header is None]


def make_plan(headers: Sequence[Header], opener: Opener) -> Plan:
    """Decide how the slices of a series become a volume.

    Args:
        headers: All of the series.
        opener: Opens the files, to compare slices at one position.

    Raises:
        InputError: They cannot become one; the message is a sentence about "it".
    """
    stack = find_stack(headers)
    slices = stack.headers
    normal = find_normal(slices[0].orientation or ())
    corners = np.array([h.position_mm for h in slices])
    choice = choose_slices(slices, corners @ normal, opener)
    notices = [*stack.notices, *choice.notices]
    slices = [slices[n] for n in choice.members]
    corners = corners[choice.members]
    if len(slices) < LEAST_SLICES:
        raise InputError(
            f"It has {count(len(slices), 'slice position')}; a volume needs at least "
            f"{LEAST_SLICES}. Pass the folder that holds all slices of the series."
        )
    run, more = _find_run(slices, corners @ normal)
    notices += more
    slices = [slices[n] for n in run.members]
    grid, shifts, more = _make_grid(slices, corners[run.members], run)
    notices += more
    if run.spacing_mm > MOST_SPACING_MM:
        raise InputError(
            f"Its slices lie {run.spacing_mm:.4g} mm apart; a chest volume needs at "
            f"most {MOST_SPACING_MM:.0f} mm."
        )
    check_chest_sized(grid)
    places: list[Header | None] = [None] * run.count
    for place, header in zip(run.places.tolist(), slices, strict=True):
        places[place] = header
    return Plan(tuple(places), grid, shifts, tuple(notices))


def _find_run(
    slices: Sequence[Header], positions_mm: FloatArray
) -> tuple[Run, list[Notice]]:
    """Find the regular stack that the positions make, whole or in part."""
    run = fit_run(positions_mm)
    if run is not None:
        return run, _note_missing(run, positions_mm)
    run = drop_displaced(positions_mm)
    if run is not None:
        off = np.setdiff1d(np.arange(len(positions_mm)), run.members)
        text = (
            f"{len(off)} of {len(positions_mm)} slices lie between the places of the "
            f"others and were left out: {list_mm(positions_mm[off].tolist())} along "
            "the slice normal."
        )
        notice = Notice("displaced-slices", text, "read")
        return run, [notice, *_note_missing(run, positions_mm)]
    part = choose_regular_part(slices, positions_mm)
    if part is not None:
        run = fit_run(positions_mm, np.array(part.members))
        if run is not None:
            return run, [*part.notices, *_note_missing(run, positions_mm)]
    return _find_part(positions_mm)


def _find_part(positions_mm: FloatArray) -> tuple[Run, list[Notice]]:
    """Find the longest regular run of an irregular stack, if it is long enough."""
    extent = float(positions_mm[-1] - positions_mm[0])
    gaps = np.diff(positions_mm)
    usual = float(np.median(gaps))
    odd = np.abs(gaps - usual) > 0.05 * usual
    where = (
        f"gaps of {gaps.min():.4g} to {gaps.max():.4g} mm, unlike the usual "
        f"{usual:.4g} mm after {list_mm(positions_mm[:-1][odd].tolist())} along the "
        "slice normal"
    )
    run = find_longest_run(positions_mm)
    length = run.extent_mm if run is not None else 0.0
    if run is None or (length < LEAST_RUN * extent and length < LEAST_RUN_MM):
        raise InputError(
            f"Its {len(positions_mm)} slices are irregularly spaced ({where}), and no "
            f"regular part covers {LEAST_RUN:.0%} of them or {LEAST_RUN_MM:.0f} mm. "
            "Slices are missing: export the series again."
        )
    first, last = positions_mm[run.members[[0, -1]]].tolist()
    text = (
        f"The slices are irregularly spaced ({where}); only the regular part of "
        f"{run.count} slices, {first:.6g} to {last:.6g} mm of {extent:.4g} mm, was "
        "used."
    )
    return run, [Notice("irregular-spacing", text, "read")]


def _note_missing(run: Run, positions_mm: FloatArray) -> list[Notice]:
    if not run.missing:
        return []
    start = float(positions_mm[run.members[0]])
    return [make_missing_notice(run.missing, start, run.spacing_mm, run.count)]


def make_missing_notice(
    missing: Sequence[int], start_mm: float, spacing_mm: float, count: int
) -> Notice:
    """Name the places whose slices are interpolated.

    Args:
        missing: Places.
        start_mm: Position of the first place along the normal.
        spacing_mm: Distance of places.
        count: How many places there are.
    """
    places = list_mm([start_mm + spacing_mm * n for n in missing])
    text = (
        f"{len(missing)} of {count} slices are missing and were interpolated from "
        f"their neighbours: {places} along the slice normal."
    )
    return Notice("missing-slices", text, "read")


def _make_grid(
    slices: Sequence[Header], corners_mm: FloatArray, run: Run
) -> tuple[Grid, FloatArray | None, list[Notice]]:
    """Make the grid of the volume, and the shifts that straighten a sheared one."""
    first = slices[0]
    axes = np.array(first.orientation)
    pixel_mm = np.array(first.spacing_mm)
    rows, columns = first.format.rows, first.format.columns
    lateral, angle = find_lateral(corners_mm, axes)
    frames = {h.frame_uid for h in slices}
    frame_uid = (frames.pop() or None) if len(frames) == 1 else None
    affine = np.eye(4)
    affine[:3, 1] = axes[3:] * pixel_mm[0]
    affine[:3, 2] = axes[:3] * pixel_mm[1]
    drift = np.ptp(lateral / pixel_mm, axis=0)
    if drift.max() <= 1 and angle <= LEAST_TILT_DEG:
        affine[:3, 0] = (corners_mm[-1] - corners_mm[0]) / (run.count - 1)
        affine[:3, 3] = corners_mm[0]
        return Grid((run.count, rows, columns), affine, frame_uid), None, []
    area = (1 + drift[0] / rows) * (1 + drift[1] / columns)
    if angle > MOST_TILT_DEG or area > MOST_ENLARGEMENT:
        raise InputError(
            f"Its slices drift sideways by {np.ptp(lateral, axis=0).max():.4g} mm, at "
            f"{angle:.0f} degrees to the slice normal. A gantry tilts by less than "
            f"{MOST_TILT_DEG:.0f} degrees: are these slices of one stack?"
        )
    low = lateral.min(axis=0)
    shifts = (fill_lateral(lateral, run.places, run.count) - low) / pixel_mm
    down, right = np.ceil(shifts.max(axis=0) - 1e-6).astype(int).tolist()
    affine[:3, 0] = find_normal(axes) * run.spacing_mm
    affine[:3, 3] = corners_mm[0] + axes[3:] * low[0] + axes[:3] * low[1]
    grid = Grid((run.count, rows + down, columns + right), affine, frame_uid)
    if is_straight(lateral, run.places, float(pixel_mm.max())):
        code, what = "gantry-tilt", f"The gantry was tilted by {angle:.1f} degrees"
    else:
        code = "shifted-slices"
        what = f"Slices are shifted sideways by up to {np.ptp(lateral):.1f} mm"
    text = f"{what}; the slices were moved back onto a right-angled grid."
    return grid, shifts, [Notice(code, text, "read")]
