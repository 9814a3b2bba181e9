"""A stand-in for the assessor: the last word of a source says what a scan does."""

import json
import os
import time
from dataclasses import dataclass
from pathlib import Path

from hilum.batch.order import Failure, Outcome, row_of
from hilum.errors import WeightsError
from hilum.findings import Assessment, Guidelines, Probability, Provenance, Scope
from hilum.formats.atomic import replacing_folder


@dataclass
class Loaded:
    """A scan that needs no reading."""

    order: object

    def close(self):
        """Nothing was fetched."""


class StandIn:
    """Takes no time, unless the scan says so."""

    def __init__(self, settings):
        if settings.endswith("broken.toml"):
            raise WeightsError("There are no weights.")

    def load(self, order):
        act = Path(order.scan.source).name.split("-")[0]
        if act == "crash":  # dies where it is read, so the one before may be blamed
            os.kill(os.getpid(), 9)
        return Loaded(order)

    def finish(self, loaded, say):
        order = loaded.order
        act = Path(order.scan.source).name.split("-")[0]
        say("lungs")
        note(order, "begun")
        ways = {"hang": hang, "huge": huge, "bad": bad, "slow": slow, "once": once}
        failure = ways.get(act, lambda _order: None)(order)
        if failure is not None:
            return Outcome(failure=failure)
        result = assessment(order)
        with replacing_folder(Path(order.out)) as folder:
            text = json.dumps(result.to_json())
            (folder / "assessment.json").write_text(text)
            line = f"{result.series_uid},1.0,2.0,3.0,0.5\n"
            (folder / "candidates.csv").write_text("seriesuid,coordX\n" + line)
        return Outcome(row=row_of(order.number, result), seconds={"read": 0.25})


class Tired(StandIn):
    """Does not come up as often as the file that TIRED names has letters."""

    def __init__(self, settings):
        mark = Path(os.environ["TIRED"])
        left = mark.read_text()
        mark.write_text(left[1:])
        if left:
            os._exit(7)
        super().__init__(settings)


def assessment(order):
    """Make one that tells scans apart."""
    p = order.number / 1000
    return Assessment(
        series_uid=f"1.2.{order.number}",
        scope=Scope(in_scope=True),
        cancer_probability=Probability(p, p / 2, 2 * p),
        nodules=(),
        guidelines=Guidelines(lung_rads={"category": "2"}),
        notices=(),
        provenance=Provenance(
            version="0", settings={}, weights={}, timings_s={"read": 0.25}, source={}
        ),
    )


def note(order, what):
    """Leave a line for each time that a scan is worked on."""
    log = Path(order.scan.source).parent / "log.txt"
    with log.open("a") as file:
        file.write(f"{what} {Path(order.scan.source).name} {os.getpid()}\n")


def hang(_order):
    time.sleep(600)


def huge(_order):
    kept = bytearray(b"x") * 400_000_000
    time.sleep(600 + len(kept) % 2)


def bad(order):
    return Failure(
        scan=order.number, kind="input", stage="lungs", reason="There are no lungs."
    )


def slow(_order):
    time.sleep(0.3)


def once(order):
    """Die at the first try alone."""
    mark = Path(order.scan.source).with_suffix(".tried")
    if not mark.exists():
        mark.touch()
        os.kill(os.getpid(), 9)
