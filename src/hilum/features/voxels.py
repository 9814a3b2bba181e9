"""What is measured on the voxels as they were scanned, slice by slice.

Readers see slices, not interpolated cells; the sharpest and densest voxels are lost
by interpolation.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from hilum.features.shape import hull_of
from hilum.features.surroundings import BoolArray, Surroundings
from hilum.space import FloatArray

VOXEL_FEATURES = (
    "voxel_volume_mm3",
    "voxel_diameter_mm",
    "voxel_area_mm2",
    "voxel_width_mm",
    "voxel_feret_mm",
    "voxel_surface_mm2",
    "voxel_surface_per_volume",
    "voxel_sphericity",
    "voxel_solidity",
    "slices_solidity",
    "slices_circularity",
    "voxel_mean_hu",
    "voxel_sd_hu",
    "voxel_max_hu",
    "voxel_min_hu",
    "voxel_p10_hu",
    "voxel_p50_hu",
    "voxel_p90_hu",
    "voxel_ring_mean_hu",
    "voxel_ring_sd_hu",
    "voxel_edge_hu",
    "voxel_core_hu",
    "voxel_core_sd_hu",
    "voxel_core_max_hu",
    "voxel_slope_hu_mm",
    "voxel_share_solid",
    "voxel_share_calcified",
)
"""Names of what `voxel_features` measures."""


def voxel_features(surroundings: Surroundings) -> Mapping[str, float]:
    """Measure a nodule on its own voxels.

    Returns:
        The names of `VOXEL_FEATURES` to numbers.
    """
    found = {**_sizes(surroundings), **_levels(surroundings)}
    return {name: float(found[name]) for name in VOXEL_FEATURES}


def _sizes(surroundings: Surroundings) -> dict[str, float]:
    """Measure lengths, areas and how convex the slices are."""
    inside, spacing = surroundings.inside, np.array(surroundings.spacing_mm)
    plane_mm = spacing[1:]
    pixel = float(plane_mm.prod())
    areas = inside.sum(axis=(1, 2))
    largest = np.argwhere(inside[int(areas.argmax())]) * plane_mm
    volume = float(areas.sum() * spacing.prod())
    area = float(areas.max()) * pixel
    faces = sum(
        np.count_nonzero(np.diff(inside, axis=axis)) * spacing.prod() / spacing[axis]
        for axis in range(3)
    )
    slices = [np.argwhere(plane) * plane_mm for plane in inside[areas >= 6]]
    hulls = [(len(p) * pixel, *hull_of(p, plane_mm)) for p in slices or [largest]]
    hull, _ = hull_of(largest, plane_mm)
    apart = largest[:, None] - largest[None] if len(largest) < 400 else _rim(largest)
    return {
        "voxel_volume_mm3": volume,
        "voxel_diameter_mm": np.cbrt(volume),
        "voxel_area_mm2": area,
        "voxel_width_mm": np.sqrt(area),
        "voxel_feret_mm": np.linalg.norm(apart, axis=-1).max() + plane_mm.mean(),
        "voxel_surface_mm2": faces,
        "voxel_surface_per_volume": faces / volume,
        "voxel_sphericity": 4.836 * volume ** (2 / 3) / faces,
        "voxel_solidity": area / hull,
        "slices_solidity": np.mean([a / h for a, h, _ in hulls]),
        "slices_circularity": np.mean([4 * np.pi * a / p**2 for a, _, p in hulls]),
    }


def _grown(inside: BoolArray) -> BoolArray:
    """Add the neighbours of each voxel within its slice, eight at most."""
    grown = inside.copy()
    grown[:, 1:] |= inside[:, :-1]
    grown[:, :-1] |= inside[:, 1:]
    wider = grown.copy()
    wider[:, :, 1:] |= grown[:, :, :-1]
    wider[:, :, :-1] |= grown[:, :, 1:]
    return wider


def _rim(points: FloatArray) -> FloatArray:
    """Give differences of the points that are furthest out in 64 directions."""
    angles = np.linspace(0, np.pi, 32, endpoint=False)
    along = points @ np.stack([np.sin(angles), np.cos(angles)])
    ends = points[np.concatenate([along.argmax(axis=0), along.argmin(axis=0)])]
    return np.asarray(ends[:, None] - ends[None])


def _levels(surroundings: Surroundings) -> dict[str, float]:
    """Measure densities, the ring and the edge on the largest slice."""
    inside = surroundings.inside
    hu = np.clip(surroundings.hu, -1024, 1500).astype(np.float64)
    values = hu[inside]
    at = int(inside.sum(axis=(1, 2)).argmax())
    plane, flat = inside[at], hu[at]
    near = _grown(inside)
    ring = hu[_grown(near) & ~near]
    inner = np.zeros_like(plane)
    inner[1:-1, 1:-1] = plane[2:, 1:-1] & plane[:-2, 1:-1] & plane[1:-1, 1:-1]
    inner[1:-1, 1:-1] &= plane[1:-1, 2:] & plane[1:-1, :-2]
    core = flat[inner] if inner.any() else flat[plane]
    slope = np.hypot(*np.gradient(flat, surroundings.spacing_mm[1]))
    return {
        "voxel_mean_hu": values.mean(),
        "voxel_sd_hu": values.std(),
        "voxel_max_hu": values.max(),
        "voxel_min_hu": values.min(),
        "voxel_p10_hu": np.percentile(values, 10),
        "voxel_p50_hu": np.percentile(values, 50),
        "voxel_p90_hu": np.percentile(values, 90),
        "voxel_ring_mean_hu": ring.mean(),
        "voxel_ring_sd_hu": ring.std(),
        "voxel_edge_hu": flat[plane & ~inner].mean(),
        "voxel_core_hu": core.mean(),
        "voxel_core_sd_hu": core.std(),
        "voxel_core_max_hu": core.max(),
        "voxel_slope_hu_mm": slope[plane].mean(),
        "voxel_share_solid": np.mean(values > -300),
        "voxel_share_calcified": np.mean(values > 200),
    }
