"""Judge what networks say of a folder of rated nodules.

The truth is what readers said: malignant from a mean rating of 3.5 on, benign up to
2.5; those between are left out of the figures of malignancy. By the most frequent
rating, 4 and 5 against 1 and 2. Texture: ground glass up to a mean of 2, solid from
4 on, part-solid between.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from hilum.datasets import NoduleCase, load_nodule, read_nodules
from hilum.errors import InputError
from hilum.evaluation.agreement import balanced_accuracy, dice
from hilum.evaluation.calibration import expected_calibration_error
from hilum.evaluation.intervals import (
    Figure,
    Indices,
    Share,
    bootstrap,
    disjoint_pairs,
)
from hilum.evaluation.ranking import area_under_curve
from hilum.findings import Record
from hilum.volume import CTVolume, Mask

GROUND_GLASS_UP_TO = 2.0
SOLID_FROM = 4.0
MALIGNANT_FROM = 3.5
BENIGN_UP_TO = 2.5


@dataclass(frozen=True, slots=True, eq=False)
class NoduleReading:
    """What networks say of one nodule.

    Attributes:
        malignancy: Probability in [0, 1], calibrated.
        kind: 0 ground glass, 1 part-solid, 2 solid; None: not told.
        mask: Its voxels on the grid of the volume, or None.
    """

    malignancy: float
    kind: int | None = None
    mask: Mask | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NoduleFigures(Record):
    """What `hilum evaluate nodules` prints.

    Attributes:
        n: Nodules.
        patients: Patients.
        malignancy_auc: Malignancy against mean ratings.
        malignancy_auc_mode: Malignancy against most frequent ratings.
        diameter_auc: The diameter of the mask against mean ratings.
        diameter_auc_mode: The same against most frequent ratings.
        diagnosis_auc: Malignancy against `Diagnosis_value`.
        gain: malignancy_auc less diameter_auc, on the same nodules.
        ece: Expected calibration error against mean ratings.
        texture_balanced_accuracy: Of ground glass, part-solid and solid.
        dice: Mean overlap with the mask of the folder.
    """

    n: int
    patients: int
    malignancy_auc: Figure
    malignancy_auc_mode: Figure
    diameter_auc: Figure
    diameter_auc_mode: Figure
    diagnosis_auc: Figure
    gain: Figure
    ece: Figure
    texture_balanced_accuracy: Figure
    dice: Figure


Predict = Callable[[CTVolume, Mask], NoduleReading]


def evaluate_nodules(folder: Path, predict: Predict) -> NoduleFigures:
    """Read a folder of nodules, ask about each, and judge the answers.

    Args:
        folder: See `hilum.datasets.nodules`.
        predict: Takes the volume and the mask of a nodule.

    Raises:
        InputError: The folder cannot be read, or a nodule has no mask.
    """
    cases = read_nodules(folder)
    readings, overlaps = [], []
    for case in cases:
        volume, mask = load_nodule(case)
        reading = predict(volume, mask)
        found = reading.mask
        overlaps.append(np.nan if found is None else overlap_of(mask, found))
        readings.append(reading)
    return judge_nodules(cases, readings, overlaps)


def judge_nodules(
    cases: Sequence[NoduleCase],
    readings: Sequence[NoduleReading],
    overlaps: Sequence[float],
) -> NoduleFigures:
    """Compute the figures, each with its interval.

    Args:
        cases: The nodules.
        readings: What was said of each.
        overlaps: Dice of each mask that was found; NaN where none was.

    Raises:
        InputError: There is not one reading and one overlap for each case.
    """
    if not len(cases) == len(readings) == len(overlaps):
        raise InputError(
            f"Need a reading and an overlap for each of {len(cases)} nodules; got "
            f"{len(readings)} and {len(overlaps)}."
        )
    table = _Table(
        patients=np.array([case.patient for case in cases]),
        said=np.array([reading.malignancy for reading in readings], np.float64),
        wide=np.array([case.diameter_mm for case in cases], np.float64),
        kinds=_classes([reading.kind for reading in readings]),
    )
    mean = _numbers([case.ratings.malignancy for case in cases])
    mode = _numbers([case.mode_malignancy for case in cases])
    by_mean = _sides(mean, MALIGNANT_FROM, BENIGN_UP_TO)
    by_mode = _sides(mode, 4, 2)
    texture = _numbers([case.ratings.texture for case in cases])
    diagnosis = _classes([case.diagnosis for case in cases])
    overlap = np.asarray(overlaps, dtype=np.float64)
    return NoduleFigures(
        n=len(cases),
        patients=len(set(table.patients.tolist())),
        malignancy_auc=table.ranked(table.said, by_mean),
        malignancy_auc_mode=table.ranked(table.said, by_mode),
        diameter_auc=table.ranked(table.wide, by_mean),
        diameter_auc_mode=table.ranked(table.wide, by_mode),
        diagnosis_auc=table.ranked(table.said, diagnosis),
        gain=table.gain(by_mean),
        ece=table.calibration(by_mean),
        texture_balanced_accuracy=table.texture(_kinds(texture)),
        dice=_figure(
            table.patients,
            np.where(np.isnan(overlap), -1, 0),
            lambda i, _: float(overlap[i].mean()),
        ),
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Table:
    """What was said of each nodule; the truths that it is held against come later.

    Attributes:
        patients: (n,) names.
        said: (n,) probabilities of malignancy.
        wide: (n,) diameters in mm.
        kinds: (n,) classes of texture, -1 where none was told.
    """

    patients: npt.NDArray[np.str_]
    said: npt.NDArray[np.float64]
    wide: npt.NDArray[np.float64]
    kinds: npt.NDArray[np.int64]

    def ranked(
        self, score: npt.NDArray[np.float64], truth: npt.NDArray[np.int64]
    ) -> Figure:
        """Compute the area under the curve of a score."""
        score, patients = np.nan_to_num(score), self.patients
        return _figure(
            patients,
            truth,
            lambda i, t: area_under_curve(score[i], t > 0),
            lambda i, t: disjoint_pairs(patients[i], t > 0),
        )

    def gain(self, truth: npt.NDArray[np.int64]) -> Figure:
        """Compute by how much the area is larger than that of the diameter."""
        said, wide = self.said, np.nan_to_num(self.wide)

        def difference(i: npt.NDArray[np.int64], t: npt.NDArray[np.int64]) -> float:
            return area_under_curve(said[i], t > 0) - area_under_curve(wide[i], t > 0)

        return _figure(self.patients, truth, difference)

    def calibration(self, truth: npt.NDArray[np.int64]) -> Figure:
        """Compute the calibration error."""
        said = self.said
        return _figure(
            self.patients,
            truth,
            lambda i, t: expected_calibration_error(said[i], t > 0),
        )

    def texture(self, truth: npt.NDArray[np.int64]) -> Figure:
        """Compute the balanced accuracy where a kind was told."""
        known = np.where(self.kinds < 0, -1, truth)
        return _figure(
            self.patients,
            known,
            lambda i, t: balanced_accuracy(t, self.kinds[i]),
            lambda i, t: min(
                len(set(self.patients[i[t == kind]].tolist()))
                for kind in set(t.tolist())
            ),
        )


def _figure(
    patients: npt.NDArray[np.str_],
    truth: npt.NDArray[np.int64],
    statistic: Callable[[Indices, Indices], float],
    units: Callable[[Indices, Indices], int] | None = None,
) -> Figure:
    """Compute a figure over the cases whose truth is known: 0 or above.

    Both functions take numbers of cases and their truth; units make it a `Share`.
    """
    known = np.flatnonzero(truth >= 0)

    def of(i: Indices) -> float:
        return statistic(known[i], truth[known[i]])

    if units is None:
        return bootstrap(of, patients[known])
    share = Share(of, lambda i: units(known[i], truth[known[i]]))
    return bootstrap(share, patients[known])


def _numbers(values: Sequence[float | None]) -> npt.NDArray[np.float64]:
    """Make an array, NaN where there is no number."""
    return np.array([np.nan if v is None else float(v) for v in values])


def _classes(values: Sequence[int | None]) -> npt.NDArray[np.int64]:
    """Make an array, -1 where there is no class."""
    return np.array([-1 if v is None else int(v) for v in values], dtype=np.int64)


def _sides(
    rating: npt.NDArray[np.float64], high: float, low: float
) -> npt.NDArray[np.int64]:
    """Give 1 from `high` on, 0 up to `low`, -1 between and where there is none."""
    return np.where(rating >= high, 1, np.where(rating <= low, 0, -1))


def _kinds(texture: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """Give classes of mean texture ratings, -1 where there is none."""
    kinds = np.where(
        texture <= GROUND_GLASS_UP_TO, 0, np.where(texture < SOLID_FROM, 1, 2)
    )
    return np.where(np.isnan(texture), -1, kinds)


def overlap_of(truth: Mask, found: Mask) -> float:
    """Measure Dice over the whole volume; the mask may lie on a part of it."""
    whole = np.zeros(truth.grid.shape, bool)
    cells = np.argwhere(found.voxels)
    at = np.rint(truth.grid.to_index(found.grid.to_world(cells))).astype(int)
    inside = ((at >= 0) & (at < np.array(truth.grid.shape))).all(axis=1)
    whole[tuple(at[inside].T)] = True
    missed = int((~inside).sum())
    both = dice(truth.voxels > 0, whole)
    total = np.count_nonzero(truth.voxels) + np.count_nonzero(whole)
    return both * total / (total + missed) if missed else both
