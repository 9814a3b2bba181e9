"""Run Keras, and differentiate through it, on whichever backend is active."""

import keras
import numpy as np
from keras import ops

BACKEND = keras.backend.backend()
EXAMPLES = 60 if BACKEND == "tensorflow" else 8
"""JAX compiles anew for every shape."""


def arrays(draw_seed, *shapes):
    """Normal numbers as float32, repeatable."""
    rng = np.random.default_rng(draw_seed)
    return [rng.normal(size=shape).astype("float32") for shape in shapes]


def loaded(layer, shape, *weights):
    """Build a layer and put these weights into it."""
    layer.build(shape)
    layer.set_weights(list(weights))
    return layer


def run(function, *inputs, **options):
    """Call a Keras layer or function; NumPy in, NumPy out."""
    return ops.convert_to_numpy(
        function(*map(ops.convert_to_tensor, inputs), **options)
    )


def gradient(function, x):
    """Differentiate the sum of the outputs by x, on the active backend."""
    x = np.asarray(x, "float32")
    if BACKEND == "jax":
        import jax  # noqa: PLC0415 - only where it is the backend

        return np.asarray(jax.grad(lambda x: ops.sum(function(x)))(x))
    import tensorflow as tf  # noqa: PLC0415 - only where it is the backend

    variable = tf.Variable(x)
    with tf.GradientTape() as tape:
        total = ops.sum(function(variable))
    return tape.gradient(total, variable).numpy()
