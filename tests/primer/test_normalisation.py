"""Batch normalisation, in training and in inference, against Keras."""

import keras
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from keras_reference import EXAMPLES, arrays, loaded, run

from hilum.primer.ops import batch_norm, batch_norm_training, convolve

seeds = st.integers(0, 2**32 - 1)
shapes = st.lists(st.integers(1, 4), min_size=0, max_size=3).map(
    lambda sizes: (3, *sizes, 2)
)


def parameters(seed):
    gamma, beta, mean, variance = arrays(seed, (2,), (2,), (2,), (2,))
    return gamma, beta, mean, np.abs(variance) + 0.1


def test_training_by_hand():
    # 1 and 5: mean 3, variance 4; (1 - 3) / 2 = -1; moving: 0.9 * 10 + 0.1 * 3
    y, (mean, variance) = batch_norm_training(
        [[1.0], [5.0]], ([10.0], [20.0]), 2.0, 7.0, momentum=0.9, epsilon=0.0
    )
    np.testing.assert_allclose(y, [[5], [9]])
    np.testing.assert_allclose(mean, [9.3])
    np.testing.assert_allclose(variance, [18.4])  # 0.9 * 20 + 0.1 * 4


@settings(max_examples=EXAMPLES)
@given(shapes, st.floats(0, 1), st.floats(1e-5, 0.1), seeds)
def test_training_is_that_of_keras(shape, momentum, epsilon, seed):
    (x,) = arrays(seed, shape)
    gamma, beta, mean, variance = parameters(seed)
    layer = keras.layers.BatchNormalization(momentum=momentum, epsilon=epsilon)
    loaded(layer, shape, gamma, beta, mean, variance)
    y, moved = batch_norm_training(
        x, (mean, variance), gamma, beta, momentum=momentum, epsilon=epsilon
    )
    expected = run(layer, x, training=True)
    np.testing.assert_allclose(y, expected, rtol=1e-3, atol=1e-3)
    theirs = (layer.moving_mean, layer.moving_variance)
    for ours, variable in zip(moved, theirs, strict=True):
        np.testing.assert_allclose(
            ours, keras.ops.convert_to_numpy(variable.value), rtol=1e-4, atol=1e-5
        )


@settings(max_examples=EXAMPLES)
@given(shapes, seeds)
def test_inference_is_that_of_keras(shape, seed):
    (x,) = arrays(seed, shape)
    gamma, beta, mean, variance = parameters(seed)
    layer = loaded(
        keras.layers.BatchNormalization(), shape, gamma, beta, mean, variance
    )
    np.testing.assert_allclose(
        batch_norm(x, mean, variance, gamma, beta), run(layer, x), rtol=1e-4, atol=1e-4
    )


@given(seeds, st.floats(0.1, 10), st.floats(-100, 100))
def test_training_does_not_see_scale_and_shift(seed, scale, shift):
    (x,) = arrays(seed, (8, 2))
    plain, _ = batch_norm_training(x, ([0, 0], [1, 1]), epsilon=0.0)
    moved, _ = batch_norm_training(scale * x + shift, ([0, 0], [1, 1]), epsilon=0.0)
    np.testing.assert_allclose(plain, moved, rtol=1e-2, atol=1e-3)
    np.testing.assert_allclose(plain.mean(axis=0), 0, atol=1e-9)
    np.testing.assert_allclose(plain.std(axis=0), 1)


@given(seeds)
def test_inference_folds_into_the_convolution_before(seed):
    x, kernel, bias = arrays(seed, (1, 5, 5, 3), (3, 3, 3, 2), (2,))
    gamma, beta, mean, variance = parameters(seed)
    apart = batch_norm(convolve(x, kernel, bias), mean, variance, gamma, beta)
    scale = gamma / np.sqrt(variance.astype(float) + 1e-3)
    folded = convolve(x, kernel * scale, (bias - mean) * scale + beta)
    np.testing.assert_allclose(apart, folded, rtol=1e-4, atol=1e-4)
