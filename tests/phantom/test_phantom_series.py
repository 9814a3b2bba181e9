"""The phantom as a DICOM series: read back by readers that are not ours."""

import csv
from dataclasses import replace

import numpy as np
import pydicom
import pytest

from hilum.errors import InputError
from hilum.phantom import PhantomSettings, default_lesions, make_phantom, write_phantom

TINY = PhantomSettings(
    seed=7, shape=(7, 24, 40), spacing_mm=(40.0, 15.0, 9.5), slice_thickness_mm=4.0
)


@pytest.fixture(scope="module")
def lesions():
    return default_lesions(7)[:3]


@pytest.fixture(scope="module")
def written(lesions, tmp_path_factory):
    folder = tmp_path_factory.mktemp("phantom")
    phantom = make_phantom(TINY, lesions)
    return phantom, folder, write_phantom(phantom, folder)


def read(folder):
    return [pydicom.dcmread(path) for path in sorted(folder.iterdir())]


def test_pixels_and_places_come_back(written):
    phantom, folder, series = written
    assert series.parent == folder
    slices = read(series)
    assert len(slices) == 7
    assert [s.InstanceNumber for s in slices] == [1, 2, 3, 4, 5, 6, 7]
    for number, item in enumerate(slices):
        index = 6 - number  # written from the head down
        hu = item.pixel_array * item.RescaleSlope + item.RescaleIntercept
        np.testing.assert_array_equal(hu, phantom.volume.hu[index])
        corner = phantom.volume.grid.to_world([index, 0, 0])
        np.testing.assert_allclose(item.ImagePositionPatient, corner, atol=1e-6)
        assert list(item.ImageOrientationPatient) == [1, 0, 0, 0, 1, 0]
        assert list(item.PixelSpacing) == [15.0, 9.5]
        assert item.SliceThickness == 4.0
        assert (item.Rows, item.Columns) == (24, 40)


def test_a_tilted_series_is_sheared(lesions, tmp_path):
    # 20 degrees: rows run (0, cos 20, sin 20) = (0, 0.939693, 0.342020), and the
    # first voxels of all slices differ in z alone
    phantom = make_phantom(replace(TINY, tilt_deg=20.0), lesions)
    slices = read(write_phantom(phantom, tmp_path))
    places = np.array([s.ImagePositionPatient for s in slices], dtype=float)
    np.testing.assert_allclose(np.diff(places, axis=0), [(0, 0, -40)] * 6, atol=1e-6)
    np.testing.assert_allclose(
        np.array(slices[0].ImageOrientationPatient, dtype=float),
        (1, 0, 0, 0, 0.939693, 0.342020),
        atol=1e-6,
    )
    assert slices[0].GantryDetectorTilt == 20


def test_the_tags_of_the_ct_image_iod(written):
    phantom, _, series = written
    slices = read(series)
    first = slices[0]
    assert first.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.1"
    assert first.SOPClassUID == "1.2.840.10008.5.1.4.1.1.2"
    assert {s.SeriesInstanceUID for s in slices} == {phantom.volume.series_uid}
    assert {s.StudyInstanceUID for s in slices} == {
        phantom.volume.acquisition.study_uid
    }
    assert {s.FrameOfReferenceUID for s in slices} == {phantom.volume.grid.frame_uid}
    uids = [s.SOPInstanceUID for s in slices]
    assert len(set(uids)) == len(slices)
    assert uids == [s.file_meta.MediaStorageSOPInstanceUID for s in slices]
    for uid in (*uids, first.SeriesInstanceUID, first.StudyInstanceUID):
        assert pydicom.uid.UID(uid).is_valid
        assert len(uid) <= 64
    assert str(first.PatientName) == "PHANTOM^SEED7"
    assert first.Modality == "CT"
    assert first.BodyPartExamined == "CHEST"
    assert first.PatientPosition == "HFS"
    assert first.KVP == 120
    assert first.ConvolutionKernel == "PHANTOM-B30"
    assert (first.RescaleSlope, first.RescaleIntercept) == (1, -1024)
    assert "SpacingBetweenSlices" not in first
    assert list(first.ImageType) == ["ORIGINAL", "PRIMARY", "AXIAL"]


def test_annotations_have_the_columns_of_luna16_and_the_truth(written):
    phantom, folder, _ = written
    with (folder / "annotations.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    luna16 = ["seriesuid", "coordX", "coordY", "coordZ", "diameter_mm"]
    assert list(rows[0])[:5] == luna16
    assert len(rows) == len(phantom.truths) == 3
    for row, truth in zip(rows, phantom.truths, strict=True):
        assert row["seriesuid"] == phantom.volume.series_uid
        place = [float(row[f"coord{axis}"]) for axis in "XYZ"]
        np.testing.assert_allclose(place, truth.center_mm, atol=1e-4)
        assert float(row["diameter_mm"]) == pytest.approx(truth.diameter_mm, abs=1e-4)
        assert float(row["volume_mm3"]) == pytest.approx(truth.volume_mm3, abs=1e-4)
        assert (row["type"], row["form"], row["site"]) == (
            truth.type,
            truth.form,
            truth.site,
        )


def test_the_same_phantom_is_the_same_files(written, lesions, tmp_path):
    _, _, series = written
    again = write_phantom(make_phantom(TINY, lesions), tmp_path)
    for a, b in zip(sorted(series.iterdir()), sorted(again.iterdir()), strict=True):
        assert a.read_bytes() == b.read_bytes()


def test_another_scan_of_a_person_is_another_study_of_the_same_patient(
    lesions, written, tmp_path
):
    _, _, series = written
    later = write_phantom(make_phantom(replace(TINY, scan=2), lesions), tmp_path)
    a, b = read(series)[0], read(later)[0]
    assert a.PatientID == b.PatientID
    assert a.StudyInstanceUID != b.StudyInstanceUID
    assert a.FrameOfReferenceUID != b.FrameOfReferenceUID
    # 3 months of 30.4375 days = 91 days after 15 January 2020: 15 April
    assert (a.StudyDate, b.StudyDate) == ("20200115", "20200415")
    other_kernel = make_phantom(replace(TINY, kernel="sharp"), lesions)
    assert other_kernel.volume.acquisition.study_uid == a.StudyInstanceUID
    assert other_kernel.volume.series_uid != a.SeriesInstanceUID


def test_another_reader_sees_the_same_voxels(written):
    sitk = pytest.importorskip("SimpleITK")
    phantom, _, series = written
    names = sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(series))
    image = sitk.ReadImage(names)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image), phantom.volume.hu)
    for index in ([0, 0, 0], [6, 23, 39], [3, 5, 11]):
        world = image.TransformIndexToPhysicalPoint(index[::-1])
        np.testing.assert_allclose(
            world, phantom.volume.grid.to_world(index), atol=1e-4
        )


def test_a_place_that_cannot_hold_a_series_is_refused(written, tmp_path):
    phantom, _, _ = written
    taken = tmp_path / "taken"
    taken.write_text("a file")
    with pytest.raises(InputError, match="Cannot write the phantom to `taken`"):
        write_phantom(phantom, taken)
