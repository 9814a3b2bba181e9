"""One study on its way, as a plain value.

States: `queued` → `running` → `delivering` → `done`; or `failed`, `cancelled`; and
`expired` once its files were removed by age or size. Times are seconds since 1970.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from hilum.findings import Record

State = Literal[
    "queued", "running", "delivering", "done", "failed", "cancelled", "expired"
]
FINAL: frozenset[State] = frozenset(("done", "failed", "cancelled", "expired"))
"""States in which nothing more happens by itself."""

STAGES = (
    "read",
    "lungs",
    "scope",
    "nodules",
    "measure",
    "malignancy",
    "patient",
    "write",
    "views",
)
"""What a worker goes through, in this order."""

USUAL_S = {
    "read": 2.0,
    "lungs": 1.0,
    "scope": 0.3,
    "nodules": 3.0,
    "measure": 1.5,
    "malignancy": 0.5,
    "patient": 0.1,
    "write": 1.0,
    "views": 6.0,
}
"""Seconds a stage takes until this machine's own times are known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job(Record):
    """A study and how far it has come.

    Attributes:
        id: 32 hexadecimal digits of the digest of the study; names no person.
        state: See the module.
        stage: Of `STAGES` while it runs, "deliver" while it is sent, or "".
        error: Why it failed, or what it waits for; None when nothing is wrong.
        attempt: 1, and one more for each retry.
        origin: Where it came from, such as "upload" or "dicom".
        size_bytes: Of the files that arrived.
        created_s: When it arrived.
        started_s: When its stage began, or None.
        finished_s: When it reached a final state, or None.
        study_uid: StudyInstanceUID, once read.
        series_uid: Of the series that was assessed.
        patient: Keyed digest of the PatientID, the same for two studies of one
            patient in this service alone; None when there is no PatientID.
        acquired: YYYYMMDD, once read.
        description: SeriesDescription, once read.
        in_scope: The verdict, once there.
        probability: Of cancer, when one is given.
        nodules: How many, once there.
        deliver_to: Names of the targets.
        delivered: Those that have it.
        timings_s: Seconds by stage.
    """

    id: str
    state: State
    stage: str = ""
    error: str | None = None
    attempt: int = 1
    origin: str = "upload"
    size_bytes: int = 0
    created_s: float
    started_s: float | None = None
    finished_s: float | None = None
    study_uid: str | None = None
    series_uid: str | None = None
    patient: str | None = None
    acquired: str | None = None
    description: str | None = None
    in_scope: bool | None = None
    probability: float | None = None
    nodules: int | None = None
    deliver_to: tuple[str, ...] = ()
    delivered: tuple[str, ...] = ()
    timings_s: dict[str, float] | None = None

    @property
    def is_final(self) -> bool:
        """Whether nothing more happens by itself."""
        return self.state in FINAL
