"""hilum reads a chest CT: nodules, their size and suspicion, and a report.

For research and teaching; not a medical device. Results go to stdout as JSON,
talk goes to stderr. Exit: 0 done, 1 a bug of ours, 2 usage, 3 input, 4 a missing
extra, 5 weights.
"""

from __future__ import annotations

import argparse
import errno
import json
import logging
import os
import sys
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, TextIO

from hilum._names import name_of, printable
from hilum._talk import Talk
from hilum._version import __version__
from hilum.cli.assess import add_assess, add_series, add_source
from hilum.cli.batch import add_batch
from hilum.cli.clinical import add_risk
from hilum.cli.compare import add_compare
from hilum.cli.data import add_data
from hilum.cli.deidentify import add_deidentify
from hilum.cli.doctor import add_doctor
from hilum.cli.listen import add_listen
from hilum.cli.networks import add_calibrate, add_evaluate, add_export
from hilum.cli.primer import add_primer
from hilum.cli.report import add_report
from hilum.cli.service import add_serve, add_token
from hilum.cli.submission import add_submission
from hilum.cli.train import add_train
from hilum.errors import HilumError, InputError

Commands = Any
"""argparse keeps the type of its subparsers private."""

HIDDEN = argparse.SUPPRESS

_WRITTEN = ("out", "card", "plot", "sheet", "refused")
_IN_FOLDERS = ("annotations.csv", "annotations_excluded.csv", "seriesuids.csv")
"""Tables that are read when their folder is named."""
"""Arguments of all commands that name what is written."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; results go to stdout as JSON, messages to stderr.

    Args:
        argv: Arguments without the program's name; by default those of the
            process.

    Returns:
        The exit code.
    """
    args = _parser().parse_args(argv)
    logging.basicConfig(
        level=logging.DEBUG if args.debug else logging.WARNING,
        format="hilum: %(message)s",
        stream=sys.stderr,
    )
    try:
        _check_paths(args)
        _check_written(args)
        with Talk(quiet=args.quiet) as talk:
            result = args.run(args, talk)
    except (HilumError, OSError) as error:
        if isinstance(error, HilumError) and error.results is not None:
            _print(error.results)
        if args.debug:
            raise
        text, code = str(error), 3
        if isinstance(error, HilumError):
            code = error.exit_code
        else:
            text = (
                "A file, folder or address cannot be used: "
                f"{error.strerror or type(error).__name__}. Check what you named."
            )
        sys.stderr.write(f"hilum: {_encodable(text, sys.stderr)}\n")
        return code
    _print(result)
    return int(getattr(args, "exit_code", 0))


def _print(result: Any) -> None:
    """Write a result to stdout as JSON."""
    text = json.dumps(result, indent=2, ensure_ascii=False)
    if _encodable(text, sys.stdout) != text:  # names that are not UTF-8
        text = json.dumps(result, indent=2)
    sys.stdout.write(f"{text}\n")


def _check_paths(args: argparse.Namespace) -> None:
    """Refuse paths that no file can have, whatever is done with them later."""
    for path in vars(args).values():
        if not isinstance(path, Path):
            continue
        try:
            path.stat()
        except ValueError as error:
            raise InputError(
                f"`{printable(path.name)[:60]}` is no path: {error}."
            ) from error
        except OSError as error:
            if error.errno in (errno.ENAMETOOLONG, errno.ELOOP):
                raise InputError(
                    f"`{printable(path.name)[:60]}` cannot be opened: "
                    f"{error.strerror}. Check the path."
                ) from error


def _check_written(args: argparse.Namespace) -> None:
    """Refuse to write a result over a file that is read, or over another result."""
    paths = {k: p for k, p in vars(args).items() if isinstance(p, Path)}
    for name, path in paths.items():
        if name not in _WRITTEN:
            continue
        others = [p for other, p in paths.items() if other != name]
        tables = [p / t for p in others for t in _IN_FOLDERS if p.is_dir()]
        same = [p for p in (*others, *tables) if _is_same(p, path)]
        if same and (path.is_file() or not path.exists()):
            raise InputError(
                f"`{name_of(path)}` is named twice: to be read or written, and to be "
                "written over. Name another file for the result."
            )


def _is_same(path: Path, other: Path) -> bool:
    """Tell whether two names are of one file, which need not be there."""
    if path.exists() and other.exists():
        return path.samefile(other)
    return path.resolve() == other.resolve()


def _encodable(text: str, stream: TextIO) -> str:
    """Give a text as a stream can write it."""
    encoding = stream.encoding or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)


def entry_point() -> None:
    """Run as a program: quiet about a closed pipe and a stop by the user."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by whoever started us
            setattr(sys, name, Path(os.devnull).open("w"))  # noqa: SIM115  for good
    try:
        code = main()
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    except OSError as error:
        sys.stderr.write(f"hilum: Cannot write the result: {error.strerror}.\n")
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 3
    except KeyboardInterrupt:
        sys.stderr.write("hilum: stopped.\n")
        code = 130
    sys.exit(code)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="hilum",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"hilum {__version__}")
    parser.add_argument("--debug", action="store_true", help="show tracebacks and logs")
    parser.add_argument(
        "--quiet", action="store_true", help="no progress on stderr; errors stay"
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for add in (
        add_assess,
        add_report,
        _add_find,
        _add_convert,
        _add_segment,
        _add_detect,
        add_compare,
        add_batch,
        _add_phantom,
        add_train,
        add_export,
        add_calibrate,
        add_submission,
        add_deidentify,
        add_listen,
        add_serve,
        add_token,
        add_primer,
        add_doctor,
    ):
        add(commands)
    inner = [*add_risk(commands), *add_evaluate(commands), *add_data(commands)]
    for command in [*commands.choices.values(), *inner]:  # also after the name
        command.add_argument(
            "--debug", action="store_true", default=argparse.SUPPRESS, help=HIDDEN
        )
        command.add_argument(
            "--quiet", action="store_true", default=argparse.SUPPRESS, help=HIDDEN
        )
    return parser


def _add_find(commands: Commands) -> None:
    command = commands.add_parser(
        "find", help="list studies and series, and what is wrong in each"
    )
    command.add_argument("source", type=Path, help="DICOM folder, file or zip")
    command.set_defaults(run=_find)


def _find(args: argparse.Namespace, talk: Talk) -> Any:
    from hilum.dicom import find_studies  # noqa: PLC0415  keeps --help quick

    talk("read")
    return find_studies(args.source).to_json()


def _add_convert(commands: Commands) -> None:
    command = commands.add_parser("convert", help="write a CT as another format")
    add_source(command)
    command.add_argument("out", type=Path, help=".nii, .nii.gz, .mha, .mhd or .npz")
    add_series(command)
    command.set_defaults(run=_convert)


def _convert(args: argparse.Namespace, talk: Talk) -> dict[str, Any]:
    from hilum.pipeline import describe_source  # noqa: PLC0415  keeps --help quick
    from hilum.sources import convert  # noqa: PLC0415

    talk("read")
    volume = convert(args.source, args.out, series_uid=args.series_uid)
    return {
        "series_uid": volume.series_uid,
        "file": str(args.out),
        **describe_source(volume),
        "notices": [notice.to_json() for notice in volume.notices],
    }


def _add_segment(commands: Commands) -> None:
    command = commands.add_parser(
        "segment", help="write the lung mask: 1 right lung, 2 left lung"
    )
    add_source(command)
    command.add_argument("out", type=Path, help=".nii, .nii.gz, .mha or .mhd")
    add_series(command)
    command.set_defaults(run=_segment)


def _segment(args: argparse.Namespace, talk: Talk) -> dict[str, Any]:
    from hilum.pipeline import segment  # noqa: PLC0415  keeps --help quick

    talk("lungs")
    mask = segment(args.source, args.out, series_uid=args.series_uid)
    litres = [
        float((mask.voxels == label).sum()) * mask.grid.voxel_mm3 / 1e6
        for label in (1, 2)
    ]
    return {
        "file": str(args.out),
        "right_l": round(litres[0], 3),
        "left_l": round(litres[1], 3),
    }


def _add_detect(commands: Commands) -> None:
    command = commands.add_parser(
        "detect", help="write every candidate as a LUNA16 table"
    )
    add_source(command)
    command.add_argument("out", type=Path, help="a CSV file")
    add_series(command)
    command.set_defaults(run=_detect)


def _detect(args: argparse.Namespace, talk: Talk) -> dict[str, Any]:
    from hilum.pipeline import detect  # noqa: PLC0415  keeps --help quick

    talk("nodules")
    candidates = detect(args.source, args.out, series_uid=args.series_uid)
    return {"file": str(args.out), "candidates": len(candidates)}


def _add_phantom(commands: Commands) -> None:
    command = commands.add_parser(
        "phantom", help="write a synthetic chest CT with known nodules"
    )
    command.add_argument("out", type=Path, help="folder for series and annotations.csv")
    command.add_argument(
        "--seed", type=int, default=0, help="who: anatomy and lesions; default: 0"
    )
    command.add_argument(
        "--shape", type=int, nargs=3, metavar=("SLICES", "ROWS", "COLUMNS")
    )
    command.add_argument(
        "--spacing",
        dest="spacing_mm",
        type=float,
        nargs=3,
        metavar=("SLICE", "ROW", "COLUMN"),
        help="in mm",
    )
    command.add_argument("--thickness", dest="slice_thickness_mm", type=float)
    command.add_argument("--kernel", choices=("soft", "sharp"))
    command.add_argument(
        "--dose", type=float, help="relative; 1 is usual, inf no noise"
    )
    command.add_argument("--tilt", dest="tilt_deg", type=float, help="of the gantry")
    command.add_argument(
        "--scan", type=int, help="number of this scan of the same person"
    )
    command.add_argument(
        "--breath",
        dest="breath_mm",
        type=float,
        metavar="MM",
        help="how much deeper the breath is than at the first scan",
    )
    command.set_defaults(run=_phantom)


def _phantom(args: argparse.Namespace, talk: Talk) -> dict[str, Any]:
    from hilum.phantom import (  # noqa: PLC0415  keeps --help quick
        PhantomSettings,
        make_phantom,
        write_phantom,
    )
    from hilum.settings import fill  # noqa: PLC0415

    options = {
        field.name: getattr(args, field.name)
        for field in fields(PhantomSettings)
        if getattr(args, field.name, None) is not None
    }
    talk("phantom")
    phantom = make_phantom(fill(PhantomSettings, options, table="phantom"))
    folder = write_phantom(phantom, args.out)
    return {
        "series_uid": phantom.volume.series_uid,
        "folder": str(folder),
        "annotations": str(args.out / "annotations.csv"),
        "lesions": [truth.to_json() for truth in phantom.truths],
    }
