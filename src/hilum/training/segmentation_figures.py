"""How well nodules are outlined, from where a detector would say they are.

That is 0.5 to 1.5 mm beside the centre, with a diameter up to 20 % off.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from hilum.datasets import NoduleCase
from hilum.evaluation.networks import detected
from hilum.runtime.outlines import nodule_probabilities, outline_nodule
from hilum.volume import CTVolume, Mask

Piece = tuple[CTVolume, Mask]
Numbers = npt.NDArray[np.float64]

_LEVELS = np.linspace(0.2, 0.7, 51)
_MOST_CASES = 160


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlined:
    """How one nodule was outlined by the network of its fold.

    Attributes:
        name: Of its files.
        patient: Who has it.
        fold: Which network outlined it: the one that never saw the patient.
        dice: Overlap with the readers' mask, over the whole small volume.
        volume_mm3: As outlined.
        readers_mm3: Of the readers' mask.
    """

    name: str
    patient: str
    fold: int
    dice: float
    volume_mm3: float
    readers_mm3: float


def judge(
    model: Any, cases: Sequence[NoduleCase], pieces: Sequence[Piece], *, fold: int = 0
) -> list[Outlined]:
    """Outline nodules from where a detector would see them, and compare.

    Args:
        model: A Keras model or a predictor.
        cases: The nodules; of patients that it never saw.
        pieces: The volume and mask of each.
        fold: Noted with each.
    """
    results = []
    for case, (volume, mask) in zip(cases, pieces, strict=True):
        center, diameter = detected(case, volume, mask)
        found = outline_nodule(volume, center, diameter, predict=as_function(model))
        inside = _spread(found, mask)
        true = mask.voxels > 0
        both = np.count_nonzero(inside & true)
        total = np.count_nonzero(inside) + np.count_nonzero(true)
        results.append(
            Outlined(
                name=case.name,
                patient=case.patient,
                fold=fold,
                dice=2 * both / total,
                volume_mm3=found.volume_mm3,
                readers_mm3=mask.volume_mm3,
            )
        )
    return results


def as_function(model: Any) -> Any:
    """Make a Keras model a function of arrays; a predictor is one."""
    if not isinstance(model, keras.Model):
        return model
    return lambda x: keras.ops.convert_to_numpy(model(x, training=False))


def summarise(outlined: Sequence[Outlined], draws: int = 2000) -> dict[str, Any]:
    """Average over nodules, with 95 % intervals from a bootstrap over patients.

    Returns:
        "dice", "volume_error_median" (of the readers' volume), "volume_ratio_median",
        each with "value", "low" and "high"; "n" nodules and "patients".
    """
    dice = np.array([o.dice for o in outlined])
    ratio = np.array([o.volume_mm3 / o.readers_mm3 for o in outlined])
    patients, member = np.unique([o.patient for o in outlined], return_inverse=True)
    groups = [np.flatnonzero(member == n) for n in range(len(patients))]
    rng = np.random.default_rng(0)
    drawn = [
        np.concatenate([groups[n] for n in rng.integers(0, len(groups), len(groups))])
        for _ in range(draws)
    ]
    figures: dict[str, tuple[Any, Numbers]] = {
        "dice": (np.mean, dice),
        "volume_error_median": (np.median, np.abs(ratio - 1)),
        "volume_ratio_median": (np.median, ratio),
    }
    summary: dict[str, Any] = {"n": len(outlined), "patients": len(patients)}
    for name, (average, values) in figures.items():
        low, high = np.percentile([average(values[d]) for d in drawn], [2.5, 97.5])
        summary[name] = {
            "value": float(average(values)),
            "low": float(low),
            "high": float(high),
        }
    return summary


def level_volumes(
    model: keras.Model, cases: Sequence[NoduleCase], pieces: Sequence[Piece]
) -> float:
    """Shift the last bias so that a threshold of 0.5 outlines the right volumes.

    The loss cares for overlap, and half of the nodules may come out too small. The
    threshold at which the median volume is the readers' becomes 0.5.

    Args:
        model: Ends with the sigmoid layer "nodule"; changed in place.
        cases: Nodules that it was **trained** on; 160 of them are looked at.
        pieces: The volume and mask of each.

    Returns:
        The threshold that became 0.5.
    """
    chosen = np.unique(np.linspace(0, len(cases) - 1, _MOST_CASES).astype(int))
    ratios = []
    for n in chosen.tolist():
        volume, mask = pieces[n]
        center, diameter = detected(cases[n], volume, mask)
        found, grid = nodule_probabilities(
            volume, center, diameter, predict=as_function(model)
        )
        above = found.ravel()[:, None] > _LEVELS
        ratios.append(above.sum(axis=0) * grid.voxel_mm3 / mask.volume_mm3)
    median = np.median(ratios, axis=0)  # falls as the threshold rises
    level = float(np.interp(-1.0, -median, _LEVELS))
    bias = model.get_layer("nodule").bias
    bias.assign_sub(np.full(bias.shape, np.log(level / (1 - level)), np.float32))
    return level


def _spread(found: Mask, like: Mask) -> npt.NDArray[np.bool_]:
    """Lay a mask on a part of a grid onto the whole of it."""
    start = like.grid.to_index(found.grid.to_world((0, 0, 0)))
    z, y, x = (
        slice(a, a + n)
        for a, n in zip(np.rint(start).astype(int), found.grid.shape, strict=True)
    )
    inside = np.zeros(like.grid.shape, bool)
    inside[z, y, x] = found.voxels
    return inside
