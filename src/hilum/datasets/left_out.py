"""Scans that a training goes on without: which, and why.

    left_out.csv     series,reason,message

A training that was begun without a scan goes on without it, for else it would not end
as an unbroken one. The list says which those are; take a line out, or delete the list,
to have the scans tried again.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from hilum.datasets.tables import numbered_rows
from hilum.errors import InputError
from hilum.formats.atomic import replacing, writing

Reason = Literal["unreadable", "no-lungs"]
_REASONS: dict[str, Reason] = {"unreadable": "unreadable", "no-lungs": "no-lungs"}
_NAME = "left_out.csv"
_COLUMNS = ("series", "reason", "message")
_SHOWN = 12


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A scan that is not learned from.

    Attributes:
        series_uid: Its SeriesInstanceUID, or the name of its file.
        reason: "unreadable" or "no-lungs".
        message: What is wrong with it, and what to do.
    """

    series_uid: str
    reason: Reason
    message: str

    def to_json(self) -> dict[str, str]:
        """Give what may be shown of it: the end of the UID, and why."""
        shown = self.series_uid[-_SHOWN:]
        return {"series": shown, "reason": self.reason, "message": self.message}

    def __str__(self) -> str:
        """Say it in a line."""
        return (
            f"series {self.series_uid[-_SHOWN:]} is left out ({self.reason}): "
            f"{self.message}"
        )


Told = Callable[[LeftOut], None]


def read_left_out(folder: Path) -> tuple[LeftOut, ...]:
    """Read what a training was begun without; nothing where there is no list.

    Raises:
        InputError: The list is damaged.
    """
    path = folder / _NAME
    if not path.exists():
        return ()
    found = []
    for line, row in numbered_rows(path, _COLUMNS):
        reason = _REASONS.get(row["reason"])
        if reason is None or not row["series"]:
            raise InputError(
                f"Line {line} of `{path.name}` has reason {row['reason']!r}; expected "
                f"a series and one of {', '.join(_REASONS)}. Delete the file."
            )
        found.append(LeftOut(row["series"], reason, row["message"]))
    return tuple(found)


def write_left_out(scans: Iterable[LeftOut], folder: Path) -> None:
    """Write what a training is begun without.

    Args:
        scans: In any order.
        folder: Gets left_out.csv; made if absent.

    Raises:
        InputError: It cannot be written to.
    """
    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\n")
    rows = sorted((s.series_uid, s.reason, s.message) for s in scans)
    lines.writerows([_COLUMNS, *rows])
    path = folder / _NAME
    with writing(path):
        folder.mkdir(parents=True, exist_ok=True)
        with replacing(path) as file:
            file.write(text.getvalue().encode("utf-8", "backslashreplace"))
