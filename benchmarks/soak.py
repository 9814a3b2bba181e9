"""Memory over many assessments in one process: it must stay flat.

Reads, assesses and writes a small phantom again and again, and prints the memory of
the process (resident set) on the way, with the slope over the second half.

    python benchmarks/soak.py [--count 100]     (500 for the long one)
"""

from __future__ import annotations

import argparse
import gc
import os
import tempfile
import time
from pathlib import Path

import numpy as np

from hilum.phantom import PhantomSettings, make_phantom, write_phantom
from hilum.pipeline import read_and_outline
from hilum.report.documents import write_documents

WANTED_MB = 10.0
"""Most growth in 100 assessments that still counts as flat."""


def memory_mb() -> float:
    """Read the resident memory of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def main() -> None:
    """Assess, print the memory on the way, and the slope."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=100)
    count = parser.parse_args().count
    if not Path("/proc/self/statm").exists():
        print("soak.py: skipped: needs Linux, which tells the memory of a process")
        return
    settings = PhantomSettings(seed=5, shape=(60, 96, 96), spacing_mm=(5, 3.8, 3.8))
    used = []
    with tempfile.TemporaryDirectory() as name:
        source, start = Path(name) / "scan", time.process_time()
        write_phantom(make_phantom(settings), source)
        for number in range(1, count + 1):
            volume, result, outlines = read_and_outline(source)
            write_documents(
                result, volume, Path(name) / "out", formats=("html",), outlines=outlines
            )
            del volume, result, outlines
            used.append(memory_mb())
            if number in (1, 2, 5) or number % max(1, count // 20) == 0:
                seconds = time.process_time() - start
                print(f"{number:5} {used[-1]:8.1f} MB {seconds:8.1f} s", flush=True)
    gc.collect()
    half = used[len(used) // 2 :]
    each = float(np.polyfit(np.arange(len(half)), half, 1)[0]) if len(half) > 2 else 0
    print(f"after {count}: {memory_mb():.1f} MB; {100 * each:+.2f} MB in 100")
    print(f"flat (below {WANTED_MB:g} MB in 100): {abs(100 * each) < WANTED_MB}")


if __name__ == "__main__":
    main()
