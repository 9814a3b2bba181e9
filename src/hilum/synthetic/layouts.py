"""Write a small synthetic copy of a data set, laid out as the real one is.

Patients, labels and dates are made up. What the makers of a data set left untidy is
there too: LUNA16 as .raw and as .zraw, patients of NLST without CT.
"""

from __future__ import annotations

import csv
import hashlib
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from hilum._names import name_of
from hilum.datasets.cutting import cut_nodules
from hilum.datasets.opening import open_dataset
from hilum.errors import InputError
from hilum.formats import write_volume
from hilum.formats.atomic import writing
from hilum.phantom import Phantom, PhantomSettings, make_phantom, write_phantom
from hilum.space import Index, Spacing
from hilum.synthetic.readers import write_readings

_BOXES = ("seriesuid", "coordX", "coordY", "coordZ", "diameter_mm")
_HEALTHY = 3
"""Every third scan has no nodule."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExampleSettings:
    """How large a copy is.

    Attributes:
        cases: Scans, at least 1.
        seed: Of the first patient; the others follow.
        shape: Of each scan, voxels along (slice, row, column).
        spacing_mm: Of each scan, along (slice, row, column).
    """

    cases: int = 3
    seed: int = 0
    shape: Index = (60, 128, 128)
    spacing_mm: Spacing = (5.0, 2.8, 2.8)

    def __post_init__(self) -> None:
        """Refuse a copy of nothing."""
        if not 1 <= self.cases <= 10_000:
            raise InputError(f"An example has 1 to 10,000 scans; got {self.cases}.")

    def phantoms(self) -> list[PhantomSettings]:
        """Give the settings of each scan."""
        return [self.scan(number) for number in range(self.cases)]

    def scan(self, number: int, *, again: int = 1) -> PhantomSettings:
        """Give the settings of one scan of one patient."""
        return PhantomSettings(
            seed=self.seed + number,
            shape=self.shape,
            spacing_mm=self.spacing_mm,
            scan=again,
        )


def write_example(
    layout: str, out: Path, *, settings: ExampleSettings | None = None
) -> dict[str, Any]:
    """Write a small synthetic copy of a data set.

    Args:
        layout: One of `EXAMPLES`.
        out: A new or empty folder.
        settings: How large.

    Returns:
        The layout, the folder and how many scans it has.

    Raises:
        InputError: There is no such layout, the folder is not empty, or it cannot be
            written to.
    """
    if layout not in EXAMPLES:
        raise InputError(
            f"There is no layout {layout!r}. Choose one of {', '.join(EXAMPLES)}."
        )
    settings = settings or ExampleSettings()
    with writing(out):
        out.mkdir(parents=True, exist_ok=True)
        if any(out.iterdir()):
            raise InputError(
                f"`{name_of(out)}` is not empty. Name a new folder for the example."
            )
        EXAMPLES[layout](out, settings)
    return {"layout": layout, "folder": str(out), "scans": settings.cases}


def _phantom(settings: ExampleSettings, number: int, *, again: int = 1) -> Phantom:
    """Scan a patient; the last few scans are kept for the next layout."""
    return _scanned(settings.scan(number, again=again), number % _HEALTHY != 2)


@lru_cache(maxsize=8)
def _scanned(scan: PhantomSettings, is_ill: bool) -> Phantom:
    return make_phantom(scan, None if is_ill else ())


def _boxes_of(phantom: Phantom) -> list[Sequence[object]]:
    uid = phantom.volume.series_uid
    return [
        (uid, *(f"{v:.4f}" for v in (*t.center_mm, t.diameter_mm)))
        for t in phantom.truths
    ]


def _write_luna16(out: Path, settings: ExampleSettings) -> None:
    boxes: list[Sequence[object]] = []
    candidates: list[Sequence[object]] = []
    excluded: list[Sequence[object]] = []
    uids = []
    for number in range(settings.cases):
        phantom = _phantom(settings, number)
        uid = phantom.volume.series_uid
        subset = out / f"subset{number % 10}"
        subset.mkdir(exist_ok=True)
        header = subset / f"{uid}.mhd"
        write_volume(phantom.volume, header)
        if number % 2:
            _unpack(header, phantom)
        mine = _boxes_of(phantom)
        middle = phantom.volume.grid.to_world([n // 2 for n in settings.shape])
        beside = [f"{value:.4f}" for value in middle.tolist()]
        boxes += mine
        uids.append((uid,))
        excluded.append((uid, *beside, -1))
        candidates += [(*row[:4], 1) for row in mine] + [(uid, *beside, 0)]
    _table(out / "annotations.csv", _BOXES, boxes)
    _table(out / "annotations_excluded.csv", _BOXES, excluded)
    _table(out / "candidates_V2.csv", (*_BOXES[:4], "class"), candidates)
    _table(out / "seriesuids.csv", None, uids)


def _unpack(header: Path, phantom: Phantom) -> None:
    """Turn a .zraw into a .raw, as half of LUNA16's copies have it."""
    text = header.read_text()
    lines = [x for x in text.splitlines() if not x.startswith("CompressedDataSize")]
    changed = "\n".join(lines).replace(
        "CompressedData = True", "CompressedData = False"
    )
    header.write_text(changed.replace(".zraw", ".raw") + "\n")
    header.with_suffix(".raw").write_bytes(phantom.volume.hu.astype("<i2").tobytes())
    header.with_suffix(".zraw").unlink()


def _write_lidc(out: Path, settings: ExampleSettings) -> None:
    xml = out / "tcia-lidc-xml" / "157"
    xml.mkdir(parents=True)
    for number in range(settings.cases):
        phantom = _phantom(settings, number)
        patient = out / "LIDC-IDRI" / f"LIDC-IDRI-{number + 1:04d}"
        _slices(phantom, patient / f"study-{number}" / "3000566")
        (xml / f"{number + 158}.xml").write_text(write_readings(phantom))


def _write_dsb2017(out: Path, settings: ExampleSettings) -> None:
    labels: list[Sequence[object]] = []
    sample: list[Sequence[object]] = []
    second: list[Sequence[object]] = []
    for number in range(settings.cases):
        name = hashlib.blake2b(
            f"hilum {settings.seed + number}".encode(), digest_size=16
        ).hexdigest()
        stage = "stage2" if number % 4 == 3 else "stage1"
        _slices(_phantom(settings, number), out / stage / name)
        if stage == "stage2":
            second.append((name, 0.5))
        elif number % 4 == 2:
            sample.append((name, 0.5))
        else:
            labels.append((name, int(number % _HEALTHY != _HEALTHY - 1)))
    columns = ("id", "cancer")
    _table(out / "stage1_labels.csv", columns, labels)
    _table(out / "stage1_sample_submission.csv", columns, sample)
    _table(out / "stage2_sample_submission.csv", columns, second)


def _write_nlst(out: Path, settings: ExampleSettings) -> None:
    """Write participants with one or two screens; the last one has no CT."""
    rows: list[dict[str, object]] = []
    for number in range(settings.cases):
        pid = 100_002 + settings.seed + number
        ill = number % _HEALTHY == 0
        first = 5 + number
        rows.append(
            {
                "pid": pid,
                "age": 55 + number % 20,
                "gender": 1 + number % 2,
                "cigsmok": number % 2,
                "scr_days0": first,
                "scr_days1": first + 365,
                "scr_days2": "",
                "candx_days": 800 if ill else "",
                "canc_free_days": 700,
                "fup_days": 2300,
                "cancyr": 2 if ill else "",
            }
        )
        for screen in range(1 + number % 2):
            phantom = _phantom(settings, number, again=1 + screen)
            study = f"01-02-{1999 + screen}-NLST-LSS-{10000 + number}"
            _slices(phantom, out / str(pid) / study / "2.000000-0OPAGELSPLUSSTD-0001")
    rows.append(rows[-1] | {"pid": 99})
    table = [list(row.values()) for row in rows]
    _table(out / "nlst_780_prsn_idc_20210527.csv", list(rows[0]), table)


def _write_boxes(out: Path, settings: ExampleSettings) -> None:
    (out / "ct").mkdir()
    rows: list[Sequence[object]] = []
    for number in range(settings.cases):
        phantom = _phantom(settings, number)
        name = f"scan-{number + 1:03d}"
        write_volume(phantom.volume, out / "ct" / f"{name}.nii.gz")
        rows += [(name, *row[1:], 4, name) for row in _boxes_of(phantom)]
    _table(out / "annotations.csv", (*_BOXES, "readers", "patient"), rows)


def _write_patients(out: Path, settings: ExampleSettings) -> None:
    (out / "scans").mkdir()
    rows: list[Sequence[object]] = []
    for number in range(settings.cases):
        name = f"patient-{number + 1:03d}"
        ill = int(number % _HEALTHY != _HEALTHY - 1)
        write_volume(_phantom(settings, number).volume, out / "scans" / f"{name}.mha")
        sex = ("female", "male")[number % 2]
        rows.append((name, f"scans/{name}.mha", ill, 50 + number, sex))
    _table(out / "cohort.csv", ("id", "path", "cancer", "age", "sex"), rows)


def _write_folder(out: Path, settings: ExampleSettings) -> None:
    for number in range(settings.cases):
        _slices(_phantom(settings, number), out / f"patient-{number + 1:03d}")


def _write_nodules(out: Path, settings: ExampleSettings) -> None:
    whole = out / ".lidc"
    whole.mkdir()
    _write_lidc(whole, settings)
    cut_nodules(open_dataset(whole), out)
    shutil.rmtree(whole)
    shutil.rmtree(out / "scans")


def _slices(phantom: Phantom, folder: Path) -> None:
    """Write DICOM slices directly into a folder."""
    made = write_phantom(phantom, folder.parent / ".phantom")
    made.rename(folder)
    shutil.rmtree(folder.parent / ".phantom")


def _table(
    path: Path, columns: Sequence[str] | None, rows: Iterable[Sequence[object]]
) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        if columns:
            writer.writerow(columns)
        writer.writerows(rows)


EXAMPLES: dict[str, Callable[[Path, ExampleSettings], None]] = {
    "luna16": _write_luna16,
    "lidc": _write_lidc,
    "dsb2017": _write_dsb2017,
    "nlst": _write_nlst,
    "boxes": _write_boxes,
    "patients": _write_patients,
    "folder": _write_folder,
    "nodules": _write_nodules,
}
"""The layouts that there is a copy of."""
