"""What can be measured of a nodule: size, shape, density, edge and surroundings.

Numbers for a network that rates nodules; what a reader is shown comes from
`hilum.stages.measure`. They need a CT and a mask, nothing else, and treat a cut-out
that ends with the nodule like a whole scan. NumPy and SciPy only.

The folder: `surroundings` gives a nodule room, `cells` interpolates it, `shape` and
`density` measure there, `voxels` on the voxels themselves.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from hilum.features.cells import to_cells
from hilum.features.density import DENSITY_FEATURES, density_features
from hilum.features.shape import SHAPE_FEATURES, shape_features
from hilum.features.surroundings import Surroundings, signed_distance_mm, surround
from hilum.features.voxels import VOXEL_FEATURES, voxel_features
from hilum.volume import CTVolume, Mask

__all__ = [
    "DENSITY_FEATURES",
    "FEATURES",
    "SHAPE_FEATURES",
    "VOXEL_FEATURES",
    "Surroundings",
    "features_of",
    "nodule_features",
    "signed_distance_mm",
    "surround",
]

FEATURES = SHAPE_FEATURES + DENSITY_FEATURES + VOXEL_FEATURES
"""The order of the numbers that `nodule_features` gives."""


def nodule_features(volume: CTVolume, mask: Mask) -> npt.NDArray[np.float32]:
    """Measure a nodule.

    Args:
        volume: A CT or a part of one.
        mask: The nodule, on the grid of the volume or a part of it.

    Returns:
        (87,) in the order of `FEATURES`, finite.

    Raises:
        InputError: The mask is empty, or its voxels are not voxels of the volume.
    """
    return features_of(surround(volume, mask))


def features_of(surroundings: Surroundings) -> npt.NDArray[np.float32]:
    """Measure a nodule that has been cut out, with 8 mm around it."""
    cells = to_cells(surroundings)
    found = {
        **shape_features(cells),
        **density_features(cells),
        **voxel_features(surroundings),
    }
    return np.array([found[name] for name in FEATURES], dtype=np.float32)
