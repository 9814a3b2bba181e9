"""Tables of detections and of what is truly there, as LUNA16 has them.

World points are LPS millimetres. `annotations.csv` and `annotations_excluded.csv`
hold `seriesuid,coordX,coordY,coordZ,diameter_mm`, predictions `seriesuid,coordX,
coordY,coordZ,probability`, and `seriesuids.csv` one series a line, with a header or
without one.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from hilum.datasets.tables import read_rows
from hilum.errors import InputError

POINT = ("coordX", "coordY", "coordZ")
UNKNOWN_DIAMETER_MM = 10.0
"""What a negative diameter stands for."""

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Points:
    """Points in series.

    Attributes:
        series: (n,) series UIDs.
        center_mm: (n, 3) world points (x, y, z).
        value: (n,) diameters in mm of findings, probabilities of marks.
    """

    series: npt.NDArray[np.str_]
    center_mm: Floats
    value: Floats

    def __len__(self) -> int:
        """Count them."""
        return len(self.series)

    def kept(self, which: npt.NDArray[np.bool_] | npt.NDArray[np.int64]) -> Points:
        """Keep some."""
        return Points(self.series[which], self.center_mm[which], self.value[which])


@dataclass(frozen=True, slots=True, eq=False)
class Truth:
    """What is truly there.

    Attributes:
        series: Of all scans that are judged; some may have no nodule.
        nodules: To be found; diameters above 0.
        excluded: Findings that count neither way; None where there is no list.
        outside: Nodules of the table in series that are not judged.
    """

    series: tuple[str, ...]
    nodules: Points
    excluded: Points | None
    outside: int = 0


def read_truth(folder: Path) -> Truth:
    """Read annotations.csv, annotations_excluded.csv and seriesuids.csv.

    Args:
        folder: Holds the three; the second may be absent.

    Raises:
        InputError: A table is absent, empty or damaged, or names a series or a nodule
            twice.
    """
    folder = Path(folder)
    series = _read_series(folder / "seriesuids.csv")
    judged = np.array(series)
    every = _read_findings(folder / "annotations.csv")
    path = folder / "annotations_excluded.csv"
    excluded = _read_findings(path) if path.exists() else None
    inside = np.isin(every.series, judged)
    if excluded is not None:
        excluded = excluded.kept(np.isin(excluded.series, judged))
    return Truth(series, every.kept(inside), excluded, int((~inside).sum()))


def read_marks(path: Path) -> Points:
    """Read predictions.

    Args:
        path: A CSV with `seriesuid,coordX,coordY,coordZ,probability`.

    Raises:
        InputError: The table cannot be read, lacks a column, or holds what is no
            finite number.
    """
    marks = _read_points(Path(path), "probability")
    if not len(marks):
        raise InputError(
            f"`{Path(path).name}` holds no mark at all, so there is nothing to judge. "
            "Did the detector run?"
        )
    return marks


def _read_findings(path: Path) -> Points:
    """Read nodules or excluded findings."""
    found = _read_points(path, "diameter_mm")
    if (found.value == 0).any():
        line = int(np.flatnonzero(found.value == 0)[0]) + 2
        raise InputError(
            f"Line {line} of `{path.name}` has a diameter of 0 mm, which nothing can "
            "hit. Write -1 where it is unknown."
        )
    diameter = np.where(found.value < 0, UNKNOWN_DIAMETER_MM, found.value)
    return Points(found.series, found.center_mm, diameter)


def _read_points(path: Path, value: str) -> Points:
    """Read points with a value."""
    rows = read_rows(path, ("seriesuid", *POINT, value))
    table = np.empty((len(rows), 4))
    for line, row in enumerate(rows, start=2):
        for column, name in enumerate((*POINT, value)):
            try:
                table[line - 2, column] = float(row[name])
            except ValueError:
                raise InputError(
                    f"Line {line} of `{path.name}`: {name} is {row[name][:40]!r}, "
                    "which is no number."
                ) from None
    bad = np.flatnonzero(~np.isfinite(table).all(axis=1))
    if bad.size:
        raise InputError(
            f"{bad.size} lines of `{path.name}` hold NaN or infinity, the first is "
            f"line {bad[0] + 2}. Look for a division by zero in the detector."
        )
    series = np.array([row["seriesuid"].strip() for row in rows], dtype=np.str_)
    return Points(series, table[:, :3], table[:, 3])


def _read_series(path: Path) -> tuple[str, ...]:
    """Read the series to judge, one a line."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            found = [row[0].strip() for row in csv.reader(file) if row]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise InputError(
            f"Cannot read `{path.name}`: {reason}. It lists the series to judge, one a "
            "line, also those without a nodule."
        ) from error
    found = [uid for uid in found if uid and uid.lower() != "seriesuid"]
    if not found:
        raise InputError(f"`{path.name}` lists no series. Write one a line.")
    names, counts = np.unique(found, return_counts=True)
    if (counts > 1).any():
        raise InputError(
            f"`{path.name}` lists {int((counts > 1).sum())} series twice, such as "
            f"...{names[counts > 1][0][-12:]}. Each scan counts once: take copies out."
        )
    return tuple(found)
