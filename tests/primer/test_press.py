"""Pages that a process of its own makes, so that a server has none of the work."""

import sys
import time
from pathlib import Path

import pytest

from hilum.errors import HilumError
from hilum.primer.press import Press, main
from hilum.primer.runs import Runs
from hilum.primer.server import App, NotReadyError


def use(monkeypatch, code):
    """Let the process run some code instead, with the folder as its argument."""
    monkeypatch.setattr(
        "hilum.primer.press._command",
        lambda folder, first: [sys.executable, "-c", code, str(folder)],
    )


WRITES = """
import pathlib, sys, time
folder = pathlib.Path(sys.argv[1])
while not (folder / "go").exists():
    time.sleep(0.01)
(folder / "01-scanner.html").write_text("<p>made elsewhere</p>")
"""


def test_pages_with_a_chest_are_made_elsewhere_and_waited_for(monkeypatch):
    use(monkeypatch, WRITES)
    with Press() as press, Runs() as runs:
        app = App(press, runs)
        assert app.answer("GET", "").status == 200  # the index, at once
        assert app.answer("GET", "09-deciding.html").status == 200
        assert app.answer("GET", "nowhere.html").status == 404
        waiting = app.answer("GET", "01-scanner.html")
        assert (waiting.status, waiting.headers) == (503, {"Retry-After": "3"})
        assert b'http-equiv="refresh" content="3"' in waiting.body
        with pytest.raises(NotReadyError, match="being made"):
            press.page("01-scanner.html")
        (Path(press._folder.name) / "go").touch()
        end = time.monotonic() + 60
        while app.answer("GET", "01-scanner.html").status != 200:
            assert time.monotonic() < end
            time.sleep(0.05)
        assert press.page("01-scanner.html") == "<p>made elsewhere</p>"


def test_a_page_that_was_not_made_says_how_to_see_why(monkeypatch):
    use(monkeypatch, "raise SystemExit(1)")
    with Press() as press:
        press.page("index.html")
        press._process.wait()
        with pytest.raises(HilumError, match="hilum primer --export"):
            press.page("10-network.html")


def test_leaving_ends_the_process(monkeypatch):
    use(monkeypatch, "import time; time.sleep(600)")
    with Press() as press:
        press.page("index.html")
        process = press._process
        assert process.poll() is None
    assert process.poll() is not None


def test_the_process_writes_pages_into_the_folder(monkeypatch, tmp_path):
    lowered, made = [], []
    monkeypatch.setattr("hilum.primer.press.os.nice", lowered.append)

    def page(self, name):
        made.append(name)
        return name

    monkeypatch.setattr("hilum.primer.site.Site.page", page)
    main([str(tmp_path), "10-network.html"])
    assert lowered == [10]
    assert (tmp_path / "12-patient.html").read_text() == "12-patient.html"
    assert made[:2] == ["10-network.html", "index.html"]
    assert len(made) == 13
