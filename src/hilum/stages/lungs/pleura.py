"""What belongs to a lung without being air: vessels, nodules, pleural masses.

A voxel of soft tissue is taken in when the same lung lies on both sides of it
along enough axes and near enough: it stands on chords of the lung. Behind a chest
wall that bulges outward there are no chords at all, however long they may be, so
a mass on the ribs is taken in whole and the wall is not. Heart and diaphragm bulge
into the lung as a mass does, but much more flatly: at each scale only what is
thick for the length of its chords is kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from math import gcd

import numpy as np
import numpy.typing as npt

from hilum._threads import in_threads
from hilum.stages.lungs.thorax import (
    BoolArray,
    LabelArray,
    Thorax,
    grow,
)

# longest chord at each scale, and the radius of the ball that must fit into what is
# taken in there: 0.12 of the chord, more where only the heart is so large, and none
# for vessels and small nodules
SCALES_MM = (25.0, 40.0, 60.0, 90.0, 140.0)
BALLS_MM = (0.0, 4.8, 7.2, 10.8, 19.6)
# of 49 axes, so many must be chords: anywhere, and near the ribs
CHORDS = 11
RIB_CHORDS = 2
# "near the ribs" is inside the tangents of both lungs by this; further in, the
# number asked for rises by this for each mm
RIB_MM = 12.0
RISE = 0.8
# a mass goes on beyond the chord that spans its mouth, by a share of its radius
BEYOND = 0.5
BEYOND_MM = 8.0
MASS_RADII_MM = (6.0, 8.0, 11.0, 15.0, 20.0, 26.0, 33.0)
TANGENTS = 36


@dataclass(frozen=True, slots=True, eq=False)
class _Chords:
    """Chords through each voxel of a box.

    Attributes:
        counts: (scale, slice, row, column) uint8, axes with a chord up to a scale.
        steep: (slice, row, column) uint8, those of them that run up and down.
        votes: (slice, row, column) int8, above 0 for chords of the right lung.
    """

    counts: npt.NDArray[np.uint8]
    steep: npt.NDArray[np.uint8]
    votes: npt.NDArray[np.int8]


def fill_lungs(
    thorax: Thorax, lungs: LabelArray, airways: BoolArray, *, bone_hu: int
) -> LabelArray:
    """Take in the vessels, nodules and masses of each lung.

    Args:
        thorax: The chest on cubes.
        lungs: Aerated lung, 1 right and 2 left.
        airways: Trachea and main bronchi with their walls; stay out.
        bone_hu: Above it is bone where it hangs together with the rib cage.

    Returns:
        (slice, row, column) uint8, 1 right and 2 left.
    """
    tangents = _tangents(lungs, thorax.spacing_mm)
    wall = _skeleton(thorax, tangents, bone_hu) | airways | thorax.outside
    free = (lungs == 0) & ~wall
    chords = _find_chords(lungs, wall, thorax.spacing_mm)
    filling = _thick_filling(chords, free, tangents, thorax.spacing_mm)
    filled = lungs.copy()
    for side, of_side in ((1, chords.votes >= 0), (2, chords.votes < 0)):
        part = _round_off(filling & of_side, thorax.spacing_mm)
        filled[part & free & (filled == 0)] = side
    return filled


def _axes() -> npt.NDArray[np.int64]:
    """Give the 49 axes between a voxel and those up to two steps away."""
    steps = [
        step
        for step in product(range(-2, 3), repeat=3)
        if step > (0, 0, 0) and gcd(*step) == 1
    ]
    return np.array(steps, np.int64)


def _find_chords(lungs: LabelArray, wall: BoolArray, spacing_mm: float) -> _Chords:
    """Count the chords through each voxel, on all cores."""
    from hilum.stages.lungs._lung_kernels import (  # noqa: PLC0415  numba is slow
        WALL,
        count_chords,
    )

    axes = _axes()
    step_mm = np.linalg.norm(axes, axis=1) * spacing_mm
    reach = (np.array(SCALES_MM) / step_mm[:, None]).astype(np.int64)
    labels = np.where(wall & (lungs == 0), np.uint8(WALL), lungs)
    parts: list[tuple[npt.NDArray[np.uint8], npt.NDArray[np.int8]]] = []

    def part(first: int, last: int) -> None:
        counts = np.zeros((len(SCALES_MM) + 1, *lungs.shape), np.uint8)
        votes = np.zeros(lungs.shape, np.int8)
        count_chords(labels, axes, reach, counts, votes, first, last)
        parts.append((counts, votes))

    in_threads(part, len(axes))
    counts, votes = parts[0]
    for more, other in parts[1:]:
        counts += more
        votes += other
    return _Chords(counts[:-1], counts[-1], votes)


def _tangents(lungs: LabelArray, spacing_mm: float) -> npt.NDArray[np.float32]:
    """Find how far the two lungs together reach in each direction, slice by slice.

    Returns:
        (direction, slice) mm from the corner; smoothed over three slices.
    """
    from scipy.ndimage import maximum_filter1d  # noqa: PLC0415  slow to import

    mask = lungs > 0
    width = mask.shape[2]
    rows = np.arange(mask.shape[1])
    first = np.argmax(mask, axis=2)
    last = width - 1 - np.argmax(mask[..., ::-1], axis=2)
    empty = ~mask.any(axis=2)
    reach = np.empty((TANGENTS, mask.shape[0]), np.float32)
    for k, (sine, cosine) in enumerate(_directions()):
        furthest = sine * rows + np.where(cosine > 0, cosine * last, cosine * first)
        reach[k] = np.where(empty, -np.inf, furthest).max(axis=1) * spacing_mm
    return np.asarray(maximum_filter1d(reach, 3, axis=1))


def _directions() -> list[tuple[float, float]]:
    """Give sine and cosine of the directions of the tangents."""
    angles = np.arange(TANGENTS) * 2 * np.pi / TANGENTS
    return list(zip(np.sin(angles).tolist(), np.cos(angles).tolist(), strict=True))


def _depth_mm(
    where: BoolArray, tangents: npt.NDArray[np.float32], spacing_mm: float
) -> npt.NDArray[np.float32]:
    """Tell how far inside the tangents the voxels of a mask lie, in their order."""
    z, y, x = np.nonzero(where)
    depth = np.full(z.size, np.inf, np.float32)
    for reach, (sine, cosine) in zip(tangents, _directions(), strict=True):
        along = (sine * y + cosine * x).astype(np.float32) * np.float32(spacing_mm)
        np.minimum(depth, reach[z] - along, out=depth)
    return depth


def _skeleton(
    thorax: Thorax, tangents: npt.NDArray[np.float32], bone_hu: int
) -> BoolArray:
    """Find the bone that reaches outside the lungs' tangents.

    A calcified nodule or a vessel full of contrast agent does not.
    """
    import cc3d  # noqa: PLC0415  slow to import

    bright = thorax.hu > bone_hu
    parts = cc3d.connected_components(bright, connectivity=6)
    depth = _depth_mm(bright, tangents, thorax.spacing_mm)
    reaches_out = np.zeros(int(parts.max()) + 1, np.bool_)
    reaches_out[parts[bright][depth < 0]] = True
    reaches_out[0] = False
    return np.asarray(reaches_out[parts])


def _thick_filling(
    chords: _Chords,
    free: BoolArray,
    tangents: npt.NDArray[np.float32],
    spacing_mm: float,
) -> BoolArray:
    """Keep what has enough chords and is thick enough for their length."""
    some = free & (chords.counts[-1] >= RIB_CHORDS)
    depth = _depth_mm(some, tangents, spacing_mm)
    asked = np.clip(RIB_CHORDS + (depth - RIB_MM) * RISE, RIB_CHORDS, CHORDS)
    asked[chords.steep[some] == 0] = CHORDS
    counts = chords.counts[:, some]
    filling = np.zeros(free.shape, np.bool_)
    filling[some] = counts[0] >= asked
    for scale, ball_mm in enumerate(BALLS_MM[1:], 1):
        wide = filling.copy()
        wide[some] |= counts[scale] >= asked
        filling |= _open(wide, ball_mm, spacing_mm)
    return filling


def _open(mask: BoolArray, radius_mm: float, spacing_mm: float) -> BoolArray:
    """Keep what a ball inside the mask can reach; large balls on coarser cubes."""
    from edt import edt  # noqa: PLC0415  slow to import

    step = 2 if radius_mm > 4 * spacing_mm else 1
    coarse_mm = step * spacing_mm
    coarse = np.ascontiguousarray(mask[::step, ::step, ::step])
    deep = edt(coarse, anisotropy=(coarse_mm,) * 3, parallel=2)
    core = deep > radius_mm + (step - 1) * spacing_mm
    if not core.any():
        return core if step == 1 else np.zeros(mask.shape, np.bool_)
    reached = grow(core, radius_mm + coarse_mm, coarse_mm)
    for axis in range(3):
        reached = np.repeat(reached, step, axis=axis)
    depth, height, width = mask.shape
    return reached[:depth, :height, :width] & mask


def _round_off(filling: BoolArray, spacing_mm: float) -> BoolArray:
    """Carry masses on beyond the chord that spans their mouth.

    A ball that fits into the filling grows by a share of its radius.
    """
    from edt import edt  # noqa: PLC0415  slow to import

    out = filling.copy()
    depth = edt(filling, anisotropy=(spacing_mm,) * 3, parallel=2)
    for radius in MASS_RADII_MM:
        core = depth >= radius
        if not core.any():
            break
        beyond = min(BEYOND * radius, BEYOND_MM)
        out |= grow(core, radius + beyond, spacing_mm)
    return out
