"""Devices that share each batch, and the precision that they compute in.

Each device gets an equal part of every batch and a copy of the weights; gradients are
summed before each step (TensorFlow's MirroredStrategy, in which Keras's `fit` runs as
it is). Batch normalisation counts the whole batch. So a run on several devices makes
the steps of one on a single device, up to rounding. Keras's own
`keras.distribution` would be the other way; it works on the JAX backend alone.

Several machines need none of this: folds are trained apart, a machine each.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras

from hilum._cores import count_cores
from hilum._optional import require
from hilum.errors import InputError

PRECISIONS = ("float32", "mixed_bfloat16")
"""Weights are float32 in either. float16 is left out: it needs its losses scaled, and
scaling skips steps, so that an interrupted run would not end as an unbroken one."""


@contextmanager
def shared(devices: int = 1, *, precision: str = "float32") -> Iterator[None]:
    """Train what is built and fitted in this block on several devices.

    Args:
        devices: How many: graphics processors where there are any, else equal parts
            of the processor.
        precision: One of `PRECISIONS`, of what is built in the block.

    Raises:
        InputError: There is no such precision or no device, there are fewer graphics
            processors or, without any, fewer cores, or TensorFlow is already at work
            and has too few devices.
    """
    if precision not in PRECISIONS:
        raise InputError(
            f"There is no precision {precision!r}. Choose one of "
            f"{', '.join(PRECISIONS)}."
        )
    if devices < 1:
        raise InputError(f"Training needs at least 1 device; got {devices}.")
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(precision)
    try:
        if devices == 1:
            yield
        else:
            with _strategy(devices).scope():
                yield
    finally:
        keras.config.set_dtype_policy(before)


def prepare_sharing(model: keras.Model, batch: int) -> None:
    """Let batch normalisation count the whole batch, where devices share it.

    Args:
        model: To be trained.
        batch: Views a batch.

    Raises:
        InputError: The batch cannot be shared equally.
    """
    devices = sharing()
    if devices == 1:
        return
    if batch % devices:
        raise InputError(
            f"A batch of {batch} cannot be shared by {devices} devices. Set `batch` to "
            f"a multiple of {devices}, or use fewer devices."
        )
    for layer in _layers(model):
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.synchronized = True


def sharing() -> int:
    """Tell how many devices share a batch here."""
    if keras.backend.backend() != "tensorflow":
        return 1
    tf = require("tensorflow", extra="train", to="to train on several devices")
    return int(tf.distribute.get_strategy().num_replicas_in_sync)


def total_over_devices(count: Any) -> Any:
    """Sum a count over the devices that share a batch, inside a step.

    Args:
        count: A tensor, of each device.
    """
    if sharing() == 1:
        return count
    tf = require("tensorflow", extra="train", to="to train on several devices")
    context = tf.distribute.get_replica_context()
    if context is None:  # Keras only asks for shapes, before the first step
        return count
    return context.all_reduce("sum", count)


def compute_in_float32(model: keras.Model) -> None:
    """Let a trained model compute in float32, as it is used and exported."""
    for layer in _layers(model):
        if getattr(layer.dtype_policy, "name", "float32") != "float32":
            layer.dtype_policy = keras.DTypePolicy("float32")
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.synchronized = False


def _layers(model: keras.Model) -> list[Any]:
    """List all layers, those of models inside models too."""
    return list(model._flatten_layers(include_self=False))


def _strategy(devices: int) -> Any:
    """Choose the devices."""
    tf = require("tensorflow", extra="train", to="to train on several devices")
    if keras.backend.backend() != "tensorflow":
        raise InputError(
            "Several devices need the TensorFlow backend of Keras; this is "
            f"{keras.backend.backend()}. Unset KERAS_BACKEND."
        )
    cards = tf.config.list_physical_devices("GPU")
    if len(cards) >= devices:
        return tf.distribute.MirroredStrategy([f"GPU:{n}" for n in range(devices)])
    if cards:
        raise InputError(
            f"There are {len(cards)} graphics processors, not {devices}. Ask for as "
            "many as there are; with CUDA_VISIBLE_DEVICES=-1 parts of the processor "
            "share the work."
        )
    cores = count_cores()
    if devices > cores:
        raise InputError(
            f"Cannot train on {devices} devices: there are {len(cards)} GPUs and "
            f"{cores} cores. Give at most {max(len(cards), cores)}."
        )
    part = tf.config.LogicalDeviceConfiguration()
    try:
        (processor,) = tf.config.list_physical_devices("CPU")
        tf.config.set_logical_device_configuration(processor, [part] * devices)
    except RuntimeError as error:
        if len(tf.config.list_logical_devices("CPU")) < devices:
            raise InputError(
                "TensorFlow is already at work with fewer devices. Start a new "
                "process, and choose the devices first."
            ) from error
    return tf.distribute.MirroredStrategy([f"CPU:{n}" for n in range(devices)])
