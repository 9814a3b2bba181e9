"""Probability of cancer, from what a radiologist can write down.

Every coefficient is the published one, and published examples are the tests. Each
model says on whom it was built, and refuses or flags who was not among them.
"""

from hilum.clinical.risk.brock import (
    BROCK_AGES_YEARS,
    BROCK_FACTS,
    BROCK_LARGEST_MM,
    BROCK_POPULATION,
    BrockFactors,
    brock,
    brock_range,
    estimate_brock,
)
from hilum.clinical.risk.estimate import RiskEstimate
from hilum.clinical.risk.mayo import (
    MayoFactors,
    estimate_herder,
    estimate_mayo,
    herder,
    mayo,
)
from hilum.clinical.risk.plco import PlcoFactors, estimate_plco, plco

__all__ = [
    "BROCK_AGES_YEARS",
    "BROCK_FACTS",
    "BROCK_LARGEST_MM",
    "BROCK_POPULATION",
    "BrockFactors",
    "MayoFactors",
    "PlcoFactors",
    "RiskEstimate",
    "brock",
    "brock_range",
    "estimate_brock",
    "estimate_herder",
    "estimate_mayo",
    "estimate_plco",
    "herder",
    "mayo",
    "plco",
]
