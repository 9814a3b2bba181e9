"""The command that trains networks: `hilum train`."""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

Commands = Any
"""argparse keeps the type of its subparsers private."""


def add_train(commands: Commands) -> None:
    """Add `hilum train`."""
    command = commands.add_parser(
        "train", help="train networks on data of one's own, a fold at a time"
    )
    command.add_argument("what", choices=("malignancy", "nodules", "segmentation"))
    command.add_argument(
        "data", type=Path,
        help="LIDC-IDRI; or a folder with nodules.csv, image/ and nodule_mask/; for "
        "nodules LUNA16, LIDC-IDRI, or a folder with annotations.csv and ct/",
    )  # fmt: skip
    command.add_argument(
        "out", type=Path, help="folder for the run; an interrupted one goes on"
    )
    command.add_argument(
        "--settings", type=Path, metavar="TOML",
        help="settings, in tables [WHAT] and [run]; run.toml of a run repeats it",
    )  # fmt: skip
    command.add_argument(
        "--fold", type=int, metavar="N", help="train this fold alone, from 0"
    )
    command.add_argument(
        "--devices", type=int, metavar="N",
        help="share each batch: graphics processors, or parts of the processor",
    )  # fmt: skip
    command.add_argument(
        "--precision", choices=("float32", "mixed_bfloat16"), help="default: float32"
    )
    command.add_argument(
        "--tensorboard", action="store_true", default=None, help="write its events"
    )
    command.set_defaults(run=_train)


def _train(args: argparse.Namespace, talk: Any) -> dict[str, Any]:
    from hilum._backend import load_keras  # noqa: PLC0415  keeps --help quick

    load_keras(to="to train networks", computes=False)
    from hilum.training.runs import read_run_settings, train  # noqa: PLC0415

    settings, run = read_run_settings(args.what, args.settings)
    names = ("devices", "precision", "tensorboard")
    told = {n: v for n in names if (v := getattr(args, n)) is not None}
    run = replace(run, **told)
    if run.devices == 1:  # else they are chosen first
        load_keras(to="to train networks")
    talk("train")
    return train(
        args.what,
        args.data,
        args.out,
        settings=settings,
        run=run,
        fold=args.fold,
        command=sys.argv[1:],
    )
