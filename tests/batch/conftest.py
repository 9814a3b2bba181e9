"""Cohorts of stand-ins."""

from pathlib import Path

import pytest

HERE = Path(__file__).parent


@pytest.fixture
def cohort(tmp_path, monkeypatch):
    """Make a cohort of files whose names say what happens."""
    monkeypatch.setenv("PYTHONPATH", f"{HERE}:{HERE.parents[1] / 'src'}")

    def make(*acts):
        folder = tmp_path / "cohort"
        folder.mkdir(exist_ok=True)
        lines = ["source,id"]
        for number, act in enumerate(acts, start=1):
            lines.append(f"{act}-{number},patient {number}")
        (folder / "cohort.csv").write_text("\n".join(lines) + "\n")
        return folder / "cohort.csv"

    return make
