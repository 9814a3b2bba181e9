"""`hilum listen`: a DICOM node that assesses what it is sent."""

from __future__ import annotations

import argparse
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hilum._optional import require
from hilum._talk import Talk
from hilum.errors import InputError

Commands = Any
"""argparse keeps the type of its subparsers private."""
LOCAL = ("127.0.0.1", "localhost", "::1")


def add_listen(commands: Commands) -> None:
    """Add the command."""
    command = commands.add_parser(
        "listen", help="a DICOM node: assess what arrives, send results back"
    )
    command.add_argument(
        "--data",
        type=Path,
        required=True,
        metavar="DIR",
        help="folder for studies and results; made if absent",
    )
    command.add_argument(
        "--format",
        dest="formats",
        default="html",
        metavar="NAMES",
        help="documents to write, as for assess; default: %(default)s",
    )
    add_node_options(command, port="--port", default_port=11112)
    command.set_defaults(run=_listen)


def add_node_options(
    command: argparse.ArgumentParser, *, port: str, default_port: int | None
) -> None:
    """Add the options of a node; also for a command that does more than listen.

    Args:
        command: The command.
        port: Name of the option for the port.
        default_port: Its default; None: no node unless it is given.
    """
    command.add_argument(
        port,
        dest="dicom_port",
        type=int,
        default=default_port,
        metavar="N",
        help=f"DICOM port; default: {default_port or 'no node'}",
    )
    command.add_argument(
        "--bind",
        dest="dicom_host",
        default="127.0.0.1",
        metavar="ADDRESS",
        help="where to listen; default: %(default)s; elsewhere needs --allow",
    )
    command.add_argument(
        "--title", default="HILUM", help="our AE title; default: %(default)s"
    )
    command.add_argument(
        "--allow",
        action="append",
        default=[],
        metavar="TITLE",
        help="AE title that may send; repeatable; default: any on this machine",
    )
    command.add_argument(
        "--quiet-seconds",
        type=float,
        default=10.0,
        metavar="S",
        help="a study is complete when nothing came for so long; default: %(default)s",
    )
    command.add_argument(
        "--most-associations",
        type=int,
        default=10,
        metavar="N",
        help="how many at once; default: %(default)s",
    )
    _add_peers(command)


def _add_peers(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--send-to",
        action="append",
        default=[],
        metavar="PEER",
        help="where DICOM documents go: TITLE@HOST:PORT, or dicomweb(s)://HOST/PATH; "
        "repeatable",
    )
    command.add_argument(
        "--priors",
        metavar="PEER",
        help="archive that is asked for earlier studies: TITLE@HOST:PORT",
    )


def targets_of(args: argparse.Namespace) -> dict[str, Any]:
    """Make the targets that --send-to names, for `Jobs`.

    Raises:
        InputError: One of them is neither a node nor a DICOMweb server.
    """
    from hilum.dicomweb import (  # noqa: PLC0415  keeps --help quick
        Server,
        is_dicomweb,
        parse_address,
        read_token,
    )
    from hilum.service.pacs import (  # noqa: PLC0415
        StoreTarget,
        StowTarget,
        parse_peer,
    )

    targets: dict[str, Any] = {}
    for number, text in enumerate(args.send_to, 1):
        if is_dicomweb(text):
            address = parse_address(text, whole_server=True)
            targets[f"dicomweb-{number}"] = StowTarget(Server(address, read_token()))
        else:
            targets[f"node-{number}"] = StoreTarget(parse_peer(text), args.title)
    return targets


@contextmanager
def listening(args: argparse.Namespace, jobs: Any, talk: Talk) -> Iterator[None]:
    """Run the node that the options describe, in front of jobs.

    Args:
        args: Options of `add_node_options`, and `data`.
        jobs: `Jobs`, begun.
        talk: Where it is said that it listens.

    Raises:
        InputError: Anybody on the network could send, or the port is taken.
    """
    from hilum.service.pacs import (  # noqa: PLC0415  keeps --help quick
        Inbox,
        InboxSettings,
        Intake,
        Node,
        NodeSettings,
        parse_peer,
    )

    check_node(args)
    archive = parse_peer(args.priors) if args.priors else None
    settings = NodeSettings(
        title=args.title,
        host=args.dicom_host,
        port=args.dicom_port,
        callers=tuple(args.allow),
        most_associations=args.most_associations,
    )
    arriving = InboxSettings(
        folder=args.data / "arriving",
        quiet_s=args.quiet_seconds,
        broken_s=6 * args.quiet_seconds,
    )
    intake = Intake(
        jobs, archive, args.title, lambda job: talk.say(f"study {job} has arrived")
    )
    with Inbox(arriving, intake) as inbox, Node(settings, inbox) as node:
        talk.say(f"listening as {args.title} at {args.dicom_host}:{node.port}")
        yield


def check_node(args: argparse.Namespace) -> None:
    """Refuse to listen to a whole network without knowing who may send.

    Raises:
        InputError: It would.
    """
    if args.dicom_host not in LOCAL and not args.allow:
        raise InputError(
            f"Anybody who reaches {args.dicom_host} could send. Name each AE title "
            "that may with --allow, and let a firewall do the rest: DICOM has no "
            "passwords."
        )


def _listen(args: argparse.Namespace, talk: Talk) -> dict[str, Any]:
    check_node(args)
    service = require("hilum.service.jobs", extra="serve", to="to keep jobs")
    formats = tuple(dict.fromkeys(("json", *args.formats.split(","))))
    settings = service.JobSettings(data=args.data, formats=formats)
    ended = threading.Event()
    before = signal.signal(signal.SIGTERM, lambda *_: ended.set())
    try:
        with (
            service.Jobs(settings, targets=targets_of(args)) as jobs,
            listening(args, jobs, talk),
        ):
            while not ended.wait(0.5):
                pass
    finally:
        signal.signal(signal.SIGTERM, before)
    return {"stopped": True}
