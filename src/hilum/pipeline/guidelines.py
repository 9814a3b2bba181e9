"""What guidelines and clinical models say of what was found, each with its rule."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from hilum.clinical.facts import Facts
from hilum.clinical.fleischner import FoundNodule, fleischner, risk_group
from hilum.clinical.lungrads import ScreeningFinding, judge_exam, judge_range
from hilum.clinical.lungrads.rules import ORDER
from hilum.clinical.population import brock_doubts, screening_doubts
from hilum.clinical.risk import BROCK_FACTS, BROCK_POPULATION, estimate_mayo
from hilum.clinical.risk.estimate import middle_of
from hilum.errors import InputError
from hilum.findings import Guidelines, Nodule
from hilum.stages.malignancy import looks_solid, looks_subsolid

_UNTOLD_SHARE, _UNTOLD_MM = 0.2, 1.0
"""Half the width of the interval of a diameter whose error was not told, as of a
result of an older version: a share of it, but at least so much."""

_SMOOTH_AT_MOST = 2.0
_SHARP_FROM = 3.5
_OVAL_AT_MOST = 0.85
"""Ratings of lobulation and spiculation, that of the margin, and the short axis by the
long one, of a nodule that is smooth and oval."""

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
        lung_rads=lung_rads_line(nodules, facts),
        fleischner=fleischner_line(nodules, facts),
        brock=brock_line(clinical, facts),
        mayo=mayo_line(nodules, facts),
    )


def lung_rads_line(
    nodules: Sequence[Nodule], facts: Facts | None = None
) -> dict[str, Any]:
    """Give the Lung-RADS category of the most suspicious nodule, as at baseline.

    Args:
        nodules: The most suspicious first; none is category 1.
        facts: What is known of the patient, to doubt whether screening is meant.

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
    doubts = screening_doubts(facts or Facts())
    if doubts:
        line["doubts"] = list(doubts)
    if not nodules:
        return line
    low, high = _possible(nodules[0])
    line["possible"] = low if low == high else f"{low} to {high}"
    line["nodule"] = 1
    line["missing"] = ["prior CT: judged as at baseline"]
    if nodules[0].juxtapleural and nodules[0].type == "solid":
        line["juxtapleural"] = _SHAPES[_smooth_and_oval(nodules[0])]
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
        said = estimate_mayo(
            facts,
            diameter_mm=nodules[0].diameter_mm,
            upper_lobe=nodules[0].upper_lobe,
        )
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
    first, doubts = nodules[0], brock_doubts(facts)
    told = {} if first.upper_lobe is None else {"upper_lobe": first.upper_lobe}
    missing = [*facts.missing_of(BROCK_FACTS), *([] if told else ["lobe"])]
    if len(nodules) > 1:
        missing.append("how many of the others are nodules")
    line = {
        "model": "Brock (PanCan) 2a, McWilliams et al., NEJM 2013;369:910",
        "nodule": 1,
        "probability": first.malignancy.to_json(),
        "inputs": {
            "type": first.type,
            "diameter_mm": round(first.diameter_mm, 1),
            "count": len(nodules),
            **told,
        },
        "population": BROCK_POPULATION,
        "missing": missing,
    }
    if doubts:
        line["doubts"] = list(doubts)
    return line


def finding_of(nodule: Nodule) -> ScreeningFinding:
    """Describe a nodule as Lung-RADS asks, as if at baseline."""
    if nodule.type == "calcified":
        return ScreeningFinding(kind="benign")
    part = min(nodule.solid_diameter_mm, nodule.diameter_mm)
    return ScreeningFinding(
        kind=nodule.type,
        diameter_mm=nodule.diameter_mm,
        solid_mm=part if nodule.type == "part-solid" else None,
        juxtapleural=bool(nodule.juxtapleural and _smooth_and_oval(nodule)),
    )


def error_of(nodule: Nodule) -> float:
    """Give half the width of the interval of a mean diameter, in mm."""
    if nodule.diameter_error_mm is not None:
        return nodule.diameter_error_mm
    return max(_UNTOLD_SHARE * nodule.diameter_mm, _UNTOLD_MM)


def _possible(nodule: Nodule) -> tuple[str, str]:
    """Give the range of categories within the error of measurement."""
    error_mm = error_of(nodule)
    finding = finding_of(nodule)
    if finding.diameter_mm is None:  # calcified, and perhaps not in a benign pattern
        solid = ScreeningFinding(kind="solid", diameter_mm=nodule.diameter_mm)
        return "1", judge_range(solid, error_mm=error_mm)[1]
    shapes = {finding.juxtapleural}
    if nodule.juxtapleural and _smooth_and_oval(nodule) is not False:
        shapes = {False, True}  # a reader may see another shape
    findings = [replace(finding, juxtapleural=shape) for shape in shapes]
    findings += kinds_in_doubt(nodule, finding)
    found = [
        ORDER.index(category)
        for one in findings
        for category in judge_range(one, error_mm=error_mm)
    ]
    return ORDER[min(found)], ORDER[max(found)]


def kinds_in_doubt(nodule: Nodule, finding: ScreeningFinding) -> list[ScreeningFinding]:
    """Give a finding as of the other kind that the rating of its texture speaks for.

    What a prior was judged as says nothing of another kind.

    Args:
        nodule: Measured and rated.
        finding: What Lung-RADS is asked of it, with a diameter.

    Returns:
        Empty where density and rating agree.
    """
    other = replace(
        finding, prior_category=None, prior_diameter_mm=None, prior_solid_mm=None
    )
    if looks_subsolid(nodule):  # with a solid part between nothing and all of it
        return [
            replace(other, kind="part-solid", solid_mm=part, juxtapleural=False)
            for part in (0.0, nodule.diameter_mm)
        ]
    if looks_solid(nodule):
        return [replace(other, kind="solid", solid_mm=None)]
    return []


_SHAPES = {
    True: "at the pleura, rated smooth, and oval: category 2 below 10 mm",
    False: "at the pleura, rated neither smooth nor sharp: judged by its size",
    None: "at the pleura; a reader who finds it smooth, and oval, lentiform or "
    "triangular, may call it 2 below 10 mm",
}


def _smooth_and_oval(nodule: Nodule) -> bool | None:
    """Tell whether a nodule is smooth and oval; None where that is not clear."""
    look = nodule.attributes
    if look.spiculation is None or look.lobulation is None or look.margin is None:
        return None
    if max(look.spiculation, look.lobulation) > _SMOOTH_AT_MOST:
        return False
    if look.margin < _SHARP_FROM:
        return False
    oval = nodule.short_axis_mm <= _OVAL_AT_MOST * nodule.long_axis_mm
    return True if oval else None


def or_why_not(ask: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Ask a guideline; where it is not meant for the patient, say why."""
    try:
        return ask()
    except InputError as error:
        return {"not_applicable": str(error)}
