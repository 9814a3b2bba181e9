"""What is to be done with one scan, and what came of it.

All of these turn into JSON, for they travel between processes and machines.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from hilum.clinical.facts import Facts
from hilum.findings import Assessment
from hilum.records import Record

Kind = Literal["input", "bug", "time", "memory", "lost"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan(Record):
    """One scan of a cohort.

    Attributes:
        name: What the cohort calls it: its path there, or its address.
        source: What is read: a path, or the address of a study on a DICOMweb server.
        id: Of the patient, for tables of patients; "" where the cohort has none.
        series_uid: The series to read; None: the best chest series.
        prior: Source of an earlier scan to compare with.
        facts: What is known of the patient.
    """

    name: str
    source: str
    id: str = ""
    series_uid: str | None = None
    prior: str | None = None
    facts: Facts = field(default_factory=Facts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Order(Record):
    """What a worker is to do with one scan.

    Attributes:
        number: Of the scan in the run, from 1.
        scan: The scan.
        out: Folder for its documents; appears in one step.
        formats: Documents to write beside the JSON.
        settings: A TOML file of settings, or None.
        force: Give the probability even when the series is out of scope.
    """

    number: int
    scan: Scan
    out: str
    formats: tuple[str, ...] = ("html",)
    settings: str | None = None
    force: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Row(Record):
    """One scan in `summary.csv`; the same whoever assessed it, and how.

    Attributes:
        scan: Its number.
        series_uid: What was read.
        in_scope: Whether the figures hold for it.
        cancer_probability: Of the patient; None when out of scope.
        low: Lower end of its interval.
        high: Upper end of its interval.
        nodules: How many were kept.
        diameter_mm: Of the most suspicious one.
        type: Of that one.
        malignancy: Of that one.
        lung_rads: Category.
        reasons: Why it is out of scope.
        notices: Codes of doubts and repairs, each once, in the order of coming up.
    """

    scan: int
    series_uid: str
    in_scope: bool
    cancer_probability: float | None
    low: float | None
    high: float | None
    nodules: int
    diameter_mm: float | None
    type: str | None
    malignancy: float | None
    lung_rads: str | None
    reasons: str
    notices: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure(Record):
    """One scan in `failures.csv`.

    Attributes:
        scan: Its number.
        kind: "input", it cannot be used; "bug", ours; "time" or "memory", it took
            more than it may; "lost", its worker ended each time.
        stage: Where it happened.
        reason: In words.
    """

    scan: int
    kind: Kind
    stage: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome(Record):
    """What came of an order: a row or a failure.

    Attributes:
        row: Of a scan that was assessed.
        failure: Of one that was not.
        seconds: By stage; "wait" is what the networks waited for the reading.
        peak_gb: Most memory that the worker has needed so far.
    """

    row: Row | None = None
    failure: Failure | None = None
    seconds: dict[str, float] = field(default_factory=dict)
    peak_gb: float = 0.0


def row_of(number: int, assessment: Assessment) -> Row:
    """Make the row of an assessment.

    Args:
        number: Of the scan.
        assessment: What was concluded.
    """
    risk, scope = assessment.cancer_probability, assessment.scope
    first = assessment.nodules[0] if assessment.nodules else None
    category = (assessment.guidelines.lung_rads or {}).get("category")
    return Row(
        scan=number,
        series_uid=assessment.series_uid,
        in_scope=scope.in_scope,
        cancer_probability=risk.value,
        low=risk.low,
        high=risk.high,
        nodules=len(assessment.nodules),
        diameter_mm=first.diameter_mm if first else None,
        type=str(first.type) if first else None,
        malignancy=first.malignancy.value if first else None,
        lung_rads=None if category is None else str(category),
        reasons=" ".join(scope.reasons),
        notices=" ".join(dict.fromkeys(n.code for n in assessment.notices)),
    )
