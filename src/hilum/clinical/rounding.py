"""Sizes as guidelines count them, and what a size is worth as a volume."""

from __future__ import annotations

import math
from decimal import ROUND_HALF_UP, Decimal

from hilum.errors import InputError

_WHOLE_FROM = 1e15
"""Numbers from here on have no decimals to round."""


def mean_diameter_mm(long_mm: float, short_mm: float) -> float:
    """Average the axes of a nodule, to a tenth of a millimetre as Lung-RADS asks.

    Raises:
        InputError: An axis is not above 0, or the short one is the longer.

    Example:
        >>> mean_diameter_mm(9.0, 7.9)
        8.5
    """
    if not 0 < short_mm <= long_mm < math.inf:
        raise InputError(
            f"Axes must be above 0 with the long one first; got {long_mm} and "
            f"{short_mm} mm."
        )
    return round_half_up((long_mm + short_mm) / 2, "0.1")


def round_half_up(value: float, step: str) -> float:
    """Round as people do, halves up, to a step such as "0.1" or "1".

    Example:
        >>> round_half_up(8.5, "1"), round_half_up(7.95, "0.1")
        (9.0, 8.0)
    """
    if abs(value) >= _WHOLE_FROM:
        return value
    return float(Decimal(repr(value)).quantize(Decimal(step), ROUND_HALF_UP))


_VOLUMES = (1e-6, 1e9)
SIZES = {
    "mm": (0.01, 1000.0),
    "mm³": _VOLUMES,
    "mm3": _VOLUMES,
    "days": (1e-3, 36_525.0),
    "months": (1e-3, 1200.0),
}
"""Between what, by unit, a length or volume of a nodule, or a time between two scans,
must lie to be one at all."""


def check_size(value: float | None, what: str, unit: str) -> None:
    """Refuse a size that nothing can have.

    Raises:
        InputError: The size is not above 0, not finite, or beyond what a chest holds.
    """
    if value is None:
        return
    if not 0 < value < math.inf:
        raise InputError(f"{what} must be above 0 {unit}; got {value}.")
    low, high = SIZES.get(unit, (0.0, math.inf))
    if not low <= value <= high:
        raise InputError(
            f"{what} must lie in {low:g} to {high:g} {unit}; got {value:g}. Is it in "
            f"another unit than {unit}?"
        )


def beside(value: float, limit: float, *, digits: int = 0) -> str:
    """Write a number so that it stands on its own side of a limit.

    Args:
        value: The number.
        limit: What it is held against; 400.1 is above 400, and "400" would not be.
        digits: After the point, where so many tell it from the limit.

    Example:
        >>> beside(399.7, 400), beside(400.0, 400), beside(123.4, 400)
        ('399.7', '400', '123')
    """
    for more in range(digits, digits + 6):
        text = f"{value:.{more}f}"
        if value == limit or float(text) != limit:
            return text
    return f"{value:.{digits}f}"
