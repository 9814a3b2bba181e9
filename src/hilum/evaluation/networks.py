"""The networks over a folder of nodules: what `hilum evaluate nodules` prints."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from hilum.datasets import NoduleCase, load_nodule, read_nodules
from hilum.errors import InputError
from hilum.evaluation.nodules import (
    NoduleFigures,
    NoduleReading,
    judge_nodules,
    overlap_of,
)
from hilum.findings import Point
from hilum.runtime.outlines import outline_nodule
from hilum.runtime.predictor import load_predictor
from hilum.runtime.ratings import Calibration, rate_nodule, read_calibration
from hilum.space import Grid
from hilum.volume import CTVolume, Mask

OUTLINES = ("folder", "own")
"""Whose outline the ratings rest on: that of the folder, or of our own network."""


def evaluate_networks(
    folder: Path,
    *,
    malignancy: str = "malignancy",
    segmentation: str = "segmentation",
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, NoduleFigures]:
    """Outline and rate all nodules of a folder, and hold it against the readers.

    Each nodule is outlined from a place and a size such as a detector might give: 0.5
    to 1.5 mm off, and up to 20 % too large or small.

    Args:
        folder: See `hilum.datasets.nodules`.
        malignancy: Name or path of the weights that rate.
        segmentation: Name or path of the weights that outline.
        progress: Called with nodules done and nodules in all.

    Returns:
        For each of `OUTLINES` the figures; `dice` is that of our own outline.

    Raises:
        InputError: The folder cannot be read, or a nodule has no mask.
        WeightsError: The weights are absent, damaged or of another task.
    """
    rate, outline = load_predictor(malignancy), load_predictor(segmentation)
    calibration = read_calibration(rate.path)
    cases = read_nodules(folder)
    unmasked = [case.name for case in cases if case.mask is None]
    if unmasked:
        raise InputError(
            f"{len(unmasked)} nodules have no mask, such as `{unmasked[0]}`. "
            "Evaluation needs nodule_mask/ for every row."
        )
    readings: dict[str, list[NoduleReading]] = {name: [] for name in OUTLINES}
    overlaps: list[float] = []
    for number, case in enumerate(cases):
        volume, mask = load_nodule(case)
        place, size = detected(case, volume, mask)
        own = outline_nodule(volume, place, size, predict=outline, mirrored=1)
        overlaps.append(overlap_of(mask, own))
        if not own.voxels.any():
            own = _ball(volume.grid, place, size)
        for name, used in zip(OUTLINES, (mask, own), strict=True):
            readings[name].append(_read(volume, used, rate, calibration))
        if progress:
            progress(number + 1, len(cases))
    return {name: judge_nodules(cases, readings[name], overlaps) for name in OUTLINES}


def _read(
    volume: CTVolume, mask: Mask, predict: Callable[..., object], by: Calibration
) -> NoduleReading:
    said = rate_nodule(volume, mask, predict=predict, calibration=by)
    return NoduleReading(said.malignancy.value or 0.0, said.kind)


def detected(case: NoduleCase, volume: CTVolume, mask: Mask) -> tuple[Point, float]:
    """Say where and how large a detector would see a case; the same each time."""
    rng = np.random.default_rng([ord(letter) for letter in case.name])
    middle = mask.grid.to_world(np.argwhere(mask.voxels).mean(axis=0)).tolist()
    size = (6 * mask.volume_mm3 / np.pi) ** (1 / 3)
    place, size = as_detected((middle[0], middle[1], middle[2]), size, rng)
    last = np.array(volume.grid.shape) - 1  # it may end closer than we are off
    index = np.clip(volume.grid.to_index(place), 0, last)
    x, y, z = volume.grid.to_world(index).tolist()
    return (x, y, z), size


def as_detected(
    center_mm: Point, diameter_mm: float, rng: np.random.Generator
) -> tuple[Point, float]:
    """Move a centre by 0.5 to 1.5 mm, and change a diameter by up to 20 %."""
    way = rng.normal(size=3)
    way *= rng.uniform(0.5, 1.5) / np.linalg.norm(way)
    x, y, z = (np.array(center_mm) + way).tolist()
    return (x, y, z), diameter_mm * float(rng.uniform(0.8, 1.2))


def _ball(grid: Grid, center_mm: Point, diameter_mm: float) -> Mask:
    """Give the ball that a nodule was found as, at least its nearest voxel."""
    where = np.moveaxis(np.indices(grid.shape), 0, -1)
    off = np.linalg.norm(grid.to_world(where) - np.array(center_mm), axis=-1)
    return Mask((off <= diameter_mm / 2) | (off == off.min()), grid)
