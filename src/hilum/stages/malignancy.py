"""How likely each nodule is malignant."""

from __future__ import annotations

from dataclasses import dataclass, replace

from hilum.clinical.facts import Facts
from hilum.clinical.risk import BROCK_LARGEST_MM, brock_range
from hilum.errors import InputError
from hilum.findings import Nodule, Notice, Probability

FACT_WORDS = {
    "age_years": "the patient's age",
    "sex": "sex",
    "family_history": "family history of lung cancer",
    "emphysema": "emphysema",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class BrockModel:
    """Malignancy by the Brock model 2a on the measured nodules.

    A clinical model on automatic measurements: it stands in until a network
    that looks at the nodule takes its place, and says so in a notice.

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
        """Give each nodule its malignancy; the most suspicious comes first.

        Args:
            nodules: Measured nodules of one series.
            facts: What is known of the patient; the interval covers the rest.
        """
        scored = [
            replace(nodule, malignancy=self._malignancy(nodule, facts, len(nodules)))
            for nodule in nodules
        ]
        return tuple(sorted(scored, key=lambda n: n.suspicion, reverse=True))

    def _malignancy(self, nodule: Nodule, facts: Facts, count: int) -> Probability:
        calcified = nodule.type == "calcified"
        risk = brock_range(
            facts,
            diameter_mm=nodule.diameter_mm,
            type="solid" if nodule.type == "calcified" else nodule.type,
            count=count,
        )
        if not calcified or risk.value is None:
            return risk
        value = min(risk.value, self.calcified_at_most)
        return Probability(low=0.0, value=value, high=risk.high)


def brock_notices(nodules: tuple[Nodule, ...], facts: Facts) -> tuple[Notice, ...]:
    """Say what the malignancies rest on and where the model was stretched.

    Args:
        nodules: Those that `BrockModel` scored.
        facts: What was known of the patient.
    """
    if not nodules:
        return ()
    unknown = [FACT_WORDS.get(name, name) for name in facts.missing]
    notices = [
        Notice(
            "malignancy-by-brock",
            "Malignancy is the Brock (PanCan) model 2a on automatic measurements, "
            "not a reading of the nodule's appearance; it was built on screening "
            "nodules of smokers aged 50 to 75.",
            "malignancy",
        ),
        Notice(
            "facts-missing",
            f"Not known: {', '.join([*unknown, 'the lobe of each nodule'])}. The "
            "intervals cover all their values, and the values stand in the middle.",
            "malignancy",
        ),
    ]
    large = [n.diameter_mm for n in nodules if n.diameter_mm > BROCK_LARGEST_MM]
    if large:
        sizes = ", ".join(f"{d:.0f}" for d in large)
        notices.append(
            Notice(
                "brock-mass",
                f"{len(large)} finding(s) of {sizes} mm exceed the "
                f"{BROCK_LARGEST_MM:.0f} mm that the Brock model was built for; a mass "
                "is more suspicious than the model can say.",
                "malignancy",
            )
        )
    return tuple(notices)
