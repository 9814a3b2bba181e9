"""The category of one finding, with the rule that gave it.

Where the text of Lung-RADS leaves room, this reads it so:

- A new part-solid nodule of 6 mm or more is judged by its solid part (below 4 mm 4A,
  from 4 mm 4B), as the text has it; one below 6 mm whose solid part has 4 mm is 4B.
- A stable or smaller finding keeps the category of its size at baseline until it steps
  down; when its prior category is known, it keeps that one, unless its size crossed a
  threshold since.
- "Growing" of a part-solid nodule means its solid part.
- Ground glass that grows from 30 mm on, and not slowly, is category 3 like a new one.
- Juxtapleural nodules are benign below 10 mm, not at 10.
- A subsegmental airway nodule that grows is judged like a solid nodule that grows, and
  as 4A when its size is not given. A new segmental one is like one at baseline.
- Where diameter and volume are both given the diameter decides: it is what the limits
  are for, the volumes being those of spheres. What the volume would give is said too.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

from hilum.clinical.lungrads.finding import ScreeningFinding
from hilum.clinical.rounding import round_half_up
from hilum.errors import InputError
from hilum.findings import Record

Category = Literal["0", "1", "2", "3", "4A", "4B", "4X"]
ORDER: tuple[Category, ...] = ("1", "2", "3", "4A", "4B", "4X")
"""From the least to the most suspicious."""

Steps = tuple[tuple[float, float, Category], ...]
"""From which diameter in mm and volume in mm³ on a category holds."""

_SOLID_AT_BASELINE: Steps = (
    (0, 0, "2"),
    (6, 113, "3"),
    (8, 268, "4A"),
    (15, 1767, "4B"),
)
_SOLID_NEW: Steps = ((0, 0, "2"), (4, 34, "3"), (6, 113, "4A"), (8, 268, "4B"))
_SOLID_GROWING: Steps = ((0, 0, "4A"), (8, 268, "4B"))
_SOLID_PART_AT_BASELINE: Steps = ((0, 0, "3"), (6, 113, "4A"), (8, 268, "4B"))
_SOLID_PART_NEW: Steps = ((0, 0, "4A"), (4, 34, "4B"))
_GLASS: Steps = ((0, 0, "2"), (30, 14137, "3"))

_PART_SOLID_FROM = (6.0, 113.0)
_JUXTAPLEURAL_BELOW = (10.0, 524.0)
STEP_DOWN: dict[str, tuple[float, Category]] = {"3": (6.0, "2"), "4A": (3.0, "3")}
"""Prior category to the months after which, when stable, it becomes another."""


@dataclass(frozen=True, slots=True)
class Verdict(Record):
    """The category of a finding.

    Attributes:
        category: 1 to 4X.
        rule: The rule that fired, with the numbers.
        by_volume: The category by the volume, where that was given beside the diameter
            and does not decide; None: it was not, or its category hangs on more.
    """

    category: Category
    rule: str
    by_volume: Category | None = None


@dataclass(frozen=True, slots=True)
class _Size:
    """A size in the unit that it was given in."""

    value: float
    volume: bool
    what: str = "mean diameter"

    def limit(self, step: tuple[float, float]) -> float:
        return step[1] if self.volume else step[0]

    def __str__(self) -> str:
        what = (
            self.what.replace("mean diameter", "volume") if self.volume else self.what
        )
        return f"{self.value:g} {self.unit} {what}"

    @property
    def unit(self) -> str:
        return "mm³" if self.volume else "mm"


def judge_finding(finding: ScreeningFinding) -> Verdict:
    """Give the Lung-RADS v2022 category of one finding.

    Args:
        finding: As it was measured and described.

    Raises:
        InputError: It is judged by its solid part, which was not given.

    Example:
        >>> judge_finding(ScreeningFinding(kind="solid", diameter_mm=8.4)).rule
        'solid, baseline, 8.4 mm mean diameter: >= 8 and < 15 mm -> 4A'
    """
    verdict = _judge_with_prior(finding)
    other = _volumes_alone(finding)
    if other is None:
        return verdict
    sizes = (finding.volume_mm3, finding.solid_volume_mm3)
    given = " and ".join(f"{size:g}" for size in sizes if size is not None)
    head = f"{verdict.rule}; the diameter decides, by the volume of {given} mm³"
    try:
        by_volume = _volume_category(other, crossed=bool(_crossed(finding)))
    except InputError:
        hangs = "it hangs on the solid part, which is not given"
        return Verdict(verdict.category, f"{head} {hangs}")
    same = by_volume == verdict.category
    said = "it is the same" if same else f"it would be {by_volume}"
    return Verdict(verdict.category, f"{head} {said}", by_volume)


def _judge_with_prior(f: ScreeningFinding) -> Verdict:
    """Judge a finding with what was before, and with what makes it 4X."""
    verdict = _judge(f)
    if f.status in ("stable", "decreased"):
        verdict = _step_down(f, verdict)
    if f.suspicious and verdict.category in ("3", "4A", "4B"):
        words = ", ".join(f.suspicious)
        return Verdict("4X", f"{verdict.rule}; with {words} -> 4X")
    return verdict


def _volumes_alone(f: ScreeningFinding) -> ScreeningFinding | None:
    """Describe a finding that has both sizes by its volumes; None: it has one."""
    whole = f.diameter_mm is not None and f.volume_mm3 is not None
    part = f.solid_mm is not None and f.solid_volume_mm3 is not None
    if f.kind == "part-solid" and (whole or part):
        return replace(
            f,
            diameter_mm=None if whole else f.diameter_mm,
            solid_mm=None if part else f.solid_mm,
        )
    by_size = f.kind in ("solid", "ground-glass") or (
        f.airway == "subsegmental" and f.status in ("growing", "slowly-growing")
    )
    return replace(f, diameter_mm=None) if whole and by_size else None


def _volume_category(f: ScreeningFinding, *, crossed: bool) -> Category:
    """Give the category by volume.

    No volume of the prior is known: one that by itself is of a higher category than
    the prior counts as one that crossed a threshold.

    Args:
        f: With its volumes alone.
        crossed: Whether its diameter crossed a threshold since the prior.
    """
    prior = f.prior_category
    rank = ORDER.index(_judge(f).category)
    if prior is not None and (crossed or rank > ORDER.index(_category(prior))):
        f = replace(f, prior_category=None)
    return _judge_with_prior(f).category


def _judge(f: ScreeningFinding) -> Verdict:
    """Judge a finding without steps down and without what makes it 4X.

    Raises:
        InputError: The solid part is needed and was not given.
    """
    if f.kind == "benign":
        return Verdict("1", "benign calcification or fat -> 1")
    if f.kind == "airway":
        return _judge_airway(f)
    if f.kind == "cyst":
        return _judge_cyst(f)
    head = f"{f.kind}, {f.status}"
    size = _size_of(f.diameter_mm, f.volume_mm3)
    if f.kind == "ground-glass":
        return _judge_glass(f, head, size)
    if f.kind == "solid":
        return _judge_solid(f, head, size)
    return _judge_part_solid(f, head, size)


def _judge_solid(f: ScreeningFinding, head: str, size: _Size) -> Verdict:
    below = size.limit(_JUXTAPLEURAL_BELOW)
    if f.juxtapleural and size.value < below and "growing" not in f.status:
        return Verdict(
            "2",
            f"{head}, juxtapleural and smooth, {size}: < {below:g} {size.unit} -> 2",
        )
    if f.status == "slowly-growing":
        return Verdict("4B", f"{head}, {size}: slow growth over several screens -> 4B")
    steps = {"new": _SOLID_NEW, "growing": _SOLID_GROWING}.get(
        f.status, _SOLID_AT_BASELINE
    )
    return _by_steps(head, size, steps)


def _judge_part_solid(f: ScreeningFinding, head: str, size: _Size) -> Verdict:
    if f.status == "slowly-growing":
        return Verdict("4B", f"{head}, {size}: slow growth over several screens -> 4B")
    least = size.limit(_PART_SOLID_FROM)
    small = size.value < least
    below = f"{head}, {size}: < {least:g} {size.unit} in all"
    given = f.solid_mm is not None or f.solid_volume_mm3 is not None
    if small and f.status not in ("new", "growing"):
        return Verdict("2", f"{below} -> 2")
    if small and f.status == "new" and not given:
        return Verdict("3", f"{below}, without a measured solid part -> 3")
    if not given:
        raise InputError(
            f"A part-solid nodule ({f.status}, {size}) is judged by its solid part: "
            "give its mean diameter or volume; 0 when it is too small to measure."
        )
    part = replace(_size_of(f.solid_mm, f.solid_volume_mm3), what="solid part")
    if small and f.status == "new" and part.value < part.limit(_SOLID_PART_NEW[1][:2]):
        return Verdict("3", f"{below}, {part} -> 3")
    new = f.status in ("new", "growing")
    steps = _SOLID_PART_NEW if new else _SOLID_PART_AT_BASELINE
    return _by_steps(f"{head}, {size}", part, steps)


def _judge_glass(f: ScreeningFinding, head: str, size: _Size) -> Verdict:
    if f.status in ("stable", "decreased", "slowly-growing"):
        return Verdict("2", f"{head}, {size}: not growing, or slowly -> 2")
    return _by_steps(head, size, _GLASS)


def _judge_airway(f: ScreeningFinding) -> Verdict:
    head = f"airway nodule, {f.airway}, {f.status}"
    if f.status == "decreased":
        return Verdict("2", f"{head} -> 2")
    if f.airway == "segmental":
        category: Category = "4A" if f.seen_first else "4B"
        return Verdict(category, f"{head} or more proximal -> {category}")
    if "growing" not in f.status:
        return Verdict("2", f"{head} -> 2")
    if f.diameter_mm is None and f.volume_mm3 is None:
        return Verdict("4A", f"{head}, size not given -> 4A")
    return _by_steps(head, _size_of(f.diameter_mm, f.volume_mm3), _SOLID_GROWING)


def _judge_cyst(f: ScreeningFinding) -> Verdict:
    head = f"{f.cyst} cyst, {f.status}"
    grows = "growing" in f.status
    if f.cyst_change == "wall":
        return Verdict("4B", f"{head}, wall or nodule grew -> 4B")
    if f.cyst_change == "multilocular":
        return Verdict("4A", f"{head}, became multilocular -> 4A")
    if f.cyst == "multilocular" and (grows or f.cyst_change in ("lumen", "loculation")):
        return Verdict("4B", f"{head}, grew, or more loculated or opaque -> 4B")
    if f.cyst == "thick-walled" and f.cyst_change == "lumen":
        return Verdict("3", f"{head}, its lumen grew -> 3")
    if f.cyst == "thick-walled" and grows:
        return Verdict("3", f"{head}, its wall is not said to have grown -> 3")
    if f.cyst == "thin-walled":
        return Verdict("1", f"{head}: benign, not classified -> 1")
    return Verdict("4A", f"{head} -> 4A")


def _step_down(f: ScreeningFinding, verdict: Verdict) -> Verdict:
    """Let a stable or smaller finding keep or lower its prior category."""
    prior = f.prior_category
    if f.proven_benign:
        return Verdict("2", f"{f.kind}, {f.status}, proven benign -> 2")
    if prior is None or f.kind in ("benign", "ground-glass"):
        return verdict
    if f.kind == "airway":
        return verdict  # stable is the more suspicious
    if f.cyst_change != "none":
        return verdict  # what changed does not step down
    crossed = _crossed(f)
    if crossed:
        return Verdict(verdict.category, f"{verdict.rule} ({crossed})")
    base = f"{f.kind}, {f.status}, category {prior} before"
    if prior not in STEP_DOWN:
        kept: Category = (
            "4B" if prior == "4X" and not f.suspicious else _category(prior)
        )
        return Verdict(kept, f"{base}: kept -> {kept}")
    months, lower = STEP_DOWN[prior]
    if f.prior_months is None or f.prior_months < months:
        since = "unknown" if f.prior_months is None else f"{f.prior_months:g}"
        return Verdict(
            _category(prior),
            f"{base}, {since} months ago: steps down at {months:g} months -> {prior}",
        )
    return Verdict(
        lower, f"{base}, {f.prior_months:g} months ago: >= {months:g} months -> {lower}"
    )


def _crossed(f: ScreeningFinding) -> str:
    """Say that the size of a stable nodule crossed a threshold since the prior."""
    if f.prior_diameter_mm is None or f.diameter_mm is None:
        return ""
    if f.kind == "part-solid" and (f.prior_solid_mm is None or f.solid_mm is None):
        return ""
    before = replace(f, diameter_mm=f.prior_diameter_mm, solid_mm=f.prior_solid_mm)
    if ORDER.index(_judge(f).category) > ORDER.index(_judge(before).category):
        return f"was {f.prior_diameter_mm:g} mm: crossed a threshold"
    return ""


def _by_steps(head: str, size: _Size, steps: Steps) -> Verdict:
    """Find the step that a size stands on, and say it with its limits."""
    starts = [size.limit(step[:2]) for step in steps]
    at = max(n for n, start in enumerate(starts) if size.value >= start)
    low = starts[at]
    high = starts[at + 1] if at + 1 < len(starts) else math.inf
    limits = [f">= {low:g}"] if low > 0 else []
    limits += [f"< {high:g}"] if high < math.inf else []
    category = steps[at][2]
    said = f"{' and '.join(limits)} {size.unit}"
    return Verdict(category, f"{head}, {size}: {said} -> {category}")


def _size_of(diameter_mm: float | None, volume_mm3: float | None) -> _Size:
    """Take the diameter where it is given, to 0.1 mm, else the volume."""
    if diameter_mm is not None:
        return _Size(round_half_up(diameter_mm, "0.1"), volume=False)
    return _Size(float(volume_mm3 or 0.0), volume=True)


def _category(text: str) -> Category:
    return next(c for c in ORDER if c == text)
