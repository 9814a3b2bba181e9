"""A nodule on cells of one size in all directions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

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
    spacing = np.array(surroundings.spacing_mm)
    extent = (np.array(surroundings.hu.shape) - 1) * spacing
    cell = max(_CELL_MM, float(extent.max()) / _MOST_CELLS)
    count = np.floor(extent / cell).astype(int) + 1
    start = (extent - (count - 1) * cell) / 2 / spacing
    step = cell / spacing
    places = [
        (np.arange(n) + a / b) * b for a, b, n in zip(start, step, count, strict=True)
    ]
    hu, depth = (
        interpolate(field, places)
        for field in (surroundings.hu, signed_distance_mm(surroundings))
    )
    if depth.max() <= 0:  # smaller than a cell, and between them
        depth = depth - depth.max() + cell / 10
    return Cells(hu, depth, cell, surroundings.lung_hu)


def interpolate(
    field: npt.NDArray[np.number], places: Sequence[FloatArray]
) -> FloatArray:
    """Interpolate linearly along one axis after the other; edges go on.

    Args:
        field: (slice, row, column).
        places: For each axis the indices wanted along it, fractional.

    Returns:
        A value where the places of the axes cross.

    Example:
        >>> field = np.array([[[0.0, 10.0]], [[20.0, 30.0]]])
        >>> interpolate(field, [np.array([0.5]), np.array([0.0]), np.array([0.1])])
        array([[[11.]]])
    """
    from hilum.features._cell_kernels import blend  # noqa: PLC0415  numba is slow

    low, part = [], []
    for wanted, count in zip(places, field.shape, strict=True):
        at = np.clip(wanted, 0, count - 1)
        low.append(np.floor(at).astype(np.int64))
        part.append(at - low[-1])
    out = np.empty([len(wanted) for wanted in places])
    blend(np.asarray(field, dtype=np.float64), tuple(low), tuple(part), out)
    return out
