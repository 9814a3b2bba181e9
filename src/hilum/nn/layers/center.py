"""Which voxel is meant: a mark in the middle of a patch."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from hilum.nn.layers.sizes import size_along


@keras.saving.register_keras_serializable(package="hilum")
class CenterMark3D(keras.layers.Layer):  # type: ignore[misc]
    """Add a channel that is 1 in the middle of the patch and fades to its edges.

    A convolution does not know where it is. With the mark it tells the nodule in the
    middle from the vessel or nodule beside it. Computes `exp(-r^2 / (2 width^2))`,
    r along each axis from -1 at the first voxel to 1 at the last.

    Args:
        width: Of the mark, > 0; 1 is half the patch.
        **kwargs: Base layer arguments, such as `name` and `dtype`.

    Input shape:
        `(batch, slice, row, column, channel)`.

    Output shape:
        The same with one channel more, the last.

    Example:
        >>> y = CenterMark3D(0.5)(ops.zeros((1, 3, 3, 3, 1)))
        >>> [round(float(v), 3) for v in ops.convert_to_numpy(y)[0, 1, 1, :, 1]]
        [0.135, 1.0, 0.135]
    """

    def __init__(self, width: float = 0.35, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not width > 0:
            raise ValueError(f"`width` must be > 0. Received: width={width}")
        self.width = float(width)
        self.input_spec = keras.layers.InputSpec(ndim=5)

    def call(self, x: Any) -> Any:
        mark = ops.ones_like(x[..., :1])
        for axis in range(1, 4):
            size = size_along(x, axis)
            half = (ops.cast(size, x.dtype) - 1) / 2
            place = (ops.arange(size, dtype=x.dtype) - half) / ops.maximum(half, 0.5)
            shape = [1] * 5
            shape[axis] = -1
            fading = ops.exp(-ops.square(place) / (2 * self.width**2))
            mark = mark * ops.reshape(fading, shape)
        return ops.concatenate([x, mark], axis=-1)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> Any:
        *sizes, channels = input_shape
        return (*sizes, None if channels is None else channels + 1)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "width": self.width}
