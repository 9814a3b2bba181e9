"""A folder of nodules: what is in it, and what readers said of each.

    nodules.csv          patient_id, file; more columns as they are known
    image/FILE           the nodule and its surroundings, NIfTI in HU
    nodule_mask/FILE     the voxels of the nodule, on the same grid

Of the columns only `patient_id` and `file` must be there. `seriesuid`, `coordX`,
`coordY`, `coordZ` (LPS mm) and `diameter_mm` tell where and how large it is;
`malignancy_mean` and the other `*_mean` are means of the readers' ratings, `readers`
how many there were; `Malignancy_value` and the other `*_value` their most frequent
rating, and `Diagnosis_value` is 1 for malignant, 0 for benign.

Sources:
    Armato et al., "The Lung Image Database Consortium (LIDC) and Image Database
    Resource Initiative (IDRI)", Med Phys 2011;38:915 (the scales of the ratings).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from hilum._names import name_of
from hilum.datasets.pieces import read_piece, read_piece_mask
from hilum.datasets.tables import NOTHING, number_in, read_rows
from hilum.errors import InputError
from hilum.findings import Point, Record
from hilum.volume import CTVolume, Mask

_NEEDED = ("patient_id", "file")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ratings(Record):
    """Ratings on the scales of LIDC, 1 to 5 (calcification 1 to 6); None: unknown."""

    malignancy: float | None = None
    subtlety: float | None = None
    sphericity: float | None = None
    margin: float | None = None
    lobulation: float | None = None
    spiculation: float | None = None
    texture: float | None = None
    calcification: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NoduleCase:
    """One nodule of a folder.

    Attributes:
        patient: Who has it; what splits go by.
        name: Name of its files.
        image: The volume around it.
        mask: Its voxels, or None where there is no such file.
        diameter_mm: Of the sphere of the mask's volume; without a mask what the
            table says, NaN where that says nothing.
        table_diameter_mm: What the table says, or None.
        ratings: Means of the readers' ratings.
        modes: Their most frequent ratings, the lower of a tie.
        diagnosis: Whether it is said to be malignant, or None.
        readers: How many readers rated it, or None.
        series_uid: The series that it was cut from, or "".
        center_mm: World point (x, y, z), or None.
    """

    patient: str
    name: str
    image: Path
    mask: Path | None
    diameter_mm: float
    table_diameter_mm: float | None
    ratings: Ratings
    modes: Ratings
    diagnosis: bool | None
    readers: int | None
    series_uid: str = ""
    center_mm: Point | None = None

    @property
    def mode_malignancy(self) -> float | None:
        """The most frequent malignancy rating, the lower of a tie."""
        return self.modes.malignancy


def read_nodules(folder: Path) -> tuple[NoduleCase, ...]:
    """Read what is known of the nodules of a folder, and measure their masks.

    Args:
        folder: Holds nodules.csv, image/ and nodule_mask/.

    Returns:
        In the order of the table.

    Raises:
        InputError: The table is absent, empty or lacks a column, names a file twice
            or one that is not there, or holds something that is not a number;
            a mask is damaged.
    """
    table = folder / "nodules.csv"
    if not table.is_file():
        raise InputError(
            f"Cannot read `nodules.csv` in `{name_of(folder)}`: there is none. Give "
            "the folder that holds nodules.csv, image/ and nodule_mask/."
        )
    rows = read_rows(table, _NEEDED)
    if not rows:
        raise InputError(
            f"`nodules.csv` has no rows. Each nodule needs one with "
            f"{' and '.join(_NEEDED)}."
        )
    names = [row["file"] for row in rows]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError(
            f"`nodules.csv` names {len(twice)} files more than once, such as "
            f"`{twice[0]}`. Each nodule needs a volume of its own."
        )
    return tuple(_case(folder, row, line) for line, row in enumerate(rows, start=2))


def load_nodule(case: NoduleCase) -> tuple[CTVolume, Mask]:
    """Read the voxels of a nodule.

    Args:
        case: Out of `read_nodules`.

    Returns:
        The volume around it and its mask, on one grid, canonical.

    Raises:
        InputError: A file is absent or damaged, the mask is of another grid or
            empty, or there is none.
    """
    if case.mask is None:
        raise InputError(
            f"`{case.name}` has no mask in nodule_mask/. Segment it first, with "
            "hilum.stages.measure.segment_nodule."
        )
    volume, mask = read_piece(case.image), read_piece_mask(case.mask)
    if not mask.grid.same_as(volume.grid, atol_mm=0.01):
        raise InputError(
            f"`{case.name}`: image and mask lie on different grids, "
            f"{volume.grid.shape} and {mask.grid.shape}. Resample the mask first."
        )
    if not mask.voxels.any():
        raise InputError(
            f"`{case.name}`: the mask has no voxel set. Take its row out of the table."
        )
    return volume, Mask(mask.voxels, volume.grid)


def _case(folder: Path, row: dict[str, str], line: int) -> NoduleCase:
    """Make a case from a row, counted as an editor counts."""
    name = row["file"]
    if not name or Path(name).name != name or not row["patient_id"]:
        raise InputError(
            f"Line {line} of `nodules.csv` has file {name!r}; expected the name of a "
            "file in image/, without folders, and a patient_id."
        )
    image, mask = folder / "image" / name, folder / "nodule_mask" / name
    if not image.is_file():
        raise InputError(
            f"Line {line} of `nodules.csv` names `{name}`, which is not in image/. "
            "Copy it there, or take the row out."
        )
    stated = _number(row, "diameter_mm", line)
    diameter = stated if stated is not None else math.nan
    if mask.is_file():
        volume_mm3 = read_piece_mask(mask).volume_mm3
        diameter = float((6 * volume_mm3 / np.pi) ** (1 / 3))
    center = [_number(row, f"coord{axis}", line) for axis in "XYZ"]
    x, y, z = center
    diagnosis = _number(row, "Diagnosis_value", line)
    readers = _number(row, "readers", line)
    return NoduleCase(
        patient=row["patient_id"],
        name=name,
        image=image,
        mask=mask if mask.is_file() else None,
        diameter_mm=diameter,
        table_diameter_mm=stated,
        ratings=_ratings(row, line, "{}_mean"),
        modes=_ratings(row, line, "{}_value"),
        diagnosis=None if diagnosis is None else diagnosis > 0,
        readers=None if readers is None else int(readers),
        series_uid=row.get("seriesuid") or "",
        center_mm=None if x is None or y is None or z is None else (x, y, z),
    )


def _ratings(row: dict[str, str], line: int, column: str) -> Ratings:
    """Read all ratings of a row; 0 and below stand for none."""
    found = {}
    for item in fields(Ratings):
        name = item.name.capitalize() if column.endswith("value") else item.name
        value = _number(row, column.format(name), line)
        found[item.name] = value if value is not None and value > 0 else None
    return Ratings(**found)


def _number(row: dict[str, str], column: str, line: int) -> float | None:
    """Read a number; None where the column or its value is missing."""
    return number_in(row, column, f"Line {line} of `nodules.csv`", missing=NOTHING)
