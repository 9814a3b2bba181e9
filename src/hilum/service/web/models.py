"""What the API speaks: JSON in and out, as OpenAPI describes it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

JobId = Annotated[str, Field(pattern="^[0-9a-f]{32}$")]
Millimetres = Annotated[float, Field(allow_inf_nan=False, ge=-10_000, le=10_000)]
Diameter = Annotated[float, Field(ge=0.1, le=300, allow_inf_nan=False)]
Rating = Annotated[int, Field(ge=1, le=5, strict=True)]


class Strict(BaseModel):
    """What comes in must hold what is known, and nothing else."""

    model_config = ConfigDict(extra="forbid")


class Problem(BaseModel):
    """An error (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str


class Health(BaseModel):
    """Whether the service can work."""

    status: Literal["ok", "degraded"]
    trouble: str | None
    version: str
    waiting: int


class AlignmentMap(BaseModel):
    """Where points of a study lie in another one of the patient, in mm.

    A point between those of the lattice goes where they go, in proportion.
    """

    trusted: bool
    why: str | None
    doubt_mm: float | None
    origin_mm: list[float]
    step_mm: list[float]
    shape: list[int]
    shifts_mm: list[float]


class Credentials(Strict):
    """A token, to sign in with."""

    token: Annotated[str, Field(max_length=200)]


class Session(BaseModel):
    """Who asks. `name` is None when they have to sign in."""

    name: str | None
    role: Literal["read", "write"] | None
    needs_token: bool


class Study(BaseModel):
    """A study, and how far it has come."""

    id: str
    state: Literal[
        "queued", "running", "delivering", "done", "failed", "cancelled", "expired"
    ]
    stage: str
    error: str | None
    attempt: int
    origin: str
    size_bytes: int
    created_s: float
    finished_s: float | None
    patient: str | None
    acquired: str | None
    description: str | None
    in_scope: bool | None
    probability: float | None
    nodules: int | None
    deliver_to: list[str]
    delivered: list[str]
    progress: float
    left_s: float | None


class Studies(BaseModel):
    """Studies, the newest first."""

    studies: list[Study]


class Upload(BaseModel):
    """An upload that files are sent to."""

    id: str
    files: int
    size_bytes: int


class Document(BaseModel):
    """A document of a study."""

    format: str
    size_bytes: int


class Documents(BaseModel):
    """The documents of a study."""

    documents: list[Document]


class NewAnnotation(Strict):
    """A reader's opinion. Place and size are those of the nodule when left out."""

    nodule: Annotated[int, Field(ge=1, le=1000, strict=True)] | None = None
    verdict: Literal["accepted", "rejected", "added"]
    center_mm: tuple[Millimetres, Millimetres, Millimetres] | None = None
    diameter_mm: Diameter | None = None
    malignancy: Rating | None = None


class Change(Strict):
    """What a reader changes of an own annotation; what is left out stays."""

    verdict: Literal["accepted", "rejected", "added"] | None = None
    center_mm: tuple[Millimetres, Millimetres, Millimetres] | None = None
    diameter_mm: Diameter | None = None
    malignancy: Rating | None = None


class Opinion(BaseModel):
    """A reader's annotation as it stands."""

    id: str
    nodule: int | None
    verdict: Literal["accepted", "rejected", "added"]
    center_mm: tuple[float, float, float]
    diameter_mm: float
    malignancy: int | None
    reader: str
    when_s: float


class Said(BaseModel):
    """One thing that a guideline says, with its name."""

    name: str
    text: str


class Guideline(BaseModel):
    """What a guideline says of the most suspicious nodule, in words.

    `possible` is all that it may be where a fact is not known, or size or kind is in
    doubt; empty where it is what the headline says. `why_not` says why it is not meant
    for the patient or the nodule; else it is empty.
    """

    title: str
    headline: str
    possible: list[str]
    why_not: str
    grounds: list[Said]


class NoduleCategory(BaseModel):
    """The Lung-RADS category of one nodule, were it the only one.

    `possible` is the range of categories where size or kind is in doubt, and `others`
    are the rules that lead there; both are empty where they are not known.
    """

    category: str
    possible: str
    rule: str
    others: list[str]


class FoundNodule(BaseModel):
    """A nodule of the algorithm. `center_mm` is LPS, (x, y, z)."""

    number: int
    center_mm: tuple[float, float, float]
    voxel: tuple[int, int, int]
    diameter_mm: float
    long_axis_mm: float
    short_axis_mm: float
    volume_mm3: float
    type: str
    place: str
    detection_score: float
    malignancy: float | None
    malignancy_low: float | None
    malignancy_high: float | None
    lung_rads: NoduleCategory | None


class Findings(BaseModel):
    """The nodules of the algorithm, and beside them what readers say.

    `lungs_mm` are two corners of the box around the lungs, LPS. `guidelines` are null
    where they are not given, because the scan is out of scope.
    """

    series_uid: str
    nodules: list[FoundNodule]
    guidelines: list[Guideline] | None
    annotations: list[Opinion]
    lungs_mm: tuple[tuple[float, float, float], tuple[float, float, float]] | None


class AuditEntry(BaseModel):
    """One line of the audit log."""

    when_s: float
    who: str
    address: str
    what: str
    job_id: str | None
    status: int


class AuditLog(BaseModel):
    """The last lines of the audit log, the newest first."""

    entries: list[AuditEntry]


JSONObject = dict[str, Any]
