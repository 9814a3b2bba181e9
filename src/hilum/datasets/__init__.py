"""Annotated nodules to train on and to be judged by.

A folder of nodules holds `nodules.csv`, `image/` and `nodule_mask/`: small volumes
of one nodule each, the mask of it under the same name, and what readers said of it.

The folder: `nodules` reads such a folder, `pieces` the small volumes, `folds` deals
the patients, `patches` samples a nodule on a grid of its own.
"""

from hilum.datasets.folds import folds_by_patient
from hilum.datasets.nodules import NoduleCase, Ratings, load_nodule, read_nodules

__all__ = [
    "NoduleCase",
    "Ratings",
    "folds_by_patient",
    "load_nodule",
    "read_nodules",
]
