"""A nodule on cells of one size in all directions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hilum.features.surroundings import BoolArray, Surroundings, signed_distance_mm
from hilum.space import FloatArray

_CELL_MM = 0.7
_MOST_CELLS = 72


@dataclass(frozen=True, slots=True, eq=False)
class Cells:
    """A nodule and its surroundings, interpolated.

    Attributes:
        hu: (slice, row, column) float64.
        depth_mm: How deep each cell lies in the nodule, below 0 outside it.
        cell_mm: Size of a cell.
        lung_hu: Level of the air around.
    """

    hu: FloatArray
    depth_mm: FloatArray
    cell_mm: float
    lung_hu: float

    @property
    def inside(self) -> BoolArray:
        """The cells of the nodule: where it has depth; at least one."""
        return np.asarray(self.depth_mm > 0)


def to_cells(surroundings: Surroundings) -> Cells:
    """Interpolate a nodule to cells of 0.7 mm; larger ones where it is large."""
    from scipy import ndimage  # noqa: PLC0415  slow to import

    spacing = np.array(surroundings.spacing_mm)
    extent = (np.array(surroundings.hu.shape) - 1) * spacing
    cell = max(_CELL_MM, float(extent.max()) / _MOST_CELLS)
    count = np.floor(extent / cell).astype(int) + 1
    shape = (int(count[0]), int(count[1]), int(count[2]))
    start = (extent - (count - 1) * cell) / 2 / spacing
    hu, depth = (
        ndimage.affine_transform(
            np.asarray(field, dtype=np.float64),
            cell / spacing,
            offset=start,
            output_shape=shape,
            order=1,
            mode="nearest",
        )
        for field in (surroundings.hu, signed_distance_mm(surroundings))
    )
    if depth.max() <= 0:  # smaller than a cell, and between them
        depth = depth - depth.max() + cell / 10
    return Cells(hu, depth, cell, surroundings.lung_hu)
