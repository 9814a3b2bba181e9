"""Geometry: position decides, whatever the orientation, order or file names."""

import numpy as np
import pytest
from dicom_checks import (
    assert_perpendicular,
    assert_shows_the_patient,
    noticed,
    points_of,
    wanted_hu,
)
from dicom_maker import (
    AXES,
    FRAME,
    LOSSLESS,
    LOSSY,
    SERIES,
    STUDY,
    UNCOMPRESSED,
    SeriesSpec,
    hu_at,
    make_enhanced,
    make_series,
    make_slices,
    oblique,
    set_pixels,
    write_slice,
    write_slices,
)

from hilum.dicom import read_dicom
from hilum.space import Grid

OBLIQUE = {
    "a little": oblique(3, -2, 4),
    "much": oblique(25, -20, 15),
    "more": oblique(-80, 10, 170),
}


def corner_points(spec):
    """World points of the eight corner voxels that the series was made with."""
    return np.sort(
        spec.points()[:: spec.shape[0] - 1, ::31, ::39].reshape(-1, 3), axis=0
    )


@pytest.mark.parametrize("axes", [*AXES, *OBLIQUE])
def test_every_orientation_shows_the_patient(axes, tmp_path):
    spec = SeriesSpec(axes=OBLIQUE.get(axes, axes))
    volume = read_dicom(make_series(tmp_path, spec))
    assert_shows_the_patient(volume)
    got = points_of(volume.grid)
    corners = got[:: got.shape[0] - 1, :: got.shape[1] - 1, :: got.shape[2] - 1]
    np.testing.assert_allclose(
        np.sort(corners.reshape(-1, 3), axis=0), corner_points(spec), atol=1e-3
    )


def test_axial_by_hand(tmp_path):
    # 30 slices of 8 mm about z = -1000: first centre at -1000 - 29 * 4 = -1116
    # 32 rows of 9 mm about y = 250: 250 - 31 * 4.5 = 110.5
    # 40 columns of 9 mm about x = 13.7: 13.7 - 39 * 4.5 = -161.8
    center = (13.7, 250.0, -1000.0)
    volume = read_dicom(make_series(tmp_path, SeriesSpec(center_mm=center)))
    np.testing.assert_allclose(volume.grid.to_world([0, 0, 0]), [-161.8, 110.5, -1116])
    np.testing.assert_allclose(volume.grid.spacing_mm, (8, 9, 9))
    assert volume.grid.frame_uid == FRAME
    assert volume.series_uid == SERIES
    assert volume.acquisition.study_uid == STUDY
    assert volume.acquisition.kernel == "B30f"
    assert volume.acquisition.slice_thickness_mm == 8.0
    assert volume.acquisition.kvp == 120.0
    assert_shows_the_patient(volume, center_mm=center)
    assert [n.code for n in volume.notices] == ["thick-slices"]  # and no repair


def test_rows_and_columns_of_other_spacing(tmp_path):
    # PixelSpacing is (between rows, between columns): y 7, x 10
    volume = read_dicom(make_series(tmp_path, SeriesSpec(spacing_mm=(8, 7, 10))))
    np.testing.assert_allclose(volume.grid.spacing_mm, (8, 7, 10))
    assert_shows_the_patient(volume)


@pytest.mark.parametrize(
    "tags",
    [
        {"SliceThickness": "1.0"},
        {"SliceThickness": None},
        {"SpacingBetweenSlices": "2.0"},
        {"InstanceNumber": 1},
        {"InstanceNumber": None},
        {"SliceLocation": "0"},
        {"SliceLocation": None},
        {"PatientPosition": "FFP"},
        {"PatientPosition": None},
    ],
    ids=str,
)
def test_position_alone_decides(tags, tmp_path):
    volume = read_dicom(make_series(tmp_path, SeriesSpec(tags=tags)))
    np.testing.assert_allclose(volume.grid.spacing_mm, (8, 9, 9))
    assert_shows_the_patient(volume)


def test_the_order_of_files_changes_nothing(tmp_path):
    slices = make_slices(SeriesSpec())
    one = read_dicom(write_slices(slices, tmp_path / "a", seed=1))
    two = read_dicom(write_slices(slices[::-1], tmp_path / "b", seed=2))
    np.testing.assert_array_equal(one.hu, two.hu)
    assert one.grid.same_as(two.grid)


def test_rounded_positions_are_regular(tmp_path):
    # scanners write 1 or 2 digits: 1.25 mm apart becomes 1.2 and 1.3 apart
    slices = make_slices(
        SeriesSpec(shape=(160, 32, 40), spacing_mm=(1.25, 9, 9), thickness_mm=1.25)
    )
    for ds in slices:
        x, y, z = map(float, ds.ImagePositionPatient)
        ds.ImagePositionPatient = [f"{x:.1f}", f"{y:.1f}", f"{z:.1f}"]
    volume = read_dicom(write_slices(slices, tmp_path))
    assert volume.grid.shape == (160, 32, 40)
    np.testing.assert_allclose(volume.grid.spacing_mm[0], 1.25, atol=2e-3)
    assert_shows_the_patient(volume, atol=1.0)


def test_cosines_that_wobble_a_little(tmp_path):
    slices = make_slices(SeriesSpec())
    for k, ds in enumerate(slices):
        ds.ImageOrientationPatient = ["1", f"{1e-5 * (k % 3)}", "0", "0", "1", "0"]
    assert_shows_the_patient(read_dicom(write_slices(slices, tmp_path)), atol=0.6)


def test_overlapping_reconstruction(tmp_path):
    spec = SeriesSpec(shape=(60, 32, 40), spacing_mm=(4, 9, 9), thickness_mm=8.0)
    volume = read_dicom(make_series(tmp_path, spec))
    np.testing.assert_allclose(volume.grid.spacing_mm, (4, 9, 9))
    assert volume.acquisition.slice_thickness_mm == 8.0
    assert_shows_the_patient(volume)


# ---- gantry tilt -------------------------------------------------------------


@pytest.mark.parametrize("axes", ["HFS", "FFS", "HFP", "FFP"])
@pytest.mark.parametrize("tilt", [-20.0, -3.5, 5.0, 18.0])
def test_gantry_tilt_is_sheared_back(tilt, axes, tmp_path):
    slices = tilted(axes, tilt)
    volume = read_dicom(write_slices(slices, tmp_path))
    assert_perpendicular(volume.grid)
    assert noticed(volume.notices, "tilt|shear")
    wanted = wanted_hu(volume)
    inside = scanned(volume, slices) & (wanted > -1000)  # not where it was clipped
    assert inside.mean() > 0.5
    np.testing.assert_allclose(volume.hu[inside], wanted[inside], atol=2)
    # nothing is made up where nothing was scanned: it is air, or the edge goes on
    made_up = (np.abs(volume.hu - wanted) > 60) & (volume.hu != -1024)
    assert not made_up.any()


def tilted(axes, tilt):
    """Slices turned about x by the gantry, the table moving along z."""
    row, across = (np.array(a, float) for a in AXES[axes])
    t = np.radians(tilt)
    column = np.array([0, across[1] * np.cos(t), np.sin(t)])
    spec = SeriesSpec(axes=(tuple(row), tuple(column)))
    (count, rows, columns), (dz, dy, dx) = spec.shape, spec.spacing_mm
    step = np.array([0, 0, np.sign(np.cross(row, across)[2])]) * dz
    first = -row * dx * (columns - 1) / 2 - column * dy * (rows - 1) / 2
    slices = make_slices(spec)
    for k, ds in enumerate(slices):
        corner = first + step * (k - (count - 1) / 2)
        ds.ImagePositionPatient = [f"{v:.6f}" for v in corner]
        r = np.arange(rows)[:, None, None] * dy * column
        c = np.arange(columns)[None, :, None] * dx * row
        set_pixels(ds, np.rint(hu_at(corner + r + c)), spec)
        ds.GantryDetectorTilt = f"{tilt}"
        ds.PatientPosition = axes
    return slices


def scanned(volume, slices):
    """Voxels that lie within the sheared box of the slices, going by their tags."""
    first, last = slices[0], slices[-1]
    row, column = np.reshape(np.array(first.ImageOrientationPatient, float), (2, 3))
    dy, dx = map(float, first.PixelSpacing)
    start = np.array(first.ImagePositionPatient, float)
    step = (np.array(last.ImagePositionPatient, float) - start) / (len(slices) - 1)
    affine = np.eye(4)
    affine[:3, :3] = np.stack([step, column * dy, row * dx], 1)
    affine[:3, 3] = start
    shape = (len(slices), int(first.Rows), int(first.Columns))
    index = Grid(shape, affine).to_index(points_of(volume.grid))
    return ((index >= 0) & (index <= np.array(shape) - 1)).all(axis=-1)


def test_tilt_named_but_not_there_changes_nothing(tmp_path):
    # some scanners name a tilt although the positions have none
    volume = read_dicom(
        make_series(tmp_path, SeriesSpec(tags={"GantryDetectorTilt": "15"}))
    )
    assert volume.grid.shape == (30, 32, 40)
    assert_shows_the_patient(volume)


def test_tilt_there_but_not_named_is_found(tmp_path):
    spec = SeriesSpec(tilt_deg=12.0, tags={"GantryDetectorTilt": None})
    volume = read_dicom(make_series(tmp_path, spec))
    assert_perpendicular(volume.grid)
    inside = scanned(volume, make_slices(spec))
    np.testing.assert_allclose(volume.hu[inside], wanted_hu(volume)[inside], atol=2)


# ---- enhanced multi-frame ----------------------------------------------------


@pytest.mark.parametrize("axes", ["HFS", "FFP", "coronal", "sagittal-left"])
def test_enhanced_multi_frame(axes, tmp_path):
    spec = SeriesSpec(axes=axes)
    write_slice(make_enhanced(spec), tmp_path / "one.dcm")
    volume = read_dicom(tmp_path)
    assert_shows_the_patient(volume)
    assert volume.series_uid == SERIES
    assert volume.grid.frame_uid == FRAME
    assert_shows_the_patient(read_dicom(tmp_path / "one.dcm"))


@pytest.mark.parametrize(
    "syntax", [*UNCOMPRESSED.values(), *LOSSLESS.values(), LOSSY["jpeg-ls-near"]]
)
def test_enhanced_in_every_syntax(syntax, tmp_path):
    write_slice(make_enhanced(SeriesSpec(syntax=syntax)), tmp_path / "one.dcm")
    near = syntax == LOSSY["jpeg-ls-near"]
    assert_shows_the_patient(read_dicom(tmp_path), atol=3.51 if near else 0.51)


def test_enhanced_with_rescale_of_each_frame(tmp_path):
    spec = SeriesSpec(rescale=((1.0, -1024.0), (0.5, -1000.0), (1.0, 0.0)))
    write_slice(make_enhanced(spec), tmp_path / "one.dcm")
    assert_shows_the_patient(read_dicom(tmp_path), atol=0.76)


def test_enhanced_with_a_gap_and_a_repeat(tmp_path):
    order = [*range(12), *range(13, 30), 5]
    write_slice(make_enhanced(SeriesSpec(), order=order), tmp_path / "one.dcm")
    volume = read_dicom(tmp_path)
    assert volume.grid.shape == (30, 32, 40)
    assert_shows_the_patient(volume, atol=1.1)
    assert noticed(volume.notices, "duplicat|repeat")
    assert noticed(volume.notices, "missing|gap|interpolat")


def test_enhanced_with_everything_per_frame(tmp_path):
    ds = make_enhanced(SeriesSpec())
    shared = ds.SharedFunctionalGroupsSequence[0]
    for group in ds.PerFrameFunctionalGroupsSequence:
        group.PixelMeasuresSequence = shared.PixelMeasuresSequence
        group.PlaneOrientationSequence = shared.PlaneOrientationSequence
    del shared.PixelMeasuresSequence, shared.PlaneOrientationSequence
    write_slice(ds, tmp_path / "one.dcm")
    assert_shows_the_patient(read_dicom(tmp_path))


def test_enhanced_in_two_files(tmp_path):
    one = make_enhanced(SeriesSpec(), order=range(0, 30, 2))
    two = make_enhanced(SeriesSpec(), order=range(1, 30, 2))
    two.SOPInstanceUID = two.file_meta.MediaStorageSOPInstanceUID = f"{SERIES}.2"
    write_slice(one, tmp_path / "one.dcm")
    write_slice(two, tmp_path / "two.dcm")
    volume = read_dicom(tmp_path)
    assert volume.grid.shape == (30, 32, 40)
    assert_shows_the_patient(volume)
