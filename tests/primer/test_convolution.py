"""Convolution: by hand, against Keras, and its laws."""

import keras
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from keras_reference import BACKEND, EXAMPLES, arrays, loaded, run

from hilum.errors import InputError
from hilum.primer.ops import (
    convolve,
    convolve_transposed,
    same_padding,
    transposed_size,
)

CONV = {1: keras.layers.Conv1D, 2: keras.layers.Conv2D, 3: keras.layers.Conv3D}
TRANSPOSED = {
    1: keras.layers.Conv1DTranspose,
    2: keras.layers.Conv2DTranspose,
    3: keras.layers.Conv3DTranspose,
}
paddings = st.sampled_from(["valid", "same"])
seeds = st.integers(0, 2**32 - 1)


@st.composite
def geometries(draw, *, both_steps=False):
    """Sizes, kernel, stride and dilation, one for each of 1 to 3 axes."""
    rank = draw(st.integers(1, 3))
    largest = {1: 12, 2: 7, 3: 5}[rank]

    def each(low, high):
        return tuple(draw(st.integers(low, high)) for _ in range(rank))

    sizes, kernel = each(1, largest), each(1, 4)
    stride, dilation = each(1, 3), each(1, 3)
    if not both_steps:  # Keras allows one of the two
        if draw(st.booleans()):
            stride = (1,) * rank
        else:
            dilation = (1,) * rank
    return sizes, kernel, stride, dilation


def extents(kernel, dilation):
    return [(k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True)]


def fits(sizes, kernel, dilation, padding):
    spans = extents(kernel, dilation)
    return padding == "same" or all(n >= e for n, e in zip(sizes, spans, strict=True))


def strided_to_one(outputs, stride):
    """Tell where TensorFlow 2.21 is wrong on CPU: a strided axis with one output.

    Example: sizes (4, 4), kernel (1, 3), stride (1, 3), "valid". Found here; JAX
    agrees with the definition, and so these cases are tested on JAX alone.
    """
    return any(n == 1 and s > 1 for n, s in zip(outputs, stride, strict=True))


def test_a_convolution_by_hand():
    # rows (1 2 3), (4 5 6), (7 8 9) with the kernel (1 0), (0 -1): each output is
    # the voxel minus the one below and to the right: 1 - 5, 2 - 6, 4 - 8, 5 - 9
    x = np.arange(1, 10).reshape(1, 3, 3, 1)
    kernel = np.array([[1, 0], [0, -1]]).reshape(2, 2, 1, 1)
    np.testing.assert_array_equal(
        convolve(x, kernel, [10.0])[0, ..., 0], [[6, 6], [6, 6]]
    )


def test_a_transposed_convolution_by_hand():
    # 2 and 3 write (2 4 6) at 0 and (3 6 9) at 2: they add up where they overlap
    y = convolve_transposed(
        np.reshape([2, 3], (1, 2, 1)), np.reshape([1, 2, 3], (3, 1, 1)), stride=2
    )
    np.testing.assert_array_equal(y[0, :, 0], [2, 4, 9, 6, 9])


def test_channels_are_summed_by_hand():
    # filter 0 adds both channels, filter 1 takes the second away from the first
    kernel = np.array([[[1, 1], [1, -1]]])  # (1, channels, filters)
    y = convolve(np.array([[[5, 3]]]), kernel)
    np.testing.assert_array_equal(y, [[[8, 2]]])


@settings(max_examples=EXAMPLES)
@given(geometries(), paddings, st.integers(1, 3), st.integers(1, 3), seeds)
def test_convolution_is_that_of_keras(geometry, padding, channels, filters, seed):
    sizes, kernel, stride, dilation = geometry
    assume(fits(sizes, kernel, dilation, padding))
    x, w, b = arrays(
        seed, (2, *sizes, channels), (*kernel, channels, filters), (filters,)
    )
    layer = CONV[len(sizes)](
        filters, kernel, strides=stride, padding=padding, dilation_rate=dilation
    )
    ours = convolve(x, w, b, stride=stride, padding=padding, dilation=dilation)
    assume(BACKEND != "tensorflow" or not strided_to_one(ours.shape[1:-1], stride))
    expected = run(loaded(layer, x.shape, w, b), x)
    np.testing.assert_allclose(ours, expected, rtol=1e-4, atol=1e-4)


@settings(max_examples=EXAMPLES)
@given(
    geometries(),
    paddings,
    st.one_of(st.none(), st.integers(0, 2)),
    st.integers(1, 3),
    st.integers(1, 3),
    seeds,
)
def test_transposed_convolution_is_that_of_keras(
    geometry, padding, output_padding, channels, filters, seed
):
    sizes, kernel, stride, dilation = geometry
    rank, spans = len(sizes), extents(kernel, dilation)
    if output_padding is not None:
        # Keras asks for less than the stride; and "same" of an even kernel without
        # output padding would go back to a size that convolves to one voxel less
        assume(all(output_padding < s for s in stride))
        assume(padding == "valid" or output_padding or all(span % 2 for span in spans))
    x, w, b = arrays(
        seed, (2, *sizes, channels), (*kernel, filters, channels), (filters,)
    )
    layer = TRANSPOSED[rank](
        filters,
        kernel,
        strides=stride,
        padding=padding,
        dilation_rate=dilation,
        output_padding=output_padding,
    )
    expected = run(loaded(layer, x.shape, w, b), x)
    ours = convolve_transposed(
        x,
        w,
        b,
        stride=stride,
        padding=padding,
        dilation=dilation,
        output_padding=output_padding,
    )
    np.testing.assert_allclose(ours, expected, rtol=1e-4, atol=1e-4)


@given(geometries(both_steps=True), paddings, seeds)
def test_the_transpose_is_the_adjoint(geometry, padding, seed):
    # <conv(a), b> = <a, convT(b)>, when convT goes back to the size of a
    sizes, kernel, stride, dilation = geometry
    assume(fits(sizes, kernel, dilation, padding))
    a, w = arrays(seed, (1, *sizes, 2), (*kernel, 2, 3))
    forward = convolve(a, w, stride=stride, padding=padding, dilation=dilation)
    smallest = [
        transposed_size(n, k, stride=s, padding=padding, dilation=d, output_padding=0)
        for n, k, s, d in zip(forward.shape[1:], kernel, stride, dilation, strict=False)
    ]
    missing = {n - m for n, m in zip(sizes, smallest, strict=True)}
    assume(len(missing) == 1)  # one output padding for all axes
    (b,) = arrays(seed + 1, forward.shape)
    back = convolve_transposed(
        b,
        w,
        stride=stride,
        padding=padding,
        dilation=dilation,
        output_padding=missing.pop(),
    )
    assert back.shape == a.shape
    np.testing.assert_allclose(np.vdot(forward, b), np.vdot(a, back), atol=1e-9)


@given(geometries(both_steps=True), st.floats(-3, 3), seeds)
def test_convolution_is_linear(geometry, factor, seed):
    sizes, kernel, stride, dilation = geometry
    a, b, w = arrays(seed, (1, *sizes, 2), (1, *sizes, 2), (*kernel, 2, 1))

    def conv(x):
        return convolve(x, w, stride=stride, padding="same", dilation=dilation)

    np.testing.assert_allclose(
        conv(a + factor * b.astype(float)), conv(a) + factor * conv(b), atol=1e-5
    )


@given(geometries(both_steps=True), st.integers(1, 3), seeds)
def test_a_shifted_input_gives_a_shifted_output(geometry, places, seed):
    # moving the input by places * stride moves the output by `places`, inside
    sizes, kernel, stride, dilation = geometry
    rank, shift = len(sizes), places * stride[0]
    bigger = [
        n + e + shift for n, e in zip(sizes, extents(kernel, dilation), strict=True)
    ]
    x, w = arrays(seed, (1, *bigger, 1), (*kernel, 1, 1))
    whole = convolve(x, w, stride=stride, dilation=dilation)
    moved = convolve(x[:, shift:], w, stride=stride, dilation=dilation)
    assert moved.ndim == rank + 2
    np.testing.assert_allclose(moved, whole[:, places:][:, : moved.shape[1]])


@given(st.integers(1, 40), st.integers(1, 7), st.integers(1, 5), st.integers(1, 4))
def test_same_gives_the_size_over_the_stride(size, kernel, stride, dilation):
    before, after = same_padding(size, kernel, stride, dilation)
    extent = (kernel - 1) * dilation + 1
    assert 0 <= after - before <= 1
    assert (size + before + after - extent) // stride + 1 == -(-size // stride)


def test_padding_has_two_names():
    with pytest.raises(InputError, match="'valid' or 'same'; got 'full'"):
        convolve(np.zeros((1, 3, 1)), np.zeros((1, 1, 1)), padding="full")


def test_a_kernel_for_other_channels_is_refused():
    with pytest.raises(InputError, match="is not for input"):
        convolve(np.zeros((1, 3, 2)), np.zeros((1, 3, 1)))
    with pytest.raises(InputError, match="swapped when transposed"):
        convolve_transposed(np.zeros((1, 3, 2)), np.zeros((1, 2, 3)))


def test_a_kernel_larger_than_the_input_is_refused():
    with pytest.raises(InputError, match="spans 5 voxels does not fit into 4"):
        convolve(np.zeros((1, 4, 1)), np.zeros((3, 1, 1)), dilation=2)
