"""Batch normalisation, in training and in inference.

Source:
    Ioffe and Szegedy, "Batch Normalization: Accelerating Deep Network Training by
    Reducing Internal Covariate Shift", arXiv:1502.03167, algorithms 1 and 2.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.float64]


def batch_norm(
    x: ArrayLike,
    mean: ArrayLike,
    variance: ArrayLike,
    gamma: ArrayLike = 1.0,
    beta: ArrayLike = 0.0,
    epsilon: float = 1e-3,
) -> FloatArray:
    """Normalise each channel by given statistics: the inference.

    gamma (x - mean) / sqrt(variance + epsilon) + beta: with fixed statistics no
    more than a scale and a shift a channel, and so it folds into the convolution
    before it.

    Args:
        x: (batch, *spatial, channels).
        mean: (channels,), as learnt in training.
        variance: (channels,).
        gamma: (channels,), the learnt scale.
        beta: (channels,), the learnt shift.
        epsilon: Keeps a constant channel finite; Keras's default.
    """
    x, mean = np.asarray(x, np.float64), np.asarray(mean, np.float64)
    scale = np.asarray(gamma) / np.sqrt(np.asarray(variance, np.float64) + epsilon)
    return np.asarray((x - mean) * scale + beta, np.float64)


def batch_norm_training(
    x: ArrayLike,
    moving: tuple[ArrayLike, ArrayLike],
    gamma: ArrayLike = 1.0,
    beta: ArrayLike = 0.0,
    *,
    momentum: float = 0.99,
    epsilon: float = 1e-3,
) -> tuple[FloatArray, tuple[FloatArray, FloatArray]]:
    """Normalise each channel by the batch itself, and keep a moving average.

    Args:
        x: (batch, *spatial, channels).
        moving: Moving mean and variance before this batch, (channels,) each.
        gamma: (channels,), the learnt scale.
        beta: (channels,), the learnt shift.
        momentum: What is kept of the moving statistics, as in Keras: new = momentum
            * old + (1 - momentum) * batch. PyTorch's momentum is 1 minus this.
        epsilon: Keeps a constant channel finite.

    Returns:
        The normalised batch, and the moving mean and variance after it. Variance
        divides by n, as in Keras; PyTorch keeps that of n - 1.

    Example:
        >>> y, (mean, variance) = batch_norm_training([[1.0], [3.0]], ([0.0], [1.0]),
        ...     momentum=0.5, epsilon=0.0)
        >>> y.tolist(), mean.tolist(), variance.tolist()
        ([[-1.0], [1.0]], [1.0], [1.0])
    """
    x = np.asarray(x, np.float64)
    axes = tuple(range(x.ndim - 1))
    mean, variance = x.mean(axis=axes), x.var(axis=axes)
    y = batch_norm(x, mean, variance, gamma, beta, epsilon)
    new_mean = momentum * np.asarray(moving[0]) + (1 - momentum) * mean
    new_variance = momentum * np.asarray(moving[1]) + (1 - momentum) * variance
    return y, (new_mean, new_variance)
