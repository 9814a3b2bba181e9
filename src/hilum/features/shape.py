"""How large a nodule is, how round and how smooth.

Everything is measured on cells of one size in all directions, between which the
surface was interpolated, so that thick slices tell little of themselves.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping

import numpy as np

from hilum.features.cells import Cells
from hilum.space import FloatArray

SHAPE_FEATURES = (
    "log_volume",
    "log_diameter",
    "log_area_axial",
    "long_axial_mm",
    "short_axial_mm",
    "height_mm",
    "axis_1_mm",
    "axis_2_mm",
    "axis_3_mm",
    "elongation",
    "flatness",
    "sphericity",
    "solidity",
    "circularity_axial",
    "solidity_axial",
    "thickness_mm",
    "thickness_ratio",
    "radius_variation",
    "radius_furthest",
    "radius_nearest",
    "lobes_axial",
    "spikes_axial",
    "surface_per_volume",
)
"""Names of what `shape_features` measures; lengths in mm, volumes in mm3."""


def shape_features(cells: Cells) -> Mapping[str, float]:
    """Measure size and shape.

    Returns:
        The names of `SHAPE_FEATURES` to numbers.
    """
    points = np.argwhere(cells.inside).astype(np.float64) * cells.cell_mm
    count = len(points)
    volume = count * cells.cell_mm**3
    middle = points.mean(axis=0)
    diameter = (6 * volume / np.pi) ** (1 / 3)
    spread = np.cov((points - middle).T, bias=True) if count > 1 else np.zeros((3, 3))
    spread = spread + np.eye(3) * cells.cell_mm**2 / 12
    axes = np.sqrt(5 * np.linalg.eigvalsh(spread)[::-1]) * 2
    surface = _surface_mm2(cells)
    depth = float(cells.depth_mm.max()) + cells.cell_mm / 2
    radii = np.linalg.norm(_rim_points(cells) - middle, axis=1) / (diameter / 2)
    found = {
        "log_volume": np.log(volume),
        "log_diameter": np.log(diameter),
        "height_mm": np.ptp(points[:, 0]) + cells.cell_mm,
        "axis_1_mm": axes[0],
        "axis_2_mm": axes[1],
        "axis_3_mm": axes[2],
        "elongation": axes[1] / axes[0],
        "flatness": axes[2] / axes[0],
        "sphericity": np.pi * diameter**2 / surface,
        "solidity": volume / max(hull_of(points, cells.cell_mm)[0], volume),
        "thickness_mm": 2 * depth,
        "thickness_ratio": 2 * depth / diameter,
        "radius_variation": radii.std() / radii.mean(),
        "radius_furthest": radii.max(),
        "radius_nearest": radii.min(),
        "surface_per_volume": surface / volume,
        **_axial(cells),
    }
    return {name: float(found[name]) for name in SHAPE_FEATURES}


def _axial(cells: Cells) -> dict[str, float]:
    """Measure the axial slice on which the nodule is largest."""
    areas = cells.inside.sum(axis=(1, 2))
    plane = cells.inside[int(np.argmax(areas))]
    points = np.argwhere(plane).astype(np.float64) * cells.cell_mm
    area = len(points) * cells.cell_mm**2
    spread = np.cov(points.T, bias=True) if len(points) > 1 else np.zeros((2, 2))
    spread = spread + np.eye(2) * cells.cell_mm**2 / 12
    short, long = np.sqrt(np.linalg.eigvalsh(spread)) * 4
    lobes, spikes, outline = _outline_waves(cells, int(np.argmax(areas)))
    return {
        "log_area_axial": float(np.log(area)),
        "long_axial_mm": float(long),
        "short_axial_mm": float(short),
        "circularity_axial": 4 * np.pi * area / outline**2,
        "solidity_axial": area / max(hull_of(points, cells.cell_mm)[0], area),
        "lobes_axial": lobes,
        "spikes_axial": spikes,
    }


def _outline_waves(cells: Cells, slice_: int) -> tuple[float, float, float]:
    """Tell the outline's waves apart: 3 to 5 a turn are lobes, 6 to 12 spikes.

    Returns:
        Both as shares of the mean radius, and the length of the outline in mm.
    """
    from scipy import ndimage  # noqa: PLC0415  slow to import

    depth = cells.depth_mm[slice_]
    middle = np.argwhere(cells.inside[slice_]).mean(axis=0)
    angles = np.linspace(0, 2 * np.pi, 64, endpoint=False)
    steps = np.arange(0, max(depth.shape), 0.5)
    rays = np.stack([np.sin(angles), np.cos(angles)])[:, :, None] * steps
    along = ndimage.map_coordinates(
        depth, middle[:, None, None] + rays, order=1, mode="nearest"
    )
    outside = along <= 0
    outside[:, -1] = True
    first = np.maximum(np.argmax(outside, axis=1), 1)
    rows = np.arange(len(angles))
    a, b = along[rows, first - 1], along[rows, first]
    part = np.clip(a / np.where(a > b, a - b, 1.0), 0, 1)
    radius = np.maximum(steps[first - 1] + 0.5 * part, 0.25) * cells.cell_mm
    waves = np.abs(np.fft.rfft(radius)) / len(radius)
    lobes = np.sqrt(np.sum(waves[3:6] ** 2)) / waves[0]
    spikes = np.sqrt(np.sum(waves[6:13] ** 2)) / waves[0]
    ends = np.stack([radius * np.sin(angles), radius * np.cos(angles)])
    length = np.linalg.norm(ends - np.roll(ends, 1, axis=1), axis=0).sum()
    return float(lobes), float(spikes), float(length)


def _surface_mm2(cells: Cells) -> float:
    """Measure the surface as the volume of a thin layer by its thickness."""
    depth, cell = cells.depth_mm, cells.cell_mm
    half = 1.0 * cell
    weight = np.clip(1 - np.abs(depth) / half, 0, None) / half
    return float(max(weight.sum() * cell**3, cell**2))


def _rim_points(cells: Cells) -> FloatArray:
    """Give the cells that the surface runs through, mm from the corner."""
    rim = np.abs(cells.depth_mm) <= 0.6 * cells.cell_mm
    if not rim.any():
        rim = cells.inside
    return np.asarray(np.argwhere(rim) * cells.cell_mm)


def hull_of(points: FloatArray, cell_mm: FloatArray | float) -> tuple[float, float]:
    """Measure the convex hull of cells, edges included.

    Args:
        points: (n, 2) or (n, 3) centres in mm.
        cell_mm: Size of a cell, along each axis or along all.

    Returns:
        In 2D its area and perimeter, in 3D its volume and surface.
    """
    dimensions = points.shape[1]
    points = _ends(points)
    corners = np.stack(np.meshgrid(*[[-0.5, 0.5]] * dimensions), -1)
    corners = corners.reshape(-1, dimensions) * cell_mm
    if dimensions == 2:
        from hilum.features._cell_kernels import hull  # noqa: PLC0415  numba is slow

        around = (points[:, None] + corners).reshape(-1, 2)
        order = np.lexsort((around[:, 1], around[:, 0]))
        area, perimeter = hull(around[order])
        return float(area), float(perimeter)
    from scipy.spatial import ConvexHull, QhullError  # noqa: PLC0415  slow to import

    if len(points) > 200:  # the hull of a hull: far fewer corners
        with contextlib.suppress(QhullError):
            points = points[ConvexHull(points).vertices]
    solid = ConvexHull((points[:, None] + corners).reshape(-1, dimensions))
    return float(solid.volume), float(solid.area)


def _ends(points: FloatArray) -> FloatArray:
    """Keep the first and last of the points that share all but their last place.

    What lies between them is no corner of the hull.

    Args:
        points: (n, dimensions), sorted as `np.argwhere` gives them.
    """
    new = np.any(points[1:, :-1] != points[:-1, :-1], axis=1)
    edge = np.concatenate([[True], new])
    edge[:-1] |= new
    edge[-1] = True
    return np.asarray(points[edge])
