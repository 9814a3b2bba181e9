"""Mistakes that make a FROC figure wrong, named before anything is scored."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hilum.datasets.tables import read_rows
from hilum.evaluation.detections import Floats, Points, Truth
from hilum.evaluation.froc import match

SPLIT_COLUMNS = ("seriesuid", "patient", "set")
_FEW_SCANS = 10
_MUCH_BETTER = 4
_LEAST_FIT = 0.2
_LARGEST_INDEX = 2048


@dataclass(frozen=True, slots=True)
class Mistake:
    """What is likely wrong.

    Attributes:
        code: Short name.
        message: What is wrong, and what to do.
    """

    code: str
    message: str


OTHER_FRAMES: dict[str, Callable[[Floats], Floats]] = {
    "x and z are swapped": lambda p: p[:, [2, 1, 0]],
    "coordinates are RAS, not LPS": lambda p: p * (-1, -1, 1),
    "coordinates are RAS, not LPS, and x and z are swapped": lambda p: (
        p[:, [2, 1, 0]] * (-1, -1, 1)
    ),
    "x and y are swapped": lambda p: p[:, [1, 0, 2]],
    "the sign of x is wrong": lambda p: p * (-1, 1, 1),
    "the sign of y is wrong": lambda p: p * (1, -1, 1),
    "the sign of z is wrong": lambda p: p * (1, 1, -1),
}
"""From the points as they are to what they would be if the mistake was made."""


def find_mistakes(
    truth: Truth, marks: Points, *, split: Path | None = None
) -> Iterator[Mistake]:
    """Look for each known mistake.

    Args:
        truth: What is there.
        marks: Predictions, as they were read.
        split: A CSV with the columns `SPLIT_COLUMNS`, one line a series.

    Raises:
        InputError: The split file cannot be read.
    """
    if split is not None:
        yield from _shared_patients(Path(split))
    yield from _strange_series(truth, marks)
    yield from _strange_probabilities(marks)
    yield from _repeats(marks)
    yield from _one_fold(truth, marks)
    yield from _other_frame(truth, marks)


def _strange_series(truth: Truth, marks: Points) -> Iterator[Mistake]:
    strange = np.setdiff1d(marks.series, np.array(truth.series))
    if strange.size:
        yield Mistake(
            "unknown-series",
            f"{strange.size} series of the predictions are not in seriesuids.csv, such "
            f"as ...{strange[0][-12:]}. Were other scans scored, or is the UID that "
            "of the study? To score one fold, leave out the marks of the others.",
        )


def _strange_probabilities(marks: Points) -> Iterator[Mistake]:
    low, high = float(marks.value.min()), float(marks.value.max())
    if low < 0 or high > 1:
        yield Mistake(
            "not-probabilities",
            f"Probabilities must lie in [0, 1]; they go from {low:.4g} to {high:.4g}. "
            "Pass probabilities, not logits or per cent: apply a sigmoid first.",
        )
    if low == high and len(marks) > 1:
        yield Mistake(
            "constant-probability",
            f"All {len(marks)} marks have the probability {low:g}, so there is no "
            "order in which they count, and no curve. Write the detector's score.",
        )


def _repeats(marks: Points) -> Iterator[Mistake]:
    rows = [(s, *p) for s, p in zip(marks.series, marks.center_mm, strict=True)]
    repeated = len(rows) - len({tuple(map(str, row)) for row in rows})
    if repeated:
        yield Mistake(
            "repeated-marks",
            f"{repeated} marks are at the very place of another one of their series. "
            "Was a file joined with itself? Suppress repeats.",
        )


def _one_fold(truth: Truth, marks: Points) -> Iterator[Mistake]:
    with_nodules = np.unique(truth.nodules.series)
    marked = int(np.isin(with_nodules, marks.series).sum())
    if len(with_nodules) >= _FEW_SCANS and marked < len(with_nodules) / 2:
        yield Mistake(
            "one-fold",
            f"Only {marked} of {len(with_nodules)} scans with nodules have a mark. Was "
            "one fold scored against all scans? Give a seriesuids.csv that lists the "
            "scans of that fold alone.",
        )


def _other_frame(truth: Truth, marks: Points) -> Iterator[Mistake]:
    """Try whether the marks fit better when they are taken for something else."""
    marks = marks.kept(np.isin(marks.series, np.array(truth.series)))
    of_marked = np.isin(truth.nodules.series, marks.series)
    nodules = int(of_marked.sum())
    if not nodules or not len(marks):
        return

    def found(points: Floats) -> int:
        moved = Points(marks.series, points, marks.value)
        return int(match(truth, moved).is_hit.sum())

    now = found(marks.center_mm)
    if now >= nodules / _MUCH_BETTER:
        return
    fits = {name: found(turn(marks.center_mm)) for name, turn in OTHER_FRAMES.items()}
    best = max(fits, key=lambda name: fits[name])
    if fits[best] >= max(_MUCH_BETTER * now, _LEAST_FIT * nodules, 1):
        yield Mistake(
            "wrong-frame",
            f"The marks find {now} of {nodules} nodules, but {fits[best]} if {best}. "
            "Write world coordinates in LPS millimetres, as coordX,coordY,coordZ.",
        )
    elif not now and _like_indices(truth, marks.center_mm):
        yield Mistake(
            "voxel-coordinates",
            f"No mark lies on any of {nodules} nodules, and all coordinates lie "
            f"between 0 and {marks.center_mm.max():.0f}: they look like voxel indices. "
            "Convert them to world coordinates in LPS millimetres.",
        )


def _like_indices(truth: Truth, points: Floats) -> bool:
    """Tell whether points look like voxel indices where the truth is in mm."""
    return bool(
        points.min() >= 0
        and points.max() < _LARGEST_INDEX
        and truth.nodules.center_mm.min() < 0
    )


def _shared_patients(path: Path) -> Iterator[Mistake]:
    """Find patients on two sides of a split."""
    sets: dict[str, set[str]] = {}
    for row in read_rows(path, SPLIT_COLUMNS):
        sets.setdefault(row["patient"].strip(), set()).add(row["set"].strip())
    shared = sum(len(sides) > 1 for sides in sets.values())
    if shared:
        yield Mistake(
            "shared-patients",
            f"{shared} of {len(sets)} patients in `{path.name}` are on both sides of "
            "the split, so the detector has seen them. Split by patient and train "
            "again.",
        )
