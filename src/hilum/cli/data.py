"""The commands over data sets: `hilum data check`, `example` and `worst`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

Commands = Any
"""argparse keeps the type of its subparsers private."""


def add_data(commands: Commands) -> list[argparse.ArgumentParser]:
    """Add `hilum data`, and give the commands below it."""
    command = commands.add_parser(
        "data", help="check a data set, make a small one, find its worst cases"
    )
    what = command.add_subparsers(dest="what", required=True, metavar="WHAT")
    _add_check(what)
    _add_example(what)
    _add_worst(what)
    return list(what.choices.values())


def _add_check(what: Commands) -> None:
    command = what.add_parser(
        "check", help="what is there and missing, leaks, copies, unreadable scans"
    )
    command.add_argument("source", type=Path, help="folder of a data set, or a CSV")
    command.add_argument(
        "--out", type=Path, metavar="DIR", help="write a page, plots and tables there"
    )
    command.set_defaults(run=_check)


def _check(args: argparse.Namespace, talk: Any) -> dict[str, Any]:
    from hilum.datasets.checking import check_dataset  # noqa: PLC0415  slow to import

    talk("check")
    return check_dataset(args.source, out=args.out, talk=talk.at).to_json()


def _add_example(what: Commands) -> None:
    command = what.add_parser("example", help="a small synthetic copy of a layout")
    command.add_argument(
        "layout",
        help="luna16, lidc, dsb2017, nlst, boxes, patients, folder or nodules",
    )
    command.add_argument("out", type=Path, help="a new folder")
    command.add_argument(
        "--cases", type=int, default=3, help="scans; default: %(default)s"
    )
    command.add_argument(
        "--seed", type=int, default=0, help="of the first patient; default: 0"
    )
    command.set_defaults(run=_example)


def _example(args: argparse.Namespace, talk: Any) -> dict[str, Any]:
    from hilum.synthetic import ExampleSettings, write_example  # noqa: PLC0415

    talk("phantom")
    settings = ExampleSettings(cases=args.cases, seed=args.seed)
    return write_example(args.layout, args.out, settings=settings)


def _add_worst(what: Commands) -> None:
    command = what.add_parser(
        "worst", help="cases on which readers and networks disagree most"
    )
    command.add_argument(
        "truth", type=Path,
        help="folder of nodules, or truth of detections: annotations.csv and "
        "seriesuids.csv",
    )  # fmt: skip
    command.add_argument(
        "predictions", type=Path, nargs="?",
        help="CSV of predictions; of nodules by default the shipped networks",
    )  # fmt: skip
    command.add_argument("--out", type=Path, metavar="CSV", help="write all of them")
    command.add_argument(
        "--most", type=int, default=20, help="how many to print; default: %(default)s"
    )
    command.set_defaults(run=_worst)


def _worst(args: argparse.Namespace, talk: Any) -> dict[str, Any]:
    from hilum.evaluation.worst import find_worst  # noqa: PLC0415  slow to import

    talk("evaluate")
    found = find_worst(args.truth, args.predictions, out=args.out)
    return found.to_json(most=args.most)
