"""Pooling, the spatial pyramid and space-to-depth."""

import keras
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from keras_reference import BACKEND, EXAMPLES, arrays, run

from hilum.errors import InputError
from hilum.primer.ops import (
    average_pool,
    max_pool,
    space_to_depth,
    spatial_pyramid_pool,
)

KERAS = {
    "max": (
        keras.layers.MaxPooling1D,
        keras.layers.MaxPooling2D,
        keras.layers.MaxPooling3D,
    ),
    "average": (
        keras.layers.AveragePooling1D,
        keras.layers.AveragePooling2D,
        keras.layers.AveragePooling3D,
    ),
}
OURS = {"max": max_pool, "average": average_pool}
kinds = st.sampled_from(sorted(OURS))
seeds = st.integers(0, 2**32 - 1)
shapes = st.integers(1, 3).flatmap(
    lambda rank: st.tuples(*[st.integers(1, {1: 12, 2: 7, 3: 5}[rank])] * rank)
)


def test_pools_by_hand():
    # windows of 2, stride 2: (1 2 / 3 4) and (5 0 / 0 3)
    x = np.array([[1, 2, 5, 0], [3, 4, 0, 3]]).reshape(1, 2, 4, 1)
    np.testing.assert_array_equal(max_pool(x).ravel(), [4, 5])
    np.testing.assert_array_equal(average_pool(x).ravel(), [2.5, 2])
    # "same": the last window holds 9 alone, and the average is of 9 alone
    row = np.reshape([1, 3, 9], (1, 3, 1))
    np.testing.assert_array_equal(average_pool(row, padding="same").ravel(), [2, 9])
    np.testing.assert_array_equal(average_pool(row).ravel(), [2])


@settings(max_examples=EXAMPLES)
@given(
    kinds,
    shapes,
    st.tuples(*[st.integers(1, 4)] * 3),
    st.tuples(*[st.integers(1, 3)] * 3),
    st.sampled_from(["valid", "same"]),
    seeds,
)
def test_pooling_is_that_of_keras(kind, sizes, window, stride, padding, seed):
    window, stride = window[: len(sizes)], stride[: len(sizes)]
    assume(padding == "same" or all(map(int.__ge__, sizes, window)))
    (x,) = arrays(seed, (2, *sizes, 2))
    layer = KERAS[kind][len(sizes) - 1](window, strides=stride, padding=padding)
    ours = OURS[kind](x, window, stride, padding)
    np.testing.assert_allclose(ours, run(layer, x), rtol=1e-5, atol=1e-6)


@given(kinds, shapes, st.integers(1, 3), seeds)
def test_one_number_is_that_number_for_every_axis(kind, sizes, window, seed):
    (x,) = arrays(seed, (1, *sizes, 2))
    each = OURS[kind](x, (window,) * len(sizes), padding="same")
    np.testing.assert_array_equal(OURS[kind](x, window, padding="same"), each)


def test_padding_of_pools_has_two_names():
    with pytest.raises(InputError, match="'valid' or 'same'; got 'full'"):
        max_pool(np.zeros((1, 3, 1)), padding="full")


@given(shapes, st.integers(1, 4), seeds)
def test_the_average_is_between_the_extremes(sizes, window, seed):
    (x,) = arrays(seed, (1, *sizes, 2))
    mean = average_pool(x, window, padding="same")
    largest = max_pool(x, window, padding="same")
    smallest = -max_pool(-x, window, padding="same")
    assert (smallest <= mean + 1e-9).all()
    assert (mean <= largest + 1e-9).all()


def test_a_window_that_does_not_fit_is_refused():
    with pytest.raises(InputError, match="window of 4 does not fit"):
        max_pool(np.zeros((1, 3, 3, 1)), 4)


def test_a_pyramid_by_hand():
    # 5 voxels in 2 bins: floor(0) to ceil(2.5) = 0..2, floor(2.5) to 5 = 2..4
    x = np.reshape([1, 7, 2, 3, 5], (1, 5, 1))
    np.testing.assert_array_equal(spatial_pyramid_pool(x, (1, 2)), [[7, 7, 5]])
    np.testing.assert_allclose(
        spatial_pyramid_pool(x, (2,), "average"), [[10 / 3, 10 / 3]]
    )
    # 2 voxels in 4 bins: 0, 0, 1, 1
    two = np.reshape([4, 8], (1, 2, 1))
    np.testing.assert_array_equal(spatial_pyramid_pool(two, (4,)), [[4, 4, 8, 8]])


@given(shapes, st.integers(1, 3), seeds)
def test_a_pyramid_has_one_length_for_every_size(sizes, channels, seed):
    (x,) = arrays(seed, (2, *sizes, channels))
    rank = len(sizes)
    bins = sum(n**rank for n in (1, 2, 4))
    y = spatial_pyramid_pool(x)
    assert y.shape == (2, bins * channels)
    np.testing.assert_array_equal(
        y[:, :channels], x.max(axis=tuple(range(1, rank + 1)))
    )


@given(st.integers(1, 3), st.integers(1, 3), kinds, seeds)
def test_bins_that_divide_the_size_are_plain_pools(rank, window, kind, seed):
    (x,) = arrays(seed, (1, *[2 * window] * rank, 2))
    y = spatial_pyramid_pool(x, (2,), kind)
    np.testing.assert_allclose(y.ravel(), OURS[kind](x, window).ravel())


@settings(max_examples=EXAMPLES // 4)
@given(shapes, st.integers(1, 4), kinds, seeds)
def test_a_level_is_the_adaptive_pool_of_keras(sizes, bins, kind, seed):
    # Keras has it for sizes known in advance. On TensorFlow it pools with windows of
    # ceil(n / bins) + 1 too, and where that exceeds n the process dies dividing by 0
    assume(BACKEND != "tensorflow" or all(-(-n // bins) < n for n in sizes))
    pool = getattr(keras.ops, f"adaptive_{kind}_pool", None)
    if pool is None:
        pytest.skip("this Keras has no adaptive pooling")
    (x,) = arrays(seed, (1, *sizes, 2))
    expected = run(
        pool, x, output_size=(bins,) * len(sizes), data_format="channels_last"
    )
    ours = spatial_pyramid_pool(x, (bins,), kind)
    np.testing.assert_allclose(ours, expected.reshape(1, -1), rtol=1e-5, atol=1e-6)


def test_a_pyramid_has_two_poolings():
    with pytest.raises(InputError, match="'max' or 'average'; got 'min'"):
        spatial_pyramid_pool(np.zeros((1, 2, 1)), pooling="min")


def test_space_to_depth_by_hand():
    # the block's four voxels, in row order, each with its two channels
    x = np.arange(8).reshape(1, 2, 2, 2)
    np.testing.assert_array_equal(space_to_depth(x).ravel(), np.arange(8))
    # 1 2 | 3 4   first block 1 2 5 6, second 3 4 7 8
    # 5 6 | 7 8
    y = space_to_depth(np.arange(1, 9).reshape(1, 2, 4, 1))
    np.testing.assert_array_equal(y[0, 0], [[1, 2, 5, 6], [3, 4, 7, 8]])


@given(st.integers(1, 3), st.integers(1, 3), st.integers(1, 3), seeds)
def test_space_to_depth_loses_nothing(rank, blocks, block, seed):
    (x,) = arrays(seed, (2, *[blocks * block] * rank, 2))
    y = space_to_depth(x, block)
    assert y.shape == (2, *[blocks] * rank, 2 * block**rank)
    np.testing.assert_array_equal(np.sort(y, axis=None), np.sort(x, axis=None))


@given(st.integers(1, 3), st.integers(2, 3), seeds)
def test_space_to_depth_in_2d_is_that_of_keras(blocks, block, seed):
    function = getattr(keras.ops, "space_to_depth", None)
    if function is None:
        pytest.skip("this Keras has no space_to_depth")
    (x,) = arrays(seed, (1, blocks * block, 2 * block, 3))
    np.testing.assert_array_equal(
        space_to_depth(x, block), run(function, x, block_size=block)
    )


def test_a_size_that_is_no_multiple_is_refused():
    with pytest.raises(InputError, match="not multiples of 2"):
        space_to_depth(np.zeros((1, 4, 3, 1)))
