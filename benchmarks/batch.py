"""Scans an hour by each engine, beside a plain loop, and how the cost grows.

Small phantoms, copied by links under many names. The plain loop reads, assesses and
writes one after the other in this process, as a script of one's own would. The cost of
a scan is the slope from the smaller to the larger cohort, so that the start of workers
(told apart) does not count; the overhead of an engine is that slope against the loop's,
each with the cores that it had.

    python benchmarks/batch.py [--full] [--engines loop local processes ray] [--cpu]
    python benchmarks/batch.py --full --engines local --small

`--full` goes to 1,000 phantoms; `--small` takes smaller ones. `--cpu` counts seconds of
processor time in place of seconds of the clock, for a machine that is busy with other
things; what an engine gains by doing things at once is not seen in it.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

from hilum._cores import count_cores
from hilum.batch import BatchSettings, run_batch
from hilum.phantom import PhantomSettings, make_phantom, write_phantom
from hilum.pipeline import Pipeline, write_candidates
from hilum.report.documents import write_documents
from hilum.sources import read_ct
from hilum.space import Index, Spacing

PEOPLE = 4
USUAL = ((60, 96, 96), (5.0, 3.8, 3.8))
SMALL = ((30, 40, 40), (3.5, 3.2, 3.2))
"""Voxels of the phantoms and their spacing in mm."""

ENGINES = ("loop", "local", "processes", "ray")
WANTED_OVERHEAD = 0.05


def make_phantoms(folder: Path, shape: Index, spacing_mm: Spacing) -> list[Path]:
    """Write the phantoms that the cohorts link to."""
    places = []
    for seed in range(PEOPLE):
        settings = PhantomSettings(seed=seed, shape=shape, spacing_mm=spacing_mm)
        places.append(write_phantom(make_phantom(settings), folder / str(seed)))
    return places


def make_cohort(folder: Path, phantoms: list[Path], count: int) -> Path:
    """Link phantoms under as many names as there are to be scans."""
    folder.mkdir()
    lines = ["source"]
    for number in range(count):
        name = f"scan-{number:04d}"
        (folder / name).symlink_to(phantoms[number % len(phantoms)])
        lines.append(name)
    table = folder / "cohort.csv"
    table.write_text("\n".join(lines) + "\n")
    return table


def plain_loop(table: Path, out: Path) -> None:
    """Assess a cohort as a script of one's own would."""
    pipeline = Pipeline()
    for name in table.read_text().split()[1:]:
        source = table.parent / name
        volume = read_ct(source)
        reading = pipeline.read(volume)
        write_documents(
            reading.assessment,
            volume,
            out / name,
            formats=("json",),
            outlines=reading.outlines,
            source=source,
        )
        write_candidates(
            reading.candidates, volume.series_uid, out / name / "candidates.csv"
        )


def seconds_of(engine: str, table: Path, out: Path, *, cpu: bool) -> float:
    """Time one run of a cohort."""
    start = _now(cpu=cpu)
    if engine == "loop":
        plain_loop(table, out)
    else:
        how = BatchSettings(engine=engine, formats=("json",))  # type: ignore[arg-type]
        result = run_batch(table, out, settings=how)
        if result.failed:
            raise SystemExit(f"{result.failed} scans failed; see {result.failures}")
    return _now(cpu=cpu) - start


def _now(*, cpu: bool) -> float:
    """Seconds of the clock, or of processors for this process and its children."""
    used = os.times()
    if cpu:
        return used.user + used.system + used.children_user + used.children_system
    return time.perf_counter()


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--full", action="store_true", help="10, 100 and 1,000 scans")
    parser.add_argument("--sizes", type=int, nargs="+", help="of the cohorts")
    parser.add_argument("--engines", nargs="*", choices=ENGINES, default=ENGINES)
    parser.add_argument("--small", action="store_true", help="smaller phantoms")
    parser.add_argument("--cpu", action="store_true", help="processor time")
    args = parser.parse_args()
    sizes = args.sizes or ((10, 100, 1000) if args.full else (10, 40))
    engines = [e for e in args.engines if e != "ray" or find_spec("ray")]
    if len(engines) < len(args.engines):
        print("ray: skipped: needs pip install 'hilum[ray]'")
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        shape, spacing_mm = SMALL if args.small else USUAL
        phantoms = make_phantoms(root / "phantoms", shape, spacing_mm)
        tables = [make_cohort(root / f"cohort-{n}", phantoms, n) for n in sizes]
        warm = make_cohort(root / "warm", phantoms, 1)
        seconds_of("loop", warm, root / "warm-out", cpu=args.cpu)
        kind = "processor" if args.cpu else "clock"
        print(f"{count_cores()} cores, {shape} voxels, seconds of the {kind}")
        heads = "".join(f"{f'{n} scans':>12}" for n in sizes)
        print(f"{'':12}{heads}{'a scan':>9}{'start':>8}{'an hour':>9}{'overhead':>10}")
        loop = 0.0
        for engine in engines:
            spent = [
                seconds_of(engine, table, root / f"{engine}-{k}", cpu=args.cpu)
                for k, table in enumerate(tables)
            ]
            slope = (spent[-1] - spent[0]) / (sizes[-1] - sizes[0])
            start = spent[0] - slope * sizes[0]
            loop = slope if engine == "loop" else loop
            over = f"{slope / loop - 1:+10.1%}" if loop else ""
            print(
                f"{engine:12}"
                + "".join(f"{s:12.1f}" for s in spent)
                + f"{slope:9.3f}{start:8.1f}{3600 / slope:9.0f}{over}",
                flush=True,
            )
            _check_linear(sizes, spent)
    print(f"wanted: overhead of an engine below {WANTED_OVERHEAD:.0%}")


def _check_linear(sizes: tuple[int, ...], spent: list[float]) -> None:
    """Say what a scan more costs, from each size to the next: the same if linear."""
    if len(sizes) > 2:
        steps = [*pairwise(zip(sizes, spent, strict=True))]
        costs = [(s - t) / (n - m) for (m, t), (n, s) in steps]
        shown = ", ".join(f"{c:.3f}" for c in costs)
        spread = max(costs) / min(costs)
        print(f"{'':12}a scan more, by size: {shown} s ({spread:.2f} times)")


if __name__ == "__main__":
    main()
