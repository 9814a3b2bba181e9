"""What became of a nodule since the prior, as Lung-RADS counts it."""

from __future__ import annotations

from hilum.clinical.lungrads.finding import Change, ScreeningFinding
from hilum.clinical.rounding import check_size, round_half_up
from hilum.errors import InputError

GROWTH_MM = 1.5
"""A mean diameter that increased by more than this within 12 months has grown."""

GROWTH_MONTHS = 12.0


def change_since(prior_mm: float, current_mm: float, months: float) -> Change:
    """Tell growth from stability by two mean diameters.

    Grown: by more than 1.5 mm within 12 months. Over a longer time more than 1.5 mm in
    all counts as slow growth. Decreased: by more than 1.5 mm.

    Args:
        prior_mm: Mean diameter at the prior.
        current_mm: Mean diameter now.
        months: Between the two, above 0.

    Raises:
        InputError: A diameter or the time is not above 0.

    Example:
        >>> [change_since(6, now, months) for now, months in ((7.5, 6), (7.6, 6))]
        ['stable', 'growing']
    """
    for value, what, unit in (
        (prior_mm, "The prior diameter", "mm"),
        (current_mm, "The diameter", "mm"),
        (months, "The time between", "months"),
    ):
        check_size(value, what, unit)
    more = round_half_up(
        round_half_up(current_mm, "0.1") - round_half_up(prior_mm, "0.1"), "0.1"
    )
    if more > GROWTH_MM:
        return "growing" if months <= GROWTH_MONTHS else "slowly-growing"
    return "decreased" if more < -GROWTH_MM else "stable"


def check_status(finding: ScreeningFinding) -> None:
    """Refuse a status that the diameters then and now contradict.

    Args:
        finding: With a status that was told. Where it has both diameters, stable is
            no change of more than 1.5 mm, what grew is larger and what decreased
            smaller. Of a part-solid nodule those of the solid part count.

    Raises:
        InputError: They do not fit.

    Example:
        >>> check_status(ScreeningFinding(kind="solid", status="growing",
        ...     diameter_mm=8, prior_diameter_mm=6))
    """
    before, now = finding.prior_diameter_mm, finding.diameter_mm
    if finding.kind == "part-solid":
        before, now = finding.prior_solid_mm, finding.solid_mm
    if before is None or now is None or finding.seen_first:
        return
    more = round_half_up(
        round_half_up(now, "0.1") - round_half_up(before, "0.1"), "0.1"
    )
    fits = {
        "stable": abs(more) <= GROWTH_MM,
        "decreased": more < 0,
    }.get(finding.status, more > 0)
    if not fits:
        raise InputError(
            f"The status is {finding.status}, and the mean diameter changed by "
            f"{more:+g} mm ({before:g} to {now:g} mm). Stable is at most {GROWTH_MM:g} "
            "mm either way; give the status that fits, or mend the diameters."
        )
