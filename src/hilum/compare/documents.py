"""What a comparison leaves behind beside the assessment: JSON, and a table."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

from hilum.compare.pair import PairResult
from hilum.findings import Change, Comparison
from hilum.formats.atomic import replacing, writing

COLUMNS = (
    "current",
    "prior",
    "status",
    "possible",
    "x_mm",
    "y_mm",
    "z_mm",
    "prior_diameter_mm",
    "diameter_mm",
    "prior_volume_mm3",
    "volume_mm3",
    "volume_change",
    "low",
    "high",
    "doubling_time_days",
    "shortest_days",
    "longest_days",
    "below_threshold",
)


def write_comparison(result: PairResult, out: Path) -> dict[str, Path]:
    """Write `comparison.json`, `changes.csv` and `prior.json` into a folder.

    Args:
        result: Of two scans.
        out: The folder; must be there.

    Returns:
        Name to the file that was written.

    Raises:
        InputError: A file cannot be written.
    """
    trees = {"comparison": result.comparison, "prior": result.prior}
    texts = {
        f"{name}.json": json.dumps(record.to_json(), indent=2, ensure_ascii=False)
        + "\n"
        for name, record in trees.items()
    }
    texts["changes.csv"] = changes_table(result.comparison)
    written = {}
    for file_name, text in texts.items():
        path = out / file_name
        with writing(path), replacing(path) as file:
            file.write(text.encode())
        written[path.stem] = path
    return written


def changes_table(comparison: Comparison) -> str:
    """Write the changes as a table, one line each."""
    table = io.StringIO()
    rows = csv.writer(table, lineterminator="\n")
    rows.writerow(COLUMNS)
    for change in comparison.changes:
        rows.writerow(_row(change))
    return table.getvalue()


def _row(change: Change) -> list[str]:
    growth = change.growth
    sizes = [
        None if nodule is None else getattr(nodule, name)
        for name in ("diameter_mm", "volume_mm3")
        for nodule in (change.before, change.now)
    ]
    rates = [
        None if growth is None else getattr(growth, name) for name in COLUMNS[11:17]
    ]
    numbers = [*change.current_mm, *sizes, *rates]
    return [
        _text(change.current),
        _text(change.prior),
        change.status,
        " or ".join(change.possible),
        *("" if n is None else f"{n:.4g}" for n in numbers),
        _text(change.below_threshold),
    ]


def _text(value: object) -> str:
    return "" if value is None else str(value)
