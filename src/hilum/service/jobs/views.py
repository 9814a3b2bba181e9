"""What the viewer loads: the CT, a smaller CT, the lungs and the nodules.

Lungs and nodules are the voxels that the assessment was made from. Of an assessment
whose voxels were not kept they are outlined anew, and a rim may differ by a voxel;
nothing is measured on these files.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from hilum.errors import InputError
from hilum.findings import Assessment, Candidate, Point
from hilum.formats import write_mask, write_volume
from hilum.outlines import Outlines
from hilum.space import Grid
from hilum.stages.lungs import LungSegmenter
from hilum.stages.measure import NoduleMeasurer
from hilum.volume import CTVolume, Mask

View = Literal["ct", "small", "lungs", "nodules"]
VIEW_FILES: dict[View, str] = {
    "ct": "ct.nii.gz",
    "small": "small.nii.gz",
    "lungs": "lungs.nii.gz",
    "nodules": "nodules.nii.gz",
}
GRID_FILE = "grid.json"
Box = tuple[Point, Point]
_OTHERS = ((1, 2), (0, 2), (0, 1))


def write_views(
    volume: CTVolume,
    assessment: Assessment,
    folder: Path,
    *,
    outlines: Outlines | None = None,
) -> None:
    """Write the files that the viewer loads.

    Args:
        volume: The CT.
        assessment: What was concluded from it.
        folder: Exists; the files are named in `VIEW_FILES`.
        outlines: The voxels that were measured; None: outline anew.
    """
    if outlines is None:
        lungs = LungSegmenter()(volume)
        nodules = draw_nodules(volume, assessment, lungs)
    else:
        lungs = outlines.lungs
        nodules = paint_nodules(outlines.nodules, volume.grid)
    write_volume(volume, folder / VIEW_FILES["ct"])
    doubled = tuple(2 * spacing for spacing in volume.grid.spacing_mm)
    write_volume(volume.shrink(doubled), folder / VIEW_FILES["small"])  # type: ignore[arg-type]
    write_mask(every_second(lungs), folder / VIEW_FILES["lungs"])
    write_mask(nodules, folder / VIEW_FILES["nodules"])
    write_grid(volume.grid, lungs, folder)


def write_grid(grid: Grid, lungs: Mask, folder: Path) -> None:
    """Write where the voxels of the CT are, and the box around the lungs.

    Args:
        grid: Of the CT.
        lungs: Labels on it.
        folder: Gets the file.
    """
    found = [np.nonzero(lungs.voxels.any(axis=axes))[0] for axes in _OTHERS]
    box = None
    if all(len(along) for along in found):
        ends = [[along[end] for along in found] for end in (0, -1)]
        corners = np.array([grid.to_world(end) for end in ends])
        box = [corners.min(0).tolist(), corners.max(0).tolist()]
    tree = {"shape": grid.shape, "affine": grid.affine.tolist(), "lungs_mm": box}
    (folder / GRID_FILE).write_text(json.dumps(tree))


def read_grid(folder: Path) -> tuple[Grid, Box | None]:
    """Read where the voxels of the CT are, and the box around the lungs.

    Args:
        folder: Of `write_views`.

    Returns:
        The grid, and the two corners of the box in mm, the lower first.

    Raises:
        InputError: There are no views.
    """
    try:
        tree = json.loads((folder / GRID_FILE).read_text())
    except (OSError, ValueError) as error:
        raise InputError("The study has no images to view yet.") from error
    return Grid(tuple(tree["shape"]), np.array(tree["affine"])), tree["lungs_mm"]


def draw_nodules(volume: CTVolume, assessment: Assessment, lungs: Mask) -> Mask:
    """Draw each nodule with its number, 1 for the first.

    Args:
        volume: The CT.
        assessment: Holds the nodules.
        lungs: Labels on the grid of the volume.

    Returns:
        uint8 labels on the grid of the volume.
    """
    found = tuple(
        Candidate(n.center_mm, n.diameter_mm, n.detection_score)
        for n in assessment.nodules
    )
    drawn = NoduleMeasurer().measure(volume, found, lungs)
    return paint_nodules([measured.mask for measured in drawn], volume.grid)


def paint_nodules(masks: Sequence[Mask], grid: Grid) -> Mask:
    """Give the voxels of each nodule its number; where two meet, the lower.

    Args:
        masks: Each on a part of the grid, in their order.
        grid: Of the CT.

    Returns:
        uint8 labels on the grid.
    """
    labels = np.zeros(grid.shape, np.uint8)
    for number, mask in reversed(list(enumerate(masks, start=1))):
        _paint(labels, grid, mask, number)
    return Mask(labels, grid)


def every_second(mask: Mask) -> Mask:
    """Keep every second voxel along each axis; it stays where it is.

    Args:
        mask: Labels.
    """
    steps = np.diag([2.0, 2.0, 2.0, 1.0])
    voxels = np.ascontiguousarray(mask.voxels[::2, ::2, ::2], dtype=np.uint8)
    grid = Grid(voxels.shape, mask.grid.affine @ steps, mask.grid.frame_uid)
    return Mask(voxels, grid)


def _paint(labels: npt.NDArray[np.uint8], grid: Grid, mask: Mask, number: int) -> None:
    """Give the voxels of a part of the grid their number."""
    start = np.rint(grid.to_index(mask.grid.to_world([0, 0, 0]))).astype(int)
    box = tuple(
        slice(int(a), int(a) + n) for a, n in zip(start, mask.voxels.shape, strict=True)
    )
    labels[box][mask.voxels.astype(bool)] = number
