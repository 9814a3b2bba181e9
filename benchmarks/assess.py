"""Time and peak memory of the main job: `hilum assess` on 300 x 512 x 512 DICOM.

Makes a phantom as an uncompressed DICOM series, then runs the command in a process
of its own, from its start to the report on disk, several times over. The first run
may compile kernels and is told apart. Then what each stage took, by the result.

    python benchmarks/assess.py [--slices 300] [--repeats 3] [--source CT]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from hilum.phantom import PhantomSettings, make_phantom, write_phantom

WANTED_SECONDS = 8.0
WANTED_GB = 2.0


def make_series(folder: Path, slices: int) -> None:
    """Write the phantom, and say how long it took to make and to write."""
    start = time.perf_counter()
    phantom = make_phantom(PhantomSettings(seed=7, shape=(slices, 512, 512)))
    made = time.perf_counter()
    write_phantom(phantom, folder)
    written = time.perf_counter()
    print(f"phantom of {slices} slices: made in {made - start:.1f} s", end=", ")
    print(f"written in {written - made:.1f} s")


def run(source: Path, out: Path) -> tuple[float, float]:
    """Run the command; give its wall time in s and its peak memory in GB.

    The peak is that of the largest process, as the kernel counts it (`ru_maxrss`).
    """
    command = [sys.executable, "-m", "hilum", "assess", str(source), str(out)]
    start = time.perf_counter()
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    said = process.stderr.read() if process.stderr else ""
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"hilum assess ended with {process.returncode}:\n{said}")
    return seconds, usage.ru_maxrss * 1024 / 1e9


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--slices", type=int, default=300)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--source", type=Path, help="a CT of one's own instead")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        source = args.source
        if source is None:
            source = Path(name) / "phantom"
            make_series(source, args.slices)
        runs = [run(source, Path(name) / f"out-{k}") for k in range(args.repeats + 1)]
        result = Path(name) / f"out-{args.repeats}" / "assessment.json"
        timings = json.loads(result.read_text())["provenance"]["timings_s"]
    seconds, memory = (list(values) for values in zip(*runs, strict=True))
    print(f"hilum assess, process start to report; best of {args.repeats}")
    print(f"{'':16}{'measured':>10}{'wanted':>10}{'ratio':>8}")
    for title, value, wanted in (
        ("first run, s", seconds[0], WANTED_SECONDS),
        ("later runs, s", min(seconds[1:]), WANTED_SECONDS),
        ("peak memory, GB", max(memory), WANTED_GB),
    ):
        print(f"{title:16}{value:10.2f}{wanted:10.2f}{value / wanted:8.2f}")
    for stage, spent in timings.items():
        print(f"  {stage:14}{spent:10.2f}")


if __name__ == "__main__":
    main()
