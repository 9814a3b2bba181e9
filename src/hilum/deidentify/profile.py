"""What happens to an element: the table of the standard, and what goes beyond it.

The table is PS3.15 Table E.1-1 (2026c) as the package `dicom-anonymizer` keeps it.
Where it leaves a choice (X/Z/D) the element stays with a dummy or empty value, so
that an image stays valid whatever its class demands.

Beyond the table nothing is kept that is not known to be technical: private elements,
elements that the dictionary lacks, names, free text and unknown binary data all go,
and every UID that DICOM did not register is replaced.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from functools import lru_cache
from typing import Literal

from hilum._optional import require

EDITION = "2026c"
_TABLE = f"dicomanonymizer.dicom_anonymization_databases.dicomfields_{EDITION}"


class Action(Enum):
    """What is done to an element."""

    KEEP = auto()
    EMPTY = auto()
    DUMMY = auto()
    REMOVE = auto()
    REPLACE_UID = auto()
    SHIFT = auto()
    CLEAN = auto()
    DESCEND = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Which options of the profile are used.

    Attributes:
        dates: "shifted": all dates of a patient move by the same number of days,
            so that intervals stay (Retain Longitudinal Temporal Information with
            Modified Dates); times of day stay. "removed": none stays.
        descriptors: "cleaned": descriptions keep the words that are known to be
            technical (Clean Descriptors). "removed": none stays.
        keep_device: Keep names and serial numbers of the scanner (Retain Device
            Identity).
        keep_characteristics: Keep age (90 at most), sex, size, weight and smoking
            (Retain Patient Characteristics).
        pixels_checked: Somebody looked at all images and saw no text in them, so
            take also those that may show some.
    """

    dates: Literal["shifted", "removed"] = "shifted"
    descriptors: Literal["cleaned", "removed"] = "cleaned"
    keep_device: bool = False
    keep_characteristics: bool = False
    pixels_checked: bool = False

    @property
    def codes(self) -> tuple[tuple[str, str], ...]:
        """Code and meaning of what was done (PS3.16 CID 7050)."""
        found = [("113100", "Basic Application Confidentiality Profile")]
        if self.descriptors == "cleaned":
            found.append(("113105", "Clean Descriptors Option"))
        if self.dates == "shifted":
            text = "Retain Longitudinal Temporal Information Modified Dates Option"
            found.append(("113107", text))
        if self.keep_characteristics:
            found.append(("113108", "Retain Patient Characteristics Option"))
        if self.keep_device:
            found.append(("113109", "Retain Device Identity Option"))
        return tuple(found)


DEVICE = frozenset(
    (
        *(0x00081010, 0x00181000, 0x00181002, 0x00181004),
        *(0x00181005, 0x00181007, 0x00181008, 0x0018700A, 0x00189367, 0x00189371),
        *(0x00400010, 0x00400242),
    )
)
"""StationName, DeviceSerialNumber, DeviceUID, PlateID, GeneratorID, CassetteID,
GantryID, DetectorID, XRaySourceID, XRayDetectorID, Scheduled and PerformedStation."""

CHARACTERISTICS = frozenset(
    (0x00100040, 0x00101010, 0x00101020, 0x00101030, 0x001021A0, 0x001021C0)
)
"""Sex, age, size, weight, smoking status and pregnancy status of the patient."""

DESCRIPTORS = frozenset(
    (
        *(0x00081030, 0x0008103E, 0x00181030, 0x00180010, 0x00189424, 0x00082111),
        *(0x00181400, 0x00321060, 0x00400254),
    )
)
"""StudyDescription, SeriesDescription, ProtocolName, ContrastBolusAgent, Acquisition
Protocol and Derivation Description, Acquisition Device Processing Description,
Requested and Performed Procedure (Step) Description."""

TECHNICAL_TEXT = frozenset(
    (
        *(0x00080070, 0x00081090, 0x00181020, 0x00181160, 0x00181210, 0x00189320),
        *(0x00209056, 0x00281054, 0x00281055, 0x00283004, 0x00080100, 0x00080102),
        *(0x00080103, 0x00080104),
    )
)
"""Text that is kept where it names nobody: Manufacturer and its model,
SoftwareVersions, filters, ConvolutionKernel, StackID, RescaleType, names of windows,
ModalityLUTType, and the parts of a code."""

NEVER_SHIFTED = frozenset((0x00100030, 0x00100032, 0x00100033, 0x00100034))
"""Dates and time of birth, which no option of the standard keeps."""

PIXEL_DATA = 0x7FE00010
_TEXT = frozenset(("LO", "SH", "LT", "ST", "UT", "UC", "UR", "AE"))
_TIMES = frozenset(("DA", "TM", "DT"))
_BINARY = frozenset(("OB", "OW", "OF", "OD", "OL", "OV", "UN"))
_LUT_DATA = 0x00283006
_SAFE_BINARY = frozenset((PIXEL_DATA, _LUT_DATA))
_GROUPS: dict[str, Action] = {
    "D_TAGS": Action.DUMMY,
    "Z_TAGS": Action.EMPTY,
    "X_TAGS": Action.REMOVE,
    "U_TAGS": Action.REPLACE_UID,
    "Z_D_TAGS": Action.DUMMY,
    "X_Z_TAGS": Action.EMPTY,
    "X_D_TAGS": Action.DUMMY,
    "X_Z_D_TAGS": Action.DUMMY,
}


@lru_cache(maxsize=1)
def load_table() -> dict[int, Action]:
    """Load the table of the standard: tag to action.

    Raises:
        MissingDependencyError: `dicom-anonymizer` is not installed.
    """
    table = require(_TABLE, extra="all", to="to de-identify images")
    return {
        tag[0] << 16 | tag[1]: action
        for name, action in _GROUPS.items()
        for tag in getattr(table, name)
        if len(tag) == 2
    }


def action_for(tag: int, vr: str | None, options: Options) -> Action:
    """Tell what happens to an element.

    Args:
        tag: Group and element.
        vr: Its value representation by the dictionary of the standard, or None
            where that does not know it.
        options: Options of the profile.

    Example:
        >>> action_for(0x00100010, "PN", Options()).name  # PatientName
        'EMPTY'
        >>> action_for(0x00091001, None, Options()).name  # private
        'REMOVE'
        >>> action_for(0x00200032, "DS", Options()).name  # ImagePositionPatient
        'KEEP'
    """
    group = tag >> 16
    if vr is None or group % 2 or not tag & 0xFFFF:
        return Action.REMOVE
    if group in (0, 2, 4, 0x4FFE) or group >> 8 in (0x50, 0x60) or group > 0x7FE0:
        return Action.REMOVE  # commands, curves, overlays, signatures, padding
    if options.keep_device and tag in DEVICE:
        return Action.KEEP
    if options.keep_characteristics and tag in CHARACTERISTICS:
        return Action.KEEP
    if options.descriptors == "cleaned" and tag in DESCRIPTORS:
        return Action.CLEAN
    if vr in _TIMES and options.dates == "shifted" and tag not in NEVER_SHIFTED:
        return Action.SHIFT
    by_table = load_table().get(tag)
    if vr == "SQ" and by_table in (Action.DUMMY, Action.EMPTY):
        return Action.REMOVE
    return by_table or _beyond_the_table(tag, vr)


def _beyond_the_table(tag: int, vr: str) -> Action:
    if vr == "SQ":
        return Action.DESCEND
    if vr == "UI":
        return Action.REPLACE_UID
    if vr == "PN" or (vr in _TEXT and tag not in TECHNICAL_TEXT):
        return Action.EMPTY
    is_unknown_binary = vr in _BINARY and tag not in _SAFE_BINARY
    if is_unknown_binary or vr in _TIMES or vr == "AS":
        return Action.REMOVE
    return Action.KEEP
