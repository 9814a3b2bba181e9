"""What to doubt about a lung mask: lungs cut off, missing, or of no likely size."""

from __future__ import annotations

import numpy as np

from hilum.errors import InputError
from hilum.findings import Notice
from hilum.stages.lungs.thorax import find_outside
from hilum.volume import CTVolume, Mask

STAGE = "lungs"
# less than this is no lung, whatever it is
LEAST_LITRES = 0.1
# adults at inspiration; tall patients with emphysema come near 9 l
LITRES = (1.5, 9.0)
ONE_LUNG_SHARE = 0.1
# what may touch an edge of the scan without a word
EDGE_CM2 = 5.0
REDUCED_MM = 2.5
AIR_HU = -400
EDGES = (
    ("first slice (towards the feet)", "last slice (towards the head)"),
    ("front edge", "back edge"),
    ("right edge", "left edge"),
)


def lung_notices(volume: CTVolume, mask: Mask) -> tuple[Notice, ...]:
    """Say what is doubtful about the lungs that were found.

    Codes: "no-lungs", "lungs-cropped", "one-lung", "lung-volume-implausible".

    Args:
        volume: The CT.
        mask: 1 right lung, 2 left lung, on the grid of the volume.

    Returns:
        Notices of stage "lungs", each with what was measured and the limit;
        none when nothing is doubtful.

    Raises:
        InputError: The mask lies on another grid than the volume.
    """
    if not mask.grid.same_as(volume.grid):
        raise InputError(
            f"Lung mask of shape {mask.grid.shape} lies on another grid than the "
            f"volume of shape {volume.grid.shape}. Segment this volume first."
        )
    litre = volume.grid.voxel_mm3 / 1e6
    right, left = (np.count_nonzero(mask.voxels == side) * litre for side in (1, 2))
    total = right + left
    if total < LEAST_LITRES:
        text = (
            f"No aerated lungs were found: {total:.2f} l, at least "
            f"{LEAST_LITRES} l are needed. Is this a chest CT?"
        )
        return (Notice("no-lungs", text, STAGE),)
    notices = (
        _cropped(volume, mask),
        _one_lung(right, left),
        _implausible(total),
    )
    return tuple(notice for notice in notices if notice)


def _one_lung(right: float, left: float) -> Notice | None:
    """Doubt a scan in which one side has next to no aerated lung."""
    side, less = ("right", right) if right <= left else ("left", left)
    share = less / (right + left)
    if share >= ONE_LUNG_SHARE:
        return None
    text = (
        f"The {side} lung holds {less:.2f} l, {share:.0%} of the aerated lung; at "
        f"least {ONE_LUNG_SHARE:.0%} is expected. It may be removed, collapsed, "
        "full of fluid, or outside the scan."
    )
    return Notice("one-lung", text, STAGE)


def _implausible(total: float) -> Notice | None:
    """Doubt lungs that no adult has."""
    low, high = LITRES
    if low <= total <= high:
        return None
    text = (
        f"Both lungs together hold {total:.2f} l; {low} to {high} l is expected of "
        "an adult at inspiration. The scan may show a part, a child, or no chest."
    )
    return Notice("lung-volume-implausible", text, STAGE)


def _cropped(volume: CTVolume, mask: Mask) -> Notice | None:
    """Doubt lungs that reach an edge of the scan or of its round field of view."""
    lungs = mask.voxels
    spacing = volume.grid.spacing_mm
    found: list[str] = []
    for axis, names in enumerate(EDGES):
        pixel_cm2 = float(np.prod(spacing)) / spacing[axis] / 100
        for index, name in zip((0, -1), names, strict=True):
            face = np.take(lungs, index, axis=axis)
            area_cm2 = np.count_nonzero(face) * pixel_cm2
            if area_cm2 > EDGE_CM2:
                found.append(f"{area_cm2:.1f} cm2 at the {name}")
    open_cm2 = _open_cm2(volume, mask)
    if open_cm2 > EDGE_CM2:
        found.append(f"{open_cm2:.1f} cm2 at the rim of the field of view")
    if not found:
        return None
    text = (
        f"The lungs reach the edge of the scan: {', '.join(found)} (at most "
        f"{EDGE_CM2:.1f} cm2 is expected). What lies beyond was not assessed."
    )
    return Notice("lungs-cropped", text, STAGE)


def _open_cm2(volume: CTVolume, mask: Mask) -> float:
    """Measure where lung borders on the air or padding around the patient.

    A chest wall always lies between, so only a field of view can bring the two
    together.
    """
    from scipy.ndimage import binary_dilation  # noqa: PLC0415  slow to import

    small = volume.shrink((REDUCED_MM,) * 3)
    z, y, x = np.indices(small.grid.shape, sparse=True)
    factors = [
        max(1, round(coarse / fine))
        for coarse, fine in zip(
            small.grid.spacing_mm, volume.grid.spacing_mm, strict=True
        )
    ]
    at = [i * f + f // 2 for i, f in zip((z, y, x), factors, strict=True)]
    lungs = mask.voxels[at[0], at[1], at[2]] > 0
    spacing = small.grid.spacing_mm
    outside, _ = find_outside(small.hu, spacing_mm=spacing[2], air_hu=AIR_HU)
    in_plane = np.zeros((3, 3, 3), np.bool_)
    in_plane[1, 1, :] = in_plane[1, :, 1] = True
    near = binary_dilation(outside & ~lungs, in_plane)
    return float(np.count_nonzero(near & lungs) * spacing[0] * spacing[2] / 100)
