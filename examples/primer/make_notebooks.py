"""Write the lessons of the primer as notebooks, from the same texts as the pages.

    python examples/primer/make_notebooks.py              beside this file
    python examples/primer/make_notebooks.py --run NAME   and run some, or all

The second needs nbclient and ipykernel.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from hilum.primer.lessons import LESSONS, Lesson
from hilum.primer.lessons.lesson import KERAS, LAYERS

HERE = Path(__file__).parent


def notebook(lesson: Lesson) -> dict[str, Any]:
    """Make the notebook of a lesson, in nbformat 4.5, without outputs."""
    page = f"`hilum primer {lesson.number}` opens the page of this lesson."
    cells = [
        _text("title", f"# {lesson.number}. {lesson.title}\n\n{lesson.idea}\n\n{page}")
    ]
    for step in lesson.steps:
        cells.append(_text(f"{step.key}-text", f"## {step.title}\n\n{step.text}"))
        cells.append(_code(f"{step.key}-code", step.code))
    cells.append(_text("why", f"## Why it matters in CT\n\n{lesson.why}"))
    names = ", ".join(f"`{f.__module__}.{f.__name__}`" for f in lesson.functions)
    layers = ", ".join(
        f"[`{n}`]({KERAS}{LAYERS[n]})" if n in LAYERS else f"`hilum.nn.layers.{n}`"
        for n in lesson.layers
    )
    more = f"\n\nThe layers that networks use instead: {layers}." if layers else ""
    cells.append(_text("sources", f"## Read the code\n\n{names}{more}"))
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    return {
        "cells": cells,
        "metadata": {"kernelspec": kernel, "language_info": {"name": "python"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }


def path_of(lesson: Lesson) -> Path:
    """Say where the notebook of a lesson is."""
    return HERE / f"{lesson.number:02d}-{lesson.key}.ipynb"


def _text(name: str, source: str) -> dict[str, Any]:
    return {"cell_type": "markdown", "id": name, "metadata": {}, "source": source}


def _code(name: str, source: str) -> dict[str, Any]:
    return {
        "cell_type": "code",
        "execution_count": None,
        "id": name,
        "metadata": {},
        "outputs": [],
        "source": source,
    }


def run(lesson: Lesson) -> None:
    """Run a notebook from top to bottom; an error ends it."""
    import nbformat  # noqa: PLC0415  only to run
    from nbclient import NotebookClient  # noqa: PLC0415

    book = nbformat.from_dict(notebook(lesson))
    nbformat.validate(book)
    NotebookClient(book, timeout=900, kernel_name="python3").execute()
    for cell in book.cells:
        for output in cell.get("outputs", []):
            print(output.get("text") or output.get("data", {}).get("text/plain"))


def main() -> None:
    """Write all, and run some."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--run", nargs="*", default=[], metavar="NAME")
    args = parser.parse_args()
    for lesson in LESSONS:
        text = json.dumps(notebook(lesson), indent=1, ensure_ascii=False)
        path_of(lesson).write_text(text + "\n", encoding="utf-8")
        if lesson.key in args.run or "all" in args.run:
            run(lesson)
            print(lesson.number, lesson.key, "ran")


if __name__ == "__main__":
    main()
