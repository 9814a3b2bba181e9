"""The command that looks at an installation: `hilum doctor`."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from hilum._talk import Talk

if TYPE_CHECKING:
    from hilum.doctor import Check

Commands = Any
"""argparse keeps the type of its subparsers private."""


def add_doctor(commands: Commands) -> None:
    """Add `hilum doctor`."""
    command = commands.add_parser(
        "doctor", help="check the installation, and say what to mend"
    )
    command.set_defaults(run=_doctor)


def _doctor(args: argparse.Namespace, talk: Talk) -> dict[str, Any]:
    from hilum.doctor import examine  # noqa: PLC0415  keeps --help quick

    def tell(check: Check) -> None:
        talk.say(f"{check.state:7}{check.name:17}{check.found}")
        if check.mend:
            talk.say(f"{'':24}{check.mend}")

    found = examine(progress=tell)
    args.exit_code = found.exit_code
    return found.to_json()
