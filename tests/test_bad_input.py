"""What a review found in the readers, the Brock model and the phantom's settings."""

import json
import math
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from dicom_checks import assert_perpendicular, noticed
from dicom_maker import SeriesSpec, make_series, make_slices, write_slices
from nibabel import Nifti1Header

from hilum._names import name_of
from hilum.clinical.facts import Facts
from hilum.clinical.risk import BrockFactors, brock, brock_range
from hilum.dicom import find_studies, read_dicom
from hilum.errors import InputError
from hilum.formats import is_volume_file, read_volume, write_mask, write_volume
from hilum.phantom import PhantomSettings, make_phantom, write_phantom
from hilum.sources import convert, read_ct
from hilum.volume import Mask


def factors(**changes):
    known = {
        "age_years": 62, "female": False, "family_history": False, "emphysema": False,
        "diameter_mm": 8, "type": "solid", "upper_lobe": False, "count": 1,
    }  # fmt: skip
    return BrockFactors(**(known | changes))


# names


def test_a_name_that_is_not_utf8_can_be_written(tmp_path):
    make_series(tmp_path)
    for name in (b"M\xfcller.txt", b"M\xfcller.dcm"):
        Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name)).write_bytes(b"x")
    text = json.dumps(find_studies(tmp_path).to_json(), ensure_ascii=False)
    assert "M\ufffdller.dcm" in text
    text.encode("utf-8")


def test_a_volume_named_without_utf8_has_a_series_name_that_can_be_written(tmp_path):
    volume = replace(read_dicom(make_series(tmp_path / "s")), series_uid="")
    write_volume(volume, tmp_path / "a.nii")
    odd = os.fsdecode(os.fsencode(tmp_path) + b"/M\xfc.nii")
    (tmp_path / "a.nii").rename(odd)
    assert read_volume(odd).series_uid == "M\ufffd"


def test_files_that_are_not_dicom_are_counted_and_not_named(tmp_path):
    make_series(tmp_path)
    (tmp_path / "Doe_Jane.txt").write_text("a letter")
    (notice,) = find_studies(tmp_path).notices
    assert notice.message == "1 file ignored that is not DICOM: a text (1)."
    (tmp_path / "Doe_Jim.txt").write_text("a letter")
    (notice,) = find_studies(tmp_path).notices
    assert notice.message == "2 files ignored that are not DICOM: a text (2)."


def test_a_damaged_file_is_named(tmp_path):
    make_series(tmp_path)
    (tmp_path / "IM9999.dcm").write_bytes(b"x" * 500)
    assert noticed(find_studies(tmp_path).notices, "damaged-files: .*IM9999.dcm")


def test_the_folder_one_is_in_has_a_name(tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    with pytest.raises(InputError, match="Folder `here` holds no files"):
        find_studies(Path())
    assert name_of(Path("..")) == tmp_path.name


def test_find_says_that_it_lists_dicom_alone(tmp_path):
    volume = read_dicom(make_series(tmp_path / "s"))
    write_volume(volume, tmp_path / "d.nii")
    with pytest.raises(InputError, match="Only DICOM is searched"):
        find_studies(tmp_path / "d.nii")


@pytest.mark.parametrize("ask", [read_ct, is_volume_file, find_studies, read_volume])
def test_a_path_that_is_too_long_is_an_input_error(ask):
    with pytest.raises(InputError, match="Cannot"):
        ask(Path("x" * 300 + ".nii"))


def test_paths_may_be_texts(tmp_path):
    volume = read_ct(str(make_series(tmp_path / "s")))
    write_volume(volume, str(tmp_path / "a.nii"))
    write_mask(Mask(volume.hu > 0, volume.grid), str(tmp_path / "m.nii"))
    assert is_volume_file(str(tmp_path / "a.nii"))
    again = read_volume(str(tmp_path / "a.nii"))
    np.testing.assert_array_equal(again.hu, volume.hu)
    small = PhantomSettings(shape=(3, 16, 16), spacing_mm=(60, 20, 20))
    assert write_phantom(make_phantom(small, ()), str(tmp_path / "p")).is_dir()


# values


def float_nifti(path, change):
    volume = read_dicom(make_series(path.parent / "s"))
    write_volume(volume, path)
    data = path.read_bytes()
    header = Nifti1Header(data[:348], check=False)
    header["datatype"], header["bitpix"] = 16, 32
    hu = volume.hu.astype("<f4")
    change(hu, header)
    path.write_bytes(header.binaryblock + data[348:352] + hu.tobytes())
    return path


def test_a_few_voxels_without_a_value_are_noticed(tmp_path):
    def change(hu, header):
        hu[3, 4, :5] = np.nan
        hu[3, 5, :2] = 1e30

    volume = read_volume(float_nifti(tmp_path / "a.nii", change))
    assert noticed(volume.notices, "unusable-values: 7 of 38400 voxels")


@pytest.mark.parametrize(
    "change",
    [
        lambda hu, header: hu.__setitem__(slice(0, 15), np.nan),
        lambda hu, header: hu.__setitem__(slice(0, 15), 1e30),
        lambda hu, header: header.__setitem__("scl_slope", 1e38),
    ],
)
def test_many_voxels_without_a_value_are_refused(change, tmp_path):
    with pytest.raises(InputError, match="at most 1%"):
        read_volume(float_nifti(tmp_path / "a.nii", change))


@pytest.mark.parametrize("slope", ["-1", "0.001"])
def test_a_rescale_that_leaves_no_chest_is_refused(slope, tmp_path):
    spec = SeriesSpec(tags={"RescaleSlope": slope})
    with pytest.raises(InputError, match=r"RescaleSlope and RescaleIntercept right"):
        read_dicom(make_series(tmp_path, spec))


# slices


def test_alternating_frames_of_reference_are_noticed(tmp_path):
    slices = make_slices(SeriesSpec())
    for ds in slices[::2]:
        ds.FrameOfReferenceUID = "1.2.3.4"
    volume = read_dicom(write_slices(slices, tmp_path))
    assert noticed(volume.notices, "mixed-frames: .* 2 frames")
    assert volume.grid.frame_uid is None


def test_one_frame_of_reference_is_not_noticed(tmp_path):
    assert not noticed(read_dicom(make_series(tmp_path)).notices, "mixed-frames")


@pytest.mark.parametrize("tilt", [0.55, 0.8, 1.0])
def test_a_small_tilt_survives_conversion(tilt, tmp_path):
    spec = SeriesSpec(tilt_deg=tilt, shape=(30, 32, 40), spacing_mm=(8.0, 9.0, 9.0))
    volume = convert(make_series(tmp_path / "s", spec), tmp_path / "a.nii")
    assert_perpendicular(volume.grid)
    again = read_volume(tmp_path / "a.nii")
    np.testing.assert_array_equal(again.hu, volume.hu)


def test_two_patients_without_uids_are_two_studies(tmp_path):
    bare = {"StudyInstanceUID": None, "SeriesInstanceUID": None}
    for person in ("A17", "B18"):
        spec = SeriesSpec(tags=bare | {"PatientID": person})
        make_series(tmp_path / person[0], spec)
    search = find_studies(tmp_path)
    assert [study.series[0].count for study in search.studies] == [30, 30]
    assert noticed(read_dicom(tmp_path).notices, "several-studies")
    shown = json.dumps(search.to_json()) + repr(search)
    shown += repr(search.studies[0].series[0].headers[0])
    assert "A17" not in shown
    assert "B18" not in shown


def test_one_patient_without_uids_is_one_study(tmp_path):
    bare = {"StudyInstanceUID": None, "SeriesInstanceUID": None}
    search = find_studies(make_series(tmp_path, SeriesSpec(tags=bare)))
    assert [series.count for s in search.studies for series in s.series] == [30]


# kernels


def test_kernels_run_where_nothing_can_be_kept():
    code = (
        "import numba.core.caching as c\n"
        "c.CacheImpl._locator_classes = []\n"
        "c.CompileResultCacheImpl._locator_classes = []\n"
        "from hilum._compiled import compiled\n"
        "@compiled\n"
        "def add(a, b):\n"
        "    return a + b\n"
        "assert add(1, 2) == 3\n"
        "import hilum._kernels\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


# Brock


def test_a_logit_far_out_is_a_probability_of_nearly_nothing():
    assert 0 < brock(factors(count=1000)) < 1e-30
    assert 0 < brock(factors(diameter_mm=0.01)) < 1e-60
    risk = brock_range(Facts(), diameter_mm=0.01, type="solid", count=1000)
    assert 0 < risk.low <= risk.value <= risk.high < 1e-80
    with pytest.raises(InputError, match="at most 1000"):
        brock(factors(count=10000))


@pytest.mark.parametrize("age", [math.nan, math.inf])
def test_an_age_that_is_no_number_is_refused(age):
    with pytest.raises(InputError, match="number of years"):
        brock(factors(age_years=age))


# phantom


@pytest.mark.parametrize(
    "wrong",
    [
        {"shape": (100000, 100000, 100000)},
        {"shape": (4096, 4096, 4096)},
        {"scan": 99999999},
        {"dose": 1e-300},
        {"dose": math.nan},
        {"spacing_mm": (1e-300, 1.0, 1.0)},
        {"seed": 1 << 63},
    ],
)
def test_what_would_not_fit_is_refused(wrong):
    with pytest.raises(InputError, match=f"`{next(iter(wrong))}`"):
        PhantomSettings(**wrong)
