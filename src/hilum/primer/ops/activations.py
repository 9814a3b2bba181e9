"""Activations without chance, each with its derivative.

At a kink the derivative is that of one of the two sides: 0 for ReLU at 0, as in
TensorFlow and JAX.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.float64]

SELU_ALPHA = 1.6732632423543772
SELU_SCALE = 1.0507009873554805
"""They keep mean 0 and variance 1 from layer to layer (arXiv:1706.02515)."""


def sigmoid(x: ArrayLike) -> FloatArray:
    """Squash to (0, 1): 1 / (1 + exp(-x)).

    Written with exp(-|x|), which never overflows.

    Example:
        >>> sigmoid([0.0, 1000.0]).tolist()
        [0.5, 1.0]
    """
    x = np.asarray(x, np.float64)
    small = np.exp(-np.abs(x))
    return np.asarray(np.where(x >= 0, 1.0, small) / (1 + small), np.float64)


def sigmoid_derivative(x: ArrayLike) -> FloatArray:
    """Give s (1 - s): at most 1/4, and almost 0 beyond |x| = 5. It saturates.

    Example:
        >>> sigmoid_derivative([0.0]).tolist()
        [0.25]
    """
    return sigmoid(x) * sigmoid(-np.asarray(x, np.float64))


def tanh(x: ArrayLike) -> FloatArray:
    """Squash to (-1, 1), centred on 0: 2 sigmoid(2x) - 1."""
    return np.tanh(np.asarray(x, np.float64))


def tanh_derivative(x: ArrayLike) -> FloatArray:
    """1 - tanh(x)^2: at most 1. It saturates, too."""
    return 1 - tanh(x) ** 2


def relu(x: ArrayLike) -> FloatArray:
    """Keep what is positive: max(0, x)."""
    return np.maximum(np.asarray(x, np.float64), 0)


def relu_derivative(x: ArrayLike) -> FloatArray:
    """1 where x > 0, else 0: a unit that is never positive never learns."""
    return np.where(np.asarray(x, np.float64) > 0, 1.0, 0.0)


def leaky_relu(x: ArrayLike, slope: float = 0.01) -> FloatArray:
    """Let a little through below 0: x, or slope * x.

    Maas et al. 2013 took slope 0.01. Xu et al. write x / a with a in (1, inf), so
    that slope = 1 / a: a = 100 is the usual one, a = 5.5 the "very leaky" one.
    """
    return prelu(x, slope)


def leaky_relu_derivative(x: ArrayLike, slope: float = 0.01) -> FloatArray:
    """1 where x > 0, else the slope."""
    return prelu_derivatives(x, slope)[0]


def prelu(x: ArrayLike, alpha: ArrayLike) -> FloatArray:
    """Learn the leak: x, or alpha * x with alpha learnt (He et al. 2015).

    Args:
        x: Any shape.
        alpha: Slopes below 0, broadcast against x: (channels,) for one a channel.

    Source:
        He et al., "Delving Deep into Rectifiers", arXiv:1502.01852.
    """
    x = np.asarray(x, np.float64)
    negative = np.asarray(alpha, np.float64) * np.minimum(x, 0)
    return np.asarray(np.maximum(x, 0) + negative)


def prelu_derivatives(x: ArrayLike, alpha: ArrayLike) -> tuple[FloatArray, FloatArray]:
    """By x: 1 or alpha. By alpha, elementwise: 0 or x."""
    x = np.asarray(x, np.float64)
    by_x = np.where(x > 0, 1.0, np.asarray(alpha, np.float64))
    return by_x, np.minimum(x, 0)


def elu(x: ArrayLike, alpha: float = 1.0) -> FloatArray:
    """Go smoothly to -alpha: x, or alpha (exp(x) - 1).

    Negative outputs pull the mean towards 0, and so the layer above needs less
    correction of its bias.

    Source:
        Clevert et al., "Fast and Accurate Deep Network Learning by Exponential
        Linear Units", arXiv:1511.07289.
    """
    x = np.asarray(x, np.float64)
    return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))


def elu_derivative(x: ArrayLike, alpha: float = 1.0) -> FloatArray:
    """1, or alpha exp(x), which is elu(x) + alpha."""
    x = np.asarray(x, np.float64)
    return np.where(x > 0, 1.0, alpha * np.exp(np.minimum(x, 0)))


def selu(x: ArrayLike) -> FloatArray:
    """Scale ELU so that mean 0 and variance 1 survive from layer to layer.

    Source:
        Klambauer et al., "Self-Normalizing Neural Networks", arXiv:1706.02515.
    """
    return SELU_SCALE * elu(x, SELU_ALPHA)


def selu_derivative(x: ArrayLike) -> FloatArray:
    """The derivative of ELU, scaled."""
    return SELU_SCALE * elu_derivative(x, SELU_ALPHA)


def softplus(x: ArrayLike) -> FloatArray:
    """Round the corner of ReLU: log(1 + exp(x))."""
    return np.logaddexp(0, np.asarray(x, np.float64))


def softplus_derivative(x: ArrayLike) -> FloatArray:
    """The sigmoid."""
    return sigmoid(x)


def hard_tanh(x: ArrayLike) -> FloatArray:
    """Clip to [-1, 1]: the tangent of tanh at 0, with corners."""
    return np.clip(np.asarray(x, np.float64), -1, 1)


def hard_tanh_derivative(x: ArrayLike) -> FloatArray:
    """1 inside (-1, 1), exactly 0 beyond: saturated for good."""
    return np.where(np.abs(np.asarray(x, np.float64)) < 1, 1.0, 0.0)


def hard_sigmoid(x: ArrayLike) -> FloatArray:
    """Clip x / 4 + 1/2 to [0, 1]: the tangent of the sigmoid at 0, with corners.

    This is the one of Gulcehre et al. 2016; Keras's own has slope 1/6.
    """
    return np.clip(np.asarray(x, np.float64) / 4 + 0.5, 0, 1)


def hard_sigmoid_derivative(x: ArrayLike) -> FloatArray:
    """1/4 inside (-2, 2), exactly 0 beyond."""
    return np.where(np.abs(np.asarray(x, np.float64)) < 2, 0.25, 0.0)
