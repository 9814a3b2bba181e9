"""The nodule detector: bright dots of 3 to 45 mm in the lungs, best first.

It has learned nothing: a few constants with a physical reason, so that it is a
baseline that a trained network must beat, and a source of hard negatives for it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from hilum.errors import InputError
from hilum.findings import Candidate
from hilum.space import Grid, Index
from hilum.stages.nodules.dots import BoolArray, find_dots, strongest
from hilum.stages.nodules.extent import measure_diameters
from hilum.volume import CTVolume, Mask

LUNG_HU = -850
"""What a nodule stands out from."""

SURROUNDINGS_MM = 20.0
"""How much around the lungs is filtered with them, so that the wall has no edge."""

FAINTEST_STRENGTH = 0.1
"""Weaker dots are not even candidates: a good lung has hundreds of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NoduleDetector:
    """Find places that may be nodules, by their shape alone.

    The lungs are resampled to cubic voxels and clipped to soft tissue, so that
    calcium and contrast agent look no different. A Hessian filter then finds
    bright dots at every half octave of diameter (see `dots`). Of dots that lie
    within each other the strongest is kept.

    Attributes:
        diameters_mm: The smallest and the largest nodule to look for.
        voxel_mm: Edge of the cubic voxels that the filter works on.
        range_hu: Hounsfield units are clipped to this range: air in the lungs to
            soft tissue.
        margin_mm: How far outside the lungs a centre may lie.
        even_strength: Strength of a dot that is as likely a nodule as not. A
            sharp ball of soft tissue in lung has strength 1, a vessel 0.
        steepness: How fast the odds of being a nodule grow with strength:
            odds = (strength / even_strength) ** steepness.
        max_candidates: How many are given at most.

    Raises:
        InputError: A setting is out of its range.
    """

    diameters_mm: tuple[float, float] = (3.0, 45.0)
    voxel_mm: float = 1.0
    range_hu: tuple[int, int] = (-1000, 50)
    margin_mm: float = 4.0
    even_strength: float = 0.3
    steepness: float = 6.0
    max_candidates: int = 100

    def __post_init__(self) -> None:
        """Refuse settings that nothing could be found with."""
        smallest, largest = self.diameters_mm
        low, high = self.range_hu
        checks = {
            "diameters_mm": (0 < smallest <= largest, "two numbers > 0, rising"),
            "voxel_mm": (
                0 < self.voxel_mm <= smallest / 2,
                "above 0 and at most half the smallest diameter",
            ),
            "range_hu": (low < LUNG_HU < high, f"rising, with {LUNG_HU} inside"),
            "margin_mm": (self.margin_mm >= 0, "at least 0"),
            "even_strength": (self.even_strength > 0.01, "> 0.01"),
            "steepness": (0 < self.steepness <= 100, "in (0, 100]"),
            "max_candidates": (self.max_candidates >= 1, "at least 1"),
        }
        for name, (fine, need) in checks.items():
            if not fine:
                raise InputError(
                    f"Detector setting `{name}` is {getattr(self, name)}; it must be "
                    f"{need}."
                )

    def __call__(self, volume: CTVolume, lungs: Mask) -> tuple[Candidate, ...]:
        """Find candidates in the lungs.

        Args:
            volume: The CT, of any slice spacing.
            lungs: On the grid of the volume; every label counts as lung.

        Returns:
            At most `max_candidates`, by falling score; none without lungs. The
            score ranks. It grows with the chance of being a nodule, and is not
            calibrated.

        Raises:
            InputError: The mask is not on the grid of the volume.
        """
        if not volume.grid.same_as(lungs.grid):
            raise InputError(
                f"The lung mask has another grid (shape {lungs.grid.shape}) than the "
                f"volume (shape {volume.grid.shape}). Segment the lungs on this volume."
            )
        box = _box_around(lungs, SURROUNDINGS_MM)
        if box is None:
            return ()
        grid = lungs.grid.crop(*box).regrid((self.voxel_mm,) * 3)
        hu = np.clip(volume.crop(*box).resample_to(grid).hu, *self.range_hu)
        inside = _near(lungs, grid, self.margin_mm)
        dots = find_dots(
            hu.astype(np.float32),
            inside,
            diameters=(
                self.diameters_mm[0] / self.voxel_mm,
                self.diameters_mm[1] / self.voxel_mm,
            ),
            contrast=self.range_hu[1] - LUNG_HU,
            least_strength=FAINTEST_STRENGTH,
        )
        dots = strongest(dots, inside, self.max_candidates)
        diameters = measure_diameters(hu, dots.index, dots.diameter, around_hu=LUNG_HU)
        return tuple(
            Candidate((x, y, z), diameter * self.voxel_mm, self.score(strength))
            for (x, y, z), diameter, strength in zip(
                grid.to_world(dots.index).tolist(),
                diameters.tolist(),
                dots.strength.tolist(),
                strict=True,
            )
        )

    def score(self, strength: float) -> float:
        """Map the strength of a dot to a score in [0, 1] that grows with it.

        Example:
            >>> NoduleDetector(even_strength=0.3).score(0.3)
            0.5
        """
        odds = math.pow(strength / self.even_strength, self.steepness)
        return odds / (1 + odds)


def _box_around(lungs: Mask, margin_mm: float) -> tuple[Index, Index] | None:
    """Find the first and the last voxel to filter; None without lungs."""
    start, stop = [], []
    for axis, spacing in enumerate(lungs.grid.spacing_mm):
        others = tuple(a for a in range(3) if a != axis)
        filled = np.flatnonzero(lungs.voxels.any(axis=others))
        if not filled.size:
            return None
        margin = int(np.ceil(margin_mm / spacing))
        start.append(max(int(filled[0]) - margin, 0))
        stop.append(min(int(filled[-1]) + 1 + margin, lungs.grid.shape[axis]))
    return (start[0], start[1], start[2]), (stop[0], stop[1], stop[2])


def _near(lungs: Mask, grid: Grid, margin_mm: float) -> BoolArray:
    """Mark the voxels of a finer grid that lie in the lungs or near them.

    Distances are measured on every second voxel, which is precise enough.
    """
    import edt  # noqa: PLC0415  not needed to import the stage

    picks = []
    for axis in range(3):
        steps = np.zeros(((grid.shape[axis] + 1) // 2, 3))
        steps[:, axis] = 2 * np.arange(len(steps))
        at = np.rint(lungs.grid.to_index(grid.to_world(steps))[:, axis]).astype(int)
        picks.append(np.clip(at, 0, lungs.grid.shape[axis] - 1))
    outside = np.ascontiguousarray(lungs.voxels[np.ix_(*picks)] == 0)
    spacing = tuple(2 * s for s in grid.spacing_mm)
    near = edt.edt(outside, anisotropy=spacing, parallel=2) <= margin_mm
    for axis in range(3):
        near = near.repeat(2, axis=axis)
    z, y, x = grid.shape
    return np.ascontiguousarray(near[:z, :y, :x])
