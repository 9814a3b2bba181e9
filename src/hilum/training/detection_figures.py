"""How well detectors do in the scans of patients that they never saw."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hilum.datasets.left_out import LeftOut, Told
from hilum.datasets.scans import CERTAIN_READERS, ScanCase
from hilum.errors import InputError
from hilum.evaluation.luna16 import evaluate_luna16
from hilum.formats.atomic import replacing, writing
from hilum.sources import read_ct
from hilum.stages.lungs import LungSegmenter
from hilum.stages.nodules import NoduleDetector

_POINT = ("seriesuid", "coordX", "coordY", "coordZ")
_Row = tuple[object, ...]


def deal_patients(
    cases: Sequence[ScanCase], folds: int, seed: int = 0
) -> dict[str, int]:
    """Deal the patients into folds: those with most nodules first, in turns.

    Args:
        cases: The scans.
        folds: How many; 0 for none.
        seed: Of the order among patients with equally many.

    Returns:
        The fold of each patient; nothing without folds.

    Raises:
        InputError: There are fewer patients than folds, or only 1 fold.
    """
    nodules: dict[str, int] = {}
    for case in cases:
        nodules[case.patient] = nodules.get(case.patient, 0) + len(case.annotations)
    if folds and not 2 <= folds <= len(nodules):
        raise InputError(
            f"Cannot deal {len(nodules)} patients into {folds} folds; expected at "
            "least 2 folds and a patient for each, or 0 for no folds. What is prepared "
            "serves other settings too."
        )
    order = np.random.default_rng(seed).permutation(sorted(nodules)).tolist()
    order.sort(key=lambda patient: -nodules[patient])
    return {patient: n % folds for n, patient in enumerate(order)} if folds else {}


def judge_detectors(
    cases: Sequence[ScanCase],
    networks: Iterable[tuple[frozenset[str], Path]],
    out: Path,
    *,
    left_out: Sequence[LeftOut] = (),
    told: Told = lambda _: None,
) -> dict[str, Any]:
    """Detect in the scans of the patients left out, as `assess` would, and judge.

    A scan that cannot be read any more is told and not judged.

    Args:
        cases: The scans.
        networks: The patients that each never saw, and where it is.
        out: Gets truth/, predictions.csv, metrics.json and froc.png.
        left_out: Scans that the training went on without, for metrics.json.
        told: Called with each scan that is not judged.

    Returns:
        The figures by the LUNA16 protocol, and `left_out`.

    Raises:
        InputError: None of the scans can be read.
    """
    without = list(left_out)
    marks: list[_Row] = []
    judged: list[ScanCase] = []

    def tell(item: LeftOut) -> None:
        without.append(item)
        told(item)

    for patients, path in networks:
        unseen = [case for case in cases if case.patient in patients]
        for case, rows in _detected(unseen, NoduleDetector(weights=str(path)), tell):
            judged.append(case)
            marks += rows
    if not judged:
        raise InputError(
            f"None of the {len(cases)} scans can be read any more, so nothing can be "
            "judged. The networks are trained: bring the scans back, and call again."
        )
    nodules = _write_truth(judged, out / "truth")
    _write(out / "predictions.csv", (*_POINT, "probability"), marks)
    figures: dict[str, Any] = {"scans": len(judged), "nodules": nodules, "cpm": None}
    if marks:
        figures = evaluate_luna16(
            out / "truth", out / "predictions.csv", force=True, plot=out / "froc.png"
        ).to_json()
    figures["left_out"] = [item.to_json() for item in without]
    with replacing(out / "metrics.json") as file:
        file.write((json.dumps(figures, indent=2) + "\n").encode())
    return figures


def _detected(
    cases: Iterable[ScanCase], detect: NoduleDetector, told: Told
) -> Iterator[tuple[ScanCase, list[_Row]]]:
    """Give the scans that can be read, each with its marks as rows of a table."""
    for case in cases:
        uid = case.series_uid if case.source.is_dir() else None
        try:
            volume = read_ct(case.source, series_uid=uid)
        except InputError as error:
            told(LeftOut(case.series_uid, "unreadable", str(error)))
            continue
        found = detect(volume, LungSegmenter()(volume))
        yield case, [(case.series_uid, *c.center_mm, c.score) for c in found]


def _write_truth(cases: Sequence[ScanCase], folder: Path) -> int:
    """Write what readers marked, as LUNA16 has it; give how many nodules are sure."""
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    rows = [(a.readers, (a.series_uid, *a.center_mm, a.diameter_mm))
            for c in cases for a in c.annotations]  # fmt: skip
    sure = [row for readers, row in rows if readers >= CERTAIN_READERS]
    unsure = [row for readers, row in rows if readers < CERTAIN_READERS]
    _write(folder / "annotations.csv", (*_POINT, "diameter_mm"), sure)
    _write(folder / "annotations_excluded.csv", (*_POINT, "diameter_mm"), unsure)
    _write(folder / "seriesuids.csv", ("seriesuid",), [(c.series_uid,) for c in cases])
    return len(sure)


def _write(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a table."""
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])
