"""Images that may show who is in them, and pixel data that hold more than pixels."""

from __future__ import annotations

from pydicom.dataset import Dataset
from pydicom.uid import UID_dictionary

from hilum.deidentify.identifiers import Identifiers
from hilum.deidentify.profile import PIXEL_DATA
from hilum.deidentify.reading import Element, RefusedError, number_of, text_of

IMAGE_CLASSES = {
    "1.2.840.10008.5.1.4.1.1.2": "CT",
    "1.2.840.10008.5.1.4.1.1.2.1": "enhanced CT",
    "1.2.840.10008.5.1.4.1.1.2.2": "legacy converted enhanced CT",
    "1.2.840.10008.5.1.4.1.1.4": "MR",
    "1.2.840.10008.5.1.4.1.1.4.1": "enhanced MR",
    "1.2.840.10008.5.1.4.1.1.4.4": "legacy converted enhanced MR",
    "1.2.840.10008.5.1.4.1.1.128": "PET",
    "1.2.840.10008.5.1.4.1.1.130": "enhanced PET",
    "1.2.840.10008.5.1.4.1.1.128.1": "legacy converted enhanced PET",
}
"""Classes whose pixels a scanner makes; anything else is refused."""
_NO_IMAGE = "not an image of CT, MR or PET"
_SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
_ULTRASOUND = ("1.2.840.10008.5.1.4.1.1.3", "1.2.840.10008.5.1.4.1.1.6")
_DIRECTORY = "1.2.840.10008.1.3.10"
_SCREENS = ("SCREEN", "DOSE", "REPORT", "PASTED", "PROTOCOL", "SECONDARY")
_SOP_CLASS, _SOP_INSTANCE = 0x00080016, 0x00080018
_MODALITY, _IMAGE_TYPE, _BURNED_IN = 0x00080060, 0x00080008, 0x00280301
_SAMPLES, _FRAMES = 0x00280002, 0x00280008
_SIZES = (0x00280010, 0x00280011, _SAMPLES, 0x00280100)
"""Rows, columns, samples a pixel, bits a sample."""
_OVERLAY_BIT = 0x0102
_OVERLAY_DATA = 0x3000


def find_refusal(dataset: Dataset, *, pixels_checked: bool) -> str | None:
    """Tell why an image must not be copied, or None.

    Args:
        dataset: The image.
        pixels_checked: Somebody looked at it and saw no text.

    Returns:
        A reason without any name in it.
    """
    sop_class = text_of(dataset, _SOP_CLASS)
    if dataset.file_meta.get("MediaStorageSOPClassUID") == _DIRECTORY:
        return "directory of a disc"
    if sop_class not in UID_dictionary:
        return _NO_IMAGE
    at_risk = _find_risk(dataset, sop_class)
    if at_risk in ("secondary capture", "ultrasound") and pixels_checked:
        at_risk = None
    elif sop_class not in IMAGE_CLASSES and not at_risk:
        return _NO_IMAGE
    if PIXEL_DATA not in dataset:
        return "damaged" if sop_class in IMAGE_CLASSES else _NO_IMAGE
    if not text_of(dataset, _SOP_INSTANCE):
        return "damaged"
    return None if pixels_checked else at_risk


def _find_risk(dataset: Dataset, sop_class: str) -> str | None:
    if sop_class.startswith(_SECONDARY_CAPTURE):
        return "secondary capture"
    if any(sop_class == c or sop_class.startswith(f"{c}.") for c in _ULTRASOUND):
        return "ultrasound"
    if text_of(dataset, _BURNED_IN).upper() == "YES":
        return "burned-in annotation"
    if text_of(dataset, _MODALITY) in ("SC", "OT", "US"):
        return "secondary capture"
    kinds = text_of(dataset, _IMAGE_TYPE).upper()
    if any(word in kinds for word in _SCREENS):
        return "screen save or derived picture"
    if number_of(dataset, _SAMPLES) > 1:
        return "colour picture"
    for group in range(0x6000, 0x6100, 2):
        in_pixels = number_of(dataset, group << 16 | _OVERLAY_BIT)
        if in_pixels and (group << 16 | _OVERLAY_DATA) not in dataset:
            return "overlay inside the pixels"
    return None


def check_pixels(element: Element, identifiers: Identifiers) -> None:
    """Refuse pixel data with an identifier in them, as in a comment of a codec.

    Raises:
        RefusedError: There is one.
    """
    if identifiers.are_in_bytes(element.value):
        raise RefusedError("identifier inside the pixel data")


def trim_pixels(dataset: Dataset, value: bytes) -> bytes:
    """Cut what lies behind the last pixel of uncompressed pixel data.

    Raises:
        RefusedError: There are fewer bytes than pixels.
    """
    count = max(1, number_of(dataset, _FRAMES))
    for tag in _SIZES:
        count *= number_of(dataset, tag)
    expected = (count + 7) // 8
    if not expected or len(value) < expected:
        raise RefusedError("damaged")
    return value[:expected] + b"\0" * (expected % 2)
