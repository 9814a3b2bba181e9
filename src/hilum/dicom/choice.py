"""Which of several series is read: a rule, stated once.

Only series that can become a volume compete. They are compared by these points,
in this order, and the first that differs decides:

1. body part or description name the chest, or at least no other part alone;
2. ImageType is ORIGINAL and PRIMARY (not a reformat, not a screenshot);
3. the slices are axial;
4. slices are at most 3 mm thick and apart;
5. it covers at least 100 mm, then at least 200 mm from head to foot;
6. thinner slices, down to 1 mm, below which thinner is only noisier;
7. a standard or soft kernel, then a lung kernel, then an unknown, then a bone or
   very sharp one;
8. more coverage, in steps of 10 mm;
9. more slices;
10. the smaller UID, so that the order of files never decides.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence

from hilum.dicom.headers import Header, read_text
from hilum.dicom.series import Series, Study
from hilum.dicom.words import count, shorten
from hilum.errors import InputError
from hilum.findings import Notice

THIN_MM = 3.0
LEAST_COVERAGE_MM = (100.0, 200.0)
THINNEST_MM = 1.0

_CHEST = re.compile(r"chest|thora|lung|pulm|torax|poumon|brust", re.IGNORECASE)
_OTHER_PART = re.compile(
    r"head|brain|skull|neck|abd|pelvi|spine|leg|knee|hip\b|arm\b|liver|kidney|sinus",
    re.IGNORECASE,
)
_SIEMENS = re.compile(r"^[A-Z][a-z]?(\d{2})", re.IGNORECASE)
_CANON = re.compile(r"^FC(\d{2})", re.IGNORECASE)
_STANDARD, _LUNG, _UNKNOWN, _SHARP = range(4)
_IMAGES = frozenset(
    ["CT", "MR", "PT", "CR", "DX", "MG", "NM", "US", "XA", "OT", "localizer", "unknown"]
)
_NAMED_KERNELS = {
    "SOFT": _STANDARD,
    "STANDARD": _STANDARD,
    "STND": _STANDARD,
    "CHEST": _STANDARD,
    "DETAIL": _STANDARD,
    "A": _STANDARD,
    "B": _STANDARD,
    "C": _STANDARD,
    "LUNG": _LUNG,
    "L": _LUNG,
    "YA": _LUNG,
    "YB": _LUNG,
    "BONE": _SHARP,
    "BONEPLUS": _SHARP,
    "EDGE": _SHARP,
    "ULTRA": _SHARP,
    "D": _SHARP,
    "E": _SHARP,
}


def choose_series(
    studies: Sequence[Study], *, series_uid: str | None = None
) -> tuple[Series, tuple[Notice, ...]]:
    """Choose the series to read.

    Args:
        studies: What was found.
        series_uid: The wanted series, by its UID or by the start or the end of
            it; None: the best chest series by the rule of this module.

    Returns:
        The series, and notices that name the others and what lay beside them.

    Raises:
        InputError: No series can be read, or none or several have the UID.
    """
    every = [series for study in studies for series in study.series]
    candidates = [s for s in every if s.is_ct]
    if series_uid is not None:
        chosen = _find_named(every, series_uid)
    elif any(s.usable for s in candidates):
        chosen = min((s for s in candidates if s.usable), key=_rank)
    else:
        raise InputError(_explain_none(every, candidates))
    if not chosen.usable:
        raise InputError(
            f"Series {shorten(chosen.uid)} cannot be read. {chosen.problem}"
        )
    return chosen, tuple(_make_notices(studies, candidates, chosen))


def rank_kernel(kernel: str) -> int:
    """Rank a reconstruction kernel; lower suits nodules better.

    Example:
        >>> [rank_kernel(k) for k in ("B30f", "LUNG", "", "B70f", "FC51")]
        [0, 1, 2, 3, 1]
    """
    name = kernel.strip().upper().split(" ")[0]
    if name in _NAMED_KERNELS:
        return _NAMED_KERNELS[name]
    if match := _CANON.match(name):
        number = int(match.group(1))
        return _LUNG if 50 <= number < 60 else _STANDARD if number < 20 else _SHARP
    if match := _SIEMENS.match(name):
        number = int(match.group(1))
        return _STANDARD if number < 50 else _LUNG if number < 65 else _SHARP
    return _UNKNOWN


def _rank(series: Series) -> tuple[object, ...]:
    first = series.plan.first if series.plan else series.headers[0]
    order, _ = series.plan.grid.canonical_axes() if series.plan else ((), ())
    spacing = max(series.slice_spacing_mm or 0.0, series.slice_thickness_mm or 0.0)
    coverage = series.extent_mm[0] if series.extent_mm else 0.0
    return (
        _rank_part(first),
        not {"ORIGINAL", "PRIMARY"} <= set(first.image_type),
        order != (0, 1, 2),
        spacing > THIN_MM,
        sum(coverage < least for least in LEAST_COVERAGE_MM),
        round(max(spacing, THINNEST_MM), 1),
        rank_kernel(series.kernel),
        -round(coverage / 10),
        -series.count,
        series.uid,
    )


def _rank_part(header: Header) -> int:
    text = f"{read_text(header.elements, 0x00180015)} {header.description}"
    if _CHEST.search(text):
        return 0
    return 2 if _OTHER_PART.search(text) else 1


def _find_named(every: Sequence[Series], wanted: str) -> Series:
    """Find a series by its UID, or by the start or the end of it."""
    exact = [s for s in every if s.uid == wanted]
    part = wanted.strip("…. ")
    found = exact or [
        s for s in every if part and (s.uid.endswith(part) or s.uid.startswith(part))
    ]
    if len(found) == 1:
        return found[0]
    listed = "; ".join(s.label for s in (found or every)[:12])
    if found:
        raise InputError(
            f"Series UID `{wanted}` fits {len(found)} series: {listed}. "
            "Give more of it."
        )
    raise InputError(f"There is no series `{wanted}`. Found: {listed}.")


def _explain_none(every: Sequence[Series], candidates: Sequence[Series]) -> str:
    if len(candidates) == 1:
        series = candidates[0]
        return f"CT series {shorten(series.uid)} cannot be read. {series.problem}"
    if candidates:
        reasons = " ".join(
            f"{shorten(s.uid)} ({count(s.count, 'image')}): {s.problem}"
            for s in candidates[:4]
        )
        return f"None of {len(candidates)} CT series can be read. {reasons}"
    return (
        f"There is no CT among what was found: {_count_objects(every)}. Give the "
        "folder of a chest CT."
    )


def _make_notices(
    studies: Sequence[Study], candidates: Sequence[Series], chosen: Series
) -> Iterable[Notice]:
    if len(studies) > 1:
        text = (
            f"{len(studies)} studies lie together; study {shorten(chosen.study_uid)} "
            "was read. Do they belong to one patient?"
        )
        yield Notice("several-studies", text, "read")
    others = [s for s in candidates if s is not chosen and not _is_aside(s)]
    if others:
        listed = "; ".join(
            s.label
            + ("" if s.usable else f", not readable: {(s.problem or '').rstrip('.')}")
            for s in others[:8]
        )
        more = f"; and {len(others) - 8} more" if len(others) > 8 else ""
        text = (
            f"{len(others) + 1} CT series were found; {chosen.label} was read. Others, "
            f"which `series_uid` (--series) picks: {listed}{more}."
        )
        yield Notice("several-series", text, "read")
    aside = [
        s
        for study in studies
        for s in study.series
        if s is not chosen and s not in others
    ]
    if aside:
        text = f"Beside the CT lay {_count_objects(aside)}, which were ignored."
        yield Notice("ignored-objects", text, "read")


def _is_aside(series: Series) -> bool:
    """Tell whether a CT series holds only localizers or screenshots."""
    return all(h.is_localizer or h.is_secondary for h in series.headers)


def _count_objects(every: Iterable[Series]) -> str:
    """Count what was found by its kind, as in "12 MR images, 1 SR"."""
    kinds: Counter[str] = Counter()
    for series in every:
        for header in series.headers:
            kind = header.modality or "unknown"
            if header.is_localizer:
                kind = "localizer"
            elif header.is_secondary:
                kind = "screenshot (secondary capture)"
            kinds[kind] += 1
    return ", ".join(
        count(n, f"{kind} image") if kind in _IMAGES else f"{n} {kind}"
        for kind, n in kinds.items()
    )
