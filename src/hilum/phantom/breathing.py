"""Another depth of breath: a smooth field by which organs and vessels move.

The diaphragm sinks by `breath_mm`, what lies above it moves less, the apex and what
lies well below the diaphragm not at all; the back of the lung moves more than the
front. The ribs follow the wall that they lie on; spine and outline of the body stay.
Lesions move as they are, without a
change of shape, so that their volume stays exactly known.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from hilum._threads import in_threads
from hilum.phantom.anatomy import (
    FIELDS,
    START_MM,
    STEP_MM,
    Anatomy,
    build_anatomy,
)
from hilum.phantom.person import Person

Doubles = npt.NDArray[np.float64]

STILL = ("body", "muscle", "spine", "couch")
"""Organs that no breath moves."""

_APEX_MM = 125.0
_DOME_MM = -75.0
_BELOW_MM = (-95.0, -205.0)
_BACK_SHARE = 0.2
_BACK_MM = 120.0


def breath_shift(person: Person, points: npt.ArrayLike, breath_mm: float) -> Doubles:
    """Say how far points of a person move when the breath is deeper.

    Args:
        person: Who.
        points: (..., 3) points (x, y, z) where they are at the first breath, mm.
        breath_mm: How far the diaphragm sinks; below 0 it rises.

    Returns:
        (..., 3) shifts (x, y, z) in mm.
    """
    points = np.asarray(points, dtype=np.float64)
    shift = np.zeros_like(points)
    height = points[..., 2] / person.scale[0]
    back = np.clip(points[..., 1] / person.scale[1] / _BACK_MM, -1, 1)
    sunk = _smooth((_APEX_MM - height) / (_APEX_MM - _DOME_MM))
    sunk = sunk * _smooth((height - _BELOW_MM[1]) / (_BELOW_MM[0] - _BELOW_MM[1]))
    shift[..., 2] = -breath_mm * sunk * (1 + _BACK_SHARE * back)
    return shift


@lru_cache(maxsize=2)
def breathing_anatomy(person: Person, breath_mm: float) -> Anatomy:
    """Draw the organs of a person at another depth of breath.

    Args:
        person: Whose.
        breath_mm: How far the diaphragm sinks.
    """
    from scipy.ndimage import map_coordinates  # noqa: PLC0415  slow to import

    anatomy = build_anatomy(person)
    if breath_mm == 0:
        return anatomy
    fields = anatomy.fields.copy()
    moving = [n for n, name in enumerate(FIELDS) if name not in STILL]

    def part(first: int, last: int) -> None:
        index = np.indices((last - first, *fields.shape[2:]), dtype=np.float64)
        index[0] += first
        points = _points(person, index)
        from_mm = points.copy()
        for _ in range(6):  # steepest is 0.3, so what is left is below 0.03 mm
            from_mm = points - breath_shift(person, from_mm, breath_mm)
        index[0] = (from_mm[..., 2] / person.scale[0] - START_MM[0]) / STEP_MM
        for n in moving:
            fields[n, first:last] = map_coordinates(
                anatomy.fields[n], index, np.float32, order=1, mode="nearest"
            )

    in_threads(part, fields.shape[1])
    fields.setflags(write=False)
    return Anatomy(person, fields)


def _points(person: Person, index: Any) -> Doubles:
    """Give the points (x, y, z) of nodes of the coarse grid."""
    scale = np.array(person.scale)
    zyx = np.moveaxis(index, 0, -1) * STEP_MM + np.array(START_MM)
    return np.asarray((zyx * scale)[..., ::-1])


def _smooth(share: Doubles) -> Doubles:
    """Go from 0 to 1 without a corner."""
    share = np.clip(share, 0, 1)
    return np.asarray(share * share * (3 - 2 * share))
