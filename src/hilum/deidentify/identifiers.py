"""The second net: what the file itself says of people, looked for in all that stays.

Names, numbers and addresses are collected from the whole file, private and nested
elements included, before anything is removed. A text that stays although it holds one
of them was put where it does not belong, and is removed too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from pydicom.dataset import Dataset

from hilum.deidentify.reading import DEEPEST, Element, elements_of

_NUMBERS = frozenset(
    (
        *(0x00100020, 0x00100021, 0x00100030, 0x00101000, 0x00101001, 0x00101005),
        *(0x00101040, 0x00101050, 0x00101060, 0x00101090, 0x00102154, 0x00102299),
        *(0x00080050, 0x00080080, 0x00080081, 0x00080092, 0x00080094, 0x00081040),
        *(0x00120040, 0x00380010, 0x00380060, 0x00400253, 0x00401001, 0x00402016),
        *(0x00402017,),
    )
)
"""PatientID and its issuer, date of birth, other IDs and names, addresses, telephone
numbers, record numbers, AccessionNumber, institution, admission, orders, procedures."""
_LEAST_NAME = 3
_LEAST_NUMBER = 4
_LEAST_INSIDE = 6
_LEAST_IN_PIXELS = 6
_WORDS = re.compile(r"[\w']+")
_ORDINARY = frozenset(
    (
        *("ORIGINAL", "PRIMARY", "DERIVED", "SECONDARY", "AXIAL", "LOCALIZER"),
        *("HELIX", "CHEST", "THORAX", "LUNG", "HEAD", "ABDOMEN", "BODY", "VOLUME"),
        *("MONOCHROME1", "MONOCHROME2", "HFS", "HFP", "FFS", "FFP", "NONE"),
        *("STANDARD", "NORMAL", "SPI", "OTHER", "UNKNOWN", "YES", "PHANTOM"),
    )
)
"""Terms of DICOM; an identifier that is one of them (a phantom named `CHEST`) must not
cost an image its geometry or its kind."""


@dataclass(slots=True)
class Identifiers:
    """What names a person in one file; upper case."""

    words: set[str] = field(default_factory=set)

    def add_name(self, text: str) -> None:
        """Add the parts of a name."""
        for word in _WORDS.findall(text.upper()):
            if len(word) >= _LEAST_NAME and word not in _ORDINARY:
                self.words.add(word)

    def add_number(self, text: str) -> None:
        """Add a number or an address as a whole."""
        text = text.strip().upper()
        if len(text) >= _LEAST_NUMBER and text not in _ORDINARY:
            self.words.add(text)

    def are_in(self, text: str) -> bool:
        """Tell whether a text holds one of them; a short one only as a whole word."""
        text = text.upper()
        return any(
            word in text
            and (
                len(word) >= _LEAST_INSIDE
                or re.search(rf"(?<![A-Z0-9]){re.escape(word)}(?![A-Z0-9])", text)
            )
            for word in self.words
        )

    def are_in_bytes(self, data: bytes) -> bool:
        """Tell whether bytes, such as pixels, hold one that chance does not make."""
        return any(
            form in data
            for word in self.words
            if len(word) >= _LEAST_IN_PIXELS
            for form in {word.encode(), word.lower().encode(), word.title().encode()}
        )


def find_identifiers(dataset: Dataset) -> Identifiers:
    """Collect what names a person in a file, however deep it is nested."""
    found = Identifiers()
    for element in _walk(dataset, 0):
        for text in element.texts():
            if element.vr == "PN" or element.tag == 0x00101001:
                found.add_name(text)
            if element.tag in _NUMBERS:
                found.add_number(text)
    return found


def _walk(dataset: Dataset, depth: int) -> Iterator[Element]:
    for element in elements_of(dataset):
        if element.items is None:
            yield element
        elif depth < DEEPEST:
            for item in element.items:
                yield from _walk(item, depth + 1)
