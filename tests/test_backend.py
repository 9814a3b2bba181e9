"""TensorFlow is set up before it is loaded: quick on any processor, and quiet."""

import json
import os
import subprocess
import sys

import pytest

from hilum import _optional
from hilum._backend import _hushed
from hilum._optional import prepare_backend, require

VARIABLE = "TF_ENABLE_ONEDNN_OPTS"


def test_quick_kernels_are_asked_for(monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    prepare_backend()
    assert os.environ[VARIABLE] == "1"


def test_what_the_user_has_set_stays(monkeypatch):
    monkeypatch.setenv(VARIABLE, "0")
    prepare_backend()
    assert os.environ[VARIABLE] == "0"


def test_who_asks_for_keras_gets_them(monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setattr(_optional, "import_module", lambda _: json)
    require("matplotlib", extra="train", to="to test")
    assert VARIABLE not in os.environ
    require("keras", extra="train", to="to test")
    assert os.environ[VARIABLE] == "1"


def test_networks_ask_for_them_when_they_are_imported():
    code = f"import os, hilum.nn; print(os.environ['{VARIABLE}'])"
    environment = {k: v for k, v in os.environ.items() if k != VARIABLE}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "1\n"


def test_noise_is_held_back_unless_something_fails(capfd):
    with _hushed():
        os.write(2, b"greeting")
    assert capfd.readouterr().err == ""
    with pytest.raises(OSError, match="file descriptor"), _hushed():
        os.write(os.write(2, b"what was wrong") * 1000, b"")
    assert capfd.readouterr().err == "what was wrong"
    os.write(2, b"after")
    assert capfd.readouterr().err == "after"


@pytest.mark.slow
def test_keras_loads_and_computes_without_a_word():
    pytest.importorskip("tensorflow")
    code = (
        "from hilum._backend import load_keras\n"
        "keras = load_keras(to='to test')\n"
        "print(float(keras.ops.sum(keras.layers.Conv3D(1, 3)("
        "keras.ops.zeros((1, 4, 4, 4, 1))))))"
    )
    environment = {k: v for k, v in os.environ.items() if not k.startswith("TF_")}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment | {"KERAS_BACKEND": "tensorflow"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert (done.stdout, done.stderr) == ("0.0\n", "")
