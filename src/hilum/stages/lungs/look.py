"""What lungs a scan holds, in numbers: how much, and where they are cut off."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from hilum.errors import InputError
from hilum.stages.lungs.thorax import find_outside
from hilum.volume import CTVolume, Mask

REDUCED_MM = 3.0
AIR_HU = -400

FEET, HEAD, FRONT, BACK, RIGHT, LEFT = range(6)
"""Where a volume ends, in the order of `LungLook.cut_cm2`."""

Labels = npt.NDArray[np.uint8]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class LungLook:
    """A scan averaged to about 3 mm, and its lungs.

    Attributes:
        small: The scan.
        lungs: (slice, row, column) of it: 1 right lung, 2 left lung.
        outside: Air around the patient, and padding.
        right_l: Litres of the right lung.
        left_l: Litres of the left lung.
        cut_cm2: Area of lung on the first and last slice, row and column.
        open_cm2: Area where lung borders on the air or padding around the patient.
    """

    small: CTVolume
    lungs: Labels
    outside: Bools
    right_l: float
    left_l: float
    cut_cm2: tuple[float, ...]
    open_cm2: float

    @classmethod
    def of(cls, volume: CTVolume, mask: Mask) -> Self:
        """Look at a scan.

        Args:
            volume: The CT.
            mask: 1 right lung, 2 left lung, on the grid of the volume.

        Raises:
            InputError: The mask lies on another grid than the volume.
        """
        if not mask.grid.same_as(volume.grid):
            raise InputError(
                f"Lung mask of shape {mask.grid.shape} lies on another grid than the "
                f"volume of shape {volume.grid.shape}. Segment this volume first."
            )
        small = volume.shrink((REDUCED_MM,) * 3)
        lungs = _thin_out(mask, small)
        litre = small.grid.voxel_mm3 / 1e6
        count = np.bincount(lungs.ravel(), minlength=3)
        outside, _ = find_outside(
            small.hu, spacing_mm=small.grid.spacing_mm[2], air_hu=AIR_HU
        )
        return cls(
            small=small,
            lungs=lungs,
            outside=outside,
            right_l=float(count[1]) * litre,
            left_l=float(count[2]) * litre,
            cut_cm2=_cut_cm2(mask),
            open_cm2=_open_cm2(lungs > 0, outside, small.grid.spacing_mm),
        )

    @property
    def total_l(self) -> float:
        """Litres of both lungs."""
        return self.right_l + self.left_l


def _thin_out(mask: Mask, small: CTVolume) -> Labels:
    """Take the label in the middle of each block that `shrink` averaged."""
    steps = [
        max(1, round(coarse / fine))
        for coarse, fine in zip(
            small.grid.spacing_mm, mask.grid.spacing_mm, strict=True
        )
    ]
    at = tuple(
        slice(step // 2, step // 2 + step * (n - 1) + 1, step)
        for step, n in zip(steps, small.grid.shape, strict=True)
    )
    return np.ascontiguousarray(mask.voxels[at], dtype=np.uint8)


def _cut_cm2(mask: Mask) -> tuple[float, ...]:
    """Measure the lung on the six faces of the scan."""
    spacing = mask.grid.spacing_mm
    found: list[float] = []
    for axis in range(3):
        pixel_cm2 = float(np.prod(spacing)) / spacing[axis] / 100
        for index in (0, -1):
            face = np.take(mask.voxels, index, axis=axis)
            found.append(float(np.count_nonzero(face) * pixel_cm2))
    return tuple(found)


def _open_cm2(lungs: Bools, outside: Bools, spacing: tuple[float, ...]) -> float:
    """Measure where lung borders on the air or padding around the patient.

    A chest wall always lies between, so only a field of view can bring the two
    together.
    """
    air = outside & ~lungs
    near = np.zeros(air.shape, np.bool_)
    near[:, 1:] |= air[:, :-1]
    near[:, :-1] |= air[:, 1:]
    near[..., 1:] |= air[..., :-1]
    near[..., :-1] |= air[..., 1:]
    return float(np.count_nonzero(near & lungs) * spacing[0] * spacing[2] / 100)
