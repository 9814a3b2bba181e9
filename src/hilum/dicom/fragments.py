"""The frames of encapsulated pixel data, and what their codestreams declare.

Sources:
    DICOM PS3.5 A.4 (encapsulation), PS3.3 C.7.6.3.1.8 (extended offset table);
    ITU-T T.81 B.2 (JPEG), T.87 C.2 (JPEG-LS), T.800 A.5 (JPEG 2000).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from hilum.dicom.elements import DamagedError
from hilum.dicom.files import Stream

Codec = Literal["jpeg", "jpeg-ls", "jpeg-2000", "rle"]

RLE_LOSSLESS = "1.2.840.10008.1.2.5"
_ITEM, _SEQUENCE_END = b"\xfe\xff\x00\xe0", b"\xfe\xff\xdd\xe0"
_J2K = b"\xff\x4f\xff\x51"
_JP2 = b"\x00\x00\x00\x0cjP"
_MOST_FRAGMENTS = 100_000


@dataclass(frozen=True, slots=True)
class Codestream:
    """What a compressed frame declares of itself.

    Attributes:
        codec: What decodes it.
        rows: Lines, or 0 when it does not say.
        columns: Samples a line, or 0 when it does not say.
        components: Samples a pixel.
        precision: Bits a sample, or 0 when it does not say.
        signed: Whether its samples have a sign.
    """

    codec: Codec
    rows: int
    columns: int
    components: int
    precision: int
    signed: bool = False


def split_frames(stream: Stream, offset: int, size: int, frames: int) -> list[bytes]:
    """Read the compressed frames of one file.

    Args:
        stream: The file.
        offset: Where the first item (the offset table) starts.
        size: Bytes in the file.
        frames: How many frames it has.

    Raises:
        DamagedError: The items are cut short, or do not make that many frames.
    """
    stream.seek(offset)
    data = stream.read(max(0, size - offset))
    items = _find_items(data)
    table, items = items[0], items[1:]
    if frames == 1:
        return [b"".join(data[a:b] for a, b in items)]
    if len(items) == frames:
        return [data[a:b] for a, b in items]
    starts = _find_frame_starts(data, table, items)
    if len(starts) != frames:
        raise DamagedError(f"its {len(items)} fragments do not make {frames} frames")
    edges = [*starts, len(items)]
    return [
        b"".join(data[a:b] for a, b in items[first:last])
        for first, last in pairwise(edges)
    ]


def _find_items(data: bytes) -> list[tuple[int, int]]:
    """Find where the items start and end; the first is the offset table."""
    items: list[tuple[int, int]] = []
    pos = 0
    while pos + 8 <= len(data) and data[pos : pos + 4] == _ITEM:
        (length,) = struct.unpack_from("<I", data, pos + 4)
        items.append((pos + 8, pos + 8 + length))
        pos += 8 + length
        if pos > len(data) or len(items) > _MOST_FRAGMENTS:
            raise DamagedError("its compressed pixel data are cut short")
    if len(items) < 2:
        raise DamagedError("its compressed pixel data are cut short")
    return items


def _find_frame_starts(
    data: bytes, table: tuple[int, int], items: list[tuple[int, int]]
) -> list[int]:
    """Find the fragments that start a frame, by the offset table or by their look."""
    first = items[0][0] - 8
    count = (table[1] - table[0]) // 4
    offsets = struct.unpack_from(f"<{count}I", data, table[0])
    by_place = {start - 8 - first: index for index, (start, _) in enumerate(items)}
    if count and all(o in by_place for o in offsets):
        return [by_place[o] for o in offsets]
    marks = (b"\xff\xd8\xff", _J2K, _JP2)
    return [n for n, (a, _) in enumerate(items) if data[a : a + 8].startswith(marks)]


def read_codestream(frame: bytes, syntax: str) -> Codestream:
    """Read what a compressed frame declares, without decoding it.

    Args:
        frame: The codestream.
        syntax: TransferSyntaxUID; tells RLE, which has no mark of its own. Of the
            others the codestream tells, so a wrong syntax does no harm.

    Raises:
        DamagedError: It is no codestream that can be decoded.
    """
    if frame.startswith(_J2K):
        return _read_siz(frame, 4)
    if frame.startswith(_JP2):
        start = frame.find(_J2K, 0, 65536)
        if start >= 0:
            return _read_siz(frame, start + 4)
    if frame.startswith(b"\xff\xd8"):
        return _read_sof(frame)
    if syntax == RLE_LOSSLESS and len(frame) >= 64:
        return Codestream("rle", 0, 0, 1, 0)
    raise DamagedError("its compressed pixel data are damaged")


def _read_siz(frame: bytes, pos: int) -> Codestream:
    """Read the SIZ segment of JPEG 2000; `pos` is after its marker."""
    try:
        width, height, left, top = struct.unpack_from(">4I", frame, pos + 4)
        components, depth = struct.unpack_from(">HB", frame, pos + 36)
    except struct.error:
        raise DamagedError("its compressed pixel data are cut short") from None
    rows, columns, bits = height - top, width - left, (depth & 0x7F) + 1
    return Codestream("jpeg-2000", rows, columns, components, bits, depth > 0x7F)


def _read_sof(frame: bytes) -> Codestream:
    """Read the frame header (SOF) of JPEG or JPEG-LS."""
    pos = 2
    while pos + 10 <= len(frame) and frame[pos] == 0xFF:
        marker = frame[pos + 1]
        if marker == 0xFF:
            pos += 1
            continue
        (length,) = struct.unpack_from(">H", frame, pos + 2)
        is_frame = 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC)
        if is_frame or marker == 0xF7:
            precision, rows, columns, components = struct.unpack_from(
                ">BHHB", frame, pos + 4
            )
            codec: Codec = "jpeg-ls" if marker == 0xF7 else "jpeg"
            return Codestream(codec, rows, columns, components, precision)
        pos += 2 + max(length, 2)
    raise DamagedError("its compressed pixel data are damaged")
