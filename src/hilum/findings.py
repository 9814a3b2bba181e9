"""What was found: plain records, no images, no I/O.

Points are DICOM patient coordinates (LPS), in millimetres, ordered (x, y, z).
Every record turns into JSON by `to_json` and back by its `from_json`, unchanged.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from hilum.errors import InputError
from hilum.records import Record as Record

Point = tuple[float, float, float]
NoduleType = Literal["solid", "part-solid", "ground-glass", "calcified"]
Side = Literal["left", "right"]
ChangeStatus = Literal["new", "gone", "grown", "shrunk", "stable", "not-covered"]
Outlining = Literal["edge", "dense"]

LOBE_CLEAR = 0.9  # probability from which a lobe is named
AT_PLEURA_MM = 1.5  # a nodule no further from the surface of its lung lies there


@dataclass(frozen=True, slots=True)
class Notice(Record):
    """A doubt or a repair that the reader of a result must know of.

    Attributes:
        code: Stable name in kebab-case, such as "duplicate-slices".
        message: One sentence with the numbers, for a person; names no patient.
        stage: What raised it: "read", "lungs", "nodules", "measure", ...
    """

    code: str
    message: str
    stage: str


@dataclass(frozen=True, slots=True)
class Candidate(Record):
    """A place that may be a nodule.

    Attributes:
        center_mm: World point (x, y, z).
        diameter_mm: Diameter of the sphere of equal volume.
        score: Detection score in [0, 1]; ranks, is not calibrated.
    """

    center_mm: Point
    diameter_mm: float
    score: float


@dataclass(frozen=True, slots=True)
class Annotation(Record):
    """A reader's opinion of one nodule: the ground truth.

    Attributes:
        series_uid: The series that was read.
        center_mm: World point (x, y, z).
        diameter_mm: Diameter of the sphere of equal volume; -1 when unknown.
        readers: How many readers marked it.
        malignancy: Mean rating, 1 (benign) to 5 (malignant), or None.
    """

    series_uid: str
    center_mm: Point
    diameter_mm: float
    readers: int = 1
    malignancy: float | None = None


@dataclass(frozen=True, slots=True)
class Probability(Record):
    """A probability and its doubt.

    Attributes:
        value: In [0, 1], or None when no number may be given.
        low: Lower end of the interval, or None.
        high: Upper end of the interval, or None.

    Raises:
        InputError: Not 0 <= low <= value <= high <= 1, or only some are None.
    """

    value: float | None
    low: float | None
    high: float | None

    UNKNOWN: ClassVar[Probability]

    def __post_init__(self) -> None:
        """Refuse an interval that does not hold its value."""
        known = [p for p in (self.low, self.value, self.high) if p is not None]
        if len(known) not in (0, 3) or not all(
            a <= b for a, b in zip([0.0, *known], [*known, 1.0], strict=True)
        ):
            raise InputError(
                "A probability needs 0 <= low <= value <= high <= 1, or none of "
                f"them; got low={self.low}, value={self.value}, high={self.high}."
            )


Probability.UNKNOWN = Probability(None, None, None)


@dataclass(frozen=True, slots=True)
class Attributes(Record):
    """How a nodule looks, on the scales of LIDC (1 to 5; calcification 1 to 6).

    None: not assessed.
    """

    subtlety: float | None = None
    sphericity: float | None = None
    margin: float | None = None
    lobulation: float | None = None
    spiculation: float | None = None
    texture: float | None = None
    calcification: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Nodule(Record):
    """A candidate that was kept and measured, with its malignancy.

    Attributes:
        center_mm: World point (x, y, z), centre of mass of its voxels.
        diameter_mm: Mean of long and short axis, where the density ends.
        long_axis_mm: Longest diameter on the axial slice where it is largest.
        short_axis_mm: Longest diameter perpendicular to it on that slice.
        volume_mm3: Volume.
        type: Solid, part-solid, ground-glass or calcified.
        solid_diameter_mm: Mean diameter of the solid part; 0 for ground glass.
        side: Lung that it lies in, or None when not known.
        lobe: Lobe that it lies in, such as "right upper lobe", or None in doubt.
        upper_lobe_probability: That it lies in an upper lobe; None when not told.
        pleura_mm: Distance from its edge to the surface of its lung, 10 for 10 or
            more; None when not told.
        diameter_error_mm: Half the width of the 95 % interval of the diameter, or
            None when not told.
        volume_error_mm3: The same of the volume.
        detection_score: The detector's score in [0, 1]; ranks.
        malignancy: Probability that it is malignant.
        attributes: How it looks.
        tracking_uid: UID under which an earlier study follows it, or None; see
            `hilum.tracking`.
    """

    center_mm: Point
    diameter_mm: float
    long_axis_mm: float
    short_axis_mm: float
    volume_mm3: float
    type: NoduleType
    solid_diameter_mm: float
    side: Side | None
    lobe: str | None = None
    upper_lobe_probability: float | None = None
    pleura_mm: float | None = None
    diameter_error_mm: float | None = None
    volume_error_mm3: float | None = None
    detection_score: float
    malignancy: Probability = Probability.UNKNOWN
    attributes: Attributes = Attributes()
    tracking_uid: str | None = None

    @property
    def upper_lobe(self) -> bool | None:
        """Whether it lies in an upper lobe; None in doubt."""
        chance = self.upper_lobe_probability
        if chance is None or 1 - LOBE_CLEAR < chance < LOBE_CLEAR:
            return None
        return chance >= LOBE_CLEAR

    @property
    def juxtapleural(self) -> bool | None:
        """Whether it lies at the surface of its lung; None when not told."""
        return None if self.pleura_mm is None else self.pleura_mm <= AT_PLEURA_MM

    @property
    def suspicion(self) -> float:
        """Rank among the nodules of a series: detection score times malignancy."""
        return self.detection_score * (self.malignancy.value or 0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScopeCheck(Record):
    """One thing that was measured to tell whether the figures hold.

    Attributes:
        code: Stable name of what was measured, such as "slice-spacing".
        value: What was measured; None where a tag was read.
        at_least: Lower limit, or None.
        at_most: Upper limit, or None.
        unit: Of the three; "" for a ratio.
        passed: Whether the value lies within the limits.
        decides: Whether failing puts the series out of scope; if not it is a doubt.
        message: The same in words.
    """

    code: str
    value: float | None
    at_least: float | None
    at_most: float | None
    unit: str
    passed: bool
    decides: bool
    message: str


@dataclass(frozen=True, slots=True)
class Scope(Record):
    """Whether the series is one that the figures hold for.

    Attributes:
        in_scope: True when nothing speaks against it.
        reasons: Why not, in words with the measured value and the limit.
        checks: Everything that was measured for it.
    """

    in_scope: bool
    reasons: tuple[str, ...] = ()
    checks: tuple[ScopeCheck, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Alignment(Record):
    """How well two scans lie on each other once they are registered.

    Attributes:
        overlap: Dice coefficient of the lungs, 0 to 1.
        likeness: Correlation of what is in both lungs, -1 to 1.
        doubt_mm: How far the map may be off: nine in ten blocks of lung match best
            within it.
    """

    overlap: float
    likeness: float
    doubt_mm: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Growth(Record):
    """How the volume of a nodule changed, with the doubt of both measurements.

    Attributes:
        volume_change: Share of the prior volume that was added; below 0 lost.
        low: Lower end of its interval (90 %).
        high: Upper end of its interval.
        doubling_time_days: None: the volume did not grow.
        shortest_days: Shortest doubling time within the interval; None: no growth.
        longest_days: Longest; None: it may not grow at all.
        outlining: How both scans were measured: at the edge, or by the dense part
            alone where only one of them shows ground glass around it.
        rule: What it means, with the numbers.
    """

    volume_change: float
    low: float
    high: float
    doubling_time_days: float | None
    shortest_days: float | None
    longest_days: float | None
    outlining: Outlining
    rule: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Change(Record):
    """What became of one nodule between two scans.

    Attributes:
        status: New, gone, grown, shrunk or stable; not-covered: the other scan does
            not show the place.
        possible: What it may be within the error of measurement.
        prior: Number of the nodule among those of the prior, from 1; None: not
            among them.
        current: Number among those of the current scan, from 1; None: not among them.
        before: As it was; None: not found there.
        now: As it is; None: not found there.
        prior_mm: Where it is, or would be, in the prior: world point (x, y, z).
        current_mm: Where it is, or would be, in the current scan.
        below_threshold: The scan in which only a weaker candidate was found there.
        growth: How its volume changed; None where it is seen in one scan only.
        rule: Why it is called so, in words.
    """

    status: ChangeStatus
    possible: tuple[ChangeStatus, ...]
    prior: int | None
    current: int | None
    before: Nodule | None
    now: Nodule | None
    prior_mm: Point
    current_mm: Point
    below_threshold: Literal["prior", "current"] | None = None
    growth: Growth | None = None
    rule: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison(Record):
    """The nodules of a scan held against those of a prior.

    Attributes:
        prior_series_uid: The series that it was held against.
        prior_scope: Whether the figures hold for the prior.
        prior_nodules: Those of the prior, the most suspicious first.
        days: From the prior to the current scan.
        alignment: How well the two lie on each other.
        changes: First those of the current scan in their order, then the others.
    """

    prior_series_uid: str
    prior_scope: Scope
    prior_nodules: tuple[Nodule, ...]
    days: int
    alignment: Alignment
    changes: tuple[Change, ...]

    @property
    def matches(self) -> dict[int, int]:
        """Places, from 0, of nodules of the current scan and of theirs in the prior."""
        return {
            change.current - 1: change.prior - 1
            for change in self.changes
            if change.current is not None and change.prior is not None
        }

    def change_of(self, number: int) -> Change | None:
        """Give what became of a nodule of the current scan, counted from 1."""
        return next((c for c in self.changes if c.current == number), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Guidelines(Record):
    """What the guidelines say of the most suspicious nodule; None: not computed.

    Attributes:
        lung_rads: Lung-RADS v2022 category with its rule, as at baseline; with a
            prior as at follow-up.
        fleischner: Fleischner 2017 recommendation with its rule, or why not.
        brock: Brock (PanCan) probability with its inputs.
        mayo: Mayo probability with its inputs, or why not.
    """

    lung_rads: dict[str, Any] | None = None
    fleischner: dict[str, Any] | None = None
    brock: dict[str, Any] | None = None
    mayo: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance(Record):
    """What ran on what, so that the result can be repeated.

    Attributes:
        version: Of hilum.
        settings: Stage name to its settings.
        weights: Weights file name to its SHA-256.
        timings_s: Stage name to seconds.
        source: What was read: geometry and acquisition, no identifiers.
        facts: What was told of the patient for the clinical models; None: nothing.
        outlines_sha256: Digest of the nodules' voxels, see `Outlines`; None: none.
    """

    version: str
    settings: dict[str, Any]
    weights: dict[str, str]
    timings_s: dict[str, float]
    source: dict[str, Any]
    facts: dict[str, Any] = field(default_factory=dict)
    outlines_sha256: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessment(Record):
    """Everything concluded about one series.

    Attributes:
        series_uid: The series that was assessed.
        scope: Whether the figures hold for it.
        cancer_probability: Patient level; unknown when out of scope.
        nodules: Those kept, the most suspicious first.
        guidelines: For the most suspicious nodule.
        notices: Doubts and repairs, in the order in which they came up.
        provenance: What ran on what.
        comparison: With a prior; None: there was none.
    """

    series_uid: str
    scope: Scope
    cancer_probability: Probability
    nodules: tuple[Nodule, ...]
    guidelines: Guidelines
    notices: tuple[Notice, ...]
    provenance: Provenance
    comparison: Comparison | None = None
