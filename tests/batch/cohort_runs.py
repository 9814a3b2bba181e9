"""How the tests run a cohort of stand-ins, and what they read of it."""

import csv
import json

from hilum.batch import BatchSettings, run_batch

STAND_IN = "stand_in:StandIn"


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
