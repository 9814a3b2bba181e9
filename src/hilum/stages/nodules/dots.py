"""Bright dots of every size in a volume: a Hessian filter over a pyramid of scales.

A dot is a local maximum of the negative Laplacian of the smoothed volume where all
three principal curvatures bend down. At a ball the three are equal, along a vessel
the least is near 0, at a wall two are: so the least curvature, times how equal it is
to the greatest, tells dots from tubes and sheets. Curvatures times the squared width
of the smoothing compare across scales (gamma-normalised derivatives).

Sources:
    Li, Sone, Doi, "Selective enhancement filters for nodules, vessels, and airway
    walls in two- and three-dimensional CT scans", Med. Phys. 30(8):2040 (2003).
    Lindeberg, "Feature detection with automatic scale selection", IJCV 30(2):79
    (1998).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hilum._threads import in_threads
from hilum.space import FloatArray

Float32Array = npt.NDArray[np.float32]
BoolArray = npt.NDArray[np.bool_]

SIGMA_PER_DIAMETER = 1 / (2 * math.sqrt(3))
"""Width of the Gaussian at which a ball answers most, by its diameter."""

HALVED_FROM = 3.4
"""Width in voxels from which every second voxel is enough.

Halving earlier is faster, but then the strength depends on where the voxels fall.
"""

SHAPE_EXPONENT = 0.5
"""How much the equality of the curvatures counts.

At 1 (Li, Sone and Doi) no nodule may hang on a vessel, at 0 bent vessels pass.
"""

BALL_CURVATURE = 3**1.5 * math.sqrt(2 / math.pi) * math.exp(-1.5) / 3
"""Normalised curvature at the centre of a ball of contrast 1 at that width.

A ball of radius r smoothed by a Gaussian of width s has, at its centre, the Laplacian
-sqrt(2 / pi) (r / s)^3 exp(-r^2 / 2 s^2) / s^2; here r = sqrt(3) s, a third by axis.
"""


@dataclass(frozen=True, slots=True, eq=False)
class Dots:
    """Bright dots, in no particular order.

    Attributes:
        index: (n, 3) where they are, (slice, row, column) of the volume; fractional.
        diameter: (n,) of the ball that the scale is made for, in voxels.
        strength: (n,) 1 for a ball of the reference contrast, 0 for a tube or sheet.
    """

    index: FloatArray
    diameter: FloatArray
    strength: FloatArray


def find_dots(
    volume: Float32Array,
    inside: BoolArray,
    *,
    diameters: tuple[float, float],
    contrast: float,
    least_strength: float,
    halved_from: float | None = None,
) -> Dots:
    """Find bright dots at half-octave steps of diameter.

    Args:
        volume: (slice, row, column) of cubic voxels; overwritten.
        inside: Of the same shape; dots elsewhere are left out.
        diameters: Smallest diameter, in voxels, and one that the largest reaches.
        contrast: Of the ball of strength 1 to what is around it.
        least_strength: Weaker dots are left out.
        halved_from: Width of the smoothing from which every second voxel is taken; by
            default `HALVED_FROM`.

    Returns:
        The dots of all scales, with duplicates from neighbouring scales.
    """
    parts = [
        _dots_of_scale(smooth, seen, scale, contrast, least_strength)
        for smooth, seen, scale in _pyramid(
            volume, inside, diameters, halved_from or HALVED_FROM
        )
    ]
    return Dots(
        np.concatenate([p.index for p in parts]),
        np.concatenate([p.diameter for p in parts]),
        np.concatenate([p.strength for p in parts]),
    )


@dataclass(frozen=True, slots=True)
class _Scale:
    """One step of the pyramid: voxels of the volume a voxel here, and smoothing."""

    step: int
    sigma: float


def _pyramid(
    volume: Float32Array,
    inside: BoolArray,
    diameters: tuple[float, float],
    halved_from: float,
) -> Iterator[tuple[Float32Array, BoolArray, _Scale]]:
    """Smooth more and more; past each doubling every second voxel is enough."""
    smallest, largest = diameters
    sigma = first = smallest * SIGMA_PER_DIAMETER
    step = 1
    smooth = _blur(volume, first)
    while True:
        yield smooth, inside, _Scale(step, sigma)
        if sigma / SIGMA_PER_DIAMETER * step >= largest - 1e-6:
            return
        if sigma > halved_from and min(smooth.shape) >= 8:
            smooth = np.ascontiguousarray(smooth[::2, ::2, ::2])
            inside = np.ascontiguousarray(inside[::2, ::2, ::2])
            step, sigma = step * 2, sigma / 2
        wider = sigma * math.sqrt(2)
        smooth = _blur(smooth, math.sqrt(wider**2 - sigma**2))
        sigma = wider


def _blur(volume: Float32Array, sigma: float) -> Float32Array:
    """Smooth by a Gaussian; `volume` is used as working space."""
    from hilum.stages.nodules import _dot_kernels  # noqa: PLC0415  numba is slow

    offsets = np.arange(math.ceil(3 * sigma) + 1)
    weights = np.exp(-0.5 * (offsets / sigma) ** 2)
    weights = (weights / (2 * weights.sum() - 1)).astype(np.float32)
    turned = np.empty_like(volume)
    depth = volume.shape[0]

    def along(first: int, last: int) -> None:
        _dot_kernels.blur_slices(volume, weights, turned, first, last)

    def across(first: int, last: int) -> None:
        _dot_kernels.blur_in_plane(turned, weights, volume, first, last)

    in_threads(along, depth)
    in_threads(across, depth)
    return volume


def _dots_of_scale(
    smooth: Float32Array,
    inside: BoolArray,
    scale: _Scale,
    contrast: float,
    least_strength: float,
) -> Dots:
    """Find the dots of one scale."""
    from hilum.stages.nodules import _dot_kernels  # noqa: PLC0415  numba is slow

    unit = BALL_CURVATURE * contrast / scale.sigma**2
    parts: dict[int, list[tuple[float, float, float, float, float]]] = {}

    def part(first: int, last: int) -> None:
        least = least_strength * unit
        parts[first] = _dot_kernels.find_bulges(smooth, inside, least, first, last)

    in_threads(part, smooth.shape[0])
    rows = [row for first in sorted(parts) for row in parts[first]]
    found = np.array(rows, dtype=np.float64).reshape(-1, 5)
    strength = dot_strength(found[:, 3], found[:, 4]) / unit
    kept = strength >= least_strength
    diameter = scale.step * scale.sigma / SIGMA_PER_DIAMETER
    return Dots(
        found[kept, :3] * scale.step,
        np.full(int(kept.sum()), diameter),
        strength[kept],
    )


def strongest(dots: Dots, inside: BoolArray, most: int) -> Dots:
    """Keep the strongest of dots that lie within each other.

    Two dots are one when the centre of either lies within the radius of the
    larger, or within the smallest diameter that was looked for.

    Args:
        dots: As `find_dots` gave them.
        inside: (slice, row, column); dots whose centre lies elsewhere are left out.
        most: How many are kept at most.

    Returns:
        By falling strength.
    """
    last = np.array(inside.shape) - 1
    z, y, x = np.clip(np.rint(dots.index).astype(int), 0, last).T
    at_home = np.flatnonzero(inside[z, y, x])
    order = at_home[np.lexsort((*dots.index[at_home].T[::-1], -dots.strength[at_home]))]
    kept: list[int] = []
    least = float(dots.diameter.min(initial=np.inf))
    for n in order.tolist():
        apart = np.linalg.norm(dots.index[kept] - dots.index[n], axis=1)
        larger = np.maximum(dots.diameter[kept], dots.diameter[n])
        if not (apart <= np.maximum(larger / 2, least)).any():
            kept.append(n)
        if len(kept) == most:
            break
    return Dots(dots.index[kept], dots.diameter[kept], dots.strength[kept])


def dot_strength(least: FloatArray, greatest: FloatArray) -> FloatArray:
    """Turn principal curvatures into the strength of a dot.

    The least curvature, times its ratio to the greatest to the power of
    `SHAPE_EXPONENT`.

    Args:
        least: (n,) least principal curvature, > 0 where it bends down.
        greatest: (n,) greatest principal curvature.

    Returns:
        (n,) in the unit of the curvatures; 0 where `least` is not > 0.

    Example:
        >>> dot_strength(np.array([4.0, 1.0, -1.0]), np.array([4.0, 4.0, 4.0])).tolist()
        [4.0, 0.5, 0.0]
    """
    good = least > 0
    ratio = np.divide(least, greatest, out=np.zeros_like(least), where=good)
    return np.asarray(np.where(good, least * ratio**SHAPE_EXPONENT, 0.0))
