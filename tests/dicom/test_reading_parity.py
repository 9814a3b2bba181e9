"""Parity: one scan as DICOM, NIfTI, MetaImage and .npz is one volume."""

import numpy as np
import pytest
from dicom_beside import zip_folder
from dicom_checks import assert_shows_the_patient, points_of
from dicom_maker import LOSSLESS, SERIES, SeriesSpec, make_series, make_slices, oblique
from dicom_maker import write_slices as write

from hilum.dicom import read_dicom
from hilum.formats import read_volume, write_volume

SPECS = {
    "axial": SeriesSpec(),
    "feet first prone": SeriesSpec(axes="FFP"),
    "coronal": SeriesSpec(axes="coronal", syntax=LOSSLESS["jpeg-ls"]),
    "oblique": SeriesSpec(axes=oblique(12, -9, 30), spacing_mm=(8.2, 7.77, 9.123)),
    "tilted": SeriesSpec(tilt_deg=14.0),
    "far away": SeriesSpec(center_mm=(812.345, -703.21, -1999.87)),
    "air below": SeriesSpec(rescale=((1.0, -3000.0),), signed=False),
}


@pytest.mark.parametrize("name", SPECS)
def test_one_scan_in_every_format_is_one_volume(name, tmp_path):
    make_series(tmp_path / "ct", SPECS[name])
    dicom = read_dicom(tmp_path / "ct")
    zip_folder(tmp_path / "ct", tmp_path / "ct.zip")
    same = {"zip": read_dicom(tmp_path / "ct.zip")}
    for extension in (".nii", ".nii.gz", ".mha", ".mhd", ".npz"):
        path = tmp_path / f"a{extension}"
        write_volume(dicom, path)
        same[extension] = read_volume(path)
    for volume in same.values():
        np.testing.assert_array_equal(volume.hu, dicom.hu)
        apart = points_of(volume.grid) - points_of(dicom.grid)
        assert np.linalg.norm(apart, axis=-1).max() <= 1e-3
        assert volume.series_uid == SERIES


def test_simpleitk_sees_the_same_scan(tmp_path):
    sitk = pytest.importorskip("SimpleITK")
    spec = SeriesSpec(axes=oblique(5, 4, -8))
    folder = write(make_slices(spec), tmp_path / "ct")
    volume = read_dicom(folder)
    names = sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder))
    image = sitk.ReadImage(names)
    for index in [(0, 0, 0), (3, 20, 30), (29, 31, 39), (12, 7, 21)]:
        point = volume.grid.to_world(index)
        there = image.TransformPhysicalPointToIndex(point.tolist())
        assert image[there] == volume.hu[index]
    assert_shows_the_patient(volume)
