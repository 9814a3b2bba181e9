"""What was found: plain records, no images, no I/O.

Points are DICOM patient coordinates (LPS), in millimetres, ordered (x, y, z).
Every record turns into JSON by `to_json` and back by its `from_json`, unchanged.
"""

from __future__ import annotations

import math
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from types import UnionType
from typing import (
    Any,
    ClassVar,
    Literal,
    Self,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

from hilum.errors import InputError

Point = tuple[float, float, float]
NoduleType = Literal["solid", "part-solid", "ground-glass", "calcified"]
Side = Literal["left", "right"]


class Record:
    """A frozen dataclass that turns into JSON and back."""

    __slots__ = ()

    def to_json(self) -> dict[str, Any]:
        """Give a tree of dict, list, str, float, int, bool and None.

        Raises:
            InputError: A number is not finite, which JSON cannot hold.
        """
        return {
            item.name: _to_json(getattr(self, item.name), item.name)
            for item in fields(self)  # type: ignore[arg-type]
        }

    @classmethod
    def from_json(cls, tree: dict[str, Any]) -> Self:
        """Make the record from the tree that `to_json` gave.

        Raises:
            InputError: A field is missing, unknown or of the wrong shape.
        """
        if not isinstance(tree, dict):
            raise InputError(
                f"{cls.__name__} must be a JSON object; got {type(tree).__name__}."
            )
        hints = get_type_hints(cls)
        items = fields(cls)  # type: ignore[arg-type]
        unknown = sorted(set(tree) - {item.name for item in items})
        required = {
            item.name
            for item in items
            if item.default is MISSING and item.default_factory is MISSING
        }
        missing = sorted(required - set(tree))
        if unknown or missing:
            raise InputError(
                f"{cls.__name__} has unknown fields {unknown} and lacks {missing}. "
                "Was it written by another version?"
            )
        return cls(**{key: _from_json(tree[key], hints[key]) for key in tree})


def _to_json(value: Any, name: str) -> Any:
    if isinstance(value, Record):
        return value.to_json()
    if isinstance(value, tuple | list):
        return [_to_json(item, name) for item in value]
    if isinstance(value, dict):
        return {str(key): _to_json(item, str(key)) for key, item in value.items()}
    if isinstance(value, float) and not math.isfinite(value):
        raise InputError(f"`{name}` is {value}; JSON holds finite numbers only.")
    return value


def _from_json(value: Any, hint: Any) -> Any:
    if hint is Any:
        return value
    origin, args = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        if value is None and type(None) in args:
            return None
        return _from_json(value, next(a for a in args if a is not type(None)))
    if origin is Literal:
        if value not in args:
            raise InputError(f"{value!r} is not one of {', '.join(map(repr, args))}.")
        return value
    if origin is tuple:
        if not isinstance(value, list):
            raise InputError(f"Expected a list; got {value!r}.")
        kinds = [args[0]] * len(value) if args[-1] is Ellipsis else list(args)
        if len(kinds) != len(value):
            raise InputError(f"Expected {len(kinds)} values; got {value!r}.")
        return tuple(_from_json(v, k) for v, k in zip(value, kinds, strict=True))
    if origin is dict:
        if not isinstance(value, dict):
            raise InputError(f"Expected an object; got {value!r}.")
        return {key: _from_json(item, args[1]) for key, item in value.items()}
    if is_dataclass(hint) and isinstance(hint, type) and issubclass(hint, Record):
        return hint.from_json(value)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(hint, type) and not isinstance(value, hint):
        raise InputError(f"Expected {hint.__name__}; got {value!r}.")
    return value


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
        diameter_mm: Mean of long and short axis.
        long_axis_mm: Longest diameter on the axial slice where it is largest.
        short_axis_mm: Longest diameter perpendicular to it on that slice.
        volume_mm3: Volume.
        type: Solid, part-solid, ground-glass or calcified.
        solid_diameter_mm: Mean diameter of the solid part; 0 for ground glass.
        side: Lung that it lies in, or None when not known.
        lobe: Lobe that it lies in, or None when not known.
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
    detection_score: float
    malignancy: Probability = Probability.UNKNOWN
    attributes: Attributes = Attributes()
    tracking_uid: str | None = None

    @property
    def suspicion(self) -> float:
        """Rank among the nodules of a series: detection score times malignancy."""
        return self.detection_score * (self.malignancy.value or 0.0)


@dataclass(frozen=True, slots=True)
class Scope(Record):
    """Whether the series is one that the figures hold for.

    Attributes:
        in_scope: True when nothing speaks against it.
        reasons: Why not, in words with the measured value and the limit.
    """

    in_scope: bool
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Guidelines(Record):
    """What the guidelines say of the most suspicious nodule; None: not computed.

    Attributes:
        lung_rads: Lung-RADS v2022 category with its rule, as at baseline.
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
    """

    series_uid: str
    scope: Scope
    cancer_probability: Probability
    nodules: tuple[Nodule, ...]
    guidelines: Guidelines
    notices: tuple[Notice, ...]
    provenance: Provenance
