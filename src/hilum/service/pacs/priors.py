"""Earlier studies of a patient, asked of an archive.

C-FIND tells which there are, C-GET fetches one into a folder, C-MOVE has the archive
send one to a node (ours, which must be known to it by its title).

Sources:
    DICOM PS3.4 C.4.1 (C-FIND), C.4.2 (C-MOVE), C.4.3 (C-GET), C.6.2 (study root).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hilum.dicom.faults import SYNTAXES
from hilum.dicom.headers import CT_CLASSES
from hilum.errors import InputError
from hilum.service.pacs.peers import Peer, PeerError, connect

_FIND = "1.2.840.10008.5.1.4.1.2.2.1"
_MOVE = "1.2.840.10008.5.1.4.1.2.2.2"
_GET = "1.2.840.10008.5.1.4.1.2.2.3"
_PLAIN = ("1.2.840.10008.1.2.1", "1.2.840.10008.1.2")
_PENDING = (0xFF00, 0xFF01)
_MOST_STUDIES = 1000
_UID = re.compile(r"^[0-9.]{1,64}$")
_WILD = re.compile(r"[*?\\]")


@dataclass(frozen=True, slots=True)
class Prior:
    """An earlier study.

    Attributes:
        study_uid: Its UID.
        date: Its day, YYYYMMDD.
    """

    study_uid: str
    date: str


def find_priors(
    peer: Peer, patient_id: str, *, before: str, title: str = "HILUM"
) -> tuple[Prior, ...]:
    """Ask which CT studies of a patient are older than a day.

    Args:
        peer: The archive.
        patient_id: The patient's ID there.
        before: A day, YYYYMMDD.
        title: AE title that it knows us by.

    Returns:
        The studies, the newest first.

    Raises:
        InputError: The ID would match other patients, too.
        PeerError: The archive cannot be reached, or refuses.
    """
    from pydicom.dataset import Dataset  # noqa: PLC0415  slow

    if not patient_id.strip() or _WILD.search(patient_id):
        raise InputError(
            "A patient's ID that is empty or holds * or ? would match other patients; "
            "priors cannot be looked for."
        )
    query = Dataset()
    query.QueryRetrieveLevel = "STUDY"
    query.PatientID, query.ModalitiesInStudy = patient_id, "CT"
    query.StudyDate, query.StudyInstanceUID = f"-{before}", ""
    with connect(peer, title, [(_FIND, _PLAIN)]) as association:
        answers = list(_results(association.send_c_find(query, _FIND), peer))
    found = set()
    for answer in answers[:_MOST_STUDIES]:
        uid, day = str(answer.get("StudyInstanceUID", "")), _text(answer, "StudyDate")
        is_own = _text(answer, "PatientID") in (patient_id, "")
        kinds = answer.get("ModalitiesInStudy") or "CT"
        if _UID.match(uid) and is_own and "CT" in kinds and "" < day < before:
            found.add(Prior(uid, day))
    return tuple(sorted(found, key=lambda p: (p.date, p.study_uid), reverse=True))


def fetch_study(
    peer: Peer, study_uid: str, folder: Path, *, title: str = "HILUM"
) -> int:
    """Fetch the CT of a study by C-GET.

    Args:
        peer: The archive.
        study_uid: The study.
        folder: Where its files go, named by numbers; must exist.
        title: AE title that the archive knows us by.

    Returns:
        How many files were written.

    Raises:
        PeerError: The archive cannot be reached, refuses, or breaks off.
    """
    count = 0

    def keep(event: Any) -> int:
        nonlocal count
        try:
            (folder / f"{count:06d}.dcm").write_bytes(event.encoded_dataset())
        except OSError:
            return 0xA700
        count += 1
        return 0

    contexts: list[tuple[str, Sequence[str]]] = [(_GET, _PLAIN)]
    contexts += [(uid, sorted(SYNTAXES)) for uid in sorted(CT_CLASSES)]
    with connect(
        peer, title, contexts, to_receive=sorted(CT_CLASSES), receive=keep
    ) as association:
        answers = association.send_c_get(_identify(study_uid), _GET)
        for _ in _results(answers, peer):
            pass
    return count


def request_move(
    peer: Peer, study_uid: str, destination: str, *, title: str = "HILUM"
) -> None:
    """Have an archive send a study to a node; returns when it has.

    Args:
        peer: The archive.
        study_uid: The study.
        destination: AE title of the node, as the archive knows it.
        title: AE title that the archive knows us by.

    Raises:
        PeerError: The archive cannot be reached, or cannot send.
    """
    with connect(peer, title, [(_MOVE, _PLAIN)]) as association:
        answers = association.send_c_move(_identify(study_uid), destination, _MOVE)
        for _ in _results(answers, peer):
            pass


def _identify(study_uid: str) -> Any:
    from pydicom.dataset import Dataset  # noqa: PLC0415  slow

    if not _UID.match(study_uid):
        raise InputError("This is no UID of a study: it has digits and dots alone.")
    query = Dataset()
    query.QueryRetrieveLevel, query.StudyInstanceUID = "STUDY", study_uid
    return query


def _results(answers: Any, peer: Peer) -> Any:
    """Give the data sets of pending answers, up to the last one.

    Raises:
        PeerError: The archive refuses, or breaks off.
    """
    for status, dataset in answers:
        code = status.get("Status") if status else None
        if code is None:
            raise PeerError(f"The DICOM node {peer.title} broke off.")
        if code in _PENDING:
            if dataset is not None:
                yield dataset
        elif code != 0:
            failed = status.get("NumberOfFailedSuboperations", 0)
            raise PeerError(
                f"The DICOM node {peer.title} answers {code:04X}hex"
                + (f": {failed} instances could not be sent." if failed else ".")
            )


def _text(dataset: Any, keyword: str) -> str:
    return str(dataset.get(keyword) or "").strip()
