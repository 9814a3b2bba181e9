"""Other nodes: how they are named, and how a connection to one is made."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from hilum._optional import require
from hilum.errors import HilumError, InputError

_TITLE = re.compile(r"^(?! )[\x20-\x5b\x5d-\x7e]{1,16}(?<! )$")
_PEER = re.compile(r"^(?P<title>[^@]+)@(?P<host>[^@\s]+):(?P<port>\d{1,5})$")


class PeerError(HilumError, ConnectionError):
    """A node does not answer, or not as it should; a later try may help."""

    exit_code = 3


@dataclass(frozen=True, slots=True)
class Peer:
    """Another node.

    Attributes:
        title: Its AE title.
        host: Its name or number.
        port: Its TCP port.
        timeout_s: Longest wait for it.

    Raises:
        InputError: The title is none.
    """

    title: str
    host: str
    port: int
    timeout_s: float = 30.0

    def __post_init__(self) -> None:
        """Refuse what is no title."""
        check_title(self.title)


def check_title(title: str) -> None:
    r"""Refuse what is no AE title: 1 to 16 printable ASCII characters, no backslash.

    Raises:
        InputError: It is none.
    """
    if not _TITLE.match(title):
        raise InputError(
            f"{title!r} is no AE title: it has 1 to 16 ASCII characters, no backslash, "
            "and no space at either end."
        )


def parse_peer(text: str) -> Peer:
    """Take TITLE@HOST:PORT apart.

    Raises:
        InputError: It is something else.

    Example:
        >>> parse_peer("ORTHANC@127.0.0.1:4242").port
        4242
    """
    match = _PEER.match(text)
    if not match or not 0 < int(match["port"]) < 65536:
        raise InputError(
            f"{text!r} names no DICOM node. Write TITLE@HOST:PORT, such as "
            "ORTHANC@127.0.0.1:4242."
        )
    return Peer(match["title"], match["host"].strip("[]"), int(match["port"]))


def quieten(pynetdicom: Any) -> None:
    """Keep pynetdicom from writing data sets and UIDs into the log."""
    pynetdicom._config.LOG_HANDLER_LEVEL = "none"
    pynetdicom._config.LOG_REQUEST_IDENTIFIERS = False
    pynetdicom._config.LOG_RESPONSE_IDENTIFIERS = False
    logging.getLogger("pynetdicom").setLevel(logging.CRITICAL)


@contextmanager
def connect(
    peer: Peer,
    title: str,
    contexts: Sequence[tuple[str, Sequence[str]]],
    *,
    to_receive: Sequence[str] = (),
    receive: Callable[[Any], int] | None = None,
) -> Iterator[Any]:
    """Connect to a node and let go of it at the end.

    Args:
        peer: The node.
        title: AE title that it knows us by.
        contexts: Classes, each with the transfer syntaxes that we offer.
        to_receive: Classes among them that we want to be sent, as in C-GET.
        receive: Takes what is sent and gives a status.

    Yields:
        The association of pynetdicom.

    Raises:
        InputError: It knows none of the classes.
        PeerError: It does not answer, or refuses us.
    """
    pynetdicom = require("pynetdicom", extra="serve", to="to connect to a DICOM node")
    quieten(pynetdicom)
    entity = pynetdicom.AE(ae_title=title)
    entity.acse_timeout = entity.connection_timeout = peer.timeout_s
    entity.dimse_timeout = entity.network_timeout = peer.timeout_s
    for sop_class, syntaxes in contexts:
        entity.add_requested_context(sop_class, list(syntaxes))
    roles = [pynetdicom.build_role(uid, scp_role=True) for uid in to_receive]
    handlers = [(pynetdicom.evt.EVT_C_STORE, receive)] if receive else []
    association = entity.associate(
        peer.host,
        peer.port,
        ae_title=peer.title,
        ext_neg=roles,
        evt_handlers=handlers,
    )
    _check_established(association, peer, title, contexts[0][0])
    try:
        yield association
    finally:
        if association.is_established:
            association.release()
        entity.shutdown()


def _check_established(association: Any, peer: Peer, title: str, offer: str) -> None:
    """Say why there is no association."""
    if association.rejected_contexts and not association.accepted_contexts:
        raise InputError(
            f"The DICOM node {peer.title} does not take any of what we offer, such as "
            f"class {offer}. Let it take them, or leave out that format."
        )
    if not association.is_established:
        why = "refuses us" if association.is_rejected else "does not answer"
        raise PeerError(
            f"The DICOM node {peer.title} at {peer.host}:{peer.port} {why}. Check its "
            f"title and address, and that it knows {title}."
        )
