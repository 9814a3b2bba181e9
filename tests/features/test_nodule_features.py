import numpy as np
import pytest

from hilum.errors import InputError
from hilum.features import FEATURES, nodule_features, signed_distance_mm, surround
from hilum.space import Grid
from hilum.volume import CTVolume, Mask


def ball(diameter_mm=12.0, spacing_mm=(1.0, 0.7, 0.7), hu=40, stretch=1.0, room=10.0):
    half = np.array([diameter_mm / 2, diameter_mm / 2, stretch * diameter_mm / 2])
    shape = tuple(np.ceil(2 * (half + room) / spacing_mm).astype(int).tolist())
    grid = Grid.axial(shape, spacing_mm)
    index = np.moveaxis(np.indices(shape), 0, -1) * spacing_mm
    middle = (np.array(shape) - 1) / 2 * spacing_mm
    inside = np.linalg.norm((index - middle) / half, axis=-1) <= 1
    values = np.where(inside, hu, -850).astype(np.int16)
    return CTVolume(values, grid, "ball"), Mask(inside, grid)


def measure(*args, **kwargs):
    return dict(zip(FEATURES, nodule_features(*ball(*args, **kwargs)), strict=True))


def test_a_ball_is_measured_as_a_ball():
    found = measure()
    # 4/3 pi 6^3 = 904.8 mm3
    assert np.exp(found["log_volume"]) == pytest.approx(904.8, rel=0.06)
    assert found["axis_1_mm"] == pytest.approx(12, abs=0.6)
    assert found["axis_3_mm"] == pytest.approx(12, abs=0.6)
    assert found["long_axial_mm"] == pytest.approx(12, abs=0.6)
    assert found["voxel_feret_mm"] == pytest.approx(12, abs=0.8)
    assert found["sphericity"] == pytest.approx(1, abs=0.08)
    assert found["circularity_axial"] == pytest.approx(1, abs=0.08)
    assert found["solidity"] > 0.8
    assert found["core_mean_hu"] == 40
    assert found["voxel_mean_hu"] == 40
    assert found["share_calcified"] == 0
    assert found["around_p50_hu"] == -850


def test_twice_as_long_is_half_as_wide_by_its_length():
    found = measure(stretch=2.0)
    assert found["elongation"] == pytest.approx(0.5, abs=0.04)
    assert found["long_axial_mm"] == pytest.approx(24, abs=1)
    assert found["sphericity"] < measure()["sphericity"]


def test_a_calcified_ball_is_told_from_a_soft_one():
    found = measure(hu=600)
    assert found["share_calcified"] > 0.6
    assert found["voxel_share_calcified"] == 1
    assert found["log_mass_mg"] > measure()["log_mass_mg"]


@pytest.mark.parametrize("slice_mm", [0.45, 1.25, 2.5])
def test_slices_of_any_thickness_give_nearly_the_same_size(slice_mm):
    thin, thick = measure(), measure(spacing_mm=(slice_mm, 0.7, 0.7))
    assert thick["log_diameter"] == pytest.approx(thin["log_diameter"], abs=0.06)
    assert thick["sphericity"] == pytest.approx(thin["sphericity"], abs=0.15)
    assert thick["core_mean_hu"] == thin["core_mean_hu"]


def test_a_volume_that_ends_with_the_nodule_gives_the_same_numbers():
    volume, mask = ball(spacing_mm=(2.5, 0.7, 0.7))
    kept = np.flatnonzero(mask.voxels.any(axis=(1, 2)))
    first, last = int(kept[0]), int(kept[-1]) + 1
    start, stop = (first, 0, 0), (last, *mask.grid.shape[1:])
    part = Mask(mask.voxels[first:last], mask.grid.crop(start, stop))
    whole = nodule_features(volume, mask)
    ended = nodule_features(volume.crop(start, stop), part)
    np.testing.assert_allclose(ended, whole, rtol=1e-3, atol=1e-3)
    # and a mask may lie on a part of the grid of its volume
    np.testing.assert_array_equal(nodule_features(volume, part), whole)


def test_a_single_voxel_has_finite_features():
    volume, mask = ball()
    one = np.zeros(mask.grid.shape, bool)
    one[tuple(n // 2 for n in one.shape)] = True
    assert np.isfinite(nodule_features(volume, Mask(one, mask.grid))).all()


def test_depth_is_half_a_voxel_at_the_outermost_centres():
    around = surround(*ball(spacing_mm=(1.0, 1.0, 1.0)))
    depth = signed_distance_mm(around)
    assert depth[around.inside].min() == 0.5
    assert depth[~around.inside].max() == -0.5


@pytest.mark.parametrize("spacing_mm", [(1.0, 0.7, 0.7), (2.5, 0.5, 0.5)])
def test_the_depth_is_the_distance_to_the_nearest_voxel_outside(spacing_mm):
    around = surround(*ball(8.0, spacing_mm, stretch=1.4))
    inside, outside = np.argwhere(around.inside), np.argwhere(~around.inside)
    apart = (inside[:, None] - outside) * spacing_mm
    nearest = np.sqrt((apart**2).sum(axis=-1).min(axis=1))
    depth = signed_distance_mm(around)[around.inside]
    np.testing.assert_allclose(depth, nearest - min(spacing_mm) / 2, rtol=1e-12)


def test_an_empty_mask_is_refused():
    volume, mask = ball()
    with pytest.raises(InputError, match="no voxel set"):
        nodule_features(volume, Mask(np.zeros(mask.grid.shape, bool), mask.grid))


def test_a_mask_of_another_place_or_spacing_is_refused():
    volume, mask = ball()
    affine = mask.grid.affine.copy()
    affine[0, 3] += 140 * 0.7
    with pytest.raises(InputError, match="leaves its volume"):
        nodule_features(volume, Mask(mask.voxels, Grid(mask.grid.shape, affine)))
    other = Grid.axial(mask.grid.shape, (2.0, 0.7, 0.7))
    with pytest.raises(InputError, match="does not lie on voxels"):
        nodule_features(volume, Mask(mask.voxels, other))
