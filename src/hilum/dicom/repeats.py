"""Slices at one position: copies, other phases, other acquisitions.

Copies with the same pixels are dropped. What differs is told apart by what the
slices say of themselves, in the order of `headers.MARKS`, then by the order of
InstanceNumber; the most complete group is used, the first of those that are
equally complete. Where nothing tells them apart the series is refused: to take
one of two different pictures would be a guess.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from hilum.dicom.files import Opener
from hilum.dicom.geometry import find_repeats, fit_run
from hilum.dicom.guard import guarded
from hilum.dicom.headers import MARKS, Header
from hilum.dicom.pixels import read_frame
from hilum.dicom.words import count, list_mm
from hilum.errors import InputError
from hilum.findings import Notice
from hilum.space import FloatArray

_LEAST_SHARE = 0.25
_ALMOST_ALL = 0.9

Group = list[int]
"""Indices of slices."""


@dataclass(frozen=True, slots=True)
class Choice:
    """Which slices to use.

    Attributes:
        members: Indices, one a position, in order of position.
        notices: What was done.
    """

    members: Group
    notices: tuple[Notice, ...]


def choose_slices(
    headers: Sequence[Header], positions_mm: FloatArray, opener: Opener
) -> Choice:
    """Choose one slice for each position.

    Args:
        headers: Slices of one stack, in any order.
        positions_mm: (n,) along the normal.
        opener: Opens the files, to compare pixels.

    Raises:
        InputError: Different slices lie at one position and nothing tells them
            apart.
    """
    groups = [g.tolist() for g in find_repeats(positions_mm)]
    if all(len(g) == 1 for g in groups):
        return Choice([g[0] for g in groups], ())
    notices: list[Notice] = []
    kept = [_drop_copies(g, headers, opener) if len(g) > 1 else g for g in groups]
    dropped = sum(map(len, groups)) - sum(map(len, kept))
    if dropped:
        text = (
            f"{dropped} of {count(len(headers), 'slice')} lie where another one with "
            "the same pixels lies; one of each was used."
        )
        notices.append(Notice("duplicate-slices", text, "read"))
    if any(len(g) > 1 for g in kept):
        kept, notice = _tell_apart(kept, headers, positions_mm)
        notices.append(notice)
    return Choice([g[0] for g in kept], tuple(notices))


def choose_regular_part(
    headers: Sequence[Header], positions_mm: FloatArray
) -> Choice | None:
    """Choose the slices of one acquisition out of two that lie between each other.

    Args:
        headers: Slices of one stack, one a position.
        positions_mm: (n,) along the normal, ascending.

    Returns:
        The largest group of one mark that is regular by itself and covers nearly
        all of the extent, or None.
    """
    extent = positions_mm[-1] - positions_mm[0]
    for mark, name in enumerate(MARKS):
        parts = _split(range(len(headers)), headers, mark)
        for part in parts[:3] if 1 < len(parts) < len(headers) / 2 else ():
            at = positions_mm[part]
            is_long = len(part) > 2 and at[-1] - at[0] >= _ALMOST_ALL * extent
            if is_long and fit_run(at) is not None:
                text = (
                    f"{len(headers)} slices of {len(parts)} groups lie between each "
                    f"other, told apart by {name}; the {len(part)} slices of the most "
                    "complete one were used."
                )
                return Choice(part, (Notice("mixed-acquisitions", text, "read"),))
    return None


def _drop_copies(group: Group, headers: Sequence[Header], opener: Opener) -> Group:
    """Drop the slices that have the pixels of another one; damaged ones too."""
    digests: set[tuple[object, ...]] = set()
    syntaxes: dict[tuple[str, int], str] = {}
    kept: Group = []
    for index in sorted(group, key=lambda n: headers[n].file.path):
        header = headers[index]
        instance = (header.instance_uid, header.frame)
        # the same instance in another transfer syntax has the same pixels
        if instance[0] and syntaxes.get(instance, header.scan.syntax) != (
            header.scan.syntax
        ):
            continue
        found: list[bytes] = []
        with guarded(lambda _: None):
            pixels = read_frame(header, opener)
            found.append(hashlib.blake2b(pixels, digest_size=16).digest())
        key = (*found, header.format, header.rescale)
        if not found or key in digests:
            continue
        digests.add(key)
        syntaxes[instance] = header.scan.syntax
        kept.append(index)
    return kept or group[:1]


def _tell_apart(
    groups: list[Group], headers: Sequence[Header], positions_mm: FloatArray
) -> tuple[list[Group], Notice]:
    """Choose among different slices at one position."""
    every = [index for group in groups for index in group]
    position_of = {index: n for n, group in enumerate(groups) for index in group}
    for mark, name in [*enumerate(MARKS), (None, "several tags")]:
        parts = _split(every, headers, mark)
        is_split = len(parts) > 1 and all(_is_single(p, position_of) for p in parts)
        if is_split and len(parts[0]) >= max(2, _LEAST_SHARE * len(groups)):
            return _join(parts, position_of, positions_mm, name)
    run = _find_first_run(groups, headers)
    if run is None:
        places = [float(positions_mm[g[0]]) for g in groups if len(g) > 1]
        raise InputError(
            f"Different slices lie at one position and nothing tells them apart, at "
            f"{list_mm(places)} along the slice normal. Keep one acquisition in the "
            "folder."
        )
    text = (
        f"{len(every)} slices lie at {len(groups)} positions, and only the order of "
        f"InstanceNumber tells them apart; the first run of {len(run)} slices was used."
    )
    kept = [[index] for index in sorted(run, key=position_of.__getitem__)]
    return kept, Notice("repeated-positions", text, "read")


def _split(
    indices: Sequence[int], headers: Sequence[Header], mark: int | None
) -> list[Group]:
    """Gather slices by one mark, or by all but the time; the largest first."""
    parts: dict[object, Group] = {}
    for index in indices:
        marks = headers[index].marks
        parts.setdefault(marks[:-1] if mark is None else marks[mark], []).append(index)
    ordered = sorted(parts.items(), key=lambda item: (item[0] is None, str(item[0])))
    if mark is not None and all(isinstance(v, float) for v in parts):
        ordered = sorted(parts.items(), key=lambda item: float(str(item[0])))
    return sorted((part for _, part in ordered), key=len, reverse=True)


def _is_single(part: Group, position_of: dict[int, int]) -> bool:
    return len({position_of[index] for index in part}) == len(part)


def _find_first_run(groups: list[Group], headers: Sequence[Header]) -> Group | None:
    """Find the first of several runs of InstanceNumber that cover the positions.

    They run through all positions and then start over, or count the slices at one
    position before they go to the next; any other order tells nothing.
    """

    def number(index: int) -> int:
        return headers[index].instance_number

    every = sorted((index for group in groups for index in group), key=number)
    if len({number(index) for index in every}) < len(every):
        return None
    position_of = {index: n for n, group in enumerate(groups) for index in group}
    repeats = len(groups[0])
    if {len(group) for group in groups} == {repeats}:
        blocks = [every[n : n + repeats] for n in range(0, len(every), repeats)]
        if all(len({position_of[index] for index in b}) == 1 for b in blocks):
            return [block[0] for block in blocks]
    runs: list[Group] = []
    seen: set[int] = set()
    for index in every:
        if not runs or position_of[index] in seen:
            runs.append([])
            seen.clear()
        seen.add(position_of[index])
        runs[-1].append(index)
    longest = max(runs, key=len)
    return longest if len(longest) >= _ALMOST_ALL * len(groups) else None


def _join(
    parts: list[Group],
    position_of: dict[int, int],
    positions_mm: FloatArray,
    name: str,
) -> tuple[list[Group], Notice]:
    """Take the first part, and of the others what it lacks if that fits."""
    chosen = {position_of[index]: index for index in parts[0]}
    total = sum(map(len, parts))
    positions = len(set(position_of.values()))
    text = (
        f"{total} slices lie at {positions} positions, told apart by {name}; the "
        f"{len(chosen)} slices of the most complete of {len(parts)} groups were used"
    )
    if len(chosen) < _ALMOST_ALL * positions:
        whole = dict(chosen)
        for part in parts[1:]:
            for index in part:
                whole.setdefault(position_of[index], index)
        at = positions_mm[[whole[n] for n in sorted(whole)]]
        if fit_run(at) is not None:
            text += f", and {len(whole) - len(chosen)} of others where it has none"
            chosen = whole
    groups = [[chosen[n]] for n in sorted(chosen)]
    return groups, Notice("repeated-positions", f"{text}.", "read")
