"""What became of the nodules since a prior, in the words of a report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from hilum.findings import Change, Comparison, Growth
from hilum.report import words
from hilum.report.details import NoduleDetails
from hilum.report.growth import Course, course_between

_NAMES = {
    "new": "New",
    "gone": "Gone",
    "grown": "Grown",
    "shrunk": "Shrunk",
    "stable": "Stable",
    "not-covered": "Not shown by the other scan",
}


def heading(comparison: Comparison | None) -> str:
    """Say what a scan was held against; empty without a prior."""
    if comparison is None:
        return ""
    doubt = words.millimetres(comparison.alignment.doubt_mm)
    return (
        f"Held against a scan of {comparison.days} days before; laid onto each other, "
        f"places agree to about {doubt}."
    )


def lines(comparison: Comparison | None) -> tuple[tuple[str, str], ...]:
    """Give which nodule, and what became of it; none without a prior."""
    if comparison is None:
        return ()
    return tuple((_whose(c), _what(c)) for c in comparison.changes)


def with_changes(
    details: Sequence[NoduleDetails], comparison: Comparison | None
) -> tuple[NoduleDetails, ...]:
    """Add to what is known of each nodule what became of it since a prior.

    Args:
        details: In the order of the nodules of the current scan.
        comparison: None without a prior.
    """
    if comparison is None:
        return tuple(details)
    found = []
    for number, known in enumerate(details, start=1):
        change = comparison.change_of(number)
        status = "" if change is None else change.status
        found.append(replace(known, status=status, course=_course(comparison, change)))
    return tuple(found)


def _course(comparison: Comparison, change: Change | None) -> Course | None:
    """Give the volumes of a nodule that both scans show, both measured alike."""
    if change is None or change.growth is None:
        return None
    if change.before is None or change.now is None:
        return None
    growth = change.growth
    return course_between(
        comparison.days,
        (change.before.volume_mm3, change.before.volume_error_mm3),
        (change.now.volume_mm3, change.now.volume_error_mm3),
        doubling_days=(
            growth.shortest_days,
            growth.doubling_time_days,
            growth.longest_days,
        ),
        said=growth.rule,
    )


def _whose(change: Change) -> str:
    if change.current is not None:
        return f"Nodule {change.current}"
    return f"Nodule {change.prior} of the prior"


def _what(change: Change) -> str:
    parts = [_NAMES[change.status]]
    if len(change.possible) > 1:
        parts[0] += f" (perhaps {' or '.join(change.possible[1:])})"
    if change.before is not None and change.now is not None:
        sizes = [words.number(n.diameter_mm) for n in (change.before, change.now)]
        parts.append(f"{sizes[0]} to {sizes[1]}{words.NO_BREAK}mm")
    if change.growth is not None:
        parts.append(_growth(change.growth))
    if change.below_threshold is not None:
        where = "in the prior" if change.below_threshold == "prior" else "now"
        parts.append(f"{where} found only when looked for")
    return ", ".join(parts)


def _growth(growth: Growth) -> str:
    low, value, high = (
        f"{words.number(100 * share, 0)}%"
        for share in (growth.low, growth.volume_change, growth.high)
    )
    text = f"volume by {value} ({low} to {high})"
    if growth.doubling_time_days is None or growth.shortest_days is None:
        return text
    shortest = words.number(growth.shortest_days, 0)
    text += f", doubles in {words.number(growth.doubling_time_days, 0)} days"
    if growth.longest_days is None:
        return f"{text} ({shortest} days or more)"
    return f"{text} ({shortest} to {words.number(growth.longest_days, 0)})"
