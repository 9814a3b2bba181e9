"""How malignant each nodule looks, and how likely it is cancer by the Brock model.

Two numbers that answer different questions: `MalignancyModel` looks at the nodule and
says how radiologists would rate it; `BrockModel` says how often screening nodules of
that size and kind were cancer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from hilum.clinical.facts import Facts
from hilum.clinical.fleischner import FleischnerKind
from hilum.clinical.population import brock_doubts
from hilum.clinical.risk import (
    BROCK_FACTS,
    BROCK_LARGEST_MM,
    brock_range,
)
from hilum.errors import InputError
from hilum.findings import Nodule, Notice, Probability
from hilum.runtime.predictor import load_predictor
from hilum.runtime.ratings import rate_nodules, read_calibration
from hilum.runtime.weights import find_weights
from hilum.volume import CTVolume, Mask

FACT_WORDS = {
    "age_years": "the patient's age",
    "sex": "sex",
    "family_history": "family history of lung cancer",
    "emphysema": "emphysema",
}

_SOLID_FROM, _SURELY_SOLID_FROM = 4.0, 4.6
"""Ratings of texture: below the first there is glass, above the second there is none.

The first is what readers' means are parted by; the second was chosen."""

_PART_SOLID_AT = 3.0
"""Rating of texture that stands for part-solid; 1 stands for ground glass."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MalignancyModel:
    """Malignancy and look as radiologists would rate them, by networks.

    Attributes:
        weights: Name of shipped weights, or path of a `.keras` or `.xml` file with
            its `.calibration.json` beside it.
    """

    weights: str = "malignancy"

    def __call__(
        self, volume: CTVolume, nodules: Sequence[Nodule], masks: Sequence[Mask]
    ) -> tuple[Nodule, ...]:
        """Give each nodule its malignancy and attributes, in their order.

        Args:
            volume: The CT.
            nodules: Measured.
            masks: The voxels of each, on a part of the grid of the volume.

        Raises:
            WeightsError: The weights are absent, damaged or of another task.
        """
        if not nodules:
            return ()
        predict = load_predictor(self.weights)
        calibration = read_calibration(predict.path)
        said = rate_nodules(volume, masks, predict=predict, calibration=calibration)
        return tuple(
            replace(nodule, malignancy=one.malignancy, attributes=one.attributes)
            for nodule, one in zip(nodules, said, strict=True)
        )

    def check(self) -> None:
        """Refuse weights that are absent or damaged, before any work.

        Raises:
            WeightsError: As when called.
        """
        read_calibration(find_weights(self.weights))

    def digests(self) -> dict[str, str]:
        """Give the SHA-256 of each file of the weights, by its name.

        Raises:
            WeightsError: As when called.
        """
        return dict(load_predictor(self.weights).sha256)


def rating_notices(nodules: Sequence[Nodule]) -> tuple[Notice, ...]:
    """Say what the malignancies mean.

    Args:
        nodules: Those that `MalignancyModel` rated.
    """
    if not nodules:
        return ()
    text = (
        "Malignancy and look are what radiologists would say, learned from the ratings "
        "of LIDC-IDRI, not from biopsies. The 95 % intervals cover the spread of five "
        "networks and the doubt of the calibration; they do not cover what all five "
        "get wrong, such as a finding that is no nodule."
    )
    return (Notice("malignancy-as-rated", text, "malignancy"),)


def kinds_rated(nodule: Nodule) -> tuple[FleischnerKind, ...]:
    """Name the other kinds that the rating of its texture speaks for.

    The scale is 1 ground glass, 3 part-solid, 5 solid. Of LIDC nodules that measure
    solid, 11 of 25 that readers called part-solid or ground glass were rated below 4,
    and 2 % of those that they called solid, out of fold; of those that measure
    subsolid, 4 of 22 that readers called solid were rated above 4.6, and none of 75
    others.

    Args:
        nodule: Measured and rated.

    Returns:
        Empty where density and rating agree, and of calcified nodules. Below 3, half
        of the scale, part-solid and ground glass.
    """
    texture = nodule.attributes.texture
    if texture is None:
        return ()
    if nodule.type == "solid" and texture < _SOLID_FROM:
        glass = texture < _PART_SOLID_AT
        return ("part-solid", "ground-glass") if glass else ("part-solid",)
    subsolid = nodule.type in ("part-solid", "ground-glass")
    return ("solid",) if subsolid and texture > _SURELY_SOLID_FROM else ()


def kind_notices(nodules: Sequence[Nodule]) -> tuple[Notice, ...]:
    """Say of which nodules the density and the networks see another kind.

    Args:
        nodules: Those that `MalignancyModel` rated.
    """
    return tuple(
        Notice(
            "nodule-kind-in-doubt",
            f"Nodule {number} is {nodule.type} by its density; networks rate its "
            f"texture {nodule.attributes.texture:.1f} (1 ground glass, 3 part-solid, 5 "
            f"solid), so readers might call it {' or '.join(others)}. What guidelines "
            "leave possible covers it.",
            "malignancy",
        )
        for number, nodule in enumerate(nodules, start=1)
        if (others := kinds_rated(nodule))
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class BrockModel:
    """Probability of cancer by the Brock model 2a on the measured nodules.

    A clinical model on automatic measurements; the patient's probability rests on it.

    Attributes:
        calcified_at_most: Malignancy of a calcified nodule, which Brock does not
            cover: Lung-RADS puts complete calcification into category 1, below
            1 %. The upper end of its interval stays that of a solid nodule,
            because the calcification could be eccentric.
    """

    calcified_at_most: float = 0.01

    def __post_init__(self) -> None:
        """Refuse what is no probability."""
        if not 0 <= self.calcified_at_most <= 1:
            raise InputError(
                f"`calcified_at_most` must lie in [0, 1]; got {self.calcified_at_most}."
            )

    def __call__(self, nodules: tuple[Nodule, ...], facts: Facts) -> tuple[Nodule, ...]:
        """Give each nodule the probability as its malignancy, in their order.

        Args:
            nodules: Measured nodules of one series.
            facts: What is known of the patient; the interval covers the rest, and the
                other kinds that a nodule may be of.
        """
        return tuple(
            replace(nodule, malignancy=self._malignancy(nodule, facts, len(nodules)))
            for nodule in nodules
        )

    def _malignancy(self, nodule: Nodule, facts: Facts, count: int) -> Probability:
        calcified = nodule.type == "calcified"
        measured = "solid" if nodule.type == "calcified" else nodule.type
        risk, *others = (
            brock_range(
                facts,
                diameter_mm=nodule.diameter_mm,
                type=kind,
                count=count,
                fewest=1,
                upper_lobe=nodule.upper_lobe,
            )
            for kind in (measured, *kinds_rated(nodule))
        )
        lows = [r.low for r in (risk, *others) if r.low is not None]
        highs = [r.high for r in (risk, *others) if r.high is not None]
        risk = replace(risk, low=min(lows), high=max(highs))
        if not calcified or risk.value is None:
            return risk
        value = min(risk.value, self.calcified_at_most)
        return Probability(low=0.0, value=value, high=risk.high)


def brock_notices(nodules: tuple[Nodule, ...], facts: Facts) -> tuple[Notice, ...]:
    """Say what the Brock probabilities rest on and where the model was stretched.

    Args:
        nodules: Those that `BrockModel` scored.
        facts: What was known of the patient.
    """
    if not nodules:
        return ()
    notices = [
        Notice(
            "probability-by-brock",
            "The patient's probability rests on the Brock (PanCan) model 2a on "
            "automatic measurements, not on how the nodules look; it was built on "
            "screening nodules of smokers aged 50 to 75.",
            "patient",
        ),
    ]
    unknown = [FACT_WORDS.get(name, name) for name in facts.missing_of(BROCK_FACTS)]
    unsure = sum(nodule.upper_lobe is None for nodule in nodules)
    if unsure:
        unknown.append(f"whether {unsure} of {len(nodules)} are in an upper lobe")
    if len(nodules) > 1:
        unknown.append("how many findings are nodules")
    if unknown:
        text = (
            f"Not known: {', '.join(unknown)}. The patient's interval covers all "
            "their values, and the value stands in the middle."
        )
        notices.append(Notice("facts-missing", text, "patient"))
    doubts = brock_doubts(facts)
    if doubts:
        text = f"{' '.join(doubts)} For others the Brock model need not hold."
        notices.append(Notice("population", text, "patient"))
    large = [n.diameter_mm for n in nodules if n.diameter_mm > BROCK_LARGEST_MM]
    if large:
        sizes = ", ".join(f"{d:.0f}" for d in large)
        notices.append(
            Notice(
                "brock-mass",
                f"{len(large)} finding(s) of {sizes} mm exceed the "
                f"{BROCK_LARGEST_MM:.0f} mm that the Brock model was built for; a mass "
                "is more suspicious than the model can say.",
                "patient",
            )
        )
    return tuple(notices)
