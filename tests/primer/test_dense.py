"""Dense layers, softmax, the HU window and squeeze-and-excitation."""

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from keras_reference import EXAMPLES, arrays, gradient, loaded, run

from hilum.errors import InputError
from hilum.primer.ops import (
    dense,
    hu_window,
    softmax,
    softmax_derivative,
    squeeze_excite,
)

seeds = st.integers(0, 2**32 - 1)
scores = hnp.arrays(
    "float64", st.integers(1, 6), elements=st.floats(-20, 20, allow_subnormal=False)
)


@settings(max_examples=EXAMPLES)
@given(st.lists(st.integers(1, 4), max_size=2), st.integers(1, 6), seeds)
def test_dense_is_that_of_keras(leading, units, seed):
    shape = (2, *leading, 3)
    x, kernel, bias = arrays(seed, shape, (3, units), (units,))
    layer = loaded(keras.layers.Dense(units), shape, kernel, bias)
    np.testing.assert_allclose(
        dense(x, kernel, bias), run(layer, x), rtol=1e-5, atol=1e-5
    )


def test_softmax_by_hand():
    # odds 1 : 3, and at temperature 1/2 their squares 1 : 9
    np.testing.assert_allclose(softmax(np.log([1, 3])), [0.25, 0.75])
    np.testing.assert_allclose(softmax(np.log([1, 3]), 0.5), [0.1, 0.9])


@settings(max_examples=EXAMPLES)
@given(scores.filter(lambda x: len(x) > 1), st.floats(0.2, 5))
def test_softmax_is_that_of_keras(x, temperature):
    scaled = (x / temperature).astype("float32")
    np.testing.assert_allclose(
        softmax(x, temperature), run(keras.layers.Softmax(), scaled[None])[0], atol=1e-5
    )


@given(scores, st.floats(-1000, 1000), st.floats(0.2, 5))
def test_softmax_sees_differences_alone(x, shift, temperature):
    p = softmax(x, temperature)
    np.testing.assert_allclose(p.sum(), 1)
    np.testing.assert_allclose(softmax(x + shift, temperature), p, atol=1e-9)


@given(scores, st.floats(1, 50))
def test_heat_never_raises_the_largest_probability(x, temperature):
    hot = softmax(x, temperature)
    assert hot.max() <= softmax(x).max() + 1e-12
    assert 1 / len(x) <= hot.max() + 1e-12


@given(scores, st.floats(0.5, 3))
def test_the_derivative_of_softmax(x, temperature):
    jacobian = softmax_derivative(x, temperature)
    step = 1e-6 * np.eye(len(x))
    differences = [
        (softmax(x + h, temperature) - softmax(x - h, temperature)) / 2e-6 for h in step
    ]
    np.testing.assert_allclose(jacobian, np.transpose(differences), atol=1e-6)
    np.testing.assert_allclose(jacobian.sum(axis=-1), 0, atol=1e-12)


def test_the_derivative_of_softmax_is_that_of_the_backend():
    x = np.array([0.3, -1.0, 2.0])
    for index, row in enumerate(softmax_derivative(x)):
        theirs = gradient(lambda x, i=index: keras.ops.softmax(x)[i], x)
        np.testing.assert_allclose(row, theirs, atol=1e-6)


@pytest.mark.parametrize("bad", [0, -1, float("nan")])
def test_a_temperature_is_positive(bad):
    with pytest.raises(InputError, match="must be > 0; got"):
        softmax([1.0], bad)


def test_a_window_by_hand():
    # lung window: -1350 is black, -600 the middle, 150 white
    np.testing.assert_allclose(
        hu_window([-2000, -1350, -600, -225, 150, 3000]), [0, 0, 0.5, 0.75, 1, 1]
    )


def test_excitation_by_hand():
    # means 2 and 0; squeeze adds them: relu(2) = 2; excite: gates sigmoid(0) = 0.5
    # and sigmoid(2 * 2 - 4) = 0.5, then sigmoid(2 * 2 - 4 + 100) = 1 for a shift
    x = np.array([[[1.0, -1.0], [3.0, 1.0]]])
    squeeze = ([[1.0], [1.0]], [0.0])
    y = squeeze_excite(x, squeeze, ([[0.0, 2.0]], [0.0, -4.0]))
    np.testing.assert_allclose(y, x / 2)
    y = squeeze_excite(x, squeeze, ([[0.0, 2.0]], [0.0, 96.0]))
    np.testing.assert_allclose(y, x * [0.5, 1.0])
