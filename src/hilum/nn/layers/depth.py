"""Resolution into channels: a stem that halves the size and loses nothing."""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="hilum")
class SpaceToDepth3D(keras.layers.Layer):  # type: ignore[misc]
    """Stack the voxels of each cubic block as channels.

    A 2 x 2 x 2 block of one channel becomes one voxel of eight: what follows costs
    an eighth, and no voxel is lost. Keras has it in 2D (`keras.ops.space_to_depth`).

    Args:
        block_size: Edge of the block in voxels, >= 1.
        **kwargs: Base layer arguments, such as `name` and `dtype`.

    Input shape:
        `(batch, slice, row, column, channel)`, sizes multiples of the block or None.

    Output shape:
        `(batch, slice / b, row / b, column / b, b^3 * channel)`, by place in the
        block in row order, then by channel.

    Source:
        Shi et al., arXiv:1609.05158, section 2.2 (the inverse, in 2D).

    Example:
        >>> SpaceToDepth3D()(ops.ones((1, 4, 6, 8, 1))).shape[1:] == (2, 3, 4, 8)
        True
    """

    def __init__(self, block_size: int = 2, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if block_size < 1:
            raise ValueError(
                f"`block_size` must be >= 1. Received: block_size={block_size}"
            )
        self.block_size = int(block_size)
        self.input_spec = keras.layers.InputSpec(ndim=5)

    def call(self, x: Any) -> Any:
        *_, depth = self.compute_output_shape(tuple(x.shape))  # refuses odd sizes
        b, channels = self.block_size, x.shape[-1]
        batch, *sizes, _ = ops.shape(x)
        slices, rows, columns = (size // b for size in sizes)
        x = ops.reshape(x, (batch, slices, b, rows, b, columns, b, channels))
        x = ops.transpose(x, (0, 1, 3, 5, 2, 4, 6, 7))
        return ops.reshape(x, (batch, slices, rows, columns, depth))

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> Any:
        batch, *sizes, channels = input_shape
        if channels is None or any(size and size % self.block_size for size in sizes):
            raise ValueError(
                f"Sizes must be multiples of block_size={self.block_size}, and the "
                f"number of channels known. Received: input_shape={input_shape}"
            )
        smaller = [size and size // self.block_size for size in sizes]
        return (batch, *smaller, math.prod([channels, *[self.block_size] * 3]))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "block_size": self.block_size}
