"""What a detector is trained on, from a data set of any layout with boxes.

Each scan is prepared once, and kept in the folder of the run: its voxels and the places
in its lungs as .npy, of which training reads what it looks at, and the rest, a few
kilobytes, as .npz. No file stays open, for systems allow a thousand or so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt

from hilum._names import name_of, stem_of
from hilum.datasets.cases import Case, DataSet
from hilum.datasets.left_out import LeftOut, Told, read_left_out
from hilum.datasets.lidc import Reading
from hilum.datasets.lidc_folder import annotated, load_readings
from hilum.datasets.luna16 import read_candidates, read_excluded
from hilum.datasets.opening import open_dataset
from hilum.datasets.scans import ScanCase
from hilum.errors import InputError
from hilum.findings import Annotation, Point
from hilum.formats.atomic import replacing, writing
from hilum.sources import read_ct
from hilum.stages.lungs import LungSegmenter
from hilum.stages.nodules.network import NO_LUNGS
from hilum.training.scenes import Scene, make_scene

MOST_CANDIDATES = 60
"""Of those of LUNA16's candidates in a scan that lie on no nodule."""
_SMALL_MM = 3.0
_LARGE = ("hu", "inside", "pleural", "vascular")


class Stored:
    """An array in a .npy file, of which only what is looked at is read.

    NumPy's own map of a file keeps it open as long as the map lives, so that a
    thousand scans would reach the limit of open files.

    Attributes:
        path: The file.
        shape: Of the array.
    """

    __slots__ = ("path", "shape")

    def __init__(self, path: Path):
        """Look at the head of the file.

        Raises:
            OSError: The file cannot be read.
            ValueError: It is no such file.
        """
        self.path = path
        self.shape: tuple[int, ...] = self._map().shape

    def __len__(self) -> int:
        """Count along the first axis."""
        return self.shape[0]

    def __getitem__(self, index: Any) -> Any:
        """Read a part."""
        return np.array(self._map()[index])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        """Read all of it, whatever `copy` asks for."""
        return np.array(self._map(), dtype=dtype)

    def _map(self) -> npt.NDArray[Any]:
        found: npt.NDArray[Any] = np.load(self.path, mmap_mode="r")
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingScans:
    """Scans with boxes, from whatever layout.

    Attributes:
        cases: The scans.
        readings: What readers of LIDC marked, by series UID.
        traps: Places that look like nodules and are none, by series UID.
        folds: The data set's own split, by patient; None where it has none.
        left_out: Scans whose nodules cannot be placed, for they cannot be read; they
            are not among the cases.
    """

    cases: tuple[ScanCase, ...]
    readings: Mapping[str, Reading] = field(default_factory=dict)
    traps: Mapping[str, Sequence[Point]] = field(default_factory=dict)
    folds: Mapping[str, int] | None = None
    left_out: tuple[LeftOut, ...] = ()


def read_training_scans(data: Path) -> TrainingScans:
    """Open a data set with boxes; no pixel is read yet.

    Args:
        data: A folder of layout `luna16`, `lidc` or `boxes`; see
            `hilum.datasets.opening`.

    Raises:
        InputError: It cannot be read, nobody marked nodules in it, or none of its
            scans can be read.
    """
    found = open_dataset(data)
    readings = load_readings(found)
    cases, left_out = [], []
    for case in found:
        try:
            cases.append(annotated(case, readings))
        except InputError as error:
            left_out.append(LeftOut(case.id, "unreadable", str(error)))
    marked = [case for case in cases if case.annotations is not None]
    if not marked and left_out:
        raise _none_left(left_out)
    if not marked:
        raise InputError(
            f"`{name_of(found.folder)}` (layout {found.layout}) has no boxes of "
            "nodules, which a detector learns from. Add annotations.csv with "
            "seriesuid, coordX, coordY, coordZ and diameter_mm, or reader files of "
            "LIDC. Labels of patients alone serve `hilum calibrate` and `hilum "
            "evaluate`."
        )
    unsure = read_excluded(found.excluded) if found.excluded else {}
    return TrainingScans(
        cases=tuple(_scan_case(case, unsure.get(case.id, ())) for case in marked),
        readings=readings,
        traps=_candidates(found),
        folds=_official_folds(marked),
        left_out=tuple(left_out),
    )


def load_scenes(
    scans: TrainingScans, out: Path, *, told: Told = lambda _: None
) -> tuple[Scene, ...]:
    """Prepare scans, or load what was prepared before.

    A scan that cannot be read or that shows no lungs is told and left out, and so is
    one that `out` says a training was begun without.

    Args:
        scans: Where reader files of LIDC are known, what they took for no nodule is a
            trap, and nodules below 3 mm count neither way.
        out: Gets a few files for each scan.
        told: Called with each scan that is left out.

    Raises:
        InputError: All scans are left out, or what was prepared is damaged.
    """
    found: list[Scene] = []
    left_out = list(scans.left_out)
    for item in left_out:
        told(item)
    before = {item.series_uid: item for item in read_left_out(out)}
    for case in scans.cases:
        path = out / f"{stem_of(case.series_uid)}.npz"
        made: Scene | LeftOut | None = before.get(case.series_uid)
        if made is None:
            made = read_scene(path) if path.exists() else _prepare(case, scans, path)
        if isinstance(made, LeftOut):
            left_out.append(made)
            told(made)
        else:
            found.append(made)
    if not found:
        raise _none_left(left_out)
    return tuple(found)


def read_scene(path: Path) -> Scene:
    """Load a prepared scan; its voxels and places are left in their files.

    Raises:
        InputError: A file is absent or damaged.
    """
    try:
        with np.load(path, allow_pickle=False) as stored:
            arrays: dict[str, Any] = {name: stored[name] for name in stored.files}
        for name in (n for n in _LARGE if n not in arrays):
            arrays[name] = Stored(_file_of(path, name))
        return Scene.from_arrays(arrays)
    except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
        raise InputError(
            f"Cannot read the prepared scan `{path.name}`: {error}. Delete the file."
        ) from error


def _prepare(case: ScanCase, scans: TrainingScans, path: Path) -> Scene | LeftOut:
    """Prepare a scan and keep it, or say why it is left out."""
    try:
        scene = _scene_of(case, scans)
    except InputError as error:
        return LeftOut(case.series_uid, "unreadable", str(error))
    if scene is None:
        return LeftOut(case.series_uid, "no-lungs", NO_LUNGS)
    _write_scene(scene, path)
    return read_scene(path)


def _none_left(left_out: Sequence[LeftOut]) -> InputError:
    """Say that there is nothing to learn from."""
    unreadable = sum(item.reason == "unreadable" for item in left_out)
    return InputError(
        f"None of the {len(left_out)} scans can be learned from: {unreadable} cannot "
        f"be read, {len(left_out) - unreadable} show no lungs. The first: "
        f"{left_out[0].message}"
    )


def _write_scene(scene: Scene, path: Path) -> None:
    """Write what is large first: where the other file is, the scan is whole."""
    arrays: dict[str, Any] = scene.to_arrays()
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        for name in _LARGE:
            with replacing(_file_of(path, name)) as file:
                np.save(file, arrays.pop(name), allow_pickle=False)
        with replacing(path) as file:
            np.savez_compressed(file, allow_pickle=False, **arrays)


def _file_of(path: Path, name: str) -> Path:
    """Name the file of one large array of a scan."""
    return path.with_suffix(".npy" if name == "hu" else f".{name}.npy")


def _scene_of(case: ScanCase, scans: TrainingScans) -> Scene | None:
    """Prepare one scan."""
    is_dicom = case.source.is_dir()
    volume = read_ct(case.source, series_uid=case.series_uid if is_dicom else None)
    lungs = LungSegmenter()(volume)
    annotations = list(case.annotations)
    traps = list(scans.traps.get(case.series_uid, ()))
    reading = scans.readings.get(case.series_uid)
    if reading is not None:
        small = reading.points(volume.grid, "small nodule")
        annotations += [Annotation(case.series_uid, p, _SMALL_MM, 1) for p in small]
        traps += reading.points(volume.grid, "non-nodule")
    return make_scene(volume, lungs, annotations, patient=case.patient, traps=traps)


def _scan_case(case: Case, unsure: Sequence[Annotation]) -> ScanCase:
    return ScanCase(
        series_uid=case.id,
        patient=case.patient,
        source=case.source,
        annotations=(*(case.annotations or ()), *unsure),
    )


def _candidates(data: DataSet) -> dict[str, tuple[Point, ...]]:
    """Draw some of LUNA16's candidates on no nodule, the same each time."""
    if data.candidates is None:
        return {}
    rng = np.random.default_rng(0)
    drawn: dict[str, tuple[Point, ...]] = {}
    for uid, points in sorted(read_candidates(data.candidates, nodules=False).items()):
        some = rng.permutation(points)[:MOST_CANDIDATES].tolist()
        drawn[uid] = tuple((x, y, z) for x, y, z in some)
    return drawn


def _official_folds(cases: Sequence[Case]) -> dict[str, int] | None:
    """Number the parts of the data set's own split, where no patient is in two."""
    names = sorted({case.fold or "" for case in cases})
    folds = {case.patient: names.index(case.fold or "") for case in cases}
    split = any(folds[c.patient] != names.index(c.fold or "") for c in cases)
    return None if split or "" in names or len(names) < 2 else folds
