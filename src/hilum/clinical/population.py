"""In what a patient is unlike those whom a model or a guideline is for."""

from __future__ import annotations

from hilum.clinical.facts import Facts

PANCAN_AGES_YEARS = (50.0, 75.0)
"""Ages at entry to the PanCan study, on which the Brock model was built."""

SCREENED_AGES_YEARS = (50.0, 80.0)
"""Whom the US Preventive Services Task Force advises to be screened."""


def age_doubts(
    age_years: float | None, ages_years: tuple[float, float], study: str
) -> tuple[str, ...]:
    """Say when a patient is younger or older than those whom a model was built on.

    Args:
        age_years: Of the patient; None: not known.
        ages_years: Youngest and oldest.
        study: Whose ages they are, as a sentence has it.
    """
    low, high = ages_years
    if age_years is None or low <= age_years <= high:
        return ()
    return (
        f"The patient is {age_years:g} years old; {study} had people of {low:g} to "
        f"{high:g} years.",
    )


def brock_doubts(facts: Facts) -> tuple[str, ...]:
    """Say in what a patient is unlike those of PanCan.

    Args:
        facts: The patient.

    Source:
        McWilliams et al., NEJM 2013;369:910.

    Example:
        >>> brock_doubts(Facts(age_years=60, smoker="never"))
        ('The patient never smoked; PanCan had people who smoke or smoked.',)
    """
    said = age_doubts(facts.age_years, PANCAN_AGES_YEARS, "PanCan")
    return said + _smoke_doubt(facts, "PanCan")


def screening_doubts(facts: Facts) -> tuple[str, ...]:
    """Say in what a patient is unlike those who are screened for lung cancer.

    Args:
        facts: The patient.

    Source:
        US Preventive Services Task Force, JAMA 2021;325:962.
    """
    said = age_doubts(facts.age_years, SCREENED_AGES_YEARS, "screening")
    return said + _smoke_doubt(facts, "screening")


def _smoke_doubt(facts: Facts, study: str) -> tuple[str, ...]:
    if facts.smoker != "never":
        return ()
    return (f"The patient never smoked; {study} had people who smoke or smoked.",)
