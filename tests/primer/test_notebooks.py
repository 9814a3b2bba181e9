"""The notebooks are the lessons, as the script writes them."""

import json
import runpy
from pathlib import Path

import numpy as np
import pytest

from hilum.findings import Candidate
from hilum.primer.lessons import LESSONS
from hilum.primer.patient import Findings
from hilum.primer.trainer import Data

SCRIPT = Path(__file__).parents[2] / "examples" / "primer" / "make_notebooks.py"
MAKER = runpy.run_path(str(SCRIPT))


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.key)
def test_a_notebook_is_its_lesson_without_outputs(lesson):
    book = json.loads(MAKER["path_of"](lesson).read_text(encoding="utf-8"))
    assert book == MAKER["notebook"](lesson)  # stale? run the script again
    code = [cell for cell in book["cells"] if cell["cell_type"] == "code"]
    assert len(code) == len(lesson.steps)
    for cell in code:
        compile(cell["source"], cell["id"], "exec")
        assert cell["outputs"] == []
    names = [cell["id"] for cell in book["cells"]]
    assert len(set(names)) == len(names)


FOUND = Findings(
    candidates=tuple(Candidate((0.0, 0.0, z), 8.0, s) for z, s in ((0, 0.9), (9, 0.4))),
    is_hit=(True, False),
    again=(False, False),
    nodules=2,
    missed=((0.0, 0.0, 30.0),),
    rated=((0.8, 0.9), (0.2, 0.4)),
    places=(((0.0, 0.0, 0.0), 8.0),),
)


@pytest.fixture
def small(monkeypatch, scene):
    """Let the cells see one small chest, and train on a few patches without one.

    What the detector finds in a chest is tested elsewhere, and takes longest.
    """
    rng = np.random.default_rng(0)
    patches = Data(
        hu=rng.normal(-500, 300, (48, 32, 32, 1)).astype(np.float32),
        truth=np.arange(48) % 2,
        held_out=np.arange(48) >= 24,
    )
    volume, _ = scene.chest()
    for name, value in (
        ("scene.phantom_scene", lambda rows=512: scene),
        ("scene.phantom_chest", lambda: (volume, scene.truths())),
        ("trainer.synthetic_data", lambda: patches),
        ("lessons.network.STARTS", (0, 12, 24)),
        ("patient.look", lambda _scene: FOUND),
    ):
        monkeypatch.setattr(f"hilum.primer.{name}", value)


SAID = {
    "sliding": "", "scanner": "denser than -400 HU", "network": "largest fall",
    "build": "val_accuracy", "patient": "2 candidates, 1 on",
}  # fmt: skip
"""A word of what some print, to see that cells were run."""


@pytest.mark.slow
@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.key)
def test_a_notebook_runs(lesson, capsys):
    if lesson.key in ("build", "sliding"):
        pytest.importorskip("keras", reason="Keras is not installed")
    names = {}
    for cell in MAKER["notebook"](lesson)["cells"]:
        if cell["cell_type"] == "code":
            exec(compile(cell["source"], cell["id"], "exec"), names)
    assert SAID.get(lesson.key, "") in capsys.readouterr().out
    assert len(names) > 3


def test_a_notebook_is_valid():
    nbformat = pytest.importorskip("nbformat", reason="nbformat is not installed")
    for lesson in LESSONS:
        nbformat.validate(nbformat.from_dict(MAKER["notebook"](lesson)))
