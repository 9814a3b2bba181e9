"""Small volumes with nodules of exact shape, each voxel as full as it is covered."""

import numpy as np

from hilum.findings import Candidate
from hilum.space import Grid
from hilum.volume import CTVolume, Mask

LUNG_HU = -860.0


def ellipsoid(center_mm, semi_axes_mm, *, turn_deg=0.0):
    """Inside of an ellipsoid, its axes (x, y, z) turned about z."""
    cos, sin = np.cos(np.deg2rad(turn_deg)), np.sin(np.deg2rad(turn_deg))

    def inside(x, y, z):
        x, y, z = x - center_mm[0], y - center_mm[1], z - center_mm[2]
        along, across = cos * x + sin * y, cos * y - sin * x
        a, b, c = semi_axes_mm
        return (along / a) ** 2 + (across / b) ** 2 + (z / c) ** 2 <= 1

    return inside


def ball(center_mm, diameter_mm):
    return ellipsoid(center_mm, (diameter_mm / 2,) * 3)


def wall(from_x_mm):
    """Everything to the left of a plane."""
    return lambda x, y, z: (x > from_x_mm) & (y < np.inf) & (z < np.inf)


def rod(radius_mm):
    """A vessel along y through the origin."""
    return lambda x, y, z: (x**2 + z**2 < radius_mm**2) & (y < np.inf)


def grid_around(size_mm, spacing_mm):
    """A grid of an odd number of voxels with its middle in the origin."""
    shape = tuple(int(np.ceil(size_mm / s)) | 1 for s in spacing_mm)
    origin = tuple(-(n - 1) / 2 * s for n, s in zip(shape, spacing_mm, strict=True))
    return Grid.axial(shape, spacing_mm, origin_mm=origin[::-1])


def covered(inside, grid, parts=(7, 5, 5)):
    """How much of each voxel lies inside, from points within it."""
    share = np.zeros(grid.shape, np.float32)
    steps = [(np.arange(n) + 0.5) / n - 0.5 for n in parts]
    z, y, x = (
        o + np.arange(n) * s
        for o, n, s in zip(
            grid.affine[:3, 3][::-1], grid.shape, grid.spacing_mm, strict=True
        )
    )
    dz, dy, dx = grid.spacing_mm
    for a in steps[0] * dz:
        for b in steps[1] * dy:
            for c in steps[2] * dx:
                share += inside(x + c, (y + b)[:, None], (z + a)[:, None, None])
    return share / np.prod(parts)


def paint(grid, *things, noise_hu=0.0, seed=0):
    """Lung with (inside, HU) things painted over it in order."""
    hu = np.full(grid.shape, LUNG_HU, np.float32)
    for inside, level in things:
        share = covered(inside, grid)
        hu += share * (level - hu)
    hu += np.random.default_rng(seed).normal(0, noise_hu or 1e-9, grid.shape)
    return CTVolume.from_array(hu, grid, "scene")


def all_lung(grid, label=1):
    return Mask(np.full(grid.shape, label, np.uint8), grid)


def candidate(center_mm, diameter_mm, score=0.5):
    return Candidate(tuple(float(c) for c in center_mm), float(diameter_mm), score)
