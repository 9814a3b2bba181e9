"""What writes DICOM, loaded once a process, before it is needed or as it is.

Importing highdicom and reading its tables of the standard (22 MB of JSON) takes as long
as writing an SR and a SEG with it.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

_loading = Lock()
_loaded: set[str] = set()


def load_library() -> None:
    """Import highdicom and have it read its tables; at once where that was done.

    May be called by several threads: the later ones wait for the first.
    """
    with _loading:
        if _loaded:
            return
        with uncollected():
            _make_something()
        _loaded.add("highdicom")


def _make_something() -> None:
    """Make the least of documents, for which the library reads all its tables."""
    from highdicom import SOPClass  # noqa: PLC0415  slow to import
    from pydicom.uid import (  # noqa: PLC0415
        Comprehensive3DSRStorage,
        ExplicitVRLittleEndian,
        generate_uid,
    )

    SOPClass(
        study_instance_uid=generate_uid(None),
        series_instance_uid=generate_uid(None),
        series_number=1,
        sop_instance_uid=generate_uid(None),
        sop_class_uid=Comprehensive3DSRStorage,
        instance_number=1,
        modality="SR",
        transfer_syntax_uid=ExplicitVRLittleEndian,
    )


@contextmanager
def uncollected() -> Iterator[None]:
    """Do without the garbage collector, where a lot is made and all of it is kept.

    It would go again and again through all that the process holds, and find nothing.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
