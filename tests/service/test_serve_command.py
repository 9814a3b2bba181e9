"""`hilum serve` and `hilum token`, as they are typed."""

import argparse
import dataclasses
import inspect
import json
import re
import signal
import subprocess

import httpx
import pytest

from hilum import cli
from hilum.cli.listen import add_node_options
from hilum.service.jobs import JobSettings
from hilum.service.records.people import manage_tokens
from hilum.service.web.serving import serve
from hilum.service.web.settings import WebSettings


def run(capsys, *argv):
    code = cli.main([str(a) for a in argv])
    out, err = capsys.readouterr()
    return code, json.loads(out) if out else None, err


@pytest.mark.parametrize(
    ("name", "functions"),
    [("serve", (serve, WebSettings, JobSettings)), ("token", (manage_tokens,))],
)
def test_command_has_its_public_function(name, functions):
    commands = cli._parser()._subparsers._group_actions[0].choices
    node = argparse.ArgumentParser()  # options of `hilum listen`, tested there
    add_node_options(node, port="--dicom-port", default_port=None)
    known = {"help", "quiet", "debug", "folder", *(a.dest for a in node._actions)}
    for function in functions:
        known |= set(inspect.signature(function).parameters)
        if dataclasses.is_dataclass(function):
            known |= {field.name for field in dataclasses.fields(function)}
    assert {action.dest for action in commands[name]._actions} <= known


def test_token_is_made_listed_and_removed(capsys, tmp_path):
    data = tmp_path / "data"
    code, said, err = run(capsys, "token", data, "--add", "anna", "--role", "write")
    assert code == 0
    assert said["token"].startswith("hilum_")
    assert said["tokens"] == [{"name": "anna", "role": "write"}]
    assert said["token"] not in err
    assert run(capsys, "token", data)[1] == {"tokens": said["tokens"]}
    assert run(capsys, "token", data, "--remove", "anna")[1] == {"tokens": []}
    code, _, err = run(capsys, "token", data, "--remove", "anna")
    assert (code, "no token `anna`" in err) == (3, True)
    (tmp_path / "file").touch()
    assert run(capsys, "token", tmp_path / "file" / "x")[0] == 3


def test_open_service_is_refused(capsys, tmp_path):
    options = ("serve", "--data", tmp_path, "--port", "0", "--host", "0.0.0.0")
    code, _, err = run(capsys, *options)
    assert (code, "could read along" in err) == (3, True)
    code, _, err = run(capsys, *options, "--behind-proxy")
    assert (code, "hilum token" in err) == (3, True)


def test_service_answers_and_ends_when_told(python, tmp_path):
    command = [python, "-m", "hilum", "serve", "--port", "0", "--data", tmp_path / "d"]
    service = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        address = re.search(r"http://127\.0\.0\.1:\d+", service.stderr.readline())[0]
        assert httpx.get(f"{address}/api/health").json()["status"] == "ok"
        assert "niivue" in httpx.get(f"{address}/static/js/viewer.js").text
        service.send_signal(signal.SIGTERM)
        assert service.wait(timeout=60) == 0
        assert "Traceback" not in service.stderr.read()
    finally:
        service.kill()
        service.wait()
        service.stderr.close()
    for folder in (tmp_path / "d", tmp_path / "d" / "studies"):
        assert oct(folder.stat().st_mode)[-3:] == "700"
