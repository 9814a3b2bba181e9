"""Where documents go: to a node by C-STORE, or to a DICOMweb server by STOW-RS.

A target is called with anything that has `documents`, and sends those that are DICOM:
the files among them, and the files in folders among them. It returns when the other
side has all of them. To send them again does no harm. An `InputError` means that a
later try is of no use, a `ConnectionError` that it may be of use.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from hilum.dicom.looks import has_mark
from hilum.dicomweb import Server, UnreachableError, send_files
from hilum.errors import InputError
from hilum.service.pacs.peers import Peer, PeerError, connect

_MOST_CONTEXTS = 128
_NO_ROOM = 0xA7


class HasDocuments(Protocol):
    """What a target needs to know of a delivery."""

    @property
    def documents(self) -> Mapping[str, Path]:
        """Name of the format to the file, or to a folder of files."""


@dataclass(frozen=True, slots=True)
class StoreTarget:
    """Sends documents to a node by C-STORE.

    Attributes:
        peer: The node.
        title: AE title that it knows us by.
    """

    peer: Peer
    title: str = "HILUM"

    def __call__(self, delivery: HasDocuments) -> None:
        """Send the documents.

        Raises:
            InputError: The node does not take such documents.
            ConnectionError: It cannot be reached, or has no room now.
        """
        files = tuple(find_dicom(delivery.documents))
        if not files:
            return
        try:
            send_to_node(self.peer, files, title=self.title)
        except PeerError as error:  # for users; jobs try nothing of ours again
            raise ConnectionError(str(error)) from error


@dataclass(frozen=True, slots=True)
class StowTarget:
    """Sends documents to a DICOMweb server by STOW-RS.

    Attributes:
        server: The server.
    """

    server: Server

    def __call__(self, delivery: HasDocuments) -> None:
        """Send the documents.

        Raises:
            InputError: The server refuses them.
            ConnectionError: It cannot be reached now.
        """
        files = tuple(find_dicom(delivery.documents))
        if not files:
            return
        try:
            send_files(self.server, files)
        except UnreachableError as error:  # as above
            raise ConnectionError(str(error)) from error


def find_dicom(documents: Mapping[str, Path]) -> Iterator[Path]:
    """Give the DICOM files among documents, in a stable order."""
    for _, place in sorted(documents.items()):
        inside = sorted(place.rglob("*")) if place.is_dir() else [place]
        for path in inside:
            if path.is_file() and has_mark(path):
                yield path


def send_to_node(peer: Peer, files: Sequence[Path], *, title: str = "HILUM") -> None:
    """Send DICOM files to a node, as they are.

    Args:
        peer: The node.
        files: DICOM files.
        title: AE title that it knows us by.

    Raises:
        InputError: It does not take such files.
        PeerError: It cannot be reached, or has no room now.
    """
    from pydicom import dcmread  # noqa: PLC0415  slow

    datasets = [dcmread(path) for path in files]
    kinds = dict.fromkeys(_kind_of(dataset) for dataset in datasets)
    if len(kinds) > _MOST_CONTEXTS:
        raise InputError("There are documents of over 128 kinds; send them in parts.")
    contexts = [(sop_class, (syntax,)) for sop_class, syntax in kinds]
    with connect(peer, title, contexts) as association:
        taken = {
            (str(c.abstract_syntax), str(c.transfer_syntax[0]))
            for c in association.accepted_contexts
        }
        refused = [kind for kind in kinds if kind not in taken]
        if refused:
            raise InputError(
                f"The DICOM node {peer.title} does not take documents of class "
                f"{refused[0][0]}. Let it take them, or leave out that format."
            )
        for dataset in datasets:
            _check(association.send_c_store(dataset), peer)


def _kind_of(dataset: Any) -> tuple[str, str]:
    return str(dataset.SOPClassUID), str(dataset.file_meta.TransferSyntaxUID)


def _check(answer: Any, peer: Peer) -> None:
    """Look at the status of one C-STORE; warnings (Bxxx) are no failures."""
    status = answer.get("Status") if answer else None
    if status is None:
        raise PeerError(f"The DICOM node {peer.title} broke off.")
    if status == 0 or status >> 12 == 0xB:
        return
    text = f"The DICOM node {peer.title} answers {status:04X}hex to a document"
    if status >> 8 == _NO_ROOM:
        raise PeerError(f"{text}: it has no room.")
    raise InputError(f"{text}, so it does not keep it.")
