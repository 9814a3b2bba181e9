"""How sure a measured size is: half the width of its 95 % interval.

What blur, noise and slices do to a nodule of known size is little, a few tenths of a
millimetre. Most of the doubt is about what belongs to the nodule: where a vessel
begins, whether a faint rim counts. There readers differ among themselves, and so does
this stage from them; the further the two outlines are apart, the more.

The numbers: docs/explanation/measurement.md.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from hilum.findings import Nodule

NOT_OUTLINED = "nodule-not-outlined"
JOINED = "nodule-joined"

_LEAST_MM = 0.5
_SHARE = 0.08
_SLICE_SHARE = 0.1
_SUBSOLID_SHARE = 0.05
_APART_SHARE = 0.5
_JOINED_SHARE = 0.15
_NOT_OUTLINED_SHARE = 0.5
_VOLUME_TIMES = 3.0


@dataclass(frozen=True, slots=True)
class Doubt:
    """Half the widths of the 95 % intervals of a size.

    Attributes:
        diameter_mm: Of the mean diameter.
        volume_mm3: Of the volume.
    """

    diameter_mm: float
    volume_mm3: float


def doubt_of(
    nodule: Nodule, *, slice_mm: float, apart: float, codes: frozenset[str]
) -> Doubt:
    """Tell how far off a size may be.

    Args:
        nodule: Measured.
        slice_mm: Spacing of the slices.
        apart: Size as drawn by size at the edge, 1 where both are alike.
        codes: Of the notices on its outline.

    Example:
        >>> from hilum.findings import Nodule
        >>> nodule = Nodule(
        ...     center_mm=(0, 0, 0), diameter_mm=10.0, long_axis_mm=10.0,
        ...     short_axis_mm=10.0, volume_mm3=523.6, type="solid",
        ...     solid_diameter_mm=10.0, side=None, detection_score=1.0)
        >>> doubt_of(nodule, slice_mm=1.0, apart=1.0, codes=frozenset()).diameter_mm
        1.4
    """
    share = _SHARE + _APART_SHARE * abs(math.log(apart))
    if nodule.type in ("part-solid", "ground-glass"):
        share += _SUBSOLID_SHARE
    if JOINED in codes:
        share += _JOINED_SHARE
    if NOT_OUTLINED in codes:
        share = _NOT_OUTLINED_SHARE
    error_mm = _LEAST_MM + _SLICE_SHARE * slice_mm + share * nodule.diameter_mm
    times = error_mm / nodule.diameter_mm
    return Doubt(
        round(error_mm, 2), round(_VOLUME_TIMES * times * nodule.volume_mm3, 1)
    )
