"""Which lobe a point lies in, told without seeing the fissures, and with what doubt.

The oblique fissure is taken for a plane that falls from the back to the front, the
minor fissure of the right lung for one that falls a little to the front. Where they
lie follows from the volumes: each parts off the share of the lung that the lobe has
in healthy people. So a point is placed by the share of its lung that lies below it,
which neither the size of the person nor the depth of the breath changes much.

The doubt is that of people: lobes differ in size, and fissures are bent and tilted by
a centimetre or more. It does not cover a lung that was operated on or collapsed.

Sources:
    Volumes: Yamada et al., "Differences in lung and lobe volumes between supine and
    standing positions scanned with conventional and newly developed 320-detector-row
    upright CT", Respiration 2020;99:598, table 3, supine, 32 volunteers: right 53.6
    (upper 17.9 +- 2.4, middle 9.3 +- 1.6, lower 26.5 +- 2.6), left 46.4 (upper
    23.1 +- 2.1, lower 23.2 +- 2.4) % of both lungs.
    Course: Proto and Ball, "Radiographic anatomy of the interlobar fissures", AJR
    1982;138:1043. The angles, and what bends add to the doubt, are assumed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from hilum.findings import LOBE_CLEAR, Point, Side
from hilum.space import FloatArray
from hilum.volume import Mask

LABELS: Mapping[Side, int] = {"right": 1, "left": 2}

_OBLIQUE_DEG: Mapping[Side, float] = {"right": 50.0, "left": 55.0}
_MINOR_DEG = 10.0
_LOWER_SHARE: Mapping[Side, float] = {"right": 26.5 / 53.6, "left": 23.2 / 46.4}
_MIDDLE_SHARE = 9.3 / (9.3 + 17.9)
_OBLIQUE_DOUBT = 0.13
_MINOR_DOUBT = 0.15
"""Standard deviations of where a fissure lies, as shares of what it divides: 0.05 and
0.06 of the volumes of people, the rest for bends and tilts."""

_STEP_MM = 8.0
_FEWEST = 200
_CUT_SHARE = 0.25


@dataclass(frozen=True, slots=True)
class Lobes:
    """How probable each lobe is; they add up to 1.

    Attributes:
        upper: The lingula included.
        middle: 0 in the left lung.
        lower: What remains.
    """

    upper: float
    middle: float
    lower: float

    def name(self, side: Side) -> str | None:
        """Name the lobe, such as "right upper lobe", or None in doubt."""
        for lobe in ("upper", "middle", "lower"):
            if getattr(self, lobe) >= LOBE_CLEAR:
                return f"{side} {lobe} lobe"
        return None


@dataclass(frozen=True, slots=True, eq=False)
class LungShape:
    """Where a lung's volume lies.

    Attributes:
        side: Which lung.
        across: (n,) sorted, heights of the points of the lung above a plane like the
            oblique fissure, mm.
        above: (m,) sorted, heights above a plane like the minor fissure of those that
            lie above the oblique one, mm.
    """

    side: Side
    across: FloatArray
    above: FloatArray

    def lobes_at(self, point_mm: Point) -> Lobes:
        """Tell how probable each lobe is at a point (x, y, z) of this lung.

        Args:
            point_mm: World point.
        """
        at = np.array([point_mm])
        share = _share(self.across, float(_height(at, _OBLIQUE_DEG[self.side])[0]))
        not_lower = _chance((share - _LOWER_SHARE[self.side]) / _OBLIQUE_DOUBT)
        if self.side == "left":
            return Lobes(not_lower, 0.0, 1 - not_lower)
        share = _share(self.above, float(_height(at, _MINOR_DEG)[0]))
        upper = not_lower * _chance((share - _MIDDLE_SHARE) / _MINOR_DOUBT)
        return Lobes(upper, not_lower - upper, 1 - not_lower)


def lung_shapes(lungs: Mask) -> dict[Side, LungShape]:
    """Measure where the volume of each lung lies.

    Args:
        lungs: Labels 1 right, 2 left.

    Returns:
        The lungs that are there and whole; one that the scan cuts through is left
        out, because shares of a part say nothing.
    """
    step = [max(1, round(_STEP_MM / s)) for s in lungs.grid.spacing_mm]
    coarse = lungs.voxels[:: step[0], :: step[1], :: step[2]]
    found: dict[Side, LungShape] = {}
    for side, label in LABELS.items():
        index = np.argwhere(coarse == label) * step
        if len(index) < _FEWEST or _is_cut(lungs, label):
            continue
        points = lungs.grid.to_world(index)
        height = _height(points, _OBLIQUE_DEG[side])
        limit = np.quantile(height, _LOWER_SHARE[side])
        above = _height(points[height > limit], _MINOR_DEG)
        found[side] = LungShape(side, np.sort(height), np.sort(above))
    return found


def _is_cut(lungs: Mask, label: int) -> bool:
    """Tell whether a lung goes on beyond the first or last slice."""
    areas = (lungs.voxels[:, ::4, ::4] == label).sum(axis=(1, 2))
    return bool(max(areas[0], areas[-1]) > _CUT_SHARE * areas.max())


def _height(points: FloatArray, degrees: float) -> FloatArray:
    """Give heights above a plane that rises so steeply towards the back."""
    return np.asarray(points[:, 2] - math.tan(math.radians(degrees)) * points[:, 1])


def _share(ranked: FloatArray, height: float) -> float:
    return float(np.searchsorted(ranked, height)) / max(len(ranked), 1)


def _chance(z: float) -> float:
    return 0.5 * (1 + math.erf(z / math.sqrt(2)))
