"""What guidelines and models say, with all that they leave open, ready to be shown.

The page of a report and that of the service show the same of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hilum.errors import InputError
from hilum.findings import Assessment, Nodule
from hilum.pipeline.guidelines import lung_rads_line
from hilum.report import words

_GUIDELINES = {
    "lung_rads": "Lung-RADS v2022",
    "fleischner": "Fleischner Society 2017",
    "brock": "Brock (PanCan) model",
    "mayo": "Mayo model",
}
_POSSIBLE, _WHY_NOT = "possible", "not applicable"


@dataclass(frozen=True, slots=True)
class GuidelineView:
    """What one guideline says.

    Attributes:
        title: Its name.
        headline: Category, recommendation or probability, or why there is none.
        rows: All else that it says, each with its name.
    """

    title: str
    headline: str
    rows: tuple[tuple[str, str], ...]

    @property
    def possible(self) -> tuple[str, ...]:
        """All that is left open; empty where that is just what the headline says."""
        texts = self._called(_POSSIBLE)
        return () if texts == (self.headline,) else texts

    @property
    def why_not(self) -> str:
        """Why it says nothing of this patient or nodule; empty where it does."""
        return ", ".join(self._called(_WHY_NOT))

    @property
    def grounds(self) -> tuple[tuple[str, str], ...]:
        """What it rests on: the rows without those two."""
        return tuple(row for row in self.rows if row[0] not in (_POSSIBLE, _WHY_NOT))

    def _called(self, name: str) -> tuple[str, ...]:
        return tuple(text for label, text in self.rows if label == name)


@dataclass(frozen=True, slots=True)
class GuidelineLine:
    """What a guideline says of one nodule, and the rule that said so.

    Attributes:
        category: Were it the only nodule.
        rule: Empty where it is not known.
        possible: All categories where size or kind is in doubt, as a range.
        others: The rules that lead to those.
    """

    category: str
    rule: str = ""
    possible: str = ""
    others: tuple[str, ...] = ()


def is_given(assessment: Assessment) -> bool:
    """Tell whether probabilities and guidelines are shown.

    Out of scope a number is there only when the caller insisted on it.
    """
    known = assessment.cancer_probability.value is not None
    return assessment.scope.in_scope or known


def guideline_views(assessment: Assessment) -> tuple[GuidelineView, ...]:
    """Gather what each guideline says; nothing of a scan that is out of scope."""
    said = {name: getattr(assessment.guidelines, name) for name in _GUIDELINES}
    return tuple(
        _view(_GUIDELINES[name], line)
        for name, line in said.items()
        if line is not None and is_given(assessment)
    )


def guideline_lines(assessment: Assessment) -> tuple[GuidelineLine, ...]:
    """Give each nodule's Lung-RADS category, were it the only one, with its rule.

    Of the nodule that the examination is judged by, that is what the assessment holds.
    Of the others the rule is told at baseline only, and only where it leads to the
    category that the assessment holds; a follow-up keeps what they may be, and no rule.
    """
    if not is_given(assessment):
        return ()
    said = assessment.guidelines.lung_rads or {}
    judged, followed = said.get("nodule"), "status" in said
    lines = []
    possible = dict(enumerate(said.get("findings_possible", ()), start=1))
    found = zip(assessment.nodules, said.get("findings", ()), strict=False)
    for number, (nodule, category) in enumerate(found, start=1):
        alone: dict[str, Any] = {}
        if number == judged:
            alone = said
        elif not followed:
            alone = _at_baseline(nodule)
        lines.append(_line(alone, str(category), possible.get(number)))
    return tuple(lines)


def _at_baseline(nodule: Nodule) -> dict[str, Any]:
    """Ask Lung-RADS of one nodule alone; nothing where it cannot be judged."""
    try:
        return lung_rads_line([nodule])
    except InputError:
        return {}


def _line(said: dict[str, Any], category: str, possible: str | None) -> GuidelineLine:
    """Tell what is said of a nodule, the rules only if they lead to its category."""
    if said.get("category") != category:
        return GuidelineLine(category, possible=str(possible or ""))
    return GuidelineLine(
        category,
        words.signs(str(said.get("rule", ""))),
        str(possible or said.get("possible", "")),
        tuple(words.signs(str(rule)) for rule in said.get("other_rules", ())),
    )


def _view(title: str, said: dict[str, Any]) -> GuidelineView:
    rest = dict(said)
    if isinstance(rest.get("missing"), list | tuple):
        rest["missing"] = [words.label(str(name)) for name in rest["missing"]]
    headlines = [
        words.value(rest.pop(key))
        for key in ("category", "recommendation")
        if rest.get(key) is not None
    ]
    if rest.get("probability") is not None:
        headlines.append(words.chance(rest.pop("probability")))
    possible = rest.get("possible")
    if isinstance(possible, dict) and {"low", "high"} <= possible.keys():
        rest["possible"] = words.span(possible["low"], possible["high"])
    others = rest.pop("other_rules", ())
    several = isinstance(possible, list | tuple) and len(possible) > 1
    if several and not headlines and "not_applicable" not in rest:
        headlines.append("depends on what is missing")
    if several:  # sentences with commas in them: one a line
        del rest["possible"]
        rest.pop("recommendation", None)  # none of them alone is known to hold
    rows = words.rows(rest)
    if isinstance(possible, list | tuple) and several:
        rows += tuple((_POSSIBLE, words.value(advice)) for advice in possible)
    if isinstance(others, list | tuple):
        rows += tuple(("otherwise", words.sentence(words.value(r))) for r in others)
    return GuidelineView(title, ", ".join(headlines) or "no result", rows)
