"""The documents of an assessment, written again from its file and the CT."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hilum._names import name_of
from hilum.errors import InputError
from hilum.findings import Assessment
from hilum.formats import is_volume_file
from hilum.formats.outlines import read_outlines
from hilum.outlines import Outlines
from hilum.report.dicom import SegmentStyle
from hilum.report.documents import (
    FORMATS,
    JSON_FILE,
    OUTLINES_FILE,
    Format,
    check_source,
    prepare_folder,
    read_assessment,
    write_documents,
)
from hilum.sources import read_ct
from hilum.volume import CTVolume

_LACKING = frozenset(
    ("missing-slices", "damaged-slices", "irregular-spacing", "displaced-slices")
)
"""Notices of reading that say that the stack is not whole."""


def report(
    assessment: Path,
    out: Path,
    *,
    source: Path | None = None,
    formats: Sequence[Format] = ("html",),
    style: SegmentStyle | None = None,
) -> dict[Format, Path]:
    """Write the documents of an assessment again.

    Args:
        assessment: An `assessment.json`, or the folder that holds it; `outlines.npz`
            beside it is used where it is there.
        out: Folder for the documents; may be the same.
        source: The CT that was assessed; needed by all that shows or refers to it.
        formats: Which documents.
        style: How segmentations are written.

    Returns:
        Format to the file, or folder, that was written.

    Raises:
        InputError: The assessment cannot be read, the source is another scan or
            lacks slices, or the folder cannot be written to.
    """
    path = Path(assessment)
    path = path / JSON_FILE if path.is_dir() else path
    known = read_assessment(path)
    outlines = _find_outlines(path.with_name(OUTLINES_FILE), known)
    check_source(formats, source)
    prepare_folder(out)
    volume = None
    if source is not None and any(FORMATS[name].pictures for name in formats):
        volume = _read_same(known, Path(source))
    return write_documents(
        known,
        volume,
        out,
        formats=formats,
        outlines=outlines,
        source=source,
        style=style,
    )


def _find_outlines(path: Path, known: Assessment) -> Outlines | None:
    if not path.exists():
        return None
    outlines = read_outlines(path)
    digest = known.provenance.outlines_sha256
    outlines.check(known.series_uid, len(known.nodules), digest)
    return outlines


def _read_same(known: Assessment, source: Path) -> CTVolume:
    """Read the CT again, and refuse one that is not what was assessed."""
    is_volume = source.is_file() and is_volume_file(source)
    volume = read_ct(source, series_uid=None if is_volume else known.series_uid)
    if volume.series_uid != known.series_uid:
        raise InputError(
            f"The assessment is of series {known.series_uid}, `{name_of(source)}` "
            f"holds {volume.series_uid}. Name the CT that was assessed."
        )
    before = known.provenance.source.get("shape")
    now = list(volume.grid.shape)
    if before is not None and before != now:
        raise InputError(
            f"The scan that was assessed has {_size(before)} voxels (slices, rows, "
            f"columns), `{name_of(source)}` now gives {_size(now)}. Slices are "
            "missing, or were added: name the folder as it was."
        )
    told = {(n.code, n.message) for n in known.notices}
    new = [
        n.message
        for n in volume.notices
        if n.code in _LACKING and (n.code, n.message) not in told
    ]
    if new:
        raise InputError(
            f"`{name_of(source)}` lacks slices that were there when it was assessed. "
            f"{' '.join(new)} Name the folder as it was."
        )
    return volume


def _size(shape: Any) -> str:
    return " x ".join(str(n) for n in shape)
