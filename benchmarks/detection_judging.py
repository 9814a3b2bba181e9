"""What the marks of a nodule detector found, as `match` tells, in tables and pictures.

Used by `detection.py` and `second_look.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from froc_classical import Outcome, found_at, interval_at
from PIL import Image

from hilum.evaluation.froc import RATES
from hilum.evaluation.froc_figure import froc_axes, write_axes
from hilum.report.images import key_image
from hilum.volume import CTVolume


def row(name: str, outcomes: Sequence[Outcome]) -> str:
    """Give a line of the table: found at each rate, and their mean share."""
    found = [found_at(outcomes, rate) for rate in RATES]
    targets = sum(len(o.hits) for o in outcomes)
    share = float(np.mean(found)) / max(targets, 1)
    cells = " ".join(f"{n:4}" for n in found)
    return f"{name:38}{cells}  of {targets:3}  mean {share:.3f}"


def draw_misses(outcome: Outcome, volume: CTVolume, folder: Path) -> None:
    """Draw what ranks below the eighth false positive, in three planes."""
    folder.mkdir(parents=True, exist_ok=True)
    ordered = sorted(outcome.false_scores, reverse=True)
    for target, hit in zip(outcome.targets, outcome.hits, strict=True):
        worse = sum(score > hit for score in ordered)
        if hit < 0 or worse >= 1:
            images = [
                key_image(volume, target.center_mm, plane, size_mm=60.0).grey
                for plane in ("axial", "coronal", "sagittal")
            ]
            name = f"{outcome.patient}-{target.diameter_mm:.0f}mm-after-{worse}.png"
            Image.fromarray(np.hstack(images)).save(folder / name)


def draw_curves(
    groups: Mapping[str, Sequence[Outcome]], path: Path, *, title: str
) -> None:
    """Draw FROC curves on one plot, each with its band.

    Args:
        groups: Name of a detector to what it found; all of the same scans.
        path: Where, a PNG.
        title: Above it.
    """
    axes = froc_axes(title)
    fine = np.union1d(np.geomspace(1 / 11, 16, 60), RATES)
    for number, (name, outcomes) in enumerate(groups.items()):
        targets = sum(len(o.hits) for o in outcomes)
        band = np.array([interval_at(outcomes, rate) for rate in fine])
        axes.fill_between(
            fine, band[:, 0], band[:, 1], step="post", alpha=0.15, color=f"C{number}"
        )
        curve = [found_at(outcomes, rate) / targets for rate in fine]
        axes.step(fine, curve, where="post", label=name, color=f"C{number}")
    write_axes(axes, path)
