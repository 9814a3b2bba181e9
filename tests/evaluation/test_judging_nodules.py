import csv

import nibabel
import numpy as np
import pytest

from hilum.datasets import read_nodules
from hilum.errors import InputError
from hilum.evaluation import NoduleReading, evaluate_nodules, judge_nodules
from hilum.volume import Mask

COLUMNS = (
    "patient_id",
    "file",
    "malignancy_mean",
    "Malignancy_value",
    "Diagnosis_value",
    "texture_mean",
)


def write_folder(folder, count=12):
    (folder / "image").mkdir(parents=True)
    (folder / "nodule_mask").mkdir()
    affine = np.diag([-1.0, -1.0, 1.0, 1.0])
    with (folder / "nodules.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for n in range(count):
            name, mean = f"n{n}.nii.gz", (1.5, 3.0, 4.5)[n % 3]
            row = (f"p{n}", name, mean, round(mean), int(mean > 3), (1, 3, 5)[n % 3])
            writer.writerow(row)
            hu = np.full((10, 10, 6), -850, np.int16)
            hu[2 : 5 + n % 3, 2:5, 2:4] = n % 3
            inside = (hu > -500).astype(np.uint8)
            nibabel.save(nibabel.Nifti1Image(hu, affine), folder / "image" / name)
            path = folder / "nodule_mask" / name
            nibabel.save(nibabel.Nifti1Image(inside, affine), path)
    return folder


def test_one_who_knows_everything_is_perfect(tmp_path):
    def know(volume, mask):
        level = int(volume.hu[mask.voxels > 0].max())
        return NoduleReading((0.0, 0.5, 1.0)[level], level, mask)

    figures = evaluate_nodules(write_folder(tmp_path / "d"), know)
    assert figures.n == figures.patients == 12
    assert figures.malignancy_auc.value == 1
    assert figures.malignancy_auc.n == 8  # those rated 3 are left out
    assert figures.diameter_auc.value == 1
    assert figures.gain.value == 0
    assert figures.ece.value == 0
    assert figures.diagnosis_auc.value == 1
    assert figures.texture_balanced_accuracy.value == 1
    # 4 of each side, a patient each: 4 pairs; 0.025^(1/4) = 0.3976
    auc = figures.malignancy_auc
    np.testing.assert_allclose([auc.low, auc.high], [0.3976, 1], atol=1e-4)
    assert 0 < figures.texture_balanced_accuracy.low < 1
    assert figures.dice.value == 1
    assert figures.to_json()["dice"]["low"] == 1


def test_one_who_knows_nothing_is_as_good_as_chance(tmp_path):
    def guess(volume, mask):
        part = mask.grid.crop((0, 0, 0), (3, 10, 10))
        return NoduleReading(0.5, 2, Mask(mask.voxels[:3], part))

    figures = evaluate_nodules(write_folder(tmp_path / "d"), guess)
    assert figures.malignancy_auc.value == 0.5
    assert figures.gain.value == -0.5
    assert figures.ece.value == 0  # half of those that count are malignant
    assert figures.texture_balanced_accuracy.value == pytest.approx(1 / 3)
    # one of the two slices with the nodule: 2 * 1 / (1 + 2)
    assert figures.dice.value == pytest.approx(2 / 3)


def test_what_was_not_told_has_no_figure(tmp_path):
    figures = evaluate_nodules(
        write_folder(tmp_path / "d"), lambda volume, mask: NoduleReading(0.5)
    )
    assert figures.dice.value is None
    assert figures.texture_balanced_accuracy.n == 0


def test_a_reading_is_needed_for_each_nodule(tmp_path):
    cases = read_nodules(write_folder(tmp_path / "d"))
    with pytest.raises(InputError, match="for each of 12 nodules"):
        judge_nodules(cases, [], [])
