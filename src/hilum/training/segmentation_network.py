"""The network that outlines the nodule in the middle of a patch."""

from __future__ import annotations

from collections.abc import Sequence

import keras

from hilum.nn.layers import CenterMark3D, HUWindow
from hilum.nn.models.nodules import NODULE_WINDOW_HU
from hilum.runtime.patches import PATCH_SHAPE
from hilum.space import Index


def outline_net(
    sizes: Index = PATCH_SHAPE, *, filters: Sequence[int] = (12, 24, 48)
) -> keras.Model:
    """Build a 3D U-Net that is shown which nodule is meant.

    As `hilum.nn.models.segmentation_net`, with a mark in the middle of the patch.

    Args:
        sizes: (slice, row, column) of the patch, multiples of 2^(levels - 1).
        filters: Of each level, from the finest.

    Returns:
        A model from HU (batch, *sizes, 1) to probabilities of the same shape.
    """
    inputs = keras.Input((*sizes, 1), name="hu")
    x = HUWindow(*NODULE_WINDOW_HU, name="window")(inputs)
    x = CenterMark3D(name="mark")(x)
    skipped = []
    for count in filters[:-1]:
        x = _twice(x, count)
        skipped.append(x)
        x = keras.layers.MaxPooling3D(2)(x)
    x = _twice(x, filters[-1])
    for count, beside in zip(filters[-2::-1], skipped[::-1], strict=True):
        x = keras.layers.Conv3DTranspose(count, 2, strides=2)(x)
        x = _twice(keras.layers.Concatenate()([x, beside]), count)
    outputs = keras.layers.Conv3D(1, 1, activation="sigmoid", name="nodule")(x)
    return keras.Model(inputs, outputs, name="outline_net")


def _twice(x: keras.KerasTensor, filters: int) -> keras.KerasTensor:
    """Convolve, normalise and activate, two times."""
    for _ in range(2):
        x = keras.layers.Conv3D(
            filters, 3, padding="same", use_bias=False, kernel_initializer="he_normal"
        )(x)
        x = keras.layers.ReLU()(keras.layers.BatchNormalization()(x))
    return x
