"""Random views of a nodule: plausible, and where the nodule is."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hilum.runtime.patches import PATCH_SHAPE
from hilum.space import Grid
from hilum.training.augment import (
    Variety,
    donor,
    random_grid,
    surround,
    thicken,
    vary_scan,
)
from hilum.volume import CTVolume, Mask

CENTER = (14.0, 14.0, 5.0)
STILL = Variety(
    shift_mm=0, size=0, tilt_deg=0, stretch=0, level_hu=0, noise_hu=0, thick=0
)


def piece(slices=6, spacing=2.0, beyond=0):
    """A ball of 60 HU in lung of -850 HU, on 40 x 40 voxels of 0.7 mm."""
    shape = (slices, 42, 42)
    grid = Grid.axial(shape, (spacing, 0.7, 0.7))
    hu = np.random.default_rng(0).normal(-850, 10, shape)
    mask = np.zeros(shape, np.uint8)
    mask[beyond : slices - beyond, 17:24, 17:24] = 1
    hu[mask > 0] = 60
    return CTVolume.from_array(hu, grid, "piece"), Mask(mask, grid)


LUNG = np.zeros((40, 40), np.float32)

seeds = st.integers(0, 10_000)


@given(seeds)
def test_the_center_stays_near_the_middle_of_the_view(seed):
    variety = Variety(shift_mm=2.0)
    grid = random_grid(CENTER, 10.0, np.random.default_rng(seed), variety=variety)
    middle = grid.to_world((np.array(PATCH_SHAPE) - 1) / 2)
    assert np.linalg.norm(middle - np.array(CENTER)) <= 2.0 + 1e-6


@given(seeds)
def test_a_view_has_the_size_of_a_nodule_a_fifth_off(seed):
    variety = Variety(size=0.2, stretch=0.1)
    grid = random_grid(CENTER, 10.0, np.random.default_rng(seed), variety=variety)
    sides = np.array(grid.spacing_mm) * PATCH_SHAPE
    # 2 * 8 + 8 = 24 to 2 * 12 + 8 = 32 mm, and a tenth more or less
    assert sides.min() >= 24 * 0.9 - 1e-6
    assert sides.max() <= 32 * 1.1 + 1e-6


@given(seeds)
def test_slices_stay_nearly_upright(seed):
    variety = Variety(tilt_deg=15.0)
    grid = random_grid(CENTER, 10.0, np.random.default_rng(seed), variety=variety)
    up = grid.affine[:3, 0] / np.linalg.norm(grid.affine[:3, 0])
    assert abs(up[2]) >= np.cos(np.radians(15)) ** 2 - 1e-6


def test_views_differ_and_follow_from_the_generator():
    one, again, other = (
        random_grid(CENTER, 10.0, np.random.default_rng(seed), variety=Variety())
        for seed in (1, 1, 2)
    )
    assert one.same_as(again)
    assert not one.same_as(other)


def test_the_made_up_slices_have_no_nodule():
    volume, mask = piece()
    for seed in range(20):
        more, cells = surround(volume, mask, np.random.default_rng(seed), donors=[LUNG])
        count = (more.grid.shape[0] - volume.grid.shape[0]) // 2
        assert count == 3  # 5 mm of slices of 2 mm
        np.testing.assert_array_equal(cells.voxels[count:-count], mask.voxels)
        assert not cells.voxels[:count].any()
        assert not cells.voxels[-count:].any()
        # what is left of 910 HU fades: at most 0.4, then 0.16, then 0.064
        for step, left in enumerate((0.4, 0.16, 0.064), start=1):
            for end in (count - step, -count - 1 + step):
                middle = more.hu[end, 17:24, 17:24].mean()
                assert middle < -850 + 910 * left + 30


def test_the_slices_that_were_there_stay_where_they_were():
    volume, mask = piece()
    more, cells = surround(volume, mask, np.random.default_rng(0), donors=[LUNG])
    np.testing.assert_array_equal(more.hu[3:-3], volume.hu)
    np.testing.assert_allclose(
        more.grid.to_world((3, 0, 0)), volume.grid.to_world((0, 0, 0))
    )
    assert cells.grid.same_as(more.grid)


def test_lung_beyond_the_nodule_can_be_given_away():
    given_away = donor(*piece(beyond=1))
    assert given_away is not None
    assert given_away.shape == (40, 40)
    assert abs(np.median(given_away)) < 1


def test_a_volume_that_ends_with_its_nodule_has_no_lung_to_give():
    assert donor(*piece()) is None


def test_a_wall_is_no_lung_to_give():
    volume, mask = piece(beyond=1)
    wall = CTVolume(volume.hu + np.int16(900), volume.grid, "wall")
    assert donor(wall, mask) is None


def test_thin_slices_become_thick():
    volume, _ = piece(spacing=1.0)
    thick = thicken(volume, np.random.default_rng(0), share=1.0)
    assert thick.hu[:, 0, 0].std() < volume.hu[:, 0, 0].std()
    assert thick.grid.same_as(volume.grid)


@pytest.mark.parametrize(("spacing", "share"), [(2.0, 1.0), (1.0, 0.0)])
def test_thick_slices_and_the_other_share_stay(spacing, share):
    volume, _ = piece(spacing=spacing)
    assert thicken(volume, np.random.default_rng(0), share) is volume


def test_without_variety_a_scan_stays_as_it_is():
    hu = np.full((4, 8, 8), -700, np.float32)
    np.testing.assert_array_equal(vary_scan(hu, np.random.default_rng(0), STILL), hu)


@given(seeds)
def test_noise_stays_below_its_limit(seed):
    hu = np.zeros((16, 32, 32), np.float32)
    variety = Variety(level_hu=0, noise_hu=40)
    assert vary_scan(hu, np.random.default_rng(seed), variety).std() < 40 * 1.05
