"""The stacks of one series: slices that share orientation, matrix and pixel size.

A SeriesInstanceUID does not promise one stack. Scanners add a localizer, write
several reformats under one UID, or change the matrix half way. The largest stack
is used and the others are named.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from hilum.dicom.faults import find_fault
from hilum.dicom.headers import Header, Vector
from hilum.dicom.words import count
from hilum.errors import InputError
from hilum.findings import Notice

SAME_DIRECTION = 1e-3
"""Two directions are the same when their cosines differ by no more."""

_MOST_FAULTY = 1 / 3
_MOST_STACKS = 50


@dataclass(frozen=True, slots=True)
class Stack:
    """The slices of a series to make a volume of, in no order.

    Attributes:
        headers: Those that nothing speaks against.
        notices: What was left out.
    """

    headers: list[Header]
    notices: tuple[Notice, ...]


def find_stack(headers: Sequence[Header]) -> Stack:
    """Find the main stack of a series.

    Args:
        headers: All of the series.

    Raises:
        InputError: No slice can be used, or more than a third cannot.
    """
    notices: list[Notice] = []
    slices = [h for h in headers if not h.is_localizer]
    if not slices:
        raise InputError(
            f"It holds {count(len(headers), 'localizer image')} and no slices."
        )
    faults = [(h, find_fault(h)) for h in slices]
    faulty = [(h, f) for h, f in faults if f and not h.is_secondary]
    good = [h for h, fault in faults if not fault]
    ignored = Counter({"localizer": len(headers) - len(slices)})
    ignored["secondary capture"] = len(slices) - len(faulty) - len(good)
    if not good:
        header, fault = faulty[0] if faulty else faults[0]
        raise InputError(
            f"None of its images can be used ({len(slices)}); of `{header.name}`: "
            f"{fault}."
        )
    if len(faulty) > _MOST_FAULTY * (len(good) + len(faulty)):
        raise InputError(
            f"{len(faulty)} of its {len(good) + len(faulty)} slices cannot be used: "
            f"{_list_faults(faulty)}. Export the series again."
        )
    if faulty:
        notices.append(make_damage_notice(faulty, len(good) + len(faulty)))
    for kind, number in ignored.items():
        if number:
            text = f"{count(number, kind)} in the series ignored."
            notices.append(Notice("ignored-objects", text, "read"))
    stacks = _split(good)
    main = stacks[0]
    if len(stacks) > 1:
        text = (
            f"The series mixes {len(stacks)} stacks of different orientation, matrix "
            f"or pixel spacing ({', '.join(str(len(s)) for s in stacks[:5])} slices); "
            "the largest was used."
        )
        notices.append(Notice("mixed-series", text, "read"))
    return Stack(main, tuple(notices))


def make_damage_notice(faulty: Sequence[tuple[Header, str]], total: int) -> Notice:
    """Name the slices that could not be used.

    Args:
        faulty: Slices, and why.
        total: How many slices the series has.
    """
    text = f"{len(faulty)} of {total} slices could not be used: {_list_faults(faulty)}."
    return Notice("damaged-slices", text, "read")


def _list_faults(faulty: Sequence[tuple[Header, str]], most: int = 3) -> str:
    shown = "; ".join(f"`{h.name}`: {fault}" for h, fault in faulty[:most])
    return shown + (f"; and {len(faulty) - most} more" if len(faulty) > most else "")


def _split(headers: Sequence[Header]) -> list[list[Header]]:
    """Split slices into stacks, the largest first."""
    stacks: list[tuple[Header, list[Header]]] = []
    known: dict[object, int] = {}
    for header in headers:
        form = header.format
        key = (
            *(header.orientation, header.spacing_mm, form.rows, form.columns),
            header.stack_id,
        )
        if key not in known:
            known[key] = next(
                (
                    n
                    for n, (first, _) in enumerate(stacks[:_MOST_STACKS])
                    if _is_alike(first, header)
                ),
                len(stacks),
            )
            if known[key] == len(stacks):
                stacks.append((header, []))
        stacks[known[key]][1].append(header)
    return sorted((members for _, members in stacks), key=len, reverse=True)


def _is_alike(a: Header, b: Header) -> bool:
    return (
        (a.format.rows, a.format.columns) == (b.format.rows, b.format.columns)
        and a.stack_id == b.stack_id
        and _is_near(a.orientation, b.orientation, SAME_DIRECTION)
        and _is_near(a.spacing_mm, b.spacing_mm, SAME_DIRECTION)
    )


def _is_near(a: Vector | None, b: Vector | None, tolerance: float) -> bool:
    if a is None or b is None:
        return a is b
    return all(abs(x - y) <= tolerance for x, y in zip(a, b, strict=True))
