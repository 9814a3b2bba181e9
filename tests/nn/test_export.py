"""Every model as OpenVINO IR, by Keras's own exporter, gives the same numbers."""

import keras
import numpy as np
import pytest
from keras import ops

from hilum.nn.layers import ACTIVATIONS, SpatialPyramidPooling3D
from hilum.nn.models import elu_network, malignancy_net, segmentation_net, simple_cnn

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        keras.backend.backend() != "tensorflow", reason="the export is TensorFlow's"
    ),
]
ov = pytest.importorskip("openvino")


def hu(*shape):
    return np.random.default_rng(0).normal(-500, 400, size=shape).astype("float32")


def shake(model):
    """Move the statistics of the norms away from 0 and 1, and leave units alive."""
    rng = np.random.default_rng(5)
    for v in model.non_trainable_variables:
        if v.path.endswith("moving_mean"):
            v.assign(rng.uniform(-0.3, 0.3, size=v.shape))
        elif v.path.endswith("moving_variance"):
            v.assign(rng.uniform(0.5, 1.5, size=v.shape))


@pytest.fixture(autouse=True)
def same_weights():
    """Another draw might leave all units dead, and a constant compares nothing."""
    keras.utils.set_random_seed(0)


def exported(model, folder):
    """The IR, to be run in float32."""
    path = str(folder / "model.xml")
    model.export(path, format="openvino", verbose=False)
    options = {"INFERENCE_PRECISION_HINT": "f32"}  # else bf16, where the CPU has it
    return ov.Core().compile_model(path, "CPU", options)


def run(compiled, inputs):
    """Outputs by name, or "" for the only one."""
    results = compiled(inputs if isinstance(inputs, dict) else [inputs])
    if len(compiled.outputs) == 1:
        return {"": results[0]}
    return {output.any_name: results[output] for output in compiled.outputs}


def by_name(outputs):
    outputs = outputs if isinstance(outputs, dict) else {"": outputs}
    return {name: ops.convert_to_numpy(y) for name, y in outputs.items()}


def assert_the_same(model, folder, *inputs):
    shake(model)
    assert inputs
    compiled = exported(model, folder)
    for x in inputs:
        expected = by_name(model(x, training=False))
        found = run(compiled, x)
        assert set(found) == set(expected)
        for name, y in expected.items():
            assert np.ptp(y) > 1e-3  # a constant would be the same, too
            np.testing.assert_allclose(found[name], y, atol=1e-4)


def patches(n):
    patch = hu(3, n, n, n, 1)
    return {"hu": patch, "mask": (patch > -300).astype("float32")}


def test_the_simple_cnn(tmp_path):
    assert_the_same(simple_cnn((64, 64, 1), 3), tmp_path, hu(2, 64, 64, 1))
    volume = simple_cnn((None, None, None, 1), 3, filters=(8, 8))
    assert_the_same(volume, tmp_path, hu(2, 16, 12, 9, 1), hu(1, 7, 20, 11, 1))


def test_the_elu_network(tmp_path):
    image = elu_network((None, None, 1), 10, width=1 / 16)
    assert_the_same(image, tmp_path, hu(2, 64, 48, 1), hu(1, 40, 71, 1))
    volume = elu_network((24, 20, 16, 1), 10, width=1 / 64)
    assert_the_same(volume, tmp_path, hu(1, 24, 20, 16, 1))


@pytest.mark.parametrize("stem", ["convolution", "space_to_depth"])
def test_the_malignancy_net(tmp_path, stem):
    assert_the_same(malignancy_net(stem=stem), tmp_path, patches(32))
    any_size = malignancy_net((None,) * 3, stem=stem, filters=(8, 12))
    assert_the_same(any_size, tmp_path, patches(16), patches(20))


def test_the_segmentation_net(tmp_path):
    assert_the_same(segmentation_net((32,) * 3), tmp_path, hu(1, 32, 32, 32, 1))
    any_size = segmentation_net((None,) * 3, filters=(8, 12))
    assert_the_same(any_size, tmp_path, hu(1, 16, 8, 24, 1), hu(2, 5, 11, 2, 1))


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_activation(tmp_path, activation):
    model = simple_cnn((16, 16, 1), 3, filters=(6, 8), activation=activation)
    assert_the_same(model, tmp_path, hu(4, 16, 16, 1))


@pytest.mark.parametrize("pooling", ["max", "average"])
def test_a_pyramid_of_open_size(tmp_path, pooling):
    inputs = keras.Input((None, None, None, 2))
    model = keras.Model(inputs, SpatialPyramidPooling3D((1, 3), pooling)(inputs))
    assert_the_same(model, tmp_path, hu(1, 5, 7, 4, 2), hu(2, 1, 2, 9, 2))


def test_the_network_of_the_outlines_has_one_output(tmp_path):
    from hilum.training.segmentation_network import outline_net  # noqa: PLC0415

    model = outline_net((8, 8, 8), filters=(4, 8))
    shake(model)
    compiled = exported(model, tmp_path)
    assert len(compiled.outputs) == 1
    x = hu(2, 8, 8, 8, 1)
    expected = ops.convert_to_numpy(model(x))
    assert expected.std() > 0.01
    np.testing.assert_allclose(run(compiled, x)[""], expected, atol=1e-4)
