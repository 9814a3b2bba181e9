"""`hilum report`, and the options of documents that `hilum assess` shares with it."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from hilum._talk import Talk

FORMATS = "html, pdf, csv, json, sr, seg, sc and fhir"


def add_report(commands: Any) -> None:
    """Add the command that writes documents again."""
    command = commands.add_parser(
        "report", help="write the documents of an assessment again"
    )
    command.add_argument(
        "assessment", type=Path, help="an assessment.json, or the folder with it"
    )
    command.add_argument("out", type=Path, help="folder for the documents")
    command.add_argument(
        "--source", type=Path, help="the CT that was assessed, for images"
    )
    add_documents(command)
    command.set_defaults(run=_report)


def add_documents(command: argparse.ArgumentParser) -> None:
    """Add which documents are written, and how.

    Args:
        command: The parser of a command that writes documents.
    """
    command.add_argument(
        "--format",
        dest="formats",
        default="html",
        metavar="NAMES",
        help=f"comma-separated, of {FORMATS}; the JSON is always written; "
        "default: %(default)s",
    )
    command.add_argument(
        "--segments",
        choices=("binary", "labelmap"),
        default="binary",
        help="kind of DICOM segmentation; default: %(default)s",
    )
    command.add_argument(
        "--lungs", action="store_true", help="also segment the lungs, with seg"
    )


def style_of(args: argparse.Namespace) -> Any:
    """Gather how segmentations are written.

    Args:
        args: Of a command with the options of `add_documents`.

    Returns:
        A `SegmentStyle`.
    """
    from hilum.report.dicom import SegmentStyle  # noqa: PLC0415  keeps --help quick

    return SegmentStyle(segments=args.segments, lungs=args.lungs)


def _report(args: argparse.Namespace, talk: Talk) -> dict[str, Any]:
    from hilum.report.again import report  # noqa: PLC0415  keeps --help quick
    from hilum.report.ahead import load_ahead  # noqa: PLC0415
    from hilum.report.documents import parse_formats  # noqa: PLC0415

    talk("write")
    formats = parse_formats(args.formats)
    load_ahead(formats)  # while the CT is read
    written = report(
        args.assessment,
        args.out,
        source=args.source,
        formats=formats,
        style=style_of(args),
    )
    say_unwritten(formats, written, talk)
    return {"documents": {name: str(path) for name, path in written.items()}}


def say_unwritten(
    formats: tuple[str, ...], written: dict[str, Path], talk: Talk
) -> None:
    """Say which documents had nothing to show.

    Args:
        formats: What was asked for.
        written: What was written.
        talk: Tells the user.
    """
    for name in formats:
        if name not in written:
            talk.say(f"No nodule was found, so there is no {name} to write.")
