"""A cohort from its sources to its tables, by whatever engine."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Literal

from hilum._cgroup import memory_left_bytes
from hilum._cores import count_cores
from hilum._names import name_of
from hilum.batch.cohort import find_cohort
from hilum.batch.crew import outcomes_of
from hilum.batch.hand import ASSESSOR, Hand, HandSettings, Worker
from hilum.batch.ledger import FAILURES, SUMMARY, Ledger, manner_of
from hilum.batch.order import Order, Outcome, Scan
from hilum.batch.outputs import write_outputs
from hilum.errors import InputError
from hilum.pipeline import Pipeline
from hilum.records import Record
from hilum.report.documents import parse_formats

Engine = Literal["local", "processes", "ray"]
ENGINES = ("local", "processes", "ray")

WORKER_GB = 2.5
"""Memory to count on for each worker: two volumes, the networks and the rest."""

_MOST_WORKERS = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchSettings:
    """How a cohort is assessed.

    Attributes:
        engine: "local", one scan after the other with all cores; "processes",
            several at once with a share of the cores each; "ray", the same on one
            machine or many.
        workers: Scans at once; None: as many as cores and memory allow. With "local"
            always one.
        address: Of a Ray cluster; None: Ray on this machine alone.
        time_limit_s: Longest time for one scan.
        memory_limit_gb: Most memory of a worker.
        formats: Documents beside the JSON.
        settings: A TOML file of settings.
        force: Give the probability even when a series is out of scope.
        retry_failed: Whether scans that failed before are tried again.
        assessor: What a worker runs, "module:class"; see `hilum.batch.work.Assessor`.

    Raises:
        InputError: A number is out of its range, or options do not fit together.
    """

    engine: Engine = "local"
    workers: int | None = None
    address: str | None = None
    time_limit_s: float = 1800.0
    memory_limit_gb: float = 6.0
    formats: tuple[str, ...] = ("html",)
    settings: Path | None = None
    force: bool = False
    retry_failed: bool = False
    assessor: str = ASSESSOR

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        if self.engine not in ENGINES:
            raise InputError(
                f"Unknown engine `{self.engine}`. Engines are: {', '.join(ENGINES)}."
            )
        if self.workers is not None and not 1 <= self.workers <= _MOST_WORKERS:
            raise InputError(
                f"`workers` must lie in 1 to {_MOST_WORKERS}; got {self.workers}."
            )
        for name in ("time_limit_s", "memory_limit_gb"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise InputError(
                    f"`{name}` must be above 0, and finite; got {value}. For as good "
                    "as no limit give a large number."
                )
        if self.address is not None and self.engine != "ray":
            raise InputError("An address of a cluster needs the engine `ray`.")


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchResult(Record):
    """What a run came to.

    Attributes:
        scans: In the cohort.
        assessed: Of them in the summary.
        failed: Of them in the failures.
        resumed: Of both, known before this start.
        seconds: That this start took.
        per_hour: Scans finished an hour, at this start; None: none was left to do.
        summary: The table of those that were assessed.
        failures: The table of those that were not.
        luna16: All candidates, as LUNA16 has them.
        submission: A probability a patient, as the Data Science Bowl 2017 has them;
            None where the cohort has no ids.
    """

    scans: int
    assessed: int
    failed: int
    resumed: int
    seconds: float
    per_hour: float | None
    summary: str
    failures: str
    luna16: str
    submission: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchProgress:
    """How far a run is.

    Attributes:
        scans: In the cohort.
        finished: Of them, those of earlier starts included.
        failed: Of the finished.
        fresh: Finished at this start.
        seconds: Since this start.
    """

    scans: int
    finished: int
    failed: int
    fresh: int
    seconds: float

    @property
    def per_hour(self) -> float | None:
        """Scans finished an hour; None before the first."""
        return 3600 * self.fresh / self.seconds if self.fresh else None

    @property
    def left_s(self) -> float | None:
        """Seconds that the rest will take at this rate; None before the first."""
        if not self.fresh:
            return None
        return (self.scans - self.finished) * self.seconds / self.fresh


def run_batch(
    cohort: str | Path,
    out: str | Path,
    *,
    settings: BatchSettings | None = None,
    progress: Callable[[BatchProgress], None] | None = None,
) -> BatchResult:
    """Assess every scan of a cohort; a run that was stopped goes on.

    Args:
        cohort: As for `find_cohort`.
        out: Folder for the tables and a folder a scan; see `hilum.batch.ledger`.
        settings: How; by default `BatchSettings()`.
        progress: Called after each scan, and about twice a second between.

    Raises:
        InputError: There is no scan, or the folder cannot be used or lies in that
            of the cohort.
        MissingDependencyError: The engine or a document needs what is not installed.
        WeightsError: The weights are absent or damaged.
    """
    how, start, out = settings or BatchSettings(), perf_counter(), Path(out)
    parse_formats(",".join(how.formats))
    pipeline = Pipeline.from_file(how.settings) if how.settings else Pipeline()
    pipeline.check()
    _check_apart(cohort, out)
    scans = find_cohort(cohort)
    with Ledger(out, manner_of(how.formats, how.force, how.settings)) as ledger:
        numbers = ledger.number(scans)
        if how.retry_failed:
            ledger.forget_failures(numbers)
        ledger.recover(numbers)
        orders = _orders(ledger, numbers, scans, how)
        failed = sum(n in ledger.failed for n in numbers)
        meter = _Meter(len(scans), len(scans) - len(orders), failed, start, progress)
        with (
            _workers(how, len(orders)) as workers,
            closing(outcomes_of(orders, workers, idle=meter.tell)) as outcomes,
        ):
            for order, outcome in outcomes:
                ledger.add(order.number, outcome)
                meter.count(outcome)
        ledger.sort()
        tables = write_outputs(ledger, numbers, scans)
        return _result(meter.read(), ledger.out, *tables)


def _result(
    told: BatchProgress, out: Path, luna16: Path, submission: Path | None
) -> BatchResult:
    """Say what a run came to that is finished."""
    return BatchResult(
        scans=told.scans,
        assessed=told.finished - told.failed,
        failed=told.failed,
        resumed=told.finished - told.fresh,
        seconds=round(told.seconds, 3),
        per_hour=None if told.per_hour is None else round(told.per_hour, 1),
        summary=str(out / SUMMARY),
        failures=str(out / FAILURES),
        luna16=str(luna16),
        submission=None if submission is None else str(submission),
    )


class _Meter:
    """Counts what is finished, and tells.

    Args:
        scans: In the cohort.
        resumed: Of them known before.
        failed: Of those.
        start: Of the run, as `perf_counter` told it.
        progress: Who is told; None: nobody.
    """

    def __init__(
        self,
        scans: int,
        resumed: int,
        failed: int,
        start: float,
        progress: Callable[[BatchProgress], None] | None,
    ) -> None:
        self._scans, self._resumed, self._start = scans, resumed, start
        self._fresh, self._failed, self._progress = 0, failed, progress

    def count(self, outcome: Outcome) -> None:
        """Count a scan that was finished just now."""
        self._fresh += 1
        self._failed += outcome.failure is not None
        self.tell()

    def read(self) -> BatchProgress:
        """Say how far the run is."""
        return BatchProgress(
            scans=self._scans,
            finished=self._resumed + self._fresh,
            failed=self._failed,
            fresh=self._fresh,
            seconds=perf_counter() - self._start,
        )

    def tell(self) -> None:
        """Tell how far the run is."""
        if self._progress is not None:
            self._progress(self.read())


def _check_apart(cohort: str | Path, out: Path) -> None:
    """Refuse results among the scans: outlines of lungs are volumes too."""
    folder, inner = os.path.realpath(cohort), os.path.realpath(out)
    is_folder = os.path.isdir(folder)  # noqa: PTH112  bears any path
    if is_folder and os.path.commonpath((folder, inner)) == folder:
        raise InputError(
            f"`{name_of(out)}` lies in the folder of the cohort, where results would "
            "be taken for scans. Name a folder outside of it."
        )


def share_cores(workers: int | None) -> tuple[int, int]:
    """Tell how many workers this machine takes, and how many cores each gets.

    Args:
        workers: That are wanted; None: a worker a core, where memory allows it.

    Example:
        >>> workers, cores = share_cores(1)
        >>> workers, cores == count_cores()
        (1, True)
    """
    cores = count_cores()
    if workers is None:
        workers = max(1, int(min(cores, _free_gb() / WORKER_GB)))
    return workers, max(1, cores // workers)


@contextmanager
def _workers(how: BatchSettings, orders: int) -> Iterator[Sequence[Worker]]:
    """Make the workers of an engine, while a block runs."""
    limits = HandSettings(
        time_limit_s=how.time_limit_s,
        memory_limit_gb=how.memory_limit_gb,
        settings=str(how.settings.absolute()) if how.settings else "",
        assessor=how.assessor,
    )
    if how.engine == "ray" and orders:
        from hilum.batch.cluster import ray_workers  # noqa: PLC0415  needs Ray

        with ray_workers(limits, how.workers, how.address, most=orders) as workers:
            yield workers
        return
    count, cores = share_cores(1 if how.engine == "local" else how.workers)
    count = min(count, orders)
    yield [Hand(limits.with_cores(cores if count > 1 else 0)) for _ in range(count)]


def _orders(
    ledger: Ledger, numbers: Sequence[int], scans: Sequence[Scan], how: BatchSettings
) -> list[Order]:
    """Make the orders of the scans that are not done."""
    settings = None if how.settings is None else str(how.settings.absolute())
    return [
        Order(
            number=number,
            scan=scan,
            out=str(ledger.folder(number).absolute()),
            formats=how.formats,
            settings=settings,
            force=how.force,
        )
        for number, scan in zip(numbers, scans, strict=True)
        if number not in ledger.done and number not in ledger.failed
    ]


def _free_gb(meminfo: Path = Path("/proc/meminfo")) -> float:
    """Read how much memory is free, here and in a container; infinite: not told."""
    left_gb = memory_left_bytes() / 1e9
    try:
        lines = meminfo.read_text().splitlines()
        kilobytes = next(int(x.split()[1]) for x in lines if x.startswith("MemAvail"))
    except (OSError, StopIteration, ValueError, IndexError):
        return left_gb
    return min(kilobytes * 1024 / 1e9, left_gb)
