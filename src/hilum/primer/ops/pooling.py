"""Pooling: many voxels become one; and space-to-depth, where none is lost."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hilum.errors import InputError
from hilum.primer.ops.convolution import Steps, is_same, per_axis, same_padding

FloatArray = NDArray[np.float64]


def max_pool(
    x: ArrayLike, size: Steps = 2, stride: Steps | None = None, padding: str = "valid"
) -> FloatArray:
    """Keep the largest value of each window, channel by channel.

    Args:
        x: (batch, *spatial, channels).
        size: Edge of the window, one for all spatial axes or one for each.
        stride: From window to window; None takes the size, so that none overlap.
        padding: "valid" drops an incomplete window, "same" keeps it.

    Returns:
        (batch, *outputs, channels).

    Example:
        >>> max_pool(np.reshape([1, 3, 2, 5, 4], (1, 5, 1)))[0, :, 0].tolist()
        [3.0, 5.0]
    """
    return _pool(np.nanmax, x, size, stride or size, padding)


def average_pool(
    x: ArrayLike, size: Steps = 2, stride: Steps | None = None, padding: str = "valid"
) -> FloatArray:
    """Average each window; padding does not count. Arguments as `max_pool`."""
    return _pool(np.nanmean, x, size, stride or size, padding)


def _pool(
    reduce: Callable[..., FloatArray],
    x: ArrayLike,
    size: Steps,
    stride: Steps,
    padding: str,
) -> FloatArray:
    """Reduce every window; padding is NaN, which `reduce` leaves out."""
    x = np.asarray(x, np.float64)
    sizes, strides = per_axis(size, x.ndim - 2), per_axis(stride, x.ndim - 2)
    if is_same(padding):
        every = zip(x.shape[1:-1], sizes, strides, strict=True)
        sides = [same_padding(*axis) for axis in every]
        x = np.pad(x, [(0, 0), *sides, (0, 0)], constant_values=np.nan)
    outputs = [
        (n - edge) // step + 1
        for n, edge, step in zip(x.shape[1:-1], sizes, strides, strict=True)
    ]
    if min(outputs) < 1:
        raise InputError(
            f"A window of {size} does not fit into {x.shape[1:-1]}. "
            "Pad with padding='same', or use a larger input."
        )
    y = np.empty((len(x), *outputs, x.shape[-1]))
    axes = tuple(range(1, x.ndim - 1))
    for place in np.ndindex(*outputs):
        window = tuple(
            slice(p * step, p * step + edge)
            for p, edge, step in zip(place, sizes, strides, strict=True)
        )
        y[(slice(None), *place)] = reduce(x[(slice(None), *window)], axis=axes)
    return y


def spatial_pyramid_pool(
    x: ArrayLike, levels: Sequence[int] = (1, 2, 4), pooling: str = "max"
) -> FloatArray:
    """Cut any image into the same number of bins, at several scales.

    Bin i of n along an axis of s voxels is floor(i s / n) to ceil((i + 1) s / n):
    never empty, and overlapping where s is not a multiple of n.

    Args:
        x: (batch, *spatial, channels), of any size.
        levels: Bins along each axis, level by level.
        pooling: "max" or "average".

    Returns:
        (batch, bins * channels): by level, then by bin in row order, then by
        channel. With (1, 2, 4) there are 1 + 4 + 16 = 21 bins in 2D and
        1 + 8 + 64 = 73 in 3D.

    Source:
        He et al., "Spatial Pyramid Pooling in Deep Convolutional Networks for
        Visual Recognition", arXiv:1406.4729, section 2.2 and appendix A.
    """
    x = np.asarray(x, np.float64)
    if pooling not in ("max", "average"):
        raise InputError(f"Pooling is 'max' or 'average'; got {pooling!r}.")
    reduce: Callable[..., FloatArray] = np.max if pooling == "max" else np.mean
    axes = tuple(range(1, x.ndim - 1))
    bins = []
    for n in levels:
        for place in np.ndindex(*[n] * len(axes)):
            box = tuple(
                slice(i * s // n, -(-(i + 1) * s // n))
                for i, s in zip(place, x.shape[1:-1], strict=True)
            )
            bins.append(reduce(x[(slice(None), *box)], axis=axes))
    return np.concatenate(bins, axis=-1)


def space_to_depth(x: ArrayLike, block: int = 2) -> FloatArray:
    """Stack the voxels of each block as channels: smaller, deeper, nothing lost.

    Args:
        x: (batch, *spatial, channels), each spatial size a multiple of the block.
        block: Edge of the block.

    Returns:
        (batch, *spatial / block, block^n * channels): by place in the block in row
        order, then by channel.

    Example:
        >>> space_to_depth(np.reshape([1, 2, 3, 4], (1, 4, 1)))[0].tolist()
        [[1.0, 2.0], [3.0, 4.0]]
    """
    x = np.asarray(x, np.float64)
    if any(size % block for size in x.shape[1:-1]):
        raise InputError(
            f"Sizes {x.shape[1:-1]} are not multiples of {block}. Pad the input."
        )
    places = np.ndindex(*[block] * (x.ndim - 2))
    every = [tuple(slice(o, None, block) for o in place) for place in places]
    return np.concatenate([x[(slice(None), *part)] for part in every], axis=-1)
