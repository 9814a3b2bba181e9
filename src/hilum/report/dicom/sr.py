"""DICOM SR: the measurements of one assessment, as TID 1500 tells them.

One measurement group a nodule, one for the patient. A group points at the nodule's
segment where a SEG was made, else at its key slice; either way the document refers to
key slices only. Every probability names the algorithm that gave it. Where the series
is out of scope the document holds no probability, not even one that was asked for.

Beside each group stands one of the same tracking UID that draws it: a nodule as the
ellipse of its axes, the patient as a frame around the first key slice. For viewers show
a report by its regions, and OHIF 3.12 opens none with a group that has no region.

Sources:
    DICOM PS3.16 TID 1500 (measurement report), TID 1411 (volumetric ROI), TID 1410
    (planar ROI), TID 1501 (measurement group), TID 300 (measurement), TID 4019
    (algorithm identification).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hilum._version import __version__
from hilum.findings import Assessment, Nodule
from hilum.report.dicom import codes
from hilum.report.dicom.axes import ellipse_of, frame_of
from hilum.report.dicom.codes import Term
from hilum.report.dicom.context import (
    MANUFACTURER,
    MODEL,
    UTF_8,
    Context,
    new_uid,
    scanner_of,
)
from hilum.report.dicom.items import (
    algorithm,
    comments,
    evaluation,
    number,
    observer,
    own_scheme,
    probability,
)
from hilum.report.dicom.placing import Segment
from hilum.space import FloatArray
from hilum.tracking import patient_uid, tracking_uid

COMPREHENSIVE_3D_SR = "1.2.840.10008.5.1.4.1.1.88.34"


def make_sr(
    assessment: Assessment,
    context: Context,
    *,
    key_places: Sequence[int],
    means_hu: Sequence[float | None],
    segments: Sequence[Segment] = (),
    seg: Any = None,
) -> Any:
    """Make the structured report.

    Args:
        assessment: The conclusions.
        context: What the documents share.
        key_places: Of each nodule, the slice to show it on.
        means_hu: Of each nodule, the mean density of its voxels, where known.
        segments: The nodules on the slices, where their voxels are known.
        seg: The segmentation to point at, or None.

    Returns:
        A highdicom Comprehensive3DSR.

    Raises:
        InputError: A slice cannot be read any more.
    """
    places = sorted({*key_places} or {len(context.instances.slices) // 2})
    sources = dict(zip(places, context.sources(places), strict=True))
    named = {place: _reference(context, place, sources[place]) for place in places}
    by_index = {segment.index: segment for segment in segments}
    first = key_places[0] if key_places else places[0]
    frame = frame_of(context.instances.slices[first])
    groups = [_patient_group(assessment)]
    drawn = [_drawn_group(_tracking(assessment, None), frame, named[first])]
    for index, place in enumerate(key_places):
        segment = by_index.get(index)
        target = _target(seg, segment, named[place])
        groups.append(_nodule_group(assessment, index, means_hu[index], target))
        part = segment.parts.get(place) if segment is not None else None
        header = context.instances.slices[place]
        line = ellipse_of(assessment.nodules[index], header, part)
        drawn.append(_drawn_group(_tracking(assessment, index), line, named[place]))
    evidence = [*sources.values(), *([seg] if seg is not None else [])]
    tree = _tree([*groups, *drawn], comments(assessment))
    return _document(context, tree, evidence)


def _tree(groups: list[Any], words: Any) -> Any:
    """Give the root of the content."""
    from highdicom.sr import MeasurementReport  # noqa: PLC0415  slow to import

    (root,) = MeasurementReport(
        observation_context=observer(),
        procedure_reported=codes.CT.to_code(),
        imaging_measurements=groups,
    )
    root.ContentSequence.append(words)
    return root


def _document(context: Context, root: Any, evidence: Sequence[Any]) -> Any:
    """Make the instance that holds the tree.

    The library's own class copies and searches the whole tree several times over.
    """
    from highdicom import SOPClass  # noqa: PLC0415  slow to import
    from pydicom.uid import ExplicitVRLittleEndian  # noqa: PLC0415

    first = evidence[0]
    document = SOPClass(
        study_instance_uid=first.StudyInstanceUID,
        series_instance_uid=new_uid(),
        series_number=context.series_number("SR"),
        sop_instance_uid=new_uid(),
        sop_class_uid=COMPREHENSIVE_3D_SR,
        instance_number=1,
        modality="SR",
        transfer_syntax_uid=ExplicitVRLittleEndian,
        manufacturer=MANUFACTURER,
        manufacturer_model_name=MODEL,
        software_versions=__version__,
        device_serial_number=__version__,
        series_description="hilum measurements",
        content_date=context.when.date(),
        content_time=context.when.time(),
        coding_schemes=[own_scheme()],
        specific_character_set=UTF_8,
    )
    document.copy_patient_and_study_information(first)
    document.CompletionFlag = "COMPLETE"
    document.VerificationFlag = "UNVERIFIED"
    document.PreliminaryFlag = "PRELIMINARY"
    document.PerformedProcedureCodeSequence = []
    document.ReferencedPerformedProcedureStepSequence = []
    document.CurrentRequestedProcedureEvidenceSequence = [_evidence(evidence)]
    document.ContributingEquipmentSequence = scanner_of(first)
    for element in root:
        document.add(element)
    return context.name(document)


def _evidence(instances: Sequence[Any]) -> Any:
    """List instances of one study by their series."""
    from pydicom import Dataset  # noqa: PLC0415  slow to import

    by_series: dict[str, dict[str, Any]] = {}
    for instance in instances:
        reference = Dataset()
        reference.ReferencedSOPClassUID = instance.SOPClassUID
        reference.ReferencedSOPInstanceUID = instance.SOPInstanceUID
        series = by_series.setdefault(instance.SeriesInstanceUID, {})
        series[instance.SOPInstanceUID] = reference
    study = Dataset()
    study.StudyInstanceUID = instances[0].StudyInstanceUID
    study.ReferencedSeriesSequence = []
    for uid, references in by_series.items():
        series_item = Dataset()
        series_item.SeriesInstanceUID = uid
        series_item.ReferencedSOPSequence = list(references.values())
        study.ReferencedSeriesSequence.append(series_item)
    return study


def _reference(
    context: Context, place: int, source: Any
) -> tuple[str, str, int | None]:
    """Name a slice: its class, its UID, and its frame where it is one of several."""
    header = context.instances.slices[place]
    frame = header.frame + 1 if header.frames > 1 else None
    return str(source.SOPClassUID), str(source.SOPInstanceUID), frame


def _target(
    seg: Any, segment: Segment | None, source: tuple[str, str, int | None]
) -> dict[str, Any]:
    """Say what a group is about: a segment, or an image."""
    from highdicom.sr import (  # noqa: PLC0415  slow to import
        ReferencedSegment,
        SourceImageForMeasurementGroup,
        SourceImageForSegmentation,
    )

    sop_class, uid, frame = source
    frames = None if frame is None else [frame]
    if seg is None or segment is None:
        image = SourceImageForMeasurementGroup(sop_class, uid, frames)
        return {"source_images": [image]}
    found = ReferencedSegment(
        seg.SOPClassUID,
        seg.SOPInstanceUID,
        segment.number,
        source_images=[SourceImageForSegmentation(sop_class, uid, frames)],
    )
    return {"referenced_segment": found}


def _nodule_group(
    assessment: Assessment, index: int, mean_hu: float | None, target: dict[str, Any]
) -> Any:
    """Tell all that is known of one nodule."""
    from highdicom.sr import (  # noqa: PLC0415  slow to import
        FindingSite,
        MeasurementsAndQualitativeEvaluations,
        VolumetricROIMeasurementsAndQualitativeEvaluations,
    )

    nodule = assessment.nodules[index]
    site, side = codes.site_of(nodule)
    kind = (
        VolumetricROIMeasurementsAndQualitativeEvaluations
        if "referenced_segment" in target
        else MeasurementsAndQualitativeEvaluations
    )
    evaluations = [evaluation(codes.KIND, codes.KINDS[nodule.type])]
    category = _category_of(assessment, index)
    if category is not None:
        evaluations.append(evaluation(codes.LUNG_RADS, category))
    return kind(
        tracking_identifier=_tracking(assessment, index),
        finding_type=codes.finding_of(nodule).to_code(),
        finding_category=codes.ABNORMAL.to_code(),
        finding_sites=[
            FindingSite(site.to_code(), side.to_code() if side else None),
        ],
        measurements=_measurements(assessment, nodule, mean_hu),
        qualitative_evaluations=evaluations,
        **target,
    )


def _drawn_group(
    tracking: Any, line: FloatArray, source: tuple[str, str, int | None]
) -> Any:
    """Say where on a slice something is, for viewers that show regions alone."""
    from highdicom.sr import (  # noqa: PLC0415  slow to import
        ImageRegion,
        PlanarROIMeasurementsAndQualitativeEvaluations,
        SourceImageForRegion,
    )

    sop_class, uid, frame = source
    image = SourceImageForRegion(sop_class, uid, None if frame is None else [frame])
    return PlanarROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=tracking,
        referenced_region=ImageRegion("POLYLINE", line, image),
    )


def _tracking(assessment: Assessment, index: int | None) -> Any:
    """Name a nodule, or the patient where the index is None, and give its UID."""
    from highdicom.sr import TrackingIdentifier  # noqa: PLC0415  slow to import

    if index is None:
        return TrackingIdentifier(patient_uid(assessment.series_uid), "Patient")
    uid = tracking_uid(assessment.series_uid, assessment.nodules[index])
    return TrackingIdentifier(uid, f"Nodule {index + 1}")


def _measurements(
    assessment: Assessment, nodule: Nodule, mean_hu: float | None
) -> list[Any]:
    """List what was measured of one nodule, and its probability where there is one."""
    mm, outline = codes.MILLIMETRE, algorithm("hilum measure", {})
    found = [
        number(codes.LONG_AXIS, nodule.long_axis_mm, mm, outline),
        number(codes.SHORT_AXIS, nodule.short_axis_mm, mm, outline),
        number(codes.DIAMETER, nodule.diameter_mm, mm, outline, mean=True),
        number(codes.VOLUME, nodule.volume_mm3, codes.CUBIC_MILLIMETRE, outline),
    ]
    if nodule.type == "part-solid":
        solid = nodule.solid_diameter_mm
        found.append(number(codes.SOLID_DIAMETER, solid, mm, outline))
    if mean_hu is not None:
        hu = codes.HOUNSFIELD
        found.append(number(codes.ATTENUATION, mean_hu, hu, outline, mean=True))
    if nodule.malignancy.value is not None and assessment.scope.in_scope:
        rated = algorithm("hilum malignancy", _malignancy_weights(assessment))
        found.append(probability(nodule.malignancy, rated))
    return found


def _malignancy_weights(assessment: Assessment) -> dict[str, str]:
    """Give the digests of the files that rated the nodules."""
    run = assessment.provenance
    named = Path(str(run.settings.get("malignancy", {}).get("weights", ""))).stem
    return {k: v for k, v in run.weights.items() if named and k.startswith(named)}


def _patient_group(assessment: Assessment) -> Any:
    """Say what was concluded of the patient, or that nothing was."""
    from highdicom.sr import (  # noqa: PLC0415  slow to import
        FindingSite,
        MeasurementsAndQualitativeEvaluations,
    )

    risk, inside = assessment.cancer_probability, assessment.scope.in_scope
    measurements = []
    if risk.value is not None and inside:
        measurements.append(probability(risk, algorithm("hilum patient", {})))
    scope = codes.IN_SCOPE if inside else codes.OUT_OF_SCOPE
    evaluations = [evaluation(codes.SCOPE, scope)]
    exam = (assessment.guidelines.lung_rads or {}).get("category")
    if exam in codes.CATEGORIES:
        evaluations.append(evaluation(codes.LUNG_RADS, codes.CATEGORIES[exam]))
    return MeasurementsAndQualitativeEvaluations(
        tracking_identifier=_tracking(assessment, None),
        finding_sites=[FindingSite(codes.LUNG.to_code())],
        measurements=measurements or None,
        qualitative_evaluations=evaluations,
    )


def _category_of(assessment: Assessment, index: int) -> Term | None:
    """Give the Lung-RADS category of one nodule, were it the only one."""
    line = assessment.guidelines.lung_rads or {}
    each = line.get("findings")
    if isinstance(each, list) and index < len(each):
        return codes.CATEGORIES.get(str(each[index]))
    return None
