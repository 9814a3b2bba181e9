"""What the page shows of a nodule beyond what the assessment says of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hilum.errors import InputError
from hilum.findings import Assessment
from hilum.report.growth import Change
from hilum.stages.explain import Explanation
from hilum.volume import Mask


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class NoduleDetails:
    """What is known of one nodule; what is None is not shown.

    Attributes:
        mask: Its voxels, on a part of the grid of the volume.
        explanation: Why it was rated as it was.
        change: What became of it since earlier scans.
    """

    mask: Mask | None = None
    explanation: Explanation | None = None
    change: Change | None = None


NOTHING = NoduleDetails()


def details_for(
    assessment: Assessment, details: Sequence[NoduleDetails]
) -> tuple[NoduleDetails, ...]:
    """Give one for each nodule, filled up where fewer are known.

    Raises:
        InputError: There are more than nodules, or a mask is not where its nodule is.
    """
    nodules = assessment.nodules
    if len(details) > len(nodules):
        raise InputError(
            f"There are details of {len(details)} nodules, but only {len(nodules)} in "
            "the assessment. Give them in its order."
        )
    for number, (nodule, known) in enumerate(zip(nodules, details, strict=False), 1):
        if known.mask is not None and not known.mask.grid.contains(nodule.center_mm):
            raise InputError(
                f"The mask of nodule {number} is not where the nodule is. "
                "Give details in the order of the assessment."
            )
    return (*details, *(NOTHING,) * (len(nodules) - len(details)))
