"""The chest on a coarse grid of cubes: what is outside air, what is aerated lung.

Everything in this package works on such a grid, so that a radius is the same
number of voxels in all directions whatever the slice spacing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hilum.space import Grid
from hilum.volume import HUArray, resample

BoolArray = npt.NDArray[np.bool_]
LabelArray = npt.NDArray[np.uint8]
Box = tuple[slice, slice, slice]

CEILING_HU = 3071
PADDING_HU = -1024
# air around the patient averages -1000; a lung that a tight field of view cuts
# at its edge averages more than this
OUTSIDE_HU = -900
# what parenchyma is, gas in the bowel is not
PARENCHYMA_HU = (-950, -400)
PARENCHYMA_SHARE = 0.3
LUNG_ML = 50.0
# a second lung has this share of the first, or lies beside it, not below it
SECOND_SHARE = 0.15
PIECE_SHARE = 0.02
# lung that a field of view opens to the padding: this much on one slice
OPEN_LUNG_MM2 = 1500.0


@dataclass(frozen=True, slots=True, eq=False)
class Thorax:
    """A chest CT on cubes.

    Attributes:
        hu: (slice, row, column) int16, clipped to what scanners give.
        grid: Where the cubes are; covers the volume.
        spacing_mm: Edge of a cube.
        outside: Air around the patient and padding beyond the field of view.
        cut: Lung that the field of view cuts, so that it is open to the padding.
    """

    hu: HUArray
    grid: Grid
    spacing_mm: float
    outside: BoolArray
    cut: BoolArray

    def crop(self, box: Box) -> Thorax:
        """Keep a box of cubes, where they are in the patient."""
        start, stop = [s.start for s in box], [s.stop for s in box]
        grid = self.grid.crop((start[0], start[1], start[2]), tuple(stop))
        return Thorax(
            np.ascontiguousarray(self.hu[box]),
            grid,
            self.spacing_mm,
            np.ascontiguousarray(self.outside[box]),
            np.ascontiguousarray(self.cut[box]),
        )


def reduce(hu: HUArray, grid: Grid, *, spacing_mm: float, air_hu: int) -> Thorax:
    """Bring a volume to cubes and find the air around the patient.

    Args:
        hu: (slice, row, column) of the volume, averaged to about `spacing_mm`
            where it was finer.
        grid: Where they are.
        spacing_mm: Edge of a cube.
        air_hu: Below it is air.
    """
    # one more voxel on each side, so that the cubes at the edge lie inside
    wide = np.pad(np.clip(hu, PADDING_HU, CEILING_HU), 1, mode="edge")
    affine = grid.affine.copy()
    affine[:3, 3] = grid.to_world((-1, -1, -1))
    cubes = grid.regrid((spacing_mm,) * 3)
    index_map = Grid((wide.shape[0], wide.shape[1], wide.shape[2]), affine)
    small = resample(wide, index_map.index_map_from(cubes), cubes.shape, PADDING_HU)
    outside, cut = find_outside(small, spacing_mm=spacing_mm, air_hu=air_hu)
    return Thorax(small, cubes, spacing_mm, outside, cut)


def find_outside(
    hu: HUArray, *, spacing_mm: float, air_hu: int
) -> tuple[BoolArray, BoolArray]:
    """Find the air that reaches the sides of the slices.

    Goes slice by slice, so that air does not flow in through an open mouth, and
    takes only what is as thin as air at the sides: a lung at the edge of a tight
    field of view stays. Where a lung is open to the padding around a round field
    of view, only what is thin goes.

    Args:
        hu: (slice, row, column) on cubes.
        spacing_mm: Edge of a cube.
        air_hu: Below it is air.

    Returns:
        Outside air, and lung that hung together with it: (slice, row, column).
    """
    import cc3d  # noqa: PLC0415  slow to import

    cut = np.zeros(hu.shape, np.bool_)
    outside = np.zeros(hu.shape, np.bool_)
    rim = _rim(hu.shape[1:])
    for z, plane in enumerate(hu):
        parts = cc3d.connected_components(plane < air_hu, connectivity=4)
        count = int(parts.max()) + 1
        on_rim = np.bincount(parts[rim], minlength=count)
        total = np.bincount(parts[rim], weights=plane[rim], minlength=count)
        thin = (on_rim > 0) & (total < OUTSIDE_HU * on_rim)
        thin[0] = False
        outside[z] = thin[parts]
        if _holds_lung(plane, outside[z], spacing_mm):
            thin_part = _thin_only(plane, outside[z], rim)
            cut[z] = outside[z] & ~thin_part
            outside[z] = thin_part
    return outside, cut


def _holds_lung(plane: HUArray, air: BoolArray, spacing_mm: float) -> bool:
    """Tell whether air that reaches the rim has a large part as dense as lung."""
    low, high = PARENCHYMA_HU
    lung = air & (plane > low + 10) & (plane < high - 100)
    if np.count_nonzero(lung) * spacing_mm**2 <= OPEN_LUNG_MM2:
        return False
    rows = lung[:-2] & lung[1:-1] & lung[2:]  # an erosion by 3 x 3
    core = rows[:, :-2] & rows[:, 1:-1] & rows[:, 2:]
    return bool(np.count_nonzero(core) * spacing_mm**2 > OPEN_LUNG_MM2)


def _thin_only(plane: HUArray, air: BoolArray, rim: BoolArray) -> BoolArray:
    """Keep of the air what is thin and reaches the rim, and the next two pixels."""
    import cc3d  # noqa: PLC0415  slow to import
    from scipy.ndimage import binary_dilation  # noqa: PLC0415  slow to import

    parts = cc3d.connected_components(air & (plane < OUTSIDE_HU - 30), connectivity=4)
    reached = np.zeros(int(parts.max()) + 1, np.bool_)
    reached[parts[rim]] = True
    reached[0] = False
    return np.asarray(binary_dilation(reached[parts], iterations=2, mask=air))


def find_aerated(thorax: Thorax, *, air_hu: int) -> BoolArray:
    """Find the air inside the patient that is lung, airways still included.

    Keeps connected air that is large, mostly as dense as parenchyma rather than
    as thin as gas, and lies between the front and the back of the trunk; so
    bowel, stomach, skull and the couch stay out.

    Args:
        thorax: The chest on cubes.
        air_hu: Below it is air.

    Returns:
        (slice, row, column) bool; empty where there is no lung.
    """
    import cc3d  # noqa: PLC0415  slow to import
    from scipy.ndimage import binary_erosion  # noqa: PLC0415  slow to import

    air = (thorax.hu < air_hu) & ~thorax.outside
    parts = cc3d.connected_components(air, connectivity=6)
    sizes = np.bincount(parts.ravel())
    sizes[0] = 0
    least = LUNG_ML * 1000 / thorax.spacing_mm**3
    large = [int(p) for p in np.argsort(-sizes)[:12] if sizes[p] >= least]
    if not large:
        return np.zeros(air.shape, np.bool_)
    core = binary_erosion(air, border_value=1)
    front, back = _trunk_rows(thorax, air_hu)
    trunk = _inside_trunk(thorax, air_hu)
    lungs: list[int] = []
    floor = 0.0
    for part in large:
        here = core & (parts == part)
        z, y, _ = np.nonzero(here)
        if not z.size or not front < np.median(y) < back or trunk[here].mean() < 0.5:
            continue
        inside = thorax.hu[here]
        low, high = PARENCHYMA_HU
        if np.mean((inside > low) & (inside < high)) < PARENCHYMA_SHARE:
            continue
        if lungs and sizes[part] < PIECE_SHARE * sizes[lungs[0]]:
            continue
        beside = float(np.mean(z)) > floor
        if lungs and sizes[part] < SECOND_SHARE * sizes[lungs[0]] and not beside:
            continue
        if not lungs:
            floor = float(np.percentile(z, 10))
        lungs.append(part)
    keep = np.zeros(sizes.size, np.bool_)
    keep[lungs] = True
    return np.asarray(keep[parts])


def _inside_trunk(thorax: Thorax, air_hu: int) -> BoolArray:
    """Find what the body surrounds on axial slices, without blankets and cables."""
    import cc3d  # noqa: PLC0415  slow to import
    from scipy.ndimage import binary_erosion  # noqa: PLC0415  slow to import

    thick = binary_erosion(thorax.hu >= air_hu, border_value=1)
    if not thick.any():
        return np.ones(thick.shape, np.bool_)
    body = cc3d.largest_k(thick, k=1, connectivity=6) > 0
    inside = np.zeros(body.shape, np.bool_)
    for z, plane in enumerate(body):
        parts = cc3d.connected_components(~plane, connectivity=4)
        open_parts = np.unique(parts[_rim(plane.shape) & thorax.outside[z]])
        inside[z] = ~np.isin(parts, open_parts[open_parts > 0])
    return inside | thorax.cut


def _rim(shape: tuple[int, ...]) -> BoolArray:
    """Mark the outermost pixels of a slice."""
    rim = np.ones(shape, np.bool_)
    rim[1:-1, 1:-1] = False
    return rim


def _trunk_rows(thorax: Thorax, air_hu: int) -> tuple[float, float]:
    """Find the rows between which the trunk lies; the couch is behind them."""
    import cc3d  # noqa: PLC0415  slow to import
    from edt import edt  # noqa: PLC0415  slow to import

    step = 2
    tissue = np.ascontiguousarray(thorax.hu[::step, ::step, ::step] >= air_hu)
    thick = edt(tissue, anisotropy=(thorax.spacing_mm * step,) * 3) > 8.0
    if not thick.any():
        return -1.0, float(thorax.hu.shape[1])
    trunk = cc3d.largest_k(thick, k=1, connectivity=6) > 0
    rows = np.cumsum(trunk.sum(axis=(0, 2)))
    first, last = np.searchsorted(rows, [0.02 * rows[-1], 0.98 * rows[-1]])
    return float(first * step), float(last * step)


def find_box(mask: BoolArray, *, margin: int) -> Box:
    """Find the smallest box that holds a mask, and a margin; mask not empty.

    Args:
        mask: (slice, row, column).
        margin: Voxels added on each side, up to the edge.
    """
    sides: list[slice] = []
    for axis, size in enumerate(mask.shape):
        others = tuple(a for a in range(3) if a != axis)
        hit = np.flatnonzero(mask.any(axis=others))
        sides.append(
            slice(max(int(hit[0]) - margin, 0), min(int(hit[-1]) + 1 + margin, size))
        )
    return sides[0], sides[1], sides[2]


def grow(mask: BoolArray, radius_mm: float, spacing_mm: float) -> BoolArray:
    """Dilate by a ball.

    Args:
        mask: (slice, row, column) on cubes.
        radius_mm: Of the ball.
        spacing_mm: Edge of a cube.
    """
    from edt import edt  # noqa: PLC0415  slow to import

    if not mask.any():
        return mask
    box = find_box(mask, margin=int(radius_mm / spacing_mm) + 2)
    out = np.zeros(mask.shape, np.bool_)
    near = edt(~mask[box], anisotropy=(spacing_mm,) * 3, parallel=2) <= radius_mm
    out[box] = near
    return out
