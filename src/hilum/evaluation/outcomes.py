"""Probabilities of patients against what became of them: `hilum evaluate patient`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from hilum.datasets.tables import columns_of, read_rows
from hilum.errors import InputError
from hilum.evaluation.decisions import (
    AucDifference,
    NetBenefit,
    compare_aucs,
    decision_curve,
    sensitivity_at,
)
from hilum.evaluation.intervals import (
    Figure,
    Indices,
    Share,
    bootstrap,
    disjoint_pairs,
)
from hilum.evaluation.patients import (
    check_probabilities,
    read_table,
    same_patients,
)
from hilum.evaluation.subgroups import Subgroup, judge_groups, read_facts
from hilum.evaluation.survival import harrell_c, horizon_auc, uno_c
from hilum.findings import Record

YEARS = (1, 2, 3, 4, 5, 6)
SPECIFICITIES = (0.8, 0.9, 0.95)
THRESHOLDS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5)

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Units = Callable[[Indices], int]


@dataclass(frozen=True, slots=True, eq=False)
class Outcomes:
    """What became of patients, and what was said of them.

    Attributes:
        ids: (n,) of the rows: patients, or screens of patients.
        patients: (n,) whose each is; what is drawn for intervals.
        years: (n,) to the diagnosis or the end of follow-up.
        event: (n,) bool, whether it was a diagnosis of cancer.
        said: (n, 6) probabilities of cancer by each of `YEARS`.
    """

    ids: tuple[str, ...]
    patients: tuple[str, ...]
    years: Floats
    event: npt.NDArray[np.bool_]
    said: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class OutcomeFigures(Record):
    """How well probabilities tell who falls ill; intervals of 95 % over patients.

    Attributes:
        n: Patients.
        cancers: Diagnoses in the time of follow-up.
        auc: Horizon in years to the AUC by then.
        harrell_c: By the last horizon's probability.
        uno_c: The same, weighted for censoring.
        known: Patients whose state at the last horizon with both kinds is known; what
            follows is of them.
        known_year: That horizon.
        sensitivity: Specificity to sensitivity.
        decision_curve: Net benefit by threshold.
        comparison: With the other predictions, at that horizon; None where there are
            none, or fewer than two patients with or without cancer.
        subgroups: Of parts of the patients, where facts were given.
    """

    n: int
    cancers: int
    auc: dict[str, Figure]
    harrell_c: Figure
    uno_c: Figure
    known: int
    known_year: int | None
    sensitivity: dict[str, Figure]
    decision_curve: tuple[NetBenefit, ...]
    comparison: AucDifference | None = None
    subgroups: tuple[Subgroup, ...] = ()


def evaluate_patients(
    truth: Path,
    predictions: Path,
    *,
    against: Path | None = None,
    by: Path | None = None,
) -> OutcomeFigures:
    """Judge probabilities by follow-up.

    Args:
        truth: CSV `id,years,event`: years to the diagnosis (event 1) or to the end of
            follow-up (event 0). Where several rows are of one patient, such as screens
            of NLST, a column `patient` says so.
        predictions: CSV with `id` and either `year_1` to `year_6`, the probabilities of
            cancer by then, or `cancer`, one for all.
        against: Other predictions of the same patients, to compare with by DeLong.
        by: CSV of facts by `id`: figures of parts of the patients by each of them.

    Raises:
        InputError: A table cannot be read, or they are of different patients.
    """
    cases = read_outcomes(truth, predictions)
    other = read_outcomes(truth, against) if against else None
    found = judge_outcomes(cases, other)
    if by is None:
        return found
    horizon = found.known_year or YEARS[-1]
    last = cases.said[:, YEARS.index(horizon)]
    years, event = cases.years, cases.event
    parts = judge_groups(
        read_facts(Path(by), cases.ids),
        cases.patients,
        event,
        {
            f"auc_{horizon}": Share(
                lambda at: horizon_auc(last[at], years[at], event[at], year=horizon),
                partial(_pairs_at, cases, year=horizon),
            ),
            "harrell_c": Share(
                lambda at: harrell_c(last[at], years[at], event[at]),
                partial(_pairs_in_time, cases),
            ),
        },
    )
    return replace(found, subgroups=parts)


def read_outcomes(truth: Path, predictions: Path) -> Outcomes:
    """Read the two tables; takes and raises what `evaluate_patients` does."""
    labels = read_table(truth, ("years", "event"))
    wrong = [v for v in labels.values() if v["event"] not in (0, 1) or v["years"] < 0]
    if wrong:
        raise InputError(
            f"{len(wrong)} rows of the truth have an `event` that is not 0 or 1, or "
            "`years` below 0."
        )
    by_year = tuple(f"year_{y}" for y in YEARS)
    columns = by_year if by_year[0] in columns_of(predictions) else ("cancer",)
    said = read_table(predictions, columns)
    ids = same_patients(labels, said)
    values = np.array([[said[i][c] for c in columns] for i in ids])
    check_probabilities(values, "Probabilities in the predictions")
    if len(columns) == 1:
        values = values.repeat(len(YEARS), axis=1)
    elif (np.diff(values, axis=1) < -1e-9).any():
        raise InputError(
            "The probability of cancer by a later year is below that by an earlier "
            "one. Give cumulative probabilities."
        )
    years = np.array([labels[i]["years"] for i in ids])
    event = np.array([labels[i]["event"] == 1 for i in ids])
    return Outcomes(ids, _patients_of(truth, ids), years, event, values)


def _patients_of(truth: Path, ids: Sequence[str]) -> tuple[str, ...]:
    """Read whose each row is; without a column `patient` each is of another one."""
    if "patient" not in columns_of(truth):
        return tuple(ids)
    rows = read_rows(truth, ("id", "patient"))
    whose = {row["id"].strip(): row["patient"].strip() for row in rows}
    return tuple(whose.get(name) or name for name in ids)


def judge_outcomes(cases: Outcomes, other: Outcomes | None = None) -> OutcomeFigures:
    """Give the figures of patients; see `evaluate_patients`."""
    years, event, said = cases.years, cases.event, cases.said
    in_time = partial(_pairs_in_time, cases)

    def figure(
        of: Callable[[Floats, Floats, Bools], float], score: Floats, units: Units
    ) -> Figure:
        each = Share(lambda at: of(score[at], years[at], event[at]), units)
        return bootstrap(each, cases.patients, rounds=300)

    auc = {
        str(y): figure(
            partial(horizon_auc, year=y), said[:, n], partial(_pairs_at, cases, year=y)
        )
        for n, y in enumerate(YEARS)
    }
    usable = [y for y in YEARS if auc[str(y)].value is not None]
    year = usable[-1] if usable else None
    known = (years > (year or 0)) | (event & (years <= (year or 0)))
    last = said[:, YEARS.index(year)] if year else said[:, -1]
    ill = (event & (years <= (year or 0)))[known]
    names = tuple(i for i, k in zip(cases.patients, known.tolist(), strict=True) if k)
    sensitivity = {
        f"{s:g}": bootstrap(_sensitivity(last[known], ill, s, names), names)
        for s in SPECIFICITIES
    }
    comparison = None
    enough = min(int(ill.sum()), int((~ill).sum())) > 1  # DeLong needs a variance
    if other is not None and year is not None and enough:
        second = other.said[:, YEARS.index(year)]
        comparison = compare_aucs(last[known], second[known], ill)
    return OutcomeFigures(
        n=len(cases.ids),
        cancers=int(event.sum()),
        auc=auc,
        harrell_c=figure(harrell_c, said[:, -1], in_time),
        uno_c=figure(uno_c, said[:, -1], in_time),
        known=int(known.sum()) if year else 0,
        known_year=year,
        sensitivity=sensitivity,
        decision_curve=decision_curve(last[known], ill, THRESHOLDS) if year else (),
        comparison=comparison,
    )


def _sensitivity(
    score: Floats, ill: Bools, specificity: float, patients: Sequence[str]
) -> Share:
    """Make the statistic that `bootstrap` asks for; its units are ill patients."""
    names = np.array(patients, dtype=str)
    return Share(
        lambda at: sensitivity_at(score[at], ill[at], specificity=specificity),
        lambda at: len(set(names[at][ill[at]].tolist())),
    )


def _pairs_at(cases: Outcomes, at: Indices, year: int) -> int:
    """Count pairs of patients, one ill by a year, one well until then."""
    years, ill = cases.years[at], cases.event[at] & (cases.years[at] <= year)
    known = ill | (years > year)
    return disjoint_pairs(np.array(cases.patients)[at][known], ill[known])


def _pairs_in_time(cases: Outcomes, at: Indices) -> int:
    """Count pairs of patients of whom one fell ill before the time of the other.

    Each patient counts by one row. Who is paired with whom is drawn, whatever their
    times: early with late ones would be more pairs, and easier to order than most.
    """
    _, first = np.unique(np.array(cases.patients)[at], return_index=True)
    drawn = np.random.default_rng(0).permutation(at[first])
    half = len(drawn) // 2
    one, other = drawn[:half], drawn[half : 2 * half]
    gap = cases.years[one] - cases.years[other]
    ill, other_ill = cases.event[one], cases.event[other]
    ordered = (
        (ill & (gap < 0)) | (other_ill & (gap > 0)) | ((ill != other_ill) & (gap == 0))
    )
    return int(ordered.sum())
