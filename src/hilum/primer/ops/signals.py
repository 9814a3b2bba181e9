"""Convolution of two signals as mathematics has it: one is flipped.

Networks leave the flip out (see `convolution`): their kernels are learnt, and a
flipped kernel is learnt as easily. In one dimension the difference can be seen.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.float64]


def slide(x: ArrayLike, kernel: ArrayLike, *, flip: bool = True) -> FloatArray:
    """Slide one signal over another, from the first touch to the last.

    With the flip y[n] = sum_k x[n - k] kernel[k], the convolution; without it
    y[n] = sum_k x[n - (m - 1) + k] kernel[k] with m = len(kernel), the
    cross-correlation, which is what networks compute.

    Args:
        x: (n,).
        kernel: (m,).
        flip: Whether to flip the kernel.

    Returns:
        (n + m - 1,).

    Example:
        >>> slide([1, 1, 1], [1, 1, 1]).tolist()  # two pulses: a triangle
        [1.0, 2.0, 3.0, 2.0, 1.0]
        >>> slide([0, 1, 0], [1, 2, 3]).tolist()
        [0.0, 1.0, 2.0, 3.0, 0.0]
        >>> slide([0, 1, 0], [1, 2, 3], flip=False).tolist()
        [0.0, 3.0, 2.0, 1.0, 0.0]
    """
    x, kernel = np.asarray(x, np.float64), np.asarray(kernel, np.float64)
    weights = kernel if flip else kernel[::-1]
    y = np.zeros(len(x) + len(weights) - 1)
    for k, weight in enumerate(weights):
        y[k : k + len(x)] += weight * x
    return y
