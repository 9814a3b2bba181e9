"""The command that gathers assessments into one table: `hilum submission`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

Commands = Any
"""argparse keeps the type of its subparsers private."""


def add_submission(commands: Commands) -> None:
    """Add `hilum submission`."""
    command = commands.add_parser(
        "submission", help="assessments of many patients as one table id,cancer"
    )
    command.add_argument(
        "folder", type=Path, help="holds a folder a patient, as `hilum assess` wrote it"
    )
    command.add_argument("out", type=Path, help="CSV: id,cancer")
    command.add_argument(
        "--prior",
        type=float,
        default=0.26,
        metavar="P",
        help="of patients out of scope or not assessed; default: %(default)s, the "
        "share of cancers in the Data Science Bowl 2017",
    )
    command.add_argument(
        "--sample", type=Path, metavar="CSV", help="whom to write, and in which order"
    )
    command.add_argument(
        "--assessed-only",
        action="store_true",
        help="leave out who has no probability of their own, as for `hilum calibrate`",
    )
    command.set_defaults(run=_submission)


def _submission(args: argparse.Namespace, talk: Any) -> dict[str, Any]:
    from hilum.evaluation.submission import write_submission  # noqa: PLC0415

    talk("gather")
    made = write_submission(
        args.folder,
        args.out,
        prior=args.prior,
        sample=args.sample,
        assessed_only=args.assessed_only,
    )
    for warning in made.warnings:
        talk.say(f"[submission] {warning}")
    return made.to_json()
