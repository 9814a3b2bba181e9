"""How good results are: figures with the interval that the patients leave open.

The folder: `ranking` (area under the ROC curve), `agreement` (classes and masks),
`calibration` (whether probabilities are what they say), `intervals` (bootstrap over
patients), `nodules` (all of it over a folder of nodules); `detections` (tables of
marks), `mistakes` (what makes a FROC curve wrong), `froc`, `luna16` (the protocol).
"""

from hilum.evaluation.agreement import balanced_accuracy, dice, volume_error
from hilum.evaluation.calibration import (
    Bin,
    Platt,
    expected_calibration_error,
    fit_platt,
    reliability,
)
from hilum.evaluation.intervals import Figure, bootstrap
from hilum.evaluation.luna16 import DetectionFigures, evaluate_luna16
from hilum.evaluation.networks import OUTLINES, evaluate_networks
from hilum.evaluation.nodules import (
    NoduleFigures,
    NoduleReading,
    evaluate_nodules,
    judge_nodules,
)
from hilum.evaluation.ranking import area_under_curve

__all__ = [
    "OUTLINES",
    "Bin",
    "DetectionFigures",
    "Figure",
    "NoduleFigures",
    "NoduleReading",
    "Platt",
    "area_under_curve",
    "balanced_accuracy",
    "bootstrap",
    "dice",
    "evaluate_luna16",
    "evaluate_networks",
    "evaluate_nodules",
    "expected_calibration_error",
    "fit_platt",
    "judge_nodules",
    "reliability",
    "volume_error",
]
