"""Where on its slice a nodule was measured: the ends of long and short axis.

The assessment holds the lengths, which were measured finer than a voxel; the mask
holds where. So place and direction are the mask's, the lengths are the assessment's,
and what is drawn is as long as what is said.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hilum.findings import Nodule, Point
from hilum.space import FloatArray
from hilum.volume import Mask

_STEP_MM = 0.2
_ALIKE = 0.98


@dataclass(frozen=True, slots=True)
class Axes:
    """The two axes, each from one end to the other.

    Attributes:
        long_mm: Two world points (x, y, z).
        short_mm: Two world points, at right angles to the long axis.
    """

    long_mm: tuple[Point, Point]
    short_mm: tuple[Point, Point]

    @property
    def height_mm(self) -> float:
        """World z of the middle of the long axis."""
        return (self.long_mm[0][2] + self.long_mm[1][2]) / 2


def axes_of(nodule: Nodule, mask: Mask) -> Axes | None:
    """Find the axes of a nodule on the slice where its mask is largest.

    Args:
        nodule: With the measured lengths.
        mask: Its voxels.

    Returns:
        None when the mask is empty.
    """
    inside = mask.voxels > 0
    areas = inside.sum(axis=(1, 2))
    if not areas.any():
        return None
    best = np.flatnonzero(areas >= _ALIKE * areas.max())
    middle = float((areas * np.arange(len(areas))).sum() / areas.sum())
    slice_ = int(best[np.argmin(np.abs(best - middle))])
    plane = np.pad(inside[slice_], 1)
    pixel_mm = np.array(mask.grid.spacing_mm[1:])
    start, stop = _furthest(_border(plane) * pixel_mm)
    along = (stop - start) / max(float(np.linalg.norm(stop - start)), 1e-9)
    across = np.array([-along[1], along[0]])
    crossing = _widest(plane, start, stop, across, pixel_mm)

    def ends(
        center: FloatArray, way: FloatArray, length_mm: float
    ) -> tuple[Point, Point]:
        both = []
        for sign in (-0.5, 0.5):
            row, column = (center + sign * length_mm * way) / pixel_mm - 1
            x, y, z = mask.grid.to_world((slice_, row, column)).tolist()
            both.append((x, y, z))
        return both[0], both[1]

    return Axes(
        long_mm=ends((start + stop) / 2, along, nodule.long_axis_mm),
        short_mm=ends(crossing, across, nodule.short_axis_mm),
    )


def _border(plane: npt.NDArray[np.bool_]) -> FloatArray:
    """Give the points (row, column) half-way between cells inside and outside."""
    parts = []
    for axis in (0, 1):
        index = np.argwhere(np.diff(plane.astype(np.int8), axis=axis)).astype(float)
        index[:, axis] += 0.5
        parts.append(index)
    return np.concatenate(parts)


def _furthest(points: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Find the two of (n, 2) points that are furthest apart."""
    apart = np.linalg.norm(points[:, None] - points[None], axis=-1)
    i, j = np.unravel_index(int(np.argmax(apart)), apart.shape)
    return points[i], points[j]


def _widest(
    plane: npt.NDArray[np.bool_],
    start: FloatArray,
    stop: FloatArray,
    across: FloatArray,
    pixel_mm: FloatArray,
) -> FloatArray:
    """Find the middle of the longest chord at right angles to a line, in mm."""
    length = float(np.linalg.norm(stop - start))
    part = np.linspace(0, 1, max(3, int(length / _STEP_MM)))[1:-1, None, None]
    off = np.arange(-length, length, _STEP_MM)
    points = start + part * (stop - start) + off[:, None] * across
    index = np.rint(points / pixel_mm).astype(int)
    index = np.clip(index, 0, np.array(plane.shape) - 1)
    inside = plane[index[..., 0], index[..., 1]]
    best, widest = (start + stop) / 2, -1
    for row, place in zip(inside, points, strict=True):
        edges = np.flatnonzero(np.diff(np.r_[0, row.astype(np.int8), 0]))
        for first, last in zip(edges[::2], edges[1::2], strict=True):
            if last - first > widest:
                widest = int(last - first)
                best = (place[first] + place[last - 1]) / 2
    return np.asarray(best)
