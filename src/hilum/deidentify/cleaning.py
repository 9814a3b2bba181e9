"""One dataset without the person: its elements, each treated by its action."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace

from pydicom.dataset import Dataset
from pydicom.uid import UID_dictionary

from hilum._version import __version__
from hilum.deidentify.encoding import Written, text_element
from hilum.deidentify.identifiers import Identifiers
from hilum.deidentify.keys import Key
from hilum.deidentify.pixels import check_pixels, trim_pixels
from hilum.deidentify.profile import (
    EDITION,
    PIXEL_DATA,
    Action,
    Options,
    action_for,
)
from hilum.deidentify.reading import DEEPEST, Element, RefusedError, elements_of
from hilum.deidentify.values import (
    CODING_SCHEMES,
    cap_age,
    clean_description,
    keep_time,
    shift_date,
    shift_datetime,
)

DUMMIES = {
    "LO": "REMOVED",
    "SH": "REMOVED",
    "ST": "REMOVED",
    "LT": "REMOVED",
    "UT": "REMOVED",
    "UC": "REMOVED",
    "PN": "REMOVED",
    "AE": "REMOVED",
    "CS": "OTHER",
    "DA": "19000101",
    "TM": "000000",
    "DT": "19000101000000",
    "AS": "000Y",
    "DS": "0",
    "IS": "0",
}
"""What stands where a value has to be and the old one may not."""
_TEXTUAL = frozenset(
    (
        *("AE", "AS", "CS", "DA", "DS", "DT", "IS", "LO", "LT"),
        *("PN", "SH", "ST", "TM", "UC", "UI", "UR", "UT"),
    )
)
_SHORTS = frozenset(("US", "SS", "OW"))
_NUMBER = re.compile(r"^[+-]?\d*\.?\d*(?:[eE][+-]?\d+)?$")
_LOOKS_LIKE_UID = re.compile(r"\d+(?:\.\d+){4,}|2\.25\.\d{8,}")
_OUR_OWN = frozenset(
    (0x00100010, 0x00100020, 0x00120062, 0x00120063, 0x00120064, 0x00280303)
)
_PATIENT_AGE = 0x00101010
_CODE_VALUES = (0x00080100, 0x00080119, 0x00080120)
_SCHEME = 0x00080102


@dataclass(frozen=True, slots=True)
class Person:
    """Who one file is about, under the key.

    Attributes:
        pseudonym: In place of name and ID.
        days: By how much dates move.
    """

    pseudonym: str
    days: int


@dataclass(frozen=True, slots=True)
class Cleaner:
    """Cleans the dataset of one file.

    Attributes:
        key: The secret.
        options: Options of the profile.
        person: Who it is about.
        identifiers: What the file says of people.
    """

    key: Key
    options: Options
    person: Person
    identifiers: Identifiers

    def clean(self, dataset: Dataset) -> tuple[Written, ...]:
        """Clean a whole image and say in it what was done.

        Raises:
            RefusedError: It is damaged, or its pixels hold an identifier.
        """
        kept = [
            self._trim(element, dataset)
            for element in self._clean_items(dataset, 0)
            if element.tag not in _OUR_OWN
        ]
        return (*kept, *self._statement())

    def _trim(self, element: Written, dataset: Dataset) -> Written:
        if element.tag != PIXEL_DATA or element.is_open:
            return element
        return replace(element, value=trim_pixels(dataset, element.value))

    def _statement(self) -> tuple[Written, ...]:
        """Elements that stand for the person, and say that the image was cleaned."""
        codes = tuple(
            (
                text_element(0x00080100, "SH", code),
                text_element(0x00080102, "SH", "DCM"),
                text_element(0x00080104, "LO", meaning),
            )
            for code, meaning in self.options.codes
        )
        method = f"hilum {__version__}\\PS3.15 {EDITION} Basic Profile, keyed UIDs"
        is_moved = self.options.dates == "shifted"
        return (
            text_element(0x00100010, "PN", f"ANON^{self.person.pseudonym}"),
            text_element(0x00100020, "LO", self.person.pseudonym),
            text_element(0x00120062, "CS", "YES"),
            text_element(0x00120063, "LO", method),
            Written(0x00120064, "SQ", items=codes),
            text_element(0x00280303, "CS", "MODIFIED" if is_moved else "REMOVED"),
        )

    def _clean_items(self, dataset: Dataset, depth: int) -> tuple[Written, ...]:
        if depth > DEEPEST:
            raise RefusedError("damaged")
        written = (self._element(e, depth) for e in elements_of(dataset))
        return tuple(element for element in written if element is not None)

    def _element(self, element: Element, depth: int) -> Written | None:
        action = action_for(element.tag, element.vr, self.options)
        if (element.items is None) != (element.vr != "SQ"):
            return None  # a sequence where none may be, or none where one must be
        if element.items is not None:
            return self._sequence(element, action, depth)
        if element.tag == PIXEL_DATA:
            if depth:
                return None  # of an icon
            check_pixels(element, self.identifiers)
            vr = element.written_vr or "OW"
            return Written(PIXEL_DATA, vr, element.value, None, element.is_open)
        return self._value(element, action)

    def _sequence(self, element: Element, action: Action, depth: int) -> Written | None:
        if action not in (Action.DESCEND, Action.KEEP) or element.items is None:
            return None
        items = [
            self._clean_items(item, depth + 1)
            for item in element.items
            if self._is_known_code(item)
        ]
        kept = tuple(item for item in items if item)
        if element.items and not kept:
            return None
        return Written(element.tag, "SQ", items=kept)

    def _is_known_code(self, item: Dataset) -> bool:
        """Tell whether an item is no code, or one that everybody can look up."""
        if not any(tag in item for tag in _CODE_VALUES):
            return True
        schemes = [e.texts() for e in elements_of(item) if e.tag == _SCHEME]
        return bool(schemes) and set(schemes[0]) <= CODING_SCHEMES

    def _value(self, element: Element, action: Action) -> Written | None:
        vr = element.written_vr if element.written_vr not in (None, "UN") else None
        vr = vr or element.vr or "UN"
        if action in (Action.REMOVE, Action.DESCEND):
            return None
        if action is Action.EMPTY or not element.value:
            return Written(element.tag, element.vr or vr)
        if action is Action.KEEP:
            return self._keep(element, vr)
        change = {
            Action.REPLACE_UID: self._replace_uid,
            Action.SHIFT: self._shift,
            Action.CLEAN: self._describe,
            Action.DUMMY: self._dummy,
        }[action]
        return _map_text(element, change)

    def _keep(self, element: Element, vr: str) -> Written | None:
        """Keep the bytes as they are, if they are what they should be."""
        if not element.is_sound or vr not in _compatible(element):
            return None
        if element.vr not in _TEXTUAL:
            if self.identifiers.are_in_bytes(element.value):
                return None
            return Written(element.tag, vr, element.value)
        if element.vr == "AS" and element.tag == _PATIENT_AGE:
            return _map_text(element, lambda text, _: cap_age(text))
        if element.vr == "UI":  # of a device that is to stay
            return Written(element.tag, "UI", element.value)
        return self._keep_text(element, vr)

    def _keep_text(self, element: Element, vr: str) -> Written | None:
        """Keep the bytes if all values are harmless, else the values that are."""
        kind = element.vr or ""
        texts = _decode(element.value)
        if texts is None:
            return Written(element.tag, vr)
        fine = [self._is_harmless(text, kind) for text in texts]
        if all(fine):
            return Written(element.tag, vr, element.value)
        if kind in ("DS", "IS"):
            return Written(element.tag, vr)
        kept = (
            text if is_fine else DUMMIES.get(kind, "")
            for text, is_fine in zip(texts, fine, strict=True)
        )
        return text_element(element.tag, kind, "\\".join(kept))

    def _is_harmless(self, text: str, vr: str) -> bool:
        if vr in ("DS", "IS") and not _NUMBER.match(text):
            return False
        if _LOOKS_LIKE_UID.search(text) or not text.isprintable():
            return False
        return not self.identifiers.are_in(text)

    def _replace_uid(self, text: str, _: Element) -> str:
        return text if text in UID_dictionary else self.key.uid(text)

    def _shift(self, text: str, element: Element) -> str | None:
        if element.vr == "DA":
            return shift_date(text, self.person.days)
        if element.vr == "DT":
            return shift_datetime(text, self.person.days)
        return keep_time(text)

    def _describe(self, text: str, element: Element) -> str:
        clean = clean_description(text)
        if self.identifiers.are_in(clean) or _LOOKS_LIKE_UID.search(clean):
            clean = ""
        return clean or self._dummy(text, element) or ""

    def _dummy(self, text: str, element: Element) -> str | None:
        if element.vr == "UI":
            return self._replace_uid(text, element)
        return DUMMIES.get(element.vr or "")


def _compatible(element: Element) -> frozenset[str]:
    """Representations that a file may give for that of the dictionary."""
    if element.vr in _TEXTUAL:
        return _TEXTUAL
    return _SHORTS if element.vr in _SHORTS else frozenset((element.vr or "",))


def _decode(value: bytes) -> list[str] | None:
    try:
        return [part.strip(" \0") for part in value.decode("ascii").split("\\")]
    except UnicodeDecodeError:
        return None


def _map_text(
    element: Element, change: Callable[[str, Element], str | None]
) -> Written | None:
    """Change each value of a text; empty when one of them cannot be understood."""
    vr = element.vr or "LO"
    parts = [p.strip(" \0") for p in element.value.decode("latin-1").split("\\")]
    changed = [change(part, element) if part else "" for part in parts]
    if any(part is None for part in changed):
        return Written(element.tag, vr)
    return text_element(element.tag, vr, "\\".join(map(str, changed)))
