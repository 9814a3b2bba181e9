"""Data sets: scans and what is known of them, and annotated nodules.

`open_dataset` recognises the layout of a folder and lists its scans as `Case`s.
A folder of nodules holds `nodules.csv`, `image/` and `nodule_mask/`: small volumes
of one nodule each, the mask of it under the same name, and what readers said of it.

The folder: `opening` tells the layouts apart, `cases` says what a case is, `luna16`,
`lidc_folder`, `dsb2017`, `nlst`, `plain` and `scans` each know one layout, `lidc` the
readers' XML, `walking` finds scans, `tables` reads CSV; `nodules` reads a folder of
nodules, `pieces` the small volumes, `folds` deals the patients.
"""

from hilum.datasets.cases import LAYOUTS, Case, DataSet, Gap, Layout
from hilum.datasets.folds import folds_by_patient
from hilum.datasets.nodules import NoduleCase, Ratings, load_nodule, read_nodules
from hilum.datasets.opening import open_dataset

__all__ = [
    "LAYOUTS",
    "Case",
    "DataSet",
    "Gap",
    "Layout",
    "NoduleCase",
    "Ratings",
    "folds_by_patient",
    "load_nodule",
    "open_dataset",
    "read_nodules",
]
