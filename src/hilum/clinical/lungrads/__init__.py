"""Lung-RADS v2022: how suspicious a screening CT is, and what follows.

Diameters are means of long and short axis, to 0.1 mm.

Source:
    American College of Radiology, Lung-RADS v2022 (November 2022).
"""

from hilum.clinical.lungrads.exam import LungRads, judge_exam, judge_range, judge_sizes
from hilum.clinical.lungrads.finding import Airway, Change, Cyst, Kind, ScreeningFinding
from hilum.clinical.lungrads.growth import change_since, check_status
from hilum.clinical.lungrads.rules import Category, Verdict, judge_finding

__all__ = [
    "Airway",
    "Category",
    "Change",
    "Cyst",
    "Kind",
    "LungRads",
    "ScreeningFinding",
    "Verdict",
    "change_since",
    "check_status",
    "judge_exam",
    "judge_finding",
    "judge_range",
    "judge_sizes",
]
