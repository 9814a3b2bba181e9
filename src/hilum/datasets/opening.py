"""Open a data set of whatever layout: the first of these that fits.

1. a table of patients or of boxes, when the source is a CSV
2. `luna16`: folders subset0 and so on, or .mhd files beside annotations.csv
3. `boxes`: annotations.csv and ct/
4. `nlst`: a table with pid and scr_days0
5. `dsb2017`: stage1/ or stage2/, or folders named by 32 hex digits
6. `lidc`: folders LIDC-IDRI-..., or reader files in XML
7. `patients`: patients.csv, cohort.csv or labels.csv with a column id
8. `folder`: CT without a table
"""

from __future__ import annotations

from pathlib import Path

from hilum._names import name_of
from hilum.datasets.cases import DataSet
from hilum.datasets.dsb2017 import is_dsb2017, read_dsb2017
from hilum.datasets.lidc_folder import is_lidc, read_lidc_folder
from hilum.datasets.luna16 import is_luna16, read_luna16
from hilum.datasets.nlst import find_participants, read_nlst
from hilum.datasets.plain import (
    find_patient_table,
    is_box_table,
    is_boxes,
    read_boxes,
    read_patients,
    read_plain,
)
from hilum.errors import InputError

_NEEDS = (
    "A data set is one of: LUNA16 (subset0/ ... with .mhd, annotations.csv); LIDC-IDRI "
    "(LIDC-IDRI-0001/ ... and reader files in XML); DSB2017 (stage1/PATIENT/, "
    "stage1_labels.csv); NLST (PARTICIPANT/STUDY/SERIES/ and the participant table); "
    "boxes (annotations.csv and ct/); patients (a CSV with id and path); or a folder "
    "of CT, a subfolder or file each."
)


def open_dataset(source: str | Path) -> DataSet:
    """List the scans of a data set, and what is known of each; no pixel is read.

    Args:
        source: A folder of one of the layouts of this module, or a CSV of patients
            or of boxes.

    Returns:
        Its cases and what is missing.

    Raises:
        InputError: It is of no layout that is known, saying what was found and what
            each layout needs; or the layout is damaged, saying how. No patient is
            named.
    """
    source = Path(source)
    try:
        if source.is_dir():
            return _open_folder(source)
        if source.is_file():
            return _open_table(source)
    except OSError as error:
        raise InputError(
            f"Cannot list `{name_of(source)}`: "
            f"{error.strerror or type(error).__name__}. Check that it may be read."
        ) from error
    raise InputError(f"There is nothing at `{name_of(source)}`. {_NEEDS}")


def _open_folder(folder: Path) -> DataSet:
    if is_luna16(folder):
        return read_luna16(folder)
    if is_boxes(folder):
        return read_boxes(folder)
    if find_participants(folder) is not None:
        return read_nlst(folder)
    if is_dsb2017(folder):
        return read_dsb2017(folder)
    if is_lidc(folder):
        return read_lidc_folder(folder)
    table = find_patient_table(folder)
    if table is not None:
        return read_patients(table)
    if (folder / "nodules.csv").is_file():
        raise InputError(
            f"`{name_of(folder)}` is a folder of nodules, cut out of their scans, and "
            "no data set of scans. `hilum train malignancy`, `hilum train "
            "segmentation` and `hilum evaluate nodules` take it."
        )
    plain = read_plain(folder)
    if plain is not None:
        return plain
    raise InputError(f"`{name_of(folder)}` holds {_describe(folder)}. {_NEEDS}")


def _open_table(table: Path) -> DataSet:
    if table.suffix.lower() != ".csv":
        raise InputError(
            f"`{name_of(table)}` is a file and no CSV. `hilum assess` takes a single "
            f"CT. {_NEEDS}"
        )
    return read_boxes(table.parent) if is_box_table(table) else read_patients(table)


def _describe(folder: Path) -> str:
    """Count what a folder holds, without a name."""
    children = list(folder.iterdir())
    folders = sum(p.is_dir() for p in children)
    kinds = sorted({p.suffix.lower() or "no ending" for p in children if p.is_file()})
    files = len(children) - folders
    listed = f" ({', '.join(kinds[:6])})" if kinds else ""
    return f"{folders} folders and {files} files{listed}, and no CT that is known"
