"""The measure of the Data Science Bowl 2017: the log loss of patients.

Its tables are `stage1_labels.csv` and a submission, both `id,cancer`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hilum.errors import InputError
from hilum.evaluation.calibration import (
    Bin,
    expected_calibration_error,
    reliability,
)
from hilum.evaluation.decisions import AucDifference, compare_aucs
from hilum.evaluation.intervals import Figure, Share, bootstrap, disjoint_pairs
from hilum.evaluation.patients import Labelled, read_labelled
from hilum.evaluation.ranking import area_under_curve
from hilum.evaluation.subgroups import Subgroup, judge_groups, read_facts
from hilum.findings import Record

CLIP = 1e-15
"""Probabilities are brought this far from 0 and 1, as the competition did."""

Interval = tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class PatientFigures(Record):
    """How good the probabilities of patients are; intervals of 95 % over patients.

    Attributes:
        n: Patients.
        cancers: Of them with cancer.
        log_loss: Mean; 0.69 for 0.5 everywhere.
        log_loss_interval: Of it.
        prior_log_loss: Of the share of cancers given to everybody: what knowing no
            scan would reach.
        auc: Area under the ROC curve; None without both kinds.
        auc_interval: Of it.
        brier: Mean squared error.
        brier_interval: Of it.
        ece: Expected calibration error in ten bins.
        ece_interval: Of it.
        reliability: The bins.
        subgroups: Of parts of the patients, where facts were given.
        comparison: AUC with that of the other predictions, where there were any.
        log_loss_difference: Less that of the other predictions; below 0 is better.
    """

    n: int
    cancers: int
    log_loss: float
    log_loss_interval: Interval
    prior_log_loss: float
    auc: float | None
    auc_interval: Interval | None
    brier: float
    brier_interval: Interval
    ece: float
    ece_interval: Interval
    reliability: tuple[Bin, ...]
    subgroups: tuple[Subgroup, ...] = ()
    comparison: AucDifference | None = None
    log_loss_difference: Figure | None = None


def evaluate_dsb2017(
    labels: Path,
    predictions: Path,
    *,
    by: Path | None = None,
    against: Path | None = None,
) -> PatientFigures:
    """Judge a submission.

    Args:
        labels: CSV `id,cancer`, 0 or 1; other columns are ignored.
        predictions: CSV `id,cancer`, probabilities, of the same patients.
        by: CSV of facts by `id`: figures of parts of the patients by each of them.
        against: Other predictions of the same patients, to compare with: AUC by
            DeLong's method, log loss for the same draws of patients.

    Raises:
        InputError: A table cannot be read, or they are of different patients.
    """
    cases = read_labelled(labels, predictions)
    found = judge_patients(cases)
    p, truth = cases.probability, cases.cancer
    if by is not None:
        parts = judge_groups(
            read_facts(Path(by), cases.ids),
            cases.ids,
            truth,
            {
                "auc": _auc_of(cases),
                "log_loss": lambda at: log_loss(p[at], truth[at]),
            },
        )
        found = replace(found, subgroups=parts)
    if against is not None:
        other = read_labelled(labels, against).probability
        less = bootstrap(
            lambda at: log_loss(p[at], truth[at]) - log_loss(other[at], truth[at]),
            cases.ids,
        )
        found = replace(found, log_loss_difference=less)
        if min(truth.sum(), (~truth).sum()) > 1:
            found = replace(found, comparison=compare_aucs(p, other, truth))
    return found


def judge_patients(cases: Labelled) -> PatientFigures:
    """Give the figures of patients.

    Args:
        cases: At least one.

    Raises:
        InputError: There is no patient.
    """
    if not cases.ids:
        raise InputError("There is no patient to judge.")
    p, truth = cases.probability, cases.cancer

    def figure(
        of: Callable[[Any, Any], float] | Share,
    ) -> tuple[float | None, Interval | None]:
        each = of if isinstance(of, Share) else lambda at: of(p[at], truth[at])
        found = bootstrap(each, cases.ids)
        if found.value is None or found.low is None or found.high is None:
            return None, None
        return found.value, (found.low, found.high)

    loss, loss_interval = figure(log_loss)
    square, square_interval = figure(brier)
    ece, ece_interval = figure(expected_calibration_error)
    auc, auc_interval = figure(_auc_of(cases))
    share = np.full(len(p), truth.mean())
    return PatientFigures(
        n=len(p),
        cancers=int(truth.sum()),
        log_loss=loss or 0.0,
        log_loss_interval=loss_interval or (0.0, 0.0),
        prior_log_loss=log_loss(share, truth),
        auc=auc,
        auc_interval=auc_interval,
        brier=square or 0.0,
        brier_interval=square_interval or (0.0, 0.0),
        ece=ece or 0.0,
        ece_interval=ece_interval or (0.0, 0.0),
        reliability=reliability(p, truth),
    )


def _auc_of(cases: Labelled) -> Share:
    """Make the statistic of the AUC."""
    p, truth, ids = cases.probability, cases.cancer, np.array(cases.ids)
    return Share(
        lambda at: area_under_curve(p[at], truth[at]),
        lambda at: disjoint_pairs(ids[at], truth[at]),
    )


def log_loss(probability: npt.ArrayLike, truth: npt.ArrayLike) -> float:
    """Give -mean(y ln p + (1 - y) ln(1 - p)), with p in [1e-15, 1 - 1e-15].

    Args:
        probability: (n,) in [0, 1].
        truth: (n,) bool.

    Example:
        >>> round(log_loss([0.9, 0.2], [True, False]), 4)  # -(ln 0.9 + ln 0.8) / 2
        0.1643
    """
    p = np.clip(np.asarray(probability, np.float64), CLIP, 1 - CLIP)
    positive = np.asarray(truth, bool)
    return float(-np.mean(np.where(positive, np.log(p), np.log1p(-p))))


def brier(probability: npt.ArrayLike, truth: npt.ArrayLike) -> float:
    """Give the mean squared difference of probability and truth.

    Args:
        probability: (n,) in [0, 1].
        truth: (n,) bool.

    Example:
        >>> round(brier([0.9, 0.2], [True, False]), 3)  # (0.1^2 + 0.2^2) / 2
        0.025
    """
    off = np.asarray(probability, np.float64) - np.asarray(truth, np.float64)
    return float(np.mean(off**2))
