"""From a volume to its two lungs, in the order in which a reader would go.

Air around the patient goes first, then what is left of the air is sorted into
lung and not lung, trachea and main bronchi are taken out, the sides told apart,
and vessels, nodules and masses taken in. All of that happens on cubes of a few
millimetres; the result is brought back to the voxels of the volume smoothly.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from hilum._threads import in_threads
from hilum.errors import InputError
from hilum.space import Grid
from hilum.stages.lungs.airways import find_airways
from hilum.stages.lungs.pleura import fill_lungs
from hilum.stages.lungs.sides import tell_sides
from hilum.stages.lungs.thorax import (
    CEILING_HU,
    PADDING_HU,
    BoolArray,
    LabelArray,
    Thorax,
    find_aerated,
    find_box,
    grow,
    reduce,
)
from hilum.volume import CTVolume, Mask

# HU from half full to empty or full at the border of air
EDGE_HU = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class LungSegmenter:
    """Find the right and the left lung.

    Vessels, nodules and masses of the lung belong to it, also those on the pleura;
    trachea, main bronchi, heart, diaphragm and chest wall do not.

    Attributes:
        spacing_mm: Edge of the cubes that the lungs are found on.
        air_hu: Below it a cube is air or aerated lung.
        bone_hu: Above it the rib cage begins; never inside a lung.
        wall_mm: Thickness of the wall of trachea and main bronchi, taken out with
            their lumen.

    Raises:
        InputError: The cubes are not between 1 and 5 mm.
    """

    spacing_mm: float = 2.5
    air_hu: int = -400
    bone_hu: int = 250
    wall_mm: float = 4.0

    def __post_init__(self) -> None:
        """Refuse cubes that would take minutes, or lose the airways."""
        if not 1 <= self.spacing_mm <= 5:
            raise InputError(
                f"Lungs are found on cubes of 1 to 5 mm; got {self.spacing_mm} mm."
            )

    def __call__(self, volume: CTVolume) -> Mask:
        """Segment the lungs of a chest CT.

        Args:
            volume: The CT, at any spacing.

        Returns:
            uint8 labels on the grid of the volume: 1 right lung, 2 left lung,
            0 elsewhere; all 0 where there is no aerated lung.
        """
        grid = volume.grid.plain()
        small = replace(volume, grid=grid).shrink((self.spacing_mm,) * 3)
        thorax = reduce(
            small.hu, small.grid, spacing_mm=self.spacing_mm, air_hu=self.air_hu
        )
        aerated = find_aerated(thorax, air_hu=self.air_hu)
        if not aerated.any():
            return Mask(np.zeros(volume.grid.shape, np.uint8), volume.grid)
        box = find_box(aerated, margin=2)
        chest, aerated = thorax.crop(box), np.ascontiguousarray(aerated[box])
        lumen = find_airways(chest, aerated)
        airways = grow(lumen, self.wall_mm, chest.spacing_mm)
        sides = tell_sides(chest, aerated & ~airways, lumen)
        lungs = fill_lungs(chest, sides, airways, bone_hu=self.bone_hu)
        fields = _edge_fields(chest, lungs, airways, air_hu=self.air_hu)
        return Mask(_enlarge(fields, chest.grid, grid), volume.grid)


def _edge_fields(
    thorax: Thorax, lungs: LabelArray, airways: BoolArray, *, air_hu: int
) -> npt.NDArray[np.uint8]:
    """Give the lungs as a field that passes half where their border runs.

    Where the border is one of air, it follows the HU between the cubes.

    Returns:
        (2, slice, row, column) uint8: how much is lung, how much of it is left.
    """
    hu = np.arange(PADDING_HU, CEILING_HU + 1)
    full = np.clip((air_hu - hu + EDGE_HU) * 255 // (2 * EDGE_HU), 0, 255)
    inside = np.where(hu < air_hu, np.maximum(full, 128), 255).astype(np.uint8)
    outside = np.where(hu < air_hu, 0, np.minimum(full, 127)).astype(np.uint8)
    at = np.clip(thorax.hu, PADDING_HU, CEILING_HU) - PADDING_HU
    beyond = np.where(airways | thorax.outside, np.uint8(0), outside[at])
    lung = np.where(lungs > 0, inside[at], beyond)
    left = np.array([127, 0, 255], np.uint8)[lungs]
    return np.stack([lung, left])


def _enlarge(fields: npt.NDArray[np.uint8], cubes: Grid, grid: Grid) -> LabelArray:
    """Bring the lungs from cubes to the voxels of a grid along the same axes."""
    from hilum.stages.lungs._lung_kernels import enlarge  # noqa: PLC0415  numba

    index_map = cubes.index_map_from(grid)
    places: list[npt.NDArray[np.float64]] = []
    within: list[slice] = []
    for axis, size in enumerate(cubes.shape):
        at = index_map[axis, axis] * np.arange(grid.shape[axis]) + index_map[axis, 3]
        hit = np.flatnonzero((at > -0.5) & (at < size - 0.5))
        within.append(slice(int(hit[0]), int(hit[-1]) + 1))
        places.append(at[within[axis]])
    out = np.zeros(grid.shape, np.uint8)
    target = out[within[0], within[1], within[2]]

    def slices(first: int, last: int) -> None:
        enlarge(fields, *places, target, first, last)

    in_threads(slices, target.shape[0])
    return out
