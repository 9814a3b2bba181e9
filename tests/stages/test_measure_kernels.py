"""The compiled loops of the measurement against SciPy and by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from hilum.stages.measure._distance_kernels import bounds, longest_run, squared_depth


@given(st.integers(0, 2**32 - 1))
def test_depth_agrees_with_scipy(seed):
    rng = np.random.default_rng(seed)
    mask = rng.random(rng.integers(2, 9, 3)) < 0.7
    mask[0, 0, 0] = False
    unit = rng.uniform(0.3, 2.0, 3).astype(np.float32)
    out = np.empty(mask.shape, np.float32)
    squared_depth(mask, unit, np.inf, out)
    expected = ndimage.distance_transform_edt(mask, sampling=unit)
    np.testing.assert_allclose(np.sqrt(out), expected, rtol=1e-5)
    squared_depth(mask, unit, 1.0, out)
    np.testing.assert_allclose(np.sqrt(out), np.minimum(expected, 1.0), rtol=1e-5)


@given(st.integers(0, 2**32 - 1))
def test_bounds_are_the_first_and_last_cells(seed):
    rng = np.random.default_rng(seed)
    mask = rng.random((4, 5, 6)) < 0.05
    mask[tuple(rng.integers(0, (4, 5, 6)))] = True
    found = np.empty((3, 2), np.int64)
    bounds(mask, found)
    cells = np.argwhere(mask)
    np.testing.assert_array_equal(found[:, 0], cells.min(axis=0))
    np.testing.assert_array_equal(found[:, 1], cells.max(axis=0))


def test_bounds_of_an_empty_mask_hold_nothing():
    found = np.empty((3, 2), np.int64)
    bounds(np.zeros((2, 3, 4), bool), found)
    assert found.tolist() == [[2, -1], [3, -1], [4, -1]]


def test_the_longest_run_by_hand():
    # row 0: from -1 to 1 the zero is half-way between points 0 and 1, from 1 to -3 a
    # quarter beyond point 2: 2.25 - 0.5 = 1.75. Row 1 begins inside, which no zero
    # bounds, and its second stretch is from 2.5 to 3.5.
    values = np.array([[-1, 1, 1, -3, -1], [2, -1, -1, 1, -1]], np.float32)
    assert longest_run(values) == pytest.approx(1.75)
    assert longest_run(values[1:]) == pytest.approx(1.0)
    assert longest_run(-np.ones((1, 4), np.float32)) == 0.0
