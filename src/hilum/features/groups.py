"""What the features of a nodule are about: four groups that a reader can judge.

Each feature is in one group. Volume and mass are size, also where they are taken from
densities; whatever lies at the edge of a nodule or outside it is surroundings.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from hilum.features import FEATURES

SIZE, SHAPE, DENSITY, SURROUNDINGS = "size", "shape", "density", "surroundings"
GROUPS = (SIZE, SHAPE, DENSITY, SURROUNDINGS)

_OF_SIZE = (
    *("log_volume", "log_diameter", "log_area_axial", "long_axial_mm"),
    *("short_axial_mm", "height_mm", "axis_1_mm", "axis_2_mm", "axis_3_mm"),
    *("thickness_mm", "surface_per_volume", "log_mass_mg", "voxel_volume_mm3"),
    *("voxel_diameter_mm", "voxel_area_mm2", "voxel_width_mm", "voxel_feret_mm"),
    *("voxel_surface_mm2", "voxel_surface_per_volume"),
)
_OF_SHAPE = (
    *("elongation", "flatness", "sphericity", "solidity", "circularity_axial"),
    *("solidity_axial", "thickness_ratio", "radius_variation", "radius_furthest"),
    *("radius_nearest", "lobes_axial", "spikes_axial", "voxel_sphericity"),
    *("voxel_solidity", "slices_solidity", "slices_circularity"),
)
_OF_SURROUNDINGS = (
    *("band_out_1_hu", "band_out_2_hu", "band_out_3_hu", "shell_p10_hu"),
    *("shell_p50_hu", "shell_p90_hu", "around_p50_hu", "around_p90_hu"),
    *("around_dense_share", "touching_share", "edge_step", "edge_slope_hu_mm"),
    *("edge_slope_variation", "voxel_ring_mean_hu", "voxel_ring_sd_hu"),
    *("voxel_edge_hu",),
)


def group_of(feature: str) -> str:
    """Tell the group of a feature.

    Example:
        >>> group_of("spikes_axial"), group_of("inside_mean_hu")
        ('shape', 'density')
    """
    if feature in _OF_SIZE:
        return SIZE
    if feature in _OF_SHAPE:
        return SHAPE
    return SURROUNDINGS if feature in _OF_SURROUNDINGS else DENSITY


def members_of(group: str) -> npt.NDArray[np.bool_]:
    """Tell which features are of a group.

    Args:
        group: One of `GROUPS`.

    Returns:
        (87,) in the order of `FEATURES`.
    """
    return np.array([group_of(name) == group for name in FEATURES])
