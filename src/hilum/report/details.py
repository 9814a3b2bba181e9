"""What the page shows of a nodule beyond what the assessment says of it.

An assessment holds numbers. Where a nodule ends is in its mask, why it was rated so
is asked of the network again, and what became of it is known where there is a prior.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hilum.errors import InputError, WeightsError
from hilum.findings import Assessment
from hilum.report.growth import Course
from hilum.runtime.predictor import load_predictor
from hilum.stages.explain import Explainer, Explanation
from hilum.volume import CTVolume, Mask


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class NoduleDetails:
    """What is known of one nodule; what is None is not shown.

    Attributes:
        mask: Its voxels, on a part of the grid of the volume.
        explanation: Why it was rated as it was.
        status: What became of it since the prior scan, such as "new" or "grown".
        course: Its volumes, where it was seen in both.
    """

    mask: Mask | None = None
    explanation: Explanation | None = None
    status: str = ""
    course: Course | None = None


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


def gather_details(
    assessment: Assessment,
    volume: CTVolume,
    masks: Sequence[Mask],
    *,
    rated: Sequence[Mask] = (),
) -> tuple[NoduleDetails, ...]:
    """Keep the outlines of the nodules, and explain the first of them.

    Only the network that rated them can say why: where its weights are not at hand
    any more, or are others under the same name, nothing is explained.

    Args:
        assessment: What was concluded.
        volume: What it was concluded from.
        masks: The voxels of each nodule, in the order of the assessment.
        rated: Those that its rating was made from; none: the same.

    Returns:
        One for each nodule.

    Raises:
        InputError: There are more or fewer masks than nodules.
    """
    nodules = assessment.nodules
    rated = rated or masks
    if not len(masks) == len(rated) == len(nodules):
        raise InputError(
            f"There are {len(masks)} masks for {len(nodules)} nodules. Give the "
            "outlines that were kept with the assessment."
        )
    weights = _weights_of(assessment)
    known: tuple[Explanation | None, ...] = (None,) * len(nodules)
    if weights is not None:
        known = Explainer(weights=weights)(volume, nodules, rated)
    return tuple(
        NoduleDetails(mask=mask, explanation=explanation)
        for mask, explanation in zip(masks, known, strict=True)
    )


def _weights_of(assessment: Assessment) -> str | None:
    """Name the weights that rated the nodules, if they are still the same."""
    run = assessment.provenance
    stage = run.settings.get("malignancy")
    name = stage.get("weights") if isinstance(stage, dict) else None
    if not isinstance(name, str) or not name:
        return None
    try:
        found = load_predictor(name).sha256
    except WeightsError:
        return None
    same = found and all(run.weights.get(file) == found[file] for file in found)
    return name if same else None
