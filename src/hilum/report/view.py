"""What the page shows, in the order in which it is read, ready to be written.

Every text here is plain: the template escapes it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hilum.findings import Assessment, Notice, Provenance, Scope
from hilum.report import changes, words
from hilum.report.cards import Chance, NoduleView, chance, nodule_views
from hilum.report.details import NoduleDetails, details_for
from hilum.report.figures import OverviewFigure, overview_figure
from hilum.report.guidelines import GuidelineView, guideline_views, is_given
from hilum.volume import CTVolume

NOTICES_SHOWN = 4

_STAGES = {
    "read": "Reading the scan",
    "lungs": "Lungs",
    "nodules": "Detection",
    "measure": "Measurement",
    "malignancy": "Malignancy of the nodules",
    "patient": "Probability for the patient",
}
_CAVEATS = ("probability-not-calibrated", "probability-recalibrated")


@dataclass(frozen=True, slots=True)
class NoticeGroup:
    """Notices of one stage and code: those to see at once, and the others."""

    stage: str
    code: str
    messages: tuple[str, ...]
    others: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was measured to tell whether the figures hold."""

    passed: bool
    message: str


@dataclass(frozen=True, slots=True)
class PageView:
    """The whole page.

    Attributes:
        in_scope: The verdict.
        given: Whether probabilities are shown: in scope, or the caller insisted.
        caveats: What stands beside the probability, whatever else is read.
        comparison: What the scan was held against; empty without a prior.
        changes: Which nodule, and what became of it.
        outlined: Whether outlines are drawn on key images.
        heated: Whether any image can show what counts for the rating.
        looked: Whether the look of any nodule is told.
        explained: Whether any rating is explained.
        categorised: Whether nodules have a category of their own.
    """

    series_uid: str
    scan: tuple[tuple[str, str], ...]
    in_scope: bool
    given: bool
    reasons: tuple[str, ...]
    checks: tuple[Check, ...]
    chance: Chance
    meaning: str
    caveats: tuple[str, ...]
    nodules: tuple[NoduleView, ...]
    outlined: bool
    heated: bool
    looked: bool
    explained: bool
    categorised: bool
    overview: OverviewFigure
    notice_count: int
    notices: tuple[NoticeGroup, ...]
    guidelines: tuple[GuidelineView, ...]
    comparison: str
    changes: tuple[tuple[str, str], ...]
    version: str
    timings: tuple[tuple[str, str], ...]
    source: tuple[tuple[str, str], ...]
    facts: tuple[tuple[str, str], ...]
    weights: tuple[tuple[str, str], ...]
    settings: tuple[tuple[str, tuple[tuple[str, str], ...]], ...]


def page_view(
    assessment: Assessment,
    volume: CTVolume,
    details: Sequence[NoduleDetails] = (),
) -> PageView:
    """Gather all that the page shows.

    Args:
        assessment: What was concluded.
        volume: What it was concluded from.
        details: What else is known of the nodules, in the order of the assessment.

    Raises:
        InputError: The details are not of these nodules, or a nodule lies outside
            the volume.
    """
    in_scope = assessment.scope.in_scope
    given = is_given(assessment)
    run = assessment.provenance
    known = details_for(assessment, details)
    nodules = nodule_views(assessment, volume, known, given=given)
    return PageView(
        series_uid=words.value(assessment.series_uid),
        scan=_scan(volume),
        in_scope=in_scope,
        given=given,
        reasons=assessment.scope.reasons,
        checks=_checks(assessment.scope),
        chance=chance(assessment.cancer_probability, given),
        meaning=words.meaning(assessment.cancer_probability),
        caveats=tuple(n.message for n in assessment.notices if n.code in _CAVEATS),
        nodules=nodules,
        outlined=any(item.mask is not None for item in known),
        heated=any(n.why is not None and n.why.heat for n in nodules if n.pictures),
        looked=any(n.attributes for n in nodules),
        explained=any(n.why is not None for n in nodules),
        categorised=any(n.guideline is not None for n in nodules),
        overview=overview_figure(volume, assessment.nodules),
        notice_count=len(assessment.notices),
        notices=_notices(assessment.notices),
        guidelines=guideline_views(assessment),
        comparison=changes.heading(assessment.comparison),
        changes=changes.lines(assessment.comparison),
        version=run.version,
        timings=_timings(run),
        source=_source(run.source),
        facts=words.rows(run.facts),
        weights=tuple((words.value(k), v) for k, v in run.weights.items()),
        settings=_settings(run),
    )


def _checks(scope: Scope) -> tuple[Check, ...]:
    """List what was measured for the verdict, as far as the record holds it."""
    return tuple(
        Check(bool(check.get("passed")), str(check.get("message", "")))
        for check in scope.to_json().get("checks", [])
    )


def _scan(volume: CTVolume) -> tuple[tuple[str, str], ...]:
    slices, height, width = volume.grid.shape
    z, y, x = (f"{spacing:.3g}" for spacing in volume.grid.spacing_mm)
    pixels, size = f"{width}{words.TIMES}{height}", f"{x}{words.TIMES}{y}"
    made = volume.acquisition
    lines = [
        ("Slices", f"{slices}, {z}{words.NO_BREAK}mm apart"),
        ("Pixels", f"{pixels} of {size}{words.NO_BREAK}mm"),
    ]
    if made.acquired:
        lines.append(("Acquired", words.date(made.acquired)))
    if made.slice_thickness_mm is not None:
        thickness = f"{made.slice_thickness_mm:.3g}{words.NO_BREAK}mm"
        lines.append(("Slice thickness", thickness))
    if made.kernel:
        lines.append(("Reconstruction kernel", made.kernel))
    if made.kvp is not None:
        lines.append(("Tube voltage", f"{made.kvp:.3g}{words.NO_BREAK}kV"))
    if made.contrast:
        lines.append(("Contrast agent", made.contrast))
    return tuple(lines)


def _timings(run: Provenance) -> tuple[tuple[str, str], ...]:
    """List how long each stage took."""
    return tuple(
        (words.label(stage), f"{words.number(seconds, 2)}{words.NO_BREAK}s")
        for stage, seconds in run.timings_s.items()
    )


def _settings(run: Provenance) -> tuple[tuple[str, tuple[tuple[str, str], ...]], ...]:
    """List the settings of each stage."""
    return tuple(
        (stage, words.rows(table if isinstance(table, dict) else {stage: table}))
        for stage, table in run.settings.items()
    )


def _source(tree: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    """List what is known of the scan, inner tables without their name."""
    known: dict[str, Any] = {}
    for key, item in tree.items():
        known.update(item if isinstance(item, dict) else {key: item})
    if isinstance(known.get("acquired"), str):
        known["acquired"] = words.date(known["acquired"])
    return words.rows({k: v for k, v in known.items() if v is not None})


def _notices(notices: tuple[Notice, ...]) -> tuple[NoticeGroup, ...]:
    stages = dict.fromkeys(notice.stage for notice in notices)
    groups = []
    for stage in stages:
        here = [notice for notice in notices if notice.stage == stage]
        for code in dict.fromkeys(notice.code for notice in here):
            said = tuple(notice.message for notice in here if notice.code == code)
            # a single one left over is shown: folding it away saves nothing
            shown = len(said) if len(said) <= NOTICES_SHOWN + 1 else NOTICES_SHOWN
            title = _STAGES.get(stage, words.sentence(words.label(stage)))
            groups.append(NoticeGroup(title, code, said[:shown], said[shown:]))
    return tuple(groups)
