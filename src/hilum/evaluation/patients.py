"""Tables of patients: who has cancer, and what was said of each.

A table is a CSV with a header; columns that are not asked for are ignored.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from hilum.datasets.tables import read_rows
from hilum.errors import InputError

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Labelled:
    """What was said of patients, and what was true.

    Attributes:
        ids: (n,) of the patients.
        cancer: (n,) bool.
        probability: (n,) in [0, 1].
    """

    ids: tuple[str, ...]
    cancer: npt.NDArray[np.bool_]
    probability: Floats


def read_labelled(truth: Path, predictions: Path) -> Labelled:
    """Read two tables `id,cancer` and bring them together, in the order of the truth.

    Args:
        truth: `cancer` is 0 or 1.
        predictions: `cancer` is a probability.

    Raises:
        InputError: A table cannot be read, they are of different patients, a label is
            not 0 or 1, or a probability lies outside [0, 1].
    """
    labels = read_table(truth, ("cancer",))
    said = read_table(predictions, ("cancer",))
    bad = [v["cancer"] for v in labels.values() if v["cancer"] not in (0.0, 1.0)]
    if bad:
        raise InputError(
            f"`cancer` in the labels must be 0 or 1; got {bad[0]:g} ({len(bad)} such "
            "rows). Are labels and predictions swapped?"
        )
    ids = same_patients(labels, said)
    probability = np.array([said[i]["cancer"] for i in ids])
    check_probabilities(probability, "`cancer` in the predictions")
    return Labelled(
        ids, np.array([labels[i]["cancer"] == 1 for i in ids], bool), probability
    )


def read_table(path: Path, columns: Sequence[str]) -> dict[str, dict[str, float]]:
    """Read numbers of patients.

    Args:
        path: A CSV with `id` and the columns.
        columns: To read.

    Returns:
        Id to column to number, in the order of the file.

    Raises:
        InputError: The file or a column is absent, an id comes twice, or a value is
            no finite number. No id is named.
    """
    path = Path(path)
    rows = read_rows(path, ("id", *columns))
    if not rows:
        raise InputError(
            f"`{path.name}` has no row. Expected one line a patient, with "
            f"{','.join(('id', *columns))}."
        )
    table: dict[str, dict[str, float]] = {}
    for number, row in enumerate(rows, start=2):
        name = row["id"].strip()
        if not name or name in table:
            what = "an id that came before" if name else "no id"
            raise InputError(
                f"Line {number} of `{path.name}` has {what}. Expected one line a "
                "patient."
            )
        table[name] = {c: _number(row[c], c, path, number) for c in columns}
    return table


def same_patients(
    truth: Mapping[str, object], said: Mapping[str, object]
) -> tuple[str, ...]:
    """Refuse tables of different patients.

    Returns:
        The ids in the order of the truth.

    Raises:
        InputError: A patient is in one table alone.
    """
    missing, extra = len(set(truth) - set(said)), len(set(said) - set(truth))
    if missing or extra:
        raise InputError(
            f"{missing} of {len(truth)} labelled patients have no prediction, and "
            f"{extra} predictions are of patients without a label. Give both for the "
            "same patients: leaving out those that failed would flatter the figures."
        )
    return tuple(truth)


def check_probabilities(values: Floats, what: str) -> None:
    """Refuse what is no probability.

    Raises:
        InputError: A value lies outside [0, 1].
    """
    if values.size and not (values.min() >= 0 and values.max() <= 1):
        raise InputError(
            f"{what} must lie in [0, 1]; got {values.min():g} to {values.max():g}. "
            "Apply a sigmoid to logits, and divide percent by 100."
        )


def as_table(rows: Iterable[tuple[str, float]]) -> bytes:
    """Write ids and probabilities as a CSV `id,cancer`, whatever is in an id.

    Args:
        rows: Id and probability of each patient.
    """
    table = io.StringIO()
    lines = csv.writer(table, lineterminator="\n")
    lines.writerow(("id", "cancer"))
    lines.writerows((name, f"{value:.6g}") for name, value in rows)
    return table.getvalue().encode("utf-8", "surrogateescape")


def _number(text: str, column: str, path: Path, line: int) -> float:
    """Read a number; unlike those of data sets, it is not quoted: it may be an id."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise InputError(
            f"`{column}` in line {line} of `{path.name}` is no finite number."
        )
    return value
