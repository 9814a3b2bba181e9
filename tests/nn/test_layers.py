"""One harness for every layer of ours: what Keras asks of a layer, on each.

It runs on the active backend; `test_backends.py` runs it on JAX as well.
"""

import inspect
import json
import math
from dataclasses import dataclass, field

import keras
import numpy as np
import pytest
from keras import ops

from hilum.nn import layers


@dataclass(frozen=True)
class Case:
    """A layer with arguments that are not its defaults, and an input for it."""

    kind: type
    arguments: dict
    shape: tuple  # of an input, batch included
    other: tuple  # another size that the same layer takes
    random: bool = False  # in training
    learns: bool = False  # training changes more than chance does
    scale: float = 3.0
    output: tuple = field(default=())  # of `shape`; () for the same

    def make(self, **more):
        return self.kind(**{**self.arguments, **more})

    def input(self, shape=None):
        rng = np.random.default_rng(3)
        return rng.normal(size=shape or self.shape, scale=self.scale).astype("float32")

    @property
    def open_shape(self):
        """The input with every size unknown."""
        return (*[None] * (len(self.shape) - 2), self.shape[-1])


image, volume = (2, 7, 5, 4), (2, 4, 6, 5, 4)
CASES = {
    "HUWindow": Case(
        layers.HUWindow,
        {"level_hu": -100.0, "width_hu": 900.0},
        volume,
        (2, 3, 3, 9, 4),
        scale=800,
    ),
    "RandomizedLeakyReLU": Case(
        layers.RandomizedLeakyReLU,
        {"lower": 2.0, "upper": 6.0, "seed": 11},
        image,
        (2, 3, 9, 4),
        random=True,
    ),
    "NoisyReLU": Case(
        layers.NoisyReLU,
        {"stddev": 0.5, "seed": 11},
        volume,
        (1, 2, 3, 9, 4),
        random=True,
    ),
    "NoisyReLU, of the paper": Case(
        layers.NoisyReLU, {"seed": 11}, image, (2, 3, 9, 4), random=True
    ),
    "NoisyActivation": Case(
        layers.NoisyActivation,
        {"alpha": 0.9, "scale": 0.7, "half_normal": False, "seed": 11},
        volume,
        (1, 2, 3, 9, 4),
        random=True,
    ),
    "NoisyActivation, hard sigmoid": Case(
        layers.NoisyActivation,
        {"activation": "hard_sigmoid", "seed": 11},
        image,
        (1, 3, 9, 4),
        random=True,
        scale=6,
    ),
    "SpatialPyramidPooling2D": Case(
        layers.SpatialPyramidPooling2D,
        {"levels": [1, 3], "pooling": "average"},
        image,
        (2, 2, 11, 4),
        output=(2, (1 + 9) * 4),
    ),
    "SpatialPyramidPooling3D": Case(
        layers.SpatialPyramidPooling3D,
        {"levels": [1, 2]},
        volume,
        (1, 1, 3, 9, 4),
        output=(2, (1 + 8) * 4),
    ),
    "SpaceToDepth3D": Case(
        layers.SpaceToDepth3D,
        {"block_size": 2},
        (2, 4, 6, 2, 4),
        (1, 2, 2, 4, 4),
        output=(2, 2, 3, 1, 32),
    ),
    "CenterMark3D": Case(
        layers.CenterMark3D,
        {"width": 0.5},
        volume,
        (1, 2, 3, 9, 4),
        output=(2, 4, 6, 5, 5),
    ),
    "SqueezeExcite": Case(layers.SqueezeExcite, {"ratio": 2}, volume, (1, 2, 3, 9, 4)),
    "ResidualBlock": Case(
        layers.ResidualBlock,
        {"filters": 6, "strides": 2, "activation": "elu", "ratio": 3, "kernel_size": 1},
        volume,
        (2, 2, 3, 9, 4),
        learns=True,
        output=(2, 2, 3, 3, 6),
    ),
    "ResidualBlock, random": Case(
        layers.ResidualBlock,
        {"filters": 4, "activation": "rrelu", "seed": 5},
        image,
        (2, 3, 9, 4),
        random=True,
        learns=True,
    ),
}
each = pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())


def value(x):
    return ops.convert_to_numpy(ops.cast(x, "float32"))


def model_of(case, **more):
    inputs = keras.Input(case.open_shape)
    return keras.Model(inputs, case.make(name="ours", **more)(inputs))


def shake(layer):
    """Move every weight, so that a forgotten one shows."""
    rng = np.random.default_rng(5)
    for weight in layer.trainable_variables + layer.non_trainable_variables:
        if "seed" not in weight.path:
            start = value(weight.value)
            weight.assign(start + rng.uniform(0.1, 0.9, size=weight.shape))


def test_every_layer_has_a_case():
    ours = {
        name
        for name in layers.__all__
        if inspect.isclass(getattr(layers, name))
        and issubclass(getattr(layers, name), keras.layers.Layer)
    }
    # the one with two inputs is tested below
    assert ours == {case.kind.__name__ for case in CASES.values()} | {"CropLike"}


@each
def test_the_output_has_the_shape_that_was_announced(case):
    layer = case.make()
    y = layer(case.input())
    expected = case.output or case.shape
    assert tuple(y.shape) == tuple(layer.compute_output_shape(case.shape)) == expected
    assert np.isfinite(value(y)).all()


@pytest.mark.slow
@each
def test_sizes_may_be_unknown(case):
    model = model_of(case)
    announced = model.layers[-1].compute_output_shape((None, *case.open_shape))
    assert tuple(model.output.shape) == tuple(announced)
    assert announced[0] is None
    for shape in (case.shape, case.other):
        x = case.input(shape)
        whole = value(model(x))
        np.testing.assert_allclose(
            whole, value(model.layers[-1](x)), rtol=1e-5, atol=1e-6
        )
        predicted = model.predict(x, verbose=0)  # traced once, for all sizes
        np.testing.assert_allclose(predicted, whole, rtol=1e-4, atol=1e-5)


@each
def test_every_argument_is_an_attribute_and_in_the_config(case):
    parameters = inspect.signature(case.kind).parameters
    named = [n for n, p in parameters.items() if p.kind is not p.VAR_KEYWORD]
    layer = case.make()
    config = layer.get_config()
    assert set(case.arguments) <= set(named)
    for name in named:
        attribute = getattr(layer, name)
        expected = list(attribute) if isinstance(attribute, tuple) else attribute
        assert config[name] == expected
        if name in case.arguments:
            assert config[name] == case.arguments[name]


@each
def test_the_config_makes_the_same_layer(case):
    layer = case.make(name="ours", dtype="mixed_bfloat16", trainable=False)
    config = json.loads(json.dumps(keras.saving.serialize_keras_object(layer)))
    assert config["registered_name"] == f"hilum>{case.kind.__name__}"
    again = keras.saving.deserialize_keras_object(config)
    assert type(again) is case.kind
    assert again.get_config() == layer.get_config()
    assert (again.name, again.trainable) == ("ours", False)
    assert again.dtype_policy.name == "mixed_bfloat16"


@each
def test_survives_save_and_load(case, tmp_path):
    model = model_of(case)
    shake(model)
    x = case.input()
    drawn = value(model(x, training=True))  # moves seeds and statistics
    model.save(tmp_path / "m.keras")
    again = keras.models.load_model(tmp_path / "m.keras", safe_mode=True)
    np.testing.assert_array_equal(value(again(x)), value(model(x)))
    assert len(again.variables) == len(model.variables)
    # as in Keras, the random numbers of a loaded model start anew from the seed
    np.testing.assert_array_equal(value(again(x, training=True)), drawn)


@each
def test_chance_is_in_training_alone(case):
    def fresh(**more):
        keras.utils.set_random_seed(0)  # the same weights
        return case.make(**more)

    layer, x = fresh(), case.input()
    first = value(layer(x))
    np.testing.assert_array_equal(value(layer(x, training=False)), first)
    np.testing.assert_array_equal(value(layer(x)), first)
    trained = value(layer(x, training=True))
    if case.random:
        assert not np.array_equal(trained, first)
        assert not np.array_equal(value(layer(x, training=True)), trained)
        again, other = fresh(), fresh(seed=12)
        np.testing.assert_array_equal(value(again(x, training=True)), trained)
        assert not np.array_equal(value(other(x, training=True)), trained)
    elif not case.learns:
        np.testing.assert_array_equal(trained, first)


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.random])
def test_without_a_seed_the_seed_of_keras_counts(name):
    case = CASES[name]
    x = case.input()
    drawn = []
    for _ in range(2):
        keras.utils.set_random_seed(42)
        drawn.append(value(case.make(seed=None)(x, training=True)))
    np.testing.assert_array_equal(*drawn)
    assert not np.array_equal(value(case.make(seed=None)(x, training=True)), drawn[0])


@each
@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision_computes_in_half_and_keeps_weights_whole(case, policy):
    half = case.make(dtype=policy)
    x = case.input()
    y = half(x)
    assert keras.backend.standardize_dtype(y.dtype) == policy.removeprefix("mixed_")
    assert {v.dtype for v in half.trainable_variables} <= {"float32"}
    whole = case.make(dtype="float32")
    whole.build(x.shape)
    assert len(whole.weights) == len(half.weights)
    for theirs, ours in zip(whole.weights, half.weights, strict=True):
        theirs.assign(ours.value)
    expected = value(whole(x))
    np.testing.assert_allclose(
        value(y), expected, rtol=0.03, atol=0.03 * np.abs(expected).max()
    )
    assert np.isfinite(value(case.make(dtype=policy)(x, training=True))).all()


@pytest.mark.slow
@each
def test_a_model_with_it_trains_without_xla(case):
    keras.utils.set_random_seed(1)
    inputs = keras.Input(case.shape[1:])
    middle = keras.layers.Dense(case.shape[-1])(inputs)
    outputs = keras.layers.Dense(1)(
        keras.layers.Flatten()(case.make(name="ours")(middle))
    )
    model = keras.Model(inputs, outputs)
    # JAX has nothing but XLA: there it is whether a step is compiled as a whole
    model.compile("sgd", "mse", jit_compile=keras.backend.backend() == "jax")
    x = case.input() / case.scale
    before = [value(v.value) for v in model.trainable_variables]
    history = model.fit(x, np.ones((len(x), 1)), epochs=2, verbose=0)
    assert np.isfinite(history.history["loss"]).all()
    after = [value(v.value) for v in model.trainable_variables]
    # the gradient goes through it, to the layer before and to its own weights
    for old, new, v in zip(before, after, model.trainable_variables, strict=True):
        assert np.isfinite(new).all()
        assert not np.array_equal(old, new), v.path


# --- the layer with two inputs


def croppers(*sizes):
    """A model that cuts its first input to its second."""
    inputs = [keras.Input((*size, 2)) for size in sizes]
    return keras.Model(inputs, layers.CropLike(name="ours")(inputs))


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_cropping_keeps_the_beginning_of_every_axis(rank):
    sizes, smaller = (5, 6, 4)[:rank], (4, 6, 1)[:rank]
    x = np.arange(2 * math.prod(sizes) * 2, dtype="float32").reshape(2, *sizes, 2)
    like = np.zeros((2, *smaller, 7), "float32")
    y = layers.CropLike()([x, like])
    expected = x[(slice(None), *map(slice, smaller))]
    np.testing.assert_array_equal(value(y), expected)
    announced = layers.CropLike().compute_output_shape([x.shape, like.shape])
    assert announced == expected.shape


def test_cropping_survives_save_and_load_in_every_size(tmp_path):
    model = croppers((None, None), (None, None))
    model.save(tmp_path / "m.keras")
    again = keras.models.load_model(tmp_path / "m.keras", safe_mode=True)
    assert type(again.get_layer("ours")) is layers.CropLike
    for size, smaller in [((4, 6), (3, 5)), ((8, 2), (8, 1))]:
        pair = [np.ones((2, *size, 2), "float32"), np.ones((2, *smaller, 2), "float32")]
        assert again(pair).shape == (2, *smaller, 2)
        assert again.predict(pair, verbose=0).shape == (2, *smaller, 2)


def test_cropping_knows_the_sizes_that_are_known():
    assert croppers((4, 6), (3, 5)).output.shape == (None, 3, 5, 2)
    assert croppers((None, 6), (None, 5)).output.shape == (None, None, 5, 2)
    assert croppers((4, 6), (None, 5)).output.shape == (None, None, 5, 2)


def test_the_gradient_goes_through_cropping():
    inputs = keras.Input((4, 2))
    whole = keras.layers.Dense(2)(inputs)
    cut = layers.CropLike()([whole, keras.layers.MaxPooling1D(2)(inputs)])
    model = keras.Model(inputs, cut)
    model.compile("sgd", "mse", jit_compile=False)
    before = value(model.trainable_variables[0].value)
    model.fit(np.ones((2, 4, 2)), np.ones((2, 2, 2)), epochs=1, verbose=0)
    assert not np.array_equal(before, value(model.trainable_variables[0].value))
