"""One score out of two judges: what a network says of a mark, and its shape."""

from __future__ import annotations

import numpy as np

from hilum.space import FloatArray
from hilum.stages.nodules.dots import Dots
from hilum.stages.nodules.extent import even_directions
from hilum.stages.nodules.marks import Marks
from hilum.volume import HUArray

FAINTEST_DOT = 0.05
"""Strength of a dot where the filter finds none."""

FAINTEST_CONTRAST = 1 / 3
"""Of soft tissue; what is fainter cannot be told from noise."""

FAINT_FROM = (8.0, 10.0)
FAINT_UP_TO = (16.0, 20.0)
"""Diameters in voxels from which contrast begins to count and counts in full, and up
to which it counts in full and at all. What is smaller is faint because slices are
thick, and mostly a vessel; what is larger has no shell of lung to compare with."""

CLOSE = 4.0
"""Voxels from the middle of a mark within which a dot is of it."""

_INSIDE = (0.25, 0.5)
"""Spheres in a mark, by its radius."""

_AROUND = ((1.3, 1.0), (1.55, 1.5), (1.8, 2.0))
"""Spheres around it, by its radius and voxels more."""

_LUNG_PERCENTILE = 25


def contrast_of(hu: HUArray, marks: Marks, *, soft_tissue_hu: float) -> FloatArray:
    """Measure how far marks of middle size stand out from the lung around them.

    The mean of the inner half of a mark, above the lower quartile of a shell around
    it, in which the pleura and vessels are bright and lung is not.

    Args:
        hu: (slice, row, column) of cubic voxels.
        marks: In it.
        soft_tissue_hu: How far soft tissue stands out from lung.

    Returns:
        (n,) as a share of that, from `FAINTEST_CONTRAST` to 1, to the power of a weight
        that rises from 0 to 1 over `FAINT_FROM` and falls back over `FAINT_UP_TO`.
    """
    radius = marks.diameter[:, None] / 2
    inside = _sampled(hu, marks, radius * np.array(_INSIDE))
    shell = _sampled(hu, marks, np.hstack([r * radius + more for r, more in _AROUND]))
    rise = inside.mean(axis=1) - np.percentile(shell, _LUNG_PERCENTILE, axis=1)
    share = np.clip(rise / soft_tissue_hu, FAINTEST_CONTRAST, 1)
    weight = np.interp(marks.diameter, (*FAINT_FROM, *FAINT_UP_TO), (0, 1, 1, 0))
    return np.asarray(share**weight)


def _sampled(hu: HUArray, marks: Marks, away: FloatArray) -> FloatArray:
    """Take the voxels on spheres around marks; beyond the edges, those at the edge.

    Args:
        hu: (slice, row, column).
        marks: n of them.
        away: (n, spheres) radii in voxels.

    Returns:
        (n, points).
    """
    spheres = [r[:, None, None] * even_directions() for r in away.T]
    at = np.rint(marks.index[:, None] + np.hstack(spheres)).astype(np.int64)
    z, y, x = np.clip(at, 0, np.array(hu.shape) - 1).transpose(2, 0, 1)
    return np.asarray(hu[z, y, x], np.float64)


def odds_with_dots(
    marks: Marks,
    dots: Dots,
    contrast: FloatArray,
    *,
    even_strength: float,
    share: float,
) -> FloatArray:
    """Join what the network says with the shape that the dot filter sees.

    The logarithm of the odds: that of the network, and `share` times that of the
    strongest dot in the mark, or within `CLOSE`, by the strength of an even one. The
    strength is divided by the contrast of the mark, but for that at most 1, so that
    ground glass counts as soft tissue of the same shape.

    Args:
        marks: Of the network.
        dots: Where the filter finds them, in the same voxels.
        contrast: (n,) of the marks, see `contrast_of`.
        even_strength: Of a dot that counts neither way.
        share: How much dots count.

    Returns:
        (n,); a mark without a dot has one of `FAINTEST_DOT`.
    """
    from scipy.spatial import KDTree  # noqa: PLC0415  slow to import

    chance = np.clip(marks.chance, 1e-6, 1 - 1e-6)
    reach = np.maximum(marks.diameter / 2, CLOSE)
    near = KDTree(dots.index).query_ball_point(marks.index, reach)
    found = np.array([dots.strength[dot].max(initial=0) for dot in near])
    found = np.maximum(found, np.minimum(found / contrast, 1))
    found = np.maximum(found, FAINTEST_DOT)
    return np.asarray(
        np.log(chance / (1 - chance)) + share * np.log(found / even_strength)
    )
