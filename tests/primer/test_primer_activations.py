"""Activations: against Keras, their laws, and derivatives three ways.

A derivative is checked against finite differences of ours, against the gradient
that the backend computes, and at one point by hand.
"""

import math
from functools import partial

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from keras_reference import EXAMPLES, gradient, run

from hilum.primer import ops as primer

SLOPE = 0.25

# name -> ours, our derivative, Keras's, and the places where there is a kink
PAIRS = {
    "sigmoid": (primer.sigmoid, primer.sigmoid_derivative, keras.ops.sigmoid, []),
    "tanh": (primer.tanh, primer.tanh_derivative, keras.ops.tanh, []),
    "relu": (primer.relu, primer.relu_derivative, keras.layers.ReLU(), [0]),
    "leaky_relu": (
        partial(primer.leaky_relu, slope=SLOPE),
        partial(primer.leaky_relu_derivative, slope=SLOPE),
        keras.layers.LeakyReLU(negative_slope=SLOPE),
        [0],
    ),
    "elu": (
        partial(primer.elu, alpha=1.5),
        partial(primer.elu_derivative, alpha=1.5),
        keras.layers.ELU(alpha=1.5),
        [0],
    ),
    "selu": (primer.selu, primer.selu_derivative, keras.ops.selu, [0]),
    "softplus": (primer.softplus, primer.softplus_derivative, keras.ops.softplus, []),
    "hard_tanh": (
        primer.hard_tanh,
        primer.hard_tanh_derivative,
        keras.ops.hard_tanh,
        [-1, 1],
    ),
    # Keras's own has slope 1/6, so the definition is written out
    "hard_sigmoid": (
        primer.hard_sigmoid,
        primer.hard_sigmoid_derivative,
        lambda x: keras.ops.clip(x / 4 + 0.5, 0, 1),
        [-2, 2],
    ),
}
each = pytest.mark.parametrize("name", PAIRS)
vectors = hnp.arrays(
    "float32", st.integers(1, 20), elements=st.floats(-20, 20, width=32)
)
numbers = st.floats(-15, 15)


def far_from(x, kinks, distance=1e-2):
    """Drop what lies at a kink, where the derivative is a convention."""
    return x[np.all([np.abs(x - kink) > distance for kink in kinks], axis=0)]


def slope_of(function, x, h=1e-5):
    """Central difference."""
    return (function(x + h) - function(x - h)) / (2 * h)


@each
@settings(max_examples=EXAMPLES)
@given(x=vectors)
def test_an_activation_is_that_of_keras(name, x):
    ours, _, keras_side, _ = PAIRS[name]
    np.testing.assert_allclose(ours(x), run(keras_side, x), rtol=1e-5, atol=1e-6)


@each
@given(x=vectors)
def test_a_derivative_is_the_finite_difference(name, x):
    ours, derivative, _, kinks = PAIRS[name]
    x = far_from(x.astype("float64"), kinks)
    np.testing.assert_allclose(derivative(x), slope_of(ours, x), rtol=1e-4, atol=1e-5)


@each
def test_a_derivative_is_the_gradient_of_the_backend(name):
    _, derivative, keras_side, kinks = PAIRS[name]
    x = far_from(np.linspace(-8, 8, 97), kinks)
    np.testing.assert_allclose(
        derivative(x), gradient(keras_side, x), rtol=1e-4, atol=1e-5
    )


def test_relu_at_the_corner_learns_nothing():
    assert primer.relu_derivative(0.0) == 0
    assert gradient(keras.layers.ReLU(), [0.0]) == 0


@given(numbers)
def test_tanh_is_a_sigmoid_stretched(x):
    np.testing.assert_allclose(
        primer.tanh(x), 2 * primer.sigmoid(2 * x) - 1, atol=1e-15
    )


@given(numbers)
def test_sigmoid_and_softplus_of_opposites(x):
    np.testing.assert_allclose(primer.sigmoid(x) + primer.sigmoid(-x), 1)
    np.testing.assert_allclose(primer.softplus(x) - primer.softplus(-x), x, atol=1e-12)


@given(numbers, st.floats(0, 0.99))
def test_the_rectifiers_meet(x, slope):
    np.testing.assert_array_equal(primer.leaky_relu(x, 0.0), primer.relu(x))
    np.testing.assert_allclose(
        primer.leaky_relu(x, slope), np.maximum(x, slope * x), atol=1e-15
    )
    np.testing.assert_array_equal(primer.elu(x, 0.0), primer.relu(x))
    # what ReLU does to x and -x together loses nothing
    np.testing.assert_allclose(primer.relu(x) - primer.relu(-x), x)


@given(st.floats(-30, -5))
def test_saturated_and_non_saturated_differ_far_below_zero(x):
    # 0.0067 = sigmoid'(-5) rounded up; a leak never fades
    assert primer.sigmoid_derivative(x) < 0.0067
    assert primer.tanh_derivative(x) < 2e-4
    assert primer.hard_tanh_derivative(x) == 0
    assert primer.leaky_relu_derivative(x) == 0.01


def test_extremes_stay_finite():
    far = np.array([-1e4, 1e4])
    for ours, derivative, _, _ in PAIRS.values():
        assert np.isfinite(ours(far)).all()
        assert np.isfinite(derivative(far)).all()


def test_selu_keeps_mean_and_variance():
    # its two constants solve E[selu(z)] = 0, E[selu(z)^2] = 1 for normal z
    z = np.linspace(-12, 12, 480_001)
    weight = np.exp(-(z**2) / 2) / math.sqrt(2 * math.pi) * (z[1] - z[0])
    np.testing.assert_allclose(np.sum(primer.selu(z) * weight), 0, atol=1e-6)
    np.testing.assert_allclose(np.sum(primer.selu(z) ** 2 * weight), 1, atol=1e-6)


@settings(max_examples=EXAMPLES)
@given(
    hnp.arrays("float32", (2, 3, 4), elements=st.floats(-9, 9, width=32)),
    hnp.arrays("float32", (4,), elements=st.floats(-1, 1, width=32)),
)
def test_prelu_is_that_of_keras(x, alpha):
    layer = keras.layers.PReLU(shared_axes=[1])
    layer.build(x.shape)
    layer.set_weights([alpha[None]])
    np.testing.assert_allclose(primer.prelu(x, alpha), run(layer, x), atol=1e-5)


def test_prelu_learns_from_what_is_negative():
    x, alpha = np.array([-3.0, -1.0, 2.0]), np.array([0.2, 0.3, 0.4])
    by_x, by_alpha = primer.prelu_derivatives(x, alpha)
    np.testing.assert_array_equal(by_x, [0.2, 0.3, 1.0])
    np.testing.assert_array_equal(by_alpha, [-3.0, -1.0, 0.0])
    np.testing.assert_allclose(by_x, slope_of(lambda x: primer.prelu(x, alpha), x))
    np.testing.assert_allclose(
        by_alpha, slope_of(lambda a: primer.prelu(x, a), alpha), atol=1e-9
    )
