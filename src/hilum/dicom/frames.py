"""From a file to the headers of its frames.

A classic file is one slice. An enhanced multi-frame file carries the facts of each
frame in functional groups: those that all frames share, and those of one frame,
which are laid over the elements of the file.

Source:
    DICOM PS3.3 C.7.6.16 (multi-frame functional groups module).
"""

from __future__ import annotations

from hilum.dicom.elements import Scan, scan_file
from hilum.dicom.files import File, Opener
from hilum.dicom.headers import WANTED, Header, is_ct, make_header, read_number

_SHARED, _PER_FRAME, _NUMBER_OF_FRAMES = 0x52009229, 0x52009230, 0x00280008


def read_headers(file: File, opener: Opener) -> list[Header]:
    """Read the headers of the frames of one file, without its pixels.

    Returns:
        One header a frame; a file that cannot be used has one header that says why.

    Raises:
        NotDicomError: The file is something else.
        OSError: It cannot be read.
    """
    stream = opener.open(file)
    try:
        scan = scan_file(stream, file.size, wanted=WANTED, is_image=is_ct)
    finally:
        stream.close()
    number = read_number(scan.elements, _NUMBER_OF_FRAMES, absent=1.0)
    if number == 1 and _PER_FRAME not in scan.elements:
        return [make_header(file, scan, scan.elements, frame=0, frames=1)]
    return _split_frames(file, scan, number)


def _split_frames(file: File, scan: Scan, number: float | None) -> list[Header]:
    groups = scan.elements.get(_PER_FRAME)
    groups = groups if isinstance(groups, list) else []
    if number != len(groups):
        scan.damage = scan.damage or (
            f"it declares {number:.0f} frames and describes {len(groups)}"
            if number is not None
            else "its NumberOfFrames is no number"
        )
        return [make_header(file, scan, scan.elements, frame=0, frames=1)]
    shared = scan.elements.get(_SHARED)
    common = {
        tag: value
        for tag, value in scan.elements.items()
        if tag not in (_SHARED, _PER_FRAME)
    }
    for item in shared if isinstance(shared, list) else []:
        common |= item
    return [
        make_header(file, scan, common | group, frame=index, frames=len(groups))
        for index, group in enumerate(groups)
    ]
