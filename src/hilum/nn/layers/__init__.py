"""Keras layers for CT; they know tensors and Hounsfield units, not patients.

What Keras has is used, not rewritten; here is what it lacks, on `keras.ops` alone.
All are channels last, `(batch, slice, row, column, channel)` in 3D.

The folder: `window` (HU to [0, 1]), `activations` (with chance in them), `choice`
(any activation by its name), `pyramid`, `depth` and `sizes` (resolution), `center`
(which voxel is meant), `blocks` (residual, squeeze-and-excitation).
`hilum.primer.ops` has the operations in NumPy.
"""

from hilum.nn.layers.activations import (
    NoisyActivation,
    NoisyReLU,
    RandomizedLeakyReLU,
)
from hilum.nn.layers.blocks import ResidualBlock, SqueezeExcite
from hilum.nn.layers.center import CenterMark3D
from hilum.nn.layers.choice import ACTIVATIONS, activation_layer, initializer_for
from hilum.nn.layers.depth import SpaceToDepth3D
from hilum.nn.layers.pyramid import SpatialPyramidPooling2D, SpatialPyramidPooling3D
from hilum.nn.layers.sizes import CropLike
from hilum.nn.layers.window import HUWindow

__all__ = [
    "ACTIVATIONS",
    "CenterMark3D",
    "CropLike",
    "HUWindow",
    "NoisyActivation",
    "NoisyReLU",
    "RandomizedLeakyReLU",
    "ResidualBlock",
    "SpaceToDepth3D",
    "SpatialPyramidPooling2D",
    "SpatialPyramidPooling3D",
    "SqueezeExcite",
    "activation_layer",
    "initializer_for",
]
