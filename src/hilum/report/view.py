"""What the page shows, in the order in which it is read, ready to be written.

Every text here is plain: the template escapes it.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from hilum.findings import Assessment, Guidelines, Nodule, Notice, Probability
from hilum.report import changes, words
from hilum.report.figures import (
    OverviewFigure,
    Picture,
    overview_figure,
    pictures,
    slice_number,
)
from hilum.volume import CTVolume

PICTURED = 12
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
_GUIDELINES = {
    "lung_rads": "Lung-RADS v2022",
    "fleischner": "Fleischner Society 2017",
    "brock": "Brock (PanCan) model",
    "mayo": "Mayo model",
}


@dataclass(frozen=True, slots=True)
class Chance:
    """A probability as text, and as percent for its bar.

    Attributes:
        text: The value, or why there is none.
        interval: From where to where, or empty.
        percents: Low, value and high; None when not known.
    """

    text: str
    interval: str
    percents: tuple[float, float, float] | None


@dataclass(frozen=True, slots=True)
class NoduleView:
    """One nodule: a line of the table and, for the first few, pictures."""

    count: int
    place: str
    type: str
    diameter: str
    axes: str
    volume: str
    solid: str
    score: str
    malignancy: Chance
    z: str
    slice: str
    attributes: str
    pictures: tuple[Picture, ...]


@dataclass(frozen=True, slots=True)
class NoticeGroup:
    """Notices of one stage and code: those to see at once, and the others."""

    stage: str
    code: str
    messages: tuple[str, ...]
    others: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class GuidelineView:
    """What one guideline says."""

    title: str
    headline: str
    rows: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class PageView:
    """The whole page.

    Attributes:
        in_scope: The verdict.
        given: Whether probabilities are shown: in scope, or the caller insisted.
        caveats: What stands beside the probability, whatever else is read.
        comparison: What the scan was held against; empty without a prior.
        changes: Which nodule, and what became of it.
    """

    series_uid: str
    scan: tuple[tuple[str, str], ...]
    in_scope: bool
    given: bool
    reasons: tuple[str, ...]
    chance: Chance
    meaning: str
    caveats: tuple[str, ...]
    nodules: tuple[NoduleView, ...]
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


def page_view(assessment: Assessment, volume: CTVolume) -> PageView:
    """Gather all that the page shows.

    Args:
        assessment: What was concluded.
        volume: What it was concluded from.
    """
    in_scope = assessment.scope.in_scope
    # out of scope a number is there only when the caller insisted on it
    given = in_scope or assessment.cancer_probability.value is not None
    run = assessment.provenance
    return PageView(
        series_uid=words.value(assessment.series_uid),
        scan=_scan(volume),
        in_scope=in_scope,
        given=given,
        reasons=assessment.scope.reasons,
        chance=_chance(assessment.cancer_probability, given),
        meaning=words.meaning(assessment.cancer_probability),
        caveats=tuple(n.message for n in assessment.notices if n.code in _CAVEATS),
        nodules=tuple(
            _nodule(nodule, count, volume, given)
            for count, nodule in enumerate(assessment.nodules, start=1)
        ),
        overview=overview_figure(volume, assessment.nodules),
        notice_count=len(assessment.notices),
        notices=_notices(assessment.notices),
        guidelines=_guidelines(assessment.guidelines) if given else (),
        comparison=changes.heading(assessment.comparison),
        changes=changes.lines(assessment.comparison),
        version=run.version,
        timings=tuple(
            (words.label(stage), f"{words.number(seconds, 2)}{words.NO_BREAK}s")
            for stage, seconds in run.timings_s.items()
        ),
        source=_source(run.source),
        facts=words.rows(run.facts),
        weights=tuple((words.value(k), v) for k, v in run.weights.items()),
        settings=tuple(
            (stage, words.rows(table if isinstance(table, dict) else {stage: table}))
            for stage, table in run.settings.items()
        ),
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


def _source(tree: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    """List what is known of the scan, inner tables without their name."""
    known: dict[str, Any] = {}
    for key, item in tree.items():
        known.update(item if isinstance(item, dict) else {key: item})
    if isinstance(known.get("acquired"), str):
        known["acquired"] = words.date(known["acquired"])
    return words.rows({k: v for k, v in known.items() if v is not None})


def _chance(probability: Probability, given: bool) -> Chance:
    if not given:
        return Chance(words.NOT_GIVEN, "", None)
    low, value, high = probability.low, probability.value, probability.high
    if low is None or value is None or high is None:
        return Chance(words.NOT_ESTIMATED, "", None)
    percents = (100 * low, 100 * value, 100 * high)
    return Chance(words.percent(value), words.interval(probability), percents)


def _nodule(nodule: Nodule, count: int, volume: CTVolume, given: bool) -> NoduleView:
    solid = words.millimetres(nodule.solid_diameter_mm)
    attributes = nodule.attributes
    return NoduleView(
        count=count,
        place=words.sentence(words.place(nodule)),
        type=words.sentence(nodule.type),
        diameter=words.number(nodule.diameter_mm),
        axes=words.TIMES.join(
            map(words.number, (nodule.long_axis_mm, nodule.short_axis_mm))
        ),
        volume=words.number(nodule.volume_mm3, 0),
        solid=solid if nodule.solid_diameter_mm > 0 else "none",
        score=words.number(nodule.detection_score, 2),
        malignancy=_chance(nodule.malignancy, given),
        z=words.number(nodule.center_mm[2]),
        slice=slice_number(nodule, volume),
        attributes=", ".join(
            f"{item.name} {words.number(getattr(attributes, item.name))}"
            for item in fields(attributes)
            if getattr(attributes, item.name) is not None
        ),
        pictures=pictures(nodule, count, volume) if count <= PICTURED else (),
    )


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


def _guidelines(guidelines: Guidelines) -> tuple[GuidelineView, ...]:
    views = []
    for name, title in _GUIDELINES.items():
        said: dict[str, Any] | None = getattr(guidelines, name)
        if said is not None:
            views.append(_guideline(title, said))
    return tuple(views)


def _guideline(title: str, said: dict[str, Any]) -> GuidelineView:
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
    return GuidelineView(title, ", ".join(headlines) or "no result", words.rows(rest))
