"""Where the axes of a nodule are drawn on its key slice, for viewers of reports.

Viewers show a report where it holds a region on an image. A nodule is drawn as the
ellipse of its measured axes: they have the measured lengths, lie in the middle of the
outline on the slice, and point where the outline is longest. It is a polyline, because
few viewers draw an ellipse that lies askew.

Source:
    DICOM PS3.3 C.18.6.1.2 (columns and rows count from the upper left corner of the
    image, so the middle of its first pixel is at 0.5).
"""

from __future__ import annotations

import numpy as np

from hilum.dicom.headers import Header
from hilum.findings import Nodule
from hilum.report.dicom.placing import Part
from hilum.space import FloatArray

POINTS = 33


def ellipse_of(nodule: Nodule, header: Header, part: Part | None) -> FloatArray:
    """Give the ellipse of a nodule's axes on a slice, as a closed line.

    Args:
        nodule: Its axes are drawn.
        header: The slice.
        part: The outline there; None where it was not kept: the ellipse then lies
            around the centre of the nodule, along the rows.

    Returns:
        (33, 2) columns and rows. Points 0 and 16 are the ends of the long axis, 8
        and 24 those of the short one, and the last point is the first.
    """
    pixel_mm = np.array(header.spacing_mm or (1.0, 1.0))
    if part is not None:
        first = np.array([part.rows.start, part.columns.start])
        cells = np.argwhere(part.pixels) + first
        middle = cells.mean(axis=0)
        along = _longest(cells * pixel_mm)
    else:
        directions = np.array(header.orientation).reshape(2, 3)[::-1]  # down, across
        off = np.array(nodule.center_mm) - np.array(header.position_mm)
        middle = directions @ off / pixel_mm
        along = np.array([0.0, 1.0])
    across = np.array([-along[1], along[0]])
    turn = np.linspace(0, 2 * np.pi, POINTS)
    long_mm = nodule.long_axis_mm / 2 * np.outer(np.cos(turn), along)
    short_mm = nodule.short_axis_mm / 2 * np.outer(np.sin(turn), across)
    points = middle + (long_mm + short_mm) / pixel_mm + 0.5
    points[-1] = points[0]
    limits = (header.format.rows, header.format.columns)
    return np.asarray(np.clip(points, 0, limits)[:, ::-1], dtype=np.float64)


def frame_of(header: Header) -> FloatArray:
    """Give a closed frame just inside the edge of a slice.

    Args:
        header: The slice.

    Returns:
        (5, 2) columns and rows; the last point is the first.
    """
    down, right = header.format.rows - 1.0, header.format.columns - 1.0
    corners = [(1.0, 1.0), (right, 1.0), (right, down), (1.0, down), (1.0, 1.0)]
    return np.array(corners)


def _longest(points: FloatArray) -> FloatArray:
    """Give the direction, a unit vector, along which points spread most."""
    spread = np.cov(points.T) if len(points) > 2 else np.zeros((2, 2))
    if not spread.any():
        return np.array([0.0, 1.0])
    return np.asarray(np.linalg.eigh(spread)[1][:, -1], dtype=np.float64)
