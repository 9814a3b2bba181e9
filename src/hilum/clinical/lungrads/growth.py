"""What became of a nodule since the prior, as Lung-RADS counts it."""

from __future__ import annotations

from hilum.clinical.lungrads.finding import Change
from hilum.clinical.rounding import check_size, round_half_up

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
