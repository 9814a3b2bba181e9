"""Figures of parts of a cohort: by age, sex, scanner, size, or whatever a table says.

Numbers with many values are cut, at the places that the field uses where the column is
a familiar one, else into thirds. A part of few cases says little: `n` and the interval
tell how little; a single case has none. Parts are looked at one at a time and not
corrected for how many there are: of twenty, one interval is expected to miss.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from hilum.datasets.tables import (
    columns_of,
    numbered_rows,
    read_rows,
    refuse_repeated,
)
from hilum.errors import InputError
from hilum.evaluation.detections import Points, Truth
from hilum.evaluation.froc import RATES, froc, match
from hilum.evaluation.intervals import Figure, Share, Statistic, bootstrap
from hilum.findings import Record

CUTS: dict[str, tuple[float, ...]] = {
    "age": (55, 65, 75),
    "age_years": (55, 65, 75),
    "slice_thickness_mm": (1.5, 2.5, 5),
    "slice_spacing_mm": (1.5, 2.5, 5),
    "diameter_mm": (6, 10, 20),
}
_WHO = frozenset(
    f"{whose}{what}"
    for whose in ("", "patient", "patients", "person", "participant", "subject")
    for what in (
        "name", "firstname", "lastname", "familyname", "givenname", "surname", "id",
        "number", "mrn", "birthdate", "dateofbirth", "birthday", "dob", "address",
        "phone", "email", "initials", "ssn",
    )
)  # fmt: skip
KEYS = ("id", "seriesuid", "patient")
KIND_COLUMNS = ("kind", "type")
_ROUNDS = 300
_MOST_CATEGORIES = 12
_FEW_VALUES = 6
_UNKNOWN = "unknown"

Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Group:
    """A part of the cases.

    Attributes:
        fact: Column that it goes by.
        name: Value, or range of values.
        members: (n,) bool.
    """

    fact: str
    name: str
    members: Bools


@dataclass(frozen=True, slots=True, kw_only=True)
class Subgroup(Record):
    """The figures of a part.

    Attributes:
        fact: Column that it goes by.
        group: Value, or range of values.
        n: Patients or scans, or nodules where it is a part of those.
        positives: Of them with cancer; or nodules to be found.
        figures: By name, with intervals of 95 %.
    """

    fact: str
    group: str
    n: int
    positives: int
    figures: dict[str, Figure]


def read_facts(path: Path, ids: Sequence[str]) -> tuple[Group, ...]:
    """Read a table of facts and part the cases by each of its columns.

    Args:
        path: CSV with one of `KEYS`, the first that is there, and facts; such as the
            scans.csv of `hilum data check --out`. Columns that tell all cases apart,
            or none, or who somebody is (a name, a date of birth), are left out.
        ids: (n,) of the cases.

    Raises:
        InputError: The table cannot be read, has no key, names a case twice, or has
            facts of no case.
    """
    columns = columns_of(path)
    if not columns:
        read_rows(path, KEYS[:1])  # says why it cannot be read
    key = next((name for name in KEYS if name in columns), None)
    if key is None:
        raise InputError(
            f"`{path.name}` has no column {', '.join(KEYS[:-1])} or {KEYS[-1]}, so "
            "nobody knows whose facts they are."
        )
    refuse_repeated(path, columns, columns)
    table: dict[str, dict[str, str]] = {}
    for line, row in numbered_rows(path, (key,)):
        name = row[key].strip()
        if name in table:
            raise InputError(
                f"Line {line} of `{path.name}` is of a case that came before. Give one "
                "line a case."
            )
        table[name] = row
    if not set(ids) & set(table):
        raise InputError(
            f"`{path.name}` has facts of none of the {len(ids)} cases. Is its column "
            f"{key} of another data set?"
        )
    facts = [n for n in columns if n and n not in KEYS and not _tells_who(n)]
    return tuple(
        group
        for name in facts
        for group in part(name, [(table.get(i, {}).get(name) or "") for i in ids])
    )


def part(fact: str, values: Sequence[str]) -> tuple[Group, ...]:
    """Part cases by the values of one fact.

    Args:
        fact: Name of the column.
        values: (n,) as text; "" where it is not known.

    Returns:
        Parts that together hold every case once; none where the fact does not part
        the cases, or tells nearly all of them apart.

    Example:
        >>> [(g.name, g.members.tolist()) for g in part("sex", ["f", "m", "f"])]
        [('f', [True, False, True]), ('m', [False, True, False])]
    """
    texts = [value.strip() for value in values]
    numbers = _numbers(texts)
    distinct = sorted({text for text in texts if text})
    if numbers is not None and (fact in CUTS or len(distinct) > _FEW_VALUES):
        names = _ranges(fact, numbers)
    elif len(distinct) > _MOST_CATEGORIES or _tells_apart(texts):
        return ()
    else:
        names = [text or _UNKNOWN for text in texts]
    seen = list(dict.fromkeys(sorted(names, key=_order_of(names, numbers))))
    if len(seen) < 2:
        return ()
    return tuple(
        Group(fact, name, np.array([n == name for n in names])) for name in seen
    )


def judge_groups(
    groups: Sequence[Group],
    ids: Sequence[str],
    positive: Bools,
    figures: Mapping[str, Statistic],
) -> tuple[Subgroup, ...]:
    """Give figures of patients for each part.

    Args:
        groups: Parts of the cases.
        ids: (n,) whose each case is.
        positive: (n,) bool.
        figures: Name to what `bootstrap` takes, over numbers of all the cases.
    """
    names = np.asarray(ids, dtype=str)
    found = []
    for group in groups:
        where = np.flatnonzero(group.members)
        made = {
            name: _seen_once(
                bootstrap(_within(of, where), names[where], rounds=_ROUNDS),
                len(set(names[where])),
            )
            for name, of in figures.items()
        }
        found.append(
            Subgroup(
                fact=group.fact,
                group=group.name,
                n=len(where),
                positives=int(positive[where].sum()),
                figures=made,
            )
        )
    return tuple(found)


def judge_scans(
    truth: Truth, marks: Points, groups: Sequence[Group]
) -> tuple[Subgroup, ...]:
    """Give the LUNA16 figures of each part of the scans.

    False positives are counted in the part alone, so each part has thresholds of its
    own: parts do not compare at one setting of the detector.

    Args:
        truth: What is there.
        marks: Of all scans.
        groups: Parts of `truth.series`.
    """
    series = np.array(truth.series)
    found = []
    for group in groups:
        some = series[group.members]
        nodules = truth.nodules.kept(np.isin(truth.nodules.series, some))
        excluded = truth.excluded
        if excluded is not None:
            excluded = excluded.kept(np.isin(excluded.series, some))
        mine = marks.kept(np.isin(marks.series, some))
        inside = Truth(tuple(some.tolist()), nodules, excluded)
        found.append(_subgroup(group, len(some), inside, mine))
    return tuple(found)


def judge_kinds(truth: Truth, marks: Points, folder: Path) -> tuple[Subgroup, ...]:
    """Give the LUNA16 figures of each part of the nodules: by size, and by kind.

    Nodules of other parts count neither way.

    Args:
        truth: What is there.
        marks: Of all scans.
        folder: With annotations.csv; kinds are read where it has one of
            `KIND_COLUMNS`.
    """
    sizes = [f"{value:g}" for value in truth.nodules.value.tolist()]
    groups = [*part("diameter_mm", sizes), *_kinds(truth, folder)]
    found = []
    for group in groups:
        others = truth.nodules.kept(~group.members)
        apart = others if truth.excluded is None else _joined(truth.excluded, others)
        inside = Truth(truth.series, truth.nodules.kept(group.members), apart)
        found.append(_subgroup(group, int(group.members.sum()), inside, marks))
    return tuple(found)


def _subgroup(group: Group, n: int, truth: Truth, marks: Points) -> Subgroup:
    curve = froc(match(truth, marks), rounds=_ROUNDS)
    at = dict(zip(RATES, curve.at_rates, strict=True))
    figures = {
        "cpm": _seen_once(curve.cpm, n),
        "sensitivity_at_1": _seen_once(at[1.0], n),
    }
    return Subgroup(
        fact=group.fact,
        group=group.name,
        n=n,
        positives=len(truth.nodules),
        figures=figures,
    )


def _kinds(truth: Truth, folder: Path) -> tuple[Group, ...]:
    """Part nodules by the kind that the table of annotations gives them."""
    path = folder / "annotations.csv"
    column = next((c for c in KIND_COLUMNS if c in columns_of(path)), None)
    if column is None:
        return ()
    judged = set(truth.series)
    rows = [r for r in read_rows(path, ("seriesuid", column))
            if r["seriesuid"].strip() in judged]  # fmt: skip
    return part(column, [row[column] for row in rows])


def _joined(first: Points, second: Points) -> Points:
    return Points(
        np.concatenate([first.series, second.series]),
        np.concatenate([first.center_mm, second.center_mm]),
        np.concatenate([first.value, second.value]),
    )


def _tells_who(column: str) -> bool:
    """Tell whether a column says who somebody is, which no result may show."""
    return re.sub(r"[^a-z]", "", column.lower()) in _WHO


def _tells_apart(texts: Sequence[str]) -> bool:
    """Tell whether no two cases share a value, as with names, paths and digests."""
    known = [text for text in texts if text]
    return len(known) > 2 and len(set(known)) == len(known)


def _seen_once(found: Figure, n: int) -> Figure:
    """Take the interval off a single case: drawn again it is always the same."""
    return found if n > 1 else replace(found, low=None, high=None)


def _within(of: Statistic, where: npt.NDArray[np.int64]) -> Statistic:
    """Let a statistic of all cases take numbers of some of them."""
    if isinstance(of, Share):
        return Share(lambda at: of.of(where[at]), lambda at: of.units(where[at]))
    return lambda at: of(where[at])


def _numbers(texts: Sequence[str]) -> list[float] | None:
    """Read numbers, NaN where nothing is told; None where a text is no number."""
    try:
        found = [float(text) if text else float("nan") for text in texts]
    except ValueError:
        return None
    return found if any(np.isfinite(found)) else None


def _ranges(fact: str, numbers: Sequence[float]) -> list[str]:
    """Name the range that each number lies in."""
    known = [v for v in numbers if np.isfinite(v)]
    thirds = np.quantile(known, [1 / 3, 2 / 3]).tolist()
    cuts = CUTS.get(fact) or tuple(dict.fromkeys(round(v, 3) for v in thirds))
    names = [f"below {cuts[0]:g}"]
    names += [f"{a:g} to {b:g}" for a, b in itertools.pairwise(cuts)]
    names += [f"{cuts[-1]:g} and more"]
    where = np.digitize(numbers, cuts).tolist()
    return [
        names[n] if np.isfinite(v) else _UNKNOWN
        for n, v in zip(where, numbers, strict=True)
    ]


def _order_of(
    names: Sequence[str], numbers: Sequence[float] | None
) -> Callable[[str], tuple[float, str]]:
    """Sort ranges by their numbers, words by the alphabet; what is unknown last."""
    least: dict[str, float] = {}
    for name, value in zip(names, numbers or [0.0] * len(names), strict=True):
        least[name] = min(least.get(name, np.inf), value)
    return lambda name: (np.inf if name == _UNKNOWN else least[name], name)
