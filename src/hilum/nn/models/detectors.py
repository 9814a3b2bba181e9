"""The network that finds nodules: one look over the lungs, at any size."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from hilum.nn.layers import (
    HUWindow,
    ResidualBlock,
    SpaceToDepth3D,
    initializer_for,
)

STRIDE = 4
"""Voxels along each edge of a cell of the output."""

SIZE_MULTIPLE = 16
"""Sizes of the input must be multiples of this."""

DETECTION_WINDOW_HU = (-350.0, 1300.0)
"""Level and width: -1000 to 300 HU."""

_LUNG_SHARE = 0.115
_GAIN = 2.6
_FIRST_ODDS = 0.01

Sizes = Sequence[int | None]


def detection_net(
    sizes: Sizes = (None, None, None),
    *,
    filters: Sequence[int] = (16, 32, 48, 64),
    activation: str = "relu",
) -> keras.Model:
    """Build the network that marks nodules in a CT of cubic voxels of about 1 mm.

    Blocks of 2^3 voxels become channels; residual blocks at strides 2 and 4; two
    coarser levels, 8 and 16, see what surrounds a place (a vessel goes on, a mass is
    larger than a nodule) and come back up; and each cell of 4^3 voxels answers. It is
    convolutional throughout, so a scan may be looked at whole or in overlapping
    parts.

    Args:
        sizes: (slice, row, column), multiples of 16, or None for any.
        filters: Of the levels of strides 2, 4, 8 and 16.
        activation: A name out of `hilum.nn.layers.ACTIVATIONS`.

    Returns:
        A model from HU (batch, *sizes, 1) to (batch, *sizes / 4, 5), for each cell:
        the chance that the middle of a nodule lies in it, where in the cell (slice,
        row, column; in cells from its centre), and the logarithm of the diameter in
        voxels.

    Raises:
        ValueError: The activation is unknown, or there are not four levels.

    Source:
        Zhou et al., "Objects as Points", arXiv:1904.07850.
    """
    if len(filters) != 4:
        raise ValueError(f"Four levels are needed. Received: filters={tuple(filters)}")
    inputs = keras.Input((*sizes, 1), name="hu")
    x = HUWindow(*DETECTION_WINDOW_HU, name="window")(inputs)
    x = keras.layers.Rescaling(_GAIN, -_GAIN * _LUNG_SHARE, name="lung_is_zero")(x)
    x = _convolved(SpaceToDepth3D(2, name="stem")(x), filters[0], activation)
    x = ResidualBlock(filters[0], activation=activation)(x)
    x = ResidualBlock(filters[1], strides=2, activation=activation)(x)
    fine = ResidualBlock(filters[1], activation=activation)(x)
    middle = ResidualBlock(filters[2], strides=2, activation=activation)(fine)
    coarse = ResidualBlock(filters[3], strides=2, activation=activation)(middle)
    x = keras.layers.UpSampling3D(2)(_convolved(coarse, filters[2], activation, 1))
    x = keras.layers.Add()([x, middle])
    x = _convolved(x, filters[2], activation)
    x = keras.layers.UpSampling3D(2)(_convolved(x, filters[1], activation, 1))
    x = keras.layers.Concatenate()([x, fine])
    x = ResidualBlock(filters[2], activation=activation)(x)
    chance = keras.layers.Conv3D(
        1,
        1,
        activation="sigmoid",
        bias_initializer=keras.initializers.Constant(_logit(_FIRST_ODDS)),
        dtype="float32",
        name="chance",
    )(x)
    place = keras.layers.Conv3D(4, 1, dtype="float32", name="place")(x)
    outputs = keras.layers.Concatenate(name="marks")([chance, place])
    return keras.Model(inputs, outputs, name="detection_net")


def _convolved(x: Any, filters: int, activation: str, size: int = 3) -> Any:
    """Convolve, normalise and activate."""
    x = keras.layers.Conv3D(
        filters,
        size,
        padding="same",
        use_bias=False,
        kernel_initializer=initializer_for(activation),
    )(x)
    return keras.layers.Activation(activation)(keras.layers.BatchNormalization()(x))


def _logit(odds: float) -> float:
    """Give the bias with which a sigmoid starts at `odds`."""
    from math import log  # noqa: PLC0415

    return log(odds / (1 - odds))
