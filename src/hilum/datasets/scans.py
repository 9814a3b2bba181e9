"""A folder of scans with boxes: what a detector is trained on.

    annotations.csv     seriesuid,coordX,coordY,coordZ,diameter_mm
    ct/PATIENT/...      the scans of a patient: DICOM, .nii.gz, .mha, .npz
    lidc-xml.zip        reader files of LIDC, if there are any

World points are LPS millimetres, as in LUNA16. A scan without a row has no nodule
and is used as such. A volume beside slices is a mask of them, unless the table names
it. Two more columns may be there: `readers`, how many marked the nodule, and `patient`.
Without the first every row counts as certain. Each subfolder or file in ct/ is a
patient unless the table says otherwise.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from hilum.datasets.tables import read_rows
from hilum.datasets.walking import slices_and_volumes
from hilum.dicom import choose_series, find_studies
from hilum.errors import InputError
from hilum.findings import Annotation
from hilum.formats import is_volume_file

NEEDED = ("seriesuid", "coordX", "coordY", "coordZ", "diameter_mm")
CERTAIN_READERS = 3
"""What LUNA16 takes a nodule to be: marked by at least so many readers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanCase:
    """One scan of a folder.

    Attributes:
        series_uid: SeriesInstanceUID, or the name of the file.
        patient: Whose scan; what splits go by.
        source: The DICOM folder or the file.
        annotations: Its nodules; none when it has no row.
    """

    series_uid: str
    patient: str
    source: Path
    annotations: tuple[Annotation, ...]


def read_annotations(path: Path) -> tuple[tuple[Annotation, ...], dict[str, str]]:
    """Read a table of nodules.

    Args:
        path: A CSV with the columns `NEEDED`, and perhaps `readers` and `patient`.

    Returns:
        The nodules in the order of the rows, and the patient of each series, where
        the table names them.

    Raises:
        InputError: The table cannot be read or lacks a column, a value is no finite
            number, a diameter is not above 0, or a series has two patients.
    """
    rows = read_rows(path, NEEDED)
    found = tuple(_annotation(row, n, path.name) for n, row in enumerate(rows, 2))
    patients: dict[str, str] = {}
    for row, annotation in zip(rows, found, strict=True):
        patient = (row.get("patient") or "").strip()
        if patient and patients.setdefault(annotation.series_uid, patient) != patient:
            raise InputError(
                f"`{path.name}` gives series {annotation.series_uid[-12:]} to two "
                "patients. A series is of one."
            )
    return found, patients


def read_scans(folder: Path) -> tuple[ScanCase, ...]:
    """Find the scans of a folder and their nodules; no pixel is read yet.

    Args:
        folder: Holds annotations.csv and ct/.

    Returns:
        By patient, then by series UID.

    Raises:
        InputError: There is no table or no scan, a scan is there twice, or no series
            of the table is there.
    """
    known, patients = read_annotations(folder / "annotations.csv")
    by_series: dict[str, list[Annotation]] = {}
    for annotation in known:
        by_series.setdefault(annotation.series_uid, []).append(annotation)
    root = folder / "ct"
    if not root.is_dir():
        raise InputError(
            f"There is no folder `ct` in `{folder.name}`. Put the scans there, those "
            "of each patient in a subfolder."
        )
    cases: dict[str, ScanCase] = {}
    for child in sorted(p for p in root.iterdir() if not p.name.startswith(".")):
        for uid, source in _scans_of(child, frozenset(by_series)):
            if uid in cases:
                raise InputError(
                    f"Series {uid[-12:]} lies in `ct` twice. Take one copy out."
                )
            cases[uid] = ScanCase(
                series_uid=uid,
                patient=patients.get(uid, child.name.split(".")[0]),
                source=source,
                annotations=tuple(by_series.get(uid, ())),
            )
    absent = sorted(set(by_series) - set(cases))
    if not cases or (absent and len(absent) == len(by_series)):
        raise InputError(
            f"{len(absent)} of {len(by_series)} series of annotations.csv are not in "
            f"`ct`, such as {absent[0][-12:] if absent else 'none'}; {len(cases)} "
            "others are. Is the table of other scans?"
        )
    return tuple(sorted(cases.values(), key=lambda c: (c.patient, c.series_uid)))


def with_readers(case: ScanCase, readers: int) -> ScanCase:
    """Keep the annotations that at least so many readers marked."""
    kept = tuple(a for a in case.annotations if a.readers >= readers)
    return replace(case, annotations=kept)


def _scans_of(child: Path, wanted: frozenset[str]) -> Iterator[tuple[str, Path]]:
    """Find the scans of one patient: the annotated ones, or else the best."""
    if is_volume_file(child):
        yield child.name.split(".")[0], child
        return
    if not child.is_dir():
        return
    slices, volumes = slices_and_volumes(child)
    files = [(path.name.split(".")[0], path) for path in volumes]
    if slices:
        files = [(uid, path) for uid, path in files if uid in wanted]
    yield from files
    if slices or not files:
        yield from ((uid, child) for uid in _series_of(child, wanted))


def _series_of(folder: Path, wanted: frozenset[str]) -> list[str]:
    """Choose the series of a patient; what is wrong with one is told by reading it."""
    try:
        studies = find_studies(folder).studies
    except InputError:
        return [folder.name]
    named = [s.uid for t in studies for s in t.series if s.uid in wanted]
    try:
        return named or [choose_series(studies)[0].uid]
    except InputError:
        return [studies[0].series[0].uid]


def _annotation(row: dict[str, str], line: int, name: str) -> Annotation:
    """Read one row."""
    try:
        x, y, z, diameter = (float(row[c] or "") for c in NEEDED[1:])
        readers = int(row.get("readers") or CERTAIN_READERS)
    except (TypeError, ValueError) as error:
        raise InputError(
            f"Line {line} of `{name}`: {error}. Coordinates and diameter are numbers "
            "in mm, readers a whole number."
        ) from error
    uid = (row["seriesuid"] or "").strip()
    if not (uid and all(map(math.isfinite, (x, y, z, diameter))) and diameter > 0):
        raise InputError(
            f"Line {line} of `{name}` needs a series UID, finite coordinates and a "
            f"diameter above 0; got {diameter} mm at ({x}, {y}, {z})."
        )
    return Annotation(uid, (x, y, z), diameter, readers)
