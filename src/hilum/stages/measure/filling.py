"""How full each cell of a nodule is, and what follows: volume, centre, extent.

Near the free edge a cell is as full as its level lies between lung and nodule;
so the sum of all cells is the volume whatever the slices blurred. Where other
tissue touches the nodule, the cut counts instead.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hilum.space import FloatArray
from hilum.stages.measure.boxes import Box, box_around, depth_of, distance_to
from hilum.stages.measure.neighbourhood import (
    BoolArray,
    HUField,
    Neighbourhood,
    refine,
)

_BLUR_VOXELS = 1.5
_BLUR_MM = 1.2
_OVERSHOOT = 0.3


@dataclass(frozen=True, slots=True, eq=False)
class Filling:
    """The part of each cell that belongs to the nodule, for a given level.

    Attributes:
        box: Where the arrays lie in the neighbourhood.
        contrast: Levels above the lung, HU.
        lung_hu: Level of the lung.
        full: Cells that count as one.
        edge: Cells that count as their level tells.
    """

    box: Box
    contrast: HUField
    lung_hu: float
    full: BoolArray
    edge: BoolArray

    def at_level(self, rim_hu: float) -> HUField:
        """Give how full each cell of the box is if the nodule reads `rim_hu`."""
        share = np.clip(
            self.contrast / (rim_hu - self.lung_hu), -_OVERSHOOT, 1 + _OVERSHOOT
        )
        return np.where(self.full, np.float32(1), np.where(self.edge, share, 0))

    def volume_mm3(self, hood: Neighbourhood, rim_hu: float) -> float:
        """Sum up the cells."""
        return max(float(self.at_level(rim_hu).sum()), 1.0) * hood.cell_mm3

    def ellipsoid(
        self, hood: Neighbourhood, rim_hu: float
    ) -> tuple[FloatArray, float, float]:
        """Give the ellipsoid that is filled alike.

        Returns:
            Centre as a cell index of the neighbourhood, radius in the axial plane
            and half height, both in mm.
        """
        share = self.at_level(rim_hu)
        total = max(float(share.sum()), 1.0)
        center, spread = [], []
        for axis in range(3):
            other = tuple({0, 1, 2} - {axis})
            profile = share.sum(axis=other)
            at = np.arange(len(profile))
            mean = float((profile * at).sum()) / total
            center.append(mean + self.box[axis].start)
            spread.append(float((profile * (at - mean) ** 2).sum()) / total)
        inside = [
            max(v * s**2 - (p**2) / 12, s**2 / 12)
            for v, s, p in zip(spread, hood.cell_mm, hood.voxel_mm, strict=True)
        ]
        radius = (25 * inside[1] * inside[2]) ** 0.25
        volume = total * hood.cell_mm3
        radius = min(radius, 2 * (volume * 0.75 / np.pi) ** (1 / 3))
        return np.array(center), radius, 0.75 * volume / (np.pi * radius**2)

    def expected_at(
        self, hood: Neighbourhood, where: BoolArray, rim_hu: float
    ) -> float:
        """Tell how much of its level a uniform ellipsoid of this size would show.

        Returns:
            Median over the cells of `where`.
        """
        center, radius, height = self.ellipsoid(hood, rim_hu)
        box = box_around(where)
        near = [  # voxels that these cells are interpolated from
            slice(max(b.start // c - 1, 0), min(-(-b.stop // c) + 1, n))
            for b, c, n in zip(box, hood.cells, hood.voxels.shape, strict=True)
        ]
        z, y, x = (np.arange(s.start, s.stop) for s in near)
        middle = hood.to_voxel(center)
        thick, tall, wide = hood.slice_mm, hood.voxel_mm[1], hood.voxel_mm[2]
        slice_ = ((z - middle[0]) * hood.voxel_mm[0])[:, None, None]
        seen = np.zeros((len(z), len(y), len(x)), np.float32)
        for a in (-1 / 3, 0, 1 / 3):
            for b in (-1 / 3, 0, 1 / 3):
                rows = ((y + a - middle[1]) * tall)[:, None]
                columns = (x + b - middle[2]) * wide
                beyond = (rows**2 + columns**2) / radius**2
                half = height * np.sqrt(np.maximum(1 - beyond, 0))
                top = np.minimum(slice_ + thick / 2, half)
                bottom = np.maximum(slice_ - thick / 2, -half)
                seen += np.maximum(top - bottom, 0) / (9 * thick)
        for axis, count in enumerate(hood.cells):
            seen = refine(seen, axis, count)
        cells = tuple(
            slice(s.start * c, s.stop * c)
            for s, c in zip(near, hood.cells, strict=True)
        )
        return float(np.median(seen[where[cells]]))


def find_filling(
    hood: Neighbourhood,
    cells: BoolArray,
    tissue: BoolArray,
    lung_hu: float,
) -> Filling:
    """Tell apart the cells that are full and those at a free edge.

    Args:
        hood: The surroundings.
        cells: Those of the nodule.
        tissue: All that is as dense, the nodule included.
        lung_hu: Level of the lung.
    """
    reach = [max(_BLUR_VOXELS * v, _BLUR_MM) for v in hood.voxel_mm]
    unit = tuple(s / r for s, r in zip(hood.cell_mm, reach, strict=True))
    margin = tuple(int(1 / u) + 1 for u in unit)
    box = box_around(cells, (margin[0], margin[1], margin[2]))
    inside = cells[box]
    rest = tissue[box] & ~inside
    steps = (unit[0], unit[1], unit[2])
    off = distance_to(inside, steps, beyond=2)
    shell = ~inside & (off <= 1) & ~rest
    rim = inside & (depth_of(inside, steps) <= 1)
    if rest.any():
        to_rest = distance_to(rest, steps, beyond=3)
        shell &= to_rest > off
        rim &= to_rest > 1
    contrast = hood.hu[box] - np.float32(lung_hu)
    return Filling(box, contrast, lung_hu, inside & ~rim, shell | rim)
