"""Data of one's own: a table of boxes, a table of patients, or no table at all.

boxes      annotations.csv and ct/; see `hilum.datasets.scans`
patients   a CSV with `id` and what is known of each: `path` (of the CT, from where
           the table is), `patient`, `seriesuid`, `cancer` (0 or 1), `years` and
           `event`, `fold`; other columns become facts. Without a path the CT of ID
           is ID, ID.nii.gz and so on, beside the table or in ct/.
folder     each subfolder with slices, volume file or zip is a case
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from hilum._names import stem_of
from hilum.datasets.cases import Case, DataSet, Gap
from hilum.datasets.scans import NEEDED, read_annotations, read_scans
from hilum.datasets.tables import Row, columns_of, number_in, read_rows
from hilum.datasets.walking import bare_name, has_slices, slices_and_volumes
from hilum.errors import InputError
from hilum.formats import is_volume_file

PATIENT_TABLES = ("patients.csv", "cohort.csv", "labels.csv")
_KNOWN = ("id", "path", "source", "patient", "seriesuid", "cancer", "years", "event")
_FOLDS = ("fold", "set")
_ENDINGS = ("", ".nii.gz", ".nii", ".mha", ".mhd", ".npz", ".zip")
"""In the order in which they are looked for."""


def is_boxes(folder: Path) -> bool:
    """Tell whether a folder holds a table of boxes, and scans in ct/."""
    return (folder / "ct").is_dir() and is_box_table(folder / "annotations.csv")


def is_box_table(path: Path) -> bool:
    """Tell whether a table holds boxes."""
    return set(NEEDED) <= set(columns_of(path))


def find_patient_table(folder: Path) -> Path | None:
    """Find a table of patients in a folder."""
    tables = [folder / name for name in PATIENT_TABLES]
    return next((path for path in tables if "id" in columns_of(path)), None)


def read_boxes(folder: Path) -> DataSet:
    """List scans with boxes; takes and raises what `read_scans` does."""
    scans = read_scans(folder)
    cases = tuple(
        Case(
            id=scan.series_uid,
            patient=scan.patient,
            source=scan.source,
            series_uid=scan.series_uid if scan.source.is_dir() else None,
            annotations=scan.annotations,
        )
        for scan in scans
    )
    known, _ = read_annotations(folder / "annotations.csv")
    absent = sorted({a.series_uid for a in known} - {s.series_uid for s in scans})
    gaps = []
    if absent:
        message = (
            f"{len(absent)} series of annotations.csv are not in `ct`, such as "
            f"{absent[0][-12:]}."
        )
        gaps.append(Gap("annotated-scans-absent", len(absent), message))
    zips = [folder / "lidc-xml.zip", folder / "labels" / "lidc-xml.zip"]
    readings = next((path for path in zips if path.is_file()), None)
    return DataSet(
        layout="boxes",
        folder=folder,
        cases=cases,
        gaps=tuple(gaps),
        readings=readings,
    )


def read_patients(table: Path) -> DataSet:
    """List the scans that a table of patients names.

    Args:
        table: The CSV; see this module.

    Raises:
        InputError: It has no column `id` or no row, an id comes twice, a value is of
            the wrong kind, or none of its scans is there. No id is named.
    """
    rows = read_rows(table, ("id",))
    cases: list[Case] = []
    absent: dict[int, Case] = {}
    seen: set[str] = set()
    for line, row in enumerate(rows, start=2):
        name = row["id"].strip()
        if not name or name in seen:
            what = "an id that came before" if name else "no id"
            raise InputError(
                f"Line {line} of `{table.name}` has {what}. Expected a line a scan."
            )
        seen.add(name)
        source, where = (
            _source_of(table.parent, row, name),
            f"Line {line} of `{table.name}`",
        )
        if source is not None:
            cases.append(_case(row, name, source, where))
        else:
            there = (row.get("path") or row.get("source") or "").strip()
            source = table.parent / (there or stem_of(name))
            absent[line - 2] = _case(row, name, source, where)
    if not cases:
        raise InputError(
            f"None of the {len(rows)} scans of `{table.name}` is there. Give a column "
            "`path` from the folder of the table on, or name scans after their id."
        )
    gaps = []
    if absent:
        message = f"{len(absent)} of {len(rows)} rows have no CT here."
        gaps.append(Gap("scans-absent", len(absent), message))
    return DataSet(
        layout="patients",
        folder=table.parent,
        cases=tuple(cases),
        gaps=tuple(gaps),
        absent=absent,
    )


def read_plain(folder: Path) -> DataSet | None:
    """List the scans of a folder without a table; None where there is none."""
    cases = _told_apart(_plain_cases(folder))
    if not cases:
        return None
    gaps = tuple(_unknown_tables(folder))
    return DataSet(layout="folder", folder=folder, cases=cases, gaps=gaps)


def _unknown_tables(folder: Path) -> Iterator[Gap]:
    """Say that there are tables of no layout, or labels would be missed in silence."""
    count = sum(p.suffix.lower() == ".csv" for p in folder.iterdir() if p.is_file())
    if count:
        message = (
            f"{count} CSV files beside the scans are of no layout that is known, so no "
            "label was read. Columns are separated by commas and named as in "
            "docs/how-to/own-data.md; patients.csv needs `id`."
        )
        yield Gap("tables-unknown", count, message)


def _told_apart(found: Iterable[Case]) -> tuple[Case, ...]:
    """Name scans that would have one name after their file, its ending too."""
    cases = tuple(found)
    counts = Counter(case.id for case in cases)
    return tuple(
        replace(c, id=(Path(c.id).parent / c.source.name).as_posix())
        if counts[c.id] > 1
        else c
        for c in cases
    )


def _plain_cases(folder: Path) -> Iterator[Case]:
    children = sorted(p for p in folder.iterdir() if not p.name.startswith("."))
    if has_slices(folder, [p.name for p in children if p.is_file()]):
        yield Case(id=folder.name, patient=folder.name, source=folder)
        return
    for child in children:
        is_zip = child.suffix.lower() == ".zip" and child.is_file()
        if is_volume_file(child) or is_zip:
            name = bare_name(child.name)
            yield Case(id=name, patient=name, source=child)
        elif child.is_dir():
            slices, volumes = slices_and_volumes(child)
            if slices:
                yield Case(id=child.name, patient=child.name, source=child)
            for path in volumes:
                one = len(volumes) == 1 and not slices
                inside = path.relative_to(child).as_posix()
                name = child.name if one else f"{child.name}/{bare_name(inside)}"
                yield Case(id=name, patient=child.name, source=path)


def _source_of(folder: Path, row: Row, name: str) -> Path | None:
    """Find the CT of a row."""
    text = (row.get("path") or row.get("source") or "").strip()
    if text:
        return folder / text if (folder / text).exists() else None
    if Path(name).name != name:
        return None
    places = (
        root / (name + end) for root in (folder, folder / "ct") for end in _ENDINGS
    )
    return next((path for path in places if path.exists()), None)


def _case(row: Row, name: str, source: Path, where: str) -> Case:
    years = number_in(row, "years", where)
    cancer, event = _flag(row, "cancer", where), _flag(row, "event", where)
    if (years is None) != (event is None) or (years is not None and years < 0):
        raise InputError(
            f"{where} needs both `years`, 0 or more, and `event`, or neither."
        )
    known = {*_KNOWN, *_FOLDS}
    fold = next((row[c].strip() for c in _FOLDS if (row.get(c) or "").strip()), None)
    return Case(
        id=name,
        patient=(row.get("patient") or "").strip() or name,
        source=source,
        series_uid=(row.get("seriesuid") or "").strip() or None,
        cancer=cancer,
        years=years,
        event=event,
        fold=fold,
        facts={c: v.strip() for c, v in row.items() if c and c not in known and v},
    )


def _flag(row: Row, column: str, where: str) -> bool | None:
    value = number_in(row, column, where)
    if value not in (None, 0.0, 1.0):
        raise InputError(f"{where}: {column} is {value:g}; expected 0 or 1.")
    return None if value is None else value == 1
