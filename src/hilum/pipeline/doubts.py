"""What a guideline would say were a nodule larger, smaller or of another kind.

Sizes have an error, and where density and rating disagree the kind is in doubt. Both
travel on into what a guideline leaves possible, each with the rule that would fire.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from hilum.clinical.facts import Facts
from hilum.clinical.fleischner import Fleischner, FleischnerKind
from hilum.clinical.lungrads import ScreeningFinding, Verdict, judge_sizes
from hilum.clinical.lungrads.rules import ORDER
from hilum.clinical.risk import brock_range
from hilum.findings import Nodule, NoduleType
from hilum.stages.malignancy import kinds_rated

IN_ERROR = "within the error of measurement"
IN_GROWTH = "within the interval of its growth"
NOT_BENIGN = "were its calcification of no benign pattern"
OTHER_SHAPE = "were its shape judged otherwise"

_UNTOLD_SHARE, _UNTOLD_MM = 0.2, 1.0
"""Half the width of the interval of a diameter whose error was not told, as of a
result of an older version: a share of it, but at least so much."""

LEAST_MM = 0.1
"""No size within an error is below this."""

Case = tuple[str, ScreeningFinding]
"""Why it might be so, "" for what was measured; and what Lung-RADS is asked then."""


@dataclass(frozen=True, slots=True)
class Look:
    """A nodule as it might be.

    Attributes:
        why: In words; "" for the kind that was measured.
        kind: Solid, part-solid or ground-glass.
        off_mm: By how much its diameter is larger than measured.
        grew: Whether it is the change since the prior that is off, not both sizes.
    """

    why: str
    kind: FleischnerKind
    off_mm: float
    grew: bool = False

    @property
    def words(self) -> str:
        """Say why it might be so; "" as it was measured."""
        if self.grew:
            return f"{self.why}, {IN_GROWTH}" if self.why else IN_GROWTH
        return _in_error(self.why, self.off_mm)


def error_of(nodule: Nodule) -> float:
    """Give half the width of the interval of a mean diameter, in mm."""
    if nodule.diameter_error_mm is not None:
        return nodule.diameter_error_mm
    return max(_UNTOLD_SHARE * nodule.diameter_mm, _UNTOLD_MM)


def sizes_of(nodule: Nodule) -> tuple[float, float]:
    """Give the least and the largest diameter within the error of measurement."""
    off = error_of(nodule)
    return max(nodule.diameter_mm - off, LEAST_MM), nodule.diameter_mm + off


def kinds_of(nodule: Nodule) -> tuple[tuple[str, FleischnerKind], ...]:
    """List the kinds that a nodule may have, and why; the measured one first.

    Args:
        nodule: Measured and rated.

    Returns:
        Why, "" for the measured kind, and the kind. Of a calcified nodule only what
        it would be, were the calcification of no benign pattern.
    """
    if nodule.type == "calcified":
        return ((NOT_BENIGN, "solid"),)
    others = tuple((_were(kind), kind) for kind in kinds_rated(nodule))
    return (("", nodule.type), *others)


def looks_of(nodule: Nodule) -> tuple[Look, ...]:
    """List what a nodule may be in kind and size, as it was measured first.

    Args:
        nodule: Measured and rated.
    """
    least, most = (size - nodule.diameter_mm for size in sizes_of(nodule))
    return tuple(
        Look(why, kind, off_mm)
        for why, kind in kinds_of(nodule)
        for off_mm in (0.0, least, most)
    )


def cases_of(nodule: Nodule, finding: ScreeningFinding) -> list[Case]:
    """List a finding as of each kind that it may have; what was measured is not in it.

    What a prior was judged as says nothing of another kind.

    Args:
        nodule: Measured and rated.
        finding: What Lung-RADS is asked of it.
    """
    other = replace(
        finding, prior_category=None, prior_diameter_mm=None, prior_solid_mm=None
    )
    if finding.diameter_mm is None:  # calcified: asked as at baseline
        solid = ScreeningFinding(kind="solid", diameter_mm=nodule.diameter_mm)
        return [(NOT_BENIGN, solid)]
    cases: list[Case] = []
    for kind in kinds_rated(nodule):
        parts: tuple[float | None, ...] = (None,)
        if kind == "part-solid":  # its solid part is between nothing and all of it
            parts = (0.0, nodule.diameter_mm)
        cases += [
            (
                _were(kind),
                replace(
                    other,
                    kind=kind,
                    solid_mm=part,
                    juxtapleural=finding.juxtapleural and kind == "solid",
                ),
            )
            for part in parts
        ]
    return cases


def lung_rads_doubt(
    said: Verdict, cases: Sequence[Case], *, error_mm: float
) -> dict[str, Any]:
    """Give the range of categories, and the rules that lead to the others.

    Args:
        said: The verdict on what was measured.
        cases: What was measured, and what else it may be.
        error_mm: Half the width of the interval of the diameter.

    Returns:
        `possible`, and `other_rules` where there are any: one for each category that
        another kind has, and for each that differs from the verdict.
    """
    rules: dict[tuple[str, str], str] = {}
    found = {ORDER.index(said.category)}
    for why, finding in cases:
        measured, smaller, larger = judge_sizes(finding, error_mm=error_mm)
        for verdict, by in ((measured, 0.0), (smaller, -error_mm), (larger, error_mm)):
            found.add(ORDER.index(verdict.category))
            if why or verdict.category != said.category:
                text = f"{_in_error(why, by)}: {verdict.rule}"
                rules.setdefault((why, verdict.category), text)
    low, high = ORDER[min(found)], ORDER[max(found)]
    possible = low if low == high else f"{low} to {high}"
    return {"possible": possible, **_others(rules.values())}


def fleischner_doubt(
    said: Fleischner | None,
    looks: Iterable[Look],
    ask: Callable[[Look], Fleischner],
    *,
    kind: NoduleType,
) -> dict[str, Any]:
    """Give all that may be advised, and the rules that lead to the others.

    Args:
        said: What is advised on the nodule as measured; None: nothing is.
        looks: What the nodule may be.
        ask: Asks for the advice on one of them.
        kind: As it was measured.

    Returns:
        `possible`, and `other_rules` where there are any, as of Lung-RADS.
    """
    measured = said.possible if said else ()
    possible = dict.fromkeys(measured)
    rules: dict[tuple[str, bool, tuple[str, ...]], str] = {}
    for look in looks:
        advice = ask(look)
        possible |= dict.fromkeys(advice.possible)
        if look.kind != kind or advice.possible != measured:
            key = look.why, look.grew, advice.possible
            rules.setdefault(key, f"{look.words}: {advice.rule}")
    return {"possible": list(possible), **_others(rules.values())}


def brock_doubt(nodule: Nodule, facts: Facts, *, count: int) -> dict[str, Any]:
    """Give the range of the Brock model over sizes and kinds, and each other kind's.

    Args:
        nodule: Measured and rated, with its malignancy by `BrockModel`.
        facts: What is known of the patient.
        count: Findings of the series.

    Returns:
        `possible` with `low` and `high`, and `other_rules` where there are any.
    """

    def range_of(kind: FleischnerKind, diameter_mm: float) -> tuple[float, float]:
        risk = brock_range(
            facts,
            diameter_mm=diameter_mm,
            type=kind,
            count=count,
            fewest=1,
            upper_lobe=nodule.upper_lobe,
        )
        return risk.low or 0.0, risk.high or 0.0

    least, most = sizes_of(nodule)
    (_, measured), *others = kinds_of(nodule)
    kinds = (measured, *(kind for _, kind in others))
    low = min(range_of(kind, least)[0] for kind in kinds)
    high = max(range_of(kind, most)[1] for kind in kinds)
    sized = range_of(measured, least)[0], range_of(measured, most)[1]
    rules = [
        f"{why}: {_span(range_of(kind, nodule.diameter_mm))}" for why, kind in others
    ]
    rules.append(f"{IN_ERROR}, {least:.1f} to {most:.1f} mm: {_span(sized)}")
    return {"possible": {"low": low, "high": high}, **_others(rules)}


def _span(ends: tuple[float, float]) -> str:
    low, high = ends
    return f"{100 * low:.2g} to {100 * high:.2g} %"


def _were(kind: str) -> str:
    return f"were it {kind}, as its rated texture has it"


def _in_error(why: str, off_mm: float) -> str:
    if not off_mm:
        return why
    return f"{why}, {IN_ERROR}" if why else IN_ERROR


def _others(rules: Iterable[str]) -> dict[str, list[str]]:
    listed = list(rules)
    return {"other_rules": listed} if listed else {}
