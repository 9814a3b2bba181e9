"""The networks that rate a nodule: from what is measured, from the patch, from both.

Each rating is ordinal: an output holds P(rating > 1), P(rating > 2), ..., so that the
expected rating is 1 plus their sum. `kind` holds the probabilities of ground glass,
part-solid and solid, trained as if all three were equally frequent.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import numpy.typing as npt
from keras import ops

from hilum.nn.models import RATING_CATEGORIES

KINDS = ("ground-glass", "part-solid", "solid")
_FURTHEST = 3.5
_FIRST = 4.0


def features_net(
    features: npt.NDArray[np.float32], *, members: int = 12, units: int = 48
) -> keras.Model:
    """Build several small networks beside each other, on what is measured.

    Args:
        features: (n, m) of the nodules to train on, for mean and spread.
        members: How many networks, alike but for chance.
        units: Of the first layer; the second has half of them.

    Returns:
        A model from (batch, m) to a dictionary of (batch, members, ...).
    """
    low, high = np.percentile(features, [1, 99], axis=0)
    kept = np.clip(features, low, high)
    inputs = keras.Input((features.shape[1],), name="features")
    x = keras.layers.Normalization(
        mean=kept.mean(axis=0), variance=kept.var(axis=0) + 1e-6
    )(inputs)
    x = keras.layers.Rescaling(1 / _FURTHEST)(x)
    x = keras.layers.Activation("hard_tanh")(x)
    x = keras.layers.Rescaling(_FURTHEST)(x)
    x = keras.layers.RepeatVector(members)(x)
    x = keras.layers.GaussianNoise(0.1)(x)
    for count in (units, units // 2):
        x = _beside(x, members, count, "elu", None)
        x = keras.layers.Dropout(0.3)(x)
    outputs = {
        name: _beside(x, members, categories - 1, "sigmoid", name)
        for name, categories in RATING_CATEGORIES.items()
    }
    outputs["kind"] = _beside(x, members, len(KINDS), "softmax", "kind")
    return keras.Model(inputs, outputs, name="features_net")


def joint_net(
    of_features: keras.Model, of_patch: keras.Model, *, patch_share: float
) -> keras.Model:
    """Join two trained networks into one that averages what they say.

    Args:
        of_features: Out of `features_net`.
        of_patch: Out of `hilum.nn.models.malignancy_net`.
        patch_share: How much the patch counts, 0 to 1; it has no say in the kind.

    Returns:
        A model from {"features", "hu", "mask"} to a dictionary of (batch, ...).
    """
    inputs = {
        "features": keras.Input(of_features.input_shape[1:], name="features"),
        "hu": keras.Input(of_patch.inputs[0].shape[1:], name="hu"),
        "mask": keras.Input(of_patch.inputs[0].shape[1:], name="mask"),
    }
    by_features = _copied(of_features)(inputs["features"])
    by_patch = _copied(of_patch)({"hu": inputs["hu"], "mask": inputs["mask"]})
    outputs = {}
    for name, members in by_features.items():
        mean = keras.layers.GlobalAveragePooling1D(name=f"{name}_members")(members)
        if name in by_patch:
            mean = keras.layers.Rescaling(1 - patch_share)(mean)
            beside = keras.layers.Rescaling(patch_share)(by_patch[name])
            mean = keras.layers.Add(name=f"{name}_joint")([mean, beside])
        outputs[name] = mean
    return keras.Model(inputs, outputs, name="malignancy")


def _copied(model: keras.Model) -> keras.Model:
    """Copy a model without its losses, which no file should need to be loaded."""
    copied = model.__class__.from_config(model.get_config())
    copied.set_weights(model.get_weights())
    return copied


def losses(*, kind: bool) -> dict[str, Any]:
    """Give the loss of each output; malignancy counts four times.

    Args:
        kind: Whether the network has that output.
    """
    found: dict[str, Any] = {
        name: _ordinal_first if name == "malignancy" else _ordinal
        for name in RATING_CATEGORIES
    }
    return found | ({"kind": _weighted_kind} if kind else {})


def _beside(x: Any, members: int, units: int, activation: str, name: str | None) -> Any:
    """Add a dense layer to each member."""
    return keras.layers.EinsumDense(
        "bmi,mij->bmj",
        output_shape=(members, units),
        bias_axes="mj",
        activation=activation,
        kernel_initializer=keras.initializers.RandomNormal(
            stddev=float(x.shape[-1]) ** -0.5
        ),
        name=name,
    )(x)


def _ordinal(truth: Any, predicted: Any) -> Any:
    return ops.mean(ops.binary_crossentropy(truth + 0 * predicted, predicted), axis=-1)


def _ordinal_first(truth: Any, predicted: Any) -> Any:
    return _FIRST * _ordinal(truth, predicted)


def _weighted_kind(truth: Any, predicted: Any) -> Any:
    """Cross-entropy; the truth is one-hot times the weight of its class."""
    return -ops.sum(truth * ops.log(ops.maximum(predicted, 1e-6)), axis=-1)
