"""Hounsfield levels around a candidate: of the lung and of the nodule.

The edge of a nodule is put half-way between two levels, so these decide on its
size. Each is a median, which a crossing vessel or a rib does not move much.
"""

from __future__ import annotations

import numpy as np

from hilum.space import Index
from hilum.stages.measure.boxes import Box, box_around, depth_of
from hilum.stages.measure.filling import find_filling
from hilum.stages.measure.neighbourhood import BoolArray, HUField, Neighbourhood

FAINTEST_HU = 80.0
"""A nodule stands out from the lung by at least this."""

DENSEST_RIM_HU = 300.0
"""Level that a denser rim is taken to have.

A calcified nodule is densest in the middle; half of that level would put its edge
inside the soft tissue that surrounds the calcification.
"""

_LUNG_HU = -850.0
_LUNG_CEILING_HU = -500.0
_NOISE_HU = 20.0
_SOFT_TISSUE_HU = 100.0
_DENSER = 2.5
_THIN_SLICES = 4.0
_BLUR_MM = 1.2
_FEWEST_CELLS = 20
_FEWEST_AT_EDGE = 5
_EDGE_DEPTH = (0.8, 1.2)
"""In blurs. Set on calcified phantoms of other seeds than the tables are made of."""

_TRUNCATE = 2.5


def smooth(hood: Neighbourhood, hu: HUField, sigma_mm: float) -> HUField:
    """Blur with a Gaussian."""
    from scipy import ndimage  # noqa: PLC0415  slow to import

    sigma = [sigma_mm / s for s in hood.cell_mm]
    return np.asarray(
        ndimage.gaussian_filter(hu, sigma, truncate=_TRUNCATE), np.float32
    )


def smooth_in(hood: Neighbourhood, hu: HUField, sigma_mm: float, box: Box) -> HUField:
    """Blur as `smooth` does, and give the values in a box alone, which is faster."""
    wide, part = [], []
    for cells, step, count in zip(box, hood.cell_mm, hu.shape, strict=True):
        reach = int(_TRUNCATE * sigma_mm / step + 0.5)
        start = max(cells.start - reach, 0)
        wide.append(slice(start, min(cells.stop + reach, count)))
        part.append(slice(cells.start - start, cells.stop - start))
    z, y, x = wide
    return smooth(hood, hu[z, y, x], sigma_mm)[tuple(part)]


def lung_level(hood: Neighbourhood) -> tuple[float, float]:
    """Measure level and noise of the lung around the candidate, in HU."""
    around = hood.distance_mm > 0.6 * hood.diameter_mm
    lung = hood.lungs & around & (hood.hu < _LUNG_CEILING_HU)
    if np.count_nonzero(lung) < _FEWEST_CELLS:
        lung = around & (hood.hu < _LUNG_CEILING_HU) & (hood.hu > -1000)
    if np.count_nonzero(lung) < _FEWEST_CELLS:
        return _LUNG_HU, _NOISE_HU
    step = hood.cells[2]
    pair = lung[:, :, :-step] & lung[:, :, step:]
    jump = np.abs(hood.hu[:, :, step:] - hood.hu[:, :, :-step])[pair]
    noise = 1.4826 * float(np.median(jump)) / 2**0.5 if jump.size else _NOISE_HU
    return float(np.median(hood.hu[lung])), noise


def find_core(hood: Neighbourhood, room: BoolArray, lung_hu: float) -> Index:
    """Find the cell near the centre of the candidate where most tissue is around."""
    near = hood.distance_mm <= hood.near_mm
    if (near & room).any():
        near &= room
    box = box_around(near)
    soft = np.clip(hood.hu, -1000, 200)
    blurred = smooth_in(hood, soft, max(0.5, 0.12 * hood.diameter_mm), box)
    off = hood.distance_mm[box] / hood.near_mm
    score = (blurred - lung_hu) * (1 - 0.3 * off**2)
    score[~near[box]] = -np.inf
    z, y, x = (at + cells.start for at, cells in zip(highest(score), box, strict=True))
    return z, y, x


def highest(field: HUField) -> Index:
    """Give the cell of the largest value; the first of equals."""
    z, y, x = np.unravel_index(int(np.argmax(field)), field.shape)
    return int(z), int(y), int(x)


def inner_cells(hood: Neighbourhood, cells: BoolArray) -> BoolArray:
    """Give the cells that the edge does not blur, or the deepest if all are."""
    depth = _depth_in_blurs(hood, cells)
    inner = cells & (depth > 1)
    if np.count_nonzero(inner) < _FEWEST_CELLS:
        inner = cells & (depth >= 0.6 * depth.max())
    return inner


def level_at_edge(hood: Neighbourhood, cells: BoolArray, full_hu: float) -> float:
    """Measure the level just inside the blurred edge, that of what the edge blurs.

    A calcified nodule is densest in the middle: by the level there, what is denser
    than soft tissue and lies around it would count for too little.

    Args:
        hood: The surroundings.
        cells: Those of the nodule.
        full_hu: Level of its inner part; the answer is not above it.
    """
    depth = _depth_in_blurs(hood, cells)
    step = max(s / b for s, b in zip(hood.cell_mm, _blurs_mm(hood), strict=True))
    # of coarse cells the second layer: the first is cut by the edge
    low, high = max(_EDGE_DEPTH[0], 1.01 * step), max(_EDGE_DEPTH[1], 2 * step)
    ring = cells & (depth > low) & (depth <= high)
    if np.count_nonzero(ring) < _FEWEST_AT_EDGE:
        return full_hu
    return min(float(np.median(hood.hu[ring])), full_hu)


def _depth_in_blurs(hood: Neighbourhood, cells: BoolArray) -> HUField:
    """Tell how deep each cell lies, by how far the edge is blurred."""
    z, y, x = (s / b for s, b in zip(hood.cell_mm, _blurs_mm(hood), strict=True))
    return depth_of(cells, (z, y, x))


def _blurs_mm(hood: Neighbourhood) -> list[float]:
    """Tell how far an edge is blurred along (slice, row, column)."""
    return [max(v, _BLUR_MM) for v in hood.voxel_mm]


def full_level(
    hood: Neighbourhood,
    cells: BoolArray,
    inner: BoolArray,
    tissue: BoolArray,
    lung_hu: float,
) -> tuple[float, float]:
    """Measure the level of the inner part, as if no edge had blurred it.

    A nodule of a few slices nowhere shows its full level; how much of it it shows
    follows from its size, which follows from its level: three rounds settle it.

    Args:
        hood: The surroundings.
        cells: Those of the nodule.
        inner: Those of them to measure.
        tissue: All that is as dense, the nodule included.
        lung_hu: Level of the lung.

    Returns:
        Level in HU, and the share of it, above the lung, that the scan shows.
    """
    seen = level = float(np.median(hood.hu[inner]))
    box = box_around(cells)
    tall_mm = (box[0].stop - box[0].start) * hood.cell_mm[0]
    thick = tall_mm > (_THIN_SLICES + 0.5) * hood.slice_mm
    if thick or seen - lung_hu < FAINTEST_HU:
        return level, 1.0
    filling = find_filling(hood, cells, tissue, lung_hu)
    for _ in range(3):
        share = filling.expected_at(hood, inner, level)
        if share > 0.98:
            break
        full = lung_hu + (seen - lung_hu) / max(share, 0.5)
        limit = _SOFT_TISSUE_HU + _DENSER * max(0.0, seen - _SOFT_TISSUE_HU)
        level = min(full, limit)
    shown = (seen - lung_hu) / max(level - lung_hu, 1.0)
    return level, min(max(shown, 0.1), 1.0)
