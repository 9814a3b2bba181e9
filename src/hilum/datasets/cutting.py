"""Cut the nodules that readers outlined out of their scans: a folder of nodules.

What `hilum train malignancy` and `hilum train segmentation` learn from. Each nodule
comes with the tissue around it, so that surroundings need not be made up.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields
from pathlib import Path

import numpy as np

from hilum._names import name_of, stem_of
from hilum.datasets.cases import Case, DataSet
from hilum.datasets.left_out import LeftOut, Told, write_left_out
from hilum.datasets.lidc import Reading, ReadNodule
from hilum.datasets.lidc_folder import load_readings
from hilum.datasets.nodules import Ratings
from hilum.datasets.tables import read_rows
from hilum.errors import InputError
from hilum.formats import write_mask, write_volume
from hilum.formats.atomic import replacing, writing
from hilum.sources import read_ct
from hilum.space import Index
from hilum.volume import CTVolume, Mask

MARGIN_MM = 15.0
"""Tissue on each side: what a patch of a nodule of 30 mm shows beyond it."""
LEAST_MARGIN = (2, 20, 20)
"""The same in voxels, for wide ones: lung that training can set behind others."""
_POINT = ("coordX", "coordY", "coordZ")
_RATINGS = tuple(item.name for item in fields(Ratings))


def cut_nodules(
    data: DataSet,
    out: Path,
    *,
    talk: Callable[[str], None] = lambda _: None,
    told: Told = lambda _: None,
) -> int:
    """Cut the nodules of a data set of LIDC's kind, and write them as a folder.

    A scan is in memory at a time. A folder that was begun goes on after the last
    whole scan. A scan that cannot be read is told, listed and left out.

    Args:
        data: With reader files.
        out: Gets nodules.csv, image/ and nodule_mask/; see `hilum.datasets.nodules`;
            and left_out.csv, see `hilum.datasets.left_out`.
        talk: Told of each scan.
        told: Called with each scan that is left out.

    Returns:
        How many nodules there are.

    Raises:
        InputError: There are no reader files or no nodule in them, none of the scans
            can be read, or the folder cannot be written.
    """
    readings = load_readings(data)
    if not readings:
        raise InputError(
            f"`{name_of(data.folder)}` has no outlines of readers, and masks and "
            "ratings are learned from outlines, not from boxes or labels. Give a "
            "folder of LIDC with its reader files, or one with nodules.csv, image/ and "
            "nodule_mask/."
        )
    rows: list[dict[str, str]] = []
    left_out: list[LeftOut] = []
    with writing(out):
        for name in ("image", "nodule_mask", "scans"):
            (out / name).mkdir(parents=True, exist_ok=True)
    for number, case in enumerate(data.cases, start=1):
        reading = readings.get(case.series_uid or case.id)
        if reading is None:
            continue
        talk(f"scan {number} of {len(data)}")
        done = out / "scans" / f"{stem_of(reading.series_uid)}.csv"
        if not done.exists():
            try:
                volume = read_ct(case.source, series_uid=case.series_uid)
            except InputError as error:
                left_out.append(LeftOut(reading.series_uid, "unreadable", str(error)))
                told(left_out[-1])
                continue
            _write_table(done, list(_cut_case(case, volume, reading, out)))
        rows += read_rows(done, ("file",))
    _refuse_none(rows, left_out, data)
    write_left_out(left_out, out)
    _write_table(out / "nodules.csv", rows)
    return len(rows)


def _refuse_none(
    rows: Sequence[dict[str, str]], left_out: Sequence[LeftOut], data: DataSet
) -> None:
    """Refuse a data set of which no nodule came, saying whose fault that is."""
    if not rows and left_out:
        raise InputError(
            f"{len(left_out)} of {len(data)} scans cannot be read, and the others have "
            f"no nodule. The first: {left_out[0].message}"
        )
    if not rows:
        raise InputError(
            f"The readers outlined no nodule in the {len(data)} scans of "
            f"`{name_of(data.folder)}`. Are the reader files of other scans?"
        )


def _cut_case(
    case: Case, volume: CTVolume, reading: Reading, out: Path
) -> Iterator[dict[str, str]]:
    """Cut the nodules of one scan."""
    for number, nodule in enumerate(reading.nodules(volume.grid), start=1):
        name = f"{stem_of(volume.series_uid[-12:])}_{number}.nii.gz"
        piece, mask = cut(volume, nodule)
        write_volume(piece, out / "image" / name)
        write_mask(mask, out / "nodule_mask" / name)
        yield _row(case, nodule, name)


def cut(volume: CTVolume, nodule: ReadNodule) -> tuple[CTVolume, Mask]:
    """Cut one nodule out, with tissue around it as far as the scan goes.

    Args:
        volume: The scan.
        nodule: With indices of its voxels.

    Returns:
        The piece, and the mask on its grid.
    """
    wide = np.ceil(MARGIN_MM / np.array(volume.grid.spacing_mm)).astype(np.int64)
    margin = np.maximum(wide, LEAST_MARGIN)
    low = np.maximum(nodule.voxels.min(axis=0) - margin, 0)
    high = np.minimum(nodule.voxels.max(axis=0) + margin + 1, volume.hu.shape)
    start, stop = _index(low), _index(high)
    piece = volume.crop(start, stop)
    inside = np.zeros(piece.hu.shape, bool)
    inside[tuple((nodule.voxels - low).T)] = True
    return piece, Mask(inside, piece.grid)


def _row(case: Case, nodule: ReadNodule, name: str) -> dict[str, str]:
    found = nodule.annotation
    row = {"patient_id": case.patient, "file": name, "seriesuid": found.series_uid}
    places = zip(_POINT, found.center_mm, strict=True)
    row |= {axis: f"{value:.4f}" for axis, value in places}
    row |= {"diameter_mm": f"{found.diameter_mm:.4f}", "readers": str(found.readers)}
    for rating in _RATINGS:
        mean = getattr(nodule.ratings, rating)
        row[f"{rating}_mean"] = "" if mean is None else f"{mean:.4f}"
    return row


def _write_table(path: Path, rows: list[dict[str, str]]) -> None:
    text = io.StringIO()
    columns = ["patient_id", "file", "seriesuid", *_POINT, "diameter_mm", "readers"]
    columns += [f"{rating}_mean" for rating in _RATINGS]
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    with writing(path), replacing(path) as file:
        file.write(text.getvalue().encode())


def _index(values: np.ndarray[tuple[int, ...], np.dtype[np.int64]]) -> Index:
    z, y, x = values.tolist()
    return z, y, x
