"""Blocks of several layers that behave as one, in one to three dimensions."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from hilum.nn.layers.choice import activation_layer, initializer_for

CONVOLUTIONS = {3: keras.layers.Conv1D, 4: keras.layers.Conv2D, 5: keras.layers.Conv3D}
"""Convolution by the number of axes of its input, batch and channels included."""


@keras.saving.register_keras_serializable(package="hilum")
class SqueezeExcite(keras.layers.Layer):  # type: ignore[misc]
    """Weigh channels by what the whole image holds.

    The mean of each channel goes through two dense layers (ReLU, sigmoid) to a gate
    in (0, 1) for each channel. The mean is taken in float32 under mixed precision:
    a volume has too many voxels for half precision to add up.

    Args:
        ratio: Channels for each unit of the first dense layer, >= 1.
        **kwargs: Base layer arguments, such as `name` and `dtype`.

    Input shape:
        `(batch, *spatial, channels)` with at least one spatial axis, any size.

    Output shape:
        Same as the input.

    Source:
        Hu et al., "Squeeze-and-Excitation Networks", arXiv:1709.01507, section 3.

    Example:
        >>> block = SqueezeExcite(ratio=4)
        >>> block.build((None, None, None, None, 16))
        >>> block.count_params()  # 16 * 4 + 4, then 4 * 16 + 16
        148
    """

    def __init__(self, ratio: int = 4, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if ratio < 1:
            raise ValueError(f"`ratio` must be >= 1. Received: ratio={ratio}")
        self.ratio = int(ratio)
        self.input_spec = keras.layers.InputSpec(min_ndim=3)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        channels = _channels(input_shape)
        units = max(channels // self.ratio, 1)
        self.squeeze = keras.layers.Dense(
            units, "relu", dtype=self.dtype_policy, name="squeeze"
        )
        self.excite = keras.layers.Dense(
            channels, "sigmoid", dtype=self.dtype_policy, name="excite"
        )
        self.squeeze.build((None, channels))
        self.excite.build((None, units))

    def call(self, x: Any) -> Any:
        exact = keras.backend.result_type(self.variable_dtype, "float32")
        axes = tuple(range(1, len(x.shape) - 1))
        means = ops.mean(ops.cast(x, exact), axis=axes, keepdims=True)
        return x * self.excite(self.squeeze(ops.cast(means, self.compute_dtype)))

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> Any:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "ratio": self.ratio}


@keras.saving.register_keras_serializable(package="hilum")
class ResidualBlock(keras.layers.Layer):  # type: ignore[misc]
    """Two convolutions that learn a correction to their input.

    act(shortcut(x) + norm(conv(act(norm(conv(x)))))), with batch normalisation. The
    shortcut is x itself; where size or channels change, a 1 x 1 x 1 convolution with
    the same strides, normalised. With `ratio`, squeeze-and-excitation weighs the
    correction before the sum.

    Args:
        filters: Channels of the output, >= 1.
        kernel_size: Edge of both convolutions.
        strides: Of the first convolution and of the shortcut.
        activation: A name out of `ACTIVATIONS`.
        ratio: Of `SqueezeExcite`, or None for none.
        seed: For activations with chance in them, or None.
        **kwargs: Base layer arguments, such as `name` and `dtype`.

    Input shape:
        `(batch, *spatial, channels)` with one to three spatial axes, any size.

    Output shape:
        `(batch, *ceil(spatial / strides), filters)`.

    Source:
        He et al., "Deep Residual Learning for Image Recognition", arXiv:1512.03385,
        sections 3.2 and 3.3.

    Example:
        >>> ResidualBlock(8, strides=2).compute_output_shape((None, 5, 6, 7, 4))
        (None, 3, 3, 4, 8)
    """

    def __init__(
        self,
        filters: int,
        kernel_size: int = 3,
        strides: int = 1,
        activation: str = "relu",
        ratio: int | None = None,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if min(filters, kernel_size, strides) < 1:
            raise ValueError(
                "`filters`, `kernel_size` and `strides` must be >= 1. Received: "
                f"filters={filters}, kernel_size={kernel_size}, strides={strides}"
            )
        activation_layer(activation, rank=0)  # refuses an unknown name here and now
        self.filters = int(filters)
        self.kernel_size = int(kernel_size)
        self.strides = int(strides)
        self.activation = activation
        self.ratio = ratio
        self.seed = seed
        self.input_spec = keras.layers.InputSpec(min_ndim=3, max_ndim=5)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        channels = _channels(input_shape)
        inner = (*self.compute_output_shape(input_shape)[:-1], self.filters)
        policy, rank = self.dtype_policy, len(input_shape) - 2
        self.first = self._convolution("first", rank, self.kernel_size, self.strides)
        self.second = self._convolution("second", rank, self.kernel_size, 1)
        self.first_norm = keras.layers.BatchNormalization(dtype=policy)
        self.second_norm = keras.layers.BatchNormalization(dtype=policy)
        self.inside = activation_layer(
            self.activation, rank=rank, seed=self.seed, dtype=policy
        )
        other = None if self.seed is None else self.seed + 1
        self.outside = activation_layer(
            self.activation, rank=rank, seed=other, dtype=policy
        )
        self.gate = SqueezeExcite(self.ratio, dtype=policy) if self.ratio else None
        self.project = None
        self.first.build(input_shape)
        after = [self.first_norm, self.inside, self.second, self.second_norm]
        if channels != self.filters or self.strides > 1:
            self.project = self._convolution("project", rank, 1, self.strides)
            self.project_norm = keras.layers.BatchNormalization(dtype=policy)
            self.project.build(input_shape)
            after.append(self.project_norm)
        for layer in [*after, *([self.gate] if self.gate else []), self.outside]:
            layer.build(inner)

    def _convolution(self, name: str, rank: int, size: int, strides: int) -> Any:
        """Make a convolution that keeps the size and leaves the bias to its norm."""
        return CONVOLUTIONS[rank + 2](
            self.filters,
            size,
            strides=strides,
            padding="same",
            use_bias=False,
            kernel_initializer=initializer_for(self.activation),
            dtype=self.dtype_policy,
            name=name,
        )

    def call(self, x: Any) -> Any:
        y = self.inside(self.first_norm(self.first(x)))
        y = self.second_norm(self.second(y))
        if self.gate:
            y = self.gate(y)
        if self.project:
            x = self.project_norm(self.project(x))
        return self.outside(x + y)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> Any:
        batch, *sizes, _ = input_shape
        smaller = [size and -(-size // self.strides) for size in sizes]
        return (batch, *smaller, self.filters)

    def get_config(self) -> dict[str, Any]:
        config = {
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "strides": self.strides,
            "activation": self.activation,
            "ratio": self.ratio,
            "seed": self.seed,
        }
        return {**super().get_config(), **config}


def _channels(input_shape: tuple[int | None, ...]) -> int:
    """Read the number of channels."""
    if input_shape[-1] is None:
        raise ValueError(
            f"The number of channels must be known. Received: input_shape={input_shape}"
        )
    return input_shape[-1]
