"""DICOM SR: the measurements of one assessment, as TID 1500 tells them.

One measurement group a nodule, one for the patient. A group points at the nodule's
segment where a SEG was made, else at its key slice; either way the document refers to
key slices only. Every probability names the algorithm that gave it. Where the series
is out of scope the document holds no probability.

Sources:
    DICOM PS3.16 TID 1500 (measurement report), TID 1411 (volumetric ROI), TID 1501
    (measurement group), TID 300 (measurement), TID 4019 (algorithm identification).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hilum._version import __version__
from hilum.findings import Assessment, Nodule, Probability
from hilum.report.dicom import codes
from hilum.report.dicom.codes import Term
from hilum.report.dicom.context import (
    DEVICE,
    MANUFACTURER,
    MODEL,
    RESEARCH,
    Context,
    new_uid,
)
from hilum.report.dicom.placing import Segment
from hilum.tracking import patient_uid, tracking_uid

LONGEST_TEXT = 1024


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
        segments: The nodules in `seg`.
        seg: The segmentation to point at, or None.

    Returns:
        A highdicom Comprehensive3DSR.

    Raises:
        InputError: A slice cannot be read any more.
    """
    from highdicom.sr import Comprehensive3DSR, MeasurementReport  # noqa: PLC0415

    places = sorted({*key_places, *([] if key_places else [_middle(context)])})
    sources = dict(zip(places, context.sources(places), strict=True))
    by_index = {segment.index: segment for segment in segments}
    groups = [_patient_group(assessment)]
    for index, nodule in enumerate(assessment.nodules):
        place = key_places[index]
        source = _reference(context, place, sources[place])
        target = _target(seg, by_index.get(index), source)
        groups.append(
            _nodule_group(
                assessment, nodule, index, mean_hu=means_hu[index], target=target
            )
        )
    single = context.instances.slices[0].frames == 1  # else the library has no entry
    report = MeasurementReport(
        observation_context=_observer(),
        procedure_reported=codes.CT.to_code(),
        imaging_measurements=groups,
        referenced_images=list(sources.values()) if single else None,
    )
    report[0].ContentSequence.append(_comments(assessment))
    first = sources[places[0]]
    return Comprehensive3DSR(
        evidence=[*sources.values(), *([seg] if seg is not None else [])],
        content=report,
        series_instance_uid=new_uid(),
        series_number=context.series_number("SR", first),
        sop_instance_uid=new_uid(),
        instance_number=1,
        manufacturer=MANUFACTURER,
        manufacturer_model_name=MODEL,
        software_versions=__version__,
        device_serial_number=__version__,
        series_description="hilum measurements",
        is_complete=True,
        content_date=context.when.date(),
        content_time=context.when.time(),
        coding_schemes=[_own_scheme()],
    )


def _middle(context: Context) -> int:
    """Give a slice to refer to where there is no nodule."""
    return len(context.instances.slices) // 2


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
    assessment: Assessment,
    nodule: Nodule,
    index: int,
    *,
    mean_hu: float | None,
    target: dict[str, Any],
) -> Any:
    from highdicom.sr import (  # noqa: PLC0415  slow to import
        FindingSite,
        MeasurementsAndQualitativeEvaluations,
        TrackingIdentifier,
        VolumetricROIMeasurementsAndQualitativeEvaluations,
    )

    site, side = codes.site_of(nodule)
    kind = (
        VolumetricROIMeasurementsAndQualitativeEvaluations
        if "referenced_segment" in target
        else MeasurementsAndQualitativeEvaluations
    )
    evaluations = [_evaluation(codes.KIND, codes.KINDS[nodule.type])]
    category = _category_of(assessment, index)
    if category is not None:
        evaluations.append(_evaluation(codes.LUNG_RADS, category))
    return kind(
        tracking_identifier=TrackingIdentifier(
            tracking_uid(assessment.series_uid, nodule), f"Nodule {index + 1}"
        ),
        finding_type=codes.finding_of(nodule).to_code(),
        finding_category=codes.ABNORMAL.to_code(),
        finding_sites=[
            FindingSite(site.to_code(), side.to_code() if side else None),
        ],
        measurements=_measurements(assessment, nodule, mean_hu),
        qualitative_evaluations=evaluations,
        **target,
    )


def _measurements(
    assessment: Assessment, nodule: Nodule, mean_hu: float | None
) -> list[Any]:
    """List what was measured of one nodule, and its probability where there is one."""
    mm, outline = codes.MILLIMETRE, _algorithm("hilum measure", {})
    found = [
        _number(codes.LONG_AXIS, nodule.long_axis_mm, mm, outline),
        _number(codes.SHORT_AXIS, nodule.short_axis_mm, mm, outline),
        _number(codes.DIAMETER, nodule.diameter_mm, mm, outline, mean=True),
        _number(codes.VOLUME, nodule.volume_mm3, codes.CUBIC_MILLIMETRE, outline),
    ]
    if nodule.type == "part-solid":
        solid = nodule.solid_diameter_mm
        found.append(_number(codes.SOLID_DIAMETER, solid, mm, outline))
    if mean_hu is not None:
        hu = codes.HOUNSFIELD
        found.append(_number(codes.ATTENUATION, mean_hu, hu, outline, mean=True))
    if nodule.malignancy.value is not None:
        algorithm = _algorithm("hilum malignancy", _malignancy_weights(assessment))
        found.append(_probability(nodule.malignancy, algorithm))
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
        TrackingIdentifier,
    )

    risk = assessment.cancer_probability
    measurements = []
    if risk.value is not None:
        algorithm = _algorithm("hilum patient", {})
        measurements.append(_probability(risk, algorithm))
    inside = assessment.scope.in_scope
    scope = codes.IN_SCOPE if inside else codes.OUT_OF_SCOPE
    evaluations = [_evaluation(codes.SCOPE, scope)]
    exam = (assessment.guidelines.lung_rads or {}).get("category")
    if exam in codes.CATEGORIES:
        evaluations.append(_evaluation(codes.LUNG_RADS, codes.CATEGORIES[exam]))
    return MeasurementsAndQualitativeEvaluations(
        tracking_identifier=TrackingIdentifier(
            patient_uid(assessment.series_uid), "Patient"
        ),
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


def _number(
    name: Term, value: float, unit: Term, algorithm: Any, *, mean: bool = False
) -> Any:
    from highdicom.sr import Measurement  # noqa: PLC0415  slow to import

    return Measurement(
        name=name.to_code(),
        value=float(value),
        unit=unit.to_code(),
        derivation=codes.MEAN.to_code() if mean else None,
        algorithm_id=algorithm,
    )


def _probability(risk: Probability, algorithm: Any) -> Any:
    """Give a probability with its interval, as far below and above as that reaches."""
    from highdicom.sr import Measurement, MeasurementProperties  # noqa: PLC0415

    value = risk.value or 0.0
    return Measurement(
        name=codes.PROBABILITY.to_code(),
        value=float(value),
        unit=codes.NO_UNIT.to_code(),
        algorithm_id=algorithm,
        properties=MeasurementProperties(
            upper_measurement_uncertainty=float((risk.high or value) - value),
            lower_measurement_uncertainty=float(value - (risk.low or 0.0)),
        ),
    )


def _evaluation(name: Term, value: Term) -> Any:
    from highdicom.sr import QualitativeEvaluation  # noqa: PLC0415  slow to import

    return QualitativeEvaluation(name.to_code(), value.to_code())


def _algorithm(name: str, weights: dict[str, str]) -> Any:
    """Name an algorithm: its version, and the digests of its weights."""
    from highdicom.sr import AlgorithmIdentification  # noqa: PLC0415

    digests = [f"{file} sha256 {digest}" for file, digest in sorted(weights.items())]
    return AlgorithmIdentification(
        name=name,
        version=__version__,
        parameters=digests or None,
        manufacturer=MANUFACTURER,
    )


def _observer() -> Any:
    """Name hilum as the observer: a device, not a person."""
    from highdicom.sr import (  # noqa: PLC0415  slow to import
        DeviceObserverIdentifyingAttributes,
        ObservationContext,
        ObserverContext,
    )
    from pydicom.sr.codedict import codes as known  # noqa: PLC0415

    device = DeviceObserverIdentifyingAttributes(
        uid=DEVICE,
        name=MODEL,
        manufacturer_name=MANUFACTURER,
        model_name=MODEL,
        serial_number=__version__,
    )
    return ObservationContext(
        observer_device_context=ObserverContext(
            observer_type=known.DCM.Device, observer_identifying_attributes=device
        )
    )


def _comments(assessment: Assessment) -> Any:
    """Say in words what it is for, why it is out of scope, and every doubt."""
    from highdicom.sr import (  # noqa: PLC0415  slow to import
        ContainerContentItem,
        ContentSequence,
        TextContentItem,
    )

    texts = [
        RESEARCH,
        *(f"Out of scope: {reason}" for reason in assessment.scope.reasons),
        *(f"[{n.stage}] {n.message}" for n in assessment.notices),
    ]
    container = ContainerContentItem(
        codes.QUALITATIVE.to_code(), relationship_type="CONTAINS"
    )
    container.ContentSequence = ContentSequence(
        TextContentItem(codes.COMMENT.to_code(), text[:LONGEST_TEXT], "CONTAINS")
        for text in texts
    )
    return container


def _own_scheme() -> Any:
    from highdicom.coding_schemes import (  # noqa: PLC0415  slow to import
        CodingSchemeIdentificationItem,
    )

    return CodingSchemeIdentificationItem(
        designator=codes.OWN, name=codes.OWN_NAME, responsible_organization="hilum"
    )
