"""How good results are: figures with the interval that the patients leave open.

The folder: `ranking` (area under the ROC curve), `agreement` (classes and masks),
`calibration` (whether probabilities are what they say), `intervals` (bootstrap over
patients), `nodules` (all of it over a folder of nodules); `detections` (tables of
marks), `mistakes` (what makes a FROC curve wrong), `froc`, `luna16` (the protocol);
`patients` (their tables), `dsb2017`, `outcomes` (follow-up), `survival`, `decisions`,
`recalibration`, `submission`; `masks`; `subgroups` (parts of a cohort), `card` (a model
card of the figures), `worst` (where readers and networks disagree).
"""

from hilum.evaluation.agreement import balanced_accuracy, dice, volume_error
from hilum.evaluation.calibration import (
    Bin,
    Platt,
    expected_calibration_error,
    fit_platt,
    reliability,
)
from hilum.evaluation.card import CardFacts, write_card
from hilum.evaluation.decisions import (
    AucDifference,
    NetBenefit,
    compare_aucs,
    decision_curve,
    sensitivity_at,
)
from hilum.evaluation.dsb2017 import PatientFigures, evaluate_dsb2017, log_loss
from hilum.evaluation.froc import compare_cpm
from hilum.evaluation.intervals import Figure, bootstrap
from hilum.evaluation.luna16 import DetectionFigures, evaluate_luna16
from hilum.evaluation.masks import MaskFigures, evaluate_segmentation
from hilum.evaluation.networks import OUTLINES, evaluate_networks
from hilum.evaluation.nodules import (
    NoduleFigures,
    NoduleReading,
    evaluate_nodules,
    judge_nodules,
)
from hilum.evaluation.outcomes import OutcomeFigures, evaluate_patients
from hilum.evaluation.ranking import area_under_curve
from hilum.evaluation.recalibration import Recalibration, calibrate
from hilum.evaluation.subgroups import Subgroup
from hilum.evaluation.submission import Submission, write_submission
from hilum.evaluation.survival import harrell_c, horizon_auc, uno_c
from hilum.evaluation.worst import Disagreement, Worst, find_worst

__all__ = [
    "OUTLINES",
    "AucDifference",
    "Bin",
    "CardFacts",
    "DetectionFigures",
    "Disagreement",
    "Figure",
    "MaskFigures",
    "NetBenefit",
    "NoduleFigures",
    "NoduleReading",
    "OutcomeFigures",
    "PatientFigures",
    "Platt",
    "Recalibration",
    "Subgroup",
    "Submission",
    "Worst",
    "area_under_curve",
    "balanced_accuracy",
    "bootstrap",
    "calibrate",
    "compare_aucs",
    "compare_cpm",
    "decision_curve",
    "dice",
    "evaluate_dsb2017",
    "evaluate_luna16",
    "evaluate_networks",
    "evaluate_nodules",
    "evaluate_patients",
    "evaluate_segmentation",
    "expected_calibration_error",
    "find_worst",
    "fit_platt",
    "harrell_c",
    "horizon_auc",
    "judge_nodules",
    "log_loss",
    "reliability",
    "sensitivity_at",
    "uno_c",
    "volume_error",
    "write_card",
    "write_submission",
]
