"""Elements to bytes: the file is written as it was encoded, what is kept as it was.

Sources:
    DICOM PS3.5 section 7 (data set structure), PS3.10 section 7 (file format).
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

from hilum.deidentify.reading import RefusedError

DEFLATED = "1.2.840.10008.1.2.1.99"
IMPLEMENTATION = "2.25.115264231806531459213713117305911207936"
_LONG = frozenset(
    ("OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV")
)
_PADDED_WITH_NUL = frozenset(("UI", "OB", "UN"))
_UNDEFINED = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class Written:
    """An element that is written.

    Attributes:
        tag: Group and element.
        vr: Value representation, for explicit files.
        value: Bytes in the byte order of the file.
        items: Items of a sequence, or None.
        is_open: Of undefined length; `value` then holds the fragments.
    """

    tag: int
    vr: str
    value: bytes = b""
    items: tuple[tuple[Written, ...], ...] | None = None
    is_open: bool = False


@dataclass(frozen=True, slots=True)
class Encoding:
    """How a file is encoded.

    Attributes:
        syntax: Transfer syntax UID.
        implicit: Without value representations.
        little: Least significant byte first.
    """

    syntax: str
    implicit: bool
    little: bool

    def encode_file(self, sop_class: str, uid: str, body: Sequence[Written]) -> bytes:
        """Encode a file: an empty preamble, a header of our own, the elements."""
        data = self.encode(body)
        if self.syntax == DEFLATED:
            packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
            data = packer.compress(data) + packer.flush()
            data += b"\0" * (len(data) % 2)
        meta = Encoding(self.syntax, implicit=False, little=True).encode(
            (
                Written(0x00020001, "OB", b"\0\1"),
                text_element(0x00020002, "UI", sop_class),
                text_element(0x00020003, "UI", uid),
                text_element(0x00020010, "UI", self.syntax),
                text_element(0x00020012, "UI", IMPLEMENTATION),
                text_element(0x00020013, "SH", "HILUM"),
            )
        )
        length = struct.pack("<HH2sHI", 2, 0, b"UL", 4, len(meta))
        return b"".join((bytes(128), b"DICM", length, meta, data))

    def encode(self, elements: Sequence[Written]) -> bytes:
        """Encode elements one after the other, in the order of their tags."""
        parts: list[bytes] = []
        for element in sorted(elements, key=lambda e: e.tag):
            parts += self._element(element)
        return b"".join(parts)

    def _element(self, element: Written) -> list[bytes]:
        if element.items is not None:
            items = [self.encode(item) for item in element.items]
            value = b"".join(
                part
                for item in items
                for part in (self._pack("HHI", 0xFFFE, 0xE000, len(item)), item)
            )
        else:
            value = element.value
        tail = b""
        length = len(value)
        if element.is_open:
            tail, length = self._pack("HHI", 0xFFFE, 0xE0DD, 0), _UNDEFINED
        group, number = element.tag >> 16, element.tag & 0xFFFF
        if self.implicit:
            head = self._pack("HHI", group, number, length)
        elif element.vr in _LONG:
            vr = element.vr.encode("ascii")
            head = self._pack("HH2sHI", group, number, vr, 0, length)
        elif length > 0xFFFF:
            raise RefusedError("damaged")
        else:
            vr = element.vr.encode("ascii")
            head = self._pack("HH2sH", group, number, vr, length)
        return [head, value, tail]

    def _pack(self, layout: str, *values: int | bytes) -> bytes:
        return struct.pack(("<" if self.little else ">") + layout, *values)


def text_element(tag: int, vr: str, text: str) -> Written:
    """Make an element of ASCII text, padded to an even length."""
    value = text.encode("ascii")
    pad = b"\0" if vr in _PADDED_WITH_NUL else b" "
    return Written(tag, vr, value + pad * (len(value) % 2))
