"""How slices lie on each other: thick, missing, repeated, or jumping.

Positions tell that best, and reading asks them; what is measured here holds for files
without positions too. Of the eleven scans the largest change from one slice to the next
is 1.09 to 1.44 times the usual change nearby, the least 0.86 to 0.93. With two slices
taken out of the middle nine of them exceed the limit, with three ten; so a gap is a
doubt, and may be missed. A slice that comes twice makes it 0.

Slices that were made between others on a straight line bend nowhere but at those: the
second difference along the slices is below 0.1 of the first ones, where four of the
scans have 0.6 and more on every slice. So a scan of 8 mm that was resampled to 2 mm is
one of 8 mm; resampled by less than three it is not noticed.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from hilum.findings import ScopeCheck
from hilum.pipeline.scope.checks import Rule
from hilum.volume import CTVolume

SPACING = Rule(
    code="slice-spacing",
    unit="mm",
    at_most=5.0,
    why="Nodules can fall between them.",
)
THICKNESS = Rule(
    code="slice-thickness",
    unit="mm",
    at_most=5.0,
    why="Nodules are blurred, or lost.",
)
INTERPOLATED = Rule(
    code="slices-interpolated",
    unit="%",
    at_most=5.0,
    why="What lay on them was not seen. Export the series again.",
)
CHANGE_MOST = Rule(
    code="slice-jump",
    unit="",
    at_most=1.8,
    decides=False,
    why="Slices may be missing there, or two scans joined.",
    digits=2,
)
CHANGE_LEAST = Rule(
    code="slice-repeat",
    unit="",
    at_least=0.2,
    why="A slice may be there twice, so that distances are wrong.",
    digits=2,
)

STEP = 8
NEAR = 11
LEAST_CHANGE_HU = 4.0
SEEN_HU = (-1000, 200)
LEAST_SLICES = 12
STRAIGHT = 0.25
LEAST_STRAIGHT = 0.3
LEAST_RUNS = 4
UNEVEN = 0.25
SIDEWAYS = 1.5

Planes = npt.NDArray[np.float64]


def check_stack(volume: CTVolume) -> list[ScopeCheck]:
    """Judge the slices of a series.

    Args:
        volume: The CT.
    """
    apart_mm = max(volume.grid.spacing_mm)  # coronal slices lie along another axis
    planes = _planes(volume)
    between = _slices_a_real_one(planes)
    said = "Slices are {} apart"
    if between is not None:
        said += ", and those between were made up"
    found = [SPACING(said, apart_mm * (between or 1.0))]
    thick_mm = volume.acquisition.slice_thickness_mm
    if thick_mm is not None:
        found.append(THICKNESS("Slices are {} thick", thick_mm))
    made_up = volume.acquisition.interpolated_slices or 0
    share = 100 * made_up / volume.grid.shape[0]
    found.append(INTERPOLATED("{} of the slices were interpolated", share))
    change = _changes(planes)
    if change.size:
        at = int(change.argmax())
        said = f"From slice {at + 1} to the next the image changes {{}} times as much"
        found.append(CHANGE_MOST(f"{said} as nearby", float(change.max())))
        at = int(change.argmin())
        said = f"From slice {at + 1} to the next the image changes {{}} times as much"
        found.append(CHANGE_LEAST(f"{said} as nearby", float(change.min())))
    return found


def _planes(volume: CTVolume) -> Planes:
    """Take some pixels of each slice, along the axis that slices lie along."""
    spacing = volume.grid.spacing_mm
    across = max(spacing) > SIDEWAYS * spacing[0]
    planes = np.moveaxis(volume.hu, int(np.argmax(spacing)) if across else 0, 0)
    return np.clip(planes[:, ::STEP, ::STEP], *SEEN_HU).astype(np.float64)


def _changes(planes: Planes) -> Planes:
    """Measure the change between slices, as multiple of the usual one nearby."""
    from scipy.ndimage import median_filter  # noqa: PLC0415  slow to import

    if len(planes) < LEAST_SLICES:
        return np.zeros(0)
    change = np.abs(np.diff(planes, axis=0)).mean(axis=(1, 2))
    usual = median_filter(change, NEAR, mode="nearest")
    return np.asarray(change / np.maximum(usual, LEAST_CHANGE_HU))


def _slices_a_real_one(planes: Planes) -> float | None:
    """Say how many slices there are for each that was scanned; None: all were.

    Between two that were scanned the others lie on a straight line, at even distances.
    """
    if len(planes) < LEAST_SLICES:
        return None
    steps = np.diff(planes, axis=0)
    bend = np.abs(np.diff(steps, axis=0)).mean(axis=(1, 2))
    change = np.abs(steps).mean(axis=(1, 2))
    straight = bend < STRAIGHT * np.maximum(change[1:] + change[:-1], LEAST_CHANGE_HU)
    starts = np.flatnonzero(straight[1:] & ~straight[:-1])
    if straight.mean() < LEAST_STRAIGHT or len(starts) < LEAST_RUNS:
        return None
    apart = np.diff(starts)
    even = apart.std() <= UNEVEN * apart.mean()
    return float(apart.mean()) if even else None
