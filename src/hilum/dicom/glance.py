"""A glance at a folder: what the first of the images that lie in it are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from hilum.dicom.elements import NotDicomError
from hilum.dicom.files import File, Opener
from hilum.dicom.frames import read_headers
from hilum.dicom.guard import guarded
from hilum.dicom.headers import Header


def glance(files: Sequence[Path]) -> Iterator[Header]:
    """Give the first header of each file that is DICOM, as it is asked for.

    Args:
        files: Those to be tried, the next once its header is wanted. What cannot be
            read is passed over.
    """
    with Opener() as opener:
        for path in files:
            headers: list[Header] = []
            with guarded(lambda _: None):
                try:
                    file = File(str(path), None, path.stat().st_size)
                    headers = read_headers(file, opener)
                except NotDicomError:
                    continue
            if headers:
                yield headers[0]
