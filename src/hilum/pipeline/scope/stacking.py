"""How slices lie on each other: thick, missing, repeated, or jumping.

Positions tell that best, and reading asks them; what is measured here holds for files
without positions too. Of the eleven scans the largest change from one slice to the next
is 1.09 to 1.44 times the usual change nearby, the least 0.86 to 0.93. With two slices
taken out of the middle nine of them exceed the limit, with three ten; so a gap is a
doubt, and may be missed. A slice that comes twice makes it 0.
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
SIDEWAYS = 1.5


def check_stack(volume: CTVolume) -> list[ScopeCheck]:
    """Judge the slices of a series.

    Args:
        volume: The CT.
    """
    apart_mm = max(volume.grid.spacing_mm)  # coronal slices lie along another axis
    found = [SPACING("Slices are {} apart", apart_mm)]
    thick_mm = volume.acquisition.slice_thickness_mm
    if thick_mm is not None:
        found.append(THICKNESS("Slices are {} thick", thick_mm))
    made_up = volume.acquisition.interpolated_slices or 0
    share = 100 * made_up / volume.grid.shape[0]
    found.append(INTERPOLATED("{} of the slices were interpolated", share))
    change = _changes(volume)
    if change.size:
        at = int(change.argmax())
        said = f"From slice {at + 1} to the next the image changes {{}} times as much"
        found.append(CHANGE_MOST(f"{said} as nearby", float(change.max())))
        at = int(change.argmin())
        said = f"From slice {at + 1} to the next the image changes {{}} times as much"
        found.append(CHANGE_LEAST(f"{said} as nearby", float(change.min())))
    return found


def _changes(volume: CTVolume) -> npt.NDArray[np.float64]:
    """Measure the change between slices, as multiple of the usual one nearby."""
    from scipy.ndimage import median_filter  # noqa: PLC0415  slow to import

    spacing = volume.grid.spacing_mm
    across = max(spacing) > SIDEWAYS * spacing[0]
    planes = np.moveaxis(volume.hu, int(np.argmax(spacing)) if across else 0, 0)
    if len(planes) < LEAST_SLICES:
        return np.zeros(0)
    some = np.clip(planes[:, ::STEP, ::STEP], *SEEN_HU).astype(np.float64)
    change = np.abs(np.diff(some, axis=0)).mean(axis=(1, 2))
    usual = median_filter(change, NEAR, mode="nearest")
    return np.asarray(change / np.maximum(usual, LEAST_CHANGE_HU))
