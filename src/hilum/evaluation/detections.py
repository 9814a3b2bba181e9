"""Tables of detections and of what is truly there, as LUNA16 has them.

World points are LPS millimetres. `annotations.csv` and `annotations_excluded.csv`
hold `seriesuid,coordX,coordY,coordZ,diameter_mm`, predictions `seriesuid,coordX,
coordY,coordZ,probability`, and `seriesuids.csv` one series a line, with a header or
without one.
"""

from __future__ import annotations

import csv
import math
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from hilum._names import name_of
from hilum.datasets.tables import numbered_rows
from hilum.errors import InputError

POINT = ("coordX", "coordY", "coordZ")
UNKNOWN_DIAMETER_MM = 10.0
"""What a negative diameter stands for."""

_LARGEST_MM = 400.0
_FARTHEST_MM = 1e6
_SERIES_NAMES = ("seriesuid", "seriesinstanceuid", "series_uid", "series")

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

    def places(self) -> list[tuple[str, float, float, float]]:
        """Give where each is: series, x, y, z."""
        x, y, z = self.center_mm.T.tolist()
        return list(zip(self.series.tolist(), x, y, z, strict=True))

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
        repeated: Series that the list of series names more than once.
    """

    series: tuple[str, ...]
    nodules: Points
    excluded: Points | None
    outside: int = 0
    repeated: tuple[str, ...] = ()


def read_truth(folder: Path) -> Truth:
    """Read annotations.csv, annotations_excluded.csv and seriesuids.csv.

    Args:
        folder: Holds the three; the second may be absent.

    Raises:
        InputError: The folder or a table is absent, empty or damaged, or names a nodule
            twice.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(
            f"`{name_of(folder)}` is no folder. The truth is a folder with "
            "annotations.csv and seriesuids.csv; give it before the predictions."
        )
    listed = _read_series(folder / "seriesuids.csv")
    judged, counts = np.unique(listed, return_counts=True)
    every = _read_findings(folder / "annotations.csv")
    _refuse_repeats(every, "annotations.csv")
    path = folder / "annotations_excluded.csv"
    excluded = _read_findings(path) if path.exists() else None
    inside = np.isin(every.series, judged)
    if excluded is not None:
        excluded = excluded.kept(np.isin(excluded.series, judged))
    return Truth(
        tuple(judged.tolist()),
        every.kept(inside),
        excluded,
        outside=int((~inside).sum()),
        repeated=tuple(judged[counts > 1].tolist()),
    )


def read_marks(path: Path) -> Points:
    """Read predictions.

    Args:
        path: A CSV with `seriesuid,coordX,coordY,coordZ,probability`.

    Raises:
        InputError: The table cannot be read, lacks a column, or holds what is no
            finite number.
    """
    return _read_points(Path(path), "probability")


def _read_findings(path: Path) -> Points:
    """Read nodules or excluded findings."""
    found = _read_points(path, "diameter_mm")
    odd = np.flatnonzero((found.value == 0) | (found.value > _LARGEST_MM))
    if odd.size:
        raise InputError(
            f"`{path.name}` has a diameter of {found.value[odd[0]]:.4g} mm, which no "
            "nodule has. Write millimetres, and -1 where it is unknown."
        )
    diameter = np.where(found.value < 0, UNKNOWN_DIAMETER_MM, found.value)
    return Points(found.series, found.center_mm, diameter)


def _read_points(path: Path, value: str) -> Points:
    """Read points with a value."""
    names = (*POINT, value)
    series: list[str] = []
    numbers: list[float] = []
    bad: list[int] = []
    for line, row in numbered_rows(path, ("seriesuid", *names)):
        series.append(row["seriesuid"].strip())
        for name in names:
            try:
                number = float(row[name])
            except ValueError:
                raise InputError(
                    f"Line {line} of `{path.name}`: {name} is {row[name][:40]!r}, "
                    "which is no number. Write it with a decimal point, or take the "
                    "line out."
                ) from None
            if abs(number) > _FARTHEST_MM or not math.isfinite(number):
                bad.append(line)
            numbers.append(number)
    if bad:
        raise InputError(
            f"{len(set(bad))} lines of `{path.name}` hold NaN, infinity or a number "
            f"that no scan holds, the first is line {bad[0]}. Look for a division by "
            "zero where they were made."
        )
    table = np.array(numbers).reshape(-1, len(names)) + 0.0  # no -0
    return Points(np.array(series, dtype=np.str_), table[:, :3], table[:, 3])


def _refuse_repeats(found: Points, name: str) -> None:
    """Refuse a table that has a nodule twice."""
    repeated = [place for place, n in Counter(found.places()).items() if n > 1]
    if repeated:
        raise InputError(
            f"`{name}` has {len(repeated)} nodules more than once, at the very same "
            f"place, such as one in series ...{repeated[0][0][-12:]}. Each counts "
            "once: take copies out."
        )


def _read_series(path: Path) -> list[str]:
    """Read the series to judge, one a line, or out of a column of that name."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = [row for row in csv.reader(file, strict=True) if row]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise InputError(
            f"Cannot read `{path.name}`: {reason}. It lists the series to judge, one a "
            "line, also those without a nodule."
        ) from error
    first = [name.strip().lower() for name in rows[0]] if rows else []
    column = next((n for n, name in enumerate(first) if name in _SERIES_NAMES), None)
    if column is None and any(len(row) > 1 for row in rows):
        raise InputError(
            f"`{path.name}` has several columns and none is called seriesuid. Write "
            "the series alone, one a line, or name their column."
        )
    body = rows if column is None else rows[1:]
    found = [row[column or 0].strip() for row in body if len(row) > (column or 0)]
    found = [uid for uid in found if uid]
    if not found:
        raise InputError(f"`{path.name}` lists no series. Write one a line.")
    return found
