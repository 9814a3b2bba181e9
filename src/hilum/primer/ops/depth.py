"""What a deep stack of layers does to the gradient, layer by layer."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hilum.primer.ops.dense import dense

FloatArray = NDArray[np.float64]
Function = Callable[[FloatArray], FloatArray]


def gradient_by_depth(
    x: ArrayLike, kernels: ArrayLike, activation: Function, derivative: Function
) -> tuple[FloatArray, FloatArray]:
    """Run a stack forward, then the gradient of the sum of its outputs back.

    Forward z = a @ W, a = activation(z). Backward, from the last layer to the first:
    g = (g * derivative(z)) @ W.T. Every layer multiplies by a derivative, and so a
    stack of layers whose derivative is below 1 makes the gradient vanish.

    Args:
        x: (batch, units).
        kernels: (layers, units, units), without bias.
        activation: Of each layer.
        derivative: Its derivative.

    Returns:
        (layers,) spread of the outputs of each layer (standard deviation), and
        (layers,) norm of the gradient by the inputs of each layer, per row of x.
    """
    a, kernels, kept = np.asarray(x, np.float64), np.asarray(kernels, np.float64), []
    spreads, norms = [], []
    for kernel in kernels:
        z = dense(a, kernel)
        a = activation(z)
        kept.append(z)
        spreads.append(a.std())
    g = np.ones_like(a)
    for kernel, z in zip(kernels[::-1], kept[::-1], strict=True):
        g = dense(g * derivative(z), kernel.T)
        norms.append(np.sqrt((g**2).sum() / len(g)))
    return np.array(spreads), np.array(norms[::-1])
