"""One network out of those of the folds, for use on patients whom none has seen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from hilum.errors import InputError


def average_net(models: Sequence[keras.Model], *, name: str) -> keras.Model:
    """Join networks into one that gives the average of what they give.

    Args:
        models: Of the same inputs, and one output.
        name: Of the network.

    Raises:
        InputError: There is no model.
    """
    inputs, given = _side_by_side(models)
    mean = keras.layers.Average()(given) if len(given) > 1 else given[0]
    return keras.Model(inputs, mean, name=name)


def members_net(models: Sequence[keras.Model], *, name: str) -> keras.Model:
    """Join networks into one that gives what each of them gives.

    Args:
        models: Of the same inputs by name, and the same outputs by name, each
            (batch, values).
        name: Of the network.

    Returns:
        A model whose outputs are (batch, models, values).

    Raises:
        InputError: There is no model.
    """
    inputs, given = _side_by_side(models)
    outputs = {}
    for key, first in given[0].items():
        rows = [keras.layers.Reshape((1, first.shape[-1]))(g[key]) for g in given]
        stacked = keras.layers.Concatenate(axis=1)(rows) if len(rows) > 1 else rows[0]
        outputs[key] = keras.layers.Identity(name=key)(stacked)
    return keras.Model(inputs, outputs, name=name)


def _side_by_side(
    models: Sequence[keras.Model],
) -> tuple[Any, list[Any]]:
    """Feed the same inputs to copies of all networks, under names of their own."""
    if not models:
        raise InputError("There is no network to join. Train the folds first.")
    inputs: Any = {
        tensor.name: keras.Input(tensor.shape[1:], name=tensor.name)
        for tensor in models[0].inputs
    }
    if not isinstance(models[0].input, dict):
        (inputs,) = inputs.values()
    given = []
    for number, model in enumerate(models):
        config = model.get_config() | {"name": f"fold_{number}"}
        copied = model.__class__.from_config(config)
        copied.set_weights(model.get_weights())
        given.append(copied(inputs))
    return inputs, given
