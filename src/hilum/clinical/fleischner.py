"""Fleischner 2017: what follows a nodule that was found by chance, then and later.

Diameters are means of long and short axis, rounded to whole millimetres; 6 to 8 mm
includes both ends. Volumes: below 100, 100 to 250, above 250 mm³.

Sources:
    MacMahon et al., Radiology 2017;284:228.
    Bankier et al., Radiology 2017;285:584: a mean diameter that changed by 2 mm or
    more has changed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, get_args

from hilum.clinical.facts import Facts
from hilum.clinical.rounding import SIZES, check_size, round_half_up
from hilum.errors import InputError
from hilum.findings import Record

FleischnerKind = Literal["solid", "part-solid", "ground-glass"]
RiskGroup = Literal["low", "high"]

YOUNGEST_YEARS = 35.0
GROWTH_MM = 2.0
"""A mean diameter, in whole mm, that increased by so much has grown."""

POPULATION = (
    "adults from 35 years with nodules found by chance: no screening, no known "
    "cancer, not immunosuppressed"
)
_ASKED = ("age_years", "known_cancer", "immunosuppressed")
_NONE = "no routine follow-up"
_OPTIONAL = "optional CT at 12 months"
_LARGE = "consider CT at 3 months, PET/CT, or tissue sampling"
_SOLID: dict[tuple[bool, RiskGroup], tuple[str, str, str]] = {
    (False, "low"): (
        _NONE,
        "CT at 6 to 12 months, then consider CT at 18 to 24 months",
        _LARGE,
    ),
    (False, "high"): (
        _OPTIONAL,
        "CT at 6 to 12 months, then CT at 18 to 24 months",
        _LARGE,
    ),
    (True, "low"): (
        _NONE,
        "CT at 3 to 6 months, then consider CT at 18 to 24 months",
        "CT at 3 to 6 months, then consider CT at 18 to 24 months",
    ),
    (True, "high"): (
        _OPTIONAL,
        "CT at 3 to 6 months, then CT at 18 to 24 months",
        "CT at 3 to 6 months, then CT at 18 to 24 months",
    ),
}
_GLASS = (_NONE, "CT at 6 to 12 months to confirm, then CT every 2 years until 5 years")
_PART = (
    _NONE,
    "CT at 3 to 6 months; if unchanged and the solid part below 6 mm, yearly CT for 5 "
    "years; a persistent solid part of 6 mm or more is highly suspicious",
)
_MANY = (
    "CT at 3 to 6 months; if stable consider CT at 2 and 4 years",
    "CT at 3 to 6 months, then by the most suspicious nodule",
)


_GROWN = "further work-up: PET/CT, tissue sampling or resection"
_SOLID_DONE = "no further routine follow-up: stable for 18 months or more"
_SOLID_ON = "CT at 18 to 24 months after the first"
_GLASS_ON = "persists: CT every 2 years until 5 years after the first"
_PART_ON = "persists, solid part below 6 mm: yearly CT until 5 years after the first"
_PART_LARGE = (
    "persists, solid part of 6 mm or more: highly suspicious; consider PET/CT, tissue "
    "sampling or resection"
)
_PART_SAID = ", solid part {:g} mm (highly suspicious if persistent)"
_MANY_ON = "persists: consider CT at 2 and 4 years"
_SUBSOLID_DONE = "no further routine follow-up: stable for 5 years"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleischner(Record):
    """What Fleischner 2017 advises.

    Attributes:
        recommendation: In its words; None when it hangs on a fact that is missing.
        rule: The rule that fired, with the numbers.
        possible: What it would be over all that is missing, and by a volume that was
            given beside the diameter.
        population: For whom it is meant.
        missing: Names of the facts that were not told.
    """

    recommendation: str | None
    rule: str
    possible: tuple[str, ...]
    population: str = POPULATION
    missing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundNodule(Record):
    """The nodule that is judged: the most suspicious when there are several.

    Attributes:
        kind: Solid, part-solid or ground-glass.
        diameter_mm: Mean of long and short axis.
        volume_mm3: In place of the diameter; where both are given the diameter
            counts, and the rule says so and whether the volume would lead elsewhere.
        solid_mm: Diameter of the solid part of a part-solid nodule; None: not known.
        multiple: There is more than one.

    Raises:
        InputError: There is no size, the kind is unknown, or the solid part is larger
            than the whole.
    """

    kind: FleischnerKind
    diameter_mm: float | None = None
    volume_mm3: float | None = None
    solid_mm: float | None = None
    multiple: bool = False

    def __post_init__(self) -> None:
        """Refuse what cannot be judged."""
        if self.kind not in get_args(FleischnerKind):
            raise InputError(
                f"Fleischner knows {', '.join(get_args(FleischnerKind))}; got "
                f"{self.kind!r}."
            )
        check_size(self.diameter_mm, "`diameter_mm`", "mm")
        check_size(self.volume_mm3, "`volume_mm3`", "mm³")
        if self.diameter_mm is None and self.volume_mm3 is None:
            raise InputError("A nodule needs its mean diameter or its volume.")
        if self.solid_mm is not None and not (
            0 <= self.solid_mm <= (self.diameter_mm or SIZES["mm"][1])
        ):
            whole = (
                "1000 mm" if self.diameter_mm is None else f"{self.diameter_mm:g} mm"
            )
            raise InputError(
                f"The solid part must lie in 0 to {whole}, the whole nodule; got "
                f"{self.solid_mm} mm."
            )


def fleischner(
    nodule: FoundNodule, facts: Facts | None = None, *, risk: RiskGroup | None = None
) -> Fleischner:
    """Advise on a nodule that was found by chance.

    Args:
        nodule: The nodule, or the most suspicious of several.
        facts: The patient; who is too young, has a cancer or is immunosuppressed is
            refused. What is not told is named in the result.
        risk: Of the patient, low or high; None: both are given where they differ.

    Raises:
        InputError: The guideline is not meant for the patient.

    Example:
        >>> fleischner(FoundNodule(kind="solid", diameter_mm=8.4), risk="low").rule
        'single solid, low risk, 8 mm: 6 to 8 mm -> CT at 6 to 12 months, then \
consider CT at 18 to 24 months'
    """
    facts = facts or Facts()
    _check(facts)
    if risk not in (None, "low", "high"):
        raise InputError(f"Risk must be low or high; got {risk!r}.")
    said, advice = _schedule(nodule, risk)
    possible, by_volume = advice, _by_volume(nodule)
    if by_volume is not None:
        other, more = _schedule(by_volume, risk)
        possible = tuple(dict.fromkeys(advice + more))
        said += _beside(nodule, "the same" if possible == advice else other)
    unknown = ("risk",) if nodule.kind == "solid" and not risk else ()
    return Fleischner(
        recommendation=advice[0] if len(advice) == 1 else None,
        rule=said,
        possible=possible,
        missing=facts.missing_of(_ASKED) + unknown,
    )


def _schedule(
    nodule: FoundNodule, risk: RiskGroup | None
) -> tuple[str, tuple[str, ...]]:
    """Give the rule that fires at first sight, and its advice for each risk."""
    step, said = _step(nodule)
    number = "multiple" if nodule.multiple else "single"
    if nodule.kind == "solid":
        groups: tuple[RiskGroup, ...] = (risk,) if risk else ("low", "high")
        advice = tuple(dict.fromkeys(_SOLID[nodule.multiple, g][step] for g in groups))
        head = f"{number} solid, {risk or 'unknown'} risk"
    else:
        table = _MANY if nodule.multiple else _GLASS
        if not nodule.multiple and nodule.kind == "part-solid":
            table = _PART
        advice = (table[min(step, 1)],)
        head = f"{number} {'subsolid' if nodule.multiple else nodule.kind}"
        said = said if step == 0 else said.split(": ")[0] + ": >= 6 mm (100 mm³)"
    if step and _large_part(nodule):
        head += _PART_SAID.format(_whole(nodule.solid_mm or 0.0))
    return f"{head}, {said} -> {' or '.join(advice)}", advice


def fleischner_later(
    nodule: FoundNodule,
    facts: Facts | None = None,
    *,
    prior_mm: float,
    prior_solid_mm: float | None = None,
    months: float,
) -> Fleischner:
    """Advise on a nodule that was there at an earlier CT.

    The schedule counts from the first CT; here that is the prior, and an earlier one
    is named as missing. Smaller nodules that stay as they are need nothing. Of a
    part-solid nodule whose solid part is not known both advices are given.

    Args:
        nodule: As it is now.
        facts: The patient; as for `fleischner`.
        prior_mm: Its mean diameter at the prior.
        prior_solid_mm: That of its solid part; None: not known.
        months: Since the prior.

    Raises:
        InputError: The guideline is not meant for the patient, the nodule has no
            diameter, or the prior's or the time is not above 0.

    Example:
        >>> now = FoundNodule(kind="solid", diameter_mm=7.2)
        >>> fleischner_later(now, prior_mm=7.0, months=20).recommendation
        'no further routine follow-up: stable for 18 months or more'
    """
    facts = facts or Facts()
    _check(facts)
    check_size(prior_mm, "The prior diameter", "mm")
    check_size(months, "The time between", "months")
    now_mm = nodule.diameter_mm
    if now_mm is None:
        raise InputError("A nodule that is followed up needs its mean diameter.")
    more = _growth_mm((prior_mm, now_mm), (prior_solid_mm, nodule.solid_mm))
    grown = more >= GROWTH_MM
    said = f"grown by {more:g} mm" if grown else "stable"
    said = "smaller" if more <= -GROWTH_MM else said
    advice = (_GROWN,) if grown else _when_stable(nodule, months)
    head = f"{nodule.kind}, {prior_mm:.1f} to {now_mm:.1f} mm in {months:.1f} months"
    rule = f"{head}: {said} (growth: {GROWTH_MM:g} mm or more) -> {' or '.join(advice)}"
    possible, by_volume = advice, _by_volume(nodule)
    if by_volume is not None:  # without that of the prior it tells nothing of growth
        others = () if grown else _when_stable(by_volume, months)
        possible = tuple(dict.fromkeys(advice + others))
        same = possible == advice
        rule += _beside(nodule, "the same" if same else " or ".join(others))
    part = ("solid part",) if len(advice) > 1 else ()
    return Fleischner(
        recommendation=advice[0] if len(advice) == 1 else None,
        rule=rule,
        possible=possible,
        missing=(*facts.missing_of(_ASKED), *part, "CT before the prior"),
    )


def _growth_mm(
    whole_mm: tuple[float, float], part_mm: tuple[float | None, float | None]
) -> float:
    """Say by how many whole mm a nodule or its solid part grew, then and now."""
    before, now = whole_mm
    more = _whole(now) - _whole(before)
    part_before, part_now = part_mm
    if part_before is None or part_now is None:
        return more
    return max(more, _whole(part_now) - _whole(part_before))


def _when_stable(nodule: FoundNodule, months: float) -> tuple[str, ...]:
    """Say what is left of the schedule of a nodule that did not grow.

    Two advices where it hangs on a solid part that is not known.
    """
    small = _step(nodule)[0] == 0
    if small and not (nodule.multiple and nodule.kind != "solid"):
        return (_NONE,)
    if nodule.kind == "solid":
        return (_SOLID_DONE if months >= 18 else _SOLID_ON,)
    if _large_part(nodule):
        return (_PART_LARGE,)
    on = _PART_ON if nodule.kind == "part-solid" else _GLASS_ON
    if small:
        on = _MANY_ON
    if months >= 60:
        on = _SUBSOLID_DONE
    unknown = nodule.kind == "part-solid" and nodule.solid_mm is None and not small
    return (on, _PART_LARGE) if unknown else (on,)


def _large_part(nodule: FoundNodule) -> bool:
    """Tell whether a solid part is known to have 6 mm, in whole mm as all sizes."""
    return nodule.solid_mm is not None and _whole(nodule.solid_mm) >= 6


def _whole(diameter_mm: float) -> float:
    return round_half_up(diameter_mm, "1")


def risk_group(facts: Facts) -> RiskGroup | None:
    """Take a patient who smoked for high risk; None when that is not known.

    Others may be at high risk too (family history, emphysema, upper lobe,
    spiculation); low is said only of who never smoked and has neither of the first.
    """
    if facts.ever_smoker or facts.family_history or facts.emphysema:
        return "high"
    known = (facts.ever_smoker, facts.family_history, facts.emphysema)
    return None if None in known else "low"


def _check(facts: Facts) -> None:
    """Refuse whom the guideline is not meant for."""
    if facts.age_years is not None and facts.age_years < YOUNGEST_YEARS:
        raise InputError(
            f"Fleischner 2017 holds from {YOUNGEST_YEARS:g} years on; got "
            f"{facts.age_years:g}. Nodules of younger patients are judged one by one."
        )
    if facts.known_cancer:
        raise InputError(
            "Fleischner 2017 does not hold for patients with a known cancer. Follow "
            "the guideline of that cancer."
        )
    if facts.immunosuppressed:
        raise InputError(
            "Fleischner 2017 does not hold for immunosuppressed patients. Think of "
            "infection; follow by the clinical situation."
        )


def _step(nodule: FoundNodule) -> tuple[int, str]:
    """Say on which of three steps a size stands: below 6 mm, to 8 mm, above."""
    if nodule.diameter_mm is not None:
        value, unit, low, high = round_half_up(nodule.diameter_mm, "1"), "mm", 6, 8
    else:
        value, unit, low, high = nodule.volume_mm3 or 0.0, "mm³", 100, 250
    size = f"{value:g} {unit}"
    if value < low:
        return 0, f"{size}: < {low} {unit}"
    if value <= high:
        return 1, f"{size}: {low} to {high} {unit}"
    return 2, f"{size}: > {high} {unit}"


def _by_volume(nodule: FoundNodule) -> FoundNodule | None:
    """Take a nodule that has both sizes by its volume; None: it has one."""
    if nodule.diameter_mm is None or nodule.volume_mm3 is None:
        return None
    return replace(nodule, diameter_mm=None)


def _beside(nodule: FoundNodule, what: str) -> str:
    """Say what a volume that was given beside the diameter would lead to."""
    return f"; the diameter decides, by the volume of {nodule.volume_mm3:g} mm³ {what}"
