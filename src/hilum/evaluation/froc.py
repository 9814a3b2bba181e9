"""Sensitivity against false positives a scan, as LUNA16 counts them.

Sources:
    Setio et al., "Validation, comparison, and combination of algorithms for automatic
    detection of pulmonary nodules in computed tomography images: the LUNA16
    challenge", Med Image Anal 2017;42:1, section 3.4, and its evaluation script.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hilum.errors import InputError
from hilum.evaluation.detections import Points, Truth
from hilum.evaluation.intervals import Figure, ends_of

RATES = (1 / 8, 1 / 4, 1 / 2, 1.0, 2.0, 4.0, 8.0)
"""Operating points: false positives a scan."""

MOST_MARKS = 100
GRID = np.linspace(RATES[0], RATES[-1], 10_001)
_READ_AT = np.concatenate([RATES, GRID])

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Outcomes:
    """What became of the marks.

    Attributes:
        scans: How many are judged.
        nodules: (scans,) how many each has.
        scan: (n,) number of the scan of each hit and each false positive.
        probability: (n,) of it.
        is_hit: (n,) whether it is a hit.
        dropped: Marks beyond the 100 of their scan.
        ignored: Marks that count neither way.
        counted: Marks on nodules, or false positives.
    """

    scans: int
    nodules: Ints
    scan: Ints
    probability: Floats
    is_hit: npt.NDArray[np.bool_]
    dropped: int
    ignored: int
    counted: int


@dataclass(frozen=True, slots=True, eq=False)
class FrocCurve:
    """A FROC curve and its doubt.

    Attributes:
        sensitivity: (10001,) at `GRID` false positives a scan; NaN without nodules.
        low: (10001,) 2.5 % of the curves of resampled scans lie below.
        high: (10001,) 2.5 % lie above.
        at_rates: Sensitivity at each of `RATES`.
        cpm: Their mean.
    """

    sensitivity: Floats
    low: Floats
    high: Floats
    at_rates: tuple[Figure, ...]
    cpm: Figure


def match(truth: Truth, marks: Points) -> Outcomes:
    """Sort marks into hits, false positives and what counts neither way.

    A mark lies on a finding when its squared distance from the centre is below the
    squared radius. The surest mark on a nodule is its hit; other marks on it, and
    marks on excluded findings, count neither way; a mark on two nodules hits both.
    Only marks surer than the 101st of their scan count.

    Args:
        truth: What is there.
        marks: In series of the truth; others are left out.
    """
    number = {uid: n for n, uid in enumerate(truth.series)}
    nodules = by_scan(truth.nodules, number)
    nothing = truth.nodules.kept(np.zeros(len(truth.nodules), bool))
    excluded = by_scan(truth.excluded or nothing, number)
    parts: list[tuple[int, Floats, bool]] = []
    dropped = ignored = counted = 0
    for n, mine in by_scan(marks, number).items():
        kept = mine.kept(_strongest(mine.value))
        dropped += len(mine) - len(kept)
        on_nodule = on_findings(nodules.get(n, nothing), kept)
        on_excluded = on_findings(excluded.get(n, nothing), kept)
        hits = [float(kept.value[on].max()) for on in on_nodule if on.any()]
        false = ~(on_nodule.any(axis=0) | on_excluded.any(axis=0))
        parts += [(n, np.array(hits), True), (n, kept.value[false], False)]
        best = {int(np.argmax(np.where(on, kept.value, -np.inf))) for on in on_nodule
                if on.any()}  # fmt: skip
        count = int(false.sum()) + len(best)
        counted += count
        ignored += len(kept) - count
    counts = np.zeros(len(truth.series), np.int64)
    for n, some in nodules.items():
        counts[n] = len(some)
    sizes = [len(values) for _, values, _ in parts]
    return Outcomes(
        len(truth.series),
        counts,
        np.repeat(np.array([n for n, _, _ in parts], np.int64), sizes),
        np.concatenate([values for _, values, _ in parts] or [np.zeros(0)]),
        np.repeat(np.array([hit for _, _, hit in parts], bool), sizes),
        dropped,
        ignored,
        counted,
    )


def froc(outcomes: Outcomes, *, rounds: int = 1000, seed: int = 0) -> FrocCurve:
    """Compute the curve, and again for scans drawn with replacement.

    At each threshold: hits over nodules, false positives over scans. Between
    thresholds it runs straight, from (0, 0) on. It is drawn on 10,001 points; the
    operating points are read from the curve itself, since where it jumps at one of
    them the points to either side would blur the jump.

    Args:
        outcomes: Out of `match`.
        rounds: How many draws.
        seed: Of the draws.
    """
    curve = _curve_of(outcomes, _READ_AT)
    whole = curve(np.ones(outcomes.scans))
    drawn = [curve(times) for times in _draws(outcomes.scans, rounds, seed)]
    curves = np.array([c for c in drawn if not np.isnan(c[0])] or [whole])
    low, high = np.percentile(curves, [2.5, 97.5], axis=0)
    count = int(outcomes.nodules.sum())
    rates = len(RATES)
    at = np.vstack([whole, curves])[:, :rates]
    units = int((outcomes.nodules > 0).sum())  # scans that each could miss one
    figures = tuple(_figure(column, count, units) for column in at.T)
    cpm = _figure(at.mean(axis=1), count, units)
    return FrocCurve(whole[rates:], low[rates:], high[rates:], figures, cpm)


def compare_cpm(
    first: Outcomes, second: Outcomes, *, rounds: int = 1000, seed: int = 0
) -> Figure:
    """Give the difference of two CPM in the same scans, first less second.

    Both are computed for the same draws of scans, so what makes a scan hard for both
    does not widen the interval.

    Args:
        first: Out of `match`.
        second: Of other marks and the same truth.
        rounds: How many draws.
        seed: Of the draws.

    Raises:
        InputError: They are of different truths.
    """
    same = np.array_equal(first.nodules, second.nodules)
    if first.scans != second.scans or not same:
        raise InputError(
            f"Two detectors can be compared in the same scans alone; got {first.scans} "
            f"scans with {int(first.nodules.sum())} nodules, and {second.scans} with "
            f"{int(second.nodules.sum())}."
        )
    curves = [_curve_of(outcomes, np.array(RATES)) for outcomes in (first, second)]

    def difference(times: Floats) -> float:
        return float(curves[0](times).mean() - curves[1](times).mean())

    drawn = [difference(times) for times in _draws(first.scans, rounds, seed)]
    found = np.array([difference(np.ones(first.scans)), *drawn])
    kept = found[~np.isnan(found)] if not np.isnan(found[0]) else found
    return _figure(kept, int(first.nodules.sum()))


def _draws(scans: int, rounds: int, seed: int) -> Iterator[Floats]:
    """Draw scans with replacement: how often each counts, a draw at a time."""
    rng = np.random.default_rng(seed)
    for _ in range(rounds):
        chosen = rng.integers(scans, size=scans)
        yield np.bincount(chosen, minlength=scans).astype(np.float64)


def _curve_of(outcomes: Outcomes, read_at: Floats) -> Callable[[Floats], Floats]:
    """Make the function from how often each scan counts to sensitivities."""
    order = np.argsort(-outcomes.probability, kind="stable")
    scan, is_hit = outcomes.scan[order], outcomes.is_hit[order]
    sorted_probability = outcomes.probability[order]
    ends = np.flatnonzero(np.append(np.diff(sorted_probability) != 0, True))
    ends = ends[: len(order)]

    def curve(times: Floats) -> Floats:
        nodules = float(times @ outcomes.nodules)
        if not nodules:
            return np.full(len(read_at), np.nan)
        each = times[scan]
        hits = np.cumsum(np.where(is_hit, each, 0.0))[ends]
        false = np.cumsum(np.where(is_hit, 0.0, each))[ends]
        rates = np.append(0.0, false / outcomes.scans)
        return np.asarray(np.interp(read_at, rates, np.append(0.0, hits / nodules)))

    return curve


def _figure(values: Floats, n: int, units: int = -1) -> Figure:
    """Make a figure from its value and those of the draws; units as `ends_of` has."""
    if np.isnan(values[0]):
        return Figure(None, None, None, n)
    low, high = ends_of(float(values[0]), values[1:], units=units)
    return Figure(float(values[0]), low, high, n)


def _strongest(probability: Floats) -> npt.NDArray[np.bool_]:
    """Keep 100 marks: those strictly above the 101st."""
    if len(probability) <= MOST_MARKS:
        return np.ones(len(probability), bool)
    limit = np.partition(probability, -MOST_MARKS - 1)[-MOST_MARKS - 1]
    return np.asarray(probability > limit)


def on_findings(findings: Points, marks: Points) -> npt.NDArray[np.bool_]:
    """Tell which marks lie on which findings: (findings, marks)."""
    gaps = findings.center_mm[:, None] - marks.center_mm[None]
    squared = (gaps**2).sum(axis=-1)
    return np.asarray(squared < (findings.value[:, None] / 2) ** 2)


def by_scan(points: Points, number: dict[str, int]) -> dict[int, Points]:
    """Split points by the number of their scan.

    Args:
        points: In any order.
        number: Series UID to the number of the scan; points elsewhere are left out.

    Returns:
        Number to points, for scans that have any.
    """
    numbers = np.array([number.get(uid, -1) for uid in points.series.tolist()], int)
    order = np.argsort(numbers, kind="stable")
    found, starts = np.unique(numbers[order], return_index=True)
    groups = np.split(order, starts[1:]) if len(found) else []
    return {
        int(n): points.kept(group)
        for n, group in zip(found, groups, strict=True)
        if n >= 0
    }
