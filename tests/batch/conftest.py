"""Cohorts of stand-ins, and how to run them."""

import csv
import json
from pathlib import Path

import pytest

from hilum.batch import BatchSettings, run_batch

HERE = Path(__file__).parent
STAND_IN = "stand_in:StandIn"


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


def run(table, out, **settings):
    how = BatchSettings(**{"assessor": STAND_IN, "formats": ("json",), **settings})
    return run_batch(table, out, settings=how)


def rows_of(path):
    with path.open() as file:
        return list(csv.DictReader(file))


def works_of(table):
    """Name the scans in the order in which they were worked on."""
    log = table.parent / "log.txt"
    return [line.split()[1] for line in log.read_text().splitlines()]


def manner(out):
    return json.loads((out / "batch.json").read_text())
