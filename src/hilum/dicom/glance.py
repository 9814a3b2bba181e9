"""A glance at a folder: of which study are the images that lie in it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from hilum.dicom.elements import NotDicomError
from hilum.dicom.files import File, Opener
from hilum.dicom.frames import read_headers
from hilum.dicom.guard import guarded

_MOST_FILES = 5


def glance(files: Sequence[Path]) -> str | None:
    """Give the study of the first file that is DICOM.

    Args:
        files: Of one folder; a few are tried, the others not opened.

    Returns:
        The StudyInstanceUID, "" where the file names none; None: none of the files
        that were tried is DICOM.
    """
    with Opener() as opener:
        for path in files[:_MOST_FILES]:
            failures: list[str] = []
            with guarded(failures.append):
                try:
                    file = File(str(path), None, path.stat().st_size)
                    headers = read_headers(file, opener)
                except NotDicomError:
                    continue
                if headers:
                    return headers[0].study_uid
    return None
