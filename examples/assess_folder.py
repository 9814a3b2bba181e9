"""Assess every scan below a folder, one row each; a bad scan is a row, not the end.

python examples/assess_folder.py SCANS results.csv
"""

import csv
import sys
from pathlib import Path

import hilum


def main(folder: Path, table: Path) -> None:
    """Write one row a scan: its verdict, or why there is none."""
    with table.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["scan", "nodules", "probability", "low", "high", "why_not"])
        for scan in sorted(folder.iterdir()):
            try:
                result = hilum.assess(scan)
            except hilum.InputError as error:
                rows.writerow([scan.name, "", "", "", "", error])
                continue
            risk = result.cancer_probability
            numbers = (len(result.nodules), risk.value, risk.low, risk.high)
            why_not = " ".join(result.scope.reasons)
            rows.writerow([scan.name, *numbers, why_not])
            file.flush()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
