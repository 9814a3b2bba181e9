"""One network out of those of the folds, for use on patients whom none has seen."""

from __future__ import annotations

from collections.abc import Sequence

import keras

from hilum.errors import InputError


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
    if not models:
        raise InputError("There is no network to join. Train the folds first.")
    inputs = {
        tensor.name: keras.Input(tensor.shape[1:], name=tensor.name)
        for tensor in models[0].inputs
    }
    given = []
    for number, model in enumerate(models):
        config = model.get_config() | {"name": f"fold_{number}"}
        copied = model.__class__.from_config(config)
        copied.set_weights(model.get_weights())
        given.append(copied(inputs))
    outputs = {}
    for key, first in given[0].items():
        rows = [keras.layers.Reshape((1, first.shape[-1]))(g[key]) for g in given]
        stacked = keras.layers.Concatenate(axis=1)(rows) if len(rows) > 1 else rows[0]
        outputs[key] = keras.layers.Identity(name=key)(stacked)
    return keras.Model(inputs, outputs, name=name)
