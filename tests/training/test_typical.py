"""What is typical of a folder of nodules."""

import json
import shutil

import nibabel
import numpy as np
import pytest

from hilum.errors import InputError
from hilum.features import FEATURES, nodule_features
from hilum.runtime.explanation import read_typical
from hilum.runtime.weights import weights_folder
from hilum.space import Grid
from hilum.training.typical import write_typical
from hilum.volume import CTVolume, Mask


def write_nodules(folder, radii_mm, *, masked=True):
    (folder / "image").mkdir(parents=True)
    (folder / "nodule_mask").mkdir()
    affine = np.diag([-1.0, -1.0, 1.5, 1.0])
    index = np.moveaxis(np.indices((24, 24, 12)), 0, -1) - (11.5, 11.5, 5.5)
    rows = ["patient_id,file,malignancy_mean"]
    for n, radius in enumerate(radii_mm):
        rows.append(f"p{n},n{n}.nii.gz,3")
        inside = np.linalg.norm(index * (1, 1, 1.5), axis=-1) <= radius
        hu = np.where(inside, 30, -850).astype(np.int16)
        image = nibabel.Nifti1Image(hu, affine)
        nibabel.save(image, folder / "image" / f"n{n}.nii.gz")
        if masked:
            mask = nibabel.Nifti1Image(inside.astype(np.uint8), affine)
            nibabel.save(mask, folder / "nodule_mask" / f"n{n}.nii.gz")
    (folder / "nodules.csv").write_text("\n".join(rows) + "\n")
    return folder


@pytest.fixture
def weights(tmp_path):
    """Copy the shipped network, without what is typical of its own nodules."""
    for name in ("malignancy.xml", "malignancy.bin", "malignancy.calibration.json"):
        shutil.copy(weights_folder() / name, tmp_path / name)
    return tmp_path / "malignancy.xml"


def test_typical_is_the_median(tmp_path, weights):
    data = write_nodules(tmp_path / "data", (3, 5, 6))
    typical = write_typical(data, weights)
    # of balls of 3, 5 and 6 mm the one of 5 mm is in the middle
    grid = Grid.axial((12, 24, 24), (1.5, 1.0, 1.0))
    index = np.moveaxis(np.indices(grid.shape), 0, -1) - (5.5, 11.5, 11.5)
    inside = np.linalg.norm(index * (1.5, 1, 1), axis=-1) <= 5
    ball = CTVolume(np.where(inside, 30, -850).astype(np.int16), grid, "ball")
    middle = nodule_features(ball, Mask(inside, grid))
    for name in ("log_volume", "height_mm", "voxel_area_mm2"):
        at = FEATURES.index(name)
        assert typical.features[at] == pytest.approx(middle[at], rel=1e-4)
    again = read_typical(weights)
    np.testing.assert_allclose(again.features, typical.features, rtol=1e-5)
    assert again.rating == pytest.approx(typical.rating, abs=1e-6)
    tree = json.loads(weights.with_suffix(".typical.json").read_text())
    assert tree["nodules"] == 3


def test_nodules_without_masks_are_refused(tmp_path, weights):
    data = write_nodules(tmp_path / "data", (3,), masked=False)
    with pytest.raises(InputError, match="none is typical"):
        write_typical(data, weights)
