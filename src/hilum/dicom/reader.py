"""From a series to a volume."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from hilum._plausible import find_implausible
from hilum.dicom.choice import choose_series
from hilum.dicom.files import Opener
from hilum.dicom.guard import guarded
from hilum.dicom.pixels import (
    check_codestream,
    count_most_failures,
    read_frame,
    read_slices,
)
from hilum.dicom.plans import Plan, make_plan
from hilum.dicom.search import find_studies
from hilum.dicom.series import Series
from hilum.dicom.stacks import make_damage_notice
from hilum.dicom.words import shorten
from hilum.errors import InputError
from hilum.findings import Notice
from hilum.space import Grid
from hilum.volume import CTVolume, HUArray

_FRAMES_TO_PROBE = 3
_AIR_SHOWS_BELOW_HU = -500
_OF_POSITIONS = frozenset(("missing-slices", "irregular-spacing"))


def read_dicom(source: Path, *, series_uid: str | None = None) -> CTVolume:
    """Find the studies in a source, choose a series and read it.

    Args:
        source: A folder, however nested and mixed, a file, or a zip.
        series_uid: The series to read, by its UID or by the start or the end of
            it; None: the best chest series, see `choose_series`.

    Returns:
        The volume; everything that was chosen, doubted or repaired is in its
        notices.

    Raises:
        InputError: There is no chest CT that can be read.
    """
    search = find_studies(source)
    series, notices = choose_series(search.studies, series_uid=series_uid)
    volume = read_series(series)
    return replace(volume, notices=(*search.notices, *notices, *volume.notices))


def read_series(series: Series) -> CTVolume:
    """Read a series into a volume in canonical order.

    The voxels are allocated once, in canonical order, and every slice is read
    into its place. A few slices that turn out to be damaged are interpolated.

    Args:
        series: As `find_studies` gave it.

    Returns:
        The volume, with the doubts and repairs of reading it as notices.

    Raises:
        InputError: The series cannot become a volume.
    """
    plan = series.plan
    if plan is None:
        raise InputError(
            f"Series {shorten(series.uid)} cannot be read. {series.problem}"
        )
    with Opener() as opener:
        _probe(series, plan, opener)
        stack = _allocate(plan.grid)
        failures = read_slices(plan.places, stack, opener, shifts=plan.shifts)
        notices = list(series.notices)
        if failures:
            plan, stack, more = _read_around(series, plan, stack, failures, opener)
            notices += more
    _interpolate(stack, plan.missing)
    notices += _doubt_offset(plan, stack)
    _check_hounsfield(series, stack, notices)
    order, flips = plan.grid.canonical_axes()
    steps = tuple(slice(None, None, -1 if flip else 1) for flip in flips)
    return CTVolume(
        np.ascontiguousarray(stack.transpose(order)[steps]),  # copies a part at most
        plan.grid.to_canonical(),
        series.uid,
        acquisition=replace(
            plan.first.to_acquisition(), interpolated_slices=len(plan.missing) or None
        ),
        notices=tuple(notices),
        patient=plan.first.patient_mark,
    )


def _probe(series: Series, plan: Plan, opener: Opener) -> None:
    """Hold a few compressed slices against their headers, before memory is taken."""
    packed = [h for h in plan.places if h is not None and h.scan.pixel_length < 0]
    faults: list[str] = []
    tried = packed[:: max(1, len(packed) // _FRAMES_TO_PROBE)][:_FRAMES_TO_PROBE]
    for header in tried:
        with guarded(faults.append):
            check_codestream(header, read_frame(header, opener))
    if tried and len(faults) == len(tried):
        raise InputError(
            f"Series {shorten(series.uid)} cannot be read. Of `{tried[0].name}`: "
            f"{faults[0]}."
        )


def _allocate(grid: Grid) -> HUArray:
    """Allocate a volume in canonical order and give it in that of acquisition."""
    order, flips = grid.canonical_axes()
    try:
        volume = np.empty([grid.shape[axis] for axis in order], np.int16)
    except MemoryError as error:
        size = " x ".join(map(str, grid.shape))
        raise InputError(f"There is no memory for a volume of {size}.") from error
    turned = volume[tuple(slice(None, None, -1 if flip else 1) for flip in flips)]
    return turned.transpose(np.argsort(order))


def _read_around(
    series: Series,
    plan: Plan,
    stack: HUArray,
    failures: dict[int, str],
    opener: Opener,
) -> tuple[Plan, HUArray, list[Notice]]:
    """Plan the volume again without the slices that could not be read."""
    faulty = [
        (header, failures[place])
        for place, header in enumerate(plan.places)
        if header is not None and place in failures
    ]
    most = count_most_failures(len(plan.places))
    # threads may find one or two more than it takes: the message names as many always
    notice = make_damage_notice(faulty[: most + 1], len(plan.places))
    if len(failures) > most:
        raise InputError(
            f"Series {shorten(series.uid)} cannot be read. At least {notice.message} "
            "Export it again."
        )
    bad = {id(header) for header, _ in faulty}
    try:
        again = make_plan([h for h in plan.places if h and id(h) not in bad], opener)
    except InputError as error:
        raise InputError(
            f"Series {shorten(series.uid)} cannot be read. {notice.message} Without "
            f"them: {error}"
        ) from error
    offset = plan.places.index(again.places[0])
    count = len(again.places)
    is_part = again.shifts is None and plan.shifts is None
    more = [n for n in again.notices if n.code in _OF_POSITIONS]
    wanted = plan.places[offset : offset + count]
    same = [h if h and id(h) not in bad else None for h in wanted]
    if is_part and list(again.places) == same:
        return again, stack[offset : offset + count], [notice, *more]
    fresh = _allocate(again.grid)
    if read_slices(again.places, fresh, opener, shifts=again.shifts):
        raise InputError(
            f"Series {shorten(series.uid)} cannot be read. {notice.message}"
        )
    return again, fresh, [notice, *more]


def _interpolate(stack: HUArray, missing: Sequence[int]) -> None:
    """Fill missing slices from their neighbours, linearly."""
    there = sorted(set(range(len(stack))) - set(missing))
    for place in missing:
        below = max(n for n in there if n < place)
        above = min(n for n in there if n > place)
        part = np.float32((place - below) / (above - below))
        mixed = (1 - part) * stack[below].astype(np.float32)
        mixed += part * stack[above]
        stack[place] = np.rint(mixed)


def _check_hounsfield(
    series: Series, stack: HUArray, notices: Sequence[Notice]
) -> None:
    """Refuse values that are no Hounsfield units of a chest, unless we said so.

    Every second row and column is enough to tell.
    """
    wrong = find_implausible(stack[:, ::2, ::2])
    if wrong and all(notice.code != "values-offset" for notice in notices):
        raise InputError(
            f"Series {shorten(series.uid)} cannot be read. It {wrong} Are its "
            "RescaleSlope and RescaleIntercept right?"
        )


def _doubt_offset(plan: Plan, stack: HUArray) -> list[Notice]:
    """Doubt values that were not rescaled and show no air."""
    if all(h is None or h.has_rescale for h in plan.places):
        return []
    lowest = int(stack.min())
    if lowest <= _AIR_SHOWS_BELOW_HU:
        return []
    text = (
        f"Without a rescale the lowest value is {lowest}, but a chest has air near "
        "-1000 HU: the values are probably offset, by 1024 as a rule, and every "
        "density is that much too high."
    )
    return [Notice("values-offset", text, "read")]
