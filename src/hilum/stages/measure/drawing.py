"""A nodule as radiologists would draw it, by a network that learned their masks.

The network was taught masks that hold every voxel some half of the readers' lines
pass through, which is more than the lines enclose; so the level that encloses what
the readers' own volumes say lies above one half, at `DRAWN_LEVEL`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from hilum.findings import Point
from hilum.runtime.outlines import central_part, nodule_probabilities
from hilum.space import Grid
from hilum.stages.measure.boxes import box_around
from hilum.stages.measure.neighbourhood import BoolArray, refine
from hilum.stages.measure.size import axes_in_plane
from hilum.volume import CTVolume, Mask

DRAWN_LEVEL = 0.6
"""Probability at the readers' line.

Chosen on 28 annotated nodules of nine scans by networks that never saw them:
docs/explanation/measurement.md.
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

    def axes_mm(self) -> tuple[float, float]:
        """Measure long and short axis on the slice where the nodule is largest.

        Of slices that are nearly alike, the one nearest to the middle.
        """
        area = self.cells.sum(axis=(1, 2))
        best = np.flatnonzero(area >= 0.98 * area.max())
        middle = float((area * np.arange(len(area))).sum() / area.sum())
        slice_ = int(best[np.argmin(np.abs(best - middle))])
        above = np.pad(self._above()[slice_], 1, constant_values=-0.5)
        _, row, column = self.grid.spacing_mm
        return axes_in_plane(above, (row, column))

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


def draw(
    volume: CTVolume,
    center_mm: Point,
    diameter_mm: float,
    *,
    predict: Callable[[Any], Any],
) -> Drawing | None:
    """Draw a nodule; again from there, if it turns out much larger or smaller.

    Args:
        volume: The CT.
        center_mm: World point (x, y, z) inside the volume, in the nodule.
        diameter_mm: Of the nodule, about.
        predict: The segmentation network, as for `nodule_probabilities`.

    Returns:
        The drawing, or None when the network sees no nodule there.

    Raises:
        InputError: The centre lies outside the volume, or the diameter is not above 0.
    """
    found = None
    for _ in range(_ROUNDS):
        chances, grid = nodule_probabilities(
            volume, center_mm, diameter_mm, predict=predict, mirrored=1
        )
        inside = chances > DRAWN_LEVEL
        if not inside.any():
            return found
        cells = central_part(inside, grid, center_mm, diameter_mm)
        found = Drawing(probability=chances, cells=cells, grid=grid)
        times = found.sphere_mm / diameter_mm
        if 1 / _SIMILAR <= times <= _SIMILAR:
            break
        center_mm, diameter_mm = found.center_mm, found.sphere_mm
    return found
