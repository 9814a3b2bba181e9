"""Small 3D networks for one nodule in a patch.

A patch is resampled to a fixed grid in millimetres with the nodule at its centre;
the network is told neither the spacing nor where the scan ended. Where a patch
reaches beyond the scan it is padded with air, and that is background.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from hilum.nn.layers import (
    CropLike,
    HUWindow,
    ResidualBlock,
    SpaceToDepth3D,
    activation_layer,
    initializer_for,
)

NODULE_WINDOW_HU = (-200.0, 1600.0)
"""Level and width: -1000 (air) to 600 HU, so that calcium is not clipped to water."""

RATING_CATEGORIES = {
    "malignancy": 5,
    "subtlety": 5,
    "sphericity": 5,
    "margin": 5,
    "lobulation": 5,
    "spiculation": 5,
    "texture": 5,
    "calcification": 6,
}
"""The ratings of LIDC readers, each from 1 to this number.

All rise in one direction but calcification: 1 to 5 are its patterns, 6 is absent.
"""

Sizes = Sequence[int | None]


def malignancy_net(
    sizes: Sizes = (32, 32, 32),
    *,
    mask: bool = True,
    filters: Sequence[int] = (16, 24, 32),
    units: int = 48,
    activation: str = "relu",
    dropout: float = 0.2,
    stem: str = "convolution",
) -> keras.Model:
    """Build the network that rates a nodule as LIDC readers do.

    Window and mask, a stem that halves the size, residual blocks (all but the first
    halve it again), average and maximum over the volume, a dense layer. Each output
    holds P(rating > 1), P(rating > 2), ...: the expected rating is 1 plus their sum.

    Args:
        sizes: (slice, row, column) of the patch; None for any, with the stem
            "space_to_depth" any even one.
        mask: Also take the nodule's mask, 0 or 1.
        filters: Of the stem, then of each block; the first block has the stem's.
        units: Of the dense layer.
        activation: A name out of `ACTIVATIONS`.
        dropout: Before the dense layer and after it.
        stem: "convolution" (5^3, stride 2) or "space_to_depth" (by 2, then 3^3).

    Returns:
        A model from {"hu", "mask"}, each (batch, *sizes, 1), to a dictionary of
        (batch, categories - 1) by the names of `RATING_CATEGORIES`.

    Raises:
        ValueError: The stem or the activation is unknown.
    """
    inputs = {"hu": keras.Input((*sizes, 1), name="hu")}
    x = HUWindow(*NODULE_WINDOW_HU, name="window")(inputs["hu"])
    if mask:
        inputs["mask"] = keras.Input((*sizes, 1), name="mask")
        x = keras.layers.Concatenate()([x, inputs["mask"]])
    x = _stem(x, filters[0], activation, stem)
    x = ResidualBlock(filters[0], activation=activation)(x)
    for count in filters[1:]:
        x = ResidualBlock(count, strides=2, activation=activation)(x)
    x = _described(x, units, activation, dropout)
    outputs = {
        name: keras.layers.Dense(
            categories - 1, activation="sigmoid", dtype="float32", name=name
        )(x)
        for name, categories in RATING_CATEGORIES.items()
    }
    return keras.Model(inputs, outputs, name="malignancy_net")


def segmentation_net(
    sizes: Sizes = (48, 48, 48),
    *,
    filters: Sequence[int] = (12, 24, 48),
    activation: str = "relu",
) -> keras.Model:
    """Build a small 3D U-Net that outlines the nodule at the centre of a patch.

    On each level two convolutions 3^3; down by max-pooling, up by a transposed
    convolution, with the features of the way down beside; where a size was odd, cut
    to theirs. In a loss every voxel of the patch counts, padding as background, or
    else the network marks the padding.

    Args:
        sizes: (slice, row, column) of the patch; None for any.
        filters: Of each level, from the finest.
        activation: A name out of `hilum.nn.layers.ACTIVATIONS`.

    Returns:
        A model from HU (batch, *sizes, 1) to probabilities of the same shape.

    Raises:
        ValueError: The activation is unknown.

    Source:
        Ronneberger et al., "U-Net", arXiv:1505.04597; Cicek et al., "3D U-Net",
        arXiv:1606.06650.
    """
    inputs = keras.Input((*sizes, 1), name="hu")
    x = HUWindow(*NODULE_WINDOW_HU, name="window")(inputs)
    skipped = []
    for count in filters[:-1]:
        x = _twice(x, count, activation)
        skipped.append(x)
        x = keras.layers.MaxPooling3D(2, padding="same")(x)
    x = _twice(x, filters[-1], activation)
    for count, beside in zip(filters[-2::-1], skipped[::-1], strict=True):
        x = keras.layers.Conv3DTranspose(count, 2, strides=2)(x)
        if x.shape[1:-1] != beside.shape[1:-1] or None in x.shape[1:-1]:
            x = CropLike()([x, beside])
        x = _twice(keras.layers.Concatenate()([x, beside]), count, activation)
    outputs = keras.layers.Conv3D(
        1, 1, activation="sigmoid", dtype="float32", name="nodule"
    )(x)
    return keras.Model(inputs, outputs, name="segmentation_net")


def _described(x: Any, units: int, activation: str, dropout: float) -> Any:
    """Describe the whole patch by `units` numbers, from averages and maxima."""
    mean = keras.layers.GlobalAveragePooling3D()(x)
    largest = keras.layers.GlobalMaxPooling3D()(x)
    x = keras.layers.Concatenate()([mean, largest])
    x = keras.layers.Dropout(dropout)(x)
    x = keras.layers.Dense(units, kernel_initializer=initializer_for(activation))(x)
    x = activation_layer(activation, rank=0)(x)
    return keras.layers.Dropout(dropout)(x)


def _stem(x: Any, filters: int, activation: str, kind: str) -> Any:
    """Halve the size, at the cost of few operations."""
    if kind == "convolution":
        return _convolve(x, filters, activation, size=5, strides=2)
    if kind == "space_to_depth":
        return _convolve(SpaceToDepth3D(2)(x), filters, activation)
    raise ValueError(
        f'`stem` must be "convolution" or "space_to_depth". Received: stem={kind}'
    )


def _twice(x: Any, filters: int, activation: str) -> Any:
    """Convolve two times."""
    return _convolve(_convolve(x, filters, activation), filters, activation)


def _convolve(
    x: Any, filters: int, activation: str, *, size: int = 3, strides: int = 1
) -> Any:
    """Convolve, normalise, activate; the bias is the normalisation's."""
    x = keras.layers.Conv3D(
        filters,
        size,
        strides=strides,
        padding="same",
        use_bias=False,
        kernel_initializer=initializer_for(activation),
    )(x)
    x = keras.layers.BatchNormalization()(x)
    return activation_layer(activation, rank=3)(x)
