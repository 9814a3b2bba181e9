"""Two scans in, what became of each nodule out, in the order that it happens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from hilum.compare.growth import (
    Sized,
    measure_growth,
    possible_of,
    sphere_mm,
    status_of,
)
from hilum.compare.matching import Spot, match, reach_mm
from hilum.compare.registration import Registration
from hilum.findings import (
    Alignment,
    Candidate,
    Change,
    ChangeStatus,
    Comparison,
    Nodule,
    Point,
)
from hilum.pipeline import Reading
from hilum.stages.measure import Measurement, NoduleMeasurer
from hilum.stages.nodules import NoduleDetector
from hilum.volume import Mask

LEAST_SCORE = 0.02
"""Weaker candidates are no finding, not even where one is looked for."""

_AROUND_MM = 20.0
_ONE_MM = 3.0
_FEWEST_VOXELS = 8
_LOOK = NoduleDetector(weights="", max_candidates=20)


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """A nodule in one of the two scans.

    Attributes:
        number: In the list of the scan, from 1; None: below the threshold.
        sized: As it was measured, in all ways.
        spot: Where it lies in the current scan.
    """

    number: int | None
    sized: Sized
    spot: Spot

    @property
    def nodule(self) -> Nodule:
        """The nodule as it is reported, at the edge."""
        return self.sized.edge


@dataclass(frozen=True, slots=True, eq=False)
class Side:
    """One of the two scans.

    Attributes:
        name: Prior or current.
        reading: What was found in it.
        registration: Of the two.
        measure: How nodules are measured.
    """

    name: Literal["prior", "current"]
    reading: Reading
    registration: Registration
    measure: NoduleMeasurer

    def seen(self) -> tuple[Seen, ...]:
        """Give the nodules of the scan, in their order."""
        found = {m.nodule.center_mm: m for m in self.reading.measured}
        return tuple(
            self._seen(nodule, found[nodule.center_mm], number)
            for number, nodule in enumerate(self.reading.assessment.nodules, start=1)
        )

    def weaker(
        self, lonely: Sequence[Seen], kept: Sequence[Seen], doubt_mm: float
    ) -> list[Candidate]:
        """Give what may be nodules near some places, and lies in no nodule.

        First the detector's weaker candidates; then bright dots that only show when
        one looks just there.

        Args:
            lonely: Nodules of the other scan without a match here.
            kept: Nodules of this scan.
            doubt_mm: Of the map.
        """
        found: list[Candidate] = []
        for seen in lonely:
            for c in (*self.reading.candidates, *self._dots(seen.spot)):
                spot = self.spot(c.center_mm, c.diameter_mm)
                gap = np.linalg.norm(np.subtract(spot.at_mm, seen.spot.at_mm))
                if gap <= reach_mm(spot, seen.spot, doubt_mm) and not any(
                    np.linalg.norm(np.subtract(c.center_mm, f.center_mm)) < _ONE_MM
                    for f in found
                ):
                    found.append(c)
        return [
            c
            for c in found
            if c.score >= LEAST_SCORE
            and not any(
                np.linalg.norm(np.subtract(c.center_mm, s.nodule.center_mm))
                < max(sphere_mm(s.nodule), c.diameter_mm) / 2
                for s in kept
            )
        ]

    def _dots(self, spot: Spot) -> tuple[Candidate, ...]:
        """Look for bright dots around a place."""
        reading = self.reading
        grid = reading.volume.grid
        half = (_AROUND_MM + spot.diameter_mm) / np.array(grid.spacing_mm)
        middle = grid.to_index(self.at(spot))
        first = np.maximum(np.floor(middle - half), 0).astype(int)
        last = np.minimum(np.ceil(middle + half) + 1, grid.shape).astype(int)
        if (last - first < _FEWEST_VOXELS).any():
            return ()
        box = tuple(slice(a, b) for a, b in zip(first, last, strict=True))
        part = reading.volume.crop(tuple(first.tolist()), tuple(last.tolist()))
        return _LOOK(part, Mask(reading.lungs.voxels[box], part.grid))

    def look(self, candidate: Candidate) -> Seen | None:
        """Measure a weaker candidate; None where there is nothing to outline."""
        reading = self.reading
        (found,) = self.measure.measure(reading.volume, (candidate,), reading.lungs)
        if any(n.code == "nodule-not-outlined" for n in found.notices):
            return None
        return self._seen(found.nodule, found, None)

    def spot(self, center_mm: Point, diameter_mm: float) -> Spot:
        """Place something of this scan in the current one."""
        if self.name == "current":
            return Spot(center_mm, diameter_mm)
        return Spot(_point(self.registration.to_current(center_mm)), diameter_mm)

    def at(self, spot: Spot) -> Point:
        """Say where a spot of the current scan lies in this one."""
        if self.name == "current":
            return spot.at_mm
        return _point(self.registration.to_prior(spot.at_mm))

    def covers(self, spot: Spot) -> bool:
        """Tell whether this scan shows a place, and all around it."""
        reach = spot.diameter_mm / 2 * np.vstack([np.zeros(3), np.eye(3), -np.eye(3)])
        points = np.array(self.at(spot)) + reach
        return bool(self.reading.volume.grid.contains(points).all())

    def _seen(self, nodule: Nodule, found: Measurement, number: int | None) -> Seen:
        spot = self.spot(nodule.center_mm, sphere_mm(nodule))
        slice_mm = max(self.reading.volume.grid.spacing_mm)
        return Seen(number, size_all_ways(nodule, found, slice_mm), spot)


def compare_readings(
    prior: Reading,
    current: Reading,
    *,
    registration: Registration,
    alignment: Alignment,
    days: int,
    measure: NoduleMeasurer,
) -> Comparison:
    """Say what became of each nodule.

    Args:
        prior: What was found in the prior.
        current: What was found in the current scan.
        registration: Of the two.
        alignment: How good it is.
        days: Between the two.
        measure: How nodules are measured.
    """
    before = Side("prior", prior, registration, measure)
    now = Side("current", current, registration, measure)
    old, new = before.seen(), now.seen()
    pairs = match(
        [s.spot for s in old], [s.spot for s in new], doubt_mm=alignment.doubt_mm
    )
    changes = [_changed(before, now, old[i], new[j], days) for i, j in pairs]
    without_prior = [s for j, s in enumerate(new) if j not in {j for _, j in pairs}]
    without_now = [s for i, s in enumerate(old) if i not in {i for i, _ in pairs}]
    for s, faint in _look_again(without_prior, before, old, alignment.doubt_mm):
        if faint is None:
            changes.append(_alone(before, now, s, "new", alignment.doubt_mm))
        else:
            changes.append(_changed(before, now, faint, s, days))
    for s, faint in _look_again(without_now, now, new, alignment.doubt_mm):
        if faint is None:
            changes.append(_alone(before, now, s, "gone", alignment.doubt_mm))
        else:
            changes.append(_changed(before, now, s, faint, days))
    return Comparison(
        prior_series_uid=prior.assessment.series_uid,
        prior_scope=prior.assessment.scope,
        prior_nodules=prior.assessment.nodules,
        days=days,
        alignment=alignment,
        changes=tuple(
            sorted(changes, key=lambda c: (c.current is None, c.current or c.prior))
        ),
    )


def _look_again(
    lonely: Sequence[Seen], other: Side, kept: Sequence[Seen], doubt_mm: float
) -> list[tuple[Seen, Seen | None]]:
    """Look in the other scan for nodules that have no match among its nodules."""
    weaker = other.weaker(lonely, kept, doubt_mm)
    faint = [s for s in (other.look(c) for c in weaker) if s is not None]
    pairs = match([s.spot for s in faint], [s.spot for s in lonely], doubt_mm=doubt_mm)
    found = {j: faint[i] for i, j in pairs}
    return [(s, found.get(j)) for j, s in enumerate(lonely)]


def _changed(before: Side, now: Side, old: Seen, new: Seen, days: int) -> Change:
    """Say how a nodule that both scans show changed."""
    first, second = old.sized, new.sized
    growth = measure_growth(first, second, days)
    below: Literal["prior", "current"] | None = None
    rule = growth.rule
    for side, seen in ((before, old), (now, new)):
        if seen.number is None:
            below = side.name
            rule += (
                f"; in the {side.name} scan found only when looked for (score "
                f"{seen.nodule.detection_score:.2f}, below the threshold)"
            )
    return Change(
        status=status_of(growth.volume_change),
        possible=possible_of(growth),
        prior=old.number,
        current=new.number,
        before=first.by(growth.outlining),
        now=second.by(growth.outlining),
        prior_mm=old.nodule.center_mm,
        current_mm=new.nodule.center_mm,
        below_threshold=below,
        growth=growth,
        rule=rule,
    )


def _alone(
    before: Side,
    now: Side,
    seen: Seen,
    status: Literal["new", "gone"],
    doubt_mm: float,
) -> Change:
    """Say what became of a nodule that one scan shows."""
    is_new = status == "new"
    other = before if is_new else now
    named: ChangeStatus = status
    within = reach_mm(seen.spot, seen.spot, doubt_mm)
    if other.covers(seen.spot):
        rule = (
            f"the {other.name} scan shows no nodule within {within:.0f} mm of the "
            f"place, nor anything weaker -> {status}"
        )
    else:
        named = "not-covered"
        rule = f"the {other.name} scan does not show the place -> not covered"
    return Change(
        status=named,
        possible=(named,),
        prior=None if is_new else seen.number,
        current=seen.number if is_new else None,
        before=None if is_new else seen.nodule,
        now=seen.nodule if is_new else None,
        prior_mm=before.at(seen.spot) if is_new else seen.nodule.center_mm,
        current_mm=seen.spot.at_mm,
        rule=rule,
    )


def size_all_ways(nodule: Nodule, found: Measurement, slice_mm: float) -> Sized:
    """Gather in what ways a nodule was measured.

    Args:
        nodule: As it is reported.
        found: How it was measured.
        slice_mm: Largest spacing of the voxels.
    """
    dense = found.dense and _with_sizes_of(found.dense, nodule)
    return Sized(nodule, found.drawn_mm3, slice_mm, dense)


def _with_sizes_of(dense: Nodule, nodule: Nodule) -> Nodule:
    """Keep what is known of a nodule, with the sizes of its dense part."""
    return replace(
        nodule,
        diameter_mm=dense.diameter_mm,
        long_axis_mm=dense.long_axis_mm,
        short_axis_mm=dense.short_axis_mm,
        volume_mm3=dense.volume_mm3,
        solid_diameter_mm=dense.solid_diameter_mm,
    )


def _point(at: object) -> Point:
    x, y, z = np.asarray(at, dtype=np.float64).tolist()
    return x, y, z
