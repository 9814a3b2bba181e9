"""Tables as CSV: read with errors that name the line and the column."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from hilum._names import name_of
from hilum.errors import InputError

Row = dict[str, str]

NOTHING = re.compile(r"|nan|na|none", re.IGNORECASE)
"""What stands for no value."""

_MISSING = re.compile(rf"{NOTHING.pattern}|\.[a-z_]?", re.IGNORECASE)
"""The same, and as SAS has it: a dot, and a letter that says why there is none."""


def read_rows(path: Path, needed: Sequence[str]) -> list[Row]:
    """Read a CSV that has certain columns.

    Args:
        path: The table.
        needed: Columns that must be there; others may be.

    Returns:
        Column to text, a row each.

    Raises:
        InputError: It cannot be read, a column is missing or there twice, or a line
            has fewer or more values than there are columns.
    """
    return [row for _, row in numbered_rows(path, needed)]


def numbered_rows(path: Path, needed: Sequence[str]) -> Iterator[tuple[int, Row]]:
    """Go through the rows of a CSV, each with the line of the file it ends on.

    One is in memory at a time; for the rest see `read_rows`.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, strict=True)  # an open quote eats lines
            columns = tuple(name.strip() for name in reader.fieldnames or ())
            reader.fieldnames = columns
            _check_columns(path, columns, needed)
            for row in reader:
                line = reader.line_num
                if any(row[name] is None for name in needed):
                    there = sum(text is not None for text in row.values())
                    raise InputError(
                        f"Line {line} of `{name_of(path)}` is cut short: it has "
                        f"{there} of {len(columns)} values. Was the file copied whole?"
                    )
                _check_surplus(path, line, row, len(columns))
                yield line, row
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise InputError(
            f"Cannot read `{name_of(path)}`: {reason}. It must be a CSV with the "
            f"columns {','.join(needed)}."
        ) from error


def columns_of(path: Path) -> tuple[str, ...]:
    """Read the names of the columns of a table; none when it cannot be read."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            return tuple(name.strip() for name in next(csv.reader(file), ()))
    except (OSError, UnicodeDecodeError, csv.Error):
        return ()


def number_in(
    row: Mapping[str, str | None],
    column: str,
    where: str,
    *,
    missing: re.Pattern[str] = _MISSING,
) -> float | None:
    """Read a number of a row; None where the column or its value is missing.

    Args:
        row: Column to text.
        column: To read.
        where: What the row is, for the message, such as "Line 3 of `a.csv`".
        missing: What stands for no value.

    Raises:
        InputError: The text is no finite number.

    Example:
        >>> number_in({"age": "61"}, "age", "Line 2"), number_in({}, "age", "Line 2")
        (61.0, None)
    """
    text = (row.get(column) or "").strip()
    if missing.fullmatch(text):
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise InputError(
            f"{where} has {column} {text[:40]!r}; expected a number, or nothing "
            "where it is not known."
        )
    return value


def _check_surplus(path: Path, line: int, row: Row, columns: int) -> None:
    """Refuse a line with more values than columns; empty ones at its end may be."""
    more: Sequence[str] = row.get(None, ())  # type: ignore[call-overload]
    if any(text.strip() for text in more):
        raise InputError(
            f"Line {line} of `{name_of(path)}` has {columns + len(more)} values, and "
            f"the first line {columns}. Write decimals with a point, and put a text "
            "that has a comma in quotes."
        )


def _check_columns(path: Path, columns: Sequence[str], needed: Sequence[str]) -> None:
    missing = [name for name in needed if name not in columns]
    if missing:
        hint = " Separate columns by commas." if ";" in "".join(columns) else ""
        # a first line without any of them may be no header, but name a patient
        there = (
            ",".join(columns)[:120] if len(missing) < len(needed) else "none of those"
        )
        raise InputError(
            f"`{name_of(path)}` lacks the column {', '.join(missing)}; it has {there}. "
            f"Expected a first line with {','.join(needed)}.{hint}"
        )
    refuse_repeated(path, columns, needed)


def refuse_repeated(path: Path, columns: Sequence[str], names: Sequence[str]) -> None:
    """Refuse a table that has a column more than once.

    Args:
        path: The table.
        columns: All that it has.
        names: Those that are looked at.

    Raises:
        InputError: One of them is there more than once.
    """
    twice = sorted({name for name in names if columns.count(name) > 1})
    if twice:
        raise InputError(
            f"`{name_of(path)}` has the column {', '.join(twice)} more than once. Keep "
            "the one that is meant."
        )
