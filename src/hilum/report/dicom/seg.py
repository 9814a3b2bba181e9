"""DICOM Segmentation: a segment a nodule, and the lungs as an object of their own.

The lungs hold the nodules, and objects whose segments overlap need a frame for each;
so they are kept apart, and viewers switch them apart.

Sources:
    DICOM PS3.3 A.51 (Segmentation IOD), A.51.6 (Label Map Segmentation).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from hilum._version import __version__
from hilum.errors import InputError
from hilum.findings import Assessment
from hilum.report.dicom import codes
from hilum.report.dicom.context import MANUFACTURER, MODEL, Context, new_uid
from hilum.report.dicom.placing import Labels, Segment, draw, place, stack
from hilum.tracking import tracking_uid
from hilum.volume import Mask

SegmentKind = Literal["binary", "labelmap"]

_LABEL = "NODULES"
_COLORS = ((60, 70, 50), (85, -20, 75), (60, 90, -60), (85, -50, -10), (70, 40, 70))
"""CIELab of the nodules, in turn; far apart on lung and on soft tissue."""

_LUNGS = ((1, "Right lung", codes.RIGHT), (2, "Left lung", codes.LEFT))
_LUNG_COLOR = (75, -10, -25)


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentStyle:
    """How segmentations are written.

    Attributes:
        segments: "binary": a bit a voxel and segment, which every viewer reads;
            "labelmap": one number a voxel (DICOM 2024), where segments cannot
            overlap: the more suspicious nodule keeps a shared voxel.
        lungs: Whether the lungs are written too.

    Raises:
        InputError: The kind is not one of the two.
    """

    segments: SegmentKind = "binary"
    lungs: bool = False

    def __post_init__(self) -> None:
        """Refuse a kind that nobody reads."""
        if self.segments not in ("binary", "labelmap"):
            raise InputError(
                f"Segments are `binary` or `labelmap`; got `{self.segments}`."
            )


def make_nodules_seg(
    assessment: Assessment,
    segments: Sequence[Segment],
    context: Context,
    *,
    kind: SegmentKind = "binary",
) -> Any:
    """Make the segmentation of the nodules.

    Args:
        assessment: Whose nodules they are.
        segments: Their masks on the slices; at least one.
        context: What the documents share.
        kind: As in `SegmentStyle`.

    Returns:
        A highdicom Segmentation.

    Raises:
        InputError: A slice cannot be read any more.
    """
    places, labels, overlap = draw(segments, context.instances)
    drawn: Labels = labels
    if overlap and kind == "binary":
        drawn = stack(segments, places, labels)
    elif overlap:
        segments = [s for s in segments if (labels == s.number).any()]
    described = [_describe_nodule(assessment, segment) for segment in segments]
    return _make(
        context,
        places,
        drawn,
        described,
        kind=kind,
        label=_LABEL,
    )


def make_lungs_seg(
    lungs: Mask,
    context: Context,
    *,
    kind: SegmentKind = "binary",
    series_uid: str | None = None,
) -> Any:
    """Make the segmentation of the lungs.

    Args:
        lungs: Labels: 1 right lung, 2 left lung.
        context: What the documents share.
        kind: As in `SegmentStyle`.
        series_uid: Of the series to join as its second instance; None: a new one.

    Returns:
        A highdicom Segmentation.

    Raises:
        InputError: There is no lung, or a slice cannot be read any more.
    """
    segments: list[Segment] = []
    described: list[Any] = []
    for label, name, side in _LUNGS:
        parts, lost = place(Mask(lungs.voxels == label, lungs.grid), context.instances)
        if parts:
            segments.append(Segment(len(segments) + 1, label - 1, parts, lost))
            described.append(_describe_lung(len(segments), name, side))
    if not segments:
        raise InputError(
            "No lung was found, so there is none to write. Leave out the lungs."
        )
    places, labels, _ = draw(segments, context.instances)
    return _make(
        context,
        places,
        labels,
        described,
        kind=kind,
        label="LUNGS",
        series_uid=series_uid,
    )


def _make(
    context: Context,
    places: Sequence[int],
    pixels: Labels,
    described: list[Any],
    *,
    kind: SegmentKind,
    label: str,
    series_uid: str | None = None,
) -> Any:
    from highdicom.seg import Segmentation  # noqa: PLC0415  slow to import

    sources = context.sources(places)
    several_frames = context.instances.slices[0].frames > 1
    made = Segmentation(
        source_images=sources[:1] if several_frames else sources,
        pixel_array=pixels,
        segmentation_type=kind.upper(),
        segment_descriptions=described,
        series_instance_uid=series_uid or new_uid(),
        series_number=context.series_number("SEG"),
        sop_instance_uid=new_uid(),
        instance_number=2 if series_uid else 1,
        manufacturer=MANUFACTURER,
        manufacturer_model_name=MODEL,
        software_versions=__version__,
        device_serial_number=__version__,
        content_label=label,
        content_description="Segmented by hilum, for research",
        content_creator_name="hilum^",
        series_description=f"hilum {label.lower()}",
        content_date=context.when.date(),
        content_time=context.when.time(),
        **_geometry(context, places),
    )
    if "BodyPartExamined" in sources[0]:  # the library copies no part
        made.BodyPartExamined = sources[0].BodyPartExamined
    return context.name(made)


def _geometry(context: Context, places: Sequence[int]) -> dict[str, Any]:
    """Say where the frames are: the spacing of the series, not of the frames."""
    from highdicom import (  # noqa: PLC0415  slow to import
        PixelMeasuresSequence,
        PlanePositionSequence,
    )

    slices = context.instances.slices
    spacing_mm = context.instances.spacing_mm
    measures = PixelMeasuresSequence(
        pixel_spacing=slices[0].spacing_mm,
        slice_thickness=slices[0].thickness_mm or spacing_mm,
        spacing_between_slices=spacing_mm,
    )
    if slices[0].frames == 1:
        return {"pixel_measures": measures}
    positions = [
        PlanePositionSequence("PATIENT", slices[place].position_mm) for place in places
    ]
    return {"pixel_measures": measures, "plane_positions": positions}


def _describe_nodule(assessment: Assessment, segment: Segment) -> Any:
    from highdicom.seg import SegmentDescription  # noqa: PLC0415  slow to import

    nodule = assessment.nodules[segment.index]
    name = f"Nodule {segment.index + 1}"
    site, side = codes.site_of(nodule)
    description = SegmentDescription(
        segment_number=segment.number,
        segment_label=name,
        segmented_property_category=codes.ABNORMAL.to_code(),
        segmented_property_type=codes.finding_of(nodule).to_code(),
        algorithm_type="AUTOMATIC",
        algorithm_identification=_algorithm("hilum nodule outlines"),
        tracking_uid=tracking_uid(assessment.series_uid, nodule),
        tracking_id=name,
        anatomic_regions=[site.to_code()],
        display_color=_color(_COLORS[segment.index % len(_COLORS)]),
    )
    if side is not None:
        region = description.AnatomicRegionSequence[0]
        region.AnatomicRegionModifierSequence = [side.to_code()]
    text = f"{nodule.type}, mean diameter {nodule.diameter_mm:.1f} mm"
    if segment.lost:
        text += f"; not on {segment.lost} slices that the series does not hold"
    description.SegmentDescription = text
    return description


def _describe_lung(number: int, name: str, side: codes.Term) -> Any:
    from highdicom.seg import SegmentDescription  # noqa: PLC0415  slow to import

    description = SegmentDescription(
        segment_number=number,
        segment_label=name,
        segmented_property_category=codes.ORGAN.to_code(),
        segmented_property_type=codes.LUNG.to_code(),
        algorithm_type="AUTOMATIC",
        algorithm_identification=_algorithm("hilum lungs"),
        tracking_uid=new_uid(),
        tracking_id=name,
        display_color=_color(_LUNG_COLOR),
    )
    kind = description.SegmentedPropertyTypeCodeSequence[0]
    kind.SegmentedPropertyTypeModifierCodeSequence = [side.to_code()]
    return description


def _algorithm(name: str) -> Any:
    from highdicom import AlgorithmIdentificationSequence  # noqa: PLC0415
    from pydicom.sr.codedict import codes as known  # noqa: PLC0415

    return AlgorithmIdentificationSequence(
        name=name,
        family=known.DCM.ArtificialIntelligence,
        version=__version__,
        source=MANUFACTURER,
    )


def _color(lab: tuple[int, int, int]) -> Any:
    from highdicom.color import CIELabColor  # noqa: PLC0415  slow to import

    return CIELabColor(*map(float, np.array(lab)))
