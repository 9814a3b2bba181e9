"""The notebooks are the lessons, as the script writes them."""

import json
import runpy
from pathlib import Path

import pytest

from hilum.primer.lessons import LESSONS

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


def test_a_notebook_is_valid():
    nbformat = pytest.importorskip("nbformat", reason="nbformat is not installed")
    for lesson in LESSONS:
        nbformat.validate(nbformat.from_dict(MAKER["notebook"](lesson)))
