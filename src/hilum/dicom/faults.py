"""Why a slice cannot be used, in words that end "cannot be used: ..."."""

from __future__ import annotations

import math

from hilum.dicom.elements import BIG_ENDIAN, DEFLATED, EXPLICIT, IMPLICIT
from hilum.dicom.headers import Header, PixelFormat

LARGEST_MATRIX = 4096
SYNTAXES = frozenset(
    (
        *(IMPLICIT, EXPLICIT, DEFLATED, BIG_ENDIAN, "1.2.840.10008.1.2.5"),
        *(f"1.2.840.10008.1.2.4.{n}" for n in (50, 51, 57, 70, 80, 81, 90, 91)),
        *(f"1.2.840.10008.1.2.4.{n}" for n in (201, 202, 203)),
    )
)
"""Transfer syntaxes that can be read."""

_PIXEL_DATA = 0x7FE00010
_LARGEST_SPACING_MM = 50.0
_FARTHEST_MM = 1e5
_LARGEST_SLOPE, _LARGEST_INTERCEPT = 1e3, 1e6


def find_fault(header: Header) -> str | None:
    """Say why a slice cannot be used, or None when nothing speaks against it.

    A slice needs pixel data of one sample a pixel and of the length that its
    matrix asks for, a position, an orientation, a pixel spacing and a sane rescale.
    """
    return (
        header.damage
        or _find_pixel_fault(header)
        or _find_place_fault(header)
        or _find_rescale_fault(header)
    )


def _find_pixel_fault(header: Header) -> str | None:
    scan, form = header.scan, header.format
    if scan.syntax not in SYNTAXES:
        return f"its transfer syntax {scan.syntax} cannot be read"
    if scan.pixel_tag == 0:
        return "it holds no pixel data"
    if scan.pixel_tag != _PIXEL_DATA:
        return "its pixels are floating-point numbers, which CT does not have"
    if form.samples != 1:
        return f"it holds RGB (colour) pixels, {form.samples} samples each"
    return _find_format_fault(form) or _find_length_fault(header)


def _find_format_fault(form: PixelFormat) -> str | None:
    if not (1 <= form.rows <= LARGEST_MATRIX and 1 <= form.columns <= LARGEST_MATRIX):
        return (
            f"its matrix is {form.rows} x {form.columns} (Rows x Columns); expected "
            f"1 to {LARGEST_MATRIX}"
        )
    if form.bits_allocated not in (8, 16, 32) or not (
        1 <= form.bits_stored <= form.bits_allocated
        and form.bits_stored - 1 <= form.high_bit < form.bits_allocated
    ):
        return (
            f"it stores {form.bits_stored} of {form.bits_allocated} bits up to bit "
            f"{form.high_bit} (BitsStored, BitsAllocated, HighBit)"
        )
    return None


def _find_length_fault(header: Header) -> str | None:
    scan, form = header.scan, header.format
    if scan.pixel_length < 0:
        return None
    need = form.frame_bytes * header.frames
    have = max(0, min(scan.pixel_length, scan.bytes_left))
    if have < need:
        return f"its pixel data are cut short ({have} of {need} bytes)"
    if have < scan.pixel_length - 1:
        return f"its pixel data are cut short ({have} of {scan.pixel_length} bytes)"
    return None


def _find_place_fault(header: Header) -> str | None:
    if header.position_mm is None:
        return "it has no position (ImagePositionPatient)"
    if not all(abs(v) <= _FARTHEST_MM for v in header.position_mm):
        return f"its position is {list(header.position_mm)} mm"
    if header.orientation is None:
        return "it has no valid orientation (ImageOrientationPatient)"
    if header.spacing_mm is None:
        return "it has no pixel spacing (PixelSpacing)"
    if not all(0 < s <= _LARGEST_SPACING_MM for s in header.spacing_mm):
        return f"its pixel spacing is {list(header.spacing_mm)} mm"
    return None


def _find_rescale_fault(header: Header) -> str | None:
    if not header.has_rescale and 0x00283000 in header.elements:
        return "its Hounsfield units are in a lookup table (ModalityLUTSequence)"
    slope, intercept = header.rescale
    if not (
        0 < abs(slope) <= _LARGEST_SLOPE
        and abs(intercept) <= _LARGEST_INTERCEPT
        and math.isfinite(slope)
    ):
        return f"its rescale slope is {slope} and its intercept {intercept}"
    return None
