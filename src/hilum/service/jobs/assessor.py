"""What a worker does with one study: assess it, write the documents, make the views.

Each part is skipped when it is there, so a worker that is started again goes on where
the last one was stopped. `results/assessment.json` says that the study is assessed,
`results/.complete`, which names them, that all documents are written, and the folder
`views`, which appears in one step, that the viewer has what it needs.
"""

from __future__ import annotations

import hmac
import shutil
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from time import perf_counter
from typing import Any

from hilum.dicom import find_studies
from hilum.errors import InputError
from hilum.findings import Assessment
from hilum.formats import is_volume_file
from hilum.formats.outlines import read_outlines
from hilum.outlines import Outlines
from hilum.pipeline import read_and_outline
from hilum.report.ahead import loading_ahead
from hilum.report.documents import (
    OUTLINES_FILE,
    parse_formats,
    read_assessment,
    write_documents,
)
from hilum.service.jobs.documents import COMPLETE, note_documents
from hilum.service.jobs.views import write_views
from hilum.service.jobs.worker import Order, Say
from hilum.sources import read_ct
from hilum.volume import CTVolume


def assess_study(order: Order, say: Say) -> None:
    """Assess a study, write its documents and its views.

    Args:
        order: What to do.
        say: Told of every stage and of what was learned.

    Raises:
        InputError: The study cannot be read, or the folders cannot be written to.
    """
    source, results = Path(order.source), Path(order.results)
    formats = parse_formats(",".join(order.formats))
    told = loading_ahead(lambda stage: say({"stage": stage}), formats)
    volume, assessment, outlines = _assessed(source, results, told)
    seconds = dict(assessment.provenance.timings_s)
    if volume is None and not (
        (results / COMPLETE).exists() and Path(order.views).is_dir()
    ):
        volume = _read_again(source, assessment)
    say({"about": _about(order, assessment)})
    if volume is not None and not (results / COMPLETE).exists():
        say({"stage": "write"})
        start = perf_counter()
        written = write_documents(
            assessment,
            volume,
            results,
            formats=formats,
            outlines=outlines,
            source=source,
        )
        note_documents(results, {str(name): path for name, path in written.items()})
        seconds["write"] = round(perf_counter() - start, 3)
    if volume is not None and not Path(order.views).is_dir():
        say({"stage": "views"})
        start = perf_counter()
        part = Path(order.views).with_name(".views.part")
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir()
        write_views(volume, assessment, part, outlines=outlines)
        part.rename(order.views)
        seconds["views"] = round(perf_counter() - start, 3)
    say({"about": {"timings_s": seconds}})


def _assessed(
    source: Path, results: Path, progress: Callable[[str], None]
) -> tuple[CTVolume | None, Assessment, Outlines | None]:
    """Assess a study, or take up what was concluded before; then without the CT."""
    record, kept = results / "assessment.json", results / OUTLINES_FILE
    if record.exists():
        known = read_assessment(record)
        if kept.exists():
            return None, known, read_outlines(kept)
        if known.provenance.outlines_sha256 is None:
            return None, known, None
    volume, assessment, outlines = read_and_outline(source, progress=progress)
    write_documents(assessment, volume, results, formats=("json",), outlines=outlines)
    return volume, assessment, outlines


def _read_again(source: Path, assessment: Assessment) -> CTVolume:
    """Read the very series that was assessed."""
    if source.is_file() and is_volume_file(source):
        return read_ct(source)
    return read_ct(source, series_uid=assessment.series_uid)


def _about(order: Order, assessment: Assessment) -> dict[str, Any]:
    """Say what the worklist shows."""
    made = assessment.provenance.source.get("acquisition", {})
    return {
        "study_uid": made.get("study_uid"),
        "series_uid": assessment.series_uid,
        "patient": _patient(order, assessment.series_uid),
        "acquired": made.get("acquired"),
        "description": made.get("description"),
        "in_scope": assessment.scope.in_scope,
        "probability": assessment.cancer_probability.value,
        "nodules": len(assessment.nodules),
    }


def _patient(order: Order, series_uid: str) -> str | None:
    """Give the keyed digest of the patient, or None where the study names none."""
    source = Path(order.source)
    if source.is_file() and is_volume_file(source):
        return None
    try:
        found = find_studies(source)
    except InputError:
        return None
    for study in found.studies:
        for series in study.series:
            if series.uid == series_uid and series.headers[0].patient_digest:
                key = bytes.fromhex(order.secret)
                name = series.headers[0].patient_digest.encode()
                return hmac.new(key, name, sha256).hexdigest()[:16]
    return None
