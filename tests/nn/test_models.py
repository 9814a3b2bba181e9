"""Models: parameters counted by hand, any size, save and load, training."""

import keras
import numpy as np
import pytest
from keras import ops

from hilum.nn.layers import ACTIVATIONS, CropLike
from hilum.nn.models import (
    RATING_CATEGORIES,
    elu_network,
    malignancy_net,
    segmentation_net,
    simple_cnn,
)
from hilum.nn.models.classifiers import scaled


def value(x):
    return ops.convert_to_numpy(x)


def hu(*shape, seed=0):
    return np.random.default_rng(seed).normal(-500, 400, size=shape).astype("float32")


def nodule(n, batch=2):
    patch = hu(batch, n, n, n, 1)
    return {"hu": patch, "mask": (patch > -300).astype("float32")}


# name -> how to build it for any size, and an input of one and of another size
OPEN = {
    "simple_cnn 2D": (
        lambda: simple_cnn((None, None, 1), 3, filters=(4, 6), units=8),
        hu(2, 9, 13, 1),
        hu(1, 30, 7, 1),
    ),
    "simple_cnn 3D": (
        lambda: simple_cnn(
            (None, None, None, 1), 2, filters=(4, 6), units=8, activation="prelu"
        ),
        hu(2, 7, 9, 8, 1),
        hu(1, 12, 5, 6, 1),
    ),
    "elu_network 2D": (
        lambda: elu_network((None, None, 1), 5, width=1 / 128),
        hu(2, 20, 33, 1),
        hu(1, 9, 40, 1),
    ),
    "elu_network 3D": (
        lambda: elu_network((None, None, None, 1), 5, width=1 / 256),
        hu(1, 9, 17, 12, 1),
        hu(1, 12, 6, 20, 1),
    ),
    "malignancy_net": (
        lambda: malignancy_net((None,) * 3, filters=(4, 6), units=8),
        nodule(16),
        nodule(10),
    ),
    "malignancy_net, space to depth": (
        lambda: malignancy_net(
            (None,) * 3, filters=(4, 6), units=8, stem="space_to_depth", mask=False
        ),
        {"hu": nodule(16)["hu"]},
        {"hu": nodule(10)["hu"]},
    ),
    "segmentation_net": (
        lambda: segmentation_net((None,) * 3, filters=(4, 6, 8)),
        hu(2, 8, 12, 16, 1),
        hu(1, 7, 1, 10, 1),
    ),
}
each = pytest.mark.parametrize(("build", "one", "other"), OPEN.values(), ids=OPEN)


def rows_of(outputs):
    """Every array of an output that may be a dictionary."""
    return [value(y) for y in keras.tree.flatten(outputs)]


# --- any size, save and load, training


@each
def test_one_model_takes_every_size(build, one, other):
    model = build()
    for x in (one, other):
        outputs = rows_of(model(x))
        batch = len(keras.tree.flatten(x)[0])
        assert all(len(y) == batch for y in outputs)
        assert all(((y >= 0) & (y <= 1)).all() for y in outputs)


@pytest.mark.slow
@each
def test_a_model_survives_save_and_load(build, one, other, tmp_path):
    model = build()
    model.save(tmp_path / "m.keras")
    again = keras.models.load_model(tmp_path / "m.keras", safe_mode=True)
    for ours, theirs in zip(rows_of(model(one)), rows_of(again(one)), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert again.count_params() == model.count_params()
    for ours, theirs in zip(model.layers, again.layers, strict=True):
        assert (type(ours), ours.name) == (type(theirs), theirs.name)


@pytest.mark.slow
@each
def test_every_weight_of_a_model_learns(build, one, other):
    keras.utils.set_random_seed(3)
    model = build()
    model.compile("adam", "mse", run_eagerly=True)  # no graph to trace: faster
    before = [value(v.value) for v in model.trainable_variables]
    targets = keras.tree.map_structure(lambda y: np.ones(y.shape) / 2, model(one))
    history = model.fit(one, targets, epochs=2, verbose=0)
    assert np.isfinite(history.history["loss"]).all()
    for old, v in zip(before, model.trainable_variables, strict=True):
        assert not np.array_equal(old, value(v.value)), v.path


@pytest.mark.slow
@each
def test_outputs_are_float32_under_mixed_precision(build, one, other):
    # bfloat16: TensorFlow on CPU has no max-pooling in 3D for float16
    keras.utils.set_random_seed(3)
    whole = rows_of(build()(one))
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        keras.utils.set_random_seed(3)
        outputs = build()(one)
    finally:
        keras.config.set_dtype_policy("float32")
    for half, exact in zip(keras.tree.flatten(outputs), whole, strict=True):
        assert keras.backend.standardize_dtype(half.dtype) == "float32"
        np.testing.assert_allclose(value(half), exact, atol=0.06)


@pytest.mark.slow
@each
def test_the_same_seed_builds_the_same_model(build, one, other):
    outputs = []
    for seed in (1, 1, 2):
        keras.utils.set_random_seed(seed)
        outputs.append(rows_of(build()(one))[0])
    np.testing.assert_array_equal(outputs[0], outputs[1])
    assert not np.array_equal(outputs[0], outputs[2])


# --- simple_cnn


def test_the_parameters_of_the_simple_cnn_by_hand():
    # 2D, 1 channel, filters 16, 32, 64, 64 units, 2 classes; 9 weights a kernel
    convolutions = (9 * 1 * 16 + 16) + (9 * 16 * 32 + 32) + (9 * 32 * 64 + 64)  # 23296
    norms = 4 * (16 + 32 + 64)  # scale, shift, moving mean, moving variance: 448
    pyramid = (1 + 4) * 64  # 320 inputs to the dense layer
    decision = (pyramid * 64 + 64) + (64 * 2 + 2)  # 20674
    model = simple_cnn((64, 64, 1), 2)
    assert model.count_params() == convolutions + norms + decision == 44_418
    plain = simple_cnn((64, 64, 1), 2, batch_norm=False)
    assert plain.count_params() == convolutions + decision


def test_the_simple_cnn_is_the_sequence_of_the_article():
    kinds = [type(layer).__name__ for layer in simple_cnn((32, 32, 1), 2).layers]
    block = ["Conv2D", "Activation", "MaxPooling2D", "BatchNormalization"]
    assert kinds == [
        "InputLayer",
        "HUWindow",
        *block * 3,
        "SpatialPyramidPooling2D",
        "Dense",
        "Activation",
        "Dense",
        "Softmax",
    ]


@pytest.mark.slow
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_any_activation_by_name(name):
    model = simple_cnn((16, 16, 1), 3, filters=(4,), units=5, activation=name)
    y = value(model(hu(2, 16, 16, 1)))
    np.testing.assert_allclose(y.sum(axis=1), 1, rtol=1e-5)
    model.compile("sgd", "categorical_crossentropy", jit_compile=False)
    loss = model.train_on_batch(hu(2, 16, 16, 1), np.eye(3)[:2])
    assert np.isfinite(loss)


def test_without_a_window_any_intensity_goes_in():
    model = simple_cnn((8, 8, 2), 2, filters=(3,), window_hu=None)
    assert [type(layer).__name__ for layer in model.layers[:2]] == [
        "InputLayer",
        "Conv2D",
    ]
    # what lies above the window is one and the same with it, and is not without
    bright = np.full((1, 8, 8, 1), 3000, "float32")
    with_it = simple_cnn((8, 8, 1), 2, filters=(3,))
    np.testing.assert_array_equal(value(with_it(bright)), value(with_it(bright / 2)))
    assert not np.array_equal(
        value(model(np.ones((1, 8, 8, 2)))), value(model(np.zeros((1, 8, 8, 2))))
    )


def test_models_refuse_other_shapes_and_names():
    with pytest.raises(ValueError, match=r"Received: input_shape=\(9, 1\)$"):
        simple_cnn((9, 1), 2)
    with pytest.raises(ValueError, match=r"Received: name=rely$"):
        simple_cnn((9, 9, 1), 2, activation="rely")
    with pytest.raises(ValueError, match=r"Received: stem=patchify$"):
        malignancy_net(stem="patchify")


# --- elu_network


def elu_parameters(width, rank, channels, classes):
    """Count them from the article's list, layer by layer.

    A convolution has field^rank * inputs * units weights and a bias for each unit,
    a dense layer inputs * units and a bias; the pyramid has 1 + 2^rank + 4^rank bins.
    """
    total, inputs = 0, channels
    for layers, units, field in [(1, 96, 6), (3, 512, 3), (5, 768, 3), (3, 1024, 3)]:
        for _ in range(layers):
            total += field**rank * inputs * round(units * width) + round(units * width)
            inputs = round(units * width)
    inputs *= 1 + 2**rank + 4**rank
    for units in (round(4096 * width), round(4096 * width), classes):
        total += inputs * units + units
        inputs = units
    return total


def test_the_parameters_of_the_elu_network_by_hand():
    # 2D, three channels, full width:
    convolutions = [
        36 * 3 * 96 + 96,  # 10,464
        9 * 96 * 512 + 512,  # 442,880
        2 * (9 * 512 * 512 + 512),  # 4,719,616
        9 * 512 * 768 + 768,  # 3,539,712
        4 * (9 * 768 * 768 + 768),  # 21,236,736
        9 * 768 * 1024 + 1024,  # 7,078,912
        2 * (9 * 1024 * 1024 + 1024),  # 18,876,416
    ]
    dense = [
        21 * 1024 * 4096 + 4096,  # 88,084,480: 1 + 4 + 16 bins
        4096 * 4096 + 4096,  # 16,781,312
        4096 * 1000 + 1000,  # 4,097,000
    ]
    assert sum(convolutions) == 55_904_736
    assert sum(dense) == 108_962_792
    assert sum(convolutions) + sum(dense) == 164_867_528
    assert elu_parameters(1, rank=2, channels=3, classes=1000) == 164_867_528


@pytest.mark.parametrize(("rank", "width"), [(2, 1 / 16), (2, 1 / 32), (3, 1 / 64)])
def test_the_elu_network_has_them_at_every_width(rank, width):
    model = elu_network((*[None] * rank, 1), 7, width=width)
    expected = elu_parameters(width, rank, channels=1, classes=7)
    assert model.count_params() == expected


@pytest.mark.slow  # 660 MB of weights
def test_the_elu_network_has_them_at_full_width():
    model = elu_network((None, None, 3), window_hu=None)
    assert model.count_params() == 164_867_528


def test_the_elu_network_is_the_list_of_the_article():
    model = elu_network((64, 64, 1), 10, width=1 / 16)
    found = []
    for layer in model.layers:
        kind = type(layer).__name__
        if kind == "Conv2D":
            found.append((layer.filters, layer.kernel_size[0]))
        elif kind == "Dense":
            found.append(layer.units)
        elif kind in ("MaxPooling2D", "SpatialPyramidPooling2D"):
            found.append(kind)
    pool = "MaxPooling2D"
    assert found == [
        *[(6, 6), pool],
        *[(32, 3)] * 3,
        pool,
        *[(48, 3)] * 5,
        pool,
        *[(64, 3)] * 3,
        *[pool, "SpatialPyramidPooling2D"],
        *[256, 256, 10],
    ]
    weighted = [layer for layer in model.layers if layer.trainable_weights]
    assert len(weighted) == 15
    names = [type(layer).__name__ for layer in model.layers]
    assert (names.count("ELU"), names.count("Dropout")) == (14, 2)


def test_weight_decay_is_half_the_squares():
    model = elu_network((8, 8, 1), 2, width=1 / 512, weight_decay=0.01)
    kernels = [layer.kernel for layer in model.layers if hasattr(layer, "kernel")]
    squares = sum(float((value(k.value) ** 2).sum()) for k in kernels)
    model(hu(1, 8, 8, 1))
    np.testing.assert_allclose(float(sum(model.losses)), 0.01 / 2 * squares, rtol=1e-5)


def test_a_unit_is_left_of_every_layer():
    assert [scaled(96, w) for w in (1, 0.5, 0.01, 0.001)] == [96, 48, 1, 1]


# --- malignancy_net


def block_parameters(inputs, filters, *, project):
    """Two convolutions of 27 weights without bias, and 4 numbers a channel a norm."""
    count = 27 * inputs * filters + 27 * filters * filters + 2 * 4 * filters
    return count + (inputs * filters + 4 * filters if project else 0)


def test_the_parameters_of_the_malignancy_net_by_hand():
    stem = 125 * 2 * 16 + 4 * 16  # image and mask: 4,064
    blocks = (
        block_parameters(16, 16, project=False)  # 13,952
        + block_parameters(16, 24, project=True)  # 26,592
        + block_parameters(24, 32, project=True)  # 49,536
    )
    described = 2 * 32 * 48 + 48  # average and maximum: 3,120
    ratings = (7 * 4 + 5) * (48 + 1)  # 7 ratings of 1 to 5, one of 1 to 6: 1,617
    model = malignancy_net()
    assert model.count_params() == stem + blocks + described + ratings == 98_881


def test_the_malignancy_net_rates_everything():
    outputs = malignancy_net((16,) * 3, filters=(4, 6), units=8)(nodule(16))
    assert set(outputs) == {
        "malignancy",
        "texture",
        "spiculation",
        "lobulation",
        "margin",
        "sphericity",
        "calcification",
        "subtlety",
    }
    for name, y in outputs.items():
        assert y.shape == (2, RATING_CATEGORIES[name] - 1)


def test_the_mask_matters_and_may_be_left_out():
    patches = nodule(16)
    model = malignancy_net((16,) * 3, filters=(4, 6), units=8)
    other = {"hu": patches["hu"], "mask": 1 - patches["mask"]}
    assert not np.array_equal(
        value(model(patches)["malignancy"]), value(model(other)["malignancy"])
    )
    alone = malignancy_net((16,) * 3, filters=(4, 6), units=8, mask=False)
    assert [tensor.name for tensor in alone.inputs] == ["hu"]


# --- segmentation_net


def test_the_parameters_of_the_segmentation_net_by_hand():
    def twice(inputs, filters):
        return 27 * inputs * filters + 27 * filters**2 + 2 * 4 * filters

    down = twice(1, 12) + twice(12, 24) + twice(24, 48)  # 4308 + 23520 + 93696
    up = (8 * 48 * 24 + 24) + twice(24 + 24, 24)  # 9240 + 46848
    up += (8 * 24 * 12 + 12) + twice(12 + 12, 12)  # 2316 + 11760
    outline = 12 + 1
    assert segmentation_net().count_params() == down + up + outline == 191_701


@pytest.mark.parametrize("sizes", [(8, 12, 4), (7, 9, 5), (6, 1, 2)])
def test_the_outline_has_the_size_of_the_patch(sizes):
    # one network of open size and one of this size give the same
    open_net = segmentation_net((None,) * 3, filters=(3, 4, 5))
    closed = segmentation_net(sizes, filters=(3, 4, 5))
    closed.set_weights(open_net.get_weights())
    assert closed.output.shape == (None, *sizes, 1)
    patch = hu(2, *sizes, 1)
    assert open_net(patch).shape == (2, *sizes, 1)
    np.testing.assert_allclose(value(open_net(patch)), value(closed(patch)), atol=1e-6)
    multiples = all(size % 4 == 0 for size in sizes)
    assert any(type(layer) is CropLike for layer in closed.layers) != multiples


@pytest.mark.slow
def test_the_outline_lies_where_the_input_lies():
    # off the centre, with three different edges: a swapped or shifted axis shows
    keras.utils.set_random_seed(0)
    patch = np.full((1, 8, 8, 8, 1), -900, "float32")
    patch[0, 1:4, 1:5, 4:8] = 50
    truth = patch > 0
    model = segmentation_net((None,) * 3, filters=(4, 6))
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.5  # 60 steps are too few for moving averages of 0.99
    model.compile(keras.optimizers.Adam(0.03), "binary_crossentropy", jit_compile=False)
    model.fit(patch, truth.astype("float32"), epochs=60, verbose=0)
    found = model.predict_on_batch(patch) > 0.5

    def overlap(other):
        return (found & other).sum() / (found | other).sum()

    assert overlap(truth) > 0.9
    for axis in (1, 2, 3):
        assert overlap(np.roll(truth, 1, axis)) < 0.8
        assert overlap(np.flip(truth, axis)) < 0.8


def test_the_stem_of_space_to_depth_by_hand():
    # 1 channel of HU and 1 of the mask become 16 by 2^3; then 3^3 to 4 filters
    model = malignancy_net((16, 16, 16), filters=(4, 4), units=4, stem="space_to_depth")
    stem = next(x for x in model.layers if isinstance(x, keras.layers.Conv3D))
    assert stem.kernel.shape == (3, 3, 3, 16, 4)


def test_the_malignancy_net_sees_the_maximum_as_well_as_the_mean():
    kinds = {type(layer).__name__ for layer in malignancy_net((16, 16, 16)).layers}
    assert {"GlobalAveragePooling3D", "GlobalMaxPooling3D"} <= kinds
