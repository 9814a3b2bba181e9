"""A network as a function: loaded once, from Keras or OpenVINO, and only if trusted."""

import json
import shutil
import zipfile

import keras
import numpy as np
import pytest

from hilum.errors import InputError, WeightsError
from hilum.nn.layers import HUWindow
from hilum.nn.models import detection_net, malignancy_net, segmentation_net
from hilum.runtime.export import export_weights
from hilum.runtime.predictor import Predictor, _hint, load_predictor

HU = np.random.default_rng(0).normal(-500, 400, (2, 8, 8, 8, 1)).astype("float32")


def tiny_net():
    keras.utils.set_random_seed(0)
    x = inputs = keras.Input((8, 8, 8, 1), name="hu")
    x = HUWindow(-600.0, 1500.0)(x)
    x = keras.layers.Conv3D(4, 3, activation="relu", padding="same")(x)
    return keras.Model(inputs, keras.layers.Conv3D(1, 1, activation="sigmoid")(x))


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "tiny.keras"
    model = tiny_net()
    model.save(path)
    return path, keras.ops.convert_to_numpy(model(HU, training=False))


@pytest.fixture(scope="module")
def exported(saved):
    path = saved[0].with_name("tiny.xml")
    return export_weights(saved[0], path, calibration=[HU])


@pytest.fixture
def copies(saved, exported, tmp_path):
    """Copies of all files that may be damaged."""
    assert exported.path.exists()
    for path in saved[0].parent.iterdir():
        shutil.copy(path, tmp_path)
    return tmp_path


def test_a_keras_file_gives_what_the_model_gave(saved):
    predictor = load_predictor(saved[0])
    np.testing.assert_allclose(predictor(HU), saved[1], atol=1e-6)
    assert predictor.precision == "fp32"
    assert set(predictor.sha256) == {"tiny.keras"}


@pytest.mark.slow
def test_an_ir_gives_what_the_model_gave(saved, exported):
    predictor = load_predictor(exported.path)
    np.testing.assert_allclose(predictor(HU), saved[1], atol=1e-4)
    assert exported.largest_difference <= 1e-4
    assert set(predictor.sha256) == {"tiny.xml", "tiny.bin"}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["calibration", "typical"])
def test_what_lies_beside_weights_travels_with_the_export(copies, name):
    text = '{"slope": 1.0, "offset": 0.0}'
    (copies / f"tiny.{name}.json").write_text(text)
    made = export_weights(copies / "tiny.keras", copies / "new.xml", calibration=[HU])
    assert (copies / f"new.{name}.json").read_text() == text
    assert set(load_predictor(str(made.path)).sha256) == {
        "new.xml",
        "new.bin",
        f"new.{name}.json",
    }
    (copies / f"new.{name}.json").write_text("{}")
    with pytest.raises(WeightsError, match="damaged or was replaced"):
        load_predictor(str(made.path))


def test_answers_stay_what_they_were_after_the_next_call(exported):
    predictor = load_predictor(exported.path)
    first = predictor(HU)
    kept = first.copy()
    predictor(HU + 500)
    np.testing.assert_array_equal(first, kept)


def test_a_network_is_loaded_once(saved, exported):
    assert load_predictor(saved[0]) is load_predictor(saved[0])
    assert load_predictor(saved[0]) is not load_predictor(exported.path)


def test_a_file_that_changed_is_loaded_anew(copies):
    first = load_predictor(copies / "tiny.keras")
    other = tiny_net()
    other.layers[-1].kernel.assign(other.layers[-1].kernel + 1)
    other.save(copies / "tiny.keras")
    assert np.abs(load_predictor(copies / "tiny.keras")(HU) - first(HU)).max() > 0.01


@pytest.mark.parametrize("name", ["tiny.keras", "tiny.xml", "tiny.bin"])
@pytest.mark.parametrize("share", [0.0, 0.5, 0.98])
def test_half_a_file_is_refused(copies, name, share):
    whole = (copies / name).read_bytes()
    (copies / name).write_bytes(whole[: int(share * len(whole))])
    (copies / "tiny.json").unlink()  # so that it is not the digest that tells
    path = copies / ("tiny.keras" if name.endswith("keras") else "tiny.xml")
    with pytest.raises(WeightsError, match=r"again|Copy"):
        load_predictor(path)


def test_an_xml_without_its_bin_is_refused(copies):
    (copies / "tiny.json").unlink()
    (copies / "tiny.bin").unlink()
    with pytest.raises(WeightsError, match="Copy both files"):
        load_predictor(copies / "tiny.xml")


@pytest.mark.parametrize("name", ["tiny.keras", "tiny.xml"])
def test_a_foreign_file_is_refused(copies, name):
    (copies / "tiny.json").unlink()
    (copies / name).write_bytes(b"%PDF-1.7 not a network")
    with pytest.raises(WeightsError, match=r"again|Copy"):
        load_predictor(copies / name)


def rewritten(path, change):
    """Change the configuration inside a .keras file."""
    with zipfile.ZipFile(path) as old:
        parts = {name: old.read(name) for name in old.namelist()}
    config = json.loads(parts["config.json"])
    change(config["config"]["layers"])
    parts["config.json"] = json.dumps(config).encode()
    with zipfile.ZipFile(path, "w") as new:
        for name, content in parts.items():
            new.writestr(name, content)


@pytest.mark.parametrize(
    ("module", "name"),
    [("os", "system"), ("keras.config", "enable_unsafe_deserialization")],
)
def test_code_in_a_keras_file_is_refused(copies, module, name):
    def change(layers):
        layers[2]["config"]["activation"] = {
            "module": module,
            "class_name": "function",
            "config": name,
            "registered_name": name,
        }

    rewritten(copies / "tiny.keras", change)
    with pytest.raises(WeightsError, match="a source you trust"):
        load_predictor(copies / "tiny.keras")


def test_a_name_that_only_looks_like_ours_is_refused(copies):
    def change(layers):
        layers[1].update(module="os", class_name="System", registered_name="hilum>Sys")

    rewritten(copies / "tiny.keras", change)
    with pytest.raises(WeightsError, match="a source you trust"):
        load_predictor(copies / "tiny.keras")


def test_weights_of_another_network_are_refused(copies):
    def change(layers):
        layers[2]["config"]["filters"] = 5  # the file holds the weights of 4

    rewritten(copies / "tiny.keras", change)
    with pytest.raises(WeightsError, match=r"cannot be loaded.*again"):
        load_predictor(copies / "tiny.keras")


def test_a_lambda_is_refused(tmp_path):
    inputs = keras.Input((4,))
    model = keras.Model(inputs, keras.layers.Lambda(lambda x: x * 2)(inputs))
    model.save(tmp_path / "lambda.keras")
    with pytest.raises(WeightsError, match="a source you trust"):
        Predictor(tmp_path / "lambda.keras")


@pytest.mark.parametrize("kind", ["keras", "xml"])
def test_inputs_of_another_shape_are_refused(saved, exported, kind):
    path = saved[0] if kind == "keras" else exported.path
    with pytest.raises(WeightsError, match="another task"):
        load_predictor(path)(HU[:, :5])


def test_an_export_of_unknown_precision_is_refused(saved, tmp_path):
    with pytest.raises(InputError, match="fp32, bf16, int8"):
        export_weights(saved[0], tmp_path / "x.xml", precision="fp8")


def test_int8_without_calibration_is_refused(saved, tmp_path):
    with pytest.raises(InputError, match="calibration"):
        export_weights(saved[0], tmp_path / "x.xml", precision="int8")


def test_an_export_to_another_kind_of_file_is_refused(saved, tmp_path):
    with pytest.raises(InputError, match=r"ends in \.xml"):
        export_weights(saved[0], tmp_path / "x.onnx")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("precision", "flags", "hint"),
    [
        ("bf16", "avx512_bf16 amx_tile amx_bf16", "bf16"),
        ("bf16", "avx512_bf16", "f32"),  # slower in it
        ("bf16", "avx512_bf16\nvendor_id\t: AuthenticAMD", "bf16"),
        ("bf16", "avx512f\nvendor_id\t: AuthenticAMD", "f32"),
        ("fp32", "amx_bf16", "f32"),
        ("int8", "amx_bf16", "f32"),
    ],
)
def test_bf16_is_computed_in_only_where_it_is_faster(tmp_path, precision, flags, hint):
    (tmp_path / "cpuinfo").write_text(f"flags\t: fpu {flags}\n")
    assert _hint(precision, tmp_path / "cpuinfo") == hint


def test_where_nothing_is_told_of_the_processor_it_is_fp32(tmp_path):
    assert _hint("bf16", tmp_path / "absent") == "f32"


@pytest.mark.slow
def test_bf16_is_half_as_large_and_close(saved, exported, tmp_path):
    made = export_weights(saved[0], tmp_path / "b.xml", precision="bf16")
    whole, half = (
        p.with_suffix(".bin").stat().st_size for p in (exported.path, made.path)
    )
    assert half < 0.6 * whole
    assert made.largest_difference < 0.05
    assert load_predictor(made.path).precision == "bf16"


@pytest.mark.slow
@pytest.mark.parametrize("sizes", [(16, 16, 16), (None, None, None)])
def test_int8_is_close(tmp_path, capsys, sizes):
    model = segmentation_net(sizes, filters=(8, 16, 16))  # two transposed convolutions
    model.save(tmp_path / "s.keras")
    patches = [HU.repeat(2, 1).repeat(2, 2).repeat(2, 3) + 20 * n for n in range(10)]
    made = export_weights(
        tmp_path / "s.keras", tmp_path / "s.xml", precision="int8", calibration=patches
    )
    assert 0 < made.largest_difference < 0.1
    predict = load_predictor(made.path)
    assert predict.precision == "int8"
    assert predict(np.concatenate(patches)).shape == (20, 16, 16, 16, 1)  # any batch
    assert capsys.readouterr().out == ""


@pytest.mark.slow
def test_what_answers_strongest_in_few_inputs_is_kept_in_int8(tmp_path):
    # NNCF by itself would take the mean of the largest answers as the end of a range
    inputs = keras.Input((4, 4, 4, 1))
    x = keras.layers.Conv3D(8, 1, activation="relu", kernel_initializer="ones")(inputs)
    outputs = keras.layers.Conv3D(1, 1, kernel_initializer="ones")(x)
    keras.Model(inputs, outputs).save(tmp_path / "w.keras")
    usual = [np.full((1, 4, 4, 4, 1), 0.1 + 0.01 * n, np.float32) for n in range(19)]
    strong = np.full((1, 4, 4, 4, 1), 10.0, np.float32)
    made = export_weights(
        tmp_path / "w.keras",
        tmp_path / "w.xml",
        precision="int8",
        calibration=[*usual, strong],
    )
    assert load_predictor(made.path)(strong) == pytest.approx(80.0, rel=0.03)


@pytest.mark.slow
def test_in_int8_every_convolution_runs_in_8_bits(tmp_path):
    openvino = pytest.importorskip("openvino", reason="OpenVINO is not installed")
    detection_net(filters=(8, 8, 16, 16)).save(tmp_path / "d.keras")  # joins levels
    blocks = [HU.repeat(2, 1).repeat(2, 2).repeat(2, 3) + 20 * n for n in range(4)]
    export_weights(
        tmp_path / "d.keras", tmp_path / "d.xml", precision="int8", calibration=blocks
    )
    core = openvino.Core()
    compiled = core.compile_model(
        tmp_path / "d.xml", "CPU", {"INFERENCE_PRECISION_HINT": "f32"}
    )
    runs = [
        (str(info["layerType"]), str(info["runtimePrecision"]))
        for node in compiled.get_runtime_model().get_ordered_ops()
        if (info := {k: v.value for k, v in node.get_rt_info().items()})
    ]
    convolved = [precision for kind, precision in runs if kind == "Convolution"]
    assert len(convolved) > 4
    assert set(convolved) <= {"i8", "u8"}


@pytest.mark.slow
def test_a_network_of_two_inputs_and_many_outputs(tmp_path):
    model = malignancy_net((16, 16, 16), filters=(4, 6))
    model.save(tmp_path / "m.keras")
    made = export_weights(tmp_path / "m.keras", tmp_path / "m.xml")
    hu = HU.repeat(2, 1).repeat(2, 2).repeat(2, 3)
    given = {"hu": hu, "mask": (hu > -300).astype("float32")}
    expected, found = (
        Predictor(tmp_path / "m.keras")(given),
        Predictor(made.path)(given),
    )
    assert set(found) == set(expected)
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, atol=1e-4)
