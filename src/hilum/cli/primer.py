"""The command that teaches: lessons in the browser, pages, a spreadsheet."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from hilum.errors import InputError

Commands = Any
"""argparse keeps the type of its subparsers private."""


def add_primer(commands: Commands) -> None:
    """Add `hilum primer`."""
    command = commands.add_parser(
        "primer", help="see a convolutional network think about a CT"
    )
    command.add_argument(
        "lesson", nargs="?", help="number or name; default: the list of lessons"
    )
    command.add_argument(
        "--ct", type=Path, metavar="PATH",
        help="a CT of your own to show the lessons on; default: a synthetic chest",
    )  # fmt: skip
    command.add_argument(
        "--export", type=Path, metavar="DIR",
        help="write static pages instead of serving them",
    )  # fmt: skip
    command.add_argument(
        "--sheet", type=Path, metavar="XLSX",
        help="write a workbook with live formulas instead",
    )  # fmt: skip
    command.add_argument(
        "--nodules", type=Path, metavar="FOLDER",
        help="rated nodules to train on in lesson 11, as for `hilum train`",
    )  # fmt: skip
    command.add_argument(
        "--port", type=int, default=0, help="to listen on; default: any that is free"
    )
    command.add_argument(
        "--no-browser", dest="browser", action="store_false",
        help="do not open a browser; only say the address",
    )  # fmt: skip
    command.set_defaults(run=_primer)


def _primer(args: argparse.Namespace, talk: Any) -> dict[str, Any]:
    from hilum.primer.lessons import find_lesson  # noqa: PLC0415  keeps --help quick

    if args.lesson is not None:
        find_lesson(args.lesson)
    if args.sheet is not None or args.export is not None:
        return _write(args, talk)
    return _serve(args, talk)


def _write(args: argparse.Namespace, talk: Any) -> dict[str, Any]:
    from hilum.primer.sheet import write_sheet  # noqa: PLC0415
    from hilum.primer.site import export_site  # noqa: PLC0415

    written: dict[str, Any] = {}
    if args.sheet is not None:
        talk("write")
        written["sheet"] = str(write_sheet(args.sheet))
    if args.export is not None:
        talk("lessons")
        names = export_site(args.export, lesson=args.lesson, ct=args.ct)
        written |= {"folder": str(args.export), "pages": names}
    return written


def _serve(args: argparse.Namespace, talk: Any) -> dict[str, Any]:
    import webbrowser  # noqa: PLC0415

    from hilum.primer.lessons import find_lesson  # noqa: PLC0415
    from hilum.primer.press import Press  # noqa: PLC0415
    from hilum.primer.runs import Runs  # noqa: PLC0415
    from hilum.primer.server import App, serve  # noqa: PLC0415
    from hilum.primer.site import Site, scene_of  # noqa: PLC0415

    if args.nodules is not None and not (args.nodules / "nodules.csv").is_file():
        raise InputError(
            "There is no nodules.csv in the folder that --nodules names. Give a folder "
            "with nodules.csv, image/ and nodule_mask/."
        )
    page = "" if args.lesson is None else find_lesson(args.lesson).file
    if args.ct is not None:
        talk("nodules")

    def ready(address: str) -> None:
        talk.say(f"the primer is at {address} (Ctrl-C ends it)")
        if args.browser:
            webbrowser.open(address)

    with Runs(args.nodules) as runs, Press(page) as press:
        own = None if args.ct is None else Site(scene_of(args.ct), served=True)
        if own is None:
            press.start()
        app = App(own or press, runs)
        return {"address": serve(app, page, port=args.port, ready=ready)}
