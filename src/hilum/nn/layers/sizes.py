"""Sizes that are known only when the network runs: asking for them, cutting to them."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops


def size_along(x: Any, axis: int) -> Any:
    """Read one size of a tensor: a number where it is known, or else a tensor.

    One line along the axis is asked, as it has no other open size: all sizes of
    `x` that nothing uses would become outputs of the exported network.
    """
    if x.shape[axis] is not None:
        return x.shape[axis]
    line = x[(0,) * axis + (slice(None),) + (0,) * (len(x.shape) - axis - 1)]
    return ops.shape(line)[0]


@keras.saving.register_keras_serializable(package="hilum")
class CropLike(keras.layers.Layer):  # type: ignore[misc]
    """Cut the end off a tensor, so that it is as large as another.

    What is halved and doubled again is one voxel longer where the size was odd;
    this takes that voxel away, so that a U-Net can work on any size.

    Args:
        **kwargs: Base layer arguments, such as `name` and `dtype`.

    Input shape:
        Two tensors, `(batch, *spatial, channels)` each; the first at least as large
        as the second along each spatial axis.

    Output shape:
        The first with the spatial sizes of the second.

    Example:
        >>> y = CropLike()([ops.ones((1, 4, 6, 8)), ops.ones((1, 3, 6, 5))])
        >>> tuple(y.shape)
        (1, 3, 6, 8)
    """

    def call(self, inputs: Any) -> Any:
        x, like = inputs
        axes = range(1, len(x.shape) - 1)
        return x[(slice(None), *[slice(size_along(like, axis)) for axis in axes])]

    def compute_output_shape(self, input_shape: Any) -> Any:
        (batch, *_, channels), (_, *sizes, _) = input_shape
        return (batch, *sizes, channels)
