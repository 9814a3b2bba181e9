"""The surroundings of one candidate, cut out and refined to nearly cubic cells.

Each voxel is divided into an odd number of equal cells along each axis, so that a
cell lies on every voxel centre and a voxel is a whole number of cells. Values
between voxel centres are interpolated linearly, which keeps the sum of Hounsfield
units: what partial volume put into a voxel stays in its cells. Around a mass,
voxels are averaged in blocks first; "voxel" then means such a block.

Spacings are taken to 0.1 µm, places to a thousandth of a voxel and sizes to 1 µm:
formats differ in the seventh digit, and on which side of a limit a cell falls must not
hang on it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hilum.errors import InputError
from hilum.findings import Candidate
from hilum.space import FloatArray, Grid, Index, Spacing
from hilum.volume import CTVolume, Mask

BoolArray = npt.NDArray[np.bool_]
HUField = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int_]

_FINEST_MM = 0.5
_COARSEST_MM = 1.5
_CELLS_ACROSS = 18
_AROUND_MM = 3.5


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Neighbourhood:
    """A candidate and what lies around it.

    Attributes:
        hu: (slice, row, column) float32 HU of the cells.
        lungs: Of the same shape; cells inside a lung.
        distance_mm: Of the same shape; from the centre of the candidate.
        voxels: Grid of the voxels that were cut out.
        start: First voxel of the volume (slice, row, column) that was cut out.
        blocks: How many of the volume's voxels were averaged along each axis.
        cells: Cells a voxel along (slice, row, column).
        slice_mm: How much of the patient a slice averages over, taken as the
            spacing: only DICOM tells the thickness, and every format is to give
            the same result.
        diameter_mm: Diameter that the candidate is taken to have.
    """

    hu: HUField
    lungs: BoolArray
    distance_mm: HUField
    voxels: Grid
    start: Index
    blocks: Index
    cells: Index
    slice_mm: float
    diameter_mm: float

    @property
    def reach_mm(self) -> float:
        """Radius beyond which nothing belongs to the nodule."""
        return reach_mm(self.diameter_mm)

    @property
    def near_mm(self) -> float:
        """How far the middle of the nodule may be from that of the candidate."""
        return max(2.0, 0.3 * self.diameter_mm)

    @property
    def voxel_mm(self) -> Spacing:
        """Distance of voxel centres along (slice, row, column)."""
        return _lengths_mm(self.voxels)

    @property
    def cell_mm(self) -> Spacing:
        """Distance of cell centres along (slice, row, column)."""
        z, y, x = (v / c for v, c in zip(self.voxel_mm, self.cells, strict=True))
        return z, y, x

    @property
    def cell_mm3(self) -> float:
        """Volume of one cell."""
        return float(np.prod(self.voxel_mm)) / float(np.prod(self.cells))

    def to_voxel(self, cell: npt.ArrayLike) -> FloatArray:
        """Map (..., 3) indices of cells, maybe fractional, to those of voxels."""
        offset = np.asarray(cell, dtype=np.float64) + 0.5
        return np.asarray(offset / np.array(self.cells) - 0.5)

    def to_world(self, cell: npt.ArrayLike) -> FloatArray:
        """Map (..., 3) indices of cells, maybe fractional, to the patient."""
        return self.voxels.to_world(self.to_voxel(cell))

    def to_mask(self, cells: BoolArray, grid: Grid) -> Mask:
        """Give the voxels of a volume that are at least half full of cells.

        Args:
            cells: (slice, row, column) bool; not empty.
            grid: Of the volume that was cut out of.

        Returns:
            Bool mask on a part of `grid`; the fullest voxel where none is half full.
        """
        (a, b, c), (z, y, x) = self.cells, self.voxels.shape
        share = cells.reshape(z, a, y, b, x, c).mean(axis=(1, 3, 5))
        full = share >= min(0.5, share.max())
        for axis, count in enumerate(self.blocks):
            full = np.repeat(full, count, axis)
        stop = np.array(self.start) + full.shape
        return Mask(full, grid.crop(self.start, _index(stop)))

    def distances_from(self, cell: npt.ArrayLike) -> HUField:
        """Give the distance of each cell from one, in mm."""
        return _distances(self.hu.shape, np.asarray(cell, float), self.cell_mm)


def reach_mm(diameter_mm: float) -> float:
    """Give the radius beyond which nothing belongs to a nodule of that diameter."""
    return 0.85 * diameter_mm + 1.5


def cut_out(
    volume: CTVolume,
    candidate: Candidate,
    lungs: Mask,
    *,
    diameter_mm: float | None = None,
) -> Neighbourhood:
    """Cut the surroundings of a candidate out of a volume.

    Args:
        volume: The CT.
        candidate: Its centre lies inside the volume.
        lungs: Labels on the grid of the volume.
        diameter_mm: Diameter to take it to have; by default its own.

    Raises:
        InputError: The centre lies outside the volume.
    """
    _check_inside(volume.grid, candidate)
    diameter = round(diameter_mm or candidate.diameter_mm, 3)
    spacing = np.array(_lengths_mm(volume.grid))
    target = float(np.clip(diameter / _CELLS_ACROSS, _FINEST_MM, _COARSEST_MM))
    blocks = np.maximum(1, (target / spacing + 0.05).astype(int))
    middle = np.rint(_place_in(volume.grid, candidate)).astype(int)
    middle = np.clip(middle, 0, np.array(volume.grid.shape) - 1)
    half = np.ceil((reach_mm(diameter) + _AROUND_MM) / (spacing * blocks)).astype(int)
    start = np.maximum(middle - half * blocks, 0)
    stop = np.minimum(middle + half * blocks + 1, volume.grid.shape)
    blocks = np.minimum(blocks, stop - start)
    size = _spacing(blocks * volume.grid.spacing_mm)
    box = volume.crop(_index(start), _index(stop)).shrink(size)
    inside = _middle_labels(lungs, start, box.grid.shape, blocks)
    coarse = np.array(_lengths_mm(box.grid))
    cells = _index(2 * np.rint((coarse / target - 1) / 2).astype(int) + 1)
    cells = (max(cells[0], 1), max(cells[1], 1), max(cells[2], 1))
    hu = box.hu.astype(np.float32)
    for axis, count in enumerate(cells):
        hu = refine(hu, axis, count)
        inside = np.repeat(inside, count, axis)
    where = (_place_in(box.grid, candidate) + 0.5) * cells - 0.5
    distance = _distances(hu.shape, where, _spacing(coarse / cells))
    return Neighbourhood(
        hu=hu,
        lungs=inside,
        distance_mm=distance,
        voxels=box.grid,
        start=_index(start),
        blocks=_index(blocks),
        cells=cells,
        slice_mm=float(coarse[0]),
        diameter_mm=diameter,
    )


def refine(field: HUField, axis: int, count: int) -> HUField:
    """Divide each voxel into cells along one axis, interpolating linearly.

    Args:
        field: (slice, row, column).
        axis: Along which to divide.
        count: Cells a voxel.
    """
    if count == 1:
        return field
    n = field.shape[axis]
    where = np.clip((np.arange(n * count) + 0.5) / count - 0.5, 0, n - 1)
    low = np.minimum(where.astype(int), max(n - 2, 0))
    part = (where - low).astype(np.float32)
    part = part.reshape([-1 if a == axis else 1 for a in range(3)])
    below = field.take(low, axis)
    above = field.take(np.minimum(low + 1, n - 1), axis)
    return np.asarray(below + (above - below) * part, dtype=np.float32)


def _check_inside(grid: Grid, candidate: Candidate) -> None:
    """Refuse a candidate of another volume, saying how far off it is."""
    if grid.contains(candidate.center_mm):
        return
    index = grid.to_index(candidate.center_mm)
    nearest = np.clip(index, -0.5, np.array(grid.shape) - 0.5)
    off = np.linalg.norm(grid.to_world(nearest) - np.array(candidate.center_mm))
    x, y, z = candidate.center_mm
    raise InputError(
        f"Candidate at ({x:.1f}, {y:.1f}, {z:.1f}) mm lies {off:.1f} mm outside the "
        "volume. Was it found in another series?"
    )


def _middle_labels(
    lungs: Mask, start: IntArray, shape: Index, blocks: IntArray
) -> BoolArray:
    """Tell whether the middle of each block lies in a lung."""
    first = start + blocks // 2
    z, y, x = (
        slice(int(a), int(a + (n - 1) * b + 1), int(b))
        for a, n, b in zip(first, shape, blocks, strict=True)
    )
    return np.asarray(lungs.voxels[z, y, x] != 0)


def _distances(shape: tuple[int, ...], center: FloatArray, step: Spacing) -> HUField:
    """Give the distance of each cell from a point, in mm."""
    z, y, x = (
        ((np.arange(n) - c) * s).astype(np.float32) ** 2
        for n, c, s in zip(shape, center, step, strict=True)
    )
    return np.asarray(np.sqrt(z[:, None, None] + y[:, None] + x), dtype=np.float32)


def _lengths_mm(grid: Grid) -> Spacing:
    z, y, x = (round(s, 4) for s in grid.spacing_mm)
    return z, y, x


def _place_in(grid: Grid, candidate: Candidate) -> FloatArray:
    """Give the index of the centre of a candidate, to a thousandth of a voxel."""
    return np.asarray(np.round(grid.to_index(candidate.center_mm), 3))


def _index(values: IntArray) -> Index:
    z, y, x = (int(v) for v in values)
    return z, y, x


def _spacing(values: FloatArray) -> Spacing:
    z, y, x = (float(v) for v in values)
    return z, y, x
