"""Patients are told apart in memory, and the day of a scan is found where it is."""

import json
import pickle

import pytest
from dicom_maker import SeriesSpec, make_series

from hilum.dicom import headers, read_dicom


def read(folder, **tags):
    make_series(folder, SeriesSpec(tags=tags))
    return read_dicom(folder)


def test_one_identifier_is_one_patient(tmp_path):
    one = read(tmp_path / "a", PatientID="A-1").patient
    same = read(tmp_path / "b", PatientID="A-1 ").patient  # padded
    other = read(tmp_path / "c", PatientID="A-2").patient
    assert one == same
    assert one != other
    assert one.certain


def test_removed_identifiers_are_not_certain(tmp_path):
    mark = read(tmp_path, PatientID="A-1", PatientIdentityRemoved="YES").patient
    assert not mark.certain
    assert read(tmp_path / "none", PatientID=None).patient is None


def test_the_mark_says_nothing(tmp_path):
    volume = read(tmp_path, PatientID="A-1")
    headers._process_key.cache_clear()  # as another process would
    again = read_dicom(tmp_path)
    assert volume.patient != again.patient
    told = json.dumps(volume.acquisition.to_json()) + repr(volume)
    assert volume.patient.digest.hex() not in told
    assert b"A-1" not in pickle.dumps(volume.patient)


@pytest.mark.parametrize(
    ("tags", "day"),
    [
        ({"AcquisitionDate": "20240102", "StudyDate": "20240101"}, "20240102"),
        ({"AcquisitionDate": None, "SeriesDate": "20240103"}, "20240103"),
        (
            {"AcquisitionDate": None, "SeriesDate": None, "StudyDate": "20240104"},
            "20240104",
        ),
        ({"AcquisitionDate": None, "SeriesDate": None, "StudyDate": None}, None),
    ],
)
def test_the_day_is_found_where_it_is(tags, day, tmp_path):
    assert read(tmp_path, **tags).acquisition.acquired == day
