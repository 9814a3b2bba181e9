"""What the doctor says of sound and of broken installations."""

import json
import math
import os
import subprocess
import sys

import pytest

from hilum import cli, doctor
from hilum.dicom import trial
from hilum.dicom.elements import DamagedError
from hilum.errors import WeightsError
from hilum.findings import Candidate


def test_a_sound_installation_is_told_as_such(capsys, monkeypatch):
    made = doctor.Check(name="self-test", state="ok", found="8 of 8")
    monkeypatch.setattr(doctor, "check_phantom", lambda: made)
    assert cli.main(["doctor"]) == 0
    out, err = capsys.readouterr()
    tree = json.loads(out)
    assert tree["healthy"]
    names = [check["name"] for check in tree["checks"]]
    assert names[:2] == ["python", "packages"]
    assert {"codecs", "weights", "networks", "extra ray", "self-test"} <= set(names)
    assert "hilum: ok     weights" in err


def test_what_is_broken_gives_the_exit_code_and_ends_what_rests_on_it(
    capsys, monkeypatch
):
    broken = doctor.Check(name="packages", state="broken", found="x", mend="install it")
    monkeypatch.setattr(doctor, "check_packages", lambda _needed: broken)
    assert cli.main(["doctor"]) == 4
    out, err = capsys.readouterr()
    names = [check["name"] for check in json.loads(out)["checks"]]
    assert "weights" not in names
    assert "install it" in err


@pytest.mark.parametrize(
    ("broken", "code"), [("weights", 5), ("codecs", 3), ("packages", 4), (None, 0)]
)
def test_exit_codes(broken, code):
    checks = tuple(
        doctor.Check(name=n, state="broken" if n == broken else "note", found="")
        for n in ("packages", "codecs", "weights")
    )
    made = doctor.Diagnosis(healthy=broken is None, checks=checks, seconds=0)
    assert made.exit_code == code


def test_python_by_hand():
    assert doctor.check_python((3, 11, 0), 2**63 - 1).state == "ok"
    assert doctor.check_python((3, 10, 9), 2**63 - 1).state == "broken"
    assert "32 bits" in doctor.check_python((3, 13, 0), 2**31 - 1).found


def test_machines_by_hand():
    states = lambda *a: [c.state for c in doctor.check_machine(*a)]  # noqa: E731
    assert states(2, 8.0, "flags: amx_bf16") == ["ok", "ok", "ok"]
    assert states(1, 3.0, "") == ["note", "note", "note"]
    assert states(8, 1.0, "") == ["ok", "broken", "note"]
    _, memory, _ = doctor.check_machine(8, 1.0, "")
    assert "close other programs" in memory.mend
    assert states(8, math.nan, "") == ["ok", "note", "note"]


def test_packages_and_extras_that_are_absent_are_named():
    check = doctor.check_packages({"json": "json", "no_such_module": "no-such-package"})
    assert check.state == "broken"
    assert "no-such-package (ModuleNotFoundError)" in check.found
    assert doctor.check_extra("x", ("json", "re")).state == "ok"
    assert doctor.check_extra("x", ("json", "no_such.module")).found.startswith("lacks")
    absent = doctor.check_extra("x", ("no_such_module",))
    assert (absent.state, absent.found) == ("note", "not installed")
    assert "hilum[x]" in absent.mend


def test_a_folder_that_cannot_be_written(tmp_path):
    assert doctor.check_folders(tmp_path).state in ("ok", "note")
    check = doctor.check_folders(tmp_path / "absent")
    assert check.state == "broken"
    assert "TMPDIR" in check.mend


def test_damaged_weights_are_told(monkeypatch, tmp_path):
    from hilum.runtime import weights  # noqa: PLC0415

    assert doctor.check_weights().state == "ok"
    monkeypatch.setattr(weights, "weights_folder", lambda: tmp_path)
    check = doctor.check_weights()
    assert check.state == "broken"
    assert "index.json" in check.found
    with pytest.raises(WeightsError):
        weights.shipped_names()


def test_each_codec_is_tried_and_a_broken_one_named(monkeypatch):
    assert trial.try_codecs() == dict.fromkeys(("jpeg", "jpeg-ls", "jpeg-2000", "rle"))

    class Broken:
        def __init__(self, _pixels):
            """As the true one."""

        def decode(self, *_):
            raise DamagedError("it crashed")

        def stop(self):
            """Nothing runs."""

    monkeypatch.setattr(trial, "Decoder", Broken)
    check = doctor.check_codecs()
    assert check.state == "broken"
    assert "rle (it crashed)" in check.found
    monkeypatch.setattr(Broken, "decode", lambda *_: bytearray(2048))
    assert "other pixels" in doctor.check_codecs().found


def test_a_phantom_whose_nodules_are_missed_is_broken(monkeypatch):
    from hilum import phantom, pipeline  # noqa: PLC0415

    class Found:
        def __init__(self, *points):
            self.nodules = [Candidate(p, 8.0, 0.9) for p in points]
            self.truths = self.nodules
            self.volume = None

    near, far = Found((1.0, 2.0, 3.0)), Found((90.0, 2.0, 3.0))
    monkeypatch.setattr(phantom, "make_phantom", lambda _settings: near)
    monkeypatch.setattr(pipeline, "assess", lambda _volume: near)
    assert doctor.check_phantom().state == "ok"
    monkeypatch.setattr(pipeline, "assess", lambda _volume: far)
    assert doctor.check_phantom().state == "broken"

    def bug(_volume):
        raise RuntimeError

    monkeypatch.setattr(pipeline, "assess", bug)
    assert "RuntimeError" in doctor.check_phantom().found


@pytest.mark.parametrize(
    "code",
    [
        "from hilum._optional import require\n"
        "print(require('openvino', extra='all', to='to run').__name__)",
        "from hilum.doctor import check_packages\n"
        "assert check_packages({'openvino': 'openvino'}).state == 'ok'\n"
        "print('openvino')",
    ],
)
def test_openvino_tells_nobody_that_it_is_used(tmp_path, code):
    # as it comes, it writes a number of this machine into the home, and sends it
    code = f"{code}\nimport sys\nprint(sys.modules['openvino_telemetry'])"
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"HOME": str(tmp_path)},
    )
    assert done.stdout.split() == ["openvino", "None"]
    assert list(tmp_path.iterdir()) == []
