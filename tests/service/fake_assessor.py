"""A worker's task for tests: it takes the time it is told and does what it is told.

The study is a folder with a text file of commands: `sleep S`, `wait FILE` (until
there is one), `crash`, `fail TEXT`, `bug`, `memory GB`, `full` (no room on the disk,
once), `report` (documents and views of a made-up assessment), and beside that `doubt`
(guidelines that leave something open) or `outside` (out of scope). It may stand behind
a DICOM preamble.
"""

import errno
import json
import os
import sys
import time
import zipfile
from pathlib import Path

from hilum.errors import InputError


def assess(order, say):
    source, results = Path(order.source), Path(order.results)
    files = [source] if source.is_file() else sorted(source.rglob("*"))
    bodies = [path.read_bytes() for path in files if path.is_file()]
    if source.suffix == ".zip":
        with zipfile.ZipFile(source) as archive:
            bodies = [archive.read(name) for name in archive.namelist()]
    text = "\n".join(b.rpartition(b"DICM")[2].strip(b"\0").decode() for b in bodies)
    results.mkdir(exist_ok=True)
    with (results / "runs.log").open("a") as log:
        log.write("begin\n")
    say({"stage": "read"})
    for line in text.splitlines():
        _obey(*line.partition(" ")[::2], results)
        say({"stage": "nodules"})
    say(
        {
            "about": {
                "study_uid": "1.2.3",
                "series_uid": "1.2.3.4",
                "in_scope": True,
                "probability": 0.25,
                "nodules": 1,
                "patient": "ab" * 8,
                "acquired": "20200131",
            }
        }
    )
    if "report" in text.split():
        _write_report(results, Path(order.views), text.split())
        return
    part = results / "part"
    part.write_text(json.dumps({"study": len(text)}))
    part.replace(results / "assessment.json")
    with (results / "runs.log").open("a") as log:
        log.write("end\n")


def _obey(word, rest, results):
    if word == "sleep":
        time.sleep(float(rest))
    elif word == "wait":
        while not Path(rest).exists():
            time.sleep(0.01)
    elif word == "crash":
        os.kill(os.getpid(), 9)
    elif word == "fail":
        raise InputError(rest)
    elif word == "bug":
        raise ZeroDivisionError
    elif word == "memory":
        held = bytearray(int(float(rest) * 1e9))
        held[::4096] = b"x" * len(held[::4096])
        time.sleep(20)
    elif word == "full" and not (results / "once").exists():
        (results / "once").touch()
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _made_up(told):
    """Make the assessment that was asked for."""
    from report_examples import (  # noqa: PLC0415  slow, and mostly not needed
        VARIANTS,
        make_assessment,
        make_nodule,
    )

    from hilum.clinical.facts import Facts  # noqa: PLC0415
    from hilum.findings import Attributes, Guidelines  # noqa: PLC0415
    from hilum.pipeline.guidelines import (  # noqa: PLC0415
        fleischner_line,
        lung_rads_line,
    )

    if "outside" in told:
        return make_assessment(**VARIANTS["outside"])
    if "doubt" not in told:
        return make_assessment()
    nodule = make_nodule(
        diameter_mm=7.9,
        solid_diameter_mm=7.9,
        diameter_error_mm=0.3,
        attributes=Attributes(texture=3.5),
    )
    said = Guidelines(
        lung_rads=lung_rads_line([nodule]),
        fleischner=fleischner_line([nodule], Facts()),
    )
    return make_assessment(nodules=(nodule,), guidelines=said)


def _write_report(results, views, told):
    """Write a made-up assessment of a scan with one bright ball, and its views."""
    sys.path.insert(0, str(Path(__file__).parents[1] / "report"))
    import numpy as np  # noqa: PLC0415  slow, and mostly not needed
    from report_examples import make_volume  # noqa: PLC0415

    from hilum.formats import write_mask, write_volume  # noqa: PLC0415
    from hilum.report.documents import write_json  # noqa: PLC0415
    from hilum.service.jobs.documents import note_documents  # noqa: PLC0415
    from hilum.service.jobs.views import VIEW_FILES, write_grid  # noqa: PLC0415
    from hilum.volume import CTVolume, Mask  # noqa: PLC0415

    volume, assessment = make_volume(), _made_up(told)
    index = np.stack(np.indices(volume.grid.shape), -1)
    apart = volume.grid.to_world(index) - assessment.nodules[0].center_mm
    ball = np.linalg.norm(apart, axis=-1) < assessment.nodules[0].diameter_mm / 2
    volume = CTVolume(
        np.where(ball, 50, volume.hu).astype(np.int16),
        volume.grid,
        volume.series_uid,
        acquisition=volume.acquisition,
    )
    views.mkdir(exist_ok=True)
    for name in ("ct", "small"):
        write_volume(volume, views / VIEW_FILES[name])
    lungs = np.ones(volume.grid.shape, np.uint8)
    for name, labels in (("lungs", lungs), ("nodules", ball.astype(np.uint8))):
        write_mask(Mask(labels, volume.grid), views / VIEW_FILES[name])
    write_grid(volume.grid, Mask(lungs, volume.grid), views)
    written = {"json": results / "assessment.json", "html": results / "report.html"}
    write_json(assessment, written["json"])
    written["html"].write_text("<!doctype html><p>A report.</p>")
    written["seg"] = results / "seg"
    written["seg"].mkdir(exist_ok=True)
    (written["seg"] / "1.dcm").write_bytes(b"one")
    note_documents(results, written)
