"""Where the scans of a folder are: files of volumes, and folders of slices.

A folder that holds DICOM files directly is one scan, or several series of one
study; what lies below it is looked at too. No header is read but the first of a
folder, and only where its files are not named as DICOM files are.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from hilum.dicom.glance import glance
from hilum.dicom.headers import Header
from hilum.dicom.looks import claims_dicom, has_mark, is_junk
from hilum.formats import is_volume_file
from hilum.formats.files import EXTENSIONS

_NOT_SLICES = (".csv", ".xml", ".txt", ".json", ".pdf", ".raw", ".zraw", ".md", ".zip")
_TRIED = 3

ENDINGS = (*EXTENSIONS, ".zip")
"""Of scans that are one file."""


def find_scans(folder: Path) -> Iterator[Path]:
    """Go through the scans below a folder, by name.

    Args:
        folder: However nested; links to folders are not followed.

    Returns:
        Folders with slices, each before the files of volumes that lie in it, and
        files that `hilum.formats.read_volume` reads. A volume beside slices is often
        a mask, but may be a scan: it is given too.
    """
    for root, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        names = sorted(n for n in files if not n.startswith(".") and not is_junk(n))
        place = Path(root)
        volumes = [n for n in names if is_volume_file(place / n)]
        if has_slices(place, [n for n in names if n not in volumes]):
            yield place
        yield from (place / n for n in volumes)


def slices_and_volumes(folder: Path) -> tuple[bool, list[Path]]:
    """Tell whether there are slices anywhere below a folder, and list its volumes.

    Args:
        folder: Of one patient. A volume beside slices is often a mask of them.

    Returns:
        Whether there are slices, and the files of volumes by name.
    """
    found = list(find_scans(folder))
    volumes = [path for path in found if not path.is_dir()]
    return len(volumes) < len(found), volumes


def has_slices(folder: Path, names: list[str]) -> bool:
    """Tell whether a folder directly holds DICOM files.

    Args:
        folder: The folder.
        names: Of its files.
    """
    if any(claims_dicom(name) for name in names):
        return True
    others = [n for n in names if not n.lower().endswith(_NOT_SLICES)]
    return any(_is_dicom(folder / name) for name in others[:_TRIED])


def first_header(folder: Path) -> Header | None:
    """Read the header of the first CT image directly in a folder.

    Args:
        folder: With DICOM files; the first few are tried.

    Returns:
        The header, or None where none of them can be read.
    """
    names = sorted(p.name for p in folder.iterdir() if p.is_file())
    likely = [n for n in names if not n.lower().endswith(_NOT_SLICES)]
    found = glance([folder / name for name in likely[:_TRIED]])
    return next((header for header in found if header.series_uid), None)


def bare_name(name: str) -> str:
    """Take the ending of a scan that is one file off its name.

    Example:
        >>> bare_name("a.nii.gz"), bare_name("b.ZIP"), bare_name("c.1")
        ('a', 'b', 'c.1')
    """
    ends = (end for end in ENDINGS if name.lower().endswith(end))
    return name[: len(name) - len(max(ends, key=len, default=""))]


def _is_dicom(path: Path) -> bool:
    """Look for the mark that DICOM files have after 128 bytes."""
    try:
        return has_mark(path)
    except OSError:
        return False
