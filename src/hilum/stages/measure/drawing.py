"""A nodule as radiologists would draw it, by a network that learned their masks.

A second opinion on what belongs to a nodule, and what the networks that rate nodules
are shown. It is no measure of size: the network was taught masks that hold the voxels
under the readers' lines, which by the rules of LIDC run outside the nodule.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from hilum.findings import Point
from hilum.runtime.outlines import central_part, probabilities_of
from hilum.space import Grid
from hilum.stages.measure.boxes import box_around
from hilum.stages.measure.neighbourhood import BoolArray, refine
from hilum.volume import CTVolume, Mask

DRAWN_LEVEL = 0.6
"""Probability at the middle of the readers' line.

Chosen on 28 annotated nodules of nine scans by networks that never saw them.
"""

_FINER = 3
_SIMILAR = 1.25
_ROUNDS = 3


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Drawing:
    """A nodule as drawn by the network.

    Attributes:
        probability: (slice, row, column) float32, of being nodule.
        cells: Of the same shape; the voxels inside the line, at least one.
        grid: Of both: a part of the grid of the volume.
    """

    probability: npt.NDArray[np.float32]
    cells: BoolArray
    grid: Grid

    @property
    def mask(self) -> Mask:
        """Give the voxels as a mask."""
        return Mask(self.cells, self.grid)

    @property
    def sphere_mm(self) -> float:
        """Diameter of the sphere of the same number of voxels."""
        mm3 = float(np.count_nonzero(self.cells)) * self.grid.voxel_mm3
        return math.cbrt(6 * mm3 / math.pi)

    @property
    def center_mm(self) -> Point:
        """World point (x, y, z) in the middle of the voxels."""
        x, y, z = self.grid.to_world(np.argwhere(self.cells).mean(axis=0)).tolist()
        return x, y, z

    def volume_mm3(self) -> float:
        """Measure what the line encloses, between the voxels as well."""
        z, y, x = box_around(self.cells, (1, 1, 1))
        above = self._above()[z, y, x]
        for axis in range(3):
            above = refine(above, axis, _FINER)
        return float(np.count_nonzero(above > 0)) * self.grid.voxel_mm3 / _FINER**3

    def _above(self) -> npt.NDArray[np.float32]:
        """Give the probability above the line, negative outside of the nodule."""
        above = self.probability - np.float32(DRAWN_LEVEL)
        above = np.where(self.cells, above, np.minimum(above, -1e-3))
        return above.astype(np.float32)


def draw_all(
    volume: CTVolume,
    places: Sequence[tuple[Point, float]],
    *,
    predict: Callable[[Any], Any],
) -> list[Drawing | None]:
    """Draw nodules; again from there, where one turns out much larger or smaller.

    Args:
        volume: The CT.
        places: World point (x, y, z) inside the volume, in the nodule, and its
            diameter, about.
        predict: The segmentation network, as for `nodule_probabilities`.

    Returns:
        The drawings, in order; None where the network sees no nodule.

    Raises:
        InputError: A centre lies outside the volume, or a diameter is not above 0.
    """
    found: list[Drawing | None] = [None] * len(places)
    wanted = dict(enumerate(places))
    for _ in range(_ROUNDS):
        answers = probabilities_of(volume, list(wanted.values()), predict=predict)
        again = {}
        for (number, place), (chances, grid) in zip(
            wanted.items(), answers, strict=True
        ):
            drawing = _drawn(chances, grid, place)
            if drawing is None:
                continue
            found[number] = drawing
            times = drawing.sphere_mm / place[1]
            if not 1 / _SIMILAR <= times <= _SIMILAR:
                again[number] = drawing.center_mm, drawing.sphere_mm
        wanted = again
        if not wanted:
            break
    return found


def _drawn(
    chances: npt.NDArray[np.float32], grid: Grid, place: tuple[Point, float]
) -> Drawing | None:
    """Make the drawing of what the network saw at a place, if anything."""
    inside = chances > DRAWN_LEVEL
    if not inside.any():
        return None
    cells = central_part(inside, grid, *place)
    return Drawing(probability=chances, cells=cells, grid=grid)
