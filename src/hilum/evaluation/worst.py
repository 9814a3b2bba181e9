"""The cases on which readers and networks disagree most: what to look at next.

Either one of the two is wrong: the label is worth a second look, or the case teaches
something new. Of rated nodules the disagreement is the difference of the malignancy
ratings, on the readers' scale of 1 to 5, by 4. Of detections it is 1 less the
probability of the surest mark on a nodule that readers marked (1 for a nodule without
a mark), and the probability of a mark on nothing. All lie in [0, 1].
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from hilum._names import name_of
from hilum.datasets import NoduleCase, load_nodule, read_nodules
from hilum.datasets.tables import columns_of, number_in, numbered_rows
from hilum.errors import InputError
from hilum.evaluation.detections import Points, Truth, read_marks, read_truth
from hilum.evaluation.froc import by_scan, on_findings
from hilum.findings import Point, Record
from hilum.formats.atomic import replacing, writing

Kind = Literal["rating", "missed", "false-positive"]
RATING_COLUMNS = ("folder_malignancy", "malignancy")
"""Where predictions of ratings are looked for, the first that is there."""
_SCALE = 4.0  # from a rating of 1 to one of 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Disagreement(Record):
    """One case on which readers and network disagree.

    Attributes:
        kind: "rating", "missed" (readers marked it, the network not, or weakly) or
            "false-positive".
        case: Name of the nodule's files, or the series UID.
        disagreement: In [0, 1].
        readers: Mean rating, or 1 for marked and 0 for not.
        network: Predicted rating, or the probability of the surest mark.
        center_mm: World point (x, y, z), or None.
        diameter_mm: Or None.
    """

    kind: Kind
    case: str
    disagreement: float
    readers: float
    network: float
    center_mm: Point | None = None
    diameter_mm: float | None = None


@dataclass(frozen=True, slots=True)
class Worst:
    """Disagreements, the largest first.

    Attributes:
        cases: All of them.
        left_out: Cases without a rating of readers or a prediction.
    """

    cases: tuple[Disagreement, ...]
    left_out: int = 0

    def to_json(self, *, most: int = 20) -> dict[str, Any]:
        """Give what `hilum data worst` prints."""
        return {
            "cases": len(self.cases),
            "left_out": self.left_out,
            "worst": [case.to_json() for case in self.cases[: max(most, 0)]],
        }


def find_worst(
    truth: Path, predictions: Path | None = None, *, out: Path | None = None
) -> Worst:
    """Rank cases by how much readers and network disagree.

    Args:
        truth: A folder of rated nodules (see `hilum.datasets.nodules`), or one with
            annotations.csv and seriesuids.csv (see `hilum.evaluation.detections`).
        predictions: Of nodules a CSV with `file` and one of `RATING_COLUMNS`, such as
            the predictions.csv of a training, which are out of fold; None asks the
            shipped networks, which may have been trained on the very nodules. Of
            detections a CSV of marks.
        out: Gets all of them as CSV.

    Raises:
        InputError: It is neither folder, a table is damaged, or there are no
            predictions of detections.
        WeightsError: The shipped weights are absent or damaged.
    """
    truth = Path(truth)
    if (truth / "nodules.csv").is_file():
        cases = read_nodules(truth)
        said = _predicted(predictions) if predictions else _asked(cases)
        found = Worst(*_rated(cases, said))
    elif (truth / "annotations.csv").is_file():
        if predictions is None:
            raise InputError(
                "Detections need predictions: a CSV with seriesuid, coordX, coordY, "
                "coordZ and probability."
            )
        known, marks = read_truth(truth), read_marks(predictions)
        listed = tuple(_detected(known, marks))
        found = Worst(tuple(sorted(listed, key=_order)))
    else:
        raise InputError(
            f"`{name_of(truth)}` has neither nodules.csv (rated nodules) nor "
            "annotations.csv and seriesuids.csv (detections)."
        )
    if out is not None:
        _write(found, Path(out))
    return found


def _rated(
    cases: tuple[NoduleCase, ...], said: dict[str, float]
) -> tuple[tuple[Disagreement, ...], int]:
    """Compare ratings."""
    found = []
    for case in cases:
        readers, network = case.ratings.malignancy, said.get(case.name)
        if readers is None:
            readers = case.mode_malignancy
        if readers is None or network is None:
            continue
        size = case.diameter_mm
        found.append(
            Disagreement(
                kind="rating",
                case=case.name,
                disagreement=round(abs(network - readers) / _SCALE, 4),
                readers=round(readers, 4),
                network=round(network, 4),
                center_mm=case.center_mm,
                diameter_mm=round(size, 2) if math.isfinite(size) else None,
            )
        )
    return tuple(sorted(found, key=_order)), len(cases) - len(found)


def _predicted(path: Path) -> dict[str, float]:
    """Read predicted ratings by the name of the nodule's files."""
    column = next((c for c in RATING_COLUMNS if c in columns_of(path)), None)
    if column is None:
        raise InputError(
            f"`{path.name}` has none of the columns {', '.join(RATING_COLUMNS)}. Give "
            "the predictions.csv of `hilum train malignancy`."
        )
    said = {}
    for line, row in numbered_rows(path, ("file", column)):
        value = number_in(row, column, f"Line {line} of `{path.name}`")
        if value is not None and not 1 <= value <= 5:
            raise InputError(
                f"Line {line} of `{path.name}` has {column} {value:g}; ratings lie in "
                "1 to 5."
            )
        if value is not None:
            said[row["file"]] = value
    return said


def _asked(cases: tuple[NoduleCase, ...]) -> dict[str, float]:
    """Ask the shipped networks for ratings of the nodules with a mask."""
    from hilum.runtime.explanation import expected_rating  # noqa: PLC0415
    from hilum.runtime.predictor import load_predictor  # noqa: PLC0415
    from hilum.runtime.ratings import rating_inputs  # noqa: PLC0415

    predict = load_predictor("malignancy")
    said = {}
    for case in cases:
        if case.mask is not None:
            given = predict(rating_inputs(*load_nodule(case)))
            said[case.name] = float(np.mean(expected_rating(given)))
    return said


def _detected(truth: Truth, marks: Points) -> Iterator[Disagreement]:
    """Compare marks with nodules, a scan at a time."""
    number = {uid: n for n, uid in enumerate(truth.series)}
    nothing = truth.nodules.kept(np.zeros(len(truth.nodules), bool))
    nodules_in, marks_in = by_scan(truth.nodules, number), by_scan(marks, number)
    excluded_in = by_scan(truth.excluded or nothing, number)
    for uid, scan in number.items():
        nodules = nodules_in.get(scan, nothing)
        mine = marks_in.get(scan, nothing)
        on_nodule = on_findings(nodules, mine)
        for n in range(len(nodules)):
            hits = mine.value[on_nodule[n]]
            surest = float(hits.max()) if hits.size else 0.0
            yield _of_mark("missed", uid, 1 - surest, surest, nodules, n)
        others = excluded_in.get(scan, nothing)
        known = on_nodule.any(axis=0) | on_findings(others, mine).any(axis=0)
        for n in np.flatnonzero(~known).tolist():
            said = float(mine.value[n])
            yield _of_mark("false-positive", uid, said, said, mine, n)


def _of_mark(
    kind: Kind, uid: str, much: float, said: float, of: Points, n: int
) -> Disagreement:
    x, y, z = of.center_mm[n].tolist()
    return Disagreement(
        kind=kind,
        case=uid,
        disagreement=round(min(max(much, 0.0), 1.0), 4),
        readers=float(kind == "missed"),
        network=round(said, 4),
        center_mm=(x, y, z),
        diameter_mm=float(of.value[n]) if kind == "missed" else None,
    )


def _order(case: Disagreement) -> tuple[float, str]:
    return -case.disagreement, case.case


def _write(found: Worst, path: Path) -> None:
    """Write a line for each case."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    columns = ("kind", "case", "disagreement", "readers", "network")
    writer.writerow((*columns, "coordX", "coordY", "coordZ", "diameter_mm"))
    for case in found.cases:
        values = [getattr(case, name) for name in columns]
        size = "" if case.diameter_mm is None else case.diameter_mm
        writer.writerow((*values, *(case.center_mm or ("", "", "")), size))
    with writing(path), replacing(path) as file:
        file.write(text.getvalue().encode())
