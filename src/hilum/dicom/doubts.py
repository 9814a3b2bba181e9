"""What the headers of a volume's slices give cause to doubt."""

from __future__ import annotations

from collections.abc import Sequence

from hilum.dicom.headers import Header, read_text
from hilum.findings import Notice

THICK_MM = 3.0
"""Slices thicker or farther apart than this blur or miss small nodules."""

_LOSSY = {
    "1.2.840.10008.1.2.4.50": "JPEG baseline",
    "1.2.840.10008.1.2.4.51": "JPEG extended",
    "1.2.840.10008.1.2.4.81": "JPEG-LS near-lossless",
    "1.2.840.10008.1.2.4.91": "JPEG 2000",
    "1.2.840.10008.1.2.4.203": "HTJ2K",
}
_MAYBE_LOSSY = {"1.2.840.10008.1.2.4.91", "1.2.840.10008.1.2.4.203"}


def find_doubts(slices: Sequence[Header], spacing_mm: float) -> list[Notice]:
    """Find what the reader of a result must know of how the slices were made.

    Args:
        slices: Those of the volume.
        spacing_mm: Distance of their positions.
    """
    found = [
        _doubt_thickness(slices, spacing_mm),
        _doubt_overlap(slices, spacing_mm),
        _doubt_compression(slices),
        _doubt_rescale(slices),
        _doubt_units(slices),
        _doubt_frames(slices),
        _doubt_form(slices),
    ]
    return [notice for notice in found if notice is not None]


def _notice(code: str, text: str) -> Notice:
    return Notice(code, text, "read")


def _doubt_thickness(slices: Sequence[Header], spacing_mm: float) -> Notice | None:
    thickness = max((h.thickness_mm or 0.0 for h in slices), default=0.0)
    if max(thickness, spacing_mm) <= THICK_MM:
        return None
    thick = f"{thickness:.4g} mm thick and " if thickness else ""
    return _notice(
        "thick-slices",
        f"Slices are {thick}{spacing_mm:.4g} mm apart; above {THICK_MM:.0f} mm small "
        "nodules are blurred or missed, and diameters are less certain.",
    )


def _doubt_overlap(slices: Sequence[Header], spacing_mm: float) -> Notice | None:
    thickness = slices[0].thickness_mm
    if thickness is None:
        return None
    if spacing_mm < 0.95 * thickness:
        return _notice(
            "overlapping-slices",
            f"Slices of {thickness:.4g} mm lie {spacing_mm:.4g} mm apart and overlap; "
            "their positions were used.",
        )
    if spacing_mm > 1.3 * thickness:
        return _notice(
            "sparse-slices",
            f"Slices of {thickness:.4g} mm lie {spacing_mm:.4g} mm apart; what lies "
            "between them was not imaged.",
        )
    return None


def _doubt_compression(slices: Sequence[Header]) -> Notice | None:
    lossy = [h for h in slices if _is_lossy(h)]
    if not lossy:
        return None
    name = _LOSSY.get(lossy[0].scan.syntax, "an earlier lossy step")
    return _notice(
        "lossy-compression",
        f"{len(lossy)} of {len(slices)} slices are compressed with loss ({name}); "
        "faint texture may differ from the original.",
    )


def _is_lossy(header: Header) -> bool:
    said = read_text(header.elements, 0x00282110)
    if said == "01":
        return True
    syntax = header.scan.syntax
    return syntax in _LOSSY and not (said == "00" and syntax in _MAYBE_LOSSY)


def _doubt_rescale(slices: Sequence[Header]) -> Notice | None:
    lacking = sum(not h.has_rescale for h in slices)
    if not lacking:
        return None
    slope, intercept = next(h.rescale for h in slices if not h.has_rescale)
    return _notice(
        "missing-rescale",
        f"{lacking} of {len(slices)} slices lack RescaleSlope or RescaleIntercept; "
        f"slope {slope:g} and intercept {intercept:g} were assumed.",
    )


def _doubt_units(slices: Sequence[Header]) -> Notice | None:
    unit = read_text(slices[0].elements, 0x00281054)
    if unit in ("", "HU"):
        return None
    return _notice(
        "unknown-units",
        f"The rescaled values are in `{unit}` (RescaleType) and were taken for HU.",
    )


def _doubt_frames(slices: Sequence[Header]) -> Notice | None:
    frames = {h.frame_uid for h in slices if h.frame_uid}
    if len(frames) < 2:
        return None
    return _notice(
        "mixed-frames",
        f"The slices name {len(frames)} frames of reference (FrameOfReferenceUID); "
        "the patient may have moved between them, and places in the volume cannot be "
        "matched to other series.",
    )


def _doubt_form(slices: Sequence[Header]) -> Notice | None:
    bare = sum(not h.scan.has_preamble for h in slices)
    if not bare:
        return None
    return _notice(
        "missing-preamble",
        f"{bare} of {len(slices)} slices lack the DICOM preamble; their transfer "
        "syntax was found from their contents.",
    )
