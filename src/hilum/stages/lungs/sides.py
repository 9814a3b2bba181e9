"""Which lung is which: right and left told apart, also where they touch."""

from __future__ import annotations

import numpy as np

from hilum.stages.lungs.thorax import BoolArray, LabelArray, Thorax

RIGHT, LEFT = 1, 2
LUNG_ML = 10.0
# erosion that parts two lungs joined along the junction line; they are two when
# the smaller core has this share of the larger
RADII_MM = (2.6, 4.0, 5.1, 7.6, 10.0, 12.6, 15.1, 20.0)
CORE_SHARE = 0.1
SHARED_COLUMNS = 0.5
# lungs that no erosion parts are two when so much lies on either side of the
# midline; one lung may bulge across it
HALF_SHARE = 0.25
CLEAR_MM = 15.0
DENSE_HU = 180


def tell_sides(thorax: Thorax, lungs: BoolArray, airways: BoolArray) -> LabelArray:
    """Label the right lung 1 and the left lung 2.

    Lungs that are apart are told by place. Lungs that touch are eroded until
    they part, and the voxels between go to the core that they are reached from
    through the least dense tissue, so the border follows the junction line.

    Args:
        thorax: The chest on cubes.
        lungs: Aerated lung without airways.
        airways: Lumen of trachea and main bronchi; may be empty.

    Returns:
        (slice, row, column) uint8.
    """
    import cc3d  # noqa: PLC0415  slow to import

    parts = cc3d.connected_components(lungs, connectivity=6)
    sizes = np.bincount(parts.ravel())
    sizes[0] = 0
    least = LUNG_ML * 1000 / thorax.spacing_mm**3
    large = [int(p) for p in np.argsort(-sizes) if sizes[p] >= least]
    if not large:
        return np.zeros(lungs.shape, np.uint8)
    two = len(large) > 1 and _are_two(parts, large[0], large[1])
    cores = parts if two else _part(lungs, thorax.spacing_mm)
    if cores is None:
        middle = _middle(thorax, airways)
        cores = _halves(lungs, middle, thorax.spacing_mm)
        if cores is None:
            return _by_place(parts, large, middle)
    if cores is parts:
        first, second = (np.nonzero(parts == p)[2].mean() for p in large[:2])
        return _by_place(parts, large, (first + second) / 2)
    return _flood(thorax, np.isin(parts, large), cores)


def _by_place(parts: LabelArray, large: list[int], middle: float) -> LabelArray:
    """Label each part by the side of the middle on which its centre lies."""
    side = np.zeros(int(parts.max()) + 1, np.uint8)
    for part in large:
        column = np.nonzero(parts == part)[2].mean()
        side[part] = RIGHT if column <= middle else LEFT
    return side[parts]


def _part(lungs: BoolArray, spacing_mm: float) -> LabelArray | None:
    """Erode until two large cores remain: labelled by side; None if they never do."""
    import cc3d  # noqa: PLC0415  slow to import
    from edt import edt  # noqa: PLC0415  slow to import

    depth = edt(lungs, anisotropy=(spacing_mm,) * 3, parallel=2)
    for radius in RADII_MM:
        parts = cc3d.connected_components(depth > radius, connectivity=6)
        sizes = np.bincount(parts.ravel())
        sizes[0] = 0
        if sizes.size < 3:
            continue
        first, second = (int(p) for p in np.argsort(-sizes)[:2])
        if _are_two(parts, first, second):
            columns = [np.nonzero(parts == p)[2].mean() for p in (first, second)]
            side = np.zeros(sizes.size, np.uint8)
            side[first] = RIGHT if columns[0] <= columns[1] else LEFT
            side[second] = RIGHT + LEFT - side[first]
            return np.asarray(side[parts], np.uint8)
    return None


def _halves(lungs: BoolArray, middle: float, spacing_mm: float) -> LabelArray | None:
    """Take what lies clearly on each side of the midline; None if that is one lung."""
    clear = CLEAR_MM / spacing_mm
    columns = np.arange(lungs.shape[2])
    cores = np.zeros(lungs.shape, np.uint8)
    cores[..., columns < middle - clear] = RIGHT
    cores[..., columns > middle + clear] = LEFT
    cores[~lungs] = 0
    sizes = np.bincount(cores.ravel(), minlength=3)[1:]
    return cores if sizes.min() >= HALF_SHARE * sizes.sum() else None


def _are_two(parts: LabelArray, first: int, second: int) -> bool:
    """Tell whether two parts are two lungs: both large, and side by side."""
    a, b = np.nonzero(parts == first)[2], np.nonzero(parts == second)[2]
    if not b.size or b.size < CORE_SHARE * a.size:
        return False
    low_a, high_a = np.percentile(a, [5, 95])
    low_b, high_b = np.percentile(b, [5, 95])
    shared = min(high_a, high_b) - max(low_a, low_b)
    return bool(shared < SHARED_COLUMNS * (high_b - low_b))


def _flood(thorax: Thorax, lungs: BoolArray, cores: LabelArray) -> LabelArray:
    """Give each voxel of the lungs to the core with the least dense way to it."""
    from hilum.stages.lungs._lung_kernels import flood  # noqa: PLC0415  numba is slow

    levels = np.clip((thorax.hu.astype(np.int32) + 1024) // 4, 0, 255)
    labels = np.where(lungs, cores, np.uint8(255))
    flood(levels.astype(np.uint8), labels)
    return np.where(lungs, labels, np.uint8(0))


def _middle(thorax: Thorax, airways: BoolArray) -> float:
    """Find the column of the midline: the trachea, else the thickest bone."""
    from scipy.ndimage import binary_erosion  # noqa: PLC0415  slow to import

    if airways.any():
        return float(np.median(np.nonzero(airways)[2]))
    thick = binary_erosion(thorax.hu > DENSE_HU)
    if thick.any():
        return float(np.median(np.nonzero(thick)[2]))
    body = (thorax.hu > -200) & ~thorax.outside
    if body.any():
        return float(np.median(np.nonzero(body)[2]))
    return float(thorax.hu.shape[2] / 2)
