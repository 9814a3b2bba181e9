"""What guidelines say of nodules that were held against a prior.

Lung-RADS counts growth in millimetres of mean diameter: more than 1.5 mm within 12
months, of a part-solid nodule that of its solid part; over a longer time by what it
comes to in 12 months, and else as slow growth. Fleischner counts 2 mm. Both are of
what the comparison measured alike in both scans. The volume, which shows growth
earlier, names the change itself and gives the doubling time.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from hilum.clinical.facts import Facts
from hilum.clinical.fleischner import (
    Fleischner,
    FleischnerKind,
    FoundNodule,
    fleischner_later,
)
from hilum.clinical.lungrads import (
    ScreeningFinding,
    judge_exam,
    judge_finding,
    judge_sizes,
)
from hilum.clinical.lungrads.finding import Change as Status
from hilum.clinical.lungrads.growth import GROWTH_MONTHS, change_since
from hilum.clinical.lungrads.rules import ORDER
from hilum.findings import Change, Comparison, Guidelines, Nodule
from hilum.pipeline.doubts import (
    IN_ERROR,
    LEAST_MM,
    Case,
    Look,
    cases_of,
    error_of,
    kinds_of,
    looks_of,
    lung_rads_doubt,
)
from hilum.pipeline.guidelines import (
    SPICULATED_FROM,
    finding_of,
    fleischner_answer,
    fleischner_line,
)

DAYS_A_MONTH = 30.4375
GRACE_DAYS = 7.0
PRIOR_JUDGED = "category of the prior: judged here, as at baseline"


def follow_up(
    guidelines: Guidelines,
    nodules: Sequence[Nodule],
    facts: Facts,
    comparison: Comparison,
) -> Guidelines:
    """Let the guidelines that have rules for a follow-up use them.

    Args:
        guidelines: As without a prior.
        nodules: Of the current scan, the most suspicious first.
        facts: What is known of the patient.
        comparison: With the prior.
    """
    if not nodules:
        return guidelines
    judged = _judged(nodules, comparison)
    return replace(
        guidelines,
        lung_rads=_lung_rads_line(nodules, comparison, judged),
        fleischner=_fleischner_line(nodules, facts, comparison, judged),
    )


def status_since(change: Change | None, days: int) -> Status:
    """Tell what became of a nodule as Lung-RADS counts it.

    Args:
        change: Of the nodule; None: it was not held against a prior.
        days: Since the prior.
    """
    if change is None or change.now is None or change.status == "not-covered":
        return "baseline"
    if change.before is None:
        return "new"
    first, second = change.before.diameter_mm, change.now.diameter_mm
    if change.now.type == "part-solid":
        first = change.before.solid_diameter_mm
        second = change.now.solid_diameter_mm
    return _status_of(first, second, months_of(days))


def months_of(days: int) -> float:
    """Count months; an appointment up to a week off counts as kept.

    Example:
        >>> [round(months_of(days), 1) for days in (90, 175, 176, 372)]
        [3, 5.7, 6, 12]
    """
    whole = round(days / DAYS_A_MONTH)
    kept = abs(days - whole * DAYS_A_MONTH) <= GRACE_DAYS
    return whole if whole and kept else days / DAYS_A_MONTH


def followed_finding(
    nodule: Nodule, change: Change | None, days: int
) -> ScreeningFinding:
    """Describe a nodule as Lung-RADS asks at a follow-up.

    Args:
        nodule: Of the current scan.
        change: What became of it; None: it was not held against a prior.
        days: Since the prior.
    """
    finding = finding_of(nodule)
    status = status_since(change, days)
    if finding.kind == "benign" or status == "baseline":
        return finding
    if change is None or change.before is None:
        return replace(finding, status=status)
    before = finding_of(change.before)
    months = months_of(days)
    if before.kind != finding.kind:  # by error or not: what it was does not hold on
        return replace(finding, status=status, prior_months=months)
    now_mm = change.now.diameter_mm if change.now else nodule.diameter_mm
    return replace(
        finding,
        status=status,
        prior_category=judge_exam([before]).category,
        prior_months=months,
        # in the millimetres of the list, should the pair have been measured otherwise
        prior_diameter_mm=change.before.diameter_mm * nodule.diameter_mm / now_mm,
        prior_solid_mm=before.solid_mm,
    )


def _status_of(first_mm: float, second_mm: float, months: float) -> Status:
    """Tell growth from stability, also over more than 12 months."""
    first, second = max(first_mm, LEAST_MM), max(second_mm, LEAST_MM)
    if months > GROWTH_MONTHS and second > first:
        in_a_year = first + (second - first) * GROWTH_MONTHS / months
        if change_since(first, in_a_year, GROWTH_MONTHS) == "growing":
            return "growing"
    return change_since(first, second, months)


def _judged(nodules: Sequence[Nodule], comparison: Comparison) -> int:
    """Choose the nodule that the examination is judged by, as its number.

    The most suspicious, unless one that is new or grew is of a higher category: a
    finding that is no nodule is seldom either.
    """
    best, number = -1, 1
    for n, nodule in enumerate(nodules, start=1):
        change = comparison.change_of(n)
        status = status_since(change, comparison.days)
        if n > 1 and status not in ("new", "growing", "slowly-growing"):
            continue
        finding = followed_finding(nodule, change, comparison.days)
        rank = _rank(judge_exam([finding]).category)
        if rank > best:
            best, number = rank, n
    return number


def _lung_rads_line(
    nodules: Sequence[Nodule], comparison: Comparison, number: int
) -> dict[str, Any]:
    """Give the Lung-RADS category at this follow-up."""
    days = comparison.days
    nodule, change = nodules[number - 1], comparison.change_of(number)
    finding = followed_finding(nodule, change, days)
    exam = judge_exam([finding])
    line: dict[str, Any] = {
        "category": exam.category,
        "rule": exam.rule,
        "management": exam.management,
        "population": exam.population,
        **_doubt(nodule, change, finding, days),
        "nodule": number,
        "status": finding.status,
        "months": round(days / DAYS_A_MONTH, 1),
        "growth": "more than 1.5 mm of mean diameter within 12 months",
        "missing": [PRIOR_JUDGED] if finding.prior_category else [],
        **_each(nodules, comparison),
    }
    rated = nodule.attributes.spiculation
    if rated is not None and rated >= SPICULATED_FROM and exam.category in ("3", "4A"):
        line["look"] = f"spiculation rated {rated:.1f} of 5: a reader may call it 4X"
    return line


def _each(nodules: Sequence[Nodule], comparison: Comparison) -> dict[str, list[str]]:
    """Give what each nodule would be were it the only one, and what it may be."""
    days = comparison.days
    findings: list[str] = []
    possible: list[str] = []
    for number, nodule in enumerate(nodules, start=1):
        change = comparison.change_of(number)
        finding = followed_finding(nodule, change, days)
        findings.append(judge_finding(finding).category)
        possible.append(_doubt(nodule, change, finding, days)["possible"])
    return {"findings": findings, "findings_possible": possible}


def _doubt(
    nodule: Nodule, change: Change | None, finding: ScreeningFinding, days: int
) -> dict[str, Any]:
    """Give what else Lung-RADS may say of a nodule, and the rules that lead there."""
    return lung_rads_doubt(
        judge_finding(finding),
        _cases(nodule, change, finding, days),
        error_mm=error_of(nodule),
    )


def _cases(
    nodule: Nodule, change: Change | None, finding: ScreeningFinding, days: int
) -> list[Case]:
    """List what Lung-RADS may be asked of a nodule: other growth, another kind."""
    cases: list[Case] = [("", finding)]
    if finding.kind == "benign":  # were it none, it would be new, grown or stable too
        since = status_since(change, days)
        cases = [(w, replace(c, status=since)) for w, c in cases_of(nodule, finding)]
    why, first = cases[0]
    if change is not None and change.growth is not None:
        for status in change.possible:
            named: Status = {  # type: ignore[assignment]
                "grown": "growing",
                "shrunk": "decreased",
            }.get(status, "stable")
            if named == "growing" and months_of(days) > GROWTH_MONTHS:
                named = "slowly-growing"
            if named != first.status:
                were = f"{why}, and {named}" if why else f"were it {named}"
                cases.append((were, replace(first, status=named)))
    if change is not None and change.before is not None:
        cases += _other_priors(change.before, cases)
    return cases + [
        (f"{kind}, {why}" if why else kind, case)
        for why, one in cases
        for kind, case in cases_of(nodule, one)
    ]


def _other_priors(before: Nodule, cases: Sequence[Case]) -> list[Case]:
    """List what keeps or lowers the category of the prior, were that another one.

    The category of the prior rests on a measurement too, with an error of its own.

    Args:
        before: The nodule at the prior.
        cases: What Lung-RADS may be asked, with the category of the prior as measured.
    """
    was = finding_of(before)
    if was.diameter_mm is None:
        return []
    found = [v.category for v in judge_sizes(was, error_mm=error_of(before))]
    return [
        (
            f"{why + ', and ' if why else ''}were it {category} at the prior, "
            f"{IN_ERROR}",
            replace(case, prior_category=category),
        )
        for why, case in cases
        if case.prior_category is not None and case.status in ("stable", "decreased")
        for category in dict.fromkeys(found)
        if category != case.prior_category
    ]


def _rank(category: str) -> int:
    return next((n for n, c in enumerate(ORDER) if c == category), -1)


def _fleischner_line(
    nodules: Sequence[Nodule], facts: Facts, comparison: Comparison, number: int
) -> dict[str, Any] | None:
    """Give the advice of Fleischner 2017 at this follow-up."""
    nodule, change = nodules[number - 1], comparison.change_of(number)
    kind = nodule.type
    seen = change is not None and change.before is not None and change.now is not None
    if change is None or not seen:
        others = [n for k, n in enumerate(nodules, start=1) if k != number]
        line = fleischner_line([nodule, *others], facts)
        status = status_since(change, comparison.days)
        return None if line is None else {**line, "nodule": number, "status": status}
    before, now = change.before, change.now
    if before is None or now is None:
        return None

    def judge(look: Look) -> Fleischner:
        parts = look.kind == kind == "part-solid"
        off_mm = 0.0 if look.grew else look.off_mm  # of both scans alike
        size = max(now.diameter_mm + look.off_mm, LEAST_MM)
        part = now.solid_diameter_mm
        if part:  # one that cannot be measured stays so
            part = min(max(part + off_mm, LEAST_MM), size)
        return fleischner_later(
            FoundNodule(
                kind=look.kind,
                diameter_mm=size,
                solid_mm=part if parts else None,
                multiple=len(nodules) > 1,
            ),
            facts,
            prior_mm=max(before.diameter_mm + off_mm, LEAST_MM),
            prior_solid_mm=(
                max(before.solid_diameter_mm + off_mm, 0.0) if parts else None
            ),
            months=comparison.days / DAYS_A_MONTH,
        )

    looks = (*looks_of(nodule), *_growths(change, *kinds_of(nodule)[0]))
    return {**fleischner_answer(nodule, looks, judge), "nodule": number}


def _growths(change: Change, why: str, kind: FleischnerKind) -> tuple[Look, ...]:
    """List how a nodule may have grown: by the ends of the interval of its volume."""
    if change.growth is None or change.before is None or change.now is None:
        return ()
    before_mm, now_mm = change.before.diameter_mm, change.now.diameter_mm
    ends = (change.growth.low, change.growth.high)
    sizes = (before_mm * math.cbrt(max(1 + end, 0.0)) for end in ends)
    return tuple(Look(why, kind, size - now_mm, grew=True) for size in sizes)
