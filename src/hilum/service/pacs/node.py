"""The listening node: C-ECHO and C-STORE of CT, as it was sent.

What arrives is written as it is, behind a header of our own; nothing is decoded or
encoded again. Status codes (PS3.4 B.2.3, PS3.7 Annex C):

    0000  kept, or here already
    0122  a class that this node does not take
    A700  too large, too many, or the disk is full
    A900  the data set is not the instance that the request names
    C000  the data set cannot be understood
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from io import BytesIO
from types import TracebackType
from typing import Any, Self

from hilum._optional import require
from hilum.dicom.faults import SYNTAXES
from hilum.dicom.headers import CT_CLASSES
from hilum.errors import InputError
from hilum.service.pacs.inbox import FullError, Inbox
from hilum.service.pacs.peers import check_title, quieten

LOG = logging.getLogger(__name__)
LOG.addHandler(logging.NullHandler())

OK = 0x0000
NO_SUCH_CLASS = 0x0122
NO_ROOM = 0xA700
MISMATCH = 0xA900
NOT_UNDERSTOOD = 0xC000
_CLASS, _INSTANCE, _STUDY = 0x00080016, 0x00080018, 0x0020000D
_DEFLATED = "1.2.840.10008.1.2.1.99"
_HEAD = 1 << 18
"""More than any header up to the UID of the study."""
_MOST_PDU = 1 << 20
_PREFERRED = ("1.2.840.10008.1.2.1", "1.2.840.10008.1.2")


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeSettings:
    """Who may send what.

    Attributes:
        title: AE title of this node.
        host: Address to listen at.
        port: TCP port; 0 for any that is free.
        callers: AE titles that may connect; empty: any.
        any_called: Answer also to other titles than `title`.
        most_associations: How many at once.
        most_bytes: Size of one data set; half as much again ends the association, so
            that no sender fills the memory.
        idle_s: An association is ended when nothing comes for this long.

    Raises:
        InputError: A title is none, or a number is out of range.
    """

    title: str = "HILUM"
    host: str = "127.0.0.1"
    port: int = 11112
    callers: tuple[str, ...] = ()
    any_called: bool = False
    most_associations: int = 10
    most_bytes: int = 1 << 30
    idle_s: float = 60.0

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        for title in (self.title, *self.callers):
            check_title(title)
        if not 0 <= self.port <= 65535:
            raise InputError(f"A port lies in 0 to 65535; got {self.port}.")
        for name in ("most_associations", "most_bytes", "idle_s"):
            if not getattr(self, name) > 0:
                raise InputError(
                    f"`{name}` of the node must be above 0; got {getattr(self, name)}."
                )


class Node:
    """The node. It listens while its `with` block runs.

    Args:
        settings: Who may send what.
        inbox: Where it goes.

    Raises:
        MissingDependencyError: pynetdicom is not installed.
    """

    def __init__(self, settings: NodeSettings, inbox: Inbox) -> None:
        self._settings, self._inbox = settings, inbox
        self._ae = _make_entity(settings)
        self._server: Any = None
        self._bytes: dict[int, int] = {}

    @property
    def port(self) -> int:
        """Port that it listens at."""
        return int(self._server.server_address[1]) if self._server else 0

    def __enter__(self) -> Self:
        """Begin to listen.

        Raises:
            InputError: The address is taken, or is not of this machine.
        """
        from pynetdicom import evt  # noqa: PLC0415  needs the extra

        address = (self._settings.host, self._settings.port)
        handlers = [
            (evt.EVT_C_ECHO, _echo),
            (evt.EVT_C_STORE, self._store),
            (evt.EVT_DATA_RECV, self._count),
            (evt.EVT_ABORTED, self._broken),
            (evt.EVT_CONN_CLOSE, self._closed),
        ]
        try:
            self._server = self._ae.start_server(
                address, block=False, evt_handlers=handlers
            )
        except OSError as error:
            raise InputError(
                f"Cannot listen at {address[0]}:{address[1]}: {error.strerror}. "
                "Name another port, or end what uses it."
            ) from error
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop listening and end all associations."""
        self._ae.shutdown()
        self._server = None

    def _store(self, event: Any) -> int:
        """Keep one data set."""
        sender = id(event.assoc)
        self._bytes[sender] = 0
        request = event.request
        data = request.DataSet.getbuffer()
        sop_class = str(request.AffectedSOPClassUID or "")
        if sop_class not in CT_CLASSES or sop_class != event.context.abstract_syntax:
            return NO_SUCH_CLASS
        if len(data) > self._settings.most_bytes:
            return NO_ROOM
        syntax = str(event.context.transfer_syntax)
        found = _read_uids(bytes(data) if syntax == _DEFLATED else data, syntax)
        if found is None:
            return NOT_UNDERSTOOD
        if found[:2] != (sop_class, str(request.AffectedSOPInstanceUID)):
            return MISMATCH
        head = _make_header(event.file_meta)
        try:
            self._inbox.add(found[2], found[1], (head, data), sender)
        except (FullError, OSError) as error:
            LOG.warning("no room for a data set (%s)", type(error).__name__)
            return NO_ROOM
        return OK

    def _count(self, event: Any) -> None:
        """Break off a data set that never ends, before it fills the memory."""
        sender = id(event.assoc)
        count = self._bytes.get(sender, 0) + len(event.data)
        self._bytes[sender] = count
        if 2 * count > 3 * self._settings.most_bytes:
            LOG.warning("an association was aborted: its data set is too large")
            event.assoc.abort()

    def _broken(self, event: Any) -> None:
        self._inbox.broken(id(event.assoc))

    def _closed(self, event: Any) -> None:
        self._bytes.pop(id(event.assoc), None)


def _make_entity(settings: NodeSettings) -> Any:
    pynetdicom = require("pynetdicom", extra="serve", to="to listen for DICOM")
    quieten(pynetdicom)
    entity = pynetdicom.AE(ae_title=settings.title)
    rest = sorted(SYNTAXES - set(_PREFERRED))
    for sop_class in sorted(CT_CLASSES):
        entity.add_supported_context(sop_class, [*_PREFERRED, *rest])
    entity.add_supported_context("1.2.840.10008.1.1")  # verification
    entity.require_called_aet = not settings.any_called
    entity.require_calling_aet = list(settings.callers)
    entity.maximum_associations = settings.most_associations
    entity.maximum_pdu_size = _MOST_PDU
    entity.network_timeout = settings.idle_s
    return entity


def _make_header(meta: Any) -> bytes:
    from pynetdicom.dsutils import encode_file_meta  # noqa: PLC0415  as above

    return b"\0" * 128 + b"DICM" + bytes(encode_file_meta(meta))


def _read_uids(data: Any, syntax: str) -> tuple[str, str, str] | None:
    """Read class, instance and study from a data set, and no further.

    Returns:
        None when it cannot be understood.
    """
    from pydicom.filereader import read_dataset  # noqa: PLC0415  slow
    from pydicom.uid import UID  # noqa: PLC0415

    kind = UID(syntax)
    try:
        if syntax == _DEFLATED:
            data = _inflate_head(data)
        dataset = read_dataset(
            BytesIO(data[:_HEAD]),
            kind.is_implicit_VR,
            kind.is_little_endian,
            stop_when=_is_behind,
            specific_tags=[_CLASS, _INSTANCE, _STUDY],
        )
        raw = [dataset.get_item(tag) for tag in (_CLASS, _INSTANCE, _STUDY)]
        texts = [item.value.decode("ascii").rstrip("\0 ") for item in raw]
    except Exception:  # noqa: BLE001  whatever damaged bytes may raise
        return None
    return (texts[0], texts[1], texts[2]) if all(texts) else None


def _echo(_event: Any) -> int:
    return OK


def _is_behind(tag: int, _vr: str | None, _length: int) -> bool:
    return tag > _STUDY


def _inflate_head(data: bytes) -> bytes:
    import zlib  # noqa: PLC0415  seldom needed

    return zlib.decompressobj(-zlib.MAX_WBITS).decompress(data, _HEAD)
