"""The DICOM documents of one assessment, each made when it is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from hilum.dicom.instances import find_instances
from hilum.errors import InputError
from hilum.findings import Assessment, Point
from hilum.outlines import Outlines
from hilum.report.dicom.capture import make_captures
from hilum.report.dicom.context import Context
from hilum.report.dicom.placing import Segment, place_nodules
from hilum.report.dicom.seg import SegmentStyle, make_lungs_seg, make_nodules_seg
from hilum.report.dicom.sr import make_sr
from hilum.space import Index
from hilum.volume import CTVolume, Mask

MOST_CAPTURES = 12
"""As many nodules as the page pictures."""


@dataclass(frozen=True, eq=False, kw_only=True)
class DicomDocuments:
    """What is needed to make them.

    Attributes:
        assessment: The conclusions.
        volume: The CT that they are about, as it was read from `source`.
        source: Folder, file or zip with the DICOM series that was assessed.
        outlines: The voxels of nodules and lungs, or None where they were not kept.
        style: How segmentations are written.

    Raises:
        InputError: The volume or the outlines are of another series.
    """

    assessment: Assessment
    volume: CTVolume
    source: Path
    outlines: Outlines | None = None
    style: SegmentStyle = field(default_factory=SegmentStyle)

    def __post_init__(self) -> None:
        """Refuse what belongs to another series."""
        uid = self.assessment.series_uid
        if self.volume.series_uid != uid:
            raise InputError(
                f"The assessment is of series {uid}, the volume of series "
                f"{self.volume.series_uid}. Read the series that was assessed."
            )
        if self.outlines is not None:
            digest = self.assessment.provenance.outlines_sha256
            self.outlines.check(uid, len(self.assessment.nodules), digest)

    @cached_property
    def context(self) -> Context:
        """What the documents share; finds the instances.

        Raises:
            InputError: The source does not hold the series, or the instances have
                no identity to refer to.
        """
        return Context(find_instances(self.source, self.assessment.series_uid))

    def read_source(self) -> None:
        """Read what the documents share, which else the first of them does.

        For that the process is silent (`hilum.dicom.silence`), so it is for one thread.

        Raises:
            InputError: As for `context`, or a file cannot be read any more.
        """
        _ = self.context.shared

    @cached_property
    def segments(self) -> tuple[Segment, ...]:
        """The nodules on the slices; none where their voxels were not kept."""
        masks = self.outlines.nodules if self.outlines is not None else ()
        return place_nodules(masks, self.context.instances)

    @cached_property
    def nodules_seg(self) -> Any:
        """The segmentation of the nodules, or None where there is no nodule.

        Raises:
            InputError: Their voxels were not kept.
        """
        if self.outlines is None:
            raise InputError(
                "A segmentation needs the nodules' voxels, and there is no "
                "`outlines.npz` beside the assessment. Assess the scan again."
            )
        if not self.segments:
            return None
        return make_nodules_seg(
            self.assessment, self.segments, self.context, kind=self.style.segments
        )

    def lungs_seg(self) -> Any:
        """Make the segmentation of the lungs, or give None where it is not wanted.

        Raises:
            InputError: No lung was found, or its voxels were not kept.
        """
        if not self.style.lungs or self.outlines is None:
            return None
        joined = self.nodules_seg.SeriesInstanceUID if self.segments else None
        return make_lungs_seg(
            self.outlines.lungs,
            self.context,
            kind=self.style.segments,
            series_uid=joined,
        )

    def report(self, *, with_seg: bool) -> Any:
        """Make the structured report.

        Args:
            with_seg: Whether it points at the segmentation, or only at slices.

        Raises:
            InputError: A slice cannot be read any more.
        """
        means: Sequence[float | None] = [None] * len(self.assessment.nodules)
        if self.outlines is not None:
            means = [mean_hu(self.volume, mask) for mask in self.outlines.nodules]
        return make_sr(
            self.assessment,
            self.context,
            key_places=self._key_places(),
            means_hu=means,
            segments=self.segments,
            seg=self.nodules_seg if with_seg else None,
        )

    def captures(self) -> list[Any]:
        """Make the key images.

        Raises:
            InputError: A nodule lies outside the volume.
        """
        return make_captures(
            self.assessment, self.volume, self.context, most=MOST_CAPTURES
        )

    def _key_places(self) -> list[int]:
        """Choose a slice for each nodule: where it is largest, else the nearest."""
        largest = {segment.index: segment.key_place for segment in self.segments}
        return [
            largest[index] if index in largest else self._nearest(nodule.center_mm)
            for index, nodule in enumerate(self.assessment.nodules)
        ]

    def _nearest(self, center_mm: Point) -> int:
        """Find the slice nearest to a point, along the normal of the slices."""
        instances = self.context.instances
        axes = np.array(instances.slices[0].orientation)
        normal = np.cross(axes[:3], axes[3:])
        off = (instances.corners_mm - np.array(center_mm)) @ normal
        return int(np.abs(off).argmin())


def mean_hu(volume: CTVolume, mask: Mask) -> float | None:
    """Give the mean density of the voxels of a mask.

    Args:
        volume: The CT.
        mask: Bool, on a part of its grid.

    Returns:
        The mean in HU, or None where no voxel is set.
    """
    if not mask.voxels.any():
        return None
    first = np.rint(volume.grid.to_index(mask.grid.to_world((0, 0, 0)))).astype(int)
    start, stop = _index(first), _index(first + mask.voxels.shape)
    return float(volume.crop(start, stop).hu[mask.voxels != 0].mean())


def _index(values: Any) -> Index:
    z, y, x = (int(value) for value in values)
    return z, y, x
