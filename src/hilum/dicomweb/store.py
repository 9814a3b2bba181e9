"""Send files to a server (STOW-RS)."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from hilum.dicomweb.server import Server
from hilum.errors import InputError

_MOST_JSON = 16 << 20
_PIECE = 1 << 20
_FAILED, _REASON = "00081198", "00081197"


def send_files(server: Server, files: Sequence[Path]) -> None:
    """Send DICOM files in one request.

    To send the same files again does no harm: they are the same instances.

    Args:
        server: Where to.
        files: DICOM files.

    Raises:
        InputError: The server refuses them.
        UnreachableError: It cannot be reached now.
    """
    boundary = secrets.token_hex(16)
    headers = {
        "Content-Type": f'multipart/related; type="application/dicom"; '
        f"boundary={boundary}",
        "Accept": "application/dicom+json",
        "Content-Length": str(sum(map(len, _frames(files, boundary))) + _size(files)),
    }
    with server.ask("POST", "/studies", headers, _body(files, boundary)) as answer:
        data = answer.read(_MOST_JSON)
    failed = _count_failed(data)
    if failed:
        raise InputError(
            f"The DICOMweb server refuses {failed} of {len(files)} documents."
        )


def _size(files: Sequence[Path]) -> int:
    return sum(file.stat().st_size for file in files)


def _frames(files: Sequence[Path], boundary: str) -> list[bytes]:
    """What stands before each file, and after the last."""
    head = f"--{boundary}\r\nContent-Type: application/dicom\r\n\r\n".encode()
    rest = [b"\r\n" + head] * (len(files) - 1)
    return [head, *rest, f"\r\n--{boundary}--\r\n".encode()]


def _body(files: Sequence[Path], boundary: str) -> Iterator[bytes]:
    frames = _frames(files, boundary)
    for frame, path in zip(frames, files, strict=False):
        yield frame
        with path.open("rb") as file:
            while piece := file.read(_PIECE):
                yield piece
    yield frames[-1]


def _count_failed(data: bytes) -> int:
    try:
        tree: Any = json.loads(data) if data else {}
    except ValueError:
        return 0
    tree = tree[0] if isinstance(tree, list) and tree else tree
    failed = tree.get(_FAILED, {}).get("Value", []) if isinstance(tree, dict) else []
    return len(failed)
