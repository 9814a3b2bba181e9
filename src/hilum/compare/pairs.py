"""Whether two scans are a pair: of one patient, at two times, in this order.

Days between are kept, dates are not: nothing here says when a scan was made, or of
whom.
"""

from __future__ import annotations

from datetime import date

import numpy as np

from hilum.errors import InputError
from hilum.findings import Alignment, Comparison, Notice
from hilum.volume import CTVolume, PatientMark

STAGE = "compare"
MOST_DAYS = 20_000

UNLIKE = 0.65
"""Scans of two patients were at most 0.62 alike, of one person at least 0.94; see
docs on growth."""

OFF_VOXELS = 0.01
SHARED = 0.5
"""Voxels that lie on each other, and the share of the smaller scan that must be the
same, before two are one."""

DOUBTFUL = 0.8
WORST_DOUBT_MM = 4.0
_SAME_PATIENT = "If they are of one patient all the same, say --same-patient."


def check_pair(
    prior: CTVolume,
    current: CTVolume,
    *,
    days: int | None = None,
    same_patient: bool = False,
) -> tuple[int, tuple[Notice, ...]]:
    """Refuse two scans that are no pair, before any work.

    Args:
        prior: The earlier scan.
        current: The later scan.
        days: Between them, where the files do not say it or say it wrongly; wins
            over what they say.
        same_patient: Whether they are said to be of one patient, whatever the files
            say.

    Returns:
        Days from the prior to the current scan, and what there is to doubt.

    Raises:
        InputError: They are one scan, of one study, of two patients or in the wrong
            order, or the days between are not known or cannot be.
    """
    _check_series(prior, current)
    doubts = _check_patients(prior.patient, current.patient, same_patient=same_patient)
    dated = _days_between(prior.acquisition.acquired, current.acquisition.acquired)
    if days is None:
        return _check_days(dated), doubts
    if not 1 <= days <= MOST_DAYS:
        raise InputError(
            f"The days between must be a whole number from 1 to {MOST_DAYS}; got "
            f"{days}."
        )
    if dated is not None and dated != days:
        said = (
            f"{dated} days lie between the scans"
            if dated >= 0
            else f"the prior was made {-dated} days after the current scan"
        )
        text = f"The files say that {said}; the {days} days that were told were used."
        doubts += (Notice("days-differ", text, STAGE),)
    return days, doubts


def check_alignment(
    alignment: Alignment,
    marks: tuple[PatientMark | None, PatientMark | None],
    *,
    same_patient: bool = False,
) -> tuple[Notice, ...]:
    """Doubt or refuse two scans by what is in their lungs.

    The vessels of two patients never lie alike, whatever map is found between their
    lungs.

    Args:
        alignment: Of the registered scans.
        marks: Of the patients.
        same_patient: As for `check_pair`.

    Raises:
        InputError: They are of two patients, as far as one can see, and nothing
            certain says otherwise.
    """
    known = same_patient or _surely_same(*marks)
    found = (
        f"Registered, the two scans are alike by {alignment.likeness:.2f} (1 is the "
        f"same, scans of two patients are below {UNLIKE:.2f}), with a doubt of "
        f"{alignment.doubt_mm:.1f} mm."
    )
    if alignment.likeness < UNLIKE:
        if not known:
            raise InputError(
                f"{found} They seem to be of two patients. Check the pair. "
                f"{_SAME_PATIENT}"
            )
        text = f"{found} Matches of nodules cannot be trusted. Look at each."
        return (Notice("registration-poor", text, STAGE),)
    if alignment.likeness < DOUBTFUL or alignment.doubt_mm > WORST_DOUBT_MM:
        text = f"{found} Nodules may be matched wrongly. Look at each."
        return (Notice("registration-doubtful", text, STAGE),)
    return ()


def growth_doubts(comparison: Comparison) -> tuple[Notice, ...]:
    """Doubt changes of which not even the direction is sure.

    Args:
        comparison: Of the two scans.
    """
    doubts = []
    for change in comparison.changes:
        if not {"grown", "shrunk"} <= set(change.possible) or change.growth is None:
            continue
        whose = (
            f"nodule {change.current}"
            if change.current
            else f"nodule {change.prior} of the prior"
        )
        text = (
            f"Whether {whose} grew is not known: within the error of measurement its "
            f"volume changed by {change.growth.low:+.0%} to {change.growth.high:+.0%}. "
            "Look at both scans."
        )
        doubts.append(Notice("growth-unsure", text, STAGE))
    return tuple(doubts)


def _check_series(prior: CTVolume, current: CTVolume) -> None:
    """Refuse a scan and itself, and two series of one study."""
    one, other = prior.acquisition.study_uid, current.acquisition.study_uid
    same = one is not None and prior.series_uid == current.series_uid
    if same or _same_voxels(prior, current):
        raise InputError(
            "Prior and current are one scan. Give two scans of different days."
        )
    if one is not None and one == other:
        raise InputError(
            "Prior and current are two series of one study, made on one day. Give a "
            "study of another day as the prior."
        )


def _same_voxels(prior: CTVolume, current: CTVolume) -> bool:
    """Tell whether two scans are one, or one is cut out of the other."""
    if prior.hu.shape == current.hu.shape and np.array_equal(prior.hu, current.hu):
        return True
    one, other = prior.grid, current.grid
    if not np.allclose(one.affine[:3, :3], other.affine[:3, :3], atol=1e-4):
        return False
    offset = one.to_index(other.to_world([0, 0, 0]))
    start = np.rint(offset).astype(int)
    if np.abs(offset - start).max() > OFF_VOXELS:
        return False
    first = np.maximum(start, 0)
    last = np.minimum(start + other.shape, one.shape)
    shared = int(np.prod(np.maximum(last - first, 0)))
    if shared < SHARED * min(prior.hu.size, current.hu.size):
        return False
    before = prior.hu[tuple(map(slice, first, last))]
    now = current.hu[tuple(map(slice, first - start, last - start))]
    return bool(np.ptp(before) > 0) and np.array_equal(before, now)


def _surely_same(one: PatientMark | None, other: PatientMark | None) -> bool:
    """Tell whether certain identifiers agree."""
    if one is None or other is None:
        return False
    return one.certain and other.certain and one.digest == other.digest


def _check_patients(
    one: PatientMark | None, other: PatientMark | None, *, same_patient: bool
) -> tuple[Notice, ...]:
    """Compare identifiers, as far as there are any."""
    if one is None or other is None or one.digest == other.digest:
        return ()
    if one.certain and other.certain and not same_patient:
        raise InputError(
            "Prior and current carry different patient identifiers. Check the pair. "
            f"{_SAME_PATIENT}"
        )
    text = "Prior and current carry different patient identifiers; " + (
        "they were said to be of one patient."
        if same_patient
        else "identifiers were removed or replaced, so this need not mean anything."
    )
    return (Notice("patient-ids-differ", text, STAGE),)


def _days_between(one: str | None, other: str | None) -> int | None:
    """Count the days from one date to another; None where one is not known."""
    first, second = _day(one), _day(other)
    return None if first is None or second is None else (second - first).days


def _day(text: str | None) -> date | None:
    digits = (text or "").replace(".", "")  # YYYY.MM.DD before DICOM 3.0
    if len(digits) != 8 or not digits.isascii() or not digits.isdigit():
        return None
    try:
        return date(int(digits[:4]), int(digits[4:6]), int(digits[6:]))
    except ValueError:
        return None


def _check_days(dated: int | None) -> int:
    """Refuse an order or a time that no growth can be judged by."""
    if dated is None:
        raise InputError(
            "The files do not say how many days lie between the two scans. Tell it "
            "with --days N."
        )
    if dated < 0:
        raise InputError(
            f"The prior was made {-dated} days after the current scan. Swap the two."
        )
    if dated == 0:
        raise InputError(
            "Both scans are dated to one day, so nothing can have grown between "
            "them. If the dates were replaced, tell the days between with --days N."
        )
    if dated > MOST_DAYS:
        raise InputError(
            f"The files say that {dated} days lie between the scans. One of the dates "
            "must be wrong; tell the days between with --days N."
        )
    return dated
