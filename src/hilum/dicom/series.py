"""The two levels above slices: series and study."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from hilum.dicom.doubts import find_doubts
from hilum.dicom.files import Opener
from hilum.dicom.headers import Header, read_number
from hilum.dicom.plans import Plan, make_plan
from hilum.dicom.words import count, shorten
from hilum.errors import InputError
from hilum.findings import Notice
from hilum.space import Index, Spacing

UNNAMED = "unnamed"
"""Stands for a UID that the files lack."""

_SYNTAXES = {
    "1.2.840.10008.1.2": "implicit little endian",
    "1.2.840.10008.1.2.1": "explicit little endian",
    "1.2.840.10008.1.2.1.99": "deflated",
    "1.2.840.10008.1.2.2": "explicit big endian",
    "1.2.840.10008.1.2.5": "RLE",
    "1.2.840.10008.1.2.4.50": "JPEG baseline",
    "1.2.840.10008.1.2.4.51": "JPEG extended",
    "1.2.840.10008.1.2.4.57": "JPEG lossless",
    "1.2.840.10008.1.2.4.70": "JPEG lossless",
    "1.2.840.10008.1.2.4.80": "JPEG-LS lossless",
    "1.2.840.10008.1.2.4.81": "JPEG-LS near-lossless",
    "1.2.840.10008.1.2.4.90": "JPEG 2000 lossless",
    "1.2.840.10008.1.2.4.91": "JPEG 2000",
    "1.2.840.10008.1.2.4.201": "HTJ2K lossless",
    "1.2.840.10008.1.2.4.202": "HTJ2K lossless",
    "1.2.840.10008.1.2.4.203": "HTJ2K",
}


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Series:
    """A series as its headers show it, before any pixel is read.

    Attributes:
        uid: SeriesInstanceUID, or "unnamed".
        study_uid: StudyInstanceUID, or "unnamed".
        modality: Such as "CT".
        description: SeriesDescription.
        kernel: Reconstruction kernel.
        count: Images in it, all frames counted.
        usable: Whether it can become a volume, as far as headers tell.
        problem: Why it cannot, or None.
        shape: Of the volume, (slice, row, column), or None.
        spacing_mm: Of the volume, along (slice, row, column), or None.
        extent_mm: Of the volume, along (slice, row, column), or None.
        slice_spacing_mm: Distance of slice positions, or None.
        slice_thickness_mm: SliceThickness, or None.
        transfer_syntax: In words.
        notices: Doubts and repairs that the headers call for.
        headers: Of every image.
        plan: Which slice goes where, or None.
    """

    uid: str
    study_uid: str
    modality: str
    description: str
    kernel: str
    count: int
    usable: bool
    problem: str | None
    shape: Index | None
    spacing_mm: Spacing | None
    extent_mm: Spacing | None
    slice_spacing_mm: float | None
    slice_thickness_mm: float | None
    transfer_syntax: str
    notices: tuple[Notice, ...]
    headers: tuple[Header, ...] = field(repr=False)
    plan: Plan | None = field(repr=False)

    @property
    def is_ct(self) -> bool:
        """Whether it holds CT, be it slices or not."""
        return any(header.is_ct for header in self.headers)

    @property
    def label(self) -> str:
        """Short name for messages."""
        about = ", ".join(filter(None, (self.description, self.kernel)))
        spacing = (
            f", {self.slice_spacing_mm:.4g} mm apart" if self.slice_spacing_mm else ""
        )
        about = f" ({about})" if about else ""
        return f"{shorten(self.uid)}{about}: {count(self.count, 'image')}{spacing}"

    def to_json(self) -> dict[str, Any]:
        """Give what `hilum find` lists."""
        return {
            "uid": self.uid,
            "study_uid": self.study_uid,
            "modality": self.modality,
            "description": self.description,
            "kernel": self.kernel,
            "count": self.count,
            "usable": self.usable,
            "problem": self.problem,
            "shape": _to_list(self.shape),
            "spacing_mm": _to_list(self.spacing_mm),
            "extent_mm": _to_list(self.extent_mm),
            "slice_spacing_mm": self.slice_spacing_mm,
            "slice_thickness_mm": self.slice_thickness_mm,
            "transfer_syntax": self.transfer_syntax,
            "notices": [notice.to_json() for notice in self.notices],
        }


@dataclass(frozen=True, slots=True, eq=False)
class Study:
    """The series of one examination.

    Attributes:
        uid: StudyInstanceUID, or "unnamed".
        series: In the order of SeriesNumber.
    """

    uid: str
    series: tuple[Series, ...]

    def to_json(self) -> dict[str, Any]:
        """Give what `hilum find` lists."""
        return {"uid": self.uid, "series": [s.to_json() for s in self.series]}


def make_series(headers: Sequence[Header], opener: Opener) -> Series:
    """Describe one series and decide how it becomes a volume.

    Args:
        headers: Of every image that shares study and series UID.
        opener: Opens the files, to compare slices at one position.
    """
    ordered = sorted(headers, key=lambda h: (h.file.path, h.file.member or "", h.frame))
    first = next((h for h in ordered if h.is_ct and not h.is_localizer), ordered[0])
    plan, problem = _try_plan(ordered, opener)
    grid = plan.grid.to_canonical() if plan else None
    spacing = plan.grid.spacing_mm[0] if plan else None
    notices: tuple[Notice, ...] = ()
    if plan and spacing:
        slices = [h for h in plan.places if h is not None]
        notices = (*plan.notices, *find_doubts(slices, spacing))
    return Series(
        uid=first.series_uid or UNNAMED,
        study_uid=first.study_uid or UNNAMED,
        modality=first.modality,
        description=first.description,
        kernel=first.kernel,
        count=len(ordered),
        usable=plan is not None,
        problem=problem,
        shape=grid.shape if grid else None,
        spacing_mm=grid.spacing_mm if grid else None,
        extent_mm=grid.extent_mm if grid else None,
        slice_spacing_mm=spacing,
        slice_thickness_mm=first.thickness_mm,
        transfer_syntax=_SYNTAXES.get(first.scan.syntax, first.scan.syntax),
        notices=notices,
        headers=tuple(ordered),
        plan=plan,
    )


def _try_plan(
    headers: Sequence[Header], opener: Opener
) -> tuple[Plan | None, str | None]:
    """Plan a volume; else say why there can be none."""
    slices = [h for h in headers if h.is_ct]
    if not slices:
        return None, f"It holds {headers[0].modality or 'no'} objects and no CT."
    try:
        return make_plan(slices, opener), None
    except InputError as error:
        return None, str(error)


def order_of(series: Series) -> tuple[float, str]:
    """Sort key of a series within its study: number, then UID."""
    number = read_number(series.headers[0].elements, 0x00200011)
    is_known = number is not None and math.isfinite(number)
    return (number if is_known and number is not None else 1e9), series.uid


def _to_list(values: Sequence[float] | None) -> list[float] | None:
    return list(values) if values is not None else None
