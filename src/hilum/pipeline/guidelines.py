"""What guidelines and clinical models say of what was found, each with its rule."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from hilum.clinical.facts import Facts
from hilum.clinical.fleischner import (
    Fleischner,
    FoundNodule,
    fleischner,
    risk_group,
)
from hilum.clinical.lungrads import ScreeningFinding, judge_exam
from hilum.clinical.population import brock_doubts, screening_doubts
from hilum.clinical.risk import BROCK_FACTS, BROCK_POPULATION, estimate_mayo
from hilum.clinical.risk.estimate import RiskEstimate, middle_of
from hilum.clinical.risk.mayo import MAYO_SIZES_MM
from hilum.errors import InputError
from hilum.findings import Guidelines, Nodule
from hilum.pipeline.doubts import (
    OTHER_SHAPE,
    Case,
    Look,
    brock_doubt,
    cases_of,
    error_of,
    fleischner_doubt,
    looks_of,
    lung_rads_doubt,
    sizes_of,
)

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
        measurement and what look and kind could make of it), `other_rules` (what
        leads to those) and `findings`, the category of each nodule were it the only
        one: a finding that is no nodule counts too; `findings_possible` is what each
        of them may be.
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
    line |= lung_rads_doubt(
        exam.findings[0], _cases(nodules[0]), error_mm=error_of(nodules[0])
    )
    line["nodule"] = 1
    line["missing"] = ["prior CT: judged as at baseline"]
    if nodules[0].juxtapleural and nodules[0].type == "solid":
        line["juxtapleural"] = _SHAPES[_smooth_and_oval(nodules[0])]
    rated = nodules[0].attributes.spiculation
    if rated is not None and rated >= SPICULATED_FROM and exam.category in ("3", "4A"):
        line["look"] = f"spiculation rated {rated:.1f} of 5: a reader may call it 4X"
    every = judge_exam([finding_of(n) for n in nodules])
    line["findings"] = [verdict.category for verdict in every.findings]
    line["findings_possible"] = [
        lung_rads_doubt(verdict, _cases(n), error_mm=error_of(n))["possible"]
        for n, verdict in zip(nodules, every.findings, strict=True)
    ]
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

    def judge(look: Look) -> Fleischner:
        measured = look.kind == first.type == "part-solid"
        size = first.diameter_mm + look.off_mm
        part = min(first.solid_diameter_mm + look.off_mm, size)
        nodule = FoundNodule(
            kind=look.kind,
            diameter_mm=size,
            solid_mm=max(part, 0.0) or None if measured else None,
            multiple=len(nodules) > 1,
        )
        return fleischner(nodule, facts, risk=risk_group(facts))

    return fleischner_answer(first, looks_of(first), judge)


def fleischner_answer(
    nodule: Nodule, looks: Sequence[Look], judge: Callable[[Look], Fleischner]
) -> dict[str, Any]:
    """Give what Fleischner 2017 advises on one nodule, and what else it might.

    Args:
        nodule: The one.
        looks: What it may be, as measured first unless it is calcified.
        judge: Asks for the advice on each; who is not among those for whom the
            guideline is meant is refused.
    """

    def ask() -> dict[str, Any]:
        if nodule.type == "calcified":
            outside = "a calcified nodule: outside the guideline"
            doubt = fleischner_doubt(None, looks, judge, kind=nodule.type)
            return {"not_applicable": outside, **doubt}
        said = judge(looks[0])
        doubt = fleischner_doubt(said, looks[1:], judge, kind=nodule.type)
        return said.to_json() | doubt

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

    first = nodules[0]

    def estimate(diameter_mm: float) -> RiskEstimate:
        return estimate_mayo(
            facts, diameter_mm=diameter_mm, upper_lobe=first.upper_lobe
        )

    def ask() -> dict[str, Any]:
        said = estimate(first.diameter_mm)
        smaller, larger = (
            estimate(min(max(size, MAYO_SIZES_MM[0]), MAYO_SIZES_MM[1]))
            for size in sizes_of(first)
        )
        return {
            "model": said.model,
            "nodule": 1,
            "probability": middle_of(said.low, said.high).to_json(),
            "possible": {"low": smaller.low, "high": larger.high},
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
        **brock_doubt(first, facts, count=len(nodules)),
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


def _cases(nodule: Nodule) -> list[Case]:
    """List what Lung-RADS may be asked of a nodule."""
    finding = finding_of(nodule)
    if finding.kind == "benign":
        return cases_of(nodule, finding)
    cases: list[Case] = [("", finding)]
    if nodule.juxtapleural and _smooth_and_oval(nodule) is not False:
        other = not finding.juxtapleural  # a reader may see another shape
        cases.append((OTHER_SHAPE, replace(finding, juxtapleural=other)))
    return cases + cases_of(nodule, finding)


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
