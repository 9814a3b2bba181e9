"""The reader files of LIDC: outlines by hand, damaged files, and the real ones."""

import csv
import itertools
import math
import zipfile

import numpy as np
import pytest

from hilum.datasets import open_dataset
from hilum.datasets.lidc import read_lidc
from hilum.datasets.lidc_folder import grid_of
from hilum.datasets.pieces import read_piece_mask
from hilum.dicom import read_dicom
from hilum.errors import InputError
from hilum.space import Grid

GRID = Grid.axial((8, 32, 32), spacing_mm=(2.0, 1.0, 1.0))


def ring(x, y, radius):
    """Pixels around a square of (2 radius - 1)^2."""
    edge = range(-radius, radius + 1)
    return [(x + a, y + b) for a in edge for b in edge if max(abs(a), abs(b)) == radius]


def roi(z, pixels, inclusion="TRUE"):
    points = "".join(
        f"<edgeMap><xCoord>{x}</xCoord><yCoord>{y}</yCoord></edgeMap>"
        for x, y in pixels
    )
    return (
        f"<roi><imageZposition>{z}</imageZposition><inclusion>{inclusion}</inclusion>"
        f"{points}</roi>"
    )


def nodule(*rois, malignancy=None):
    rated = (
        f"<characteristics><malignancy>{malignancy}</malignancy></characteristics>"
        if malignancy
        else ""
    )
    return f"<unblindedReadNodule>{rated}{''.join(rois)}</unblindedReadNodule>"


def other(z, x, y):
    return (
        f"<nonNodule><imageZposition>{z}</imageZposition><locus><xCoord>{x}</xCoord>"
        f"<yCoord>{y}</yCoord></locus></nonNodule>"
    )


def message(*readers, uid="1.2.3", root="LidcReadMessage"):
    sessions = "".join(f"<readingSession>{marks}</readingSession>" for marks in readers)
    return (
        f'<{root} xmlns="http://www.nih.gov"><ResponseHeader><SeriesInstanceUid>{uid}'
        f"</SeriesInstanceUid></ResponseHeader>{sessions}</{root}>"
    )


def reading(tmp_path, *readers):
    path = tmp_path / "a.xml"
    path.write_text(message(*readers))
    return read_lidc(path)["1.2.3"]


def test_the_outline_itself_is_not_nodule(tmp_path):
    # a ring of radius 2 around (10, 20) surrounds 3 x 3 pixels of 1 mm, slices of 2 mm
    marks = nodule(roi(4.0, ring(10, 20, 2)), malignancy=4)
    (found,) = reading(tmp_path, marks).annotations(GRID)
    np.testing.assert_allclose(found.center_mm, (10, 20, 4))
    np.testing.assert_allclose(math.pi / 6 * found.diameter_mm**3, 3 * 3 * 2)
    assert (found.readers, found.malignancy) == (1, 4.0)


def test_a_hole_is_left_out(tmp_path):
    marks = nodule(
        roi(4.0, ring(10, 20, 4)), roi(4.0, ring(10, 20, 2), "FALSE"), malignancy=2
    )
    (found,) = reading(tmp_path, marks).annotations(GRID)
    np.testing.assert_allclose(math.pi / 6 * found.diameter_mm**3, (7 * 7 - 3 * 3) * 2)


def test_half_of_the_readers_decide(tmp_path):
    small = nodule(roi(4.0, ring(10, 20, 2)), malignancy=1)
    large = nodule(roi(4.0, ring(10, 20, 4)), malignancy=5)
    (two,) = reading(tmp_path, small, large).annotations(GRID)
    np.testing.assert_allclose(math.pi / 6 * two.diameter_mm**3, 49 * 2)
    assert (two.readers, two.malignancy) == (2, 3.0)
    (three,) = reading(tmp_path, small, small, large).annotations(GRID)
    np.testing.assert_allclose(math.pi / 6 * three.diameter_mm**3, 9 * 2)
    assert three.readers == 3


def test_outlines_that_do_not_touch_are_two_nodules(tmp_path):
    a = nodule(roi(4.0, ring(10, 20, 2)), malignancy=1)
    b = nodule(roi(4.0, ring(20, 20, 2)), malignancy=5)
    assert len(reading(tmp_path, a + b).annotations(GRID)) == 2
    # a third that overlaps both makes them one
    c = nodule(roi(4.0, ring(15, 20, 6)), malignancy=3)
    assert len(reading(tmp_path, a + b, c).annotations(GRID)) == 1


def test_points_are_small_nodules_and_others(tmp_path):
    marks = nodule(roi(4.0, [(5, 6)])) + other(6.0, 8, 9)
    found = reading(tmp_path, marks, other(6.0, 9, 9))
    assert found.readers == 2
    assert found.annotations(GRID) == ()
    assert found.points(GRID, "small nodule") == ((5.0, 6.0, 4.0),)
    assert found.points(GRID, "non-nodule") == ((8.0, 9.0, 6.0),)  # 1 mm apart: one


@pytest.mark.parametrize(("z", "x"), [(40.0, 5), (4.0, 200)])
def test_a_mark_outside_the_scan_is_refused(tmp_path, z, x):
    with pytest.raises(InputError, match="another series"):
        reading(tmp_path, other(z, x, 5)).points(GRID, "non-nodule")
    with pytest.raises(InputError, match="another series"):
        reading(tmp_path, nodule(roi(z, ring(x, 5, 2)))).annotations(GRID)


def test_radiographs_are_left_out_and_zips_are_read(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("x/1.xml", message(other(6.0, 8, 9)))
        archive.writestr("x/2.xml", message(root="IdriReadMessage", uid="9"))
        archive.writestr("x/readme.txt", "none")
    assert list(read_lidc(tmp_path / "a.zip")) == ["1.2.3"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (message(root="IdriReadMessage"), "no LIDC reader file"),
        (message(other(6.0, 8, 9))[:-30], "no whole LIDC reader file"),
        (message(other("six", 8, 9)), "no whole LIDC reader file"),
        (message(nodule(roi(4.0, []))), "without a point"),
        (message(other(6.0, 8, 9), uid=""), "names no SeriesInstanceUid"),
    ],
)
def test_damaged_files_are_refused(tmp_path, text, said):
    (tmp_path / "a.xml").write_text(text)
    with pytest.raises(InputError, match=said):
        read_lidc(tmp_path)


@pytest.mark.parametrize("name", ["absent.xml", "absent.zip", "bad.zip", "folder"])
def test_what_cannot_be_read_is_refused(tmp_path, name):
    (tmp_path / "bad.zip").write_bytes(b"PK no")
    (tmp_path / "folder").mkdir()
    with pytest.raises(InputError):
        read_lidc(tmp_path / name)


@pytest.fixture(scope="module")
def real_readings(real_data):
    return read_lidc(real_data / "labels" / "lidc-xml.zip")


@pytest.mark.real
@pytest.mark.slow
def test_the_real_files_agree_with_the_annotations(real_data, real_readings):
    readings = real_readings
    assert len(readings) == 1018  # the CT scans of LIDC-IDRI
    with (real_data / "annotations.csv").open(newline="") as file:
        rows = [r for r in csv.DictReader(file) if r["patient"] == "LIDC-IDRI-0012"]
    volume = read_dicom(real_data / "ct" / "LIDC-IDRI-0012")
    found = readings[volume.series_uid].annotations(volume.grid)
    assert len(found) == len(rows) == 12
    for row in rows:
        center = [float(row[c]) for c in ("coordX", "coordY", "coordZ")]
        near = min(found, key=lambda a: math.dist(a.center_mm, center))
        assert math.dist(near.center_mm, center) < 1
        assert near.readers == int(row["readers"])
        # the table has the mean of the readers' volumes, this what half agree on
        assert 0.75 < near.diameter_mm / float(row["diameter_mm"]) < 1.05


def shifted_overlaps(voxels, grid, path):
    """Dice of voxels with a mask, for each shift by at most a voxel."""
    mask = read_piece_mask(path)
    index = np.rint(mask.grid.to_index(grid.to_world(voxels))).astype(int)
    found = {}
    for shift in itertools.product((0, 1, -1), repeat=3):
        moved = index + shift
        inside = ((moved >= 0) & (moved < mask.voxels.shape)).all(axis=1)
        both = mask.voxels[tuple(moved[inside].T)].sum()
        found[shift] = 2 * both / (len(voxels) + mask.voxels.sum())
    return found


@pytest.mark.real
@pytest.mark.slow
def test_the_real_files_agree_with_the_folder_of_nodules(real_data, real_readings):
    with (real_data / "nodules" / "nodules.csv").open(newline="") as file:
        rows = {}
        for row in csv.DictReader(file):
            rows.setdefault(row["seriesuid"], []).append(row)
    compared = 0
    for case in open_dataset(real_data):
        if case.id not in real_readings:
            continue
        found = real_readings[case.id].nodules(grid_of(case))
        for row in rows.get(case.id, ()):
            center = [float(row[f"coord{axis}"]) for axis in "XYZ"]
            near = min(found, key=lambda n: math.dist(n.annotation.center_mm, center))
            assert math.dist(near.annotation.center_mm, center) < 0.5
            assert near.annotation.readers == int(row["readers"])
            assert 0.95 < near.annotation.diameter_mm / float(row["diameter_mm"]) < 1.1
            for name in ("malignancy", "texture", "spiculation", "calcification"):
                mean = getattr(near.ratings, name)
                assert mean == pytest.approx(float(row[f"{name}_mean"]), abs=1e-3)
            mask = real_data / "nodules" / "nodule_mask" / row["file"]
            overlaps = shifted_overlaps(near.voxels, grid_of(case), mask)
            # theirs holds the outline too, ours what lies inside; no shift fits better
            assert overlaps[0, 0, 0] == max(overlaps.values()) > 0.7
            compared += 1
    assert compared == 14
