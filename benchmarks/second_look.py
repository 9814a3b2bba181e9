"""Does a second network, that looks at each mark once more, earn its time?

    python benchmarks/second_look.py RUN     RUN: a folder that detection.py made

For each fold of `detection.py` a small network learns, from the same scans as that
fold's detector, to tell nodules (real and inserted) from what the detector and the
dots wrongly mark there. It then looks at each mark in the scans of the patients left
out, and the log odds that it gives are added to the mark's with several weights. The
tables are those of `detection.py`; an interrupted run goes on.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")  # before TensorFlow is loaded

import keras
import numpy as np
import numpy.typing as npt
from detection import material
from detection_cases import FOLDS, hard_cases, prepare, read_case
from detection_judging import row
from froc_classical import Outcome, match

from hilum.datasets.scans import read_scans
from hilum.findings import Candidate
from hilum.nn.layers import HUWindow, ResidualBlock
from hilum.nn.models.detectors import DETECTION_WINDOW_HU
from hilum.stages.nodules import NoduleDetector
from hilum.stages.nodules.network import network_region
from hilum.training.detection import marks_in, wrong_of
from hilum.training.detection_views import cut, warped
from hilum.training.fit import FitSettings, Views, fit
from hilum.training.implants import Implants, insert
from hilum.training.scenes import Scene
from hilum.training.sharing import PRECISIONS, shared
from hilum.volume import CTVolume, HUArray, Mask

EDGE = 32
"""Voxels of 1 mm along the edge of what is looked at."""

CROPS, BATCH = 1280, 16
JITTER = 2.0
NOISE_HU, SHIFT_HU = 20.0, 15.0
LEAST_MINED, MOST_MINED = 0.02, 150
WEIGHTS = (0.25, 0.5, 1.0)
PLEURAL, VASCULAR = 0.4, 0.7
TRIES = 4

Points = npt.NDArray[np.float32]


def second_net() -> keras.Model:
    """Build the second network: HU (batch, 32, 32, 32, 1) to the chance of a nodule."""
    inputs = keras.Input((EDGE,) * 3 + (1,), name="hu")
    x = HUWindow(*DETECTION_WINDOW_HU)(inputs)
    x = keras.layers.Conv3D(16, 5, strides=2, padding="same", use_bias=False)(x)
    x = keras.layers.Activation("relu")(keras.layers.BatchNormalization()(x))
    for filters, strides in ((16, 1), (32, 2), (32, 1), (64, 2), (64, 1)):
        x = ResidualBlock(filters, strides=strides)(x)
    x = keras.layers.Concatenate()(
        [
            keras.layers.GlobalAveragePooling3D()(x),
            keras.layers.GlobalMaxPooling3D()(x),
        ]
    )
    x = keras.layers.Dense(32, activation="relu")(keras.layers.Dropout(0.3)(x))
    chance = keras.layers.Dense(1, activation="sigmoid", dtype="float32")(x)
    return keras.Model(inputs, chance, name="second_net")


@dataclass(frozen=True)
class SecondViews:
    """Random crops around nodules and around what only looks like one.

    Attributes:
        scenes: Scans to learn from, those with real nodules first.
        implants: Nodules to insert.
        mined: For each scene, (n, 3) what the detector wrongly marked.
    """

    scenes: tuple[Scene, ...]
    implants: Implants
    mined: tuple[Points, ...]

    def __call__(self, case: int, rng: np.random.Generator) -> tuple[Any, Any]:
        """Give HU (slice, row, column, 1), and whether a nodule is in the middle."""
        is_nodule = case % 2 == 0
        for _ in range(TRIES):
            number = int(rng.integers(len(self.scenes)))
            scene = self.scenes[number]
            if is_nodule:
                made = self._nodule(scene, rng, real=case % 8 == 0)
            else:
                made = self._trap(scene, self.mined[number], rng)
            if made is not None:
                break
        else:
            made, is_nodule = self._at(scene, scene.inside, rng), False
        hu = made.astype(np.float32)
        for axis in range(3):
            if rng.uniform() < 0.5:
                hu = np.flip(hu, axis)
        if rng.uniform() < 0.5:
            hu = hu.transpose(0, 2, 1)
        noise = rng.uniform(0, NOISE_HU)
        hu = hu + rng.normal(0, SHIFT_HU)
        hu = hu + noise * rng.standard_normal(hu.shape, np.float32)
        return hu[..., None].astype(np.float32), np.float32([is_nodule])

    def _nodule(
        self, scene: Scene, rng: np.random.Generator, *, real: bool
    ) -> npt.NDArray[np.int16] | None:
        """Cut around a real nodule, or insert one where no other is."""
        if real and len(scene.nodules):
            return self._at(scene, scene.nodules, rng)
        drawn = rng.uniform()
        places = scene.pleural if drawn < PLEURAL else scene.vascular
        places = scene.inside if drawn >= VASCULAR or not len(places) else places
        center = np.asarray(places[rng.integers(len(places))][:3], np.float64)
        nodule, diameter = self.implants.draw(rng)
        known = np.concatenate([scene.nodules, scene.unsure])
        gaps = np.linalg.norm(known[:, :3] - center, axis=1) - known[:, 3] / 2
        if (gaps <= diameter / 2).any():
            return None
        start = _start(center, rng)
        hu = cut(np.asarray(scene.hu[_box(scene, start)]), _within(start), EDGE + 1)
        mixed = insert(
            hu,
            center - start,
            nodule,
            rng,
            diameter_mm=diameter,
            slice_mm=scene.slice_mm,
        )
        return None if mixed is None else _between(mixed, rng)

    def _trap(
        self, scene: Scene, mined: Points, rng: np.random.Generator
    ) -> npt.NDArray[np.int16] | None:
        """Cut around what the detector marked, the dots marked, or anything."""
        drawn = rng.uniform()
        places = mined if drawn < 0.6 else scene.traps
        places = scene.vascular if drawn > 0.95 or not len(places) else places
        return self._at(scene, places, rng) if len(places) else None

    @staticmethod
    def _at(
        scene: Scene, places: Points, rng: np.random.Generator
    ) -> npt.NDArray[np.int16]:
        """Cut a crop with one of the places near its middle."""
        center = np.asarray(places[rng.integers(len(places))][:3], np.float64)
        start = _start(center, rng)
        hu = cut(np.asarray(scene.hu[_box(scene, start)]), _within(start), EDGE + 1)
        return _between(hu, rng)


def _between(hu: HUArray, rng: np.random.Generator) -> HUArray:
    """Sample a crop between the voxels of one that has one more along each edge."""
    middle = (EDGE - 1) / 2 + rng.uniform(size=3)
    return np.rint(warped(hu, np.eye(3), middle, EDGE)).astype(np.int16)


def _start(
    center: npt.NDArray[np.float64], rng: np.random.Generator
) -> npt.NDArray[np.int64]:
    """Give the first voxel of a crop of one voxel more, not quite around a place."""
    shift = rng.uniform(-JITTER, JITTER, 3)
    return np.rint(center - EDGE / 2 + shift).astype(int)


def _box(scene: Scene, start: npt.NDArray[np.int64]) -> tuple[slice, ...]:
    """Give the part of a scene that a crop touches, so that no more is read."""
    low = np.maximum(start, 0).tolist()
    high = np.minimum(start + EDGE + 1, scene.hu.shape).tolist()
    return tuple(slice(a, max(a, b)) for a, b in zip(low, high, strict=True))


def _within(start: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Give the start of a crop counted from that part."""
    return np.minimum(start, 0)


def mine(scene: Scene, network: keras.Model) -> Points:
    """List what a detector marks in a scene and is no nodule, the surest first."""
    marks = marks_in(network, scene, least=LEAST_MINED)
    wrong = wrong_of(marks.kept(np.arange(len(marks.index)) < MOST_MINED), scene)
    return wrong.index.astype(np.float32)


def train(run: Path, fold: int, settings: FitSettings) -> Path:
    """Train the second network of a fold, on what its detector was trained on."""
    target = run / f"second-{fold}.keras"
    if target.exists():
        return target
    seen, implants = material(run, without=fold)
    detector = keras.models.load_model(run / f"fold-{fold}.keras", compile=False)
    found = {s.name: mine(s, detector) for s in {s.name: s for s in seen}.values()}
    print(f"fold {fold}: {sum(map(len, found.values()))} wrong marks", flush=True)
    views = SecondViews(
        tuple(seen),
        Implants(implants),
        tuple(found[s.name] for s in seen),
    )
    model = second_net()
    fit(
        model,
        Views(views, CROPS, batch=BATCH, seed=settings.seed),
        loss="binary_crossentropy",
        folder=run / f"second-{fold}",
        settings=settings,
    )
    model.save(target)
    return target


@dataclass(frozen=True)
class SecondLook:
    """A detector whose marks are looked at again.

    Attributes:
        detect: The detector.
        network: The second network.
    """

    detect: NoduleDetector
    network: keras.Model

    def __call__(self, volume: CTVolume, lungs: Mask) -> dict[str, list[Candidate]]:
        """Give the marks as they are, and with the second opinion at each weight."""
        marks = self.detect(volume, lungs)
        region = network_region(volume, lungs)
        if region is None or not marks:
            return {"detector": list(marks)}
        hu = np.asarray(region.hu)
        centers = [region.grid.to_index(mark.center_mm) for mark in marks]
        starts = [np.rint(c - (EDGE - 1) / 2).astype(int) for c in centers]
        crops = np.stack([cut(hu, s, EDGE) for s in starts]).astype(np.float32)
        began = time.perf_counter()
        second = np.zeros(len(marks))
        for axes in ((), (1,), (2,), (3,)):
            seen = np.ascontiguousarray(np.flip(crops, axes))[..., None]
            second += np.asarray(self.network.predict_on_batch(seen))[:, 0] / 4
        print(f"  {len(marks)} marks, {time.perf_counter() - began:.2f} s", flush=True)
        more = _log_odds(second)
        first = _log_odds(np.array([mark.score for mark in marks]))
        found = {"detector": list(marks), "second alone": _ranked(marks, more)}
        for weight in WEIGHTS:
            found[f"detector + {weight:g} second"] = _ranked(
                marks, first + weight * more
            )
        return found


def _log_odds(chance: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    held = np.clip(chance, 1e-6, 1 - 1e-6)
    return np.asarray(np.log(held / (1 - held)))


def _ranked(
    marks: Sequence[Candidate], odds: npt.NDArray[np.float64]
) -> list[Candidate]:
    """Rank marks anew."""
    scores = 1 / (1 + np.exp(-odds))
    order = np.argsort(-odds, kind="stable").tolist()
    return [replace(marks[n], score=float(scores[n])) for n in order]


def report(run: Path, folds: Sequence[int]) -> None:
    """Print found targets, real and hard ones, with each way of ranking."""
    cases = {c.patient: c for c in read_scans(prepare(run))}
    real: dict[str, list[Outcome]] = {}
    hard: dict[str, list[Outcome]] = {}
    for fold in folds:
        looks = SecondLook(
            NoduleDetector(weights=str(run / f"fold-{fold}.xml")),
            keras.models.load_model(run / f"second-{fold}.keras", compile=False),
        )
        for patient in FOLDS[fold]:
            volume, lungs = read_case(cases[patient])
            for name, marks in looks(volume, lungs).items():
                found = match(patient, marks, cases[patient].annotations)
                real.setdefault(name, []).append(found)
        for hidden in hard_cases(run, fold):
            for name, marks in looks(hidden.volume, hidden.lungs).items():
                wanted = [a for _, a in hidden.hard]
                found = match(hidden.patient, marks, [*wanted, *hidden.others])
                hard.setdefault(name, []).append(found)
    print("found at ... false positives a scan   1/8  1/4  1/2    1    2    4    8")
    for name, outcomes in real.items():
        print(row(name, outcomes))
    for name, outcomes in hard.items():
        print(row(f"hard: {name}", outcomes))


def main() -> None:
    """Train and judge."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path, nargs="?", help="folder of detection.py")
    parser.add_argument("--epochs", type=int, default=16)
    every = range(len(FOLDS))
    parser.add_argument("--folds", type=int, nargs="+", choices=every, default=every)
    parser.add_argument("--precision", choices=PRECISIONS, default=PRECISIONS[0])
    args = parser.parse_args()
    if args.run is None:
        print("second_look.py: skipped: needs the folder RUN of detection.py")
        return
    folds = [n for n in args.folds if (args.run / f"fold-{n}.keras").exists()]
    with shared(precision=args.precision):
        for fold in folds:
            train(args.run, fold, FitSettings(epochs=args.epochs))
    report(args.run, folds)


if __name__ == "__main__":
    main()
