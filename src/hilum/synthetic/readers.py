"""Four readers look at a phantom, and write what they saw as LIDC's readers did.

Each outlines a lesion as a ball of its own size; the fourth overlooks every third.
Outlines run through the first pixels that are no longer nodule. One of them marks a
place that is no nodule.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from hilum.phantom import Phantom, Truth
from hilum.space import Grid

READERS = 4
_SIZES = (1.0, 0.95, 1.05, 1.0)
_MALIGNANCY = {"round": 2, "lobulated": 3, "spiculated": 5}
_TEXTURE = {"ground-glass": 1, "part-solid": 3, "solid": 5, "calcified": 5}


def write_readings(phantom: Phantom) -> str:
    """Write the reader file of a phantom.

    Args:
        phantom: Read slice by slice, as it is scanned.

    Returns:
        XML, as LIDC has it.
    """
    sessions = "".join(
        f"<readingSession>{''.join(_marks(phantom, reader))}</readingSession>"
        for reader in range(READERS)
    )
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<LidcReadMessage xmlns="http://www.nih.gov"><ResponseHeader>'
        f"<SeriesInstanceUid>{phantom.volume.series_uid}</SeriesInstanceUid>"
        f"</ResponseHeader>{sessions}</LidcReadMessage>\n"
    )


def _marks(phantom: Phantom, reader: int) -> Iterator[str]:
    """Write what one reader marked."""
    grid = phantom.volume.grid
    for number, truth in enumerate(phantom.truths):
        if reader == READERS - 1 and number % 3 == 2:
            continue
        rois = "".join(_rois(truth, grid, _SIZES[reader]))
        if rois:
            ratings = _ratings(truth, reader)
            yield f"<unblindedReadNodule>{ratings}{rois}</unblindedReadNodule>"
    if reader == 0:
        middle = [n // 2 for n in grid.shape]
        z_mm = grid.to_world(middle)[2]
        yield (
            f"<nonNodule><imageZposition>{z_mm:.4f}</imageZposition><locus>"
            f"<xCoord>{middle[2]}</xCoord><yCoord>{middle[1]}</yCoord></locus>"
            "</nonNodule>"
        )


def _ratings(truth: Truth, reader: int) -> str:
    malignancy = min(_MALIGNANCY[truth.form] + (reader == 1), 5)
    values = {
        "subtlety": 5,
        "internalStructure": 1,
        "calcification": 3 if truth.type == "calcified" else 6,
        "sphericity": 5 if truth.form == "round" else 3,
        "margin": 2 if truth.form == "spiculated" else 4,
        "lobulation": 1 if truth.form == "round" else 4,
        "spiculation": 5 if truth.form == "spiculated" else 1,
        "texture": _TEXTURE[truth.type],
        "malignancy": malignancy,
    }
    inner = "".join(f"<{name}>{value}</{name}>" for name, value in values.items())
    return f"<characteristics>{inner}</characteristics>"


def _rois(truth: Truth, grid: Grid, size: float) -> Iterator[str]:
    """Outline a ball in each slice that it reaches."""
    radius = truth.diameter_mm / 2 * size
    z, y, x = grid.to_index(truth.center_mm).tolist()
    slice_mm, row_mm, column_mm = grid.spacing_mm
    for number in range(grid.shape[0]):
        left = radius**2 - ((number - z) * slice_mm) ** 2
        if left <= 0:
            continue
        reach = math.sqrt(left)
        rows, columns = np.ogrid[: grid.shape[1], : grid.shape[2]]
        far = np.hypot((rows - y) * row_mm, (columns - x) * column_mm)
        inside = far <= reach
        if inside.any():
            z_mm = float(grid.to_world((number, 0, 0))[2])
            yield _roi(inside, z_mm)


def _roi(inside: np.ndarray[tuple[int, ...], np.dtype[np.bool_]], z_mm: float) -> str:
    """Write the line of first pixels outside."""
    wide = np.pad(inside, 1)
    near = wide[:-2, 1:-1] | wide[2:, 1:-1] | wide[1:-1, :-2] | wide[1:-1, 2:]
    rows, columns = np.nonzero(near & ~inside)
    points = "".join(
        f"<edgeMap><xCoord>{x}</xCoord><yCoord>{y}</yCoord></edgeMap>"
        for y, x in zip(rows.tolist(), columns.tolist(), strict=True)
    )
    return (
        f"<roi><imageZposition>{z_mm:.4f}</imageZposition>"
        f"<inclusion>TRUE</inclusion>{points}</roi>"
    )
