"""The command over a cohort: `hilum batch`."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hilum._talk import Talk
from hilum.cli.report import FORMATS

if TYPE_CHECKING:
    from hilum.batch import BatchProgress

Commands = Any
"""argparse keeps the type of its subparsers private."""

_EVERY_S = 10.0
"""How often progress is told where lines cannot move."""


def add_batch(commands: Commands) -> None:
    """Add `hilum batch`."""
    command = commands.add_parser(
        "batch", help="assess every scan of a cohort; a stopped run goes on"
    )
    command.add_argument(
        "cohort",
        type=Path,
        help="a folder of scans (LUNA16 and DSB2017 layouts too), a CSV with a column "
        "source, or dicomweb(s)://HOST/PATH?QUERY",
    )
    command.add_argument("out", type=Path, help="folder for the tables and documents")
    command.add_argument(
        "--engine",
        choices=("local", "processes", "ray"),
        default="local",
        help="one scan after the other, several at once, or on a cluster; "
        "default: %(default)s",
    )
    command.add_argument(
        "--workers", type=int, metavar="N", help="scans at once; default: by the cores"
    )
    command.add_argument("--address", metavar="HOST:PORT", help="of a Ray cluster")
    command.add_argument(
        "--time-limit",
        dest="time_limit_s",
        type=float,
        default=1800.0,
        metavar="SECONDS",
        help="longest time for one scan; default: %(default)g",
    )
    command.add_argument(
        "--memory-limit",
        dest="memory_limit_gb",
        type=float,
        default=6.0,
        metavar="GB",
        help="most memory of a worker; default: %(default)g",
    )
    command.add_argument(
        "--format",
        dest="formats",
        default="html",
        metavar="NAMES",
        help=f"comma-separated, of {FORMATS}; default: %(default)s",
    )
    command.add_argument(
        "--settings", type=Path, metavar="TOML", help="settings of the stages"
    )
    command.add_argument(
        "--force",
        action="store_true",
        help="give the probability even when a series is out of scope",
    )
    command.add_argument(
        "--retry-failed", action="store_true", help="try again what failed before"
    )
    command.set_defaults(run=_batch)


def _batch(args: argparse.Namespace, talk: Talk) -> dict[str, Any]:
    from hilum.batch import BatchSettings, run_batch  # noqa: PLC0415  slow to import
    from hilum.report.documents import parse_formats  # noqa: PLC0415

    settings = BatchSettings(
        engine=args.engine,
        workers=args.workers,
        address=args.address,
        time_limit_s=args.time_limit_s,
        memory_limit_gb=args.memory_limit_gb,
        formats=parse_formats(args.formats),
        settings=args.settings,
        force=args.force,
        retry_failed=args.retry_failed,
    )
    # Ray would write that a node died, and such, between results on standard output
    os.environ.setdefault("RAY_DEDUP_LOGS_SKIP_REGEX", "^")
    talk("batch")
    result = run_batch(
        args.cohort,
        args.out,
        settings=settings,
        progress=lambda at: talk.tell(progress_line(at), every_s=_EVERY_S),
    )
    if result.failed:
        talk.say(f"{result.failed} of {result.scans} scans failed; see failures.csv.")
    return result.to_json()


def progress_line(progress: BatchProgress) -> str:
    """Say how far a run is.

    Args:
        progress: Of the run.

    Example:
        >>> from hilum.batch import BatchProgress
        >>> progress_line(
        ...     BatchProgress(scans=90, finished=30, failed=1, fresh=20, seconds=100.0)
        ... )
        '30 of 90 scans, 1 failed; 720 an hour, 5 min left'
    """
    line = f"{progress.finished} of {progress.scans} scans"
    if progress.failed:
        line += f", {progress.failed} failed"
    if progress.per_hour is None or progress.left_s is None:
        return line
    minutes = progress.left_s / 60
    left = f"{minutes:.0f} min" if minutes < 120 else f"{minutes / 60:.0f} h"
    return f"{line}; {progress.per_hour:.0f} an hour, {left} left"
