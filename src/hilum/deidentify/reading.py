"""A file as elements of raw bytes, so that what is kept is kept to the byte.

pydicom finds the elements; their values are not decoded here. What is no DICOM image,
or is damaged, raises `RefusedError` with one of the reasons that the summary counts.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from io import BytesIO
from typing import Any

from pydicom import dcmread
from pydicom.datadict import dictionary_VM, dictionary_VR
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError

DEEPEST = 16
"""Sequences nested deeper than this are not read; no real image comes near."""
_CHARACTER_SET = 0x00080005
_SIZES = {
    **dict.fromkeys(("US", "SS"), 2),
    **dict.fromkeys(("UL", "SL", "FL", "AT"), 4),
    **dict.fromkeys(("FD", "UV", "SV"), 8),
}


class RefusedError(Exception):
    """A file is not copied; the text is a reason without any name in it."""


@dataclass(frozen=True, slots=True)
class Element:
    """One element.

    Attributes:
        tag: Group and element.
        vr: By the dictionary of the standard; None where that does not know it.
        written_vr: As the file has it; None in implicit files.
        value: Its bytes; empty for a sequence.
        items: The items of a sequence, or None.
        is_open: Of undefined length: encapsulated pixel data.
    """

    tag: int
    vr: str | None
    written_vr: str | None
    value: bytes
    items: Sequence[Dataset] | None = None
    is_open: bool = False

    def texts(self) -> tuple[str, ...]:
        """Give the values as text, in the encodings that are likely."""
        if not self.value or len(self.value) > 1 << 16:
            return ()
        forms = {self.value.decode("latin-1"), self.value.decode("utf-8", "replace")}
        return tuple(p.strip(" \0") for form in forms for p in form.split("\\"))

    @property
    def is_sound(self) -> bool:
        """Whether a number takes the room that the standard gives it."""
        size = _SIZES.get(self.vr or "")
        if size is None:
            return True
        times = dictionary_VM(self.tag)
        if times.isdigit():
            return len(self.value) in (0, size * int(times))
        return len(self.value) % size == 0


def read(data: bytes) -> Dataset:
    """Read a file, with or without preamble.

    Raises:
        RefusedError: It is no DICOM file, or is damaged.
    """
    is_file = data[128:132] == b"DICM"
    try:
        dataset = dcmread(BytesIO(data), force=not is_file)
        is_dicom = is_file or "SOPClassUID" in dataset
    except InvalidDicomError as error:
        raise RefusedError("not DICOM") from error
    except Exception as error:  # whatever damaged bytes may raise in a parser
        raise RefusedError("damaged" if is_file else "not DICOM") from error
    if not is_dicom:
        raise RefusedError("not DICOM")
    return dataset


def elements_of(dataset: Dataset) -> Iterator[Element]:
    """Give the elements of a dataset in the order of their tags.

    The character set is left out: pydicom has read it, and no copy needs one.

    Raises:
        RefusedError: A sequence is damaged.
    """
    for tag in sorted(int(tag) for tag in dataset.keys() - {_CHARACTER_SET}):
        raw = dataset.get_item(tag)
        vr = find_vr(tag)
        written = str(raw.VR) if raw.VR else None
        if "SQ" in (vr, written) or raw.VR == "SQ":
            yield Element(tag, vr, "SQ", b"", _items(dataset, tag))
            continue
        value = _bytes_of(raw, dataset)
        is_open = bool(getattr(raw, "length", 0) == 0xFFFFFFFF)
        is_open = is_open or bool(getattr(raw, "is_undefined_length", False))
        yield Element(tag, vr, written, value, None, is_open)


def _bytes_of(raw: Any, dataset: Dataset) -> bytes:
    """Give the bytes of a value, also of the few that pydicom decodes as it reads."""
    value = raw.value
    if value is None or isinstance(value, bytes):
        return value or b""
    if isinstance(value, int) and raw.VR == "US":  # PixelRepresentation
        is_big = dataset.original_encoding[1] is False
        return value.to_bytes(2, "big" if is_big else "little")
    if int(raw.tag) >> 16 & 1:  # a private creator
        return str(value).encode()
    raise RefusedError("damaged")


def text_of(dataset: Dataset, tag: int) -> str:
    """Give a text element as it stands, or "" where it is missing."""
    raw = dataset.get_item(tag) if tag in dataset else None
    value = getattr(raw, "value", None)
    return value.decode("latin-1").strip(" \0") if isinstance(value, bytes) else ""


def number_of(dataset: Dataset, tag: int) -> int:
    """Give a whole number: binary or text; 0 where it is missing or is none."""
    raw = dataset.get_item(tag) if tag in dataset else None
    value = getattr(raw, "value", None)
    if not isinstance(value, bytes) or not value:
        return 0
    if find_vr(tag) == "IS":
        text = value.decode("latin-1").strip(" \0")
        return int(text) if text.isdigit() else 0
    is_big = getattr(raw, "is_little_endian", True) is False
    return int.from_bytes(value[:2], "big" if is_big else "little")


@lru_cache(maxsize=4096)
def find_vr(tag: int) -> str | None:
    """Look a tag up in the dictionary of the standard."""
    try:
        return str(dictionary_VR(tag)).split(" or ")[0]
    except KeyError:
        return None


def _items(dataset: Dataset, tag: int) -> Sequence[Dataset]:
    try:
        element = dataset[tag]
        if element.VR == "SQ":
            return tuple(element.value)
    except Exception as error:  # as above
        raise RefusedError("damaged") from error
    return ()
