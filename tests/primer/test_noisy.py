"""Noisy activations: by hand, for given noise, and on average.

The Keras layers of the same names are compared with these in tests/nn.
"""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hilum.errors import InputError
from hilum.primer import ops as primer

numbers = st.floats(-9, 9)
HARD = ["hard_tanh", "hard_sigmoid"]


def average(function, x, draws=400_000):
    """Mean and its standard error over noise from N(0, 1)."""
    noise = np.random.default_rng(7).normal(size=draws)
    values = function(np.full(draws, x), noise)
    return values.mean(), values.std() / math.sqrt(draws)


def slope_of(function, x, h=1e-6):
    return (function(x + h) - function(x - h)) / (2 * h)


def test_rrelu_by_hand():
    # x / a below zero: -8 / 4, and untouched above
    np.testing.assert_array_equal(primer.rrelu([-8.0, 8.0], [4.0, 4.0]), [-2, 8])
    # inference divides by the mean of U(3, 8): -11 / 5.5
    np.testing.assert_array_equal(primer.rrelu([-11.0]), [-2])


def test_rrelu_on_average():
    # E[1/a] = ln(8/3) / 5 = 0.19617; the paper's inference takes 1/5.5 = 0.18182;
    # the slopes of U(1/8, 1/3), as PyTorch draws them, have mean 0.22917
    expected = primer.rrelu_expected([-1.0])[0]
    np.testing.assert_allclose(expected, -math.log(8 / 3) / 5)
    divisors = np.random.default_rng(1).uniform(3, 8, size=400_000)
    np.testing.assert_allclose(
        primer.rrelu(np.full(400_000, -1.0), divisors).mean(), expected, rtol=1e-3
    )
    assert expected < primer.rrelu([-1.0])[0]  # never the other way: Jensen
    np.testing.assert_allclose(primer.rrelu_expected([-6.0], 3, 3), [-2])


@given(numbers, st.floats(1.1, 100))
def test_rrelu_with_a_fixed_divisor_is_leaky_relu(x, a):
    np.testing.assert_allclose(primer.rrelu(x, a), primer.leaky_relu(x, 1 / a))
    assert primer.rrelu_derivative(x, a) == primer.leaky_relu_derivative(x, 1 / a)


@given(numbers)
def test_no_noise_is_relu(x):
    np.testing.assert_array_equal(primer.noisy_relu(x, 0.0), primer.relu(x))


def test_noisy_relu_by_hand():
    # sigmoid(0) = 1/2: 0 + sqrt(1/2) * 2 = 1.41421; and 0.1 * -3 + 1 = 0.7
    np.testing.assert_allclose(primer.noisy_relu(0.0, 2.0), math.sqrt(2))
    np.testing.assert_allclose(primer.noisy_relu(1.0, -3.0, 0.1), 0.7)
    # at 0, E = deviation * phi(0) = sqrt(1/2) / sqrt(2 pi) = 0.28209
    np.testing.assert_allclose(primer.noisy_relu_expected(0.0), 0.28209, atol=1e-5)


@pytest.mark.parametrize("x", [-1.0, -0.5, 0.0, 0.7, 2.0])
@pytest.mark.parametrize("stddev", [None, 0.5])
def test_noisy_relu_on_average(x, stddev):
    mean, error = average(lambda x, noise: primer.noisy_relu(x, noise, stddev), x)
    expected = primer.noisy_relu_expected(x, stddev)
    assert abs(mean - expected) < 4 * error
    assert expected > primer.relu(x)


@given(numbers, st.floats(-3, 3), st.sampled_from([None, 0.4]))
def test_the_derivative_of_noisy_relu(x, noise, stddev):
    if abs(primer.noisy_relu(x, noise, stddev)) < 1e-3:
        return  # at the kink
    np.testing.assert_allclose(
        primer.noisy_relu_derivative(x, noise, stddev),
        slope_of(lambda x: primer.noisy_relu(x, noise, stddev), x),
        atol=1e-6,
    )


def test_noisy_hard_tanh_by_hand():
    # x = 3: h = 1, u = 3, delta = -2; p = 1: sigmoid(-2) - 1/2 = -0.3807971,
    # squared 0.1450064, sigma = 0.5 * 0.1450064 = 0.0725032;
    # alpha 1.15: d = -sign(3) sign(-0.15) = 1;
    # y = 1.15 * 1 - 0.15 * 3 + 0.0725032 * 2 = 0.7 + 0.1450064
    y = primer.noisy_activation(3.0, 2.0)
    np.testing.assert_allclose(y, 0.8450064, atol=1e-7)
    # alpha 0.9: d = -1; y = 0.9 + 0.1 * 3 - 0.1450064
    y = primer.noisy_activation(3.0, 2.0, alpha=0.9)
    np.testing.assert_allclose(y, 1.0549936, atol=1e-7)


def test_noisy_hard_sigmoid_by_hand():
    # x = -6: h = 0, u = -1, delta = 1; p = 2: sigmoid(2) - 1/2 = 0.3807971,
    # sigma = 0.15 * 0.1450064 = 0.02175096; alpha 1.1: d = -(-1)(-1) = -1;
    # y = 1.1 * 0 - 0.1 * -1 - 0.02175096
    y = primer.noisy_activation(
        -6.0, 1.0, activation="hard_sigmoid", p=2.0, alpha=1.1, scale=0.15
    )
    np.testing.assert_allclose(y, 0.07824904, atol=1e-8)


@given(st.floats(-0.999, 0.999), st.floats(-3, 3), st.floats(0.5, 1.5))
def test_there_is_no_noise_before_saturation(x, noise, alpha):
    np.testing.assert_allclose(
        primer.noisy_activation(x, noise, alpha=alpha), x, atol=1e-15
    )


@given(st.floats(1.01, 6), st.floats(0.01, 3), st.floats(0.1, 3))
def test_noise_grows_with_the_distance_into_saturation(x, further, p):
    def deviation(x):
        quiet, loud = (primer.noisy_activation(x, n, p=p) for n in (0.0, 1.0))
        return abs(loud - quiet)

    assert deviation(x) < deviation(x + further) < 0.5 / 4


@given(st.floats(1.01, 6), st.floats(0.01, 3))
def test_half_normal_noise_points_as_alpha_says(x, noise):
    # above 1 outwards, after the output has bent back; up to 1 inwards
    for alpha, sign in ((1.15, 1), (1.0, -1), (0.9, -1)):
        for side in (1, -1):
            moved = primer.noisy_activation(side * x, noise, alpha=alpha)
            quiet = primer.noisy_activation(side * x, 0.0, alpha=alpha)
            assert np.sign(moved - quiet) == sign * side


@pytest.mark.parametrize("activation", HARD)
@given(numbers, st.floats(-3, 3), st.floats(-2, 2), st.sampled_from([0.9, 1.0, 1.15]))
def test_the_derivatives_of_a_noisy_activation(activation, x, noise, p, alpha):
    corner = 1 if activation == "hard_tanh" else 2
    if abs(abs(x) - corner) < 1e-3:
        return
    options = {"activation": activation, "alpha": alpha}
    by_x, by_p = primer.noisy_activation_derivatives(x, noise, p=p, **options)
    np.testing.assert_allclose(
        by_x,
        slope_of(lambda x: primer.noisy_activation(x, noise, p=p, **options), x),
        atol=1e-6,
    )
    np.testing.assert_allclose(
        by_p,
        slope_of(lambda p: primer.noisy_activation(x, noise, p=p, **options), p),
        atol=1e-6,
    )


def test_saturation_no_longer_stops_the_gradient():
    assert primer.hard_tanh_derivative(2.0) == 0
    assert abs(primer.noisy_activation_derivatives(2.0, 1.0)[0]) > 0.01


@pytest.mark.parametrize("activation", HARD)
@pytest.mark.parametrize("half_normal", [True, False])
def test_a_noisy_activation_on_average(activation, half_normal):
    def noisy(x, noise):
        noise = np.abs(noise) if half_normal else noise
        return primer.noisy_activation(x, noise, activation=activation)

    mean, error = average(noisy, 5.0)
    expected = primer.noisy_activation_expected(
        5.0, activation=activation, half_normal=half_normal
    )
    assert error > 0
    assert abs(mean - expected) < 4 * error


def test_only_hard_activations_have_a_corner():
    with pytest.raises(InputError, match="'hard_tanh' or 'hard_sigmoid'; got 'tanh'"):
        primer.noisy_activation(0.0, 0.0, activation="tanh")
