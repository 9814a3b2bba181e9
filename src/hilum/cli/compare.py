"""The commands over a scan and its prior: `hilum compare`, and `assess --prior`."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hilum.cli.clinical import facts_of

if TYPE_CHECKING:
    from hilum._talk import Talk
    from hilum.clinical.facts import Facts
    from hilum.compare import PairResult
    from hilum.findings import Comparison

Commands = Any
"""argparse keeps the type of its subparsers private."""


def add_compare(commands: Commands) -> None:
    """Add `hilum compare`."""
    command = commands.add_parser(
        "compare", help="what became of each nodule since a prior CT"
    )
    source = "DICOM folder, file or zip, or .nii, .nii.gz, .mha, .mhd, .npz"
    command.add_argument("prior", type=Path, help=f"the earlier CT: {source}")
    command.add_argument("current", type=Path, help="the later CT")
    command.add_argument("out", type=Path, help="folder for the documents")
    command.add_argument(
        "--series",
        dest="series_uid",
        metavar="UID",
        help="the series of the current CT to read, by its UID or the end of it",
    )
    _add_pair(command)
    command.add_argument(
        "--settings", type=Path, metavar="TOML", help="settings of the stages"
    )
    command.set_defaults(run=_compare)


def add_prior(command: argparse.ArgumentParser) -> None:
    """Add to `hilum assess` what a prior needs."""
    command.add_argument(
        "--prior",
        type=Path,
        metavar="SOURCE",
        help="an earlier CT of the patient, to compare with",
    )
    _add_pair(command)


def assess_with_prior(
    args: argparse.Namespace,
    current: Path,
    facts: Facts,
    progress: Callable[[str], None],
) -> PairResult:
    """Assess the CT of a command and hold it against its prior."""
    from hilum.compare import PairOptions, compare  # noqa: PLC0415  keeps --help quick

    return compare(
        args.prior,
        current,
        options=PairOptions(
            days=args.days,
            same_patient=args.same_patient,
            series_uid=args.series_uid,
            prior_series_uid=args.prior_series_uid,
        ),
        facts=facts,
        settings=args.settings,
        force=getattr(args, "force", False),
        progress=progress,
    )


def change_lines(comparison: Comparison) -> list[str]:
    """Say in a line each what became of the nodules."""
    lines = []
    for change in comparison.changes:
        whose = (
            f"nodule {change.current}"
            if change.current
            else f"nodule {change.prior} of the prior"
        )
        lines.append(f"{whose}: {change.status}. {change.rule}")
    return lines


def _add_pair(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--prior-series",
        dest="prior_series_uid",
        metavar="UID",
        help="the series of the prior to read",
    )
    command.add_argument(
        "--days",
        type=int,
        metavar="N",
        help="between the two CTs, where the files do not say it, or wrongly",
    )
    command.add_argument(
        "--same-patient",
        action="store_true",
        help="compare even where the two seem to be of different patients",
    )


def _compare(args: argparse.Namespace, talk: Talk) -> dict[str, Any]:
    from hilum.compare.documents import write_comparison  # noqa: PLC0415
    from hilum.report.documents import (  # noqa: PLC0415
        prepare_folder,
        write_documents,
    )

    prepare_folder(args.out)
    result = assess_with_prior(args, args.current, facts_of(args), talk)
    talk("write")
    written = write_documents(result.current, result.volume, args.out)
    documents: dict[str, Path] = {str(name): path for name, path in written.items()}
    documents |= write_comparison(result, args.out)
    for notice in result.current.notices:
        talk.say(f"[{notice.stage}] {notice.message}")
    for line in change_lines(result.comparison):
        talk.say(line)
    return {
        **result.comparison.to_json(),
        "documents": {name: str(path) for name, path in documents.items()},
    }
