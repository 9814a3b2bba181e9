"""LUNA16: 888 CT as MetaImage in ten subsets, and tables of nodules.

    subset0/ ... subset9/       SERIES.mhd with .raw or .zraw
    annotations.csv             seriesuid,coordX,coordY,coordZ,diameter_mm
    annotations_excluded.csv    the same; -1 where a diameter is unknown
    candidates.csv, candidates_V2.csv    seriesuid,coordX,coordY,coordZ,class
    seriesuids.csv              one series a line
    seg-lungs-LUNA16/           masks of lungs, named as the scans; left out

The subsets are the official folds. Tables may lie beside them or in a folder below.
Readers looked at every scan, so one without a row has no nodule of 3 mm or more that
three of four marked. LUNA16 does not say which scans are of one patient; a table
`patients.csv` with `seriesuid,patient` does, and without it each scan is a patient.

Sources:
    Setio et al., Med Image Anal 2017;42:1; https://luna16.grand-challenge.org/Data/
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from hilum._names import name_of
from hilum.datasets.cases import Case, DataSet, Gap, ends
from hilum.datasets.scans import CERTAIN_READERS, read_annotations
from hilum.datasets.tables import numbered_rows, read_rows
from hilum.errors import InputError
from hilum.findings import Annotation

CANDIDATE_COLUMNS = ("seriesuid", "coordX", "coordY", "coordZ", "class")
UNKNOWN_DIAMETER_MM = 10.0
"""What the protocol takes a finding to be whose diameter is not known."""

_SUBSET = re.compile(r"subset\d+")
_MASKS = "seg-lungs"
_TABLE_DEPTH = 3

Floats = npt.NDArray[np.float64]


def is_luna16(folder: Path) -> bool:
    """Tell whether a folder holds subsets, or the table and .mhd files themselves."""
    if any(_SUBSET.fullmatch(p.name) for p in folder.iterdir() if p.is_dir()):
        return True
    return (folder / "annotations.csv").is_file() and any(folder.glob("*.mhd"))


def read_luna16(folder: Path) -> DataSet:
    """List the scans of LUNA16 and what readers marked; no voxel is read.

    Args:
        folder: Holds the subsets, some of them, or the scans themselves.

    Raises:
        InputError: There is no table of annotations or no scan, a scan is there
            twice, or a table is damaged.
    """
    table = find_table(folder, "annotations.csv")
    if table is None:
        raise InputError(
            f"`{name_of(folder)}` has subsets as LUNA16 does, but no annotations.csv. "
            "Copy it from the data page of LUNA16 beside them."
        )
    known, named = read_annotations(table)
    by_series: dict[str, list[Annotation]] = {}
    for annotation in known:
        by_series.setdefault(annotation.series_uid, []).append(annotation)
    patients = named | _patients(folder)
    cases: dict[str, Case] = {}
    for path in _scans(folder):
        uid, subset = path.name[: -len(".mhd")], path.parent.name
        if uid in cases:
            raise InputError(
                f"Series {ends((uid,))} lies there twice. Take one copy out."
            )
        cases[uid] = Case(
            id=uid,
            patient=patients.get(uid, uid),
            source=path,
            annotations=tuple(by_series.get(uid, ())),
            fold=subset if _SUBSET.fullmatch(subset) else None,
        )
    if not cases:
        raise InputError(
            f"There is no .mhd file in `{name_of(folder)}`. Unpack subset0.zip and so "
            "on there."
        )
    return DataSet(
        layout="luna16",
        folder=folder,
        cases=tuple(cases[uid] for uid in sorted(cases)),
        gaps=tuple(_gaps(folder, cases, by_series)),
        candidates=_first(folder, "candidates_V2.csv", "candidates.csv"),
        excluded=find_table(folder, "annotations_excluded.csv"),
    )


def read_candidates(path: Path, *, nodules: bool) -> dict[str, Floats]:
    """Read the places that LUNA16's detectors marked.

    Args:
        path: `candidates.csv` or `candidates_V2.csv`: three quarters of a million
            rows, read one at a time.
        nodules: Those on a nodule (class 1), or those on none (class 0).

    Returns:
        Series UID to (n, 3) world points (x, y, z) in mm.

    Raises:
        InputError: The table cannot be read, or a class is neither 0 nor 1.
    """
    wanted = "1" if nodules else "0"
    found: dict[str, list[tuple[float, ...]]] = {}
    for line, row in numbered_rows(path, CANDIDATE_COLUMNS):
        try:
            point = tuple(float(row[name]) for name in CANDIDATE_COLUMNS[1:4])
        except ValueError as error:
            raise InputError(f"Line {line} of `{path.name}`: {error}.") from error
        if row["class"].strip() not in ("0", "1"):
            raise InputError(
                f"Line {line} of `{path.name}` has class {row['class'][:20]!r}; "
                "expected 0 or 1."
            )
        if row["class"].strip() == wanted:
            found.setdefault(row["seriesuid"].strip(), []).append(point)
    return {uid: np.array(points) for uid, points in found.items()}


def read_excluded(path: Path) -> dict[str, tuple[Annotation, ...]]:
    """Read the findings that count neither way, as annotations of one reader.

    Args:
        path: `annotations_excluded.csv`.

    Returns:
        By series UID; `UNKNOWN_DIAMETER_MM` where the diameter is not known.

    Raises:
        InputError: The table cannot be read, or holds what is no number.
    """
    found: dict[str, list[Annotation]] = {}
    columns = (*CANDIDATE_COLUMNS[:4], "diameter_mm")
    for line, row in numbered_rows(path, columns):
        try:
            x, y, z, diameter = (float(row[name]) for name in columns[1:])
        except ValueError as error:
            raise InputError(f"Line {line} of `{path.name}`: {error}.") from error
        size = diameter if diameter > 0 else UNKNOWN_DIAMETER_MM
        uid = row["seriesuid"].strip()
        found.setdefault(uid, []).append(Annotation(uid, (x, y, z), size, 1))
    return {uid: tuple(of) for uid, of in found.items()}


def find_table(folder: Path, name: str) -> Path | None:
    """Look for a table in a folder, and then below it; scans are not entered."""
    level = [folder]
    for _ in range(_TABLE_DEPTH):
        for place in level:
            if (place / name).is_file():
                return place / name
        level = [
            p
            for place in level
            for p in sorted(place.iterdir())
            if p.is_dir() and not _SUBSET.fullmatch(p.name)
        ]
    return None


def is_certain(annotation: Annotation) -> bool:
    """Tell whether enough readers marked it for LUNA16 to count it."""
    return annotation.readers >= CERTAIN_READERS


def _scans(folder: Path) -> Iterator[Path]:
    """Go through the scans, and not the masks of lungs, which have the same names."""
    for path in sorted(folder.rglob("*.mhd")):
        within = path.relative_to(folder).parts[:-1]
        if not any(name.lower().startswith(_MASKS) for name in within):
            yield path


def _first(folder: Path, *names: str) -> Path | None:
    return next(filter(None, (find_table(folder, name) for name in names)), None)


def _patients(folder: Path) -> dict[str, str]:
    path = folder / "patients.csv"
    if not path.is_file():
        return {}
    rows = read_rows(path, ("seriesuid", "patient"))
    return {row["seriesuid"].strip(): row["patient"].strip() for row in rows}


def _gaps(
    folder: Path, cases: dict[str, Case], by_series: dict[str, list[Annotation]]
) -> Iterator[Gap]:
    """Say what is missing."""
    absent = sorted(set(by_series) - set(cases))
    if absent:
        yield Gap(
            "annotated-scans-absent",
            len(absent),
            f"{len(absent)} series of annotations.csv have no .mhd, such as "
            f"{ends(absent)}.",
        )
    listed = find_table(folder, "seriesuids.csv")
    if listed is not None:
        names = listed.read_text(encoding="utf-8-sig").split()
        gone = sorted(set(names) - set(cases) - {"seriesuid"})
        if gone:
            yield Gap(
                "listed-scans-absent",
                len(gone),
                f"{len(gone)} series of seriesuids.csv have no .mhd, such as "
                f"{ends(gone)}.",
            )
    without = [uid for uid, case in cases.items() if not _has_voxels(case.source)]
    if without:
        yield Gap(
            "voxels-absent",
            len(without),
            f"{len(without)} .mhd have no .raw or .zraw beside them, such as "
            f"{ends(without)}.",
        )
    names = ["annotations_excluded.csv", "candidates_V2.csv"]
    for name in names:
        if find_table(folder, name) is None:
            yield Gap("table-absent", 1, f"There is no {name}.")
    folds = {case.fold for case in cases.values() if case.fold}
    if folds and len(folds) < 10:
        yield Gap("subsets-absent", 10 - len(folds), f"{len(folds)} of 10 subsets.")


def _has_voxels(header: Path) -> bool:
    return any(header.with_suffix(s).is_file() for s in (".raw", ".zraw"))
