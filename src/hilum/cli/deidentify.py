"""`hilum deidentify`: copies of images that name nobody."""

from __future__ import annotations

import argparse
import getpass
import sys
from pathlib import Path
from typing import Any

from hilum._talk import Talk

Commands = Any
"""argparse keeps the type of its subparsers private."""


def add_deidentify(commands: Commands) -> None:
    """Add the command."""
    command = commands.add_parser(
        "deidentify", help="write copies of images that name nobody (PS3.15 Annex E)"
    )
    command.add_argument("source", type=Path, help="DICOM folder, file or zip")
    command.add_argument("out", type=Path, help="folder for the copies")
    command.add_argument(
        "--key",
        type=Path,
        metavar="FILE",
        help="file that holds the secret key; default: HILUM_DEIDENTIFY_KEY, or asked",
    )
    command.add_argument(
        "--dates",
        choices=("shifted", "removed"),
        default="shifted",
        help="shifted: by one number of days a patient; default: %(default)s",
    )
    command.add_argument(
        "--descriptors",
        choices=("cleaned", "removed"),
        default="cleaned",
        help="cleaned: technical words of descriptions stay; default: %(default)s",
    )
    command.add_argument(
        "--keep-device", action="store_true", help="keep station and serial numbers"
    )
    command.add_argument(
        "--keep-characteristics",
        action="store_true",
        help="keep age (90 at most), sex, size, weight and smoking",
    )
    command.add_argument(
        "--pixels-checked",
        action="store_true",
        help="you looked at every image and saw no text in it: take also screenshots, "
        "ultrasound, and images that say they may show text",
    )
    command.add_argument(
        "--refused",
        type=Path,
        metavar="CSV",
        help="list the files that were left out, and why; it names files",
    )
    command.set_defaults(run=_deidentify)


def _deidentify(args: argparse.Namespace, talk: Talk) -> dict[str, Any]:
    from hilum.deidentify import (  # noqa: PLC0415  keeps --help quick
        Options,
        deidentify,
        read_key,
    )

    key = read_key(args.key, ask=_ask if sys.stdin.isatty() else None)
    talk("deidentify")
    summary = deidentify(
        args.source,
        args.out,
        key=key,
        options=Options(
            dates=args.dates,
            descriptors=args.descriptors,
            keep_device=args.keep_device,
            keep_characteristics=args.keep_characteristics,
            pixels_checked=args.pixels_checked,
        ),
        refused=args.refused,
    )
    left_out = sum(summary.refused.values())
    if left_out:
        talk.say(f"{left_out} of {summary.files} files were left out; see `refused`.")
    return summary.to_json()


def _ask() -> str:
    return getpass.getpass("Key (not shown): ")
