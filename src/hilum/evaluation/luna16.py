"""The figures of a nodule detector by the LUNA16 protocol."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from hilum._optional import require
from hilum.errors import InputError, keeping
from hilum.evaluation.detections import Points, Truth, read_marks, read_truth
from hilum.evaluation.froc import (
    RATES,
    FrocCurve,
    compare_cpm,
    froc,
    match,
)
from hilum.evaluation.froc_figure import draw_froc
from hilum.evaluation.intervals import Figure
from hilum.evaluation.mistakes import Mistake, find_mistakes
from hilum.evaluation.subgroups import (
    Subgroup,
    judge_kinds,
    judge_scans,
    read_facts,
)


@dataclass(frozen=True, slots=True, eq=False)
class DetectionFigures:
    """How good a detector is.

    Attributes:
        curve: With its interval.
        scans: How many were judged.
        nodules: To be found in them.
        marks: That counted: on nodules, or false positives.
        hits: Nodules found at any threshold.
        ignored: Marks that counted neither way.
        dropped: Marks beyond the 100 of their scan.
        has_excluded: Whether there was a list of excluded findings.
        outside: Nodules of annotations.csv in series that were not judged.
        forced: The mistakes that were overridden, those of the other marks too.
        subgroups: Of parts of the scans and nodules, where facts were given.
        difference: CPM less that of the other marks, where there were any.
    """

    curve: FrocCurve
    scans: int
    nodules: int
    marks: int
    hits: int
    ignored: int
    dropped: int
    has_excluded: bool
    outside: int
    forced: tuple[Mistake, ...]
    subgroups: tuple[Subgroup, ...] = ()
    difference: Figure | None = None

    def to_json(self) -> dict[str, Any]:
        """Give what `hilum evaluate luna16` prints."""
        cpm, at = self.curve.cpm, self.curve.at_rates
        notices = [mistake.message for mistake in self.forced]
        if not self.has_excluded:
            notices.append(
                "There is no annotations_excluded.csv: marks on findings that it would "
                "list count as false positives, so the figures are not comparable "
                "with published ones."
            )
        if self.outside:
            notices.append(
                f"{self.outside} nodules of annotations.csv are in series that are not "
                "in seriesuids.csv, and were left out."
            )
        if not self.nodules:
            notices.append("There is no nodule to find, so there is no sensitivity.")
        more: dict[str, Any] = {}
        if self.subgroups:
            more["subgroups"] = [group.to_json() for group in self.subgroups]
        if self.difference is not None:
            more["difference"] = self.difference.to_json()
        return {
            "cpm": cpm.value,
            "cpm_interval": None if cpm.value is None else [cpm.low, cpm.high],
            "sensitivity": {f"{r:g}": f.value for r, f in zip(RATES, at, strict=True)},
            "sensitivity_interval": {
                f"{r:g}": None if f.value is None else [f.low, f.high]
                for r, f in zip(RATES, at, strict=True)
            },
            "scans": self.scans,
            "nodules": self.nodules,
            "marks": self.marks,
            "hits": self.hits,
            "ignored_marks": self.ignored,
            "dropped_marks": self.dropped,
            "excluded_list": self.has_excluded,
            "forced": [mistake.code for mistake in self.forced],
            "notices": notices,
            **more,
        }


def evaluate_luna16(
    truth: Path,
    predictions: Path,
    *,
    force: bool = False,
    split: Path | None = None,
    plot: Path | None = None,
    by: Path | None = None,
    against: Path | None = None,
) -> DetectionFigures:
    """Judge marks by the LUNA16 protocol.

    Args:
        truth: Folder with annotations.csv, seriesuids.csv and, unless it is absent,
            annotations_excluded.csv.
        predictions: CSV with `seriesuid,coordX,coordY,coordZ,probability`.
        force: Score in spite of likely mistakes; the result names them. Marks in
            unknown series are left out, and of marks at one place the surest stays.
        split: CSV with `seriesuid,patient,set`, to check that no patient is in two
            sets.
        plot: Where to draw the FROC curve with its band, as PNG.
        by: CSV of facts by `seriesuid` or `id`: figures of parts of the scans by each,
            and of nodules by size, and by kind where annotations.csv has it.
        against: Other marks in the same scans, to compare with: the same draws of
            scans for both.

    Raises:
        InputError: A table cannot be read, or a mistake is likely: the message names
            it.
        MissingDependencyError: There is a plot to draw, and Matplotlib is missing.

    Source:
        Setio et al., Med Image Anal 2017;42:1.
    """
    if plot is not None:
        require("matplotlib", extra="train", to="to draw the FROC curve")
    known, marks = read_truth(truth), read_marks(predictions)
    mistakes = _mistakes(known, marks, force=force, split=split)
    marks = _surest(marks)
    outcomes = match(known, marks)
    subgroups: tuple[Subgroup, ...] = ()
    if by is not None:
        parts = read_facts(Path(by), known.series)
        subgroups = judge_scans(known, marks, parts)
        subgroups += judge_kinds(known, marks, Path(truth))
    difference = None
    if against is not None:
        other = read_marks(against)
        mistakes += _mistakes(known, other, force=force, of="Of the other marks: ")
        difference = compare_cpm(outcomes, match(known, _surest(other)))
    figures = DetectionFigures(
        curve=froc(outcomes),
        scans=outcomes.scans,
        nodules=int(outcomes.nodules.sum()),
        marks=outcomes.counted,
        hits=int(outcomes.is_hit.sum()),
        ignored=outcomes.ignored,
        dropped=outcomes.dropped,
        has_excluded=known.excluded is not None,
        outside=known.outside,
        forced=mistakes,
        subgroups=subgroups,
        difference=difference,
    )
    if plot is not None:
        with keeping(figures.to_json()):
            draw_froc(figures.curve, plot, title=f"{outcomes.scans} scans")
    return figures


def _mistakes(
    known: Truth, marks: Points, *, force: bool, split: Path | None = None, of: str = ""
) -> tuple[Mistake, ...]:
    """Look for mistakes, and refuse marks with any unless forced."""
    mistakes = tuple(
        replace(mistake, message=of + mistake.message)
        for mistake in find_mistakes(known, marks, split=split)
    )
    if mistakes and not force:
        more = f" {len(mistakes) - 1} more: " if len(mistakes) > 1 else ""
        others = " ".join(mistake.message for mistake in mistakes[1:])
        raise InputError(
            f"{mistakes[0].message}{more}{others} --force scores all the same."
        )
    return mistakes


def _surest(marks: Points) -> Points:
    """Of marks at the very same place keep the surest."""
    order = np.argsort(-marks.value, kind="stable")
    places = marks.places()
    first = {places[n]: n for n in reversed(order.tolist())}
    return marks.kept(np.array(sorted(first.values()), np.int64))
