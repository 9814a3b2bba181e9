"""What the page shows of one nodule, ready to be written.

Facts that are not known are left out, and facts that this page was not made for are
listed under their own names, so that nothing that was found stays unsaid.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

from hilum.findings import Assessment, Attributes, Nodule, Probability
from hilum.report import words
from hilum.report.details import NoduleDetails
from hilum.report.figures import Picture, pictures, slice_number
from hilum.report.growth import GrowthFigure, growth_figure
from hilum.report.guidelines import GuidelineLine, guideline_lines
from hilum.stages.explain import Explanation
from hilum.volume import CTVolume

PICTURED = 12

_SHARES = {
    "size": "Size",
    "shape": "Shape",
    "density": "Density",
    "surroundings": "Surroundings",
    "image": "Image itself",
}
_SHOWN = (
    *("center_mm", "diameter_mm", "long_axis_mm", "short_axis_mm", "volume_mm3"),
    *("type", "solid_diameter_mm", "side", "lobe", "detection_score", "malignancy"),
    *("attributes", "tracking_uid"),
)
_NAMED = {
    "diameter_error_mm": "Diameter \u00b1",
    "volume_error_mm3": "Volume \u00b1",
    "pleura_mm": "To the pleura",
    "upper_lobe_probability": "In an upper lobe",
}
_LEAST_REACH = 0.5


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
class Share:
    """What one thing adds to a rating, and its bar in percent of the scale's width."""

    label: str
    points: str
    left: float
    width: float
    raises: bool


@dataclass(frozen=True, slots=True)
class WhyView:
    """Why the network rates a nodule as it does.

    Attributes:
        rating: What it expects readers to say.
        typical: What it would expect of the typical nodule.
        shares: What adds the difference.
        heat: Points of the full colour on the images; empty where there is none.
    """

    rating: str
    typical: str
    shares: tuple[Share, ...]
    heat: str


@dataclass(frozen=True, slots=True)
class NoduleView:
    """One nodule: a line of the table and, for the first few, pictures.

    Attributes:
        more: Facts under their own names.
        sort: Column to what the table sorts by.
    """

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
    attributes: tuple[tuple[str, str], ...]
    more: tuple[tuple[str, str], ...]
    guideline: GuidelineLine | None
    why: WhyView | None
    status: str
    course: GrowthFigure | None
    pictures: tuple[Picture, ...]
    sort: dict[str, float | str]


def nodule_views(
    assessment: Assessment,
    volume: CTVolume,
    details: tuple[NoduleDetails, ...],
    *,
    given: bool,
) -> tuple[NoduleView, ...]:
    """Gather what is shown of each nodule.

    Args:
        assessment: What was concluded.
        volume: What it was concluded from.
        details: What else is known, one for each nodule.
        given: Whether probabilities are shown.
    """
    lines = guideline_lines(assessment)
    return tuple(
        _view(
            nodule,
            count,
            volume,
            known,
            given=given,
            guideline=lines[count - 1] if count <= len(lines) else None,
        )
        for count, (nodule, known) in enumerate(
            zip(assessment.nodules, details, strict=True), start=1
        )
    )


def chance(probability: Probability, given: bool) -> Chance:
    """Write a probability for the page."""
    if not given:
        return Chance(words.NOT_GIVEN, "", None)
    low, value, high = probability.low, probability.value, probability.high
    if low is None or value is None or high is None:
        return Chance(words.NOT_ESTIMATED, "", None)
    percents = (100 * low, 100 * value, 100 * high)
    return Chance(words.percent(value), words.interval(probability), percents)


def _view(
    nodule: Nodule,
    count: int,
    volume: CTVolume,
    known: NoduleDetails,
    *,
    given: bool,
    guideline: GuidelineLine | None,
) -> NoduleView:
    solid = words.millimetres(nodule.solid_diameter_mm)
    why = known.explanation if given else None
    where = words.sentence(words.place(nodule))
    return NoduleView(
        count=count,
        place=where,
        type=words.sentence(nodule.type),
        diameter=words.number(nodule.diameter_mm),
        axes=words.TIMES.join(
            map(words.number, (nodule.long_axis_mm, nodule.short_axis_mm))
        ),
        volume=words.number(nodule.volume_mm3, 0),
        solid=solid if nodule.solid_diameter_mm > 0 else "none",
        score=words.number(nodule.detection_score, 2),
        malignancy=chance(nodule.malignancy, given),
        z=words.number(nodule.center_mm[2]),
        slice=slice_number(nodule, volume),
        attributes=_looks(nodule.attributes),
        more=_more(nodule),
        guideline=guideline,
        why=None if why is None else why_view(why),
        status=known.status,
        course=None if known.course is None else growth_figure(known.course),
        pictures=pictures(nodule, count, volume, known) if count <= PICTURED else (),
        sort={
            "count": count,
            "place": where,
            "type": nodule.type,
            "diameter": round(nodule.diameter_mm, 4),
            "axes": round(nodule.long_axis_mm, 4),
            "volume": round(nodule.volume_mm3, 4),
            "solid": round(nodule.solid_diameter_mm, 4),
            "malignancy": round(nodule.malignancy.value or 0, 6) if given else -1,
            "guideline": "" if guideline is None else guideline.category,
            "score": round(nodule.detection_score, 4),
            "z": round(nodule.center_mm[2], 3),
        },
    )


def why_view(explanation: Explanation) -> WhyView:
    """Write why a nodule was rated as it was; bars share one scale around 0.

    Args:
        explanation: Of the nodule.
    """
    shares = explanation.shares
    reach = max(_LEAST_REACH, *(abs(points) for points in shares.values()))
    bars = []
    for name, points in shares.items():
        width = 50 * abs(points) / reach
        left = 50 if points >= 0 else 50 - width
        label = _SHARES.get(name, words.sentence(words.label(name)))
        bars.append(Share(label, _signed(points, 2), left, width, points >= 0))
    heat = ""
    if explanation.heat is not None:
        heat = words.number(float(abs(explanation.heat.points).max()), 3)
    return WhyView(
        words.number(explanation.rating),
        words.number(explanation.typical),
        tuple(bars),
        heat,
    )


def _signed(value: float, decimals: int) -> str:
    text = words.number(value, decimals)
    return text if text.startswith(words.MINUS) else f"+{text}"


def _looks(attributes: Attributes) -> tuple[tuple[str, str], ...]:
    return tuple(
        (item.name, words.number(getattr(attributes, item.name)))
        for item in fields(attributes)
        if getattr(attributes, item.name) is not None
    )


def _more(nodule: Nodule) -> tuple[tuple[str, str], ...]:
    """List what is known of a nodule and has no place of its own on the page."""
    rest = {
        key: item
        for key, item in nodule.to_json().items()
        if key not in _SHOWN and item is not None
    }
    named = []
    for key, item in rest.items():
        if key in _NAMED and isinstance(item, float):
            unit = "mm³" if key.endswith("_mm3") else "mm"
            said = f"{words.number(item)}{words.NO_BREAK}{unit}"
            chance = key.endswith("_probability")
            named.append((_NAMED[key], words.percent(item) if chance else said))
        else:
            named += [(words.sentence(k), v) for k, v in words.rows({key: item})]
    return tuple((label, text) for label, text in named if text != "none")
