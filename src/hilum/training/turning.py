"""Turning and sampling volumes for training."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from hilum.space import FloatArray

Float32Array = npt.NDArray[np.float32]


def rotation(radians: float, axis: int) -> FloatArray:
    """Give the matrix that turns points about one axis.

    Args:
        radians: From the one of the other axes with the lower number to the other.
        axis: 0 to 2, of the points.

    Returns:
        (3, 3).

    Example:
        >>> (rotation(math.pi / 2, 0) @ [5, 1, 0]).round()
        array([5., 0., 1.])
    """
    a, b = (n for n in range(3) if n != axis)
    turn = np.eye(3)
    turn[a, a] = turn[b, b] = math.cos(radians)
    turn[a, b], turn[b, a] = -math.sin(radians), math.sin(radians)
    return turn


def resampled(
    values: npt.NDArray[Any],
    matrix: FloatArray,
    first: FloatArray,
    shape: Sequence[int],
    *,
    mode: Literal["constant", "nearest"],
) -> Float32Array:
    """Sample a volume on another grid, linearly.

    Args:
        values: (slice, row, column).
        matrix: From steps on the other grid to steps on this one, in voxels.
        first: Where the other grid's first voxel lies on this one.
        shape: Of the other grid.
        mode: What is outside: "constant", 0; "nearest", the voxel at the edge.
    """
    from scipy import ndimage  # noqa: PLC0415  slow to import

    found: Float32Array = ndimage.affine_transform(
        values,
        matrix,
        first,
        output_shape=tuple(shape),
        output=np.float32,
        order=1,
        mode=mode,
    )
    return found
