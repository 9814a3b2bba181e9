"""`hilum assess`: from a CT to documents, and what commands over one CT share."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hilum._talk import Talk
from hilum.cli.clinical import facts_of
from hilum.cli.compare import add_prior, assess_with_prior, change_lines
from hilum.cli.report import add_documents, say_unwritten, style_of
from hilum.clinical.facts import Facts

if TYPE_CHECKING:
    from hilum.findings import Assessment
    from hilum.outlines import Outlines
    from hilum.volume import CTVolume

Commands = Any
"""argparse keeps the type of its subparsers private."""


def add_source(command: argparse.ArgumentParser) -> None:
    """Add the argument that names a CT."""
    command.add_argument(
        "source",
        type=Path,
        help="DICOM folder, file or zip, or .nii, .nii.gz, .mha, .mhd, .npz; or "
        "dicomweb(s)://HOST/PATH/studies/UID",
    )


def add_series(command: argparse.ArgumentParser) -> None:
    """Add the option that picks a series."""
    command.add_argument(
        "--series",
        dest="series_uid",
        metavar="UID",
        help="the series to read, by its UID or the end of it; "
        "default: the best chest series",
    )


def add_assess(commands: Commands) -> None:
    """Add `hilum assess`."""
    command = commands.add_parser("assess", help="from a CT to a report")
    add_source(command)
    command.add_argument("out", type=Path, help="folder for the documents")
    add_series(command)
    add_documents(command)
    command.add_argument(
        "--age", dest="age_years", type=float, metavar="YEARS", help="of the patient"
    )
    command.add_argument("--sex", choices=("female", "male"))
    command.add_argument(
        "--family-history",
        action=argparse.BooleanOptionalAction,
        help="lung cancer in the family",
    )
    command.add_argument(
        "--emphysema", action=argparse.BooleanOptionalAction, help="emphysema on CT"
    )
    command.add_argument("--smoker", choices=("never", "former", "current"))
    for name, text in (
        ("--extrathoracic-cancer", "a cancer outside the chest, over 5 years ago"),
        ("--known-cancer", "a cancer now or within 5 years"),
        ("--immunosuppressed", "by illness or drugs"),
    ):
        command.add_argument(name, action=argparse.BooleanOptionalAction, help=text)
    command.add_argument(
        "--settings", type=Path, metavar="TOML", help="settings of the stages"
    )
    command.add_argument(
        "--force",
        action="store_true",
        help="give the probability even when the series is out of scope",
    )
    add_prior(command)
    command.set_defaults(run=_assess_anywhere)


def _assess_anywhere(args: argparse.Namespace, talk: Talk) -> dict[str, Any]:
    """Fetch what lies on a server first, and keep it until the documents are done."""
    from hilum.sources import local_source  # noqa: PLC0415  keeps --help quick

    with local_source(args.source) as source:
        return _assess(argparse.Namespace(**{**vars(args), "source": source}), talk)


def _assess(args: argparse.Namespace, talk: Talk) -> dict[str, Any]:
    from hilum.report.ahead import loading_ahead  # noqa: PLC0415  keeps --help quick
    from hilum.report.documents import (  # noqa: PLC0415
        check_source,
        parse_formats,
        prepare_folder,
        write_documents,
    )

    formats = parse_formats(args.formats)
    check_source(formats, args.source)
    prepare_folder(args.out)
    told = loading_ahead(talk, formats)
    volume, result, outlines = _assessed(args, facts_of(args), told)
    talk("write")
    written = write_documents(
        result,
        volume,
        args.out,
        formats=formats,
        outlines=outlines,
        source=args.source,
        style=style_of(args),
    )
    say_unwritten(formats, written, talk)
    for notice in result.notices:
        talk.say(f"[{notice.stage}] {notice.message}")
    for line in change_lines(result.comparison) if result.comparison else ():
        talk.say(line)
    talk.say(verdict(result.to_json()))
    return {
        "series_uid": result.series_uid,
        "scope": {
            "in_scope": result.scope.in_scope,
            "reasons": list(result.scope.reasons),
        },
        "cancer_probability": result.cancer_probability.to_json(),
        "nodules": len(result.nodules),
        "documents": {name: str(path) for name, path in written.items()},
    }


def _assessed(
    args: argparse.Namespace, facts: Facts, progress: Callable[[str], None]
) -> tuple[CTVolume, Assessment, Outlines]:
    """Assess the CT of the command, with its prior if there is one."""
    from hilum.pipeline import read_and_outline  # noqa: PLC0415  keeps --help quick

    if args.prior is not None:
        pair = assess_with_prior(args, args.source, facts, progress)
        return pair.volume, pair.current, pair.outlines
    return read_and_outline(
        args.source,
        series_uid=args.series_uid,
        facts=facts,
        settings=args.settings,
        force=args.force,
        progress=progress,
    )


def verdict(tree: dict[str, Any]) -> str:
    """Say the most important in one line.

    Args:
        tree: An assessment as JSON.
    """
    risk = tree["cancer_probability"]
    count = len(tree["nodules"])
    head = f"{count} nodule{'' if count == 1 else 's'}"
    if tree["nodules"]:
        first = tree["nodules"][0]
        head += f", the most suspicious {first['type']}, {first['diameter_mm']:.1f} mm"
    if not tree["scope"]["in_scope"]:
        head += f"; OUT OF SCOPE: {' '.join(tree['scope']['reasons']).rstrip('.')}"
    if risk["value"] is None:
        return head
    codes = {notice["code"] for notice in tree.get("notices", ())}
    cohort = "calibrated on a cohort of yours"
    if "probability-recalibrated" not in codes:
        cohort = "not calibrated on patients"
    low, value, high = (_percent(risk[key]) for key in ("low", "value", "high"))
    return (
        f"{head}; probability of cancer {value} ({low} to {high}), {cohort}, "
        "for research only"
    )


def _percent(share: float) -> str:
    """Write a share in percent, small ones to a tenth."""
    return f"{share:.0%}" if share >= 0.1 else f"{share:.1%}"
