"""The commands of the service: serve the page, and make tokens for it."""

from __future__ import annotations

import argparse
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any

from hilum._talk import Talk
from hilum.cli.listen import add_node_options, listening, targets_of

Commands = Any
"""argparse keeps the type of its subparsers private."""


def add_serve(commands: Commands) -> None:
    """Add `hilum serve`."""
    command = commands.add_parser(
        "serve", help="a page with a viewer, and a REST API, for one's own studies"
    )
    add_job_options(command)
    command.add_argument(
        "--host",
        default="127.0.0.1",
        help="address to listen on; another needs a token, and TLS or a proxy; "
        "default: %(default)s",
    )
    command.add_argument("--port", type=int, default=8000, help="default: %(default)s")
    command.add_argument("--tls-cert", type=Path, metavar="PEM", help="with --tls-key")
    command.add_argument("--tls-key", type=Path, metavar="PEM", help="with --tls-cert")
    command.add_argument(
        "--behind-proxy",
        action="store_true",
        help="a proxy in front does TLS; a token is needed then",
    )
    command.add_argument(
        "--allow-host",
        dest="allow_hosts",
        action="append",
        default=[],
        metavar="NAME",
        help="a name that the page is called by, beside localhost; may be repeated",
    )
    command.add_argument(
        "--upload-gb", type=float, default=8.0, help="largest upload; %(default)s"
    )
    add_node_options(command, port="--dicom-port", default_port=None)
    command.set_defaults(run=_serve)


def add_job_options(command: argparse.ArgumentParser) -> None:
    """Add the options of how studies are carried and kept.

    Args:
        command: Gets the options; `job_settings` reads them.
    """
    command.add_argument(
        "--data", type=Path, required=True, metavar="DIR", help="folder of the service"
    )
    command.add_argument(
        "--database", metavar="URL", help="postgresql://user@host/name; default: SQLite"
    )
    command.add_argument(
        "--format",
        dest="formats",
        default="json,html",
        metavar="NAMES",
        help="documents to write, with commas; default: %(default)s",
    )
    command.add_argument(
        "--workers", type=int, default=1, help="studies at once; default: %(default)s"
    )
    command.add_argument(
        "--worker-gb", type=float, default=6.0, help="memory of one; %(default)s"
    )
    command.add_argument(
        "--worker-minutes", type=float, default=30.0, help="time of one; %(default)s"
    )
    command.add_argument("--keep-days", type=float, help="default: for ever")
    command.add_argument("--keep-gb", type=float, help="default: no limit")
    command.add_argument(
        "--free-gb", type=float, default=1.0, help="room to keep free; %(default)s"
    )
    command.add_argument(
        "--deliver",
        dest="folder",
        type=Path,
        metavar="DIR",
        help="folder that gets the documents of each study",
    )


def job_settings(args: argparse.Namespace) -> Any:
    """Read the options of `add_job_options`.

    Args:
        args: What was told.

    Returns:
        `JobSettings`.
    """
    from hilum.service.jobs import JobSettings  # noqa: PLC0415  keeps --help quick

    return JobSettings(
        data=args.data,
        database=args.database,
        formats=tuple(filter(None, args.formats.split(","))),
        workers=args.workers,
        worker_gb=args.worker_gb,
        worker_minutes=args.worker_minutes,
        keep_days=args.keep_days,
        keep_gb=args.keep_gb,
        free_gb=args.free_gb,
    )


def _serve(args: argparse.Namespace, talk: Talk) -> dict[str, Any]:
    from hilum.service.jobs import FolderTarget  # noqa: PLC0415  keeps --help quick
    from hilum.service.web.serving import serve  # noqa: PLC0415
    from hilum.service.web.settings import WebSettings  # noqa: PLC0415

    web = WebSettings(
        host=args.host,
        port=args.port,
        tls_cert=args.tls_cert,
        tls_key=args.tls_key,
        behind_proxy=args.behind_proxy,
        allow_hosts=tuple(args.allow_hosts),
        upload_gb=args.upload_gb,
    )
    targets: dict[str, Any] = (
        {} if args.folder is None else {"folder": FolderTarget(args.folder)}
    )
    targets |= targets_of(args)
    node = None if args.dicom_port is None else partial(_listening, args, talk)
    addresses: list[str] = []

    def started(address: str) -> None:
        addresses.append(address)
        talk.say(f"serving {address}; stop with Ctrl-C")

    serve(web, job_settings(args), targets=targets, beside=node, started=started)
    return {"served": addresses[0] if addresses else None}


def _listening(
    args: argparse.Namespace, talk: Talk, jobs: Any
) -> AbstractContextManager[None]:
    return listening(args, jobs, talk)


def add_token(commands: Commands) -> None:
    """Add `hilum token`."""
    command = commands.add_parser("token", help="who may use a service over a network")
    command.add_argument("data", type=Path, help="folder of the service")
    command.add_argument(
        "--database", metavar="URL", help="as for `hilum serve`; default: SQLite"
    )
    action = command.add_mutually_exclusive_group()
    action.add_argument("--add", metavar="NAME", help="make a token and show it once")
    action.add_argument("--remove", metavar="NAME", help="make a token useless")
    command.add_argument(
        "--role",
        choices=("read", "write"),
        default="read",
        help="read looks; write also sends, annotates and removes; "
        "default: %(default)s",
    )
    command.set_defaults(run=_token)


def _token(args: argparse.Namespace, talk: Talk) -> dict[str, Any]:
    from hilum.service.records.people import manage_tokens  # noqa: PLC0415

    if args.add is not None:
        talk.say("the token is shown this once; keep it as you keep a password")
    return manage_tokens(
        args.data,
        database=args.database,
        add=args.add,
        remove=args.remove,
        role=args.role,
    )
