"""What is laid over key images: a nodule's outline, and what counts for its rating.

Both are cut through the plane of the picture, in the patient; nothing is projected.
"""

from __future__ import annotations

import numpy as np

from hilum.report.images import Grey, KeyImage
from hilum.space import FloatArray
from hilum.stages.explain import Heat
from hilum.volume import Mask

Spot = tuple[float, float]

OUTLINE_STEP = 2
HEAT_STEP = 5
FAINT = 0.55
"""Opacity of what counts most."""

_RAISES = (255, 138, 30)
_LOWERS = (70, 150, 255)
_LEAST_POINTS = 0.02
"""Less than this anywhere is nothing, and is not stretched to look like something."""


def outline_path(mask: Mask, image: KeyImage) -> str:
    """Draw where a mask ends in the plane of a picture.

    Args:
        mask: The voxels of a nodule.
        image: The picture.

    Returns:
        An SVG path in mm from the left and top edge; empty where the plane misses it.
    """
    points = image.points_mm(OUTLINE_STEP)
    inside = _interpolated((mask.voxels > 0).astype(np.float64), mask, points)
    step_mm = OUTLINE_STEP * image.pixel_mm
    lines = _chains(_segments(inside - 0.5))
    return "".join(
        "M" + "L".join(f"{(x + 0.5) * step_mm:.2f} {(y + 0.5) * step_mm:.2f}"
                       for y, x in line)
        for line in lines
    )  # fmt: skip


def heat_pixels(heat: Heat, image: KeyImage, largest: float) -> Grey:
    """Colour a picture by what each place adds to the rating.

    Args:
        heat: Of the nodule.
        image: The picture.
        largest: Points that get the full colour.

    Returns:
        (rows, columns, 4) uint8: orange raises, blue lowers, clear is neither.
    """
    points = image.points_mm(HEAT_STEP)
    value = _interpolated(heat.points.astype(np.float64), heat, points)
    share = np.clip(value / max(largest, _LEAST_POINTS), -1, 1)
    pixels = np.zeros((*share.shape, 4), np.uint8)
    pixels[share > 0, :3] = _RAISES
    pixels[share < 0, :3] = _LOWERS
    pixels[..., 3] = np.rint(255 * FAINT * np.abs(share))
    return pixels


def _interpolated(
    values: FloatArray, owner: Mask | Heat, points: FloatArray
) -> FloatArray:
    """Read values between their cells, trilinearly; nothing beyond them."""
    from scipy import ndimage  # noqa: PLC0415  slow to import

    index = np.moveaxis(owner.grid.to_index(points), -1, 0)
    return np.asarray(
        ndimage.map_coordinates(values, index, order=1, mode="grid-constant", cval=0.0)
    )


def _segments(field: FloatArray) -> list[tuple[Spot, Spot]]:
    """Cut each square between four points where a field changes its sign.

    Returns:
        Pairs of points (row, column), the field above 0 always on the same side.
    """
    inside = field > 0
    corners = np.stack(
        [inside[:-1, :-1], inside[:-1, 1:], inside[1:, 1:], inside[1:, :-1]]
    )
    count = corners.sum(axis=0)
    found = []
    for row, column in np.argwhere((count > 0) & (count < 4)).tolist():
        ring = ((row, column), (row, column + 1), (row + 1, column + 1),
                (row + 1, column))  # fmt: skip
        leaves, enters = list[Spot](), list[Spot]()
        for a, b in zip(ring, (*ring[1:], ring[0]), strict=True):
            if inside[a] != inside[b]:
                (first, last) = (a, b) if a < b else (b, a)  # the same from both sides
                part = field[first] / (field[first] - field[last])
                point = (
                    first[0] + part * (last[0] - first[0]),
                    first[1] + part * (last[1] - first[1]),
                )
                (leaves if inside[a] else enters).append(point)
        found += list(zip(leaves, enters, strict=True))
    return found


def _chains(segments: list[tuple[Spot, Spot]]) -> list[list[Spot]]:
    """Join segments that go on from each other."""
    after = dict(segments)
    begins = [first for first in after if first not in set(after.values())]
    lines = []
    for start in [*begins, *after]:
        if start not in after:
            continue
        line = [start]
        while line[-1] in after:
            line.append(after.pop(line[-1]))
        lines.append(line)
    return lines
