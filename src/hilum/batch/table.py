"""A cohort as a table: a line a scan, and what is known of the patient.

source            path, from the folder of the table, or dicomweb(s)://...
series, prior     the series to read; an earlier scan; both may be empty
id                of the patient, for tables of patients
age, sex, smoker, family_history, emphysema, extrathoracic_cancer,
known_cancer, immunosuppressed          as `hilum assess` takes them; may be empty
"""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

from hilum._names import name_of
from hilum.batch.order import Scan
from hilum.clinical.facts import Facts
from hilum.datasets.tables import columns_of, read_rows
from hilum.errors import InputError

_AGE = "age_years"
_WORDS = ("sex", "smoker")
_TRUTH = {"1": True, "yes": True, "true": True, "0": False, "no": False, "false": False}
_FACTS = {("age" if f.name == _AGE else f.name): f.name for f in fields(Facts)}
COLUMNS = ("source", "series", "prior", "id", *_FACTS)


def read_cohort_table(path: Path) -> tuple[Scan, ...]:
    """Read the scans of a table.

    Args:
        path: A CSV with the column `source`, and any others of `COLUMNS`.

    Returns:
        In the order of the lines.

    Raises:
        InputError: The table cannot be read, has no column `source` or one that is
            not known, names a scan twice, or a value is of no use.
    """
    rows, columns = read_rows(path, ("source",)), columns_of(path)
    unknown = sorted(set(columns) - set(COLUMNS))
    if unknown or len(set(columns)) < len(columns):
        what = f"has the columns {', '.join(columns[:12]) or 'none'}"
        raise InputError(
            f"`{name_of(path)}` {what}; a cohort needs `source`, and may have each of "
            f"{', '.join(COLUMNS[1:])} once."
        )
    found: dict[tuple[str, str], int] = {}
    scans = []
    for line, row in enumerate(rows, start=2):
        scan = _scan_of(row, path, line)
        key = (scan.source, scan.series_uid or "")
        if key in found:
            raise InputError(
                f"Lines {found[key]} and {line} of `{name_of(path)}` name the same "
                "scan. Take one out."
            )
        found[key] = line
        scans.append(scan)
    return tuple(scans)


def _scan_of(row: dict[str, Any], path: Path, line: int) -> Scan:
    """Make the scan of one line."""
    if None in row or None in row.values():
        raise InputError(
            f"Line {line} of `{name_of(path)}` has more or fewer values than the head "
            "of the table. Values with a comma stand in quotes."
        )
    text = {name: str(value).strip() for name, value in row.items()}
    if not text["source"]:
        raise InputError(f"Line {line} of `{name_of(path)}` names no source.")
    try:
        facts = Facts(**{_FACTS[n]: _fact(n, text.get(n, "")) for n in _FACTS})
    except InputError as error:
        raise InputError(f"Line {line} of `{name_of(path)}`: {error}") from error
    return Scan(
        name=text["source"],
        source=_place(text["source"], path),
        id=text.get("id", ""),
        series_uid=text.get("series") or None,
        prior=_place(text["prior"], path) if text.get("prior") else None,
        facts=facts,
    )


def _place(source: str, table: Path) -> str:
    """Give the path of a source, which is told from the folder of the table."""
    if source.startswith(("dicomweb:/", "dicomwebs:/")):
        return source
    return str((table.parent / source).absolute())


def _fact(name: str, text: str) -> Any:
    """Read one fact; None where nothing is told."""
    if not text:
        return None
    if name in _WORDS:
        return text.lower()
    if name == "age":
        try:
            return float(text)
        except ValueError as error:
            raise InputError("`age` must be a number of years.") from error
    if text.lower() not in _TRUTH:
        raise InputError(f"`{name}` must be yes or no.")
    return _TRUTH[text.lower()]
