"""The lungs as the detectors see them: a box of cubic voxels, and what is in it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from hilum.errors import InputError
from hilum.findings import Point
from hilum.space import Grid, Index
from hilum.volume import CTVolume, HUArray, Mask

BoolArray = npt.NDArray[np.bool_]

_SAME = 1e-3


@dataclass(frozen=True, eq=False)  # without slots, to keep the distances
class Region:
    """The box around the lungs.

    Attributes:
        hu: (slice, row, column) int16, cubic voxels, not clipped.
        grid: Where they are.
        lungs: The mask that it was cut by.
        anchor_mm: World point (x, y, z) from which cells of a network are counted.
    """

    hu: HUArray
    grid: Grid
    lungs: Mask
    anchor_mm: Point = (0.0, 0.0, 0.0)

    @classmethod
    def cut(
        cls,
        volume: CTVolume,
        lungs: Mask,
        *,
        voxel_mm: float,
        margin_mm: float,
        anchored: bool = False,
    ) -> Region | None:
        """Cut the box out of a scan and resample it; None without lungs.

        Args:
            volume: The CT, of any slice spacing.
            lungs: On the grid of the volume; every label counts as lung.
            voxel_mm: Edge of the cubic voxels.
            margin_mm: How much around the lungs to take along.
            anchored: Count voxels from the middle of the lungs, so that they hang
                neither on where the box begins nor on the voxels of the scan.

        Raises:
            InputError: The mask is not on the grid of the volume.
        """
        if not volume.grid.same_as(lungs.grid):
            raise InputError(
                f"The lung mask has another grid (shape {lungs.grid.shape}) than the "
                f"volume (shape {volume.grid.shape}). Segment the lungs on this volume."
            )
        plain = volume.grid.plain()  # so that every file format gives the same scores
        volume, lungs = replace(volume, grid=plain), Mask(lungs.voxels, plain)
        box = _box_around(lungs, margin_mm)
        if box is None:
            return None
        grid = lungs.grid.crop(*box).regrid((voxel_mm,) * 3)
        if not anchored:
            return cls(volume.crop(*box).resample_to(grid).hu, grid, lungs)
        middle = _middle_of(lungs, *box)
        grid = grid.anchored(middle)
        return cls(volume.crop(*box).resample_to(grid).hu, grid, lungs, middle)

    @cached_property
    def distance_mm(self) -> npt.NDArray[np.float32]:
        """How far each voxel lies outside the lungs; 0 in them; measured once.

        Distances are measured on every second voxel, which is precise enough.
        """
        import edt  # noqa: PLC0415  not needed to import the stage

        grid, lungs = self.grid, self.lungs
        picks = []
        for axis in range(3):
            steps = np.zeros(((grid.shape[axis] + 1) // 2, 3))
            steps[:, axis] = 2 * np.arange(len(steps))
            at = np.rint(lungs.grid.to_index(grid.to_world(steps))[:, axis]).astype(int)
            picks.append(np.clip(at, 0, lungs.grid.shape[axis] - 1))
        outside = np.ascontiguousarray(lungs.voxels[np.ix_(*picks)] == 0)
        spacing = tuple(2 * s for s in grid.spacing_mm)
        return np.asarray(edt.edt(outside, anisotropy=spacing, parallel=2))

    def near(self, distance_mm: float) -> BoolArray:
        """Mark the voxels that lie in the lungs or at most this far from them."""
        near = self.distance_mm <= distance_mm
        for axis in range(3):
            near = near.repeat(2, axis=axis)
        z, y, x = self.grid.shape
        return np.ascontiguousarray(near[:z, :y, :x])


def _middle_of(lungs: Mask, start: Index, stop: Index) -> Point:
    """Find the centre of mass of the lungs, of every second row and column."""
    box = tuple(slice(a, b) for a, b in zip(start, stop, strict=True))
    inside = lungs.voxels[box][:, ::2, ::2] > 0
    counts = [inside.sum(axis=axes) for axes in ((1, 2), (0, 2), (0, 1))]
    at = [float(np.arange(len(c)) @ c / c.sum()) for c in counts]
    index = np.array(start) + np.array(at) * (1, 2, 2)
    x, y, z = lungs.grid.to_world(index).tolist()
    return x, y, z


def _box_around(lungs: Mask, margin_mm: float) -> tuple[Index, Index] | None:
    """Find the first and the last voxel to take; None without lungs."""
    start, stop = [], []
    for axis, spacing in enumerate(lungs.grid.spacing_mm):
        others = tuple(a for a in range(3) if a != axis)
        filled = np.flatnonzero(lungs.voxels.any(axis=others))
        if not filled.size:
            return None
        # formats that hold float32 must not turn 15 slices into 16
        margin = int(np.ceil(margin_mm / spacing - _SAME))
        start.append(max(int(filled[0]) - margin, 0))
        stop.append(min(int(filled[-1]) + 1 + margin, lungs.grid.shape[axis]))
    return (start[0], start[1], start[2]), (stop[0], stop[1], stop[2])
