"""A run's folder, devices that share a batch, precision, and each layout."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest

from hilum._cores import count_cores
from hilum.cli import main
from hilum.datasets import read_nodules
from hilum.errors import InputError
from hilum.settings import fill, read_settings, to_table, to_toml
from hilum.training.detection import DetectionSettings, shared_marks_loss
from hilum.training.detection_data import (
    Stored,
    load_scenes,
    read_scene,
    read_training_scans,
)
from hilum.training.fit import FitSettings, Views, check_fold, fit
from hilum.training.malignancy import MalignancySettings
from hilum.training.progress import EventLog
from hilum.training.runs import RunSettings, read_run_settings, train
from hilum.training.segmentation import SegmentationSettings
from hilum.training.sharing import shared

SHARING = """
import json, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from test_runs import trained
from hilum.training.sharing import shared
with shared(2):
    out = Path(sys.argv[1])
    print(json.dumps(trained(out, "marks")))
"""


def small_net(outputs=1, activation=None):
    inputs = keras.Input((8, 8, 8, 1))
    # no bias: what normalisation takes out has a gradient of rounding errors alone
    x = keras.layers.Conv3D(4, 3, use_bias=False)(inputs)
    x = keras.layers.BatchNormalization()(x)
    x = keras.layers.GlobalAveragePooling3D()(keras.layers.ReLU()(x))
    last = keras.layers.Dense(outputs, activation=activation, dtype="float32")
    return keras.Model(inputs, last(x))


def view(case, rng):
    hu = rng.normal(size=(8, 8, 8, 1)).astype(np.float32) + case % 2
    return hu, np.array([case % 2], np.float32)


def mark_view(case, rng):
    """One cell a view; a third hold a nodule, so devices have unlike many."""
    hu, _ = view(case, rng)
    there = float(case % 3 == 0)
    answer = np.array([there, 1, there, 0.2, 0.4, 0.6, 0.8], np.float32)
    return hu, answer.reshape(1, 1, 1, 7)


def trained(folder, kind="mse", **options):
    """Train a small network; give its losses and all of its weights."""
    keras.utils.set_random_seed(1)
    model, loss, make = small_net(), "mse", view
    if kind == "marks":
        net = small_net(5, "sigmoid")
        cells = keras.layers.Reshape((1, 1, 1, 5))(net.output)
        model, loss, make = keras.Model(net.input, cells), shared_marks_loss, mark_view
    epochs = fit(
        model,
        Views(make, 16, batch=8),
        loss=loss,
        folder=folder,
        settings=FitSettings(epochs=3),
        **options,
    )
    weights = np.concatenate([np.ravel(w) for w in model.get_weights()])
    return {"losses": [e["loss"] for e in epochs], "weights": weights.tolist()}


@pytest.mark.slow
def test_two_devices_make_the_steps_of_one(tmp_path):
    words = [sys.executable, "-c", SHARING, str(tmp_path / "two")]
    words.append(os.path.dirname(__file__))  # noqa: PTH120
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    two = json.loads(done.stdout.splitlines()[-1])
    one = trained(tmp_path / "one", "marks")
    np.testing.assert_allclose(two["losses"], one["losses"], rtol=1e-5)
    np.testing.assert_allclose(two["weights"], one["weights"], atol=1e-5)


@pytest.mark.slow
def test_devices_can_be_asked_for_on_the_command_line(tmp_path):
    # devices are chosen before the data are looked at, which are not there
    if count_cores() < 2:
        pytest.skip("there is one core alone")
    code = "import sys; from hilum.cli import main; sys.exit(main(sys.argv[1:]))"
    words = ["train", "segmentation", str(tmp_path / "absent"), str(tmp_path / "out")]
    done = subprocess.run(
        [sys.executable, "-c", code, *words, "--devices", "2"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == InputError.exit_code
    assert "There is nothing at `absent`" in done.stderr


def test_there_are_not_that_many_devices():
    with (
        pytest.raises(InputError, match=r"on 1000000 devices: there are .* at most"),
        shared(1_000_000),
    ):
        raise AssertionError


@pytest.mark.slow
def test_a_run_in_half_precision_ends_in_float32(tmp_path):
    before = keras.config.dtype_policy().name
    with shared(precision="mixed_bfloat16"):
        keras.utils.set_random_seed(1)
        model = small_net()
        assert model.layers[1].compute_dtype == "bfloat16"
        fit(model, Views(view, 16, batch=8), loss="mse", folder=tmp_path / "run",
            settings=FitSettings(epochs=1))  # fmt: skip
    assert keras.config.dtype_policy().name == before
    assert {layer.compute_dtype for layer in model.layers} == {"float32"}
    model.save(tmp_path / "m.keras")
    again = keras.saving.load_model(tmp_path / "m.keras", compile=False)
    x = np.random.default_rng(0).normal(size=(2, 8, 8, 8, 1)).astype(np.float32)
    np.testing.assert_allclose(again(x), model(x), rtol=1e-6)


@pytest.mark.slow
def test_events_hold_the_losses(tmp_path):
    tf = pytest.importorskip("tensorflow")
    from tensorflow.core.util import event_pb2  # noqa: PLC0415

    found = trained(tmp_path / "run", callbacks=[EventLog()])
    (path,) = (tmp_path / "run" / "tensorboard").iterdir()
    logged = {}
    for record in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
        event = event_pb2.Event.FromString(record)
        for value in event.summary.value:
            number = float(tf.make_ndarray(value.tensor))
            logged.setdefault(value.tag, {})[event.step] = number
    assert set(logged) == {"loss", "learning_rate"}
    np.testing.assert_allclose(
        [logged["loss"][n] for n in (1, 2, 3)], found["losses"], rtol=1e-6
    )


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"devices": 0}, "at least 1 device"),
        ({"precision": "float16"}, "Choose one of float32"),
        ({"devices": 2}, "already at work"),
    ],
)
def test_what_cannot_be_shared_is_refused(options, said):
    keras.ops.ones(1)  # TensorFlow is at work, with one processor
    with pytest.raises(InputError, match=said), shared(**options):
        pass


def test_too_few_graphics_processors_are_told_not_replaced(monkeypatch):
    tf = pytest.importorskip("tensorflow")
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda _: ["one"])
    with pytest.raises(InputError, match="1 graphics processors, not 2"), shared(2):
        pass


def test_a_batch_must_be_shared_equally(tmp_path, monkeypatch):
    monkeypatch.setattr("hilum.training.sharing.sharing", lambda: 3)
    with pytest.raises(InputError, match="multiple of 3"):
        trained(tmp_path)


def test_another_backend_has_no_devices_to_share(monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(InputError, match="Unset KERAS_BACKEND"), shared(2):
        pass


@pytest.mark.parametrize("fold", [-1, 2])
def test_a_fold_must_be_one_of_them(fold):
    with pytest.raises(InputError, match="numbered from 0"):
        check_fold(fold, 2)


@pytest.mark.parametrize(
    "settings",
    [
        MalignancySettings(folds=3, grown_mm=0.25),
        DetectionSettings(filters=(4, 8, 8, 8), fit=FitSettings(epochs=2, seed=5)),
        SegmentationSettings(),
        RunSettings(devices=2, tensorboard=True),
    ],
)
def test_settings_survive_toml(tmp_path, settings):
    path = tmp_path / "run.toml"
    path.write_text(to_toml({"train": to_table(settings)}))
    tables = read_settings(path)
    assert fill(type(settings), tables["train"], table="train") == settings


def test_unknown_tables_are_refused(tmp_path):
    path = tmp_path / "a.toml"
    path.write_text("[nodules]\nfolds = 2\n[other]\na = 1\n")
    with pytest.raises(InputError, match=r"\[other\]"):
        read_run_settings("nodules", path)


@pytest.mark.slow
def test_scans_of_luna16_come_with_traps_and_official_folds(example, tmp_path):
    scans = read_training_scans(example("luna16"))
    assert len(scans.cases) == 3
    assert sorted(set(scans.folds.values())) == [0, 1, 2]
    for case in scans.cases:
        assert [a.readers for a in case.annotations].count(1) == 1  # the excluded one
        assert len(scans.traps[case.series_uid]) == 1
    only = replace(scans, cases=scans.cases[:1])
    (scene,) = load_scenes(only, tmp_path)
    assert scene.hu.shape == np.asarray(scene.hu).shape
    assert len(scene.inside) == len(np.asarray(scene.inside)) > 0
    np.testing.assert_array_equal(scene.hu[3:5, 2], np.asarray(scene.hu)[3:5, 2])
    assert len(scene.unsure) == 1
    again = read_scene(tmp_path / f"{only.cases[0].series_uid}.npz")
    np.testing.assert_array_equal(again.hu, scene.hu)
    np.testing.assert_array_equal(again.nodules, scene.nodules)


def test_prepared_scans_are_neither_open_nor_in_memory(tmp_path):
    values = np.arange(24, dtype=np.int16).reshape(2, 3, 4)
    np.save(tmp_path / "a.npy", values)
    folder = Path("/proc/self/fd")
    if not folder.is_dir():
        pytest.skip("open files are not listed on this system")
    before = len(list(folder.iterdir()))
    kept = [Stored(tmp_path / "a.npy") for _ in range(50)]
    parts = [stored[1, :2] for stored in kept]
    assert len(list(folder.iterdir())) < before + 25
    np.testing.assert_array_equal(parts[-1], [[12, 13, 14, 15], [16, 17, 18, 19]])
    assert np.pad(kept[0], 1).sum() == values.sum()
    assert len(kept[0]) == 2


def test_scans_of_lidc_come_with_readers(example):
    scans = read_training_scans(example("lidc"))
    assert len(scans.cases) == len(scans.readings) == 3
    assert scans.folds is None
    assert sum(len(case.annotations) for case in scans.cases) >= 8


@pytest.mark.parametrize("layout", ["dsb2017", "patients", "folder"])
def test_labels_of_patients_are_no_boxes(example, layout):
    with pytest.raises(InputError, match="no boxes of nodules"):
        read_training_scans(example(layout))


@pytest.mark.parametrize("layout", ["luna16", "patients"])
def test_boxes_are_no_outlines(example, tmp_path, layout):
    with pytest.raises(InputError, match="no outlines of readers"):
        train("segmentation", example(layout), tmp_path / "run")
    assert not (tmp_path / "run" / "run.toml").exists()  # other settings may follow


@pytest.mark.parametrize(
    "change", ["annotations.csv", "candidates_V2.csv", "list of scans"]
)
def test_a_run_does_not_go_on_with_other_data(example, tmp_path, monkeypatch, change):
    data = shutil.copytree(example("luna16"), tmp_path / "data")
    out, settings = tmp_path / "run", DetectionSettings()
    monkeypatch.setattr("hilum.training.runs.train_nodules", lambda *_, **__: {})
    train("nodules", data, out, settings=settings)
    table = data / "annotations.csv"
    table.write_text(table.read_text() + "\n")  # nothing was learned yet
    train("nodules", data, out, settings=settings)
    (out / "scenes").mkdir()
    (data / "notes.csv").write_text("a,b\n")  # no part of what is learned
    train("nodules", data, out, settings=settings)
    if change == "list of scans":
        next(data.glob("subset0/*.mhd")).unlink()
    else:
        path = data / change
        path.write_text(path.read_text() + "\n")
    with pytest.raises(InputError, match=f"on other data: {change}"):
        train("nodules", data, out, settings=settings)


@pytest.mark.parametrize("zipped", [False, True])
def test_a_run_does_not_go_on_with_other_reader_files(
    example, tmp_path, monkeypatch, zipped
):
    data = shutil.copytree(example("lidc"), tmp_path / "data")
    out, settings = tmp_path / "run", DetectionSettings()
    monkeypatch.setattr("hilum.training.runs.train_nodules", lambda *_, **__: {})
    train("nodules", data, out, settings=settings)
    (out / "scenes").mkdir()
    folder = data / "tcia-lidc-xml"
    if zipped:  # the same files
        shutil.make_archive(str(data / "lidc-xml"), "zip", folder)
        shutil.rmtree(folder)
    train("nodules", data, out, settings=settings)
    if zipped:
        shutil.unpack_archive(data / "lidc-xml.zip", folder)
        (data / "lidc-xml.zip").unlink()
    reader = min(data.rglob("*.xml"))
    reader.write_text(reader.read_text() + "\n")
    if zipped:
        shutil.make_archive(str(data / "lidc-xml"), "zip", folder)
    with pytest.raises(InputError, match="on other data: reader files"):
        train("nodules", data, out, settings=settings)


def test_what_is_prepared_serves_other_settings_until_something_is_trained(
    example, tmp_path, monkeypatch
):
    out, given = tmp_path / "run", []
    monkeypatch.setattr(
        "hilum.training.runs.train_nodules",
        lambda *_, settings, **__: given.append(settings.folds) or {},
    )
    data = example("luna16")
    train("nodules", data, out, settings=DetectionSettings(folds=3))
    (out / "scenes").mkdir()
    train("nodules", data, out, settings=DetectionSettings(folds=2))
    assert read_run_settings("nodules", out / "run.toml")[0].folds == 2
    (out / "fold-0").mkdir()
    with pytest.raises(InputError, match="holds a run with other settings"):
        train("nodules", data, out, settings=DetectionSettings(folds=3))
    assert given == [3, 2]


@pytest.mark.slow
def test_a_run_on_lidc_is_repeated_from_its_folder(capsys, example, tmp_path, eagerly):
    settings = tmp_path / "a.toml"
    settings.write_text(
        "[segmentation]\nfolds = 2\nbatch = 2\nfilters = [4, 4]\n"
        "[segmentation.fit]\nepochs = 1\n"
    )
    first, second = tmp_path / "first", tmp_path / "second"
    words = ["train", "segmentation", str(example("lidc")), "--fold", "1"]
    assert main([*words, str(first), "--settings", str(settings)]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert (first / "fold-1.keras").exists()
    assert not (first / "fold-0").exists()
    run = json.loads((first / "run.json").read_text())
    assert (run["data"]["layout"], run["data"]["patients"]) == ("lidc", 2)
    assert len(read_nodules(first / "nodules")) == run["data"]["cases"]
    toml = str(first / "run.toml")
    assert main([*words, str(second), "--settings", toml]) == 0
    assert json.loads(capsys.readouterr().out) == printed
    logs = [(run / "fold-1" / "log.csv").read_bytes() for run in (first, second)]
    assert logs[0] == logs[1]
    settings.write_text("[segmentation]\nfolds = 2\n")
    assert main([*words, str(second), "--settings", str(settings)]) == 3
    assert "other settings, in run.toml" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("what", "text"),
    [
        ("malignancy", "folds = 1"),
        ("malignancy", "seed = -1"),
        ("malignancy", "members = 0"),
        ("malignancy", "feature_epochs = 0"),
        ("malignancy", "patch_epochs = -1"),
        ("malignancy", "views = 0"),
        ("malignancy", "views = 999999999"),
        ("malignancy", "automatic_share = nan"),
        ("malignancy", "grown_mm = inf"),
        ("malignancy", "patch_share = -5.0"),
        ("segmentation", "folds = -3"),
        ("segmentation", "batch = 0"),
        ("segmentation", "filters = []"),
        ("segmentation", "filters = [4, 0]"),
        ("segmentation", "repeated = nan"),
        ("segmentation", "fit.seed = -1"),
        ("segmentation", "fit.learning_rate = inf"),
        ("segmentation", "fit.weight_decay = nan"),
        ("segmentation", "fit.epochs = 0"),
        ("segmentation", "variety.stretch = 1.0"),
        ("nodules", "folds = -1"),
        ("nodules", "mining = -1"),
        ("nodules", "crops = 0"),
        ("nodules", "filters = [4, 4]"),
        ("nodules", "filters = [4, 4, 4, -4]"),
        ("nodules", "variety.noise_hu = nan"),
        ("nodules", "variety.edge = 1600000"),
    ],
)
def test_settings_that_cannot_train_are_refused_at_once(tmp_path, what, text):
    path = tmp_path / "settings.toml"
    path.write_text(f"[{what}]\n{text}\n")
    name = text.split(" ")[0].split(".")[-1]
    with pytest.raises(InputError, match=f"`{name}`"):
        read_run_settings(what, path)
