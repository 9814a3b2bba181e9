"""Mistakes that make a FROC figure wrong, named before anything is scored."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hilum.datasets.tables import numbered_rows
from hilum.errors import InputError
from hilum.evaluation.detections import Floats, Points, Truth
from hilum.evaluation.froc import match

SPLIT_COLUMNS = ("seriesuid", "patient", "set")
_FEW_SCANS = 5
_MUCH_BETTER = 4
_LEAST_FIT = 0.2
_SURE_FIT = 50
_MANY_MARKS = 20
_LARGEST_INDEX = 2048
_NEARLY_ALL = 0.99
_SOME = 0.1
_NEAR_NOTHING = 0.05


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
        InputError: The split file cannot be read, or tells no patient or no set.
    """
    if split is not None:
        yield from _wrong_split(Path(split), truth)
    yield from _wrong_truth(truth)
    if not len(marks):
        yield Mistake(
            "no-marks",
            "The predictions hold no mark at all, so no nodule is found. Did the "
            "detector run?",
        )
        return
    yield from _strange_series(truth, marks)
    yield from _strange_probabilities(marks)
    yield from _repeats(marks)
    yield from _one_fold(truth, marks)
    yield from _other_frame(truth, marks)


def _wrong_truth(truth: Truth) -> Iterator[Mistake]:
    if truth.repeated:
        yield Mistake(
            "repeated-series",
            f"seriesuids.csv lists {len(truth.repeated)} series more than once, such "
            f"as ...{truth.repeated[0][-12:]}. Each scan counts once: take copies out.",
        )
    if truth.outside and not len(truth.nodules):
        yield Mistake(
            "no-nodules-judged",
            f"None of the {truth.outside} nodules of annotations.csv is in a series of "
            "seriesuids.csv, so there is nothing to find. Are the two of other scans?",
        )


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
    repeated = len(marks) - len(set(marks.places()))
    if repeated:
        yield Mistake(
            "repeated-marks",
            f"{repeated} marks are at the very place of another one of their series. "
            "Was a file joined with itself? Suppress repeats.",
        )


def _one_fold(truth: Truth, marks: Points) -> Iterator[Mistake]:
    with_nodules = np.unique(truth.nodules.series)
    marked = int(np.isin(with_nodules, marks.series).sum())
    if len(with_nodules) >= _FEW_SCANS and marked <= len(with_nodules) / 2:
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
    scans = len(np.unique(marks.series))
    by_chance = 1 if len(marks) <= _MANY_MARKS * scans else 2
    least = max(min(_LEAST_FIT * nodules, _SURE_FIT), by_chance)
    if fits[best] >= max(_MUCH_BETTER * now, least):
        yield Mistake(
            "wrong-frame",
            f"The marks find {now} of {nodules} nodules, but {fits[best]} if {best}. "
            "Write world coordinates in LPS millimetres, as coordX,coordY,coordZ.",
        )
    elif now <= _NEAR_NOTHING * nodules and _like_indices(truth, marks.center_mm):
        yield Mistake(
            "voxel-coordinates",
            f"The marks find {now} of {nodules} nodules, and nearly all coordinates "
            f"lie between 0 and {_LARGEST_INDEX}, which those of the nodules do not: "
            "they look like voxel indices. Convert them to world coordinates in LPS "
            "millimetres.",
        )


def _like_indices(truth: Truth, points: Floats) -> bool:
    """Tell whether points look like voxel indices where the truth is in mm.

    Of many a few may not: those of boxes at the border are rounded below 0.
    """
    others = int(((points < 0) | (points >= _LARGEST_INDEX)).sum())
    few = max((1 - _NEARLY_ALL) * points.size, len(points) >= _FEW_SCANS)
    return bool(others <= few and (truth.nodules.center_mm < 0).mean() >= _SOME)


def _wrong_split(path: Path, truth: Truth) -> Iterator[Mistake]:
    """Find patients on two sides of a split, and scans that it does not speak of."""
    series: dict[str, set[str]] = {}
    patients: dict[str, set[str]] = {}
    for line, row in numbered_rows(path, SPLIT_COLUMNS):
        uid, patient, side = (row[name].strip() for name in SPLIT_COLUMNS)
        if not patient or not side:
            raise InputError(
                f"Line {line} of `{path.name}` tells no "
                f"{'set' if patient else 'patient'}. Each series needs both, such as "
                "train or test."
            )
        series.setdefault(uid, set()).add(side.casefold())
        patients.setdefault(patient, set()).add(side.casefold())
    unknown = sum(uid not in series for uid in truth.series)
    if unknown:
        yield Mistake(
            "unknown-split",
            f"`{path.name}` says nothing of {unknown} of the {len(truth.series)} scans "
            "that are judged, so the detector may have been trained on them. List "
            "every series with its patient and set.",
        )
    for what, sides, advice in (
        ("series", series, "Keep each on one side and train again."),
        (
            "patients",
            patients,
            "The detector has seen them: split by patient and train again.",
        ),
    ):
        shared = sum(len(of) > 1 for of in sides.values())
        if shared:
            yield Mistake(
                f"shared-{what}",
                f"{shared} of {len(sides)} {what} in `{path.name}` are on both sides "
                f"of the split. {advice}",
            )
