"""Where nodules to train on come from: a folder of them, or a data set of LIDC."""

from __future__ import annotations

from pathlib import Path

from hilum.datasets.cutting import cut_nodules
from hilum.datasets.left_out import Told, read_left_out
from hilum.datasets.opening import open_dataset


def nodules_of(data: Path, out: Path, *, told: Told = lambda _: None) -> Path:
    """Give a folder of nodules, cut out of their scans where that is needed.

    Args:
        data: A folder of nodules, or a data set with reader files of LIDC.
        out: Folder of the run; gets nodules/ when they have to be cut out, once.
        told: Called with each scan that is left out, for it cannot be read.

    Returns:
        A folder with nodules.csv, image/ and nodule_mask/.

    Raises:
        InputError: `data` is neither, or none of its scans can be read.
    """
    if (Path(data) / "nodules.csv").is_file():
        return Path(data)
    cut = out / "nodules"
    if not (cut / "nodules.csv").is_file():
        cut_nodules(open_dataset(data), cut, told=told)
        return cut
    for item in read_left_out(cut):
        told(item)
    return cut
