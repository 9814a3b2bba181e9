"""Ask a server which studies it has (QIDO-RS), a page at a time."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl, urlencode

from hilum.dicomweb.server import Server
from hilum.errors import InputError

PAGE = 500
MOST_STUDIES = 2_000_000
_MOST_JSON = 64 << 20
_UID = re.compile(r"^[0-9.]{1,64}$")
_STUDY = "0020000D"


def find_studies_on(server: Server, query: str = "") -> Iterator[str]:
    """Give the UIDs of the studies that a server has, in its order, each once.

    Args:
        server: Its address names the server as a whole.
        query: As in an address, such as "StudyDate=20240101-20241231"; studies with
            CT are asked for in any case.

    Raises:
        InputError: The query or the answer cannot be used.
        UnreachableError: The server cannot be reached.

    Source:
        DICOM PS3.18 10.6.1.2 (query parameters), 8.3.4 (limit and offset).
    """
    wanted = dict(parse_qsl(query))
    if query and len(wanted) < len(query.split("&")):
        raise InputError(
            "The query of the DICOMweb address needs name=value, each once, such as "
            "StudyDate=20240101-20241231."
        )
    wanted = {"ModalitiesInStudy": "CT", **wanted}
    seen: set[str] = set()
    offset = 0
    while len(seen) < MOST_STUDIES:
        page = _ask(server, wanted | {"limit": str(PAGE), "offset": str(offset)})
        fresh = [uid for uid in page if uid not in seen]
        yield from fresh
        seen.update(fresh)
        offset += len(page)
        if not fresh:  # the end, or a server that knows no offset
            return


def _ask(server: Server, wanted: dict[str, str]) -> list[str]:
    path = f"/studies?{urlencode(wanted)}"
    with server.ask("GET", path, {"Accept": "application/dicom+json"}) as answer:
        data = b"[]" if answer.status == 204 else answer.read(_MOST_JSON + 1)
    try:
        entries: Any = json.loads(data or b"[]")
        uids = [str(entry[_STUDY]["Value"][0]) for entry in entries]
    except (ValueError, TypeError, KeyError, IndexError) as error:
        raise InputError(
            "The DICOMweb server answers a query for studies with no DICOM JSON."
        ) from error
    return list(dict.fromkeys(uid for uid in uids if _UID.match(uid)))
