"""What the values of a chest CT look like, whatever file they come from."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

AIR_AT_LEAST = 0.001
TISSUE_AT_LEAST = 0.001
AIR_BELOW_HU = -500
TISSUE_ABOVE_HU = -200


def find_implausible(hu: npt.NDArray[np.int16]) -> str | None:
    """Say why values are not the Hounsfield units of a chest, or None.

    Masks, pictures and shifted or normalised values lack air or tissue: one of
    them fills less than one voxel in a thousand.

    Args:
        hu: (slice, row, column).

    Returns:
        The end of a sentence that starts with what holds them: "holds values ...".

    Example:
        >>> find_implausible(np.array([[[-1000, 40]]], np.int16)) is None
        True
    """
    air = sum(int(np.count_nonzero(part < AIR_BELOW_HU)) for part in hu)
    tissue = sum(int(np.count_nonzero(part > TISSUE_ABOVE_HU)) for part in hu)
    if air >= AIR_AT_LEAST * hu.size and tissue >= TISSUE_AT_LEAST * hu.size:
        return None
    return (
        f"holds values from {hu.min()} to {hu.max()}, {air / hu.size:.2%} of them "
        f"below {AIR_BELOW_HU} and {tissue / hu.size:.2%} above {TISSUE_ABOVE_HU}. A "
        "chest CT in HU has both air, near -1000, and tissue, near 0. Give HU: not a "
        "mask, a picture, or values shifted or scaled to another range."
    )
