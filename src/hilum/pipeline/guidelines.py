"""What guidelines and clinical models say of what was found, each with its rule."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from hilum.clinical.facts import Facts
from hilum.clinical.fleischner import FoundNodule, fleischner, risk_group
from hilum.clinical.lungrads import ScreeningFinding, judge_exam, judge_range
from hilum.clinical.risk import BROCK_FACTS, estimate_mayo
from hilum.clinical.risk.estimate import middle_of
from hilum.errors import InputError
from hilum.findings import Guidelines, Nodule

ERROR_SHARE = 0.2
LEAST_ERROR_MM = 1.0
"""Half the width of the interval of a mean diameter, as a share of it but at least so
much: of 28 nodules in whole scans nine in ten measured 0.88 to 1.36 of what readers
drew; see docs on measurement."""

SPICULATED_FROM = 4.0
"""Rating of spiculation, 1 to 5, from which category 4X is thought of."""


def advise(
    nodules: Sequence[Nodule], clinical: Sequence[Nodule], facts: Facts
) -> Guidelines:
    """Ask each guideline and model about the most suspicious nodule.

    Args:
        nodules: The most suspicious first.
        clinical: The same with the probabilities of `BrockModel`.
        facts: What is known of the patient.
    """
    return Guidelines(
        lung_rads=lung_rads_line(nodules),
        fleischner=fleischner_line(nodules, facts),
        brock=brock_line(clinical, facts),
        mayo=mayo_line(nodules, facts),
    )


def lung_rads_line(nodules: Sequence[Nodule]) -> dict[str, Any]:
    """Give the Lung-RADS category of the most suspicious nodule, as at baseline.

    Args:
        nodules: The most suspicious first; none is category 1.

    Returns:
        Among others `category`, `possible` (the categories within the error of
        measurement and what the look could make of it) and `findings`, the category
        of each nodule were it the only one: a finding that is no nodule counts too.
    """
    exam = judge_exam([finding_of(n) for n in nodules[:1]])
    line: dict[str, Any] = {
        "category": exam.category,
        "rule": exam.rule,
        "management": exam.management,
        "population": exam.population,
    }
    if not nodules:
        return line
    low, high = _possible(nodules[0])
    line["possible"] = low if low == high else f"{low} to {high}"
    line["nodule"] = 1
    line["missing"] = ["prior CT: judged as at baseline"]
    rated = nodules[0].attributes.spiculation
    if rated is not None and rated >= SPICULATED_FROM and exam.category in ("3", "4A"):
        line["look"] = f"spiculation rated {rated:.1f} of 5: a reader may call it 4X"
    every = judge_exam([finding_of(n) for n in nodules])
    line["findings"] = [verdict.category for verdict in every.findings]
    return line


def fleischner_line(nodules: Sequence[Nodule], facts: Facts) -> dict[str, Any] | None:
    """Give the advice of Fleischner 2017 on the most suspicious nodule.

    Args:
        nodules: The most suspicious first.
        facts: What is known of the patient.

    Returns:
        None without nodules; `not_applicable` with the reason where it is not meant
        for the patient or the nodule.
    """
    if not nodules:
        return None
    first = nodules[0]
    kind = first.type
    if kind == "calcified":
        return {"not_applicable": "a calcified nodule: outside the guideline"}

    def ask() -> dict[str, Any]:
        nodule = FoundNodule(
            kind=kind,
            diameter_mm=first.diameter_mm,
            solid_mm=first.solid_diameter_mm if kind == "part-solid" else None,
            multiple=len(nodules) > 1,
        )
        return fleischner(nodule, facts, risk=risk_group(facts)).to_json()

    return or_why_not(ask)


def mayo_line(nodules: Sequence[Nodule], facts: Facts) -> dict[str, Any] | None:
    """Give what the Mayo model says of the most suspicious nodule.

    Args:
        nodules: The most suspicious first.
        facts: What is known of the patient.

    Returns:
        None without nodules; `not_applicable` with the reason where it is not meant
        for the patient or the nodule.
    """
    if not nodules:
        return None

    def ask() -> dict[str, Any]:
        said = estimate_mayo(facts, diameter_mm=nodules[0].diameter_mm)
        return {
            "model": said.model,
            "nodule": 1,
            "probability": middle_of(said.low, said.high).to_json(),
            "population": said.population,
            "missing": list(said.missing),
        }

    return or_why_not(ask)


def brock_line(nodules: Sequence[Nodule], facts: Facts) -> dict[str, Any] | None:
    """Say what the Brock model gives for the most suspicious nodule, and from what.

    Args:
        nodules: The most suspicious first, with malignancies by `BrockModel`.
        facts: What is known of the patient.

    Returns:
        None without nodules, and where the first is calcified: such nodules were
        outside the study.
    """
    if not nodules or nodules[0].type == "calcified":
        return None
    first = nodules[0]
    return {
        "model": "Brock (PanCan) 2a, McWilliams et al., NEJM 2013;369:910",
        "nodule": 1,
        "probability": first.malignancy.to_json(),
        "inputs": {
            "type": first.type,
            "diameter_mm": round(first.diameter_mm, 1),
            "count": len(nodules),
        },
        "missing": [*facts.missing_of(BROCK_FACTS), "lobe"],
    }


def finding_of(nodule: Nodule) -> ScreeningFinding:
    """Describe a nodule as Lung-RADS asks, as if at baseline."""
    if nodule.type == "calcified":
        return ScreeningFinding(kind="benign")
    part = min(nodule.solid_diameter_mm, nodule.diameter_mm)
    return ScreeningFinding(
        kind=nodule.type,
        diameter_mm=nodule.diameter_mm,
        solid_mm=part if nodule.type == "part-solid" else None,
    )


def error_of(nodule: Nodule) -> float:
    """Give half the width of the interval of a mean diameter, in mm."""
    return max(ERROR_SHARE * nodule.diameter_mm, LEAST_ERROR_MM)


def _possible(nodule: Nodule) -> tuple[str, str]:
    """Give the range of categories within the error of measurement."""
    error_mm = error_of(nodule)
    finding = finding_of(nodule)
    if finding.diameter_mm is None:  # calcified, and perhaps not in a benign pattern
        solid = ScreeningFinding(kind="solid", diameter_mm=nodule.diameter_mm)
        return "1", judge_range(solid, error_mm=error_mm)[1]
    return judge_range(finding, error_mm=error_mm)


def or_why_not(ask: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Ask a guideline; where it is not meant for the patient, say why."""
    try:
        return ask()
    except InputError as error:
        return {"not_applicable": str(error)}
