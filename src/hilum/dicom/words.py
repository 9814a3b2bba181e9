"""How messages count and list things."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence


def count(number: int, thing: str, things: str | None = None) -> str:
    """Count things in words.

    Example:
        >>> count(1, "slice"), count(2, "slice"), count(3, "study", "studies")
        ('1 slice', '2 slices', '3 studies')
    """
    return f"{number} {thing if number == 1 else things or thing + 's'}"


def list_mm(values: Sequence[float], most: int = 5) -> str:
    """List positions.

    Example:
        >>> list_mm([1.0, 2.5, 4.0], most=2)
        '1, 2.5 and 1 more mm'
    """
    shown = ", ".join(f"{v:.6g}" for v in values[:most])
    more = f" and {len(values) - most} more" if len(values) > most else ""
    return f"{shown}{more} mm"


def list_files(named: Sequence[tuple[str, str]], most: int = 3) -> str:
    """List files and what is to say of each.

    Example:
        >>> list_files([("a.txt", "a text"), ("b.pdf", "a PDF document")], most=1)
        '`a.txt` (a text) and 1 more'
    """
    shown = ", ".join(f"`{name}` ({what})" for name, what in named[:most])
    more = f" and {len(named) - most} more" if len(named) > most else ""
    return shown + more


def list_kinds(kinds: Sequence[str], most: int = 5) -> str:
    """Count what is of the same kind, without names.

    Example:
        >>> list_kinds(["a text", "a PDF document", "a text"])
        'a text (2), a PDF document (1)'
    """
    found = Counter(kinds).most_common()
    shown = ", ".join(f"{kind} ({number})" for kind, number in found[:most])
    return shown + (", and others" if len(found) > most else "")


def shorten(uid: str) -> str:
    """Give the end of a UID, which is what tells it from others.

    Example:
        >>> shorten("1.2.840.113619.2.55.3")
        '…19.2.55.3'
    """
    return uid if len(uid) <= 12 else f"…{uid[-9:].lstrip('.')}"
