"""The article's networks: a plain CNN, and the ELU network for ImageNet.

Both work in 2D and 3D and on images of any size, for a spatial pyramid stands
before the first dense layer.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from hilum.nn.layers import (
    HUWindow,
    SpatialPyramidPooling2D,
    SpatialPyramidPooling3D,
    activation_layer,
    initializer_for,
)

LUNG_WINDOW_HU = (-600.0, 1500.0)
"""Level and width of the usual lung window."""

ELU_STACKS = ((1, 96, 6), (3, 512, 3), (5, 768, 3), (3, 1024, 3))
"""Layers, units and receptive field of each stack of the ELU network."""

Shape = Sequence[int | None]


def simple_cnn(
    input_shape: Shape,
    classes: int,
    *,
    filters: Sequence[int] = (16, 32, 64),
    activation: str = "relu",
    batch_norm: bool = True,
    units: int = 64,
    window_hu: tuple[float, float] | None = LUNG_WINDOW_HU,
) -> keras.Model:
    """Build the article's CNN: convolve, activate, pool, normalise; then decide.

    For each of the filters: convolution 3^n, activation, max-pooling by 2 and batch
    normalisation. A pyramid of 1 + 2^n bins makes one length of any size; a fully
    connected layer, its activation, and a softmax over the classes follow.

    Args:
        input_shape: (row, column, channel) or (slice, row, column, channel); all but
            the channel may be None.
        classes: How many to tell apart.
        filters: Of each convolution.
        activation: A name out of `hilum.nn.layers.ACTIVATIONS`; the weights start
            as suits it.
        batch_norm: Normalise after each pooling; without, the layer is left out.
        units: Of the fully connected layer.
        window_hu: Level and width of the window, or None for input not in HU.

    Returns:
        A model from (batch, *input_shape) to (batch, classes) probabilities.

    Raises:
        ValueError: The input is neither 2D nor 3D, or the activation unknown.
    """
    rank = _rank(input_shape)
    start = initializer_for(activation)
    x = inputs = keras.Input(tuple(input_shape))
    x = _windowed(x, window_hu)
    for count in filters:
        x = _layer("Conv", rank)(count, 3, padding="same", kernel_initializer=start)(x)
        x = activation_layer(activation, rank=rank)(x)
        x = _layer("MaxPooling", rank)(2, padding="same")(x)
        if batch_norm:
            x = keras.layers.BatchNormalization()(x)
    x = _pyramid(rank, (1, 2))(x)
    x = keras.layers.Dense(units, kernel_initializer=start)(x)
    x = activation_layer(activation, rank=0)(x)
    x = keras.layers.Dense(classes)(x)
    return keras.Model(inputs, _probabilities(x), name="simple_cnn")


def elu_network(
    input_shape: Shape,
    classes: int = 1000,
    *,
    width: float = 1.0,
    dropout: float = 0.5,
    weight_decay: float = 5e-4,
    window_hu: tuple[float, float] | None = LUNG_WINDOW_HU,
) -> keras.Model:
    """Build the 15-layer ELU network.

    Convolutions as in `ELU_STACKS`, 2 x 2 max-pooling of stride 2 after each stack; a
    spatial pyramid of three levels; two fully connected layers of 4096 and one of
    1000. ELU after each but the last, softmax there. In 3D squares become cubes.

    Args:
        input_shape: (row, column, channel) or (slice, row, column, channel); all but
            the channel may be None.
        classes: How many to tell apart.
        width: Factor on all units but the classes.
        dropout: After each of the layers of 4096.
        weight_decay: w of the paper; the loss gets w / 2 times the squared weights.
        window_hu: Level and width of the window, or None for input not in HU.

    Returns:
        A model from (batch, *input_shape) to (batch, classes) probabilities.

    Source:
        Clevert et al., "Fast and Accurate Deep Network Learning by Exponential
        Linear Units", arXiv:1511.07289, section 4.3. It says three levels; the bins
        are Caffe's.
    """
    rank = _rank(input_shape)
    decay = keras.regularizers.L2(weight_decay / 2)
    options = {"kernel_initializer": "he_normal", "kernel_regularizer": decay}
    x = inputs = keras.Input(tuple(input_shape))
    x = _windowed(x, window_hu)
    for layers, units, field in ELU_STACKS:
        for _ in range(layers):
            conv = _layer("Conv", rank)
            x = conv(scaled(units, width), field, padding="same", **options)(x)
            x = keras.layers.ELU()(x)
        x = _layer("MaxPooling", rank)(2, padding="same")(x)
    x = _pyramid(rank, (1, 2, 4))(x)
    for _ in range(2):
        x = keras.layers.Dense(scaled(4096, width), **options)(x)
        x = keras.layers.Dropout(dropout)(keras.layers.ELU()(x))
    x = keras.layers.Dense(classes, **options)(x)
    return keras.Model(inputs, _probabilities(x), name="elu_network")


def scaled(units: int, width: float) -> int:
    """Round the width's share of the units, and leave at least one.

    Example:
        >>> scaled(96, 0.125), scaled(96, 0.001)
        (12, 1)
    """
    return max(round(units * width), 1)


def _rank(input_shape: Shape) -> int:
    """Count the spatial axes."""
    rank = len(input_shape) - 1
    if rank not in (2, 3):
        raise ValueError(
            "`input_shape` must be (row, column, channel) or (slice, row, column, "
            f"channel). Received: input_shape={tuple(input_shape)}"
        )
    return rank


def _windowed(x: Any, window_hu: tuple[float, float] | None) -> Any:
    """Put the HU window in front, if there is one."""
    return x if window_hu is None else HUWindow(*window_hu)(x)


def _layer(name: str, rank: int) -> Any:
    """Look up Keras's layer of this kind for this many axes."""
    return getattr(keras.layers, f"{name}{rank}D")


def _probabilities(x: Any) -> Any:
    """Turn scores into probabilities, in float32 under mixed precision too."""
    return keras.layers.Softmax(dtype="float32", name="probabilities")(x)


def _pyramid(rank: int, levels: tuple[int, ...]) -> keras.layers.Layer:
    """Make the pyramid for this many axes."""
    kind = SpatialPyramidPooling2D if rank == 2 else SpatialPyramidPooling3D
    return kind(levels)
