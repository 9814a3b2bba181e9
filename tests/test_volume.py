"""Volumes and masks: reordering, interpolation, windows, and what is refused."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hilum import _kernels
from hilum.errors import InputError
from hilum.space import Grid
from hilum.volume import CTVolume, Mask, apply_window, resample, to_int16


def ramp(grid):
    """HU that are linear in the patient, so that trilinear gives them exactly."""
    index = np.stack(np.meshgrid(*map(np.arange, grid.shape), indexing="ij"), -1)
    x, y, z = np.moveaxis(grid.to_world(index), -1, 0)
    return np.rint(2 * x - 3 * y + 4 * z).astype(np.int16)


@pytest.fixture
def volume():
    grid = Grid.axial((6, 7, 8), (2.0, 1.0, 1.0), origin_mm=(5, -3, 10))
    return CTVolume(ramp(grid), grid, "1.2.3")


def test_shapes_must_agree():
    grid = Grid.axial((4, 4, 4), (1.0, 1.0, 1.0))
    with pytest.raises(InputError, match=r"\(4, 4, 3\), its grid \(4, 4, 4\)"):
        CTVolume(np.zeros((4, 4, 3), np.int16), grid, "1.2.3")
    with pytest.raises(InputError, match=r"\(4, 4, 3\), its grid"):
        CTVolume.from_array(np.zeros((4, 4, 3)), grid, "1.2.3")
    with pytest.raises(InputError, match=r"\(4, 4, 3\), its grid"):
        Mask(np.zeros((4, 4, 3), bool), grid)


def test_number_type_is_checked():
    grid = Grid.axial((4, 4, 4), (1.0, 1.0, 1.0))
    with pytest.raises(InputError, match="must be int16 HU; got float64"):
        CTVolume(np.zeros((4, 4, 4)), grid, "1.2.3")
    with pytest.raises(InputError, match="bool or uint8 labels; got int64"):
        Mask(np.zeros((4, 4, 4), np.int64), grid)


def test_a_volume_on_its_side_is_refused():
    grid = Grid((4, 4, 4), np.eye(4))  # slices to +x
    with pytest.raises(InputError, match="Use CTVolume"):
        CTVolume(np.zeros((4, 4, 4), np.int16), grid, "1.2.3")


@given(
    st.permutations([0, 1, 2]),
    st.tuples(*[st.sampled_from([-1.0, 1.0])] * 3),
    st.tuples(*[st.floats(0.5, 4)] * 3),
)
def test_from_array_moves_no_voxel(order, signs, spacing):
    affine = np.zeros((4, 4))
    affine[3, 3] = 1
    for axis, world in enumerate(order):
        affine[world, axis] = signs[axis] * spacing[axis]
    grid = Grid((3, 4, 5), affine)
    numbers = np.arange(60, dtype=np.int16).reshape(grid.shape)
    volume = CTVolume.from_array(numbers, grid, "1.2.3")
    here = np.stack(np.meshgrid(*map(np.arange, volume.hu.shape), indexing="ij"), -1)
    there = np.stack(np.unravel_index(volume.hu, grid.shape), -1)
    np.testing.assert_allclose(
        volume.grid.to_world(here), grid.to_world(there), atol=1e-9
    )
    assert volume.hu.flags.c_contiguous


def test_to_int16_by_hand():
    given_hu = np.array([np.nan, -np.inf, np.inf, -3024.0, -1024.4, 2.5, 3.5, 99999.0])
    np.testing.assert_array_equal(
        to_int16(given_hu), [-1024, -1024, 32767, -1024, -1024, 2, 4, 32767]
    )
    np.testing.assert_array_equal(to_int16(np.uint16([0, 65535])), [0, 32767])
    same = np.int16([-1024, 3])
    assert to_int16(same) is same


def test_resampling_a_linear_ramp_is_exact(volume):
    # points strictly between voxel centres, so that no edge value is repeated
    grid = Grid.axial((4, 5, 6), (1.0, 0.5, 0.5), origin_mm=(6, -2, 12))
    np.testing.assert_array_equal(volume.resample_to(grid).hu, ramp(grid))


def test_resampling_to_its_own_grid_changes_nothing(volume):
    np.testing.assert_array_equal(volume.resample_to(volume.grid).hu, volume.hu)


def test_resampling_agrees_with_simpleitk(volume):
    sitk = pytest.importorskip("SimpleITK")
    rng = np.random.default_rng(0)
    hu = rng.integers(-1000, 1000, volume.hu.shape).astype(np.int16)
    grid = Grid.axial((9, 9, 9), (0.9, 0.6, 0.7), origin_mm=(5.5, -2.7, 10.4))
    ours = CTVolume(hu, volume.grid, "1").resample_to(grid)

    image = sitk.GetImageFromArray(hu)
    image.SetOrigin((5, -3, 10))
    image.SetSpacing((1, 1, 2))
    like = sitk.Image(9, 9, 9, sitk.sitkFloat64)
    like.SetOrigin((5.5, -2.7, 10.4))
    like.SetSpacing((0.7, 0.6, 0.9))
    theirs = sitk.Resample(
        sitk.Cast(image, sitk.sitkFloat64), like, sitk.Transform(), sitk.sitkLinear
    )
    np.testing.assert_allclose(ours.hu, sitk.GetArrayFromImage(theirs), atol=0.5001)


@given(
    st.integers(0, 2**32),
    st.tuples(*[st.floats(0.3, 3)] * 3),
    st.tuples(*[st.floats(-4, 4)] * 3),
)
def test_parallel_axes_agree_with_the_general_way(seed, scale, offset):
    hu = np.random.default_rng(seed).integers(-1000, 1000, (4, 5, 6), dtype=np.int16)
    index_map = np.diag([*scale, 1.0])
    index_map[:3, 3] = offset
    fast = resample(hu, index_map, (5, 5, 5), -7)
    general = np.empty((5, 5, 5), np.int16)
    _kernels.trilinear(hu, index_map, general, 0, 5, -7)
    np.testing.assert_allclose(fast, general, atol=1)  # float32 against float64


@pytest.mark.parametrize("turn", [0.0, 0.1])
def test_outside_gets_the_outside_value(volume, turn):
    affine = Grid.axial((2, 2, 2), (1, 1, 1), origin_mm=(500, 0, 0)).affine.copy()
    affine[0, 1] = turn
    grid = Grid((2, 2, 2), affine)
    np.testing.assert_array_equal(volume.resample_to(grid, outside_hu=-2).hu, -2)


def test_resampling_a_ramp_through_a_turned_grid_is_exact(volume):
    affine = Grid.axial((3, 3, 3), (1.0, 0.5, 0.5), origin_mm=(8, 0, 14)).affine.copy()
    affine[:2, 1:3] = affine[:2, 1:3] @ [[0.8, -0.6], [0.6, 0.8]]
    grid = Grid((3, 3, 3), affine)
    np.testing.assert_allclose(volume.resample_to(grid).hu, ramp(grid), atol=1)


def test_resampling_across_frames_is_refused(volume):
    here = CTVolume(volume.hu, Grid(volume.hu.shape, volume.grid.affine, "1.2"), "1")
    with pytest.raises(InputError, match="frame of reference"):
        here.resample_to(Grid(volume.hu.shape, volume.grid.affine, "1.3"))


def test_shrink_by_hand():
    hu = np.arange(4 * 4 * 6, dtype=np.int16).reshape(4, 4, 6)
    volume = CTVolume(hu, Grid.axial((4, 4, 6), (2.0, 1.0, 1.0)), "1")
    small = volume.shrink((2.0, 2.9, 3.0))
    # blocks of 1 x 2 x 3: rows 0-1, columns 0-2 of slice 0 are 0 1 2 6 7 8
    assert small.hu.shape == (4, 2, 2)
    assert small.hu[0, 0, 0] == (0 + 1 + 2 + 6 + 7 + 8) / 6
    assert small.grid.spacing_mm == (2.0, 2.0, 3.0)
    np.testing.assert_allclose(small.grid.to_world([0, 0, 0]), [1.0, 0.5, 0.0])
    assert volume.shrink((0.5, 0.5, 0.5)) is volume


def test_shrinking_keeps_the_mean_of_a_ramp(volume):
    small = volume.shrink((4.0, 2.0, 2.0))
    np.testing.assert_allclose(small.hu, ramp(small.grid), atol=1)


def test_crop_is_a_view_in_the_same_place(volume):
    part = volume.crop((1, 2, 3), (4, 5, 6))
    np.testing.assert_array_equal(part.hu, ramp(part.grid))
    assert np.shares_memory(part.hu, volume.hu)


def test_window_by_hand(volume):
    # level 0, width 400: -200 -> 0, 0 -> 127.5 -> 128 (to even), 100 -> 191.25
    np.testing.assert_array_equal(
        apply_window(
            np.array([-300, -200, 0, 100, 200, 900]), level_hu=0, width_hu=400
        ),
        [0, 0, 128, 191, 255, 255],
    )
    grey = volume.window(level_hu=0, width_hu=10)
    assert grey.dtype == np.uint8
    with pytest.raises(InputError, match="must be > 0"):
        volume.window(level_hu=0, width_hu=0)


def test_mask_reads_labels_in_the_patient():
    labels = np.zeros((3, 3, 3), np.uint8)
    labels[2, 1, 0] = 2
    mask = Mask(labels, Grid.axial((3, 3, 3), (2.0, 1.0, 1.0)))
    np.testing.assert_array_equal(
        mask.at([[0, 1, 4], [0.4, 1.4, 4.9], [1, 1, 4], [0, 1, 99]]), [2, 2, 0, 0]
    )
    assert mask.volume_mm3 == 2.0
