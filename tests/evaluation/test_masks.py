"""Masks against masks: distances by hand, files in pairs, and what is refused."""

import numpy as np
import pytest

from hilum.errors import InputError
from hilum.evaluation.masks import evaluate_segmentation, surface_distances_mm
from hilum.formats import read_mask, write_mask
from hilum.formats.encoding import Stored
from hilum.formats.nifti import write_nifti
from hilum.space import Grid
from hilum.volume import Mask


def cube(low, high, shape=(20, 24, 28), spacing_mm=(2.0, 1.0, 1.0)):
    voxels = np.zeros(shape, np.uint8)
    voxels[low:high, low:high, low:high] = 1
    return Mask(voxels, Grid.axial(shape, spacing_mm=spacing_mm))


def test_a_mask_survives_its_file(tmp_path):
    mask = cube(5, 12)
    for name in ("m.nii.gz", "m.mha"):
        write_mask(mask, tmp_path / name)
        again = read_mask(tmp_path / name)
        np.testing.assert_array_equal(again.voxels, mask.voxels)
        assert again.grid.same_as(mask.grid)


def test_a_ct_is_no_mask(tmp_path):
    grid = Grid.axial((8, 8, 8), spacing_mm=(1.0, 1.0, 1.0))
    hu = np.full((8, 8, 8), -900, np.int16)
    write_nifti(Stored(hu, grid, None), tmp_path / "ct.nii.gz")
    with pytest.raises(InputError, match="Is it the CT"):
        read_mask(tmp_path / "ct.nii.gz")
    with pytest.raises(InputError, match="holds a CT"):
        read_mask(tmp_path / "ct.npz")
    with pytest.raises(InputError, match="Cannot read"):
        read_mask(tmp_path / "none.mha")


def test_distances_by_hand():
    # one slice moved by one slice of 2 mm: its surface lies 2 mm from the other
    a, b = np.zeros((6, 9, 9), bool), np.zeros((6, 9, 9), bool)
    a[2, 2:7, 2:7] = True
    b[3, 2:7, 2:7] = True
    np.testing.assert_allclose(surface_distances_mm(a, b, (2.0, 1.0, 1.0)), 2.0)
    assert surface_distances_mm(a, np.zeros_like(a), (2.0, 1.0, 1.0)).size == 0


def test_folders_are_judged_file_by_file(tmp_path):
    for name in ("truth", "said"):
        (tmp_path / name).mkdir()
    for n, grown in enumerate((12, 13)):
        write_mask(cube(5, 12), tmp_path / "truth" / f"{n}.nii.gz")
        write_mask(cube(5, grown), tmp_path / "said" / f"{n}.nii.gz")
    result = evaluate_segmentation(tmp_path / "truth", tmp_path / "said")
    # 343 against 343, and against 512: 2 * 343 / 855 = 0.8023; mean 0.9012
    assert result.n == 2
    assert result.dice.value == pytest.approx((1 + 2 * 343 / 855) / 2)
    assert result.volume_bias.value == pytest.approx((512 / 343 - 1) / 2)
    assert result.volume_error.value == pytest.approx((512 / 343 - 1) / 2)
    assert 0 < result.surface_mm.value < 1.5
    alone = evaluate_segmentation(
        tmp_path / "truth/0.nii.gz", tmp_path / "said/0.nii.gz"
    )
    assert alone.dice.value == 1
    assert alone.hausdorff95_mm.value == 0


def test_an_empty_mask_has_no_distance(tmp_path):
    write_mask(cube(5, 12), tmp_path / "a.nii.gz")
    write_mask(cube(5, 5), tmp_path / "b.nii.gz")
    result = evaluate_segmentation(tmp_path / "a.nii.gz", tmp_path / "b.nii.gz")
    assert result.dice.value == 0
    assert result.volume_bias.value == -1
    assert result.surface_mm.value is None


def test_masks_that_do_not_belong_together(tmp_path):
    write_mask(cube(5, 12), tmp_path / "a.nii.gz")
    write_mask(cube(5, 12, shape=(20, 24, 30)), tmp_path / "b.nii.gz")
    with pytest.raises(InputError, match="another grid"):
        evaluate_segmentation(tmp_path / "a.nii.gz", tmp_path / "b.nii.gz")
    (tmp_path / "t").mkdir()
    (tmp_path / "s").mkdir()
    with pytest.raises(InputError, match="`t` holds no mask"):
        evaluate_segmentation(tmp_path / "t", tmp_path / "s")
    write_mask(cube(5, 12), tmp_path / "t/a.nii.gz")
    with pytest.raises(InputError, match="1 of 1"):
        evaluate_segmentation(tmp_path / "t", tmp_path / "s")
    with pytest.raises(InputError, match="two folders"):
        evaluate_segmentation(tmp_path / "t", tmp_path / "a.nii.gz")
