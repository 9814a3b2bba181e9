"""The trained detector: what a network marks, and the shape of what it marks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from hilum.space import FloatArray
from hilum.stages.nodules.marks import Float32Array, Marks, marks_of, padded
from hilum.stages.nodules.region import Region

MARGIN_MM = 24.0
"""How much around the lungs the network sees."""

LEAST_CHANCE = 0.005
FAINTEST_DOT = 0.03
"""Strength of a dot where the filter finds none."""

_CLOSE_MM = 4.0
_VIEWS = ((), (1,), (2,), (3,))


def network_marks(
    region: Region,
    predict: Callable[[Float32Array], Any],
    *,
    margin_mm: float,
    mirrored: bool,
) -> Marks:
    """Let the network look over a region.

    Args:
        region: Cubic voxels of about 1 mm.
        predict: The network, see `hilum.nn.models.detectors.detection_net`.
        margin_mm: How far outside the lungs a centre may lie; that of a mass half
            its diameter, if that is more.
        mirrored: Look at the three mirror images as well, and take the mean.
    """
    hu = padded(region.hu)
    views = _VIEWS if mirrored else _VIEWS[:1]
    total: Float32Array | None = None
    for axes in views:
        turned = np.ascontiguousarray(np.flip(hu, axes)) if axes else hu
        found = np.array(predict(turned), np.float32)
        for axis in axes:
            found = np.flip(found, axis).copy()
            found[..., axis] *= -1  # the place along a mirrored axis
        total = found if total is None else total + found
    if total is None:
        raise RuntimeError("There is no view.")
    marks = marks_of(total[0] / len(views), region.hu.shape, least=LEAST_CHANCE)
    away = region.distance_mm()
    at = np.minimum((marks.index / 2).astype(int), np.array(away.shape) - 1)
    allowed = np.maximum(margin_mm, marks.diameter * region.grid.spacing_mm[0] / 2)
    return marks.kept(away[tuple(np.maximum(at, 0).T)] <= allowed)


def odds_with_dots(
    marks: Marks,
    dots_at: FloatArray,
    strength: FloatArray,
    *,
    even_strength: float,
    share: float,
) -> FloatArray:
    """Join what the network says with the shape that the dot filter sees.

    The logarithm of the odds: that of the network, and `share` times that of the
    strongest dot in the mark, or within 4 voxels, by the strength of an even one.

    Args:
        marks: Of the network.
        dots_at: (n, 3) centres of dots in voxels.
        strength: (n,) of them.
        even_strength: Of a dot that counts neither way.
        share: How much dots count.
    """
    chance = np.clip(marks.chance, 1e-6, 1 - 1e-6)
    found = np.full(len(chance), FAINTEST_DOT)
    for n, (index, diameter) in enumerate(
        zip(marks.index, marks.diameter, strict=True)
    ):
        gaps = np.linalg.norm(dots_at - index, axis=1)
        near = strength[gaps <= max(diameter / 2, _CLOSE_MM)]
        found[n] = max(FAINTEST_DOT, float(near.max())) if near.size else FAINTEST_DOT
    return np.asarray(
        np.log(chance / (1 - chance)) + share * np.log(found / even_strength)
    )
