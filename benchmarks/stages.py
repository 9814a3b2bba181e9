"""Every stage of the main job against the table of what is to be reached.

Makes a phantom of 300 x 512 x 512 as uncompressed DICOM, assesses it in processes of
their own, and holds the best of a few runs against the wanted figures; the worst is
named. What each stage took comes from the results.

    python benchmarks/stages.py [--slices 300] [--repeats 3]
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

from assess import WANTED_GB, WANTED_SECONDS, make_series, run

from hilum.runtime.weights import find_weights, parts_of, shipped_names

WANTED_READ, WANTED_DETECTION_S, WANTED_WEIGHTS_MB = 4.0, 2.0, 20.0


def bytes_seconds(folder: Path, repeats: int) -> float:
    """Time the reading of the bytes of a series alone; best of a few."""
    files = sorted(p for p in folder.rglob("*") if p.is_file() and p.suffix != ".csv")
    best = float("inf")
    for _ in range(repeats + 1):
        start = time.perf_counter()
        for path in files:
            path.read_bytes()
        best = min(best, time.perf_counter() - start)
    return best


def weights_mb() -> float:
    """Add up the shipped weights."""
    parts = (p for name in shipped_names() for p in parts_of(find_weights(name)))
    return sum(p.stat().st_size for p in parts) / 1e6


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--slices", type=int, default=300)
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        source = Path(name) / "phantom"
        make_series(source, args.slices)
        runs, stages = [], []
        for k in range(args.repeats + 1):  # the first may compile kernels
            out = Path(name) / f"out-{k}"
            runs.append(run(source, out))
            tree = json.loads((out / "assessment.json").read_text())
            stages.append(tree["provenance"]["timings_s"])
        reading = bytes_seconds(source, args.repeats)
    best = {stage: min(t[stage] for t in stages[1:]) for stage in stages[0]}
    rows = [
        ("assess, s", min(r[0] for r in runs[1:]), WANTED_SECONDS),
        ("peak memory, GB", max(r[1] for r in runs), WANTED_GB),
        ("reading, times the bytes", best["read"] / reading, WANTED_READ),
        ("detection, s", best["nodules"], WANTED_DETECTION_S),
        ("weights, MB", weights_mb(), WANTED_WEIGHTS_MB),
    ]
    print(f"{'':26}{'measured':>10}{'wanted':>10}{'ratio':>8}")
    for title, value, wanted in rows:
        print(f"{title:26}{value:10.2f}{wanted:10.2f}{value / wanted:8.2f}")
    worst = max(rows, key=lambda row: row[1] / row[2])
    print(f"nearest to its limit, or farthest over it: {worst[0]}")
    whole = sum(best.values())
    for stage, seconds in sorted(best.items(), key=lambda item: -item[1]):
        print(f"  {stage:24}{seconds:10.2f} s{seconds / whole:8.0%}")


if __name__ == "__main__":
    main()
