"""What acts on channels and intensities: dense layers, softmax, windows, gates."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hilum.errors import InputError
from hilum.primer.ops.activations import relu, sigmoid

FloatArray = NDArray[np.float64]


def dense(x: ArrayLike, kernel: ArrayLike, bias: ArrayLike = 0.0) -> FloatArray:
    """Weigh and sum: x @ kernel + bias, a fully connected layer.

    Args:
        x: (..., inputs).
        kernel: (inputs, units).
        bias: (units,).

    Example:
        >>> dense([1.0, 2.0], [[3.0], [4.0]], [0.5]).tolist()
        [11.5]
    """
    return np.asarray(np.asarray(x, np.float64) @ np.asarray(kernel) + bias)


def softmax(x: ArrayLike, temperature: float = 1.0) -> FloatArray:
    """Turn scores into probabilities: exp(x / t) / sum exp(x / t), last axis.

    Args:
        x: (..., classes).
        temperature: t > 0. Large t makes all classes alike, small t leaves only the
            largest; dividing by a fitted t calibrates a network.

    Raises:
        InputError: The temperature is not > 0.

    Example:
        >>> softmax(np.log([1.0, 3.0])).round(6).tolist()
        [0.25, 0.75]
    """
    if not temperature > 0:
        raise InputError(f"Temperature must be > 0; got {temperature}.")
    x = np.asarray(x, np.float64) / temperature
    weights = np.exp(x - x.max(axis=-1, keepdims=True))  # the largest becomes exp(0)
    return np.asarray(weights / weights.sum(axis=-1, keepdims=True), np.float64)


def softmax_derivative(x: ArrayLike, temperature: float = 1.0) -> FloatArray:
    """(diag(p) - p p^T) / t: raising one score lowers all other probabilities.

    Returns:
        (..., classes, classes): probability by score.
    """
    p = softmax(x, temperature)
    pairs = p[..., :, None] * p[..., None, :]
    return np.asarray((p[..., :, None] * np.eye(p.shape[-1]) - pairs) / temperature)


def hu_window(
    hu: ArrayLike, level_hu: float = -600.0, width_hu: float = 1500.0
) -> FloatArray:
    """Map a Hounsfield window to [0, 1] and clip what lies beyond.

    Example:
        >>> hu_window([-200.0, 0.0, 300.0], level_hu=0, width_hu=400).tolist()
        [0.0, 0.5, 1.0]
    """
    hu = np.asarray(hu, np.float64)
    return np.clip((hu - level_hu) / width_hu + 0.5, 0, 1)


def squeeze_excite(
    x: ArrayLike,
    squeeze: tuple[ArrayLike, ArrayLike],
    excite: tuple[ArrayLike, ArrayLike],
) -> FloatArray:
    """Weigh channels by what the whole image holds.

    The mean of each channel goes through two dense layers, to a gate in (0, 1) for
    each channel: x * sigmoid(dense(relu(dense(mean(x))))).

    Args:
        x: (batch, *spatial, channels).
        squeeze: Kernel (channels, fewer) and bias of the first layer.
        excite: Kernel (fewer, channels) and bias of the second.

    Source:
        Hu et al., "Squeeze-and-Excitation Networks", arXiv:1709.01507.
    """
    x = np.asarray(x, np.float64)
    means = x.mean(axis=tuple(range(1, x.ndim - 1)), keepdims=True)
    gate = sigmoid(dense(relu(dense(means, *squeeze)), *excite))
    return x * gate
