"""The CT that the lessons are shown on: a synthetic chest, or a scan of one's own.

A scene has a chest for the three planes, one axial slice in full resolution through a
nodule, and a box of voxels around that nodule. World points are LPS mm.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np

from hilum.errors import InputError
from hilum.findings import Point
from hilum.phantom import PhantomSettings, Truth, default_lesions, make_phantom
from hilum.phantom.settings import CENTER_MM
from hilum.volume import CTVolume, HUArray

SEED = 7
"""Whose chest the lessons show."""

BOX_MM = 36.0
"""Half the edge of the box around the nodule."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Scene:
    """A CT with a nodule in it.

    Attributes:
        label: What it is, in words; no name of a person or file.
        chest: Gives the whole chest, and where the nodule is in it; made when first
            asked for.
        slice_hu: (row, column) int16, the axial slice through the nodule.
        slice_mm: Distance of its rows and of its columns.
        place: Row and column of the nodule in the slice.
        around: A box of voxels around the nodule.
        center_mm: Of the nodule.
        diameter_mm: Of the nodule.
        truths: Gives what is known of all nodules of the chest; none of a scan of
            one's own.
    """

    label: str
    chest: Callable[[], tuple[CTVolume, Point]]
    slice_hu: HUArray
    slice_mm: tuple[float, float]
    place: tuple[float, float]
    around: CTVolume
    center_mm: Point
    diameter_mm: float
    truths: Callable[[], tuple[Truth, ...]] = tuple

    def cut(self, half: int) -> HUArray:
        """Cut a square of 2 half pixels out of the slice, around the nodule.

        Near the border of the slice it moves inwards; it never exceeds the slice.
        """
        rows = self.slice_hu.shape[0], self.slice_hu.shape[1]
        half = min(half, rows[0] // 2, rows[1] // 2)
        first = [
            int(np.clip(round(p) - half, 0, n - 2 * half))
            for p, n in zip(self.place, rows, strict=True)
        ]
        return self.slice_hu[
            first[0] : first[0] + 2 * half, first[1] : first[1] + 2 * half
        ]


@cache
def phantom_chest() -> tuple[CTVolume, tuple[Truth, ...]]:
    """Make the whole synthetic chest, coarsely, and what is known of it."""
    settings = PhantomSettings(
        seed=SEED, shape=(100, 192, 192), spacing_mm=(3.0, 1.8, 1.8)
    )
    phantom = make_phantom(settings)
    return phantom.volume, phantom.truths


def _chest_and_place() -> tuple[CTVolume, Point]:
    """Give the synthetic chest and its first nodule."""
    volume, truths = phantom_chest()
    return volume, truths[0].center_mm


def _chest_truths() -> tuple[Truth, ...]:
    """Give the truth of the synthetic chest."""
    return phantom_chest()[1]


@cache
def phantom_scene(rows: int = 512) -> Scene:
    """Make the scene of the synthetic chest.

    Args:
        rows: Rows and columns of the slice.
    """
    edge = 360.0 / rows
    first = default_lesions(SEED)[0]
    x, y, z = (c - f for c, f in zip(CENTER_MM, first.center_mm, strict=True))
    level = make_phantom(
        PhantomSettings(
            seed=SEED,
            shape=(1, rows, rows),
            spacing_mm=(2.5, edge, edge),
            shift_mm=(0.0, 0.0, z),
        )
    )
    _, row, column = level.volume.grid.to_index(level.truths[0].center_mm)
    box = make_phantom(
        PhantomSettings(
            seed=SEED,
            shape=(72, 104, 104),
            spacing_mm=(1.0, 0.7, 0.7),
            shift_mm=(x, y, z),
        )
    )
    return Scene(
        label=f"a synthetic chest (hilum.phantom, seed {SEED})",
        chest=_chest_and_place,
        slice_hu=level.volume.hu[0],
        slice_mm=(edge, edge),
        place=(float(row), float(column)),
        around=box.volume,
        center_mm=box.truths[0].center_mm,
        diameter_mm=box.truths[0].diameter_mm,
        truths=_chest_truths,
    )


def scan_scene(volume: CTVolume, center_mm: Point, diameter_mm: float) -> Scene:
    """Make the scene of a scan of one's own.

    Args:
        volume: The CT.
        center_mm: World point (x, y, z) of the nodule to show, inside the volume.
        diameter_mm: Of it.

    Raises:
        InputError: The point lies outside the volume.
    """
    index = volume.grid.to_index(center_mm)
    shape = volume.grid.shape
    inside = all(-0.5 <= i <= n - 0.5 for i, n in zip(index, shape, strict=True))
    if not inside:
        raise InputError(
            f"The nodule at {tuple(round(float(v), 1) for v in center_mm)} mm lies "
            "outside the volume. Is the point from another series?"
        )
    number = int(np.clip(round(float(index[0])), 0, shape[0] - 1))
    reach = [BOX_MM / mm for mm in volume.grid.spacing_mm]
    start = [max(int(i - r), 0) for i, r in zip(index, reach, strict=True)]
    stop = [min(int(i + r) + 2, n) for i, r, n in zip(index, reach, shape, strict=True)]
    return Scene(
        label="your CT",
        chest=lambda: (volume, center_mm),
        slice_hu=volume.hu[number],
        slice_mm=volume.grid.spacing_mm[1:],
        place=(float(index[1]), float(index[2])),
        around=volume.crop((start[0], start[1], start[2]), (stop[0], stop[1], stop[2])),
        center_mm=center_mm,
        diameter_mm=diameter_mm,
    )
