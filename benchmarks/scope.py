"""What the scope gate measures on real CT, and how long it takes.

python benchmarks/scope.py    (real CT under HILUM_DATA; the time needs none)
"""

from __future__ import annotations

import os
from pathlib import Path
from time import perf_counter

import numpy as np

import hilum
from hilum.pipeline import judge_scope
from hilum.pipeline.scope.stacking import CHANGE_MOST, check_stack
from hilum.space import Grid
from hilum.stages.lungs import LungLook, LungSegmenter
from hilum.volume import CTVolume

MOST_REMOVED = 6
LIMIT = CHANGE_MOST.at_most or 0.0
CODES = (
    "lung-volume", "smaller-lung", "chest-width", "air-hu", "tissue-hu", "lung-hu",
    "blood-hu", "noise", "sharpness", "metal", "metal-streaks", "slice-jump",
    "slice-repeat",
)  # fmt: skip


def without(volume: CTVolume, removed: int) -> CTVolume:
    """Take some slices out of the middle, as if nobody noticed."""
    middle = volume.grid.shape[0] // 2
    hu = np.delete(volume.hu, np.s_[middle : middle + removed], axis=0)
    grid = Grid(hu.shape, volume.grid.affine)
    return CTVolume(hu, grid, volume.series_uid)


def jump(volume: CTVolume) -> float:
    """Give the largest change from slice to slice."""
    return next(c.value or 0.0 for c in check_stack(volume) if c.code == "slice-jump")


def measure_real(folder: Path) -> None:
    """Print what each scan measures."""
    print(f"{'scan':17} {'scope':5} " + " ".join(f"{c:>13}" for c in CODES))
    jumps = []
    for source in sorted((folder / "ct").iterdir()):
        volume = hilum.read_ct(source)
        scope = judge_scope(volume, LungSegmenter()(volume))
        values = {c.code: c.value for c in scope.checks}
        row = " ".join(f"{values.get(c) or 0:13.2f}" for c in CODES)
        print(f"{source.name:17} {'in' if scope.in_scope else 'out':5} {row}")
        if scope.in_scope:
            jumps.append([jump(without(volume, n)) for n in range(1, MOST_REMOVED + 1)])
    print("slice-jump with slices taken out of the middle, over the scans in scope:")
    for n, found in enumerate(np.array(jumps).T, start=1):
        noticed = f"{np.count_nonzero(found > LIMIT)} of {len(found)} noticed"
        print(f"{n} slices: {found.min():.2f} to {found.max():.2f}, {noticed}")


def measure_time() -> None:
    """Print the time for 300 x 512 x 512."""
    settings = hilum.PhantomSettings(shape=(300, 512, 512), spacing_mm=(1.2, 0.7, 0.7))
    volume = hilum.make_phantom(settings).volume
    lungs = LungSegmenter()(volume)
    look = LungLook.of(volume, lungs)
    works = {
        "look": lambda: LungLook.of(volume, lungs),
        "judge": lambda: judge_scope(volume, lungs, look=look),
    }
    for name, work in works.items():
        seconds = []
        for _ in range(5):
            start = perf_counter()
            work()
            seconds.append(perf_counter() - start)
        print(f"{name}: {min(seconds):.2f} s")


if __name__ == "__main__":
    where = Path(os.environ.get("HILUM_DATA", "../shared/data"))
    if (where / "ct").is_dir():
        measure_real(where)
    else:
        print("scope.py: real CT skipped: needs HILUM_DATA")
    measure_time()
