"""From a seed to an outline: threshold, cut off what is joined, repeat.

Level and outline of a nodule follow from each other, so they are found in turns.
What is joined to the nodule, a vessel or the chest wall, is cut off where the
joint is thinner than the nodule, by an opening with a ball sized to the nodule.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from hilum.space import Index
from hilum.stages.measure.boxes import (
    box_around,
    depth_of,
    fill_holes,
    part_at,
    within,
)
from hilum.stages.measure.levels import (
    DENSEST_RIM_HU,
    FAINTEST_HU,
    full_level,
    highest,
    inner_cells,
    level_at_edge,
)
from hilum.stages.measure.neighbourhood import BoolArray, HUField, Neighbourhood
from hilum.stages.measure.rim import Rim

_CUTS = (0.45, 0.6, 0.75, 0.9)
_ROUNDS = 4
_SETTLED = 0.01
_LEAK = 0.02


@dataclass(frozen=True, slots=True, eq=False)
class Outline:
    """The cells of a nodule and the levels that decided on its edge.

    Attributes:
        cells: (slice, row, column) bool, on the cells of the neighbourhood.
        tissue: Of the same shape; all that is as dense, the nodule included.
        hu: The values that were thresholded, less noisy than the scan if need be.
        lung_hu: Level outside.
        rim_hu: Level of its outer part; the edge lies half-way to the lung.
        full_hu: Level just inside the edge where the inner part is denser than a rim
            is taken to be, as in a calcified nodule; else that of the rim.
        shown: Share of its level, above the lung, that its inner cells show.
        outgrows: Whether it goes on beyond the limit of the search.
        joined: Whether it had to be cut off from other tissue at the candidate's
            own size, because nothing thinner parted them.
        rim: What was fitted where a thin rim of ground glass surrounds a core.
        dense: Outline of the dense part alone, where the edge is that of ground glass
            around it.
    """

    cells: BoolArray
    tissue: BoolArray
    hu: HUField
    lung_hu: float
    rim_hu: float
    full_hu: float
    shown: float
    outgrows: bool = False
    joined: bool = False
    rim: Rim | None = None
    dense: Outline | None = None

    @property
    def edge_hu(self) -> float:
        """Level of the edge."""
        return (self.lung_hu + self.rim_hu) / 2


@dataclass(frozen=True, slots=True, eq=False)
class Search:
    """Where and from where a nodule is sought.

    Attributes:
        hood: The surroundings.
        seed: A cell of the nodule.
        distance_mm: Of each cell from the seed.
        room: Cells that may belong to a nodule.
        lung_hu: Level of the lung.
        reach_mm: Distance from the seed beyond which nothing is taken.
        widest: Whether no wider search can follow this one.
    """

    hood: Neighbourhood
    seed: Index
    distance_mm: HUField
    room: BoolArray
    lung_hu: float
    reach_mm: float
    widest: bool

    @property
    def reachable(self) -> BoolArray:
        """Give the cells that may be taken."""
        return np.asarray(self.room & (self.distance_mm <= self.reach_mm))

    def leaks(self, cells: BoolArray) -> bool:
        """Tell whether a nodule runs into the limit of the search."""
        last = self.distance_mm > self.reach_mm - max(self.hood.cell_mm)
        edge = self.reachable & last
        return bool(np.count_nonzero(cells & edge) > _LEAK * np.count_nonzero(edge))

    def settle(
        self, hu: HUField, rim_hu: float, *, core: BoolArray | None = None
    ) -> Outline | None:
        """Find outline and level, each from the other, until they agree.

        An outline that runs into the limit is cut more and more boldly, unless
        the nodule itself is as large as that.

        Args:
            hu: Values to threshold.
            rim_hu: Level to start from.
            core: Dense cells inside, whose level is not that of the rim.

        Returns:
            The outline, or None when nothing stands out.
        """
        found = None
        for cut in _CUTS:
            settled = self._settle_at(hu, rim_hu, cut, core)
            if settled is None:
                return found
            found, radius_mm = settled
            if not self.leaks(found.cells):
                return found
            if radius_mm > 0.5 * self.hood.diameter_mm + 1 and not self.widest:
                return replace(found, outgrows=True)
            rim_hu = found.rim_hu
        return found

    def _settle_at(
        self, hu: HUField, rim_hu: float, cut: float, core: BoolArray | None
    ) -> tuple[Outline, float] | None:
        """Settle with one boldness of cutting; give the inner radius as well."""
        found = None
        for _ in range(_ROUNDS):
            tissue = hu > (self.lung_hu + rim_hu) / 2
            grown = self._grow(tissue, cut)
            if grown is None:
                return found
            cells, radius_mm = grown
            inner = inner_cells(self.hood, cells)
            if core is not None:
                inner &= ~core
            full_hu, shown = rim_hu, 1.0
            if inner.any():
                full_hu, shown = full_level(
                    self.hood, cells, inner, tissue, self.lung_hu
                )
            level = min(full_hu, DENSEST_RIM_HU)
            if level - self.lung_hu < FAINTEST_HU:
                return found
            dense_hu = rim_hu
            if full_hu > DENSEST_RIM_HU:
                dense_hu = level_at_edge(self.hood, cells, full_hu)
            outline = Outline(cells, tissue, hu, self.lung_hu, rim_hu, dense_hu, shown)
            found = outline, radius_mm
            if abs(level - rim_hu) < _SETTLED * (level - self.lung_hu):
                break
            rim_hu = level
        return found

    def _grow(self, tissue: BoolArray, cut: float) -> tuple[BoolArray, float] | None:
        """Keep the tissue that hangs together with the seed; cut off what is thin.

        Args:
            tissue: Cells above the threshold.
            cut: A joint is thin below this share of the nodule's inner radius.

        Returns:
            The cells, and the radius of the largest ball inside them.
        """
        unit = self.hood.cell_mm
        cells = tissue & self.reachable
        if not cells[self.seed]:
            return None
        cells = fill_holes(part_at(cells, self.seed))
        depth = depth_of(cells, unit)
        top = highest(np.where(self.distance_mm <= self.hood.near_mm, depth, 0))
        radius_mm = float(depth[top])
        ball = cut * radius_mm
        if ball <= 0.75 * max(unit):
            return cells, radius_mm
        core = part_at(depth > ball, top)
        box = box_around(cells)
        kept = np.zeros_like(cells)
        kept[box] = cells[box] & within(core[box], unit, ball + 0.5 * max(unit))
        return part_at(kept, top), radius_mm
