"""The compiled loops of the features against SciPy and against shapes known by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage
from scipy.spatial import ConvexHull

from hilum.features.cells import interpolate
from hilum.features.shape import hull_of
from hilum.features.voxels import _grown


@given(st.integers(0, 2**32 - 1))
def test_interpolation_gives_the_very_numbers_of_scipy(seed):
    # signs of depths near 0 hang on the last bit, so it is compared bit by bit
    rng = np.random.default_rng(seed)
    shape, count = rng.integers(2, 7, 3), (4, 5, 3)
    field = rng.integers(-1000, 1000, shape).astype(float)
    step = (shape - 1) / count * rng.uniform(0.3, 1, 3)
    start = rng.uniform(0, 0.2, 3) * step
    expected = ndimage.affine_transform(
        field, np.diag(step), start, output_shape=count, order=1, mode="nearest"
    )
    places = [a + np.arange(n) * b for a, b, n in zip(start, step, count, strict=True)]
    np.testing.assert_array_equal(interpolate(field, places), expected)


@given(st.integers(0, 2**32 - 1))
def test_beyond_the_edge_it_goes_on_as_in_scipy(seed):
    rng = np.random.default_rng(seed)
    shape, count = rng.integers(1, 7, 3), (4, 5, 3)
    field = rng.integers(-1000, 1000, shape).astype(float)
    start, step = rng.uniform(-3, 3, 3), rng.uniform(0.1, 3, 3)
    expected = ndimage.affine_transform(
        field, np.diag(step), start, output_shape=count, order=1, mode="nearest"
    )
    places = [a + np.arange(n) * b for a, b, n in zip(start, step, count, strict=True)]
    np.testing.assert_allclose(interpolate(field, places), expected, atol=1e-9)


def test_hull_of_an_l_by_hand():
    # three pixels of 1 x 1 mm as an L: the hull cuts the empty corner of the 2 x 2
    # square along its diagonal: area 4 - 1/2, outline 1 + 2 + 2 + 1 + sqrt(2)
    points = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0]])
    area, outline = hull_of(points, 1.0)
    assert area == pytest.approx(3.5)
    assert outline == pytest.approx(6 + 2**0.5)


@given(st.integers(0, 2**32 - 1))
def test_hulls_in_the_plane_agree_with_qhull(seed):
    rng = np.random.default_rng(seed)
    mask = rng.random((6, 7)) < 0.4
    mask[2, 3] = True
    points, pixel = np.argwhere(mask) * np.array([0.7, 0.6]), np.array([0.7, 0.6])
    corners = np.array([[-1, -1], [-1, 1], [1, -1], [1, 1]]) / 2 * pixel
    expected = ConvexHull((points[:, None] + corners).reshape(-1, 2))
    area, outline = hull_of(points, pixel)
    assert area == pytest.approx(expected.volume, rel=1e-9)
    assert outline == pytest.approx(expected.area, rel=1e-9)


@given(st.integers(0, 2**32 - 1))
def test_growing_adds_the_eight_neighbours_in_the_slice(seed):
    inside = np.random.default_rng(seed).random((2, 5, 6)) < 0.2
    expected = ndimage.binary_dilation(inside, np.ones((1, 3, 3), bool))
    np.testing.assert_array_equal(_grown(inside), expected)
