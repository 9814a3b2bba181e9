"""Train the network that finds nodules, on scans with boxes.

Each scan is prepared once and kept in the folder of the run. For each fold of
patients a network is trained on the others: first on what the scans and the classical
detector offer, then also on what it wrongly marked itself in the scans it learns
from. The last network learns from all patients.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np

from hilum.datasets import read_nodules
from hilum.datasets.left_out import LeftOut, Told, write_left_out
from hilum.errors import InputError
from hilum.nn.losses import marks_loss
from hilum.nn.models.detectors import detection_net
from hilum.settings import check_ranges, to_table
from hilum.stages.nodules.marks import Marks, marks_of, padded
from hilum.training.detection_data import (
    TrainingScans,
    load_scenes,
    read_training_scans,
)
from hilum.training.detection_figures import deal_patients, judge_detectors
from hilum.training.detection_views import CropVariety, DetectionViews
from hilum.training.fit import (
    MOST_EPOCHS,
    MOST_FOLDS,
    FitSettings,
    Views,
    check_fold,
    fit,
)
from hilum.training.implants import Implant, Implants, cut_implant
from hilum.training.scenes import Scene
from hilum.training.sharing import total_over_devices

LEAST_MINED = 0.1
LARGEST_MINED_MM = 20.0
_MOST_MINED = 60
_WRONG_FROM = 4.0
"""Voxels beyond the edge of a nodule from which a mark is not of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectionSettings:
    """How to train the detector.

    Attributes:
        fit: Epochs, learning rate, seed.
        mining: Epochs of the second training, on what the first wrongly marked; 0 for
            none.
        crops: How many an epoch has.
        batch: Crops a batch.
        variety: How far crops go from what was scanned.
        filters: Of the levels of the network.
        folds: How many; 0 trains the last network alone.
    """

    fit: FitSettings = field(default_factory=lambda: FitSettings(epochs=36))
    mining: int = 12
    crops: int = 640
    batch: int = 8
    variety: CropVariety = field(default_factory=CropVariety)
    filters: tuple[int, ...] = (16, 32, 48, 64)
    folds: int = 0

    def __post_init__(self) -> None:
        """Refuse what cannot train."""
        if len(self.filters) != 4:
            raise InputError(
                f"Setting `filters` needs 4 levels; got {list(self.filters)}."
            )
        check_ranges(
            self,
            {
                "mining": (0, MOST_EPOCHS),
                "crops": (1, 10_000_000),
                "batch": (1, 100_000),
                "filters": (1, 10_000),
                "folds": (0, MOST_FOLDS),
            },
        )


def train_nodules(
    data: Path,
    out: Path,
    *,
    settings: DetectionSettings | None = None,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    fold: int | None = None,
    told: Told = lambda _: None,
) -> dict[str, Any]:
    """Train the detector, and judge it on patients it never saw.

    Goes on where it was interrupted. A scan that cannot be read or that shows no
    lungs is told and left out; of what is judged only those that cannot be read are,
    for nodules in lungs that are not found are missed.

    Args:
        data: A data set with boxes: LUNA16, LIDC-IDRI or a table of one's own; see
            `hilum.datasets.opening`. Nodules to insert from `nodules/` in it, laid
            out as `hilum.datasets.nodules` says, if there are any.
        out: Gets nodules.keras, trained on all patients, scenes/, and a folder of
            each run; with folds also fold-0.keras and so on, truth/ and
            predictions.csv with the marks in the scans of patients left out, and
            metrics.json and froc.png with the figures.
        settings: How to train. With as many folds as the data set has parts of its
            own (ten of LUNA16), the folds are those.
        callbacks: More of Keras's callbacks, for each run.
        fold: Train the network of this fold alone, such as on one of many machines
            that share `out`; a call without it then judges them all.
        told: Called with each scan that is left out.

    Returns:
        The figures as in metrics.json; without folds, or with one alone, how many
        scans and nodules there were. `left_out` says which scans were left out.

    Raises:
        InputError: The data cannot be read, too few patients are left, or `out`
            holds a run with other settings.
    """
    settings = settings or DetectionSettings()
    check_fold(fold, settings.folds)
    scans = read_training_scans(data)
    _folds_of(scans, settings)  # before hours of preparing
    scenes, without = _prepared(scans, out / "scenes", told)
    scans = _readable(scans, without)
    patients = _folds_of(scans, settings, without)
    write_left_out(without, out / "scenes")
    implants = load_implants(data)
    counts: dict[str, Any] = {
        "scans": len(scenes),
        "nodules": sum(len(s.nodules) for s in scenes),
        "left_out": [item.to_json() for item in without],
    }
    networks: list[tuple[frozenset[str], Path]] = []
    wanted = [*range(settings.folds), None] if fold is None else [fold]
    for number in wanted:
        name = "all" if number is None else f"fold-{number}"
        left_out = frozenset(p for p, f in patients.items() if f == number)
        model = train_detection(
            [s for s in scenes if s.patient not in left_out],
            without_patients(implants, scans, left_out),
            folder=out / name,
            settings=settings,
            callbacks=callbacks,
        )
        path = out / ("nodules.keras" if number is None else f"{name}.keras")
        model.save(path)
        if number is not None:
            networks.append((left_out, path))
    if not networks or fold is not None:
        return counts
    judged = judge_detectors(scans.cases, networks, out, left_out=without, told=told)
    return judged | {"settings": to_table(settings)}


def _prepared(
    scans: TrainingScans, folder: Path, told: Told
) -> tuple[tuple[Scene, ...], list[LeftOut]]:
    """Prepare scans; give also those that are left out."""
    without: list[LeftOut] = []

    def tell(item: LeftOut) -> None:
        without.append(item)
        told(item)

    return load_scenes(scans, folder, told=tell), without


def _readable(scans: TrainingScans, without: Sequence[LeftOut]) -> TrainingScans:
    """Take out what cannot be read, so that folds are dealt without it."""
    gone = {item.series_uid for item in without if item.reason == "unreadable"}
    cases = tuple(case for case in scans.cases if case.series_uid not in gone)
    return replace(scans, cases=cases)


def _folds_of(
    scans: TrainingScans,
    settings: DetectionSettings,
    without: Sequence[LeftOut] = (),
) -> Mapping[str, int]:
    """Give the fold of each patient: the data set's own where they are as many.

    Nodules that cannot be learned from do not count where nodules are dealt.
    """
    own = scans.folds or {}
    there = {case.patient: own.get(case.patient) for case in scans.cases}
    if settings.folds and set(there.values()) == set(range(settings.folds)):
        return own
    hidden = {item.series_uid for item in without}
    cases = [
        replace(case, annotations=()) if case.series_uid in hidden else case
        for case in scans.cases
    ]
    return deal_patients(cases, settings.folds, settings.fit.seed)


def train_detection(
    scenes: Sequence[Scene],
    implants: Sequence[Implant],
    *,
    folder: Path,
    settings: DetectionSettings | None = None,
    callbacks: Sequence[keras.callbacks.Callback] = (),
) -> keras.Model:
    """Train one network; goes on where it was interrupted.

    Args:
        scenes: Scans to learn from.
        implants: Nodules to insert, of patients to learn from.
        folder: Of the run; made if absent.
        settings: How to train.
        callbacks: More of Keras's callbacks.

    Raises:
        InputError: There is nothing to learn from, or the folder holds another run.
    """
    settings = settings or DetectionSettings()
    keras.utils.set_random_seed(settings.fit.seed)
    model = detection_net(filters=settings.filters)
    nodules = Implants(implants) if implants else None

    def run(name: str, seen: Sequence[Scene], chosen: FitSettings) -> None:
        views = DetectionViews(seen, nodules, variety=settings.variety)
        batches = Views(views, settings.crops, batch=settings.batch, seed=chosen.seed)
        fit(
            model,
            batches,
            loss=shared_marks_loss,
            folder=folder / name,
            settings=chosen,
            callbacks=callbacks,
        )

    run("first", scenes, settings.fit)
    if settings.mining:
        mined = [_with_mined(model, scene) for scene in scenes]
        again = replace(
            settings.fit,
            epochs=settings.mining,
            learning_rate=settings.fit.learning_rate / 2,
            seed=settings.fit.seed + 1,
        )
        run("second", mined, again)
    return model


def shared_marks_loss(answer: Any, found: Any) -> Any:
    """Compute `hilum.nn.losses.marks_loss`, divided by the nodules of the whole batch.

    Takes and returns what that does; on one device it is the same.
    """
    return marks_loss(answer, found, total=total_over_devices)


def without_patients(
    implants: Sequence[Implant], scans: TrainingScans, left_out: Collection[str]
) -> list[Implant]:
    """Take out the nodules to insert that patients left out have.

    Whose a nodule is tells its patient, or its series: tables may name patients in
    another way than the scans, as LUNA16 names none.

    Args:
        implants: All of them.
        scans: Of all patients.
        left_out: Patients.
    """
    hidden = {c.series_uid for c in scans.cases if c.patient in left_out}
    return [
        implant
        for implant in implants
        if implant.patient not in left_out and implant.series_uid not in hidden
    ]


def load_implants(data: Path) -> tuple[Implant, ...]:
    """Cut out the nodules of `data`/nodules; none where there is no such folder."""
    folder = data / "nodules"
    if not (folder / "nodules.csv").exists():
        return ()
    return tuple(cut_implant(case) for case in read_nodules(folder))


def marks_in(model: keras.Model, scene: Scene, *, least: float) -> Marks:
    """Give what a network marks in a scene, the surest first.

    Args:
        model: Out of `train_detection`.
        scene: Where.
        least: Chances below it are no marks.
    """
    output = np.asarray(model.predict_on_batch(padded(np.asarray(scene.hu))))[0]
    z, y, x = scene.hu.shape
    return marks_of(output, (z, y, x), least=least)


def wrong_of(marks: Marks, scene: Scene) -> Marks:
    """Keep the marks that are at no nodule of a scene, nor at one in doubt."""
    known = np.concatenate([scene.nodules, scene.unsure])
    apart = np.linalg.norm(known[None, :, :3] - marks.index[:, None], axis=2)
    return marks.kept((apart > known[:, 3] / 2 + _WRONG_FROM).all(axis=1))


def _with_mined(model: keras.Model, scene: Scene) -> Scene:
    """Add to the traps what a network wrongly marks; not what may be a mass."""
    marks = marks_in(model, scene, least=LEAST_MINED)
    wrong = wrong_of(marks.kept(marks.diameter <= LARGEST_MINED_MM), scene)
    added = wrong.index[:_MOST_MINED].astype(np.float32)
    return replace(scene, traps=np.concatenate([scene.traps, added, added]))
