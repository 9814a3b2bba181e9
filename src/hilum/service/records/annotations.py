"""What readers say of findings: beside the result of the algorithm, never over it.

Each change is a new row, so it stays known who said what and when. The last row of an
annotation counts; one that was withdrawn is not listed any more.
"""

from __future__ import annotations

import csv
import io
import secrets
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import sqlalchemy as sa

from hilum.errors import InputError
from hilum.findings import Point, Record
from hilum.service.records.database import ANNOTATIONS

Verdict = Literal["accepted", "rejected", "added", "withdrawn"]
COLUMNS = ("seriesuid", "coordX", "coordY", "coordZ", "diameter_mm")
LARGEST_MM = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ReaderAnnotation(Record):
    """A reader's opinion of one finding.

    Attributes:
        id: 32 hexadecimal digits, the same for all versions of it.
        job_id: The study.
        series_uid: The series that was read.
        nodule: Number of the algorithm's nodule, from 1; None: the reader's own.
        verdict: What the reader says of it.
        center_mm: World point (x, y, z), LPS.
        diameter_mm: As the reader has it.
        malignancy: Rating, 1 (benign) to 5 (malignant), or None.
        reader: Who.
        when_s: When, in seconds since 1970.

    Raises:
        InputError: The diameter, rating or verdict cannot be.
    """

    id: str
    job_id: str
    series_uid: str
    nodule: int | None
    verdict: Verdict
    center_mm: Point
    diameter_mm: float
    malignancy: int | None = None
    reader: str
    when_s: float

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        if not 0 < self.diameter_mm <= LARGEST_MM:
            raise InputError(
                f"A diameter lies in 0 to {LARGEST_MM:.0f} mm; got {self.diameter_mm}."
            )
        if self.malignancy is not None and not 1 <= self.malignancy <= 5:
            raise InputError(f"A rating lies in 1 to 5; got {self.malignancy}.")
        own = self.verdict == "added"
        if self.verdict != "withdrawn" and own != (self.nodule is None):
            raise InputError(
                "A nodule of the algorithm is accepted or rejected, one of the reader "
                f"is added; got `{self.verdict}` for nodule {self.nodule}."
            )


class Annotations:
    """The annotations of readers.

    Args:
        engine: Of `open_database`.
    """

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def save(self, annotation: ReaderAnnotation) -> None:
        """Add a version of an annotation."""
        x, y, z = annotation.center_mm
        row = {
            "id": annotation.id,
            "job_id": annotation.job_id,
            "series_uid": annotation.series_uid,
            "nodule": annotation.nodule,
            "verdict": annotation.verdict,
            "x_mm": x,
            "y_mm": y,
            "z_mm": z,
            "diameter_mm": annotation.diameter_mm,
            "malignancy": annotation.malignancy,
            "reader": annotation.reader,
            "when_s": annotation.when_s,
        }
        with self._engine.begin() as connection:
            connection.execute(sa.insert(ANNOTATIONS).values(**row))

    def current(self, job_id: str | None = None) -> tuple[ReaderAnnotation, ...]:
        """List the annotations as they stand, in the order of their making.

        Args:
            job_id: Of one study; None: of all.
        """
        last: dict[str, ReaderAnnotation] = {}
        for annotation in self.history(job_id):
            last[annotation.id] = annotation
        return tuple(a for a in last.values() if a.verdict != "withdrawn")

    def history(self, job_id: str | None = None) -> tuple[ReaderAnnotation, ...]:
        """List every version, the oldest first."""
        query = sa.select(ANNOTATIONS).order_by(ANNOTATIONS.c.row)
        if job_id is not None:
            query = query.where(ANNOTATIONS.c.job_id == job_id)
        with self._engine.connect() as connection:
            rows = connection.execute(query).all()
        return tuple(
            ReaderAnnotation(
                id=row.id,
                job_id=row.job_id,
                series_uid=row.series_uid,
                nodule=row.nodule,
                verdict=row.verdict,
                center_mm=(row.x_mm, row.y_mm, row.z_mm),
                diameter_mm=row.diameter_mm,
                malignancy=row.malignancy,
                reader=row.reader,
                when_s=row.when_s,
            )
            for row in rows
        )


def new_id() -> str:
    """Give the id of a new annotation."""
    return secrets.token_hex(16)


def now_s() -> float:
    """Give the time, in seconds since 1970."""
    return time.time()


def export_csv(annotations: Iterable[ReaderAnnotation]) -> str:
    """Write annotations as `hilum train nodules` reads them.

    What was accepted or added is a nodule; what was rejected is left out, so a series
    of which everything was rejected has no row, which training takes for a scan
    without nodules. Where readers disagree on a nodule, it is in when more accepted
    than rejected it, with the place and the size of the last who accepted.

    Args:
        annotations: As they stand; see `Annotations.current`.

    Returns:
        A table with the columns seriesuid, coordX, coordY, coordZ (LPS, mm) and
        diameter_mm.
    """
    groups: dict[tuple[str, str], list[ReaderAnnotation]] = {}
    for annotation in annotations:
        own = annotation.nodule is None
        name = annotation.id if own else f"nodule {annotation.nodule}"
        groups.setdefault((annotation.series_uid, name), []).append(annotation)
    table = io.StringIO()
    rows = csv.writer(table, lineterminator="\n")
    rows.writerow(COLUMNS)
    for series_uid, name in sorted(groups):
        said = sorted(groups[series_uid, name], key=lambda a: a.when_s)
        kept = [a for a in said if a.verdict != "rejected"]
        if 2 * len(kept) > len(said):
            point = (f"{value:.3f}" for value in kept[-1].center_mm)
            rows.writerow([series_uid, *point, f"{kept[-1].diameter_mm:.2f}"])
    return table.getvalue()
