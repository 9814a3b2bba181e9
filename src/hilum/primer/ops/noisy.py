"""Activations with chance in them; the noise is an argument, so they repeat.

Each comes with its derivative for given noise (what training uses) and with what
it gives on average or in inference.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hilum.errors import InputError
from hilum.primer.ops.activations import (
    hard_sigmoid,
    hard_sigmoid_derivative,
    hard_tanh,
    hard_tanh_derivative,
    sigmoid,
)

FloatArray = NDArray[np.float64]

MEAN_OF_HALF_NORMAL = math.sqrt(2 / math.pi)
"""E|n| for n from N(0, 1)."""


def rrelu(x: ArrayLike, divisor: ArrayLike = 5.5) -> FloatArray:
    """Leak by chance: x, or x / a with a from U(lower, upper) for each element.

    Args:
        x: Any shape.
        divisor: a > 1, of x's shape in training; (lower + upper) / 2 in inference,
            5.5 for the usual U(3, 8).

    Source:
        Xu et al., "Empirical Evaluation of Rectified Activations in Convolutional
        Network", arXiv:1505.00853, section 2.4.

    Example:
        >>> rrelu([-11.0, 4.0]).tolist()
        [-2.0, 4.0]
    """
    x = np.asarray(x, np.float64)
    return np.where(x > 0, x, x / np.asarray(divisor, np.float64))


def rrelu_derivative(x: ArrayLike, divisor: ArrayLike = 5.5) -> FloatArray:
    """1 where x > 0, else 1 / a."""
    return np.where(np.asarray(x) > 0, 1.0, 1 / np.asarray(divisor, np.float64))


def rrelu_expected(x: ArrayLike, lower: float = 3.0, upper: float = 8.0) -> FloatArray:
    """Average over a from U(lower, upper).

    E[1 / a] = ln(upper / lower) / (upper - lower): for U(3, 8) a slope of
    0.196. The paper's inference divides by the mean of a instead, a slope of
    1 / 5.5 = 0.182: a little less than training on average.
    """
    mean = math.log(upper / lower) / (upper - lower) if upper > lower else 1 / lower
    return rrelu(x, 1 / mean)


def noisy_relu(
    x: ArrayLike, noise: ArrayLike, stddev: ArrayLike | None = None
) -> FloatArray:
    """Shake before rectifying: max(0, x + stddev * noise).

    Args:
        x: Any shape.
        noise: From N(0, 1), of x's shape; 0 gives ReLU, the inference.
        stddev: Standard deviation; None takes the paper's, whose square is
            sigmoid(x).

    Source:
        Nair and Hinton, "Rectified Linear Units Improve Restricted Boltzmann
        Machines", ICML 2010, equation 3.
    """
    x = np.asarray(x, np.float64)
    scale = np.sqrt(sigmoid(x)) if stddev is None else np.asarray(stddev)
    return np.asarray(np.maximum(0, x + scale * np.asarray(noise)), np.float64)


def noisy_relu_derivative(
    x: ArrayLike, noise: ArrayLike, stddev: float | None = None
) -> FloatArray:
    """By x, for given noise: the noise grows with x, so it counts as well.

    d sqrt(s) / dx = sqrt(s) (1 - s) / 2 with s = sigmoid(x).
    """
    s = sigmoid(x)
    growth = np.sqrt(s) * (1 - s) / 2 if stddev is None else 0.0
    slope = 1 + growth * np.asarray(noise, np.float64)
    return np.where(noisy_relu(x, noise, stddev) > 0, slope, 0.0)


def noisy_relu_expected(x: ArrayLike, stddev: float | None = None) -> FloatArray:
    """Average over the noise: x Phi(x / s) + s phi(x / s), s the deviation.

    Phi and phi are the normal distribution and density. It is above ReLU
    everywhere, most at 0.
    """
    x = np.asarray(x, np.float64)
    scale = np.sqrt(sigmoid(x)) if stddev is None else np.full(x.shape, stddev)
    z = x / scale
    distribution = np.vectorize(math.erfc)(-z / math.sqrt(2)) / 2
    density = np.exp(-(z**2) / 2) / math.sqrt(2 * math.pi)
    return np.asarray(x * distribution + scale * density, np.float64)


def noisy_activation(
    x: ArrayLike,
    noise: ArrayLike,
    *,
    activation: str = "hard_tanh",
    p: ArrayLike = 1.0,
    alpha: float = 1.15,
    scale: float = 0.5,
) -> FloatArray:
    """Add noise where a hard activation h saturates, and there only.

    u is the line that h clips, delta = h - u what was clipped off (0 inside), and

        y = alpha h + (1 - alpha) u + d * scale * (sigmoid(p delta) - 1/2)^2 * noise

    with d = -sign(x) sign(1 - alpha), and -sign(x) for alpha = 1. Beyond the corner
    h is flat, but y is not: u and the noise let the gradient through.

    Args:
        x: Any shape.
        noise: Of x's shape: |N(0, 1)| (half-normal) or N(0, 1).
        activation: "hard_tanh" or "hard_sigmoid".
        p: Learnt; how fast noise grows with the distance into saturation.
        alpha: Share of h; above 1 the output bends back beyond the corner.
        scale: c of the paper; the deviation of the noise is below scale / 4.

    Source:
        Gulcehre et al., "Noisy Activation Functions", arXiv:1603.00391, section 4
        and algorithm 1.
    """
    h, u, _, _ = _hard(activation, x)
    sigma = scale * (sigmoid(np.asarray(p) * (h - u)) - 0.5) ** 2
    direction = -np.sign(np.asarray(x)) * (np.sign(1 - alpha) or 1.0)
    noise = np.asarray(noise, np.float64)
    return np.asarray(alpha * h + (1 - alpha) * u + direction * sigma * noise)


def noisy_activation_derivatives(
    x: ArrayLike,
    noise: ArrayLike,
    *,
    activation: str = "hard_tanh",
    p: ArrayLike = 1.0,
    alpha: float = 1.15,
    scale: float = 0.5,
) -> tuple[FloatArray, FloatArray]:
    """By x and by p, elementwise, for given noise; arguments as above.

    With g = sigmoid(p delta): d sigma / d(p delta) = 2 scale (g - 1/2) g (1 - g).
    """
    h, u, dh, du = _hard(activation, x)
    p, delta = np.asarray(p, np.float64), h - u
    g = sigmoid(p * delta)
    growth = 2 * scale * (g - 0.5) * g * (1 - g)
    push = -np.sign(np.asarray(x)) * (np.sign(1 - alpha) or 1.0) * np.asarray(noise)
    by_x = alpha * dh + (1 - alpha) * du + push * growth * p * (dh - du)
    return np.asarray(by_x, np.float64), np.asarray(push * growth * delta, np.float64)


def noisy_activation_expected(
    x: ArrayLike,
    *,
    activation: str = "hard_tanh",
    p: ArrayLike = 1.0,
    alpha: float = 1.15,
    scale: float = 0.5,
    half_normal: bool = True,
) -> FloatArray:
    """Average over the noise, and the inference: y is linear in the noise."""
    noise = np.full(np.shape(x), MEAN_OF_HALF_NORMAL if half_normal else 0.0)
    return noisy_activation(
        x, noise, activation=activation, p=p, alpha=alpha, scale=scale
    )


def _hard(
    activation: str, x: ArrayLike
) -> tuple[FloatArray, FloatArray, FloatArray, float]:
    """The hard activation and its line, and the slopes of both."""
    x = np.asarray(x, np.float64)
    if activation == "hard_tanh":
        return hard_tanh(x), x, hard_tanh_derivative(x), 1.0
    if activation == "hard_sigmoid":
        return hard_sigmoid(x), x / 4 + 0.5, hard_sigmoid_derivative(x), 0.25
    raise InputError(
        f"The activation is 'hard_tanh' or 'hard_sigmoid'; got {activation!r}."
    )
