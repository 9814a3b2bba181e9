"""How long the LUNA16 evaluation takes: 888 scans with 100 marks each.

python benchmarks/luna16.py
"""

from __future__ import annotations

import csv
import tempfile
from pathlib import Path
from time import perf_counter

import numpy as np

from hilum.evaluation import evaluate_luna16

SCANS = 888
MARKS = 100
NODULES = 1186
HEADER = ("seriesuid", "coordX", "coordY", "coordZ")


def write(folder: Path) -> Path:
    """Write a truth and the marks of a fair detector; give the path of the marks."""
    rng = np.random.default_rng(0)
    series = [f"1.2.{n}" for n in range(SCANS)]
    whose = rng.integers(SCANS, size=NODULES)
    nodules = rng.uniform(-150, 150, (NODULES, 3))
    sizes = rng.uniform(4, 20, NODULES)
    marks = []
    for n, uid in enumerate(series):
        found = nodules[(whose == n) & (rng.uniform(size=NODULES) < 0.9)]
        others = rng.uniform(-150, 150, (MARKS - len(found), 3))
        marks += [(uid, *p, rng.beta(4, 2)) for p in found]
        marks += [(uid, *p, rng.beta(1, 8)) for p in others]
    (folder / "seriesuids.csv").write_text("\n".join(series))
    for name, last, rows in (
        (
            "annotations.csv",
            "diameter_mm",
            [(series[w], *p, d) for w, p, d in zip(whose, nodules, sizes, strict=True)],
        ),
        ("marks.csv", "probability", marks),
    ):
        with (folder / name).open("w", newline="") as file:
            csv.writer(file).writerows([(*HEADER, last), *rows])
    return folder / "marks.csv"


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as name:
        path = write(Path(name))
        start = perf_counter()
        figures = evaluate_luna16(Path(name), path)
        seconds = perf_counter() - start
    print(f"{'scans':>8} {'marks':>8} {'seconds':>8} {'CPM':>6}")
    cpm = figures.curve.cpm.value
    print(f"{SCANS:>8} {figures.marks:>8} {seconds:>8.1f} {cpm:>6.3f}")


if __name__ == "__main__":
    main()
