"""Content items that a structured report is made of.

Sources:
    DICOM PS3.16 TID 300 (measurement), TID 310 (its properties), TID 1001 (observation
    context), TID 4019 (algorithm identification).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hilum._version import __version__
from hilum.findings import Assessment, Probability
from hilum.report.dicom import codes
from hilum.report.dicom.codes import Term
from hilum.report.dicom.context import DEVICE, MANUFACTURER, MODEL, RESEARCH

LONGEST_TEXT = 1024


def number(
    name: Term, value: float, unit: Term, algorithm: Any, *, mean: bool = False
) -> Any:
    """Give one number.

    Args:
        name: What it measures.
        value: In `unit`.
        unit: Of the value.
        algorithm: What gave it.
        mean: Whether it is a mean.
    """
    from highdicom.sr import Measurement  # noqa: PLC0415  slow to import

    return Measurement(
        name=name.to_code(),
        value=float(value),
        unit=unit.to_code(),
        derivation=codes.MEAN.to_code() if mean else None,
        algorithm_id=algorithm,
    )


def probability(risk: Probability, algorithm: Any) -> Any:
    """Give a probability with its interval, as far below and above as that reaches.

    Args:
        risk: A known one.
        algorithm: What gave it.
    """
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


def evaluation(name: Term, value: Term) -> Any:
    """Give one judgement that has a code.

    Args:
        name: What is judged.
        value: How.
    """
    from highdicom.sr import QualitativeEvaluation  # noqa: PLC0415  slow to import

    return QualitativeEvaluation(name.to_code(), value.to_code())


def algorithm(name: str, weights: Mapping[str, str]) -> Any:
    """Name an algorithm: its version, and the digests of its weights.

    Args:
        name: Of the algorithm.
        weights: File name to SHA-256.
    """
    from highdicom.sr import AlgorithmIdentification  # noqa: PLC0415

    digests = [f"{file} sha256 {digest}" for file, digest in sorted(weights.items())]
    return AlgorithmIdentification(
        name=name,
        version=__version__,
        parameters=digests or None,
        manufacturer=MANUFACTURER,
    )


def observer() -> Any:
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


def comments(assessment: Assessment) -> Any:
    """Say in words what it is for, why it is out of scope, and every doubt.

    Args:
        assessment: The conclusions.
    """
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


def own_scheme() -> Any:
    """Identify the scheme of the codes that are hilum's own."""
    from highdicom.coding_schemes import (  # noqa: PLC0415  slow to import
        CodingSchemeIdentificationItem,
    )

    return CodingSchemeIdentificationItem(
        designator=codes.OWN, name=codes.OWN_NAME, responsible_organization="hilum"
    )
