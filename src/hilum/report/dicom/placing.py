"""Masks of a volume, back on the slices that it was read from.

A volume lies in canonical order and may have been straightened or filled in. Each
slice asks for its own pixels by where they are in the patient: the voxel whose centre
is nearest. On a volume that was only reordered that gives every voxel back; where
tilted slices were moved, it moves them back; slices that do not exist get nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hilum.dicom.headers import Header
from hilum.dicom.instances import Instances
from hilum.space import FloatArray
from hilum.volume import Mask

Labels = npt.NDArray[np.uint8]
BoolArray = npt.NDArray[np.bool_]

_OFF_SLICE = 0.4
"""A slice this far from the middle of a voxel, in voxels, is not the slice of it."""


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """What a mask covers on one slice.

    Attributes:
        rows: Rows of the slice.
        columns: Columns of the slice.
        pixels: Bool, of that many rows and columns.
    """

    rows: slice
    columns: slice
    pixels: BoolArray


@dataclass(frozen=True, slots=True, eq=False)
class Segment:
    """A mask on the slices of a series.

    Attributes:
        number: Its number in a SEG, from 1.
        index: Place of its nodule in the assessment.
        parts: Place of a slice to what the mask covers there.
        lost: Slices of the mask that the series does not hold.
    """

    number: int
    index: int
    parts: dict[int, Part]
    lost: int

    @property
    def key_place(self) -> int:
        """The slice where it is largest."""
        return max(self.parts, key=lambda place: int(self.parts[place].pixels.sum()))


def place_nodules(masks: Sequence[Mask], instances: Instances) -> tuple[Segment, ...]:
    """Place the nodules of an assessment on the slices.

    Args:
        masks: In the order of the assessment.
        instances: The slices.

    Returns:
        A segment for each nodule that any slice shows, numbered from 1.
    """
    segments: list[Segment] = []
    for index, mask in enumerate(masks):
        parts, lost = place(mask, instances)
        if parts:
            segments.append(Segment(len(segments) + 1, index, parts, lost))
    return tuple(segments)


def place(mask: Mask, instances: Instances) -> tuple[dict[int, Part], int]:
    """Place one mask on the slices.

    Args:
        mask: Bool, or labels: what is not 0 counts.
        instances: The slices.

    Returns:
        Place of a slice to what the mask covers there, and how many slices of the
        mask found none.
    """
    corners = mask.grid.to_index(instances.corners_mm)
    axes, steps = _directions(mask, instances.slices[0])
    through = 3 - sum(axes)
    want = set(np.flatnonzero(mask.voxels.any(axis=axes)).tolist())
    parts: dict[int, Part] = {}
    for n in np.flatnonzero(_is_near(corners[:, through], mask.voxels.shape[through])):
        layer = round(float(corners[n, through]))
        if layer not in want:
            continue
        part = _cut(mask, instances.slices[int(n)], corners[n], axes, steps)
        if part is not None:
            parts[int(n)] = part
            want.discard(layer)
    return parts, len(want)


def _directions(
    mask: Mask, header: Header
) -> tuple[tuple[int, int], tuple[float, float]]:
    """Find the axes of the grid that run down and across a slice.

    Returns:
        The two axes, and how many voxels along each the next row, the next column is.
    """
    turn = np.linalg.inv(mask.grid.affine[:3, :3])
    row_mm, column_mm = header.spacing_mm or (1.0, 1.0)
    directions = np.array(header.orientation)
    down, across = turn @ directions[3:] * row_mm, turn @ directions[:3] * column_mm
    axes = int(np.abs(down).argmax()), int(np.abs(across).argmax())
    return axes, (float(down[axes[0]]), float(across[axes[1]]))


def _is_near(at: FloatArray, count: int) -> BoolArray:
    """Tell which slices lie in the middle of a layer of voxels."""
    layer = np.rint(at)
    near = np.abs(at - layer) <= _OFF_SLICE
    return np.asarray(near & (layer >= 0) & (layer < count))


def _cut(
    mask: Mask,
    header: Header,
    corner: FloatArray,
    axes: tuple[int, int],
    steps: tuple[float, float],
) -> Part | None:
    """Cut out of a mask what one slice shows of it."""
    counts = (header.format.rows, header.format.columns)
    pixels, cells = [], []
    for axis, step, count in zip(axes, steps, counts, strict=True):
        at = np.rint(corner[axis] + np.arange(count) * step).astype(int)
        inside = np.flatnonzero((at >= 0) & (at < mask.voxels.shape[axis]))
        if not len(inside):
            return None
        pixels.append(slice(int(inside[0]), int(inside[-1]) + 1))
        cells.append(at[inside])
    through = 3 - sum(axes)
    found = mask.voxels.take([round(float(corner[through]))], axis=through)
    layer = found.squeeze(through)
    layer = layer if axes[0] < axes[1] else layer.T
    shown = layer[np.ix_(*cells)] != 0
    return Part(pixels[0], pixels[1], shown) if shown.any() else None


def draw(
    segments: Sequence[Segment], instances: Instances
) -> tuple[list[int], Labels, bool]:
    """Draw segments as labels on the slices that show any of them.

    Args:
        segments: Where they overlap, the lower number is drawn.
        instances: The slices.

    Returns:
        Places of the slices, labels (slice, row, column) of them, and whether any
        two segments overlap.
    """
    places = sorted({place for segment in segments for place in segment.parts})
    form = instances.slices[0].format
    labels = np.zeros((len(places), form.rows, form.columns), np.uint8)
    overlap = False
    for segment in segments:
        for n, slice_ in enumerate(places):
            part = segment.parts.get(slice_)
            if part is not None:
                under: Labels = labels[n, part.rows, part.columns]
                overlap |= bool((under[part.pixels] > 0).any())
                under[part.pixels & (under == 0)] = segment.number
    return places, labels, overlap


def stack(segments: Sequence[Segment], places: Sequence[int], shape: Labels) -> Labels:
    """Draw segments that overlap, each on a plane of its own.

    Args:
        segments: Any number.
        places: Places of the slices.
        shape: Labels (slice, row, column) of the same slices.

    Returns:
        uint8 (slice, row, column, segment), 0 or 1.
    """
    planes = np.zeros((*shape.shape, len(segments)), np.uint8)
    for at, segment in enumerate(segments):
        for n, slice_ in enumerate(places):
            part = segment.parts.get(slice_)
            if part is not None:
                planes[n, part.rows, part.columns, at] = part.pixels
    return planes
