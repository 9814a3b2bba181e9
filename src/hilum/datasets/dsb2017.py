"""The Data Science Bowl 2017: a folder of slices a patient, and labels.

    stage1/PATIENT/*.dcm            1,595 patients
    stage2/PATIENT/*.dcm            506 patients
    stage1_labels.csv               id,cancer of 1,397 patients of stage 1
    stage1_sample_submission.csv    id,cancer of the other 198
    stage1_solution.csv, stage2_solution.csv    id,cancer, published later
    stage2_sample_submission.csv    id,cancer of stage 2

The folds are "train" (labelled at first), "test" (of the first sample submission) and
"stage2". A solution gives labels to patients of the last two. Cancer is that which was
diagnosed within a year of the scan.

Sources:
    https://www.kaggle.com/c/data-science-bowl-2017/data
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from hilum._names import name_of
from hilum.datasets.cases import Case, DataSet, Gap
from hilum.datasets.tables import numbered_rows, read_rows
from hilum.errors import InputError

STAGES = ("stage1", "stage2")
_LABELS = ("stage1_labels.csv", "stage1_solution.csv", "stage2_solution.csv")
_SAMPLES = ("stage1_sample_submission.csv", "stage2_sample_submission.csv")
_ID = re.compile(r"[0-9a-f]{32}")


def is_dsb2017(folder: Path) -> bool:
    """Tell whether a folder holds stages, or is one: folders named by 32 hex digits."""
    return any((folder / stage).is_dir() for stage in STAGES) or any(
        _ID.fullmatch(p.name) for p in folder.iterdir() if p.is_dir()
    )


def read_dsb2017(folder: Path) -> DataSet:
    """List the patients of the Data Science Bowl, and their labels.

    Args:
        folder: Holds stage1/ or stage2/, or is one of them; tables lie beside the
            stages.

    Raises:
        InputError: A stage has no folder of a patient, a patient has two labels, a
            label is neither 0 nor 1, or a table is damaged. No id is named.
    """
    root = folder
    stages = [folder / stage for stage in STAGES if (folder / stage).is_dir()]
    if not stages:
        root, stages = folder.parent, [folder]
    labels: dict[str, bool] = {}
    first = _read_labels(root / _LABELS[0])
    for table in (first, *(_read_labels(root / name) for name in _LABELS[1:])):
        if any(labels.get(name, value) != value for name, value in table.items()):
            raise InputError(
                "A patient has cancer by one table of labels and none by another. "
                "Are they of the same release?"
            )
        labels |= table
    sampled = [_read_ids(root / name) for name in _SAMPLES]
    cases: dict[str, Case] = {}
    for stage in stages:
        for place in sorted(p for p in stage.iterdir() if p.is_dir()):
            if place.name in cases:
                raise InputError("A patient is in two stages. Take one folder out.")
            late = stage.name == "stage2" or place.name in sampled[1]
            fold = "stage2" if late else "train" if place.name in first else "test"
            cases[place.name] = Case(
                id=place.name,
                patient=place.name,
                source=place,
                cancer=labels.get(place.name),
                fold=fold,
            )
    if not cases:
        raise InputError(
            f"There is no folder of a patient in `{name_of(stages[0])}`. Unpack "
            "stage1.7z there: a folder each, with its slices."
        )
    gaps = tuple(_gaps(root, cases, labels, set.union(*sampled)))
    return DataSet(
        layout="dsb2017", folder=folder, cases=tuple(cases.values()), gaps=gaps
    )


def _read_labels(path: Path) -> dict[str, bool]:
    """Read a table of labels; nothing where there is none."""
    if not path.is_file():
        return {}
    labels: dict[str, bool] = {}
    for line, row in numbered_rows(path, ("id", "cancer")):
        text = row["cancer"].strip()
        if text not in ("0", "1", "0.0", "1.0"):
            raise InputError(
                f"Line {line} of `{path.name}` has cancer {text[:20]!r}; expected 0 "
                "or 1."
            )
        name, cancer = row["id"].strip(), text.startswith("1")
        if labels.setdefault(name, cancer) != cancer:
            raise InputError(
                f"Line {line} of `{path.name}` says of a patient the other than a line "
                "before it did. Take one of them out."
            )
    return labels


def _read_ids(path: Path) -> set[str]:
    if not path.is_file():
        return set()
    return {row["id"].strip() for row in read_rows(path, ("id",))}


def _gaps(
    root: Path, cases: dict[str, Case], labels: dict[str, bool], sampled: set[str]
) -> Iterator[Gap]:
    """Say what is missing."""
    if not (root / _LABELS[0]).is_file():
        yield Gap("table-absent", 1, f"There is no {_LABELS[0]}.")
    absent = len(set(labels) - set(cases))
    if absent:
        yield Gap(
            "labelled-scans-absent",
            absent,
            f"{absent} labelled patients have no folder.",
        )
    absent = len(sampled - set(cases))
    if absent:
        yield Gap(
            "sampled-scans-absent",
            absent,
            f"{absent} patients of the sample submissions have no folder.",
        )
    unlabelled = sum(case.cancer is None for case in cases.values())
    if unlabelled:
        yield Gap("labels-absent", unlabelled, f"{unlabelled} patients have no label.")
