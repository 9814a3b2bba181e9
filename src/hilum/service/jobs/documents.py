"""Which documents a study has: a list beside them, written when all are there."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path

from hilum.formats.atomic import replacing

COMPLETE = ".complete"
ASSESSMENT = "assessment.json"


def note_documents(results: Path, written: Mapping[str, Path]) -> None:
    """Note that the documents are complete.

    Args:
        results: Their folder.
        written: Format to the file or folder in it, as `write_documents` gives it.
    """
    names = {str(name): path.name for name, path in written.items()}
    with replacing(results / COMPLETE) as file:
        file.write(json.dumps(names).encode())


def documents_in(results: Path) -> dict[str, Path]:
    """Give the documents in a folder of results, by their format.

    Until all are written there is at most the assessment.

    Args:
        results: Of `Store.results`.
    """
    names = {"json": ASSESSMENT}
    if (results / COMPLETE).exists():
        names |= json.loads((results / COMPLETE).read_text())
    found = {name: results / file for name, file in names.items()}
    return {name: path for name, path in found.items() if path.exists()}


def size_of(document: Path) -> int:
    """Give the bytes of a document, which is a file or a folder of files."""
    if document.is_dir():
        return sum(p.stat().st_size for p in document.rglob("*") if p.is_file())
    return document.stat().st_size


def pack(folder: Path) -> bytes:
    """Pack a document that is a folder, as a zip.

    Args:
        folder: Of a few small files.
    """
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(p for p in folder.rglob("*") if p.is_file()):
            archive.write(path, path.relative_to(folder))
    return packed.getvalue()
