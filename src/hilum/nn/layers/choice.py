"""Any activation by its name: Keras's own where it has one, ours where not."""

from __future__ import annotations

from typing import Any

import keras

from hilum.nn.layers.activations import (
    NoisyActivation,
    NoisyReLU,
    RandomizedLeakyReLU,
)

ACTIVATIONS = (
    "sigmoid",
    "tanh",
    "relu",
    "leaky_relu",
    "very_leaky_relu",
    "prelu",
    "rrelu",
    "elu",
    "selu",
    "softplus",
    "noisy_relu",
    "noisy_hard_tanh",
    "noisy_hard_sigmoid",
)
"""The names that `activation_layer` knows."""

SATURATING = ("sigmoid", "tanh", "noisy_hard_tanh", "noisy_hard_sigmoid")
"""Those that flatten on both sides."""


def activation_layer(
    name: str, *, rank: int, seed: int | None = None, dtype: Any = None
) -> keras.layers.Layer:
    """Make the layer of an activation.

    Args:
        name: One of `ACTIVATIONS`. `leaky_relu` has slope 0.01 (a = 100) and
            `very_leaky_relu` 1 / 5.5, the two of Xu et al. 2015.
        rank: Spatial axes of its input, 0 after a dense layer. PReLU learns one
            slope for each channel, shared along them, so that any size will do.
        seed: For those with chance in them, or None.
        dtype: Type or policy of the layer, as in Keras.

    Raises:
        ValueError: There is no such activation.

    Example:
        >>> activation_layer("elu", rank=3).alpha
        1.0
    """
    if name == "leaky_relu":
        return keras.layers.LeakyReLU(negative_slope=0.01, dtype=dtype)
    if name == "very_leaky_relu":
        return keras.layers.LeakyReLU(negative_slope=1 / 5.5, dtype=dtype)
    if name == "prelu":
        axes = list(range(1, rank + 1)) or None
        start = keras.initializers.Constant(0.25)  # that of He et al. 2015
        return keras.layers.PReLU(start, shared_axes=axes, dtype=dtype)
    if name == "rrelu":
        return RandomizedLeakyReLU(seed=seed, dtype=dtype)
    if name == "elu":
        return keras.layers.ELU(dtype=dtype)
    if name == "noisy_relu":
        return NoisyReLU(seed=seed, dtype=dtype)
    if name in ("noisy_hard_tanh", "noisy_hard_sigmoid"):
        return NoisyActivation(name.removeprefix("noisy_"), seed=seed, dtype=dtype)
    if name in ACTIVATIONS:
        return keras.layers.Activation(name, dtype=dtype)
    raise ValueError(
        f"`name` must be one of {', '.join(ACTIVATIONS)}. Received: name={name}"
    )


def initializer_for(name: str) -> str:
    """Name the weight initializer that suits an activation.

    Signals keep their size from layer to layer with Glorot's for what is linear
    around 0 and flat on both sides, He's for rectifiers, which drop half of it, and
    LeCun's for SELU.

    Source:
        Glorot and Bengio 2010; He et al., arXiv:1502.01852; Klambauer et al.,
        arXiv:1706.02515.

    Example:
        >>> initializer_for("tanh"), initializer_for("relu")
        ('glorot_normal', 'he_normal')
    """
    if name in SATURATING:
        return "glorot_normal"
    return "lecun_normal" if name == "selu" else "he_normal"
