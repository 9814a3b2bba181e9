"""Which patients are left out together; no patient is ever split."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from hilum.datasets.nodules import NoduleCase
from hilum.errors import InputError

_MIDDLE = 3.0


def folds_by_patient(
    cases: Sequence[NoduleCase], folds: int = 5, seed: int = 0
) -> npt.NDArray[np.int64]:
    """Deal the patients into folds that are alike in size and malignancy.

    Patients are ranked by the mean malignancy rating of their nodules and dealt from
    the top, one to each fold in a random order. The order of the cases plays no part.

    Args:
        cases: Nodules, in any order.
        folds: How many folds, at least 2.
        seed: Of the random order.

    Returns:
        (n,) the fold of each case, 0 to folds - 1.

    Raises:
        InputError: There are fewer patients than folds.
    """
    ratings: dict[str, list[float]] = {}
    for case in cases:
        rating = case.ratings.malignancy
        rating = case.mode_malignancy if rating is None else rating
        ratings.setdefault(case.patient, []).append(
            _MIDDLE if rating is None else rating
        )
    if not 2 <= folds <= len(ratings):
        raise InputError(
            f"Cannot deal {len(ratings)} patients into {folds} folds; expected at "
            "least 2 folds and a patient for each. Use fewer folds or more patients."
        )
    rng = np.random.default_rng(seed)
    patients = rng.permutation(sorted(ratings)).tolist()
    patients.sort(key=lambda p: float(np.mean(np.sort(ratings[p]))))
    fold_of: dict[str, int] = {}
    for start in range(0, len(patients), folds):
        dealt = rng.permutation(folds).tolist()
        for patient, fold in zip(patients[start : start + folds], dealt, strict=False):
            fold_of[patient] = fold
    return np.array([fold_of[case.patient] for case in cases], dtype=np.int64)
