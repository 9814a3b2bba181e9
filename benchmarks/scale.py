"""What a million scans need: a simulation that replays measured stage times.

Measures the stages of full-sized scans with one core each (a phantom of 300 x 512 x
512, or the real CT that HILUM_DATA names with --real), in seconds of the processor,
so that a busy machine does not matter. Then machines with workers take scans from a
common store: each worker reads the next scan while it assesses one, all reads pass the
network card of their machine and the store, all results pass the store and the one
process that keeps the tables. Each of these is a queue; times are drawn from those that
were measured. The same is worked out by hand (the busiest of the queues decides), and
the two are compared.

    python benchmarks/scale.py [--real] [--machines 1 10 100 1000]
"""

from __future__ import annotations

import argparse
import heapq
import os
import resource
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hilum._cores import limit_cores
from hilum.batch.ledger import Ledger, manner_of
from hilum.batch.order import Outcome, row_of
from hilum.findings import Assessment, Guidelines, Probability, Provenance, Scope
from hilum.phantom import PhantomSettings, make_phantom, write_phantom
from hilum.pipeline import Pipeline
from hilum.report.documents import write_documents
from hilum.sources import read_ct

MILLION = 1_000_000
SCAN_BYTES = 300 * 512 * 512 * 2
SECONDS_AN_HOUR = 3600.0


@dataclass(frozen=True)
class Site:
    """What is assumed of the machines; the same in both ways of working it out."""

    cores: int = 16
    gb_a_core: float = 4.0
    link_gb_s: float = 1.25  # a network card of 10 Gbit/s
    store_gb_s: float = 10.0
    core_hour: float = 0.05  # in whatever money
    gb_month: float = 0.02


@dataclass(frozen=True)
class Measured:
    """One scan: seconds of one core, and bytes."""

    read_s: float
    assess_s: float
    write_s: float
    scan_bytes: float
    result_bytes: float


def measure(sources: list[Path], repeats: int) -> list[Measured]:
    """Read, assess and write each source, with one core."""
    limit_cores(1)
    pipeline, found = Pipeline(), []
    for number, source in enumerate(sources * repeats):
        with tempfile.TemporaryDirectory() as name:
            start = time.process_time()
            volume = read_ct(source)
            read = time.process_time()
            reading = pipeline.read(volume)
            assessed = time.process_time()
            write_documents(
                reading.assessment,
                volume,
                Path(name) / "out",
                formats=("html",),
                outlines=reading.outlines,
                source=source,
            )
            written = time.process_time()
            size = sum(p.stat().st_size for p in Path(name).rglob("*") if p.is_file())
        if number or len(sources) * repeats == 1:  # the first loads the networks
            spent = (read - start, assessed - read, written - assessed)
            found.append(Measured(*spent, size_of(source), size))
    return found


def size_of(source: Path) -> int:
    """Add up the bytes of a series."""
    return sum(p.stat().st_size for p in source.rglob("*") if p.is_file())


def measure_tables(rows: int = 200) -> float:
    """Time one line of the tables, on this disk."""
    with tempfile.TemporaryDirectory() as name:
        made = Assessment(
            series_uid="1.2.3",
            scope=Scope(in_scope=True),
            cancer_probability=Probability(0.1, 0.05, 0.2),
            nodules=(),
            guidelines=Guidelines(),
            notices=(),
            provenance=Provenance(
                version="", settings={}, weights={}, timings_s={}, source={}
            ),
        )
        with Ledger(Path(name), manner_of(("json",), False, None)) as ledger:
            start = time.perf_counter()
            for number in range(1, rows + 1):
                ledger.add(number, Outcome(row=row_of(number, made)))
            return (time.perf_counter() - start) / rows


class Queue:
    """Something that serves one after the other."""

    def __init__(self) -> None:
        self.free, self.busy = 0.0, 0.0

    def serve(self, now: float, seconds: float) -> float:
        """Be served from `now` on; gives when it is done."""
        self.free = max(now, self.free) + seconds
        self.busy += seconds
        return self.free


def simulate(
    machines: int, site: Site, scans: list[Measured], line_s: float, rounds: int = 30
) -> tuple[float, dict[str, float]]:
    """Replay a run; give scans an hour, and how busy each queue was."""
    rng = np.random.default_rng(0)
    workers = machines * site.cores
    count = workers * rounds
    drawn = rng.integers(0, len(scans), count)
    store, tables = Queue(), Queue()
    links = [Queue() for _ in range(machines)]
    left = iter(drawn.tolist())
    busy_s, last = 0.0, 0.0
    waiting: list[tuple[float, int, str, int]] = []
    for worker in range(workers):
        heapq.heappush(waiting, (0.0, worker, "read", next(left)))
    free = [0.0] * workers
    while waiting:
        now, worker, what, scan = heapq.heappop(waiting)
        it = scans[scan]
        if what == "read":
            link = links[worker // site.cores]
            passed = link.serve(now, it.scan_bytes / site.link_gb_s / 1e9)
            step = passed, worker, "store", scan
        elif what == "store":
            there = store.serve(now, it.scan_bytes / site.store_gb_s / 1e9)
            step = max(there, free[worker]), worker, "assess", scan
        elif what == "assess":
            spent = it.read_s + it.assess_s + it.write_s
            busy_s += spent
            free[worker] = now + spent
            step = now + spent, worker, "write", scan
            following = next(left, None)
            if following is not None:
                heapq.heappush(waiting, (now, worker, "read", following))
        elif what == "write":
            kept = store.serve(now, it.result_bytes / site.store_gb_s / 1e9)
            step = kept, worker, "line", scan
        else:
            last = max(last, tables.serve(now, line_s))
            continue
        heapq.heappush(waiting, step)
    return SECONDS_AN_HOUR * count / last, {
        "cores": busy_s / (last * workers),
        "links": max(link.busy for link in links) / last,
        "store": store.busy / last,
        "tables": tables.busy / last,
    }


def by_hand(
    machines: int, site: Site, scans: list[Measured], line_s: float
) -> tuple[float, str]:
    """Work out scans an hour, and what limits them: the busiest queue."""
    mean = {
        name: float(np.mean([getattr(s, name) for s in scans]))
        for name in Measured.__dataclass_fields__
    }
    spent = mean["read_s"] + mean["assess_s"] + mean["write_s"]
    through = mean["scan_bytes"] + mean["result_bytes"]
    rates = {
        "cores": machines * site.cores / spent,
        "links": machines * site.link_gb_s * 1e9 / mean["scan_bytes"],
        "store": site.store_gb_s * 1e9 / through,
        "tables": 1 / line_s,
    }
    slowest = min(rates, key=lambda name: rates[name])
    return SECONDS_AN_HOUR * rates[slowest], slowest


def report(
    machines: list[int], site: Site, scans: list[Measured], line_s: float
) -> None:
    """Print what a million scans need."""
    print(
        f"assumed: {site.cores} cores, {site.cores * site.gb_a_core:.0f} GB a machine,"
        f" card {site.link_gb_s} GB/s, store {site.store_gb_s} GB/s,"
        f" {site.core_hour} a core and hour, {site.gb_month} a GB and month"
    )
    print(
        f"{'machines':>9}{'an hour':>10}{'by hand':>10}{'off':>7}{'hours':>9}"
        f"{'limit':>8}{'money':>9}   busy"
    )
    for count in machines:
        rate, busy = simulate(count, site, scans, line_s)
        wanted, limit = by_hand(count, site, scans, line_s)
        hours = MILLION / rate
        money = hours * count * site.cores * site.core_hour
        shown = ", ".join(f"{name} {share:.0%}" for name, share in busy.items())
        print(
            f"{count:9}{rate:10.0f}{wanted:10.0f}{rate / wanted - 1:+7.1%}{hours:9.1f}"
            f"{limit:>8}{money:9.0f}   {shown}"
        )
    for title, size in (("scans", "scan_bytes"), ("results", "result_bytes")):
        gb = MILLION * float(np.mean([getattr(s, size) for s in scans])) / 1e9
        print(f"{title}: {gb / 1000:.1f} TB, {gb * site.gb_month:.0f} a month")


def sources_of(folder: Path, *, real: bool, slices: int) -> Iterator[Path]:
    """Give the scans to measure."""
    if real:
        data = Path(os.environ["HILUM_DATA"]) / "ct"
        yield from sorted(p for p in data.iterdir() if p.is_dir())
        return
    settings = PhantomSettings(seed=7, shape=(slices, 512, 512))
    yield write_phantom(make_phantom(settings), folder / "phantom")


def main() -> None:
    """Measure, simulate, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--machines", type=int, nargs="+", default=[1, 10, 100, 1000])
    parser.add_argument("--slices", type=int, default=300)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--real", action="store_true", help="the CT of HILUM_DATA")
    args = parser.parse_args()
    if args.real and "HILUM_DATA" not in os.environ:
        print("scale.py --real: skipped: needs HILUM_DATA")
        return
    with tempfile.TemporaryDirectory() as name:
        sources = list(sources_of(Path(name), real=args.real, slices=args.slices))
        scans = measure(sources, 1 if args.real else args.repeats)
    line_s = measure_tables()
    peak_gb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
    print(f"{len(scans)} measured; seconds of one core, mean (least to most):")
    for stage in ("read_s", "assess_s", "write_s"):
        each = [getattr(s, stage) for s in scans]
        print(f"  {stage:10}{np.mean(each):7.2f}  ({min(each):.2f} to {max(each):.2f})")
    for size in ("scan_bytes", "result_bytes"):
        print(f"  {size:14}{np.mean([getattr(s, size) for s in scans]) / 1e6:9.1f} MB")
    print(f"  a line of the tables {1000 * line_s:.1f} ms; peak {peak_gb:.2f} GB")
    report(args.machines, Site(), scans, line_s)


if __name__ == "__main__":
    main()
