import numpy as np
import pytest

from hilum.errors import InputError
from hilum.features import surround
from hilum.features.patches import BLANK_HU, sample_patch, to_channels
from hilum.space import Grid
from hilum.volume import CTVolume, Mask


def ball(radius_mm=5.0, spacing_mm=(1.0, 0.5, 0.5), shape=(30, 60, 60), cut=0):
    grid = Grid.axial(shape, spacing_mm)
    index = np.moveaxis(np.indices(shape), 0, -1)
    middle = (np.array(shape) - 1) / 2 * spacing_mm
    inside = np.linalg.norm(index * spacing_mm - middle, axis=-1) <= radius_mm
    hu = np.where(inside, 50, -850).astype(np.int16)
    if cut:
        keep = np.flatnonzero(inside.any(axis=(1, 2)))
        hu, inside = hu[keep[0] : keep[-1] + 1], inside[keep[0] : keep[-1] + 1]
        grid = grid.crop((int(keep[0]), 0, 0), (int(keep[-1]) + 1, *shape[1:]))
    return CTVolume(np.ascontiguousarray(hu), grid, "ball"), Mask(inside, grid)


def test_the_nodule_stands_in_the_middle_at_its_size():
    patch = sample_patch(surround(*ball()))
    hu, mask = to_channels(patch)
    assert hu.shape == mask.shape == (32, 32, 32, 1)
    # a ball of 5 mm radius has 4/3 pi 125 = 523.6 mm3
    assert mask.sum() == pytest.approx(523.6, rel=0.06)
    assert hu[16, 16, 16, 0] == 50
    np.testing.assert_array_equal(hu[0], BLANK_HU)


def test_a_volume_that_ends_with_the_nodule_gives_nearly_the_same_patch():
    whole = to_channels(sample_patch(surround(*ball())))
    ended = to_channels(sample_patch(surround(*ball(cut=1))))
    np.testing.assert_allclose(ended[1], whole[1], atol=1e-6)
    np.testing.assert_allclose(ended[0], whole[0], atol=1)


def test_a_quarter_turn_turns_the_patch():
    volume, mask = ball()
    hu = volume.hu.copy()
    hu[:, 30:, :] = np.where(mask.voxels[:, 30:, :], 300, hu[:, 30:, :])
    around = surround(CTVolume(hu, volume.grid, "half"), mask)
    turn = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])
    plain = sample_patch(around).hu
    turned = sample_patch(around, rotation=turn).hu
    # (row r, column c) of the turned patch lies at (row -c, column r) of the scan
    np.testing.assert_allclose(turned, plain.transpose(0, 2, 1)[:, :, ::-1], atol=1)


def test_growing_adds_volume_and_shrinking_takes_it():
    patch = sample_patch(surround(*ball()))
    small, same, large = (
        to_channels(patch, grown_mm=g)[1].sum() for g in (-0.5, 0.0, 0.5)
    )
    assert small < same < large


def test_a_spacing_of_zero_is_refused():
    with pytest.raises(InputError, match="> 0 mm"):
        sample_patch(surround(*ball()), spacing_mm=0)
