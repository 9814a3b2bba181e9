"""Designs of the detector compared: what each finds, and what a whole look costs.

    python benchmarks/detection_designs.py RUN     RUN: a folder that detection.py made

Each design is trained for a short while on what the first fold of `detection.py` is
trained on, and judged on the four patients left out: their 12 targets, and 96 hard
nodules inserted in their lungs. Its time is that of one look over 240 x 256 x 320
voxels. An interrupted run goes on.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
from detection import SHIPPED, detectors, material
from detection_cases import FOLDS, hard_cases, prepare, read_case
from detection_judging import row
from froc_classical import Outcome, match

from hilum.datasets.scans import read_scans
from hilum.runtime.export import export_weights
from hilum.runtime.predictor import load_predictor
from hilum.training.detection import DetectionSettings, train_detection
from hilum.training.fit import FitSettings
from hilum.training.sharing import PRECISIONS, shared

DESIGNS = {
    "half as wide": (8, 16, 24, 32),
    "as shipped": (16, 32, 48, 64),
    "half as wide again": (24, 48, 72, 96),
}
"""Filters at strides 2, 4, 8 and 16."""

FOLD = 0
LUNGS = (240, 256, 320)
ROUNDS = 3


def train(run: Path, folder: Path, settings: DetectionSettings) -> int:
    """Train one design unless it is there; give the number of its weights."""
    import keras  # noqa: PLC0415  slow to import

    target = folder / f"fold-{FOLD}.keras"
    if not target.exists():
        scenes, implants = material(run, without=FOLD)
        model = train_detection(
            scenes, implants, folder=folder / "run", settings=settings
        )
        model.save(target)
        export_weights(target, target.with_suffix(".xml"))
    return int(keras.models.load_model(target, compile=False).count_params())


def seconds_of(weights: Path) -> float:
    """Time a look over a pair of lungs; the best of some rounds."""
    predict = load_predictor(weights)
    hu = np.random.default_rng(0).normal(-800, 200, (1, *LUNGS, 1)).astype(np.float32)
    took = []
    for _ in range(ROUNDS + 1):
        start = time.perf_counter()
        predict(hu)
        took.append(time.perf_counter() - start)
    return min(took[1:])


def judge_design(run: Path, folder: Path) -> tuple[list[Outcome], list[Outcome]]:
    """Give what a design finds: the targets, and the hard nodules."""
    cases = {c.patient: c for c in read_scans(prepare(run))}
    detect = detectors(folder, f"fold-{FOLD}")[SHIPPED]
    real = []
    for patient in FOLDS[FOLD]:
        marks = detect(*read_case(cases[patient]))
        real.append(match(patient, marks, cases[patient].annotations))
    hard = []
    for case in hard_cases(run, FOLD):
        truth = [*(a for _, a in case.hard), *case.others]
        hard.append(match(case.patient, detect(case.volume, case.lungs), truth))
    return real, hard


def main() -> None:
    """Train, judge, time and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path, nargs="?", help="folder of detection.py")
    parser.add_argument("--epochs", type=int, default=18)
    parser.add_argument("--precision", choices=PRECISIONS, default=PRECISIONS[0])
    args = parser.parse_args()
    if args.run is None:
        print("detection_designs.py: skipped: needs the folder RUN of detection.py")
        return
    print("found at ... false positives a scan   1/8  1/4  1/2    1    2    4    8")
    for name, filters in DESIGNS.items():
        folder = args.run / "designs" / "-".join(map(str, filters))
        chosen = DetectionSettings(
            fit=FitSettings(epochs=args.epochs), mining=0, filters=filters
        )
        with shared(precision=args.precision):
            weights = train(args.run, folder, chosen)
        seconds = seconds_of(folder / f"fold-{FOLD}.xml")
        print(f"{name}: {weights:,} weights, {seconds:.2f} s a look", flush=True)
        real, hard = judge_design(args.run, folder)
        print(row("  targets", real))
        print(row("  hard nodules", hard), flush=True)


if __name__ == "__main__":
    main()
