"""Whether values are Hounsfield units, and how much contrast agent is in the blood.

Of the eleven scans the air at the sides has a median of -1021 to -983 HU, the peak of
soft tissue lies at 28 to 78 HU, the lung has a median of -881 to -818 HU, and heart and
great vessels have 38 to 323 HU: three without contrast agent, eight with.
"""

from __future__ import annotations

import numpy as np

from hilum.findings import ScopeCheck
from hilum.pipeline.scope.checks import Rule
from hilum.stages.lungs import LungLook
from hilum.volume import AIR_HU, CTVolume, HUArray

_NO_HU = "Offset or scale of the values are not those of Hounsfield units."
AIR = Rule(code="air-hu", unit="HU", at_least=-1024, at_most=-925, why=_NO_HU, digits=0)
TISSUE = Rule(
    code="tissue-hu", unit="HU", at_least=5, at_most=120, why=_NO_HU, digits=0
)
LUNG = Rule(
    code="lung-hu", unit="HU", at_least=-960, at_most=-600, why=_NO_HU, digits=0
)
BLOOD = Rule(
    code="blood-hu",
    unit="HU",
    at_most=400.0,
    decides=False,
    why="More contrast agent than in any scan that the networks learned from.",
    digits=0,
)

LEAST_VOXELS = 1000
LEAST_CUBES = 200
THIN_HU = -300
SOFT_HU = (-40, 300)
CALM_MM = 8.0
"""Edge of the cubes whose values are counted: noise would wash out the peak."""

PEAK_HU = 8.0
"""Width over which the histogram is smoothed."""

BLOOD_HU = (0, 700)
HEIGHTS = (30, 75)
"""Percentiles of the lungs' height between which heart and great vessels lie."""


def check_intensities(volume: CTVolume, look: LungLook) -> list[ScopeCheck]:
    """Judge the values of a scan.

    Args:
        volume: The CT.
        look: Its lungs.
    """
    hu = look.small.hu
    found: list[ScopeCheck] = []
    air = _air(look)
    if air.size >= LEAST_VOXELS:
        said = "The air around the patient has a median of {}"
        found.append(AIR(said, float(np.median(air))))
    peak = _tissue_hu(look)
    if peak is not None:
        found.append(TISSUE("Most soft tissue has {}", peak))
    inside = hu[look.lungs > 0]
    if inside.size >= LEAST_VOXELS:
        found.append(LUNG("The lungs have a median of {}", float(np.median(inside))))
    blood = _blood_hu(look)
    if blood is not None:
        agent = volume.acquisition.contrast
        said = "Heart and great vessels have a median of {}"
        said += f" (contrast agent as told: `{_plain(agent)}`)" if agent else ""
        found.append(BLOOD(said, blood))
    return found


def _air(look: LungLook) -> HUArray:
    """Take what is thin at the sides of the slices; else all air around the patient."""
    hu = look.small.hu
    sides = (hu[:, 0], hu[:, -1], hu[:, :, 0], hu[:, :, -1])
    rim = np.concatenate([side.ravel() for side in sides])
    rim = rim[(rim > AIR_HU) & (rim < THIN_HU)]
    return rim if rim.size >= LEAST_VOXELS else hu[look.outside & (hu > AIR_HU)]


def _tissue_hu(look: LungLook) -> float | None:
    """Find the peak of what is no fat, lung or air."""
    from scipy.ndimage import gaussian_filter1d  # noqa: PLC0415  slow to import

    low, high = SOFT_HU
    hu = look.small.shrink((CALM_MM,) * 3).hu
    soft = hu[(hu >= low) & (hu < high)]
    if soft.size < LEAST_CUBES:
        return None
    count = np.bincount(soft.astype(np.int64) - low, minlength=high - low)
    return float(np.argmax(gaussian_filter1d(count.astype(float), PEAK_HU)) + low)


def _blood_hu(look: LungLook) -> float | None:
    """Measure what lies between the lungs and before their middle."""
    hu, lungs = look.small.hu, look.lungs
    right, left = lungs == 1, lungs == 2
    if not (right.any() and left.any()):
        return None
    heights = np.cumsum(np.count_nonzero(lungs, axis=(1, 2)))
    rows = np.cumsum(np.count_nonzero(lungs, axis=(0, 2)))
    first, last = np.searchsorted(heights, np.array(HEIGHTS) / 100 * heights[-1])
    middle = int(np.searchsorted(rows, rows[-1] / 2)) + 1
    box = (slice(int(first), int(last) + 1), slice(0, middle))
    past_right = np.maximum.accumulate(right[box], axis=2)
    before_left = np.maximum.accumulate(left[box][..., ::-1], axis=2)[..., ::-1]
    values = hu[box][past_right & before_left & (lungs[box] == 0)]
    low, high = BLOOD_HU
    blood = values[(values > low) & (values < high)]
    return float(np.median(blood)) if blood.size >= LEAST_VOXELS else None


def _plain(text: str) -> str:
    """Keep what a scanner wrote from breaking a sentence."""
    return " ".join(text.replace("{", "(").replace("}", ")").split())[:40]
