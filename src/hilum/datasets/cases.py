"""One line of a data set, and the data set: scans and what is known of them.

Nothing here reads a pixel. What a table names and no scan is there for, and the
other way round, is a `Gap`: it is told, and the rest is used.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from hilum.findings import Annotation, Record

Layout = Literal["luna16", "lidc", "dsb2017", "nlst", "boxes", "patients", "folder"]
LAYOUTS: tuple[Layout, ...] = (
    "luna16",
    "lidc",
    "dsb2017",
    "nlst",
    "boxes",
    "patients",
    "folder",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One line of a data set: a scan, and what is known of it and of its patient.

    Attributes:
        id: Name of the case, unique in its data set: the series UID, or what the
            layout calls it.
        patient: Whose scan; what splits go by.
        source: The DICOM folder or the file, as `hilum.sources.read_ct` takes it.
        series_uid: The series to read in `source`, or None for the best one there.
        annotations: Nodules that readers marked; () when they marked none, None when
            nobody looked, or the marks are still to be read (see `annotated`).
        cancer: Whether the patient has lung cancer, or None.
        years: To the diagnosis, or to the end of follow-up, from the scan; or None.
        event: Whether `years` ends with a diagnosis of lung cancer, or None.
        fold: The part of the data set that it lies in by its makers' split, or None.
        facts: What else a table says, by column.
    """

    id: str
    patient: str
    source: Path
    series_uid: str | None = None
    annotations: tuple[Annotation, ...] | None = None
    cancer: bool | None = None
    years: float | None = None
    event: bool | None = None
    fold: str | None = None
    facts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Gap(Record):
    """Something that a data set lacks, or has too much of.

    Attributes:
        code: Short name in kebab-case.
        count: How many.
        message: What, with an example that names no patient.
    """

    code: str
    count: int
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSet:
    """Cases of one layout.

    Attributes:
        layout: Which.
        folder: Where it is.
        cases: In the order of their ids, or of the table that names them.
        gaps: What is missing.
        readings: Reader files of LIDC: a zip or a folder, or None.
        candidates: LUNA16's table of candidates, or None.
        excluded: LUNA16's table of findings that count neither way, or None.
        absent: Lines of a table of patients whose scan is not there, by their place
            among all lines, from 0; `source` is where it should be.
    """

    layout: Layout
    folder: Path
    cases: tuple[Case, ...]
    gaps: tuple[Gap, ...] = ()
    readings: Path | None = None
    candidates: Path | None = None
    excluded: Path | None = None
    absent: Mapping[int, Case] = field(default_factory=dict)

    def __len__(self) -> int:
        """Count the cases."""
        return len(self.cases)

    def __iter__(self) -> Iterator[Case]:
        """Go through the cases."""
        return iter(self.cases)

    def lines(self) -> Iterator[Case]:
        """Go through the cases and those that are absent, in the table's order."""
        rest = list(reversed(self.cases))
        for line in range(len(self.cases) + len(self.absent)):
            yield self.absent[line] if line in self.absent else rest.pop()


def ends(names: list[str] | tuple[str, ...]) -> str:
    """Show the end of the first of some UIDs, as messages do."""
    return f"...{names[0][-12:]}" if names else "none"
