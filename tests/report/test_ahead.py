"""What documents are written with is loaded before they are written, and only then."""

import gc
import json
import subprocess
import sys

import pytest

from hilum.report.ahead import load_ahead, loading_ahead
from hilum.report.dicom import loading
from hilum.report.dicom.loading import _make_something, load_library, uncollected

ALONE = """
import sys
from hilum.report.ahead import load_ahead, loading_ahead
assert "highdicom" not in sys.modules
assert load_ahead(["html", "json"]) is None
stages = []
tell = loading_ahead(stages.append, ["html", {wanted!r}])
tell("lungs")
assert "highdicom" not in sys.modules
tell("nodules")
load_library = __import__("hilum.report.dicom").report.dicom.load_library
if {wanted!r} == "sr":
    load_library()  # waits
print(stages, "highdicom" in sys.modules)
"""


@pytest.mark.parametrize(("wanted", "loaded"), [("sr", True), ("csv", False)])
def test_the_library_of_dicom_is_loaded_as_the_networks_run(wanted, loaded):
    done = subprocess.run(
        [sys.executable, "-c", ALONE.format(wanted=wanted)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["['lungs',", "'nodules']", str(loaded)]
    assert done.stderr == ""


def test_the_tables_of_the_standard_are_read_before_a_document_is_made(monkeypatch):
    load_library()
    read = []
    monkeypatch.setattr(json, "loads", read.append)
    _make_something()
    assert not read


def test_loading_again_takes_no_thread_long():
    thread = load_ahead(("seg",))
    assert thread is not None
    thread.join(60)
    assert not thread.is_alive()
    assert loading_ahead(lambda stage: None, ())("nodules") is None


def test_what_cannot_be_loaded_is_told_where_it_is_needed(monkeypatch, capsys):
    def fail():
        raise ImportError("no highdicom here")

    monkeypatch.setattr(loading, "_loaded", set())
    monkeypatch.setattr(loading, "_make_something", fail)
    thread = load_ahead(("sr",))
    assert thread is not None
    thread.join(60)
    assert capsys.readouterr().err == ""  # no traceback of the thread
    assert gc.isenabled()
    for _ in range(2):  # the lock is free again
        with pytest.raises(ImportError, match="no highdicom here"):
            load_library()


def test_the_collector_is_left_as_it_was():
    assert gc.isenabled()
    with uncollected():
        assert not gc.isenabled()
        with uncollected():
            pass
        assert not gc.isenabled()
    assert gc.isenabled()
    with pytest.raises(KeyError), uncollected():
        raise KeyError
    assert gc.isenabled()
