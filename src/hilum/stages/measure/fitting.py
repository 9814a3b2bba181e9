"""Finding a thin rim of ground glass around a small dense core, by fitting.

A rim of one or two pixels cannot be told from blur by looking beside the core. So two
pictures are fitted to the voxels, as a scanner would show them: one ellipsoid of one
level, and a smaller one of a higher level in the middle of a larger one. Place, form,
sizes, levels and the blur itself are fitted. Where the second explains the voxels much
better, and with levels that ground glass has, there is a rim, and the larger ellipsoid
is the nodule.

Sources:
    Fitting a blurred model to measure small nodules: Reeves et al., IEEE TMI
    2006;25:435, and Gavrielides et al., Radiology 2009;251:26, section on
    model-based volumetry. The numbers: docs/explanation/measurement.md.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from hilum.space import FloatArray
from hilum.stages.measure.boxes import within
from hilum.stages.measure.filling import find_filling
from hilum.stages.measure.neighbourhood import BoolArray, Neighbourhood
from hilum.stages.measure.rim import Rim
from hilum.stages.measure.search import Outline

_LARGEST_MM = 8.0
_CLEAR_MM = 1.2
_BESIDE_MM = 2.2
_WIDER = 1.35
_FEWEST_VOXELS = 40
_BLUR_MM, _BLUR_TIMES = 0.45, 0.3
_BLUR_FURTHEST = 3.0
_USUAL_HU = np.array([260.0, 880.0])
_APART_HU = np.array([120.0, 200.0])
"""Levels above the lung that ground glass and a core usually have."""

_LONGER = 0.2
_ROUNDS, _TRIAL, _HOPELESS = 12, 2, 2.5
_SETTLED = 1e-3
_UPPER = np.triu_indices(3)


def fit_rim(
    hood: Neighbourhood, dense: Outline, where: BoolArray, noise_hu: float
) -> Rim | None:
    """Fit a core in a rim to what lies around a dense nodule.

    Args:
        hood: The surroundings.
        dense: The nodule, outlined half-way between its own level and the lung.
        where: Cells that may belong to it.
        noise_hu: Standard deviation of the noise in the lung.

    Returns:
        What fits best, whether or not it fits better than no rim; None where the
        nodule is too large for this, or shows too little.
    """
    center, form, radius_mm = _shape_of(hood, dense)
    if 2 * radius_mm > _LARGEST_MM:
        return None
    points, seen = _voxels(hood, dense, where, center, 1.3 * radius_mm + _BESIDE_MM)
    if len(seen) < _FEWEST_VOXELS:
        return None
    scene = _Scene(points, seen, max(noise_hu, 5.0), hood.voxel_mm)
    two = scene.settle(_start(form, _WIDER * radius_mm, (0.0,)))
    apart, inverse = _unpacked(two.at)
    rim = Rim(
        center + apart / np.array(hood.voxel_mm),
        inverse,
        _share(two.at[10]),
        float(two.levels[-1]),
        float(two.levels.sum()),
        len(seen),
        0.0,
        scene.roughness(two.left),
    )
    if two.hopeless or not rim.likely:
        return rim
    one = scene.settle(_start(form, radius_mm, ()))
    return replace(rim, gain=1 - two.left / max(one.left, 1e-9))


@dataclass(frozen=True, slots=True, eq=False)
class _Fit:
    """Where a fit came to rest, and what it leaves over.

    Attributes:
        at: Parameters.
        levels: Of each ellipsoid, within that of the one around it, HU.
        left: Sum of squares over the voxels.
        hopeless: Whether it was given up, leaving over much more than noise.
    """

    at: FloatArray
    levels: FloatArray
    left: float
    hopeless: bool


@dataclass(frozen=True, slots=True, eq=False)
class _Scene:
    """The voxels that a fit explains.

    Attributes:
        points: (n, 3) their middles (slice, row, column) in mm, from where the
            nodule is taken to be.
        seen: (n,) levels above the lung, HU.
        noise_hu: Of the lung.
        voxel_mm: Distance of voxel centres along (slice, row, column).
    """

    points: FloatArray
    seen: FloatArray
    noise_hu: float
    voxel_mm: tuple[float, float, float]

    def settle(self, at: FloatArray) -> _Fit:
        """Improve parameters until nothing is gained (Levenberg and Marquardt)."""
        left, levels, many = self._left(at)
        cost, damp, hopeless = float(left @ left), 1e-2, False
        for turn in range(_ROUNDS):
            over = float(left[:many] @ left[:many])
            hopeless = turn == _TRIAL and self.roughness(over) > _HOPELESS
            if hopeless:
                break
            slope = np.empty((len(left), len(at)))
            for n in range(len(at)):
                step = at.copy()
                step[n] += 1e-4
                slope[:, n] = (self._left(step)[0] - left) / 1e-4
            square, down = slope.T @ slope, -slope.T @ left
            gained = 0.0
            while damp < 1e4:
                tried = at + np.linalg.solve(
                    square + damp * np.diag(np.diag(square) + 1e-9), down
                )
                new = self._left(tried)
                new_cost = float(new[0] @ new[0])
                if new_cost < cost:
                    gained, damp = cost - new_cost, damp / 5
                    at, (left, levels, many), cost = tried, new, new_cost
                    break
                damp *= 5
            if gained < _SETTLED * cost:
                break
        return _Fit(at, levels, float(left[:many] @ left[:many]), hopeless)

    def roughness(self, left: float) -> float:
        """Give a sum of squares over the voxels as times the noise."""
        return math.sqrt(left / len(self.seen)) / self.noise_hu

    def _left(self, at: FloatArray) -> tuple[FloatArray, FloatArray, int]:
        """Give what parameters leave over, voxels first, then how unusual they are."""
        from hilum.stages.measure._rim_kernels import (  # noqa: PLC0415  numba is slow
            residuals,
            show_ellipsoids,
        )

        apart, form = _unpacked(at)
        scales = np.array([*map(_share, at[10:]), 1.0])
        wider = math.exp(min(max(at[9], -_BLUR_FURTHEST), _BLUR_FURTHEST))
        blur = math.hypot(_BLUR_MM * wider, self.voxel_mm[1] / 12**0.5)
        many = len(self.seen)
        shares = np.empty((len(scales), many))
        show_ellipsoids(
            self.points - apart, form, scales, blur, self.voxel_mm[0], shares
        )
        glass = len(scales) > 1
        weights = (self.noise_hu / _APART_HU) ** 2 if glass else np.zeros(2)
        out, levels = np.empty(many), np.empty(len(scales))
        residuals(shares, self.seen, weights, _USUAL_HU, levels, out)
        grown = at[3:9].copy()
        grown[[0, 3, 5]] -= grown[[0, 3, 5]].mean()
        unusual = [*grown / _LONGER, at[9] / _BLUR_TIMES, *at[10:]]
        if glass:
            found = np.array([levels[-1], levels.sum()])
            unusual.extend((found - _USUAL_HU) / _APART_HU)
        return (
            np.concatenate([out, self.noise_hu * np.array(unusual)]),
            levels,
            many,
        )


def _start(form: FloatArray, radius_mm: float, core: tuple[float, ...]) -> FloatArray:
    """Pack parameters: place (3), logarithm of the form (6), of the blur, cores."""
    values, ways = np.linalg.eigh(form)
    log = (ways * (-0.5 * np.log(values) + math.log(radius_mm))) @ ways.T
    return np.concatenate([np.zeros(3), log[_UPPER], [0.0], core])


def _unpacked(at: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Give the place and the form that parameters stand for."""
    log = np.zeros((3, 3))
    log[_UPPER] = at[3:9]
    log = log + np.triu(log, 1).T
    values, ways = np.linalg.eigh(log)
    form = (ways * np.exp(-2 * np.clip(values, -3, 4))) @ ways.T
    return at[:3], np.asarray(form)


def _share(x: float) -> float:
    """Give the size of a core by that of the whole, 0.2 to 0.9 however far x goes."""
    return 0.55 + 0.35 * math.tanh(x / 2)


def _shape_of(
    hood: Neighbourhood, dense: Outline
) -> tuple[FloatArray, FloatArray, float]:
    """Give the centre (in voxels), the form and the radius of an outline."""
    filling = find_filling(hood, dense.cells, dense.tissue, dense.lung_hu)
    share = np.maximum(filling.at_level(dense.full_hu), 0).astype(np.float64)
    total = max(float(share.sum()), 1.0)
    at = np.argwhere(share > 0)
    weight = share[share > 0]
    middle = weight @ at / weight.sum()
    off = (at - middle) * np.array(hood.cell_mm)
    spread = (off * weight[:, None]).T @ off / weight.sum()
    voxel = np.array(hood.voxel_mm)
    spread -= np.diag(voxel**2 / 12 + np.array([0, _BLUR_MM, _BLUR_MM]) ** 2)
    radius = (0.75 / math.pi * total * hood.cell_mm3) ** (1 / 3)
    values, ways = np.linalg.eigh(spread)
    values = np.clip(values, (radius / 2) ** 2 / 5, (2 * radius) ** 2 / 5)
    long = np.clip(np.sqrt(values / np.prod(values) ** (1 / 3)), 0.7, 1.45)
    long /= np.prod(long) ** (1 / 3)
    center = hood.to_voxel(middle + [s.start for s in filling.box])
    return center, (ways / long**2) @ ways.T, radius


def _voxels(
    hood: Neighbourhood,
    dense: Outline,
    where: BoolArray,
    center: FloatArray,
    reach_mm: float,
) -> tuple[FloatArray, FloatArray]:
    """Give the voxels around a nodule that other tissue does not touch."""
    clear = where.copy()
    rest = dense.tissue & ~dense.cells
    if rest.any():
        clear &= ~within(rest, hood.cell_mm, _CLEAR_MM)
    middles = tuple(slice(n // 2, None, n) for n in hood.cells)
    hu = hood.hu[middles]
    off = (np.argwhere(clear[middles]) - center) * np.array(hood.voxel_mm)
    near = np.linalg.norm(off, axis=1) <= reach_mm
    seen: npt.NDArray[np.float64] = hu[clear[middles]][near] - np.float64(dense.lung_hu)
    return np.ascontiguousarray(off[near]), seen
