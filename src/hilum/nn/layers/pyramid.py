"""Spatial pyramid pooling: one length for images of every size."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from hilum.nn.layers.sizes import size_along


class _SpatialPyramidPooling(keras.layers.Layer):  # type: ignore[misc]
    """The pyramid for any number of spatial axes; see the two below.

    A box is the product of its sides, so its maximum is the maximum of maxima along
    one axis after the other, and its mean the mean of means: each level takes n
    slices an axis instead of n^rank boxes.
    """

    rank: int

    def __init__(
        self, levels: Sequence[int] = (1, 2, 4), pooling: str = "max", **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        if not levels or min(levels) < 1:
            raise ValueError(
                "`levels` must name at least one number of bins >= 1. "
                f"Received: levels={levels}"
            )
        if pooling not in ("max", "average"):
            raise ValueError(
                f'`pooling` must be "max" or "average". Received: pooling={pooling}'
            )
        self.levels = tuple(int(level) for level in levels)
        self.pooling = pooling
        self.input_spec = keras.layers.InputSpec(ndim=self.rank + 2)

    def call(self, x: Any) -> Any:
        return ops.concatenate([self._level(x, n) for n in self.levels], axis=-1)

    def _level(self, x: Any, bins: int) -> Any:
        """Pool into `bins` along each spatial axis, and lay them in one row."""
        reduce = ops.max if self.pooling == "max" else ops.mean
        length = bins**self.rank * x.shape[-1]
        for axis in range(1, self.rank + 1):
            size = size_along(x, axis)
            parts = []
            for i in range(bins):
                # floor(i size / bins) to ceil((i + 1) size / bins)
                first, end = i * size // bins, ((i + 1) * size + bins - 1) // bins
                box = (slice(None),) * axis + (slice(first, end),)
                parts.append(reduce(x[box], axis=axis))
            x = ops.stack(parts, axis=axis)
        return ops.reshape(x, (-1, length))

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> Any:
        batch, channels = input_shape[0], input_shape[-1]
        if channels is None:
            raise ValueError(
                "The number of channels must be known. "
                f"Received: input_shape={input_shape}"
            )
        return (batch, sum(n**self.rank for n in self.levels) * channels)

    def get_config(self) -> dict[str, Any]:
        config = {"levels": list(self.levels), "pooling": self.pooling}
        return {**super().get_config(), **config}


@keras.saving.register_keras_serializable(package="hilum")
class SpatialPyramidPooling2D(_SpatialPyramidPooling):
    """Pool an image of any size into n x n bins, for several n.

    Bin i of n along an axis of s pixels reaches from floor(i s / n) to
    ceil((i + 1) s / n): never empty, even where s < n, and overlapping where n does
    not divide s. So a dense layer can follow a convolution of any size.

    Args:
        levels: Bins along each axis, level by level; (1, 2, 4) gives
            1 + 4 + 16 = 21 bins.
        pooling: "max" or "average".
        **kwargs: Base layer arguments, such as `name` and `dtype`.

    Input shape:
        `(batch, row, column, channel)`; row and column may be None.

    Output shape:
        `(batch, bins * channel)`, by level, by bin in row order, by channel.

    Source:
        He et al., "Spatial Pyramid Pooling in Deep Convolutional Networks for
        Visual Recognition", arXiv:1406.4729, section 2.2 and appendix A.

    Example:
        >>> SpatialPyramidPooling2D()(ops.ones((1, 7, 5, 3))).shape[-1]  # 21 * 3
        63
    """

    rank = 2


@keras.saving.register_keras_serializable(package="hilum")
class SpatialPyramidPooling3D(_SpatialPyramidPooling):
    """Pool a volume of any size into n x n x n bins, for several n.

    As `SpatialPyramidPooling2D`, with one axis more.

    Args:
        levels: Bins along each axis, level by level; (1, 2, 4) gives
            1 + 8 + 64 = 73 bins.
        pooling: "max" or "average".
        **kwargs: Base layer arguments, such as `name` and `dtype`.

    Input shape:
        `(batch, slice, row, column, channel)`; sizes may be None.

    Output shape:
        `(batch, bins * channel)`, by level, by bin in row order, by channel.

    Source:
        He et al., arXiv:1406.4729, carried over to three dimensions.

    Example:
        >>> SpatialPyramidPooling3D((1, 2))(ops.ones((1, 3, 7, 5, 2))).shape[-1]
        18
    """

    rank = 3
