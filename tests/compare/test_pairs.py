"""Wrong pairs are refused or noticed, and nothing says whose they are."""

from dataclasses import replace

import numpy as np
import pytest

from hilum.compare.pairs import check_alignment, check_pair
from hilum.errors import InputError
from hilum.findings import Alignment
from hilum.space import Grid
from hilum.volume import Acquisition, CTVolume, PatientMark

ONE, OTHER = PatientMark(b"one", certain=True), PatientMark(b"other", certain=True)
ONE_HIDDEN, OTHER_HIDDEN = (replace(m, certain=False) for m in (ONE, OTHER))
GOOD = Alignment(overlap=0.98, likeness=0.94, doubt_mm=1.0)
UNLIKE = Alignment(overlap=0.97, likeness=0.45, doubt_mm=6.0)


def scan(acquired, *, number=1, patient=ONE, uid=None):
    hu = np.full((4, 4, 4), number, np.int16)
    return CTVolume(
        hu,
        Grid.axial((4, 4, 4), (1.0, 1.0, 1.0)),
        uid or f"1.2.{number}",
        Acquisition(study_uid=f"1.{number}", acquired=acquired),
        patient=patient,
    )


def pair(prior, current, **changes):
    first = {"acquired": prior, "number": 1}
    second = {"acquired": current, "number": 2, **changes}
    return scan(**first), scan(**second)


def test_days_by_hand():
    # 2023-12-31 to 2024-03-01: 1 + 31 + 29 days, 2024 being a leap year
    assert check_pair(*pair("20231231", "20240301")) == (61, ())
    assert check_pair(*pair("2023.12.31", "20240301"))[0] == 61  # before DICOM 3.0


@pytest.mark.parametrize(
    ("prior", "current", "says"),
    [
        ("20240301", "20231231", "61 days after the current scan. Swap"),
        ("20240301", "20240301", "dated to one day.*--days N"),
        (None, "20240301", "do not say how many days.*--days N"),
        ("20240301", "", "do not say how many days"),
        ("20241301", "20240301", "do not say how many days"),
        ("yesterday", "20240301", "do not say how many days"),
        ("19000101", "20240301", "45350 days.*must be wrong"),
    ],
)
def test_times_that_nothing_can_grow_in_are_refused(prior, current, says):
    with pytest.raises(InputError, match=says):
        check_pair(*pair(prior, current))


def test_days_that_were_told_win_and_are_noticed():
    days, notices = check_pair(*pair("20240101", "20240201"), days=90)
    assert days == 90
    assert [n.code for n in notices] == ["days-differ"]
    assert "31 days" in notices[0].message
    assert check_pair(*pair("20240101", "20240201"), days=31) == (31, ())
    assert check_pair(*pair(None, None), days=90) == (90, ())
    _, notices = check_pair(*pair("20240201", "20240101"), days=90)
    assert "made 31 days after the current scan" in notices[0].message


@pytest.mark.parametrize("days", [0, -5, 20_001])
def test_impossible_days_are_refused(days):
    with pytest.raises(InputError, match="whole number from 1 to 20000"):
        check_pair(*pair("20240101", "20240201"), days=days)


def test_a_scan_and_itself_are_refused():
    one = scan("20240101")
    with pytest.raises(InputError, match="are one scan"):
        check_pair(one, replace(one, series_uid="9.9"), days=90)  # same voxels
    later = scan("20240601", number=2, uid=one.series_uid)
    with pytest.raises(InputError, match="are one scan"):
        check_pair(one, later)  # same series UID


def test_a_scan_and_what_was_cut_out_of_it_are_refused():
    hu = np.random.default_rng(0).integers(-900, 100, (9, 8, 8)).astype(np.int16)
    whole = CTVolume(hu, Grid.axial(hu.shape, (2.5, 0.7, 0.7)), "1")
    part = whole.crop((1, 2, 0), (9, 8, 7))
    for pair_ in ((whole, part), (part, whole)):
        with pytest.raises(InputError, match="are one scan"):
            check_pair(*pair_, days=90)
    # another scan of the same place, and the same voxels at another place
    other = replace(part, hu=(part.hu + 1).astype(np.int16))
    assert check_pair(whole, other, days=90) == (90, ())
    away = replace(part, grid=Grid.axial(part.hu.shape, (2.5, 0.7, 0.7)))
    assert check_pair(whole, away, days=90) == (90, ())


def test_two_files_of_one_name_are_no_one_scan():
    one, other = (
        replace(scan(None, number=n, uid="ct"), acquisition=Acquisition())
        for n in (1, 2)
    )
    assert check_pair(one, other, days=90) == (90, ())


def test_two_series_of_one_study_are_refused():
    one, other = pair("20240101", "20240101")
    other = replace(other, acquisition=one.acquisition)
    with pytest.raises(InputError, match="two series of one study"):
        check_pair(one, other, days=90)


def test_another_patient_is_refused_unless_told_otherwise():
    scans = pair("20240101", "20240601", patient=OTHER)
    with pytest.raises(InputError, match=r"different patient identifiers.*--same-pat"):
        check_pair(*scans)
    _, notices = check_pair(*scans, same_patient=True)
    assert [n.code for n in notices] == ["patient-ids-differ"]
    assert "said to be of one patient" in notices[0].message


def test_replaced_identifiers_are_only_noticed():
    _, notices = check_pair(*pair("20240101", "20240601", patient=OTHER_HIDDEN))
    assert [n.code for n in notices] == ["patient-ids-differ"]
    assert "need not mean anything" in notices[0].message
    assert check_pair(*pair("20240101", "20240601", patient=None))[1] == ()
    assert check_pair(*pair("20240101", "20240601", patient=ONE_HIDDEN))[1] == ()


@pytest.mark.parametrize(
    "marks",
    [(None, None), (ONE, None), (ONE, ONE_HIDDEN), (ONE_HIDDEN, ONE_HIDDEN)],
)
def test_lungs_of_another_patient_are_refused(marks):
    with pytest.raises(InputError, match=r"alike by 0.45.*seem to be of two patients"):
        check_alignment(UNLIKE, marks)
    assert check_alignment(GOOD, marks) == ()


def test_unlike_lungs_of_one_patient_are_noticed():
    for notices in (
        check_alignment(UNLIKE, (ONE, ONE)),
        check_alignment(UNLIKE, (None, None), same_patient=True),
    ):
        assert [n.code for n in notices] == ["registration-poor"]
    with pytest.raises(InputError):
        check_alignment(UNLIKE, (ONE, OTHER))


@pytest.mark.parametrize(
    "alignment",
    [replace(GOOD, likeness=0.79), replace(GOOD, doubt_mm=4.1)],
)
def test_a_doubtful_map_is_noticed(alignment):
    notices = check_alignment(alignment, (None, None))
    assert [n.code for n in notices] == ["registration-doubtful"]


def test_the_mark_of_a_patient_is_never_shown():
    secret = PatientMark(b"a secret", certain=True)
    assert "secret" not in repr(secret)
    assert "secret" not in repr(scan("20240101", patient=secret))
