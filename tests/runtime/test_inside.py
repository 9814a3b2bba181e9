"""A look inside the shipped network: parts that fit, and Grad-CAM as Keras has it."""

import numpy as np
import pytest

from hilum.errors import WeightsError
from hilum.primer import ops
from hilum.runtime.inside import OpenNetwork, grad_cam


@pytest.fixture(scope="module")
def inputs():
    rng = np.random.default_rng(2)
    ball = np.linalg.norm(np.indices((32, 32, 32)) - 15.5, axis=0) < 7
    hu = np.where(ball, 30, -850) + rng.normal(0, 30, ball.shape)
    return {
        "features": np.zeros((1, 87), np.float32),
        "hu": hu.astype(np.float32)[None, ..., None],
        "mask": ball.astype(np.float32)[None, ..., None],
    }


def test_the_head_goes_on_where_the_maps_end(inputs):
    network = OpenNetwork("malignancy", member=1)
    assert network.members == 5
    maps = network.maps(inputs)
    rating = network.rating(inputs)
    assert 1 <= rating[0] <= 5
    np.testing.assert_allclose(network.head(maps[-1].values[None]), rating, atol=1e-5)
    other = OpenNetwork("malignancy", member=0)
    assert abs(other.rating(inputs)[0] - rating[0]) > 1e-4


def test_the_first_map_is_the_first_filter_at_work(inputs):
    network = OpenNetwork("malignancy")
    filters, maps = network.filters(), network.maps(inputs)
    assert filters.shape == (16, 5, 5, 5, 2)
    assert [(m.kernel, m.stride) for m in maps] == [
        (5, 2), (3, 1), (3, 1), (3, 2), (3, 1), (3, 2), (3, 1),
    ]  # fmt: skip
    # what is added to each filter's sum is one number, its bias with the norm folded in
    window = ops.hu_window(inputs["hu"], -200, 1600)
    seen = np.concatenate([window, inputs["mask"]], axis=-1)
    sums = ops.convolve(seen, np.moveaxis(filters, 0, -1), stride=2, padding="same")
    values = maps[0].values
    for number in range(16):
        on = values[..., number] > 1e-3
        bias = values[on, number] - sums[0][on, number]
        assert bias.size == 0 or np.ptp(bias) < 1e-3
    assert (values > 1e-3).any(axis=(0, 1, 2)).sum() >= 8


def test_networks_of_another_task_and_other_members_are_refused():
    with pytest.raises(WeightsError, match="has 0 networks that rate malignancy"):
        OpenNetwork("segmentation")
    with pytest.raises(WeightsError, match="none of number 5"):
        OpenNetwork("malignancy", member=5)


@pytest.mark.slow
def test_grad_cam_is_what_gradients_give(tmp_path, inputs):
    keras = pytest.importorskip("keras", reason="Keras is not installed")
    tf = pytest.importorskip("tensorflow", reason="TensorFlow is not installed")
    if keras.backend.backend() != "tensorflow":
        pytest.skip("the gradient is TensorFlow's")
    from hilum.nn.models import malignancy_net  # noqa: PLC0415  needs Keras
    from hilum.runtime.export import export_weights  # noqa: PLC0415

    keras.utils.set_random_seed(3)
    model = malignancy_net((32, 32, 32), filters=(4, 6), units=8, dropout=0.0)
    model.save(tmp_path / "net.keras")
    export_weights(tmp_path / "net.keras", tmp_path / "net.xml")
    network = OpenNetwork(tmp_path / "net.xml")
    given = {name: inputs[name] for name in ("hu", "mask")}
    last = network.maps(given)[-1].values
    pool = next(x for x in model.layers if "GlobalAverage" in type(x).__name__)
    both = keras.Model(model.inputs, [pool.input, model.output["malignancy"]])
    with tf.GradientTape() as tape:
        maps, thresholds = both(given)
        tape.watch(maps)
        rating = tf.reduce_sum(both_head(keras, model, pool)(maps))
    weights = tf.reduce_mean(tape.gradient(rating, maps), axis=(0, 1, 2, 3))
    wanted = np.maximum(maps.numpy()[0] @ weights.numpy(), 0)
    np.testing.assert_allclose(last, maps.numpy()[0], atol=1e-4)
    np.testing.assert_allclose(
        network.rating(given), 1 + thresholds.numpy().sum(), atol=1e-4
    )
    found = grad_cam(network, last)
    np.testing.assert_allclose(found, wanted, atol=0.02 * max(wanted.max(), 1e-6))


def both_head(keras, model, pool):
    """The layers from the last map to the thresholds of malignancy."""
    start = keras.Input(pool.input.shape[1:])
    mean = keras.layers.GlobalAveragePooling3D()(start)
    largest = keras.layers.GlobalMaxPooling3D()(start)
    x = keras.layers.Concatenate()([mean, largest])
    after = model.layers[model.layers.index(pool) :]
    dense = [y for y in after if type(y).__name__ == "Dense"]
    hidden = next(y for y in dense if y.name not in model.output_names)
    x = keras.layers.Activation("relu")(hidden(x))
    return keras.Model(start, model.get_layer("malignancy")(x))
