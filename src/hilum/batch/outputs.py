"""Tables of a whole run in the forms that others score: LUNA16 and DSB2017.

A scan that failed has no rows in the first, and its patient the prior in the second.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from hilum.batch.ledger import Ledger
from hilum.batch.order import Scan
from hilum.batch.work import CANDIDATES
from hilum.evaluation.submission import write_probabilities
from hilum.formats.atomic import replacing, writing
from hilum.pipeline import COLUMNS

LUNA16, SUBMISSION = "luna16.csv", "submission.csv"


def write_outputs(
    ledger: Ledger, numbers: Sequence[int], scans: Sequence[Scan]
) -> tuple[Path, Path | None]:
    """Write all candidates as one table, and all patients as one.

    Args:
        ledger: Of the run, sorted.
        numbers: Of the scans of the cohort.
        scans: The scans.

    Returns:
        The table of candidates; that of patients, None where no scan has an id.

    Raises:
        InputError: A table cannot be read or written.
    """
    luna16 = ledger.out / LUNA16
    with writing(luna16), replacing(luna16) as file:
        file.write((",".join(COLUMNS) + "\n").encode())
        for number in numbers:
            if number in ledger.done:
                with (ledger.folder(number) / CANDIDATES).open("rb") as part:
                    part.readline()
                    shutil.copyfileobj(part, file)
    if not any(scan.id for scan in scans):
        return luna16, None
    return luna16, _write_patients(ledger, numbers, scans)


def _write_patients(
    ledger: Ledger, numbers: Sequence[int], scans: Sequence[Scan]
) -> Path:
    """Write a probability a patient: the highest of its scans."""
    values = {int(row["scan"]): row["cancer_probability"] for row in ledger.rows()}
    found: dict[str, float | None] = {}
    for number, scan in zip(numbers, scans, strict=True):
        if not scan.id or number not in values:
            continue
        value, known = values[number], found.get(scan.id)
        if value:
            found[scan.id] = max(float(value), known or 0.0)
        else:
            found.setdefault(scan.id, None)
    ids = list(dict.fromkeys(scan.id for scan in scans if scan.id))
    path = ledger.out / SUBMISSION
    write_probabilities(found, ids, path)
    return path
