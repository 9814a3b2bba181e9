"""Repairs and choices: named in a notice, or refused with the reason."""

import json
from dataclasses import replace

import numpy as np
import pytest
from dicom_beside import KINDS, make_beside
from dicom_checks import assert_shows_the_patient, noticed, wanted_hu
from dicom_maker import (
    ROOT,
    SERIES,
    STUDY,
    SeriesSpec,
    encode,
    make_series,
    make_slices,
    write_slice,
    write_slices,
)

from hilum.dicom import choose_series, find_studies, read_dicom, read_series
from hilum.errors import InputError


def brighter(spec, by, **tags):
    """The same slices, every voxel brighter, with other instance UIDs and tags."""
    slices = make_slices(spec)
    for ds in slices:
        bits = np.frombuffer(ds.PixelData, "<i2").reshape(spec.shape[1:]) + np.int16(by)
        encode(ds, bits.view(np.uint16), spec)
        ds.SOPInstanceUID = f"{ds.SOPInstanceUID}.{by}"
        ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
        for keyword, value in tags.items():
            setattr(ds, keyword, value)
    return slices


def offset_from_the_patient(volume):
    """How much brighter than the patient the whole volume is."""
    apart = volume.hu - wanted_hu(volume)
    assert np.ptp(apart) <= 1.02, "the volume mixes slices of two acquisitions"
    return float(np.median(apart))


# ---- duplicates --------------------------------------------------------------


def test_identical_slices_are_dropped(tmp_path):
    slices = make_slices(SeriesSpec())
    write_slices(slices, tmp_path)
    for k in (3, 17):
        write_slice(slices[k], tmp_path / f"copy{k}.dcm")  # the file twice
    again = make_slices(SeriesSpec())[20]
    again.SOPInstanceUID = again.file_meta.MediaStorageSOPInstanceUID = f"{ROOT}.7"
    write_slice(again, tmp_path / "sent-again.dcm")  # the pixels under another UID
    volume = read_dicom(tmp_path)
    assert volume.grid.shape == (30, 32, 40)
    assert_shows_the_patient(volume)
    (text,) = noticed(volume.notices, "duplicat|repeat|identical")
    assert "3" in text


def test_the_whole_folder_twice(tmp_path):
    make_series(tmp_path / "a")
    make_series(tmp_path / "b")
    volume = read_dicom(tmp_path)
    assert volume.grid.shape == (30, 32, 40)
    assert_shows_the_patient(volume)
    assert noticed(volume.notices, "duplicat|repeat|identical")


@pytest.mark.parametrize(
    "tags",
    [
        {"AcquisitionNumber": 2},
        {"AcquisitionTime": "120000", "AcquisitionNumber": 2},
        {"TemporalPositionIdentifier": 2},
    ],
    ids=str,
)
def test_two_acquisitions_in_one_series_are_told_apart_or_refused(tags, tmp_path):
    write_slices(make_slices(SeriesSpec()), tmp_path / "a")
    write_slices(brighter(SeriesSpec(), 100, **tags), tmp_path / "b")
    try:
        volume = read_dicom(tmp_path)
    except InputError as error:
        assert "8" in str(error) or "position" in str(error)  # noqa: PT017
        return
    assert volume.grid.shape == (30, 32, 40)
    assert round(offset_from_the_patient(volume)) in (0, 100)
    assert volume.notices


def test_two_acquisitions_by_number_are_told_apart(tmp_path):
    write_slices(make_slices(SeriesSpec()), tmp_path / "a")
    write_slices(brighter(SeriesSpec(), 100, AcquisitionNumber=2), tmp_path / "b")
    volume = read_dicom(tmp_path)
    assert round(offset_from_the_patient(volume)) in (0, 100)
    assert noticed(volume.notices, "acquisition")


def test_a_part_scanned_again_is_told_apart_or_refused(tmp_path):
    # the first 30 slices, and ten of them again in a second acquisition
    write_slices(make_slices(SeriesSpec()), tmp_path / "a")
    write_slices(brighter(SeriesSpec(), 90, AcquisitionNumber=2)[8:18], tmp_path / "b")
    volume = read_dicom(tmp_path)
    assert volume.grid.shape == (30, 32, 40)
    assert offset_from_the_patient(volume) == pytest.approx(0, abs=1)
    assert volume.notices


def test_different_slices_at_one_place_that_nothing_tells_apart_are_refused(tmp_path):
    write_slices(make_slices(SeriesSpec()), tmp_path / "a")
    write_slice(brighter(SeriesSpec(), 100)[11], tmp_path / "other.dcm")
    with pytest.raises(InputError, match=r"-28|position|different"):
        pytest.fail(str(read_dicom(tmp_path).notices))


@pytest.mark.parametrize("by", ["TemporalPositionIdentifier", "AcquisitionNumber"])
def test_four_dimensions_give_one_phase_or_a_refusal(by, tmp_path):
    for phase in range(3):
        slices = brighter(
            SeriesSpec(),
            40 * phase,
            **{by: phase + 1, "AcquisitionTime": f"12000{phase}"},
        )
        write_slices(slices, tmp_path / str(phase))
    try:
        volume = read_dicom(tmp_path)
    except InputError as error:
        assert "position" in str(error) or "phase" in str(error)  # noqa: PT017
        return
    assert volume.grid.shape == (30, 32, 40)
    assert round(offset_from_the_patient(volume)) in (0, 40, 80)
    assert volume.notices


# ---- gaps and irregular spacing ----------------------------------------------


@pytest.mark.parametrize("lost", [[12], [4, 15, 22], [1], [28], [10, 11]], ids=str)
def test_missing_slices_are_interpolated_and_named(lost, tmp_path):
    slices = [ds for k, ds in enumerate(make_slices(SeriesSpec())) if k not in lost]
    volume = read_dicom(write_slices(slices, tmp_path))
    assert volume.grid.shape == (30, 32, 40)
    assert_shows_the_patient(volume, atol=1.1)
    text = " ".join(noticed(volume.notices, "missing|gap|interpolat"))
    assert text
    for k in lost:  # z of the slice: -116 + 8 k
        assert f"{-116 + 8 * k}" in text, text


def test_missing_slices_of_a_feet_first_coronal(tmp_path):
    spec = SeriesSpec(axes="coronal")
    slices = [ds for k, ds in enumerate(make_slices(spec)) if k not in (7, 19)]
    volume = read_dicom(write_slices(slices, tmp_path))
    assert_shows_the_patient(volume, atol=1.1)
    assert noticed(volume.notices, "missing|gap|interpolat")


def test_missing_ends_are_nobody_s_business(tmp_path):
    volume = read_dicom(write_slices(make_slices(SeriesSpec())[2:27], tmp_path))
    assert volume.grid.shape == (25, 32, 40)
    assert_shows_the_patient(volume)
    assert [n.code for n in volume.notices] == ["thick-slices"]  # and no repair


def test_a_long_gap_gives_the_longest_run_or_a_refusal(tmp_path):
    slices = make_slices(SeriesSpec(shape=(44, 32, 40)))
    write_slices([*slices[:24], *slices[38:]], tmp_path)
    try:
        volume = read_dicom(tmp_path)
    except InputError as error:
        assert "mm" in str(error)  # noqa: PT017
        return
    assert volume.grid.shape[0] == 24
    assert_shows_the_patient(volume)
    assert noticed(volume.notices, "gap|run|regular|spacing|left out|missing")


def test_two_spacings_give_the_longest_run_or_a_refusal(tmp_path):
    offsets = [*np.arange(0, 168, 8.0), *np.arange(165, 210, 5.0)]
    spec = SeriesSpec(shape=(len(offsets), 32, 40), offsets_mm=tuple(offsets))
    make_series(tmp_path, spec)
    try:
        volume = read_dicom(tmp_path)
    except InputError as error:
        assert "mm" in str(error)  # noqa: PT017
        return
    assert_shows_the_patient(volume, atol=1.1)
    assert volume.grid.spacing_mm[0] == pytest.approx(8, abs=1e-3)
    assert noticed(volume.notices, "irregular|regular|spacing|run")


def test_irregular_everywhere_is_refused_with_positions(tmp_path):
    rng = np.random.default_rng(3)
    offsets = np.cumsum(rng.uniform(3, 13, 30))
    make_series(tmp_path, SeriesSpec(offsets_mm=tuple(offsets)))
    with pytest.raises(InputError, match=r"\d mm|spacing"):
        pytest.fail(str(read_dicom(tmp_path).notices))


def test_every_second_slice_missing_is_just_a_wider_spacing(tmp_path):
    slices = make_slices(SeriesSpec(shape=(60, 32, 40), spacing_mm=(4, 9, 9)))
    volume = read_dicom(write_slices(slices[::2], tmp_path))
    assert volume.grid.spacing_mm[0] == pytest.approx(8)
    assert_shows_the_patient(volume)


def test_one_slice_of_another_orientation(tmp_path):
    slices = make_slices(SeriesSpec())
    odd = make_slices(SeriesSpec(axes="sagittal"))[4]
    odd.SOPInstanceUID = f"{ROOT}.8"
    volume = read_dicom(write_slices([*slices, odd], tmp_path))
    assert volume.grid.shape == (30, 32, 40)
    assert_shows_the_patient(volume)
    assert noticed(volume.notices, "orient|other|left out|dropped")


# ---- series of a study -------------------------------------------------------


def two_series(folder, **other):
    """A thin soft series and another one; gives their UIDs."""
    thin = SeriesSpec(shape=(96, 32, 40), spacing_mm=(2.5, 9, 9), thickness_mm=2.5)
    spec = replace(SeriesSpec(series_uid=f"{ROOT}.1.2", number=3), **other)
    make_series(folder / "thin", thin)
    make_series(folder / "other", spec)
    return SERIES, f"{ROOT}.1.2"


def test_the_thinner_series_is_chosen_and_both_are_listed(tmp_path):
    thin, thick = two_series(tmp_path)
    search = find_studies(tmp_path)
    (study,) = search.studies
    assert study.uid == STUDY
    assert {s.uid for s in study.series} == {thin, thick}
    assert all(s.usable and s.problem is None for s in study.series)
    assert {s.uid: s.count for s in study.series} == {thin: 96, thick: 30}
    series, notices = choose_series(search.studies)
    assert series.uid == thin
    assert noticed(notices, "2|two|other")
    volume = read_series(series)
    assert_shows_the_patient(volume)
    assert volume.series_uid == thin


def test_another_series_can_be_picked(tmp_path):
    thin, thick = two_series(tmp_path)
    for wanted in (thin, thick):
        volume = read_dicom(tmp_path, series_uid=wanted)
        assert volume.series_uid == wanted
        assert volume.grid.shape[0] == {thin: 96, thick: 30}[wanted]


def test_a_series_that_is_not_there_is_refused_with_those_that_are(tmp_path):
    thin, thick = two_series(tmp_path)
    with pytest.raises(InputError) as caught:
        read_dicom(tmp_path, series_uid="1.2.3.4.5")
    assert "1.2.3.4.5" in str(caught.value)
    assert thin[-8:] in str(caught.value)
    assert thick[-8:] in str(caught.value)


def test_two_kernels_are_listed_and_the_choice_does_not_hang_on_file_order(tmp_path):
    sharp = SeriesSpec(series_uid=f"{ROOT}.1.2", kernel="B70f", number=3)
    chosen = set()
    for name, pair in {
        "ab": (SeriesSpec(), sharp),
        "ba": (sharp, SeriesSpec()),
    }.items():
        for k, spec in enumerate(pair):
            make_series(tmp_path / name / str(k), spec)
        search = find_studies(tmp_path / name)
        assert {s.kernel for s in search.studies[0].series} == {"B30f", "B70f"}
        series, notices = choose_series(search.studies)
        assert notices
        chosen.add(series.uid)
    assert len(chosen) == 1


def test_two_patients_in_one_folder_are_two_studies(tmp_path):
    make_series(tmp_path / "a")
    make_series(
        tmp_path / "b", SeriesSpec(study_uid=f"{ROOT}.2", series_uid=f"{ROOT}.2.1")
    )
    search = find_studies(tmp_path)
    assert {s.uid for s in search.studies} == {STUDY, f"{ROOT}.2"}
    volume = read_dicom(tmp_path)
    assert_shows_the_patient(volume)
    assert noticed(volume.notices, "stud|2|series")


def test_a_good_series_is_chosen_over_an_unusable_one(tmp_path):
    bad = SeriesSpec(
        shape=(90, 32, 40),
        spacing_mm=(2.0, 9, 9),
        series_uid=f"{ROOT}.1.2",
        thickness_mm=2.0,
        tags={"PixelSpacing": None},
    )
    make_series(tmp_path / "bad", bad)
    make_series(tmp_path / "good")
    search = find_studies(tmp_path)
    problems = {s.uid: s.problem for s in search.studies[0].series}
    assert problems[SERIES] is None
    assert "spacing" in problems[f"{ROOT}.1.2"].lower()
    assert read_dicom(tmp_path).series_uid == SERIES
    with pytest.raises(InputError, match=r"(?i)spacing"):
        read_dicom(tmp_path, series_uid=f"{ROOT}.1.2")


def test_the_listing_turns_into_json(tmp_path):
    two_series(tmp_path)
    write_slice(make_beside("localizer"), tmp_path / "scout")
    (tmp_path / "junk.txt").write_text("junk")
    search = find_studies(tmp_path)
    trees = [study.to_json() for study in search.studies]
    assert json.loads(json.dumps(trees)) == trees
    series = {s["uid"]: s for s in trees[0]["series"]}
    assert series[SERIES]["slice_spacing_mm"] == pytest.approx(2.5)
    assert series[SERIES]["slice_thickness_mm"] == pytest.approx(2.5)
    assert series[SERIES]["count"] == 96
    assert list(series[SERIES]["shape"]) == [96, 32, 40]
    assert series[SERIES]["usable"] is True
    scout = next(s for uid, s in series.items() if ".77" in uid)
    assert scout["usable"] is False
    assert scout["problem"]


# ---- what lies beside the slices ---------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_what_lies_beside_changes_nothing(kind, tmp_path):
    make_series(tmp_path / "ct")
    write_slice(make_beside(kind), tmp_path / f"ct/{kind}")
    volume = read_dicom(tmp_path)
    assert volume.grid.shape == (30, 32, 40)
    assert_shows_the_patient(volume)


@pytest.mark.parametrize("kind", ["localizer", "secondary-capture"])
def test_what_lies_beside_in_the_same_series_changes_nothing(kind, tmp_path):
    make_series(tmp_path / "ct")
    ds = make_beside(kind)
    ds.SeriesInstanceUID = SERIES
    write_slice(ds, tmp_path / "ct/extra")
    volume = read_dicom(tmp_path)
    assert volume.grid.shape == (30, 32, 40)
    assert_shows_the_patient(volume)


def test_everything_beside_at_once(tmp_path):
    make_series(tmp_path / "x/y/z")
    for kind in KINDS:
        write_slice(make_beside(kind), tmp_path / f"x/{kind}/IM1")
    for name, data in {
        "DICOMDIR": b"\0" * 128 + b"DICM" + b"\0" * 100,
        ".DS_Store": b"\0\0\0\1Bud1",
        "empty.dcm": b"",
        "report.pdf": b"%PDF-1.4 hello",
        "notes.txt": b"CT of the chest",
        "x/photo.jpg": b"\xff\xd8\xff\xe0" + bytes(300),
        "x/y/z/Thumbs.db": bytes(range(256)) * 4,
    }.items():
        (tmp_path / name).write_bytes(data)
    volume = read_dicom(tmp_path)
    assert volume.grid.shape == (30, 32, 40)
    assert_shows_the_patient(volume)


def test_missing_optional_tags(tmp_path):
    tags = dict.fromkeys(
        [
            "KVP",
            "ConvolutionKernel",
            "Manufacturer",
            "ManufacturerModelName",
            "SeriesDescription",
            "SliceThickness",
            "PatientPosition",
            "InstanceNumber",
            "AcquisitionDate",
            "SeriesDate",
            "StudyDate",
            "AcquisitionNumber",
            "FrameOfReferenceUID",
            "ImageType",
            "BodyPartExamined",
            "SeriesNumber",
            "SliceLocation",
            "RescaleType",
            "PatientName",
            "PatientID",
            "PatientBirthDate",
            "ReferringPhysicianName",
        ]
    )
    volume = read_dicom(make_series(tmp_path, SeriesSpec(tags=tags)))
    assert_shows_the_patient(volume)
    assert volume.grid.frame_uid is None
    assert volume.acquisition.kernel is None
    assert volume.acquisition.kvp is None


def test_empty_optional_tags(tmp_path):
    tags = {
        "KVP": "",
        "ConvolutionKernel": "",
        "SliceThickness": "",
        "InstanceNumber": "",
    }
    tags |= {
        "SeriesDescription": "",
        "FrameOfReferenceUID": "",
        "GantryDetectorTilt": "",
    }
    volume = read_dicom(make_series(tmp_path, SeriesSpec(tags=tags)))
    assert_shows_the_patient(volume)
    assert not volume.acquisition.kernel
    assert not volume.grid.frame_uid


def test_one_file_of_a_series_cannot_be_a_volume(tmp_path):
    make_series(tmp_path)
    with pytest.raises(InputError):
        read_dicom(next(tmp_path.iterdir()))
