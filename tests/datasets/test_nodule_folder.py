import csv
import gzip
import math

import nibabel
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hilum.datasets import (
    NoduleCase,
    Ratings,
    folds_by_patient,
    load_nodule,
    read_nodules,
)
from hilum.errors import InputError

COLUMNS = ("patient_id", "file", "diameter_mm", "malignancy_mean", "Malignancy_value")


def write_folder(folder, rows=None, *, columns=COLUMNS, mask=True, affine=None):
    (folder / "image").mkdir(parents=True)
    (folder / "nodule_mask").mkdir()
    rows = rows or [("p1", "a.nii.gz", "5", "3.25", "3")]
    with (folder / "nodules.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(rows)
    # NIfTI indices (x, y, z); RAS: x and y run to right and front
    affine = np.diag([-0.5, -0.5, 2.0, 1.0]) if affine is None else affine
    hu = np.full((8, 6, 4), -850, np.int16)
    inside = np.zeros((8, 6, 4), np.uint8)
    hu[2:4, 1:3, 1:3], inside[2:4, 1:3, 1:3] = 40, 1
    for row in rows:
        nibabel.save(nibabel.Nifti1Image(hu, affine), folder / "image" / row[1])
        if mask:
            path = folder / "nodule_mask" / row[1]
            nibabel.save(nibabel.Nifti1Image(inside, affine), path)
    return folder


def make_case(patient, malignancy):
    return NoduleCase(
        patient=patient,
        name=f"{patient}.nii.gz",
        image=None,
        mask=None,
        diameter_mm=5.0,
        table_diameter_mm=None,
        ratings=Ratings(malignancy=malignancy),
        modes=Ratings(),
        diagnosis=None,
        readers=None,
    )


def test_the_diameter_is_that_of_the_sphere_of_the_masks_volume(tmp_path):
    (case,) = read_nodules(write_folder(tmp_path / "d"))
    # 2 x 2 x 2 voxels of 0.5 x 0.5 x 2 mm: 4 mm3; (6 * 4 / pi)^(1/3) = 1.969...
    assert case.diameter_mm == pytest.approx((24 / math.pi) ** (1 / 3))
    assert case.table_diameter_mm == 5
    assert case.ratings.malignancy == 3.25
    assert case.mode_malignancy == 3
    assert case.ratings.texture is None
    assert case.diagnosis is None


def test_positive_axes_come_out_at_the_same_place_in_lps(tmp_path):
    (usual,) = read_nodules(write_folder(tmp_path / "a"))
    mirrored = np.diag([0.5, 0.5, 2.0, 1.0])
    (other,) = read_nodules(write_folder(tmp_path / "b", affine=mirrored))
    volume, mask = load_nodule(usual)
    again, turned = load_nodule(other)
    # index (x=2, y=1): RAS -1.0, -0.5 mm is LPS +1.0, +0.5 mm
    assert volume.hu.shape == (4, 6, 8)
    assert mask.at((1.0, 0.5, 2.0)) == 1
    # RAS +1.0, +0.5 mm is LPS -1.0, -0.5 mm; axes are flipped to be canonical
    assert turned.at((-1.0, -0.5, 2.0)) == 1
    assert turned.at((1.0, 0.5, 2.0)) == 0
    assert again.grid.is_canonical
    np.testing.assert_array_equal(volume.hu == 40, mask.voxels)
    np.testing.assert_array_equal(again.hu == 40, turned.voxels)


def test_a_missing_mask_leaves_the_tables_diameter_and_cannot_be_loaded(tmp_path):
    (case,) = read_nodules(write_folder(tmp_path / "d", mask=False))
    assert case.mask is None
    assert case.diameter_mm == 5
    with pytest.raises(InputError, match="no mask"):
        load_nodule(case)


def test_a_missing_column_is_named(tmp_path):
    write_folder(tmp_path / "d", columns=("patient", "file", "a", "b", "c"))
    with pytest.raises(
        InputError, match="lacks the column patient_id; it has patient,file"
    ):
        read_nodules(tmp_path / "d")


def test_a_missing_table_is_told(tmp_path):
    with pytest.raises(InputError, match=r"Cannot read `nodules.csv`"):
        read_nodules(tmp_path)


def test_an_empty_table_is_told(tmp_path):
    write_folder(tmp_path / "d")
    (tmp_path / "d" / "nodules.csv").write_text("patient_id,file\n")
    with pytest.raises(InputError, match="has no rows"):
        read_nodules(tmp_path / "d")


def test_a_missing_volume_is_named_by_its_line(tmp_path):
    folder = write_folder(tmp_path / "d")
    (folder / "image" / "a.nii.gz").unlink()
    with pytest.raises(InputError, match=r"Line 2 .* not in image/"):
        read_nodules(folder)


def test_a_file_named_twice_is_refused(tmp_path):
    row = ("p", "a.nii.gz", "5", "3", "3")
    with pytest.raises(InputError, match="more than once"):
        read_nodules(write_folder(tmp_path / "d", [row, row]))


@pytest.mark.parametrize("name", ["../a.nii.gz", ""])
def test_a_file_outside_the_folder_is_refused(tmp_path, name):
    folder = write_folder(tmp_path / "d")
    (folder / "nodules.csv").write_text(f"patient_id,file\np,{name}\n")
    with pytest.raises(InputError, match="without folders"):
        read_nodules(folder)


def test_words_where_a_number_belongs_are_refused(tmp_path):
    rows = [("p", "a.nii.gz", "5", "high", "3")]
    with pytest.raises(InputError, match="malignancy_mean 'high'"):
        read_nodules(write_folder(tmp_path / "d", rows))


@pytest.mark.parametrize("which", ["image", "nodule_mask"])
def test_a_cut_volume_is_named(tmp_path, which):
    folder = write_folder(tmp_path / "d")
    path = folder / which / "a.nii.gz"
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes())[:-80]))
    with pytest.raises(InputError, match=f"{which}/a.nii.gz"):
        load_nodule(read_nodules(folder)[0])


def test_what_is_no_nifti_is_named(tmp_path):
    folder = write_folder(tmp_path / "d")
    (folder / "image" / "a.nii.gz").write_bytes(b"not a picture")
    with pytest.raises(InputError, match=r"image/a.nii.gz"):
        load_nodule(read_nodules(folder)[0])


def test_an_empty_mask_and_one_of_another_grid_are_refused(tmp_path):
    folder = write_folder(tmp_path / "d")
    path = folder / "nodule_mask" / "a.nii.gz"
    empty = np.zeros((8, 6, 4), np.uint8)
    nibabel.save(nibabel.Nifti1Image(empty, np.diag([-0.5, -0.5, 2, 1])), path)
    with pytest.raises(InputError, match="no voxel set"):
        load_nodule(read_nodules(folder)[0])
    nibabel.save(nibabel.Nifti1Image(empty + 1, np.diag([-0.5, -0.5, 3, 1])), path)
    with pytest.raises(InputError, match="different grids"):
        load_nodule(read_nodules(folder)[0])


def test_four_axes_are_refused(tmp_path):
    folder = write_folder(tmp_path / "d")
    several = np.zeros((8, 6, 4, 2), np.int16)
    path = folder / "image" / "a.nii.gz"
    nibabel.save(nibabel.Nifti1Image(several, np.eye(4)), path)
    with pytest.raises(InputError, match="expected three axes"):
        load_nodule(read_nodules(folder)[0])


patients = st.lists(
    st.tuples(st.integers(0, 30), st.floats(1, 5)), min_size=12, max_size=60
)


@given(patients, st.integers(2, 5), st.integers(0, 3), st.randoms())
def test_no_patient_is_split_and_order_plays_no_part(rows, folds, seed, random):
    cases = [make_case(f"p{n}", m) for n, m in rows]
    names = {case.patient for case in cases}
    if len(names) < folds:
        with pytest.raises(InputError, match="Cannot deal"):
            folds_by_patient(cases, folds, seed)
        return
    dealt = folds_by_patient(cases, folds, seed)
    fold_of = {}
    for case, fold in zip(cases, dealt.tolist(), strict=True):
        assert fold_of.setdefault(case.patient, fold) == fold
    counts = np.bincount(list(fold_of.values()), minlength=folds)
    assert counts.max() - counts.min() <= 1
    order = list(range(len(cases)))
    random.shuffle(order)
    again = folds_by_patient([cases[n] for n in order], folds, seed)
    np.testing.assert_array_equal(again, dealt[order])


def test_another_seed_deals_otherwise():
    cases = [make_case(f"p{n}", 1 + n % 5) for n in range(40)]
    first, second = (folds_by_patient(cases, 5, seed) for seed in (0, 1))
    assert (first != second).any()


@pytest.mark.real
def test_the_real_folder_has_804_nodules_of_440_patients(real_data):
    cases = read_nodules(real_data / "nodules")
    assert len(cases) == 804
    assert len({case.patient for case in cases}) == 440
    assert sum(case.ratings.malignancy is not None for case in cases) == 793
