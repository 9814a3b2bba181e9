"""What Lung-RADS was not told of a finding, and all that it may therefore be.

A stable or smaller nodule keeps or lowers the category that it had before, and a size
that crossed a threshold since makes it another. Without the prior that is not known;
then the finding may be whatever one of the priors would make of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from hilum.clinical.lungrads.finding import ScreeningFinding
from hilum.clinical.lungrads.rules import (
    ORDER,
    STEP_DOWN,
    Category,
    Verdict,
    judge_finding,
)

_LONG_MONTHS = 12.0
"""By then whatever steps down has done so."""


def untold_of(finding: ScreeningFinding) -> tuple[str, ...]:
    """Name what its category hangs on and was not told.

    Args:
        finding: As it was measured and described.

    Example:
        >>> untold_of(ScreeningFinding(kind="solid", diameter_mm=7, status="stable"))
        ('prior_category', 'prior_months')
    """
    said = []
    if _wall_untold(finding):
        said.append("cyst_change")
    if not _steps_down(finding):
        return tuple(said)
    prior = finding.prior_category
    if prior is None:
        said.append("prior_category")
    if finding.prior_months is None and (prior is None or prior in STEP_DOWN):
        said.append("prior_months")
    if prior is not None and _may_have_crossed(finding):
        said += [n for n in _sizes(finding) if getattr(finding, n) is None]
    return tuple(said)


def possible_of(finding: ScreeningFinding, said: Verdict) -> set[Category]:
    """Give all categories over what was not told.

    Args:
        finding: As it was measured and described.
        said: The verdict on it.

    Example:
        >>> seven = ScreeningFinding(kind="solid", diameter_mm=7, status="stable")
        >>> sorted(possible_of(seven, judge_finding(seven)))
        ['2', '3']
    """
    found = {said.category}
    if untold_of(finding):
        found |= {judge_finding(case).category for case in _cases(finding)}
    return found


def _cases(f: ScreeningFinding) -> Iterator[ScreeningFinding]:
    """List what the finding may be."""
    if _wall_untold(f):
        yield replace(f, cyst_change="wall")
    if not _steps_down(f):
        return
    by_size = replace(f, prior_category=None)
    if f.prior_category is None:
        # a nodule that is smaller now may have had any category before
        most = "4B" if f.status == "decreased" else judge_finding(by_size).category
        priors = ORDER[1 : ORDER.index(most) + 1]
    else:
        priors = (f.prior_category,)  # type: ignore[assignment]
        if _may_have_crossed(f):
            yield by_size
    months = (f.prior_months,) if f.prior_months is not None else (0.0, _LONG_MONTHS)
    for prior in priors:
        for since in months:
            yield replace(f, prior_category=prior, prior_months=since)


def _wall_untold(f: ScreeningFinding) -> bool:
    """Tell whether a thick-walled cyst grew, and nobody said what of it."""
    grew = "growing" in f.status and f.cyst_change == "none"
    return f.kind == "cyst" and f.cyst == "thick-walled" and grew


def _steps_down(f: ScreeningFinding) -> bool:
    """Tell whether the category hangs on that of the prior."""
    kinds = ("solid", "part-solid", "cyst")
    later = f.status in ("stable", "decreased")
    changed = f.cyst_change != "none"
    return later and f.kind in kinds and not (f.proven_benign or changed)


def _may_have_crossed(f: ScreeningFinding) -> bool:
    """Tell whether the size is of a higher category than that which would be kept."""
    if f.kind == "cyst" or all(getattr(f, n) is not None for n in _sizes(f)):
        return False
    by_size = judge_finding(replace(f, prior_category=None)).category
    return ORDER.index(by_size) > ORDER.index(judge_finding(f).category)


def _sizes(f: ScreeningFinding) -> tuple[str, ...]:
    """Name the sizes that tell whether a threshold was crossed since the prior."""
    whole = ("diameter_mm", "prior_diameter_mm")
    if f.kind == "part-solid":
        return (*whole, "solid_mm", "prior_solid_mm")
    return whole
