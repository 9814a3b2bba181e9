"""The instances that a volume was read from, for documents that refer to them.

A volume holds no identifiers. What refers to the images of a series finds them again
here, by the UID of the series; only slices that are really there are given, never
the places that reading filled in. Headers are read when they are asked for.

Source:
    DICOM PS3.3 C.12.1 (SOP common), C.7.6.2 (image plane).
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from hilum.dicom.files import Opener
from hilum.dicom.guard import guarded
from hilum.dicom.headers import ENHANCED_CT, Header
from hilum.dicom.search import find_studies
from hilum.dicom.series import UNNAMED, Series
from hilum.dicom.silence import silence
from hilum.dicom.words import count, shorten
from hilum.errors import InputError
from hilum.space import FloatArray

MOST_HEADER_BYTES = 64 << 20


@dataclass(frozen=True, slots=True, eq=False)
class Instances:
    """The slices of one series, each an instance or a frame of one.

    Attributes:
        series_uid: SeriesInstanceUID.
        frame_uid: Frame of Reference UID.
        spacing_mm: Distance of slice positions.
        slices: Header of each slice that is there, in the order of acquisition.
    """

    series_uid: str
    frame_uid: str
    spacing_mm: float
    slices: tuple[Header, ...]

    @property
    def corners_mm(self) -> FloatArray:
        """World points (slice, 3) of the first voxel of each slice."""
        return np.array([h.position_mm for h in self.slices], dtype=np.float64)

    def read_tags(self, keywords: Sequence[str]) -> Any:
        """Read some tags of the first slice, for what all slices share.

        Args:
            keywords: Which tags, by their DICOM keyword.

        Returns:
            A pydicom data set, its text decoded.

        Raises:
            InputError: The file cannot be read any more.
        """
        with Opener() as opener:
            return _read(self.slices[0], opener, list(keywords))


def find_instances(source: Path, series_uid: str) -> Instances:
    """Find the instances of a series again, without reading pixels.

    Args:
        source: A folder, file or zip with DICOM.
        series_uid: The whole UID of the series.

    Raises:
        InputError: The source does not hold the series, or the series lacks what
            another object needs to refer to it.
    """
    search = find_studies(source)
    every = [series for study in search.studies for series in study.series]
    named = [series for series in every if series.uid == series_uid and series.is_ct]
    if not named or series_uid == UNNAMED:
        others = ", ".join(shorten(s.uid) for s in every[:5] if s.is_ct) or "none"
        raise InputError(
            f"The source does not hold series {series_uid}. Its CT series: {others}. "
            "Name the CT that was assessed."
        )
    series = max(named, key=lambda s: s.usable)
    if series.plan is None:
        raise InputError(
            f"Series {shorten(series_uid)} cannot be read. {series.problem}"
        )
    slices = tuple(h for h in series.plan.places if h is not None)
    _check_identity(series, slices)
    spacing_mm = series.plan.grid.spacing_mm[0]
    return Instances(series_uid, slices[0].frame_uid, spacing_mm, slices)


def _check_identity(series: Series, slices: Sequence[Header]) -> None:
    """Refuse slices that nothing could refer to."""
    name = shorten(series.uid)
    remedy = "Export it from the archive again, or leave out the DICOM documents."
    unnamed = sum(not h.instance_uid for h in slices)
    if unnamed or series.study_uid == UNNAMED:
        what = count(unnamed, "slice") if unnamed else "its study"
        raise InputError(f"Series {name}: {what} has no UID to refer to. {remedy}")
    known = {(h.instance_uid, h.frame) for h in slices}
    if len(known) < len(slices):
        raise InputError(
            f"Series {name}: {len(slices)} slices have only {len(known)} UIDs, so "
            f"none can be referred to for certain. {remedy}"
        )
    files = {h.instance_uid for h in slices}
    if len(files) > 1 and any(h.sop_class in ENHANCED_CT for h in slices):
        raise InputError(
            f"Series {name} lies in {len(files)} multi-frame instances; a document can "
            f"refer to one. {remedy}"
        )
    frames = {h.frame_uid for h in slices}
    if len(frames) > 1 or "" in frames:
        what = "several frames" if len(frames) > 1 else "no frame"
        raise InputError(
            f"Series {name} has {what} of reference, so nothing can be placed on it. "
            f"{remedy}"
        )


def _read(header: Header, opener: Opener, keywords: list[str]) -> Any:
    """Read some tags of one file."""
    from pydicom import dcmread  # noqa: PLC0415  slow to import

    scan = header.scan
    failures: list[str] = []
    length = scan.pixel_offset if scan.inflate_from < 0 else header.file.size
    dataset = None
    with guarded(failures.append), silence():  # of values that break a rule
        with closing(opener.open(header.file)) as stream:
            data = stream.read(min(length, MOST_HEADER_BYTES))
        dataset = dcmread(
            BytesIO(data), force=True, stop_before_pixels=True, specific_tags=keywords
        )
        dataset.decode()
    if dataset is None:
        raise InputError(
            f"`{header.name}` was read before, and now {failures[0]}. Is the folder "
            "being changed?"
        )
    return dataset
