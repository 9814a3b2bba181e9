"""A nodule's voxels, from the patch that the network sees of it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hilum.errors import InputError
from hilum.runtime.outlines import average_views, mirror_views, outline_nodule
from hilum.runtime.patches import PATCH_SHAPE, cut_patch, patch_grid, sample
from hilum.space import Grid
from hilum.volume import CTVolume


def dense(views):
    """A network that marks what is denser than -400 HU."""
    return (views > -400).astype(np.float32)


def balls(*places, shape=(24, 64, 64), spacing=(1.5, 0.7, 0.7)):
    """Lung with balls, each (x, y, z, diameter) in mm."""
    grid = Grid.axial(shape, spacing, origin_mm=(-20.0, -30.0, 100.0))
    points = grid.to_world(np.argwhere(np.ones(shape)))
    hu = np.full(len(points), -850.0)
    for *center, size in places:
        off = np.linalg.norm(points - np.array(center), axis=1)
        hu += 900 * np.clip((size / 2 - off) / 0.7 + 0.5, 0, 1)
    return CTVolume.from_array(hu.reshape(shape), grid, "balls")


def volume_of(size):
    return np.pi / 6 * size**3


def test_the_patch_by_hand():
    # 10 mm: a cube of 2 * 10 + 8 = 28 mm; 16 slices of 1.75, 32 rows of 0.875 mm
    grid = patch_grid((1.0, 2.0, 3.0), 10.0)
    assert grid.shape == PATCH_SHAPE == (16, 32, 32)
    np.testing.assert_allclose(grid.spacing_mm, (1.75, 0.875, 0.875))
    middle = (np.array(grid.shape) - 1) / 2
    np.testing.assert_allclose(grid.to_world(middle), (1.0, 2.0, 3.0))


@given(
    st.tuples(*[st.floats(-40, 40)] * 3),
    st.floats(3, 40),
)
def test_a_linear_image_is_cut_exactly(center, diameter):
    grid = Grid.axial((200, 200, 200), (1.0, 1.0, 1.0), origin_mm=(-100, -100, -100))
    z = grid.to_world([[n, 0, 0] for n in range(200)])[:, 2]
    hu = np.broadcast_to(4 * np.rint(z)[:, None, None], grid.shape).astype(np.int16)
    patch = patch_grid(center, diameter)
    found = sample(np.ascontiguousarray(hu), grid, patch)
    expected = 4 * patch.to_world([[n, 0, 0] for n in range(patch.shape[0])])[:, 2]
    assert np.abs(expected).max() < 4 * 99
    np.testing.assert_allclose(found[:, 5, 5], expected, atol=0.51)


def test_beyond_the_volume_its_edge_goes_on():
    grid = Grid.axial((2, 3, 3), (1.0, 1.0, 1.0))
    hu = np.arange(18, dtype=np.int16).reshape(2, 3, 3) * 10
    patch = cut_patch(CTVolume(hu, grid, "x"), patch_grid((1.0, 1.0, 0.5), 6.0))
    np.testing.assert_array_equal(patch[0, 0, 0], hu[0, 0, 0])
    np.testing.assert_array_equal(patch[-1, -1, -1], hu[-1, -1, -1])


@pytest.mark.parametrize(("size", "off"), [(5.0, 0.2), (8.0, 0.12), (16.0, 0.1)])
def test_a_ball_has_its_volume(size, off):
    center = (1.3, -8.2, 117.1)
    found = outline_nodule(balls((*center, size)), center, size, predict=dense)
    np.testing.assert_allclose(found.volume_mm3, volume_of(size), rtol=off)


def test_the_outline_moves_with_the_nodule_not_with_the_guess():
    center = (1.3, -8.2, 117.1)
    volume = balls((*center, 9.0))
    exact = outline_nodule(volume, center, 9.0, predict=dense)
    off = outline_nodule(volume, (2.3, -9.0, 116.1), 7.6, predict=dense)
    middles = [
        m.grid.to_world(np.argwhere(m.voxels).mean(axis=0)) for m in (exact, off)
    ]
    np.testing.assert_allclose(middles[0], center, atol=0.3)
    np.testing.assert_allclose(middles[1], center, atol=0.3)
    np.testing.assert_allclose(off.volume_mm3, exact.volume_mm3, rtol=0.1)


def test_a_larger_neighbour_is_left_out():
    center = (1.3, -8.2, 117.1)
    volume = balls((*center, 5.0), (1.3, 1.5, 117.1, 9.0))
    found = outline_nodule(volume, center, 5.0, predict=dense)
    np.testing.assert_allclose(found.volume_mm3, volume_of(5.0), rtol=0.2)


def test_where_there_is_none_there_is_none():
    found = outline_nodule(balls(), (0.0, 0.0, 115.0), 6.0, predict=dense)
    assert not found.voxels.any()


def test_a_nodule_at_the_last_slice_is_outlined():
    center = (0.0, -8.0, 134.0)  # slices end at 134.5 mm
    found = outline_nodule(balls((*center, 8.0)), center, 8.0, predict=dense)
    assert found.voxels[-1].any()


@given(st.integers(1, 8))
def test_mirrored_views_average_to_the_patch(count):
    patch = np.random.default_rng(0).normal(size=(4, 6, 8, 1)).astype(np.float32)
    views = mirror_views(patch, count)
    assert len({view.tobytes() for view in views}) == count
    np.testing.assert_allclose(average_views(views), patch[..., 0], rtol=1e-5)


def test_a_center_outside_is_refused():
    with pytest.raises(InputError, match="another series"):
        outline_nodule(balls(), (0.0, 0.0, 500.0), 6.0, predict=dense)


@pytest.mark.parametrize("size", [0.0, -3.0, float("nan")])
def test_a_diameter_that_is_none_is_refused(size):
    with pytest.raises(InputError, match="above 0"):
        outline_nodule(balls(), (0.0, 0.0, 115.0), size, predict=dense)
