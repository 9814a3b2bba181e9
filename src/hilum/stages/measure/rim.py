"""A nodule as a dense core in a rim of ground glass: two ellipsoids, one in the other.

What `fitting` finds where a rim is too thin to be seen beside the core.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from hilum.space import FloatArray
from hilum.stages.measure.neighbourhood import BoolArray, Neighbourhood

_GLASS_HU = (110.0, 450.0)
_CORE_HU = (450.0, 1100.0)
"""Above the lung; what is denser is calcified, and its blur looks like a rim."""

_THICKEST_CORE = 0.8
_BETTER = 6.0
_LEAST_GAIN = 0.01
_ROUGHEST = 1.6


@dataclass(frozen=True, slots=True, eq=False)
class Rim:
    """A nodule of a dense core in a rim of ground glass, as two ellipsoids.

    Attributes:
        center: Of both, as (slice, row, column) index of voxels.
        form: (3, 3) matrix A with x A x = 1 on the surface, x in mm along
            (slice, row, column).
        core: Size of the core as a share of that of the whole.
        glass_hu: Level of the rim above the lung.
        core_hu: Level of the core above the lung.
        voxels: How many were explained.
        gain: Share of what one ellipsoid leaves over that two explain.
        rough: What two leave over, by the noise of the lung.
        inside: Share of the whole that lies in the room of the nodule, not in the wall.
    """

    center: FloatArray
    form: FloatArray
    core: float
    glass_hu: float
    core_hu: float
    voxels: int
    gain: float
    rough: float
    inside: float = 1.0

    @property
    def likely(self) -> bool:
        """Tell whether these are levels of a core in glass, and noise is left over.

        A nodule that is no ellipsoid leaves more than noise with or without a rim.
        """
        low, high = _GLASS_HU
        least, most = _CORE_HU
        return (
            low <= self.glass_hu <= high
            and least <= self.core_hu <= most
            and self.core <= _THICKEST_CORE
            and self.rough <= _ROUGHEST
        )

    @property
    def clear(self) -> bool:
        """Tell whether there is a rim: likely, and it explains much more than none."""
        better = -self.voxels * math.log(max(1 - self.gain, 1e-9))
        return self.likely and self.gain >= _LEAST_GAIN and better >= _BETTER

    @property
    def volume_mm3(self) -> float:
        """Volume of the whole, without what would lie in the wall."""
        whole = 4 / 3 * math.pi / math.sqrt(float(np.linalg.det(self.form)))
        return self.inside * whole

    @property
    def axes_mm(self) -> tuple[float, float]:
        """Long and short axis of the axial section through the middle, in mm."""
        low, high = np.linalg.eigvalsh(self.form[1:, 1:])
        return 2 / math.sqrt(float(low)), 2 / math.sqrt(float(high))

    def holds(self, hood: Neighbourhood) -> BoolArray:
        """Give the cells inside the whole."""
        voxel = hood.to_voxel(np.moveaxis(np.indices(hood.hu.shape), 0, -1))
        off = (voxel - self.center) * np.array(hood.voxel_mm)
        return np.asarray(np.einsum("...i,ij,...j", off, self.form, off) <= 1)
