"""One assessment as a FHIR R5 bundle: a report, its observations, study and device.

A collection of DiagnosticReport, one Observation for each nodule and for each
conclusion on the scan, ImagingStudy and Device, validated by `fhir.resources` before
it is written. Everything is preliminary: no person has looked at it. Who the patient
is, only the caller can say, and the bundle says no more than that reference. The same
assessment gives the same bytes.

Lengths are mm, volumes mm³, probabilities lie in [0, 1] (UCUM unit 1). Concepts that
SNOMED CT and DICOM name carry their codes; the others have codes of `OWN_SYSTEM`.

Sources:
    HL7 FHIR R5 (5.0.0), DiagnosticReport, Observation, ImagingStudy, Device.
    DICOM PS3.16, annex D (DCM codes) and CID 7455, 7470 (SNOMED CT codes of lengths).
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_OID, uuid5

from hilum._optional import require
from hilum.errors import InputError
from hilum.findings import Assessment, Nodule, Probability
from hilum.formats.atomic import replacing, writing
from hilum.report.words import advice

Tree = dict[str, Any]

EXTRA = "fhir"
OWN_SYSTEM = "urn:oid:2.25.250911364226696046886845089171764488947"
"""Of the codes below that no terminology names; an OID made of a UUID."""

SNOMED, DCM = "http://snomed.info/sct", "http://dicom.nema.org/resources/ontology/DCM"
_LOINC, _UCUM = "http://loinc.org", "http://unitsofmeasure.org"
_DISCLAIMER = "For research and teaching; not a medical device."
_SIDES = {
    "left": ("44029006", "Left lung structure"),
    "right": ("3341006", "Right lung structure"),
    None: ("39607008", "Lung structure"),
}
_LENGTHS = (
    ("diameter_mm", SNOMED, "81827009", "Diameter"),
    ("long_axis_mm", SNOMED, "103339001", "Long axis"),
    ("short_axis_mm", SNOMED, "103340004", "Short axis"),
    ("solid_diameter_mm", OWN_SYSTEM, "solid-diameter", "Diameter of the solid part"),
)


def to_fhir(
    assessment: Assessment,
    *,
    study_uid: str | None = None,
    subject: str | None = None,
    effective: str | None = None,
) -> Tree:
    """Make the bundle.

    Args:
        assessment: What was concluded.
        study_uid: Study Instance UID; by default the one that the assessment knows.
        subject: Reference to the patient, such as "Patient/17"; by default the
            bundle says that it is withheld.
        effective: When the scan was made, such as "2026-02-28", for the report and
            the observations; by default it is not said.

    Returns:
        The bundle as a tree for JSON.

    Raises:
        InputError: What was given makes no valid bundle.
        MissingDependencyError: `fhir.resources` is not installed.
    """
    models = require("fhir.resources.bundle", extra=EXTRA, to="to write FHIR")
    if subject is not None and not _REFERENCE.fullmatch(subject):
        raise InputError(
            "The subject is no FHIR reference. Give one such as `Patient/17` or "
            "`urn:uuid:...`, which names nobody."
        )
    maker = _Maker(assessment, subject, effective)
    bundle = maker.bundle(study_uid or _known_study(assessment))
    try:
        models.Bundle.model_validate(bundle)
    except ValueError as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        raise InputError(
            f"The assessment makes no valid FHIR bundle: {'; '.join(lines[1:3])}. "
            'Give subject as "Patient/17" and effective as "2026-02-28".'
        ) from error
    return bundle


def write_fhir(
    assessment: Assessment,
    path: Path,
    study_uid: str | None = None,
    *,
    subject: str | None = None,
    effective: str | None = None,
) -> None:
    """Write the bundle as JSON.

    Args:
        assessment: What was concluded.
        path: The file, such as `assessment.fhir.json`; replaced when it exists.
        study_uid: As for `to_fhir`.
        subject: As for `to_fhir`.
        effective: As for `to_fhir`.

    Raises:
        InputError: The bundle is not valid, or the file cannot be written.
        MissingDependencyError: `fhir.resources` is not installed.
    """
    tree = to_fhir(
        assessment, study_uid=study_uid, subject=subject, effective=effective
    )
    text = json.dumps(tree, indent=2, ensure_ascii=False) + "\n"
    with writing(path), replacing(path) as file:
        file.write(text.encode())


class _Maker:
    """The resources of one assessment, which refer to each other."""

    def __init__(
        self, assessment: Assessment, subject: str | None, effective: str | None
    ) -> None:
        self._assessment = assessment
        self._subject = {"reference": subject} if subject else None
        self._effective = effective

    def bundle(self, study_uid: str | None) -> Tree:
        """Gather all resources; the report comes first."""
        observations = dict(self._observations())
        resources = {
            "report": self._report(list(observations)),
            **observations,
            "study": self._study(study_uid),
            "device": self._device(),
        }
        return {
            "resourceType": "Bundle",
            "type": "collection",
            "entry": [
                {"fullUrl": self._url(name), "resource": resource}
                for name, resource in resources.items()
            ],
        }

    def _report(self, results: list[str]) -> Tree:
        scope = self._assessment.scope
        notes = [_DISCLAIMER, *(n.message for n in self._assessment.notices)]
        if not scope.in_scope:
            notes.insert(0, f"Out of scope: {' '.join(scope.reasons)}".strip())
        return self._about(
            "DiagnosticReport",
            status="preliminary" if scope.in_scope else "partial",
            category=[_concept(_V2_0074, "RAD", "Radiology")],
            code=_concept(_LOINC, "24627-2", "CT Chest"),
            study=[self._to("study")],
            result=[self._to(name) for name in results],
            conclusion=_conclusion(self._assessment),
            note=[{"text": text} for text in notes],
        )

    def _observations(self) -> list[tuple[str, Tree]]:
        found = self._assessment
        several = [
            (
                "count",
                self._observation(
                    _concept(OWN_SYSTEM, "nodules", "Number of nodules"),
                    valueInteger=len(found.nodules),
                ),
            )
        ]
        if found.cancer_probability.value is not None:
            chance = found.cancer_probability
            several.append(
                (
                    "probability",
                    self._observation(
                        _concept(DCM, "111047", "Probability of cancer"),
                        valueQuantity=_quantity(chance.value, "1"),
                        component=[_interval("cancer-probability-interval", chance)],
                    ),
                )
            )
        lung_rads, fleischner = found.guidelines.lung_rads, found.guidelines.fleischner
        category = (lung_rads or {}).get("category")
        for name, title, said, line in (
            ("lung_rads", "Lung-RADS v2022 category", category, lung_rads),
            ("fleischner", "Fleischner 2017 recommendation", advice(fleischner),
             fleischner),
        ):  # fmt: skip
            if said and line:
                several.append((name, self._advice(name, title, str(said), line)))
        several += [
            (f"nodule-{number}", self._nodule(nodule, number))
            for number, nodule in enumerate(found.nodules, start=1)
        ]
        return several

    def _advice(self, name: str, title: str, said: str, line: Tree) -> Tree:
        code = _concept(OWN_SYSTEM, name.replace("_", "-"), title)
        rule = {"note": [{"text": str(line["rule"])}]} if line.get("rule") else {}
        return self._observation(code, valueString=said, **rule)

    def _nodule(self, nodule: Nodule, number: int) -> Tree:
        code, display = _SIDES[nodule.side]
        place = _concept(SNOMED, code, display)
        if nodule.lobe:
            place["text"] = nodule.lobe
        return self._observation(
            _concept(SNOMED, "27925004", "Nodule", f"Nodule {number}"),
            bodySite=place,
            component=_measures(nodule),
        )

    def _study(self, study_uid: str | None) -> Tree:
        series: Tree = {
            "uid": self._assessment.series_uid,
            "modality": _concept(DCM, "CT", "Computed Tomography"),
        }
        known = {"system": "urn:dicom:uid", "value": f"urn:oid:{study_uid}"}
        return {
            "resourceType": "ImagingStudy",
            **({"identifier": [known]} if study_uid else {}),
            "status": "available",
            "subject": self._subject or {"extension": [_WITHHELD]},
            "series": [series],
        }

    def _device(self) -> Tree:
        run = self._assessment.provenance
        return {
            "resourceType": "Device",
            "name": [{"value": "hilum", "type": "registered-name", "display": True}],
            "type": [{"text": "software"}],
            "version": [{"value": run.version}],
            "property": [
                {"type": {"text": f"SHA-256 of {name}"}, "valueString": digest}
                for name, digest in run.weights.items()
            ],
            "note": [{"text": _DISCLAIMER}],
        }

    def _observation(self, code: Tree, **rest: Any) -> Tree:
        return self._about(
            "Observation",
            status="preliminary",
            category=[_concept(_CATEGORY, "imaging", "Imaging")],
            code=code,
            device=self._to("device"),
            derivedFrom=[self._to("study")],
            **rest,
        )

    def _about(self, kind: str, **rest: Any) -> Tree:
        """Add whom and when a resource is about, as far as it is known."""
        tree: Tree = {"resourceType": kind, **rest}
        if self._subject:
            tree["subject"] = self._subject
        if self._effective:
            tree["effectiveDateTime"] = self._effective
        return tree

    def _to(self, name: str) -> Tree:
        return {"reference": self._url(name)}

    def _url(self, name: str) -> str:
        return (
            f"urn:uuid:{uuid5(NAMESPACE_OID, f'{self._assessment.series_uid} {name}')}"
        )


_REFERENCE = re.compile(
    r"[A-Z][A-Za-z]+/[A-Za-z0-9.\-]{1,64}|urn:(uuid|oid):[0-9a-fA-F.\-]+|https?://\S+"
)
_CATEGORY = "http://terminology.hl7.org/CodeSystem/observation-category"
_V2_0074 = "http://terminology.hl7.org/CodeSystem/v2-0074"
_WITHHELD = {
    "url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason",
    "valueCode": "masked",
}


def _measures(nodule: Nodule) -> list[Tree]:
    """List what was measured of a nodule, and its malignancy where it is given."""
    several = [
        _measure(_concept(system, code, display), getattr(nodule, name), "mm")
        for name, system, code, display in _LENGTHS
    ]
    volume = _concept(SNOMED, "118565006", "Volume")
    several.append(_measure(volume, nodule.volume_mm3, "mm3"))
    for axis, value in zip("xyz", nodule.center_mm, strict=True):
        code = _concept(OWN_SYSTEM, f"center-{axis}", f"Centre, {axis}, DICOM LPS")
        several.append(_measure(code, value, "mm"))
    kind = _concept(OWN_SYSTEM, "kind", "Kind of nodule")
    several.append({"code": kind, "valueCodeableConcept": {"text": nodule.type}})
    score = _concept(OWN_SYSTEM, "detection-score", "Detection score, which ranks")
    several.append(_measure(score, nodule.detection_score, "1"))
    if nodule.malignancy.value is not None:
        rated = _concept(
            OWN_SYSTEM, "malignancy", "Probability that readers rate it malignant"
        )
        several.append(_measure(rated, nodule.malignancy.value, "1"))
        several.append(_interval("malignancy-interval", nodule.malignancy))
    return several


def _conclusion(assessment: Assessment) -> str:
    """Say in a sentence or two what the report holds."""
    count = len(assessment.nodules)
    nodules = f"{count or 'No'} nodule{'' if count == 1 else 's'} found."
    chance = assessment.cancer_probability
    said = (
        "" if assessment.scope.in_scope else "Out of scope; the figures do not hold. "
    )
    if chance.value is None or chance.low is None or chance.high is None:
        return f"{said}{nodules} No probability of lung cancer is given."
    return (
        f"{said}{nodules} Probability of lung cancer {chance.value:.3f} "
        f"({chance.low:.3f} to {chance.high:.3f})."
    )


def _concept(system: str, code: str, display: str, text: str | None = None) -> Tree:
    coding = {"system": system, "code": code, "display": display}
    return {"coding": [coding], "text": text or display}


def _quantity(value: float | None, unit: str) -> Tree:
    number = None if value is None else round(value, 6)
    return {"value": number, "unit": unit, "system": _UCUM, "code": unit}


def _measure(code: Tree, value: float, unit: str) -> Tree:
    return {"code": code, "valueQuantity": _quantity(value, unit)}


def _interval(code: str, chance: Probability) -> Tree:
    return {
        "code": _concept(OWN_SYSTEM, code, "Interval of the probability"),
        "valueRange": {
            "low": _quantity(chance.low, "1"),
            "high": _quantity(chance.high, "1"),
        },
    }


def _known_study(assessment: Assessment) -> str | None:
    """Find the Study Instance UID in what is known of the scan."""
    source = assessment.provenance.source
    made = source.get("acquisition")
    found = made.get("study_uid") if isinstance(made, dict) else None
    return str(found) if found else None
