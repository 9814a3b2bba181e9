"""How a nodule changed from scan to scan, in plain values and as a plot.

Volumes stand on a logarithmic scale, on which steady growth is a straight line and
its slope the doubling time. Lengths of the plot are in its own units, `WIDE` by
`HIGH`, from the left and the top edge.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from hilum.clinical.growth import FAST_DAYS, SLOW_DAYS
from hilum.errors import InputError
from hilum.report import words

WIDE, HIGH = 300.0, 150.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 46.0, 22.0, 10.0, 26.0
_ROOM = 1.25
_MOST_TICKS = 5

Spread = tuple[float, float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """What became of the volume of one nodule since earlier scans.

    Attributes:
        days: Of each scan since the first, rising; the last is the present one.
        volumes_mm3: Low, value and high at each scan; all alike where no error is
            known.
        doubling_time_days: Low, value and high; None when it did not grow. An end
            that is infinite is not known.
        said: What it means, in a sentence, or empty.

    Raises:
        InputError: There are not two scans or more, their days do not rise, or a
            volume is not 0 < low <= value <= high.
    """

    days: tuple[float, ...]
    volumes_mm3: tuple[Spread, ...]
    doubling_time_days: Spread | None = None
    said: str = ""

    def __post_init__(self) -> None:
        """Refuse what cannot be drawn."""
        rising = all(b > a for a, b in zip(self.days, self.days[1:], strict=False))
        if len(self.days) < 2 or len(self.days) != len(self.volumes_mm3) or not rising:
            raise InputError(
                f"A course needs two scans or more and a volume for each; got days "
                f"{self.days} and {len(self.volumes_mm3)} volumes. "
                "Give them from the first scan to the present one."
            )
        for low, value, high in self.volumes_mm3:
            if not 0 < low <= value <= high < math.inf:
                raise InputError(
                    f"A volume must be 0 < low <= value <= high mm³; got {low}, "
                    f"{value}, {high}."
                )


def course_between(
    days: float,
    before: tuple[float, float | None],
    now: tuple[float, float | None],
    *,
    doubling_days: tuple[float | None, float | None, float | None] = (None,) * 3,
    said: str = "",
) -> Course:
    """Make the course of a nodule that was seen in a prior and is seen now.

    Args:
        days: Between the two scans.
        before: Volume in mm³ at the prior, and half the width of its interval or
            None.
        now: The same at the current scan.
        doubling_days: Shortest, most likely and longest; a most likely of None: it
            did not grow, a longest of None: it may not grow at all.
        said: What it means, in a sentence.

    Raises:
        InputError: See `Course`.

    Example:
        >>> course_between(90, (500.0, 100.0), (1000.0, None)).volumes_mm3
        ((400.0, 500.0, 600.0), (1000.0, 1000.0, 1000.0))
    """
    spreads = []
    for volume, error in (before, now):
        half = min(error or 0.0, 0.95 * volume)  # a volume is never 0
        spreads.append((volume - half, volume, volume + half))
    shortest, likely, longest = doubling_days
    times = None
    if likely is not None:
        low = likely if shortest is None else shortest
        times = (low, likely, math.inf if longest is None else longest)
    return Course(
        days=(0.0, days),
        volumes_mm3=tuple(spreads),
        doubling_time_days=times,
        said=said,
    )


@dataclass(frozen=True, slots=True)
class Spot:
    """One scan on the plot: where its volume and its interval stand."""

    x: float
    y: float
    low_y: float
    high_y: float


@dataclass(frozen=True, slots=True)
class Tick:
    """A mark on a scale."""

    at: float
    label: str


@dataclass(frozen=True, slots=True)
class Guide:
    """A straight line of one doubling time, from the first volume on."""

    x: float
    y: float
    label: str


@dataclass(frozen=True, slots=True)
class GrowthFigure:
    """The plot, and the same in words.

    Attributes:
        spots: The scans, from the first on.
        line: SVG path through their volumes.
        days: Ticks of the scale below.
        volumes: Ticks of the scale on the left.
        guides: Where the nodule would stand had it doubled in 400 or 600 days.
        facts: Lines of a label and a value.
        alt: What is seen, with the numbers.
    """

    spots: tuple[Spot, ...]
    line: str
    days: tuple[Tick, ...]
    volumes: tuple[Tick, ...]
    guides: tuple[Guide, ...]
    facts: tuple[tuple[str, str], ...]
    said: str
    alt: str


@dataclass(frozen=True, slots=True)
class _Scales:
    """Where days and volumes stand on the plot."""

    first: float
    days: float
    low: float
    high: float

    @classmethod
    def of(cls, course: Course) -> _Scales:
        levels = [volume for spread in course.volumes_mm3 for volume in spread]
        days = course.days[-1] - course.days[0]
        return cls(course.days[0], days, min(levels) / _ROOM, max(levels) * _ROOM)

    def x(self, day: float) -> float:
        return _LEFT + (WIDE - _LEFT - _RIGHT) * (day - self.first) / self.days

    def y(self, volume: float) -> float:
        part = math.log(volume / self.low) / math.log(self.high / self.low)
        return HIGH - _BOTTOM - (HIGH - _TOP - _BOTTOM) * part

    def guide(self, volume: float, time: float) -> Guide:
        """Draw a doubling time from the first volume to where it leaves the plot."""
        days = min(self.days, time * math.log2(self.high / volume))
        end = volume * 2 ** (days / time)
        return Guide(self.x(self.first + days), self.y(end), f"{time:g} days")


def growth_figure(course: Course) -> GrowthFigure:
    """Draw how a nodule changed.

    Args:
        course: Of one nodule.
    """
    scales = _Scales.of(course)
    spots = tuple(
        Spot(scales.x(day), scales.y(value), scales.y(least), scales.y(most))
        for day, (least, value, most) in zip(
            course.days, course.volumes_mm3, strict=True
        )
    )
    first = course.volumes_mm3[0][1]
    facts = _facts(course)
    told = "; ".join(f"{name}: {text}" for name, text in facts)
    return GrowthFigure(
        spots=spots,
        line="M" + "L".join(f"{s.x:.1f} {s.y:.1f}" for s in spots),
        days=tuple(
            Tick(scales.x(day), words.number(day - course.days[0], 0))
            for day in course.days
        ),
        volumes=tuple(
            Tick(scales.y(volume), words.number(volume, 0))
            for volume in _ticks(scales.low, scales.high)
        ),
        guides=tuple(scales.guide(first, time) for time in (FAST_DAYS, SLOW_DAYS)),
        facts=facts,
        said=words.signs(course.said),
        alt=f"Volume over time, on a logarithmic scale. {told}.",
    )


def _facts(course: Course) -> tuple[tuple[str, str], ...]:
    """Say the change in numbers."""
    (_, first, _), (_, last, _) = course.volumes_mm3[0], course.volumes_mm3[-1]
    days = words.number(course.days[-1] - course.days[0], 0)
    lines = [
        ("Time between", f"{days}{words.NO_BREAK}days"),
        *(
            (
                "Volume now" if day == course.days[-1] else f"Volume, day {day:g}",
                f"{words.number(value, 0)}{words.NO_BREAK}mm³" + _between(low, high),
            )
            for day, (low, value, high) in zip(
                course.days, course.volumes_mm3, strict=True
            )
        ),
        ("Change", f"{100 * (last / first - 1):+.0f}%".replace("-", words.MINUS)),
    ]
    time = course.doubling_time_days
    if time is None:
        lines.append(("Doubling time", "none: it did not grow"))
        return tuple(lines)
    low, value, high = time
    until = f"to {words.number(high, 0)}" if math.isfinite(high) else "or more"
    doubling = f"{words.number(value, 0)}{words.NO_BREAK}days"
    lines.append(("Doubling time", f"{doubling} ({words.number(low, 0)} {until})"))
    return tuple(lines)


def _between(low: float, high: float) -> str:
    """Say an interval; nothing where it has no width."""
    if low == high:
        return ""
    return f" ({words.number(low, 0)} to {words.number(high, 0)})"


def _ticks(low: float, high: float) -> list[float]:
    """Choose round volumes between two, evenly on a logarithmic scale."""
    found: list[float] = []
    for steps in ((1,), (1, 3), (1, 2, 5), (1, 1.5, 2, 3, 5, 7)):
        decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
        ticks = [s * 10.0**d for d in decades for s in steps if low <= s * 10.0**d]
        ticks = [t for t in ticks if t <= high]
        if len(ticks) > _MOST_TICKS:
            break
        found = ticks
    return found
