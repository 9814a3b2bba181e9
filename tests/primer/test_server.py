"""The server of the primer: who may ask, what it answers, and a training."""

import html
import http.client
import io
import json
import sys
import threading
import time
import zipfile
from dataclasses import replace
from time import sleep

import numpy as np
import pytest

from hilum.errors import InputError
from hilum.primer.patient import own_scene
from hilum.primer.runs import Runs
from hilum.primer.server import App, make_server
from hilum.primer.site import Site, export_site
from hilum.primer.trainer import (
    Data,
    Plan,
    nodule_data,
    parse_plan,
    synthetic_data,
    train,
)
from hilum.space import Grid
from hilum.volume import CTVolume


@pytest.fixture(scope="module")
def served():
    """An address, and the runs behind it."""
    with Runs() as runs, make_server(App(Site(served=True), runs)) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def ask(port, path, *, method="GET", body=None, **headers):
    link = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    link.request(method, path, body=body, headers=headers)
    answer = link.getresponse()
    return answer.status, answer.read(), answer


def post(port, path, tree, **headers):
    given = {"Content_Type": "application/json", **headers}
    return ask(port, path, method="POST", body=json.dumps(tree), **given)


def test_pages_are_served_and_others_are_not(served):
    status, body, answer = ask(served, "/")
    assert status == 200
    assert b"See a convolutional network" in body
    assert answer.getheader("X-Content-Type-Options") == "nosniff"
    status, body, _ = ask(served, "/09-deciding.html")
    assert status == 200
    assert "connect-src 'self'" in html.unescape(body.decode())
    for path in ("/../pyproject.toml", "/nowhere.html", "/api/train/9999999/stop"):
        assert ask(served, path)[0] == 404


def test_only_this_computer_may_ask(served):
    assert ask(served, "/", Host="evil.example")[0] == 403
    assert ask(served, "/", Host=f"localhost:{served}")[0] == 200
    assert post(served, "/api/train", {}, Origin="http://evil.example")[0] == 403
    assert ask(served, "/api/train", method="POST", body="{}")[0] == 415
    status, *_ = ask(
        served, "/api/train", method="POST", body="x" * 5000,
        Content_Type="application/json",
    )  # fmt: skip
    assert status == 413


@pytest.mark.parametrize(
    ("tree", "said"),
    [
        ({"filters": [16, 900]}, "1 to 4 numbers from 1 to 64"),
        ({"filters": []}, "1 to 4 numbers"),
        ({"activation": "swish"}, "one of relu, sigmoid"),
        ({"units": 0}, "from 1 to 256"),
        ({"rate": 5}, "0.00001 to 0.1"),
        ({"epochs": 0}, "from 1 to 500"),
        ({"limit_s": 900}, "from 1 to 120"),
        ({"data": "/etc"}, "synthetic or nodules"),
        ({"seed": -1}, "whole number"),
        ({"code": "x"}, "described by an object with some of"),
        ({"units": "many"}, "cannot be read"),
        ([], "described by an object"),
        ({"data": "nodules"}, "--nodules FOLDER"),
    ],
)
def test_a_network_that_cannot_be_trained_is_refused(served, tree, said):
    status, body, _ = post(served, "/api/train", tree)
    assert status == 400
    assert said in json.loads(body)["error"]


def test_what_is_no_json_or_no_run_is_refused(served):
    assert (
        ask(
            served,
            "/api/train",
            method="POST",
            body="{",
            Content_Type="application/json",
        )[0]
        == 400
    )
    status, body, _ = post(served, "/api/train/77/stop", {})
    assert (status, json.loads(body)["error"]) == (
        400,
        "There is no run 77; there are 0.",
    )
    assert ask(served, "/api/train/0/stop")[0] == 405


def test_a_taken_port_is_an_error_with_advice(served):
    with Runs() as runs, pytest.raises(InputError, match="another with --port"):
        make_server(App(Site(), runs), served)


def test_plans_are_read_as_they_are_written():
    plan = parse_plan({"filters": [8, 16], "activation": "elu", "epochs": 3})
    assert plan == Plan(filters=(8, 16), activation="elu", epochs=3)


def test_the_oldest_training_makes_room(monkeypatch):
    monkeypatch.setattr("hilum.primer.runs.MOST_RUNS", 2)
    ends = [sys.executable, "-c", ""]
    monkeypatch.setattr("hilum.primer.runs._command", lambda folder: ends)
    with Runs() as runs:
        for number in range(3):
            assert runs.start({}) == number
            runs._runs[number].process.wait()
        assert [run["id"] for run in runs.all()] == [1, 2]
        with pytest.raises(InputError, match="no run 0; there are 2"):
            runs.network(0)


def test_a_run_says_why_it_failed(tmp_path, monkeypatch):
    quick = [sys.executable, "-c", "raise ValueError('no such layer')"]
    monkeypatch.setattr("hilum.primer.runs._command", lambda folder: quick)
    with Runs() as runs:
        number = runs.start({})
        while runs.all()[number]["state"] == "training":
            sleep(0.05)
        assert runs.all()[number]["why"] == "no such layer"
        with pytest.raises(InputError, match="not ready yet"):
            runs.network(number)


def test_a_run_that_hangs_is_ended(monkeypatch):
    hangs = [sys.executable, "-c", "import time; time.sleep(600)"]
    monkeypatch.setattr("hilum.primer.runs._command", lambda folder: hangs)
    monkeypatch.setattr("hilum.primer.runs.GRACE_S", -1000.0)
    with Runs() as runs:
        number = runs.start({})
        told = runs.all()[number]
        assert (told["state"], told["why"][:16]) == ("failed", "It took too long")


def test_leaving_ends_what_trains(monkeypatch):
    hangs = [sys.executable, "-c", "import time; time.sleep(600)"]
    monkeypatch.setattr("hilum.primer.runs._command", lambda folder: hangs)
    with Runs() as runs:
        number = runs.start({})
        with pytest.raises(InputError, match="being trained"):
            runs.start({})
        runs.stop(number)
        process = runs._runs[number].process
        assert process.poll() is None
    assert process.poll() is not None


@pytest.mark.slow
def test_a_training_ends_when_told_or_when_time_is_up():
    pytest.importorskip("keras", reason="Keras is not installed")
    rng = np.random.default_rng(0)
    data = Data(
        hu=rng.normal(-500, 300, (16, 32, 32, 1)).astype(np.float32),
        truth=np.arange(16) % 2,
        held_out=np.arange(16) >= 8,
    )
    plan = Plan(filters=(2,), units=2, epochs=9)
    _, told = train(plan, data, said=lambda row: False)
    assert len(told) == 1
    _, late = train(replace(plan, limit_s=1.0), data, said=lambda row: not sleep(0.6))
    assert len(late) < 9


@pytest.mark.slow
def test_synthetic_nodules_are_on_one_side_or_the_other():
    data = synthetic_data()
    assert data.hu.shape[1:] == (32, 32, 1)
    for part in (data.held_out, ~data.held_out):
        assert 0.3 < data.truth[part].mean() < 0.7
        assert part.sum() > 80
    middle = data.hu[:, 12:20, 12:20, 0].max(axis=(1, 2))
    # nodules are dense; so are many vessels among the others
    assert np.median(middle[data.truth == 1]) > -300


def test_too_few_rated_nodules_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("hilum.datasets.read_nodules", lambda folder: ())
    with pytest.raises(InputError, match="needs at least 20"):
        nodule_data(tmp_path)


def test_a_scan_with_nothing_to_show_is_refused():
    air = np.full((8, 32, 32), -1000, np.int16)
    volume = CTVolume(air, Grid.axial(air.shape, (5.0, 5.0, 5.0)), "air")
    with pytest.raises(InputError, match="nothing to show the lessons"):
        own_scene(volume)


@pytest.mark.slow
def test_a_training_runs_is_judged_and_leaves_its_network(served):
    keras = pytest.importorskip("keras", reason="Keras is not installed")
    plan = {"filters": [4, 8], "epochs": 2, "units": 8, "limit_s": 120}
    status, body, _ = post(served, "/api/train", plan)
    assert (status, json.loads(body)) == (200, {"id": 0})
    assert b"being trained" in post(served, "/api/train", plan)[1]
    assert b"not ready" in ask(served, "/api/train/0/model.keras")[1]
    deadline = time.monotonic() + 280
    while time.monotonic() < deadline:
        (run,) = json.loads(ask(served, "/api/train")[1])["runs"]
        if run["state"] != "training":
            break
        time.sleep(0.5)
    assert (run["state"], run["why"]) == ("done", "")
    assert [set(row) for row in run["log"]] == [
        {"loss", "accuracy", "val_loss", "val_accuracy", "seconds"}
    ] * 2
    status, body, answer = ask(served, "/api/train/0/model.keras")
    assert "primer-0.keras" in answer.getheader("Content-Disposition")
    config = json.loads(zipfile.ZipFile(io.BytesIO(body)).read("config.json"))
    assert config["config"]["name"] == "simple_cnn"
    assert keras.__version__


def test_an_export_needs_a_folder(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="is a file; the pages need a folder"):
        export_site(tmp_path / "file")
    with pytest.raises(InputError, match="no lesson"):
        export_site(tmp_path / "out", lesson="99")
    assert export_site(tmp_path / "out", lesson="9") == ["09-deciding.html"]
    assert (tmp_path / "out" / "09-deciding.html").stat().st_size > 30_000
