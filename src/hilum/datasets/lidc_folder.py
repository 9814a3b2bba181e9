"""LIDC-IDRI as it is published: DICOM a patient, and the readers' XML files.

    LIDC-IDRI-0001/STUDY/SERIES/*.dcm    CT; radiographs beside them are left out
    XML files                            in the folders of the series, in one of their
                                         own, or in a zip with "xml" in its name

Which reader file is of which series says the SeriesInstanceUID in both. Outlines are
pixels of the scan, so turning them into annotations needs the headers of its slices:
`annotated` does that, a scan at a time.

Sources:
    Armato et al., Med Phys 2011;38:915;
    https://www.cancerimagingarchive.net/collection/lidc-idri/
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from hilum.datasets.cases import Case, DataSet, Gap, ends
from hilum.datasets.lidc import Reading, read_lidc
from hilum.datasets.walking import find_scans, first_header
from hilum.dicom import choose_series, find_studies
from hilum.errors import InputError
from hilum.space import Grid

_PATIENT = re.compile(r"LIDC-IDRI-\d{4}")
_ROOT = b"LidcReadMessage"
_HEAD = 400


def is_lidc(folder: Path) -> bool:
    """Tell whether a folder holds patients of LIDC, or reader files."""
    children = [p.name for p in folder.iterdir() if p.is_dir()]
    named = any(name.startswith("LIDC-IDRI") for name in children)
    return named or find_readings(folder) is not None


def find_readings(folder: Path) -> Path | None:
    """Find the reader files: a zip, or a folder that holds them."""
    zips = [p for p in sorted(folder.glob("*.zip")) if "xml" in p.name.lower()]
    if zips:
        return zips[0]
    for place in sorted(p for p in folder.iterdir() if p.is_dir()):
        if "xml" in place.name.lower():
            return place
    first = next(iter(sorted(folder.rglob("*.xml"))), None)
    if first is None:
        return None
    with first.open("rb") as file:
        return folder if _ROOT in file.read(_HEAD) else None


def read_lidc_folder(folder: Path) -> DataSet:
    """List the CT of LIDC-IDRI; the readers' marks are read by `annotated`.

    Args:
        folder: Holds the patients, or a folder with them, and the reader files.

    Raises:
        InputError: There is no CT series, or one is there twice.
    """
    readings = find_readings(folder)
    cases: dict[str, Case] = {}
    for place in find_scans(folder):
        header = first_header(place) if place.is_dir() else None
        if header is None or not header.is_ct:
            continue
        uid = header.series_uid
        if uid in cases:
            raise InputError(
                f"Series {ends((uid,))} lies there twice. Take one copy out."
            )
        parts = place.relative_to(folder).parts or (folder.name,)
        named = [part for part in parts if _PATIENT.fullmatch(part)]
        cases[uid] = Case(
            id=uid,
            patient=named[0] if named else parts[0],
            source=place,
            series_uid=uid,
        )
    if not cases:
        raise InputError(
            f"There is no CT series in `{folder.name}`. Expected "
            "PATIENT/STUDY/SERIES/ with DICOM files, as LIDC-IDRI is published."
        )
    gaps = []
    if readings is None:
        message = (
            "There are no reader files. Get LIDC-XML-only.zip from The Cancer Imaging "
            "Archive, and put it beside the patients."
        )
        gaps.append(Gap("readings-absent", len(cases), message))
    return DataSet(
        layout="lidc",
        folder=folder,
        cases=tuple(sorted(cases.values(), key=lambda c: (c.patient, c.id))),
        gaps=tuple(gaps),
        readings=readings,
    )


def load_readings(data: DataSet) -> dict[str, Reading]:
    """Read the readers' marks of a data set.

    Returns:
        By series UID; nothing where the data set has no reader files.

    Raises:
        InputError: A reader file is damaged.
    """
    return {} if data.readings is None else read_lidc(data.readings)


def annotated(case: Case, readings: Mapping[str, Reading]) -> Case:
    """Turn the readers' outlines of a case into annotations, from headers alone.

    Args:
        case: Of LIDC; another one, or one that nobody read, is given back unchanged.
        readings: By series UID.

    Raises:
        InputError: The series cannot be read, or a mark lies outside it.
    """
    reading = readings.get(case.series_uid or case.id)
    if case.annotations is not None or reading is None:
        return case
    return replace(case, annotations=reading.annotations(grid_of(case)))


def grid_of(case: Case) -> Grid:
    """Give where the voxels of a case of DICOM files lie, from headers alone.

    Raises:
        InputError: The series cannot become a volume.
    """
    studies = find_studies(case.source).studies
    series, _ = choose_series(studies, series_uid=case.series_uid)
    if series.plan is None:
        raise InputError(f"Series {ends((series.uid,))}: {series.problem}")
    return series.plan.grid.to_canonical()
