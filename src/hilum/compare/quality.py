"""How well two scans lie on each other once they are registered."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from hilum.compare.registration import Float32Array, Registration
from hilum.findings import Alignment

PLACES = 250
"""How many blocks are sought again."""

BLOCK = 4
"""Half an edge of a block, in cubes."""

REACH = 2
"""How far a block is sought from where the map has it, in cubes."""

MOSTLY = 0.9
"""Share of the blocks that the doubt covers."""

_LUNG = 0.5


def judge_alignment(registration: Registration) -> Alignment:
    """Say how well the lungs, and what is in them, lie on each other.

    Args:
        registration: Of two scans.

    Returns:
        Overlap of the lungs, likeness of what is in them, and what the map is off:
        blocks around vessels are sought in their surroundings, and nine in ten
        match best within the doubt.
    """
    here, there = registration.current, registration.warped
    one, two = here.share > _LUNG, there.share > _LUNG
    both = one & two
    overlap = 2 * np.count_nonzero(both) / max(one.sum() + two.sum(), 1)
    return Alignment(
        overlap=round(float(overlap), 4),
        likeness=round(_likeness(here.hu, there.hu, both), 4),
        doubt_mm=round(_doubt_mm(here.hu, there.hu, both, here.grid.spacing_mm[0]), 2),
    )


def _likeness(
    here: Float32Array, there: Float32Array, both: npt.NDArray[np.bool_]
) -> float:
    """Correlate what is in both lungs, away from their borders."""
    from scipy import ndimage  # noqa: PLC0415  slow to import

    inner = ndimage.binary_erosion(both, iterations=2)
    if np.count_nonzero(inner) < 100:
        return 0.0
    a, b = here[inner], there[inner]
    spread = float(a.std() * b.std())
    if spread == 0:
        return 0.0
    return float(np.mean((a - a.mean()) * (b - b.mean()))) / spread


def _doubt_mm(
    here: Float32Array,
    there: Float32Array,
    both: npt.NDArray[np.bool_],
    voxel_mm: float,
) -> float:
    """Seek blocks of the one in the other, and say how far they are off."""
    edge = BLOCK + REACH
    inner = np.zeros_like(both)
    middle = tuple(slice(edge, n - edge) for n in both.shape)
    inner[middle] = both[middle]
    places = np.argwhere(inner)
    if not len(places):
        return float(REACH * voxel_mm)
    places = places[:: max(1, len(places) // (8 * PLACES))]
    rise = np.array([_block(here, p, BLOCK).std() for p in places])
    order = np.argsort(-rise, kind="stable")[:PLACES]  # where there is most to see
    off = [_off(here, there, p) for p in places[order]]
    return max(float(np.quantile(off, MOSTLY)) * voxel_mm, 0.5)


def _off(
    here: Float32Array, there: Float32Array, place: npt.NDArray[np.int64]
) -> float:
    """How many cubes a block matches best from where it should."""
    block = _block(here, place, BLOCK)
    around = _block(there, place, BLOCK + REACH)
    windows = np.lib.stride_tricks.sliding_window_view(around, block.shape)
    unlike = np.square(windows - block).sum(axis=(3, 4, 5))
    best = np.unravel_index(int(unlike.argmin()), unlike.shape)
    shift = [at - REACH + _vertex(unlike, best, axis) for axis, at in enumerate(best)]
    return float(np.linalg.norm(shift))


def _vertex(unlike: Float32Array, best: tuple[np.intp, ...], axis: int) -> float:
    """Place the lowest point of a parabola through three values, within half a cube."""
    at = int(best[axis])
    if not 0 < at < unlike.shape[axis] - 1:
        return 0.0
    low, middle, high = (
        float(unlike[tuple(i + (n == axis) * step for n, i in enumerate(best))])
        for step in (-1, 0, 1)
    )
    bend = low - 2 * middle + high
    return 0.0 if bend <= 0 else float(np.clip((low - high) / (2 * bend), -0.5, 0.5))


def _block(
    values: Float32Array, place: npt.NDArray[np.int64], half: int
) -> Float32Array:
    z, y, x = (slice(p - half, p + half + 1) for p in place.tolist())
    return values[z, y, x]
