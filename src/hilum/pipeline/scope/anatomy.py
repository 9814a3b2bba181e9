"""Whether a scan shows the chest of an adult with both lungs, whole.

Of the eleven scans the lungs are 223 to 315 mm wide, the smaller lung has at least 41 %
of both, and nothing of them lies on an edge.
"""

from __future__ import annotations

import re

import numpy as np

from hilum.findings import ScopeCheck
from hilum.pipeline.scope.checks import Rule, named
from hilum.stages.lungs import LungLook
from hilum.stages.lungs.look import FEET, HEAD
from hilum.volume import CTVolume

LUNGS = Rule(
    code="lung-volume",
    unit="l",
    at_least=0.1,
    why="No lungs were found: this is no chest CT, or the values are not HU.",
    digits=2,
)
SMALLER_LUNG = Rule(
    code="smaller-lung",
    unit="%",
    at_least=10.0,
    why="One lung may be removed, collapsed, full of fluid, or outside the scan.",
)
BOTTOM = Rule(
    code="lung-bottom",
    unit="cm2",
    at_most=5.0,
    why="The lungs go on below the scan and were not seen whole.",
)
TOP = Rule(
    code="lung-top",
    unit="cm2",
    at_most=5.0,
    why="The lungs go on above the scan and were not seen whole.",
)
FIELD = Rule(
    code="field-of-view",
    unit="cm2",
    at_most=5.0,
    why="The field of view cuts the lungs.",
)
WIDTH = Rule(
    code="chest-width",
    unit="mm",
    at_least=190.0,
    why="The chest is as small as a child's; nothing was learned from children.",
    digits=0,
)
TRIMMED = 0.005
"""Share of the lung at either side that does not count for its width."""

ELSEWHERE = re.compile(
    r"HEAD|BRAIN|SKULL|ORBIT|SINUS|NECK|PELVIS|HIP|KNEE|ANKLE|FOOT|HAND|WRIST|ELBOW"
    r"|EXTREM|COLON|KIDNEY|UTERUS|PROSTATE|^ABDOMEN$|^LIVER$"
)


def check_anatomy(volume: CTVolume, look: LungLook) -> list[ScopeCheck]:
    """Judge what the scan shows.

    Args:
        volume: The CT.
        look: Its lungs.
    """
    found = [LUNGS("The lungs hold {}", look.total_l)]
    if not found[0].passed:
        return [*found, *_check_body_part(volume)]
    smaller = 100 * min(look.right_l, look.left_l) / look.total_l
    side = "right" if look.right_l <= look.left_l else "left"
    said = f"The {side} lung holds {{}} of the aerated lung"
    sides = max(*look.cut_cm2[HEAD + 1 :], look.open_cm2)
    found += [
        SMALLER_LUNG(said, smaller),
        BOTTOM("{} of lung lie on the lowest slice", look.cut_cm2[FEET]),
        TOP("{} of lung lie on the highest slice", look.cut_cm2[HEAD]),
        FIELD("{} of lung lie at a side or the rim of the image", sides),
    ]
    if found[1].passed:  # of one lung the width says nothing
        found.append(WIDTH("The lungs are {} wide", _width_mm(look)))
    return found + _check_body_part(volume)


def _width_mm(look: LungLook) -> float:
    """Measure the lungs from right to left, without what sticks out a little."""
    along = np.cumsum(np.count_nonzero(look.lungs, axis=(0, 1)))
    ends = np.searchsorted(along, np.array([TRIMMED, 1 - TRIMMED]) * along[-1])
    return float((ends[1] - ends[0] + 1) * look.small.grid.spacing_mm[2])


def _check_body_part(volume: CTVolume) -> list[ScopeCheck]:
    """Doubt a series that says of itself that it shows something else."""
    part = volume.acquisition.body_part
    if not part:
        return []
    other = ELSEWHERE.search(part.upper())
    message = f"The series says that it shows `{part}` (BodyPartExamined)."
    return [named("body-part", message=message, passed=other is None)]
