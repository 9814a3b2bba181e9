"""The nodule detector, from data to figures: cross-validation on the annotated CT.

    python benchmarks/detection.py RUN           train each fold, then judge them
    python benchmarks/detection.py RUN --judge   judge the networks that are in RUN; if
                                                 there is none, those in weights/
    python benchmarks/detection.py RUN --ship    train fold-0.keras on, on all patients
                                                 and nodules: RUN/nodules.keras
    python benchmarks/detection.py RUN --fold 1  train that fold alone, as on a core of
                                                 its own; judge nothing

RUN is a folder for what is made; an interrupted run goes on. The scans are those that
HILUM_DATA names and phantoms, which are always trained on and judged apart. The folds
are two, by patient; no slice, crop or inserted nodule of a patient left out is trained
on, and nodules of an eighth of the patients never are, for the hard set.

A target is a nodule that at least 3 readers marked, or a tumour of the QIN scans. A
mark hits it within max(radius, 4 mm). A mark on a nodule of 1 or 2 readers counts
neither way.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")  # before TensorFlow is loaded

import keras
from detection_cases import (
    ALL_SORTS,
    ANNOTATED,
    FOLDS,
    REAL_SHARE,
    TEST_PHANTOMS,
    hard_cases,
    phantom_of,
    prepare,
    read_case,
    split_off,
)
from detection_judging import draw_curves, draw_misses, row
from froc_classical import Outcome, interval_at, match

from hilum.datasets.opening import open_dataset
from hilum.datasets.scans import read_scans
from hilum.evaluation.examples import scan_inputs
from hilum.findings import Annotation
from hilum.formats.atomic import replacing
from hilum.nn.losses import marks_loss
from hilum.runtime.export import export_weights
from hilum.runtime.weights import find_weights
from hilum.stages.lungs import LungSegmenter
from hilum.stages.nodules import NoduleDetector
from hilum.training.detection import (
    DetectionSettings,
    load_implants,
    train_detection,
)
from hilum.training.detection_data import load_scenes, read_training_scans
from hilum.training.detection_views import DetectionViews
from hilum.training.fit import FitSettings, Views, fit
from hilum.training.implants import Implant, Implants
from hilum.training.scenes import Scene
from hilum.training.sharing import PRECISIONS, shared

SHIP = FitSettings(epochs=10, learning_rate=1e-3, seed=7)
WEIGHTS = Path(__file__).with_name("weights")
KEPT = "nodules_of_fold_{}"
"""Kept there: what the figures in the documentation are of."""
SCORES = (0.2, 0.3, 0.4, 0.5)
CLASSICAL, SHIPPED = "dots alone (classical)", "network and dots"
ALONE = "network alone"
WHOLE = "the same in fp32"


def train(
    run: Path, settings: DetectionSettings, *, folds: Sequence[int], ship: bool
) -> None:
    """Train the networks of folds, or go on with the first on all patients."""
    if ship:
        model = keras.models.load_model(run / "fold-0.keras", compile=False)
        scenes, implants = material(run)
        views = DetectionViews(scenes, Implants(implants), variety=settings.variety)
        fit(
            model,
            Views(views, settings.crops, batch=settings.batch, seed=SHIP.seed),
            loss=marks_loss,
            folder=run / "all",
            settings=SHIP,
        )
        model.save(run / "nodules.keras")
        export(run, "nodules")
        return
    for fold in folds:
        target = run / f"fold-{fold}.keras"
        if target.exists():
            continue
        start = time.perf_counter()
        scenes, implants = material(run, without=fold)
        folder = run / target.stem
        train_detection(scenes, implants, folder=folder, settings=settings).save(target)
        export(run, target.stem, without=FOLDS[fold])
        print(f"{target.stem}: {time.perf_counter() - start:.0f} s", flush=True)


def material(
    run: Path, *, without: int | None = None
) -> tuple[list[Scene], list[Implant]]:
    """Give what is trained on: scans and nodules to insert.

    Args:
        run: The folder of what is made.
        without: The fold left out, and with it the nodules of the hard set; None: none.
    """
    data = prepare(run)
    scenes = balanced(load_scenes(read_training_scans(data), run / "scenes"))
    implants = list(load_implants(data))
    if without is None:
        return scenes, implants
    hidden = FOLDS[without]
    return (
        [scene for scene in scenes if scene.patient not in hidden],
        [i for i in split_off(implants)[0] if i.patient not in hidden],
    )


def balanced(scenes: Sequence[Scene]) -> list[Scene]:
    """Show real scans more often than phantoms, which outnumber them."""
    real = [scene for scene in scenes if scene.patient in ANNOTATED]
    synthetic = [scene for scene in scenes if scene.patient not in ANNOTATED]
    return [*real * REAL_SHARE, *synthetic]


def export(
    run: Path, name: str, *, without: Sequence[str] = (), anew: bool = True
) -> None:
    """Export a network in fp32, and in int8 with ranges from scans it was trained on.

    Args:
        run: The folder of what is made.
        name: Of the network there.
        without: Patients whose scans it has not seen.
        anew: Replace what is there.
    """
    source, whole, small = (
        run / f"{name}{end}" for end in (".keras", ".xml", "-int8.xml")
    )
    if anew or not whole.exists():
        export_weights(source, whole)
    if small.exists() and not anew:
        return
    cases = [c for c in open_dataset(prepare(run)).cases if c.patient not in without]
    export_weights(source, small, precision="int8", calibration=scan_inputs(cases))


def networks(run: Path) -> dict[int, str]:
    """Export the network of each fold that was trained in RUN, and give their names.

    Where none was, those that are kept.
    """
    folds = range(len(FOLDS))
    names = {n: f"fold-{n}" for n in folds if (run / f"fold-{n}.keras").exists()}
    if not names:
        print("There is no network in RUN: judging those in weights/.")
        names = {n: _brought(run, KEPT.format(n)) for n in folds}
    for fold, name in names.items():
        export(run, name, without=FOLDS[fold], anew=False)
    return names


def _brought(run: Path, name: str) -> str:
    """Copy a network that is kept into RUN."""
    kept = find_weights(name, WEIGHTS)
    with replacing(run / kept.name) as file:
        file.write(kept.read_bytes())
    return name


def detectors(run: Path, name: str) -> dict[str, NoduleDetector]:
    """Give the ways of detecting that are compared, with one network."""
    network = str(run / f"{name}-int8.xml")
    return {
        CLASSICAL: NoduleDetector(weights=""),
        "network alone, one view": NoduleDetector(
            weights=network, dot_share=0.0, mirrored=False
        ),
        ALONE: NoduleDetector(weights=network, dot_share=0.0),
        "network and dots, one view": NoduleDetector(weights=network, mirrored=False),
        SHIPPED: NoduleDetector(weights=network),
        WHOLE: NoduleDetector(weights=str(run / f"{name}.xml")),
    }


def cross_validate(run: Path, names: Mapping[int, str]) -> dict[str, list[Outcome]]:
    """Detect in each annotated scan by the network that never saw its patient."""
    cases = {c.patient: c for c in read_scans(prepare(run))}
    outcomes: dict[str, list[Outcome]] = {}
    for fold, network in names.items():
        for patient in FOLDS[fold]:
            volume, lungs = read_case(cases[patient])
            for name, detect in detectors(run, network).items():
                found = match(
                    patient, detect(volume, lungs), cases[patient].annotations
                )
                outcomes.setdefault(name, []).append(found)
                if name == SHIPPED:
                    draw_misses(found, volume, run / "misses")
    return outcomes


def judge_hard(
    run: Path, names: Mapping[int, str]
) -> dict[str, dict[str, list[Outcome]]]:
    """Judge on inserted nodules of patients, and in lungs, that were never trained on.

    Returns:
        Sort of nodule to detector to outcomes; false positives are those of all.
    """
    outcomes: dict[str, dict[str, list[Outcome]]] = {}
    for fold, network in names.items():
        for case in hard_cases(run, fold):
            for name, detect in detectors(run, network).items():
                if name not in (CLASSICAL, SHIPPED, WHOLE):
                    continue
                marks = detect(case.volume, case.lungs)
                for sort in (*{s for s, _ in case.hard}, ALL_SORTS):
                    wanted = [a for s, a in case.hard if sort in (s, ALL_SORTS)]
                    rest = [
                        replace(a, readers=1)
                        for s, a in case.hard
                        if sort not in (s, ALL_SORTS)
                    ]
                    found = match(case.patient, marks, [*wanted, *rest, *case.others])
                    outcomes.setdefault(sort, {}).setdefault(name, []).append(found)
    return outcomes


def judge_phantoms(run: Path, network: str) -> dict[str, list[Outcome]]:
    """Judge a network on synthetic chests of people that were never trained on."""
    outcomes: dict[str, list[Outcome]] = {}
    for seed in TEST_PHANTOMS:
        phantom = phantom_of(seed, 6)
        lungs = LungSegmenter()(phantom.volume)
        truths = [
            Annotation(f"{t.type} {t.site}", t.center_mm, t.diameter_mm, 4)
            for t in phantom.truths
        ]
        for name, detect in detectors(run, network).items():
            if name in (CLASSICAL, SHIPPED, WHOLE):
                found = match(f"phantom-{seed}", detect(phantom.volume, lungs), truths)
                outcomes.setdefault(name, []).append(found)
    return outcomes


def report(run: Path) -> None:
    """Judge what is in RUN, and print the tables."""
    names = networks(run)
    print("found at ... false positives a scan   1/8  1/4  1/2    1    2    4    8")
    crossed = cross_validate(run, names)
    for name, outcomes in crossed.items():
        print(row(name, outcomes))
    draw_curves(
        {name: crossed[name] for name in (SHIPPED, ALONE, CLASSICAL)},
        run / "froc.png",
        title="Scans of patients never seen; bands: 95 %, bootstrap over scans",
    )
    best = crossed[SHIPPED]
    low, high = interval_at(best, 1)
    print(f"sensitivity at 1, network and dots: 95 % interval {low:.2f} to {high:.2f}")
    for score in SCORES:
        found = sum(hit >= score for o in best for hit in o.hits)
        false = sum(s >= score for o in best for s in o.false_scores) / len(best)
        print(
            f"from a score of {score} on: {found}, false positives a scan {false:.1f}"
        )
    for outcome in best:
        if outcome.patient.startswith("QIN"):
            print(f"  {outcome.patient}: rank {outcome.ranks}")
    for sort, by_name in judge_hard(run, names).items():
        for name, outcomes in by_name.items():
            print(row(f"{sort}: {name}"[:38], outcomes))
    phantoms = judge_phantoms(run, next(iter(names.values())))
    for name, outcomes in phantoms.items():
        print(row(f"20 phantoms: {name}"[:38], outcomes))
    false = sorted((s for o in phantoms[SHIPPED] for s in o.false_scores), reverse=True)
    limit = false[len(TEST_PHANTOMS)] if len(false) > len(TEST_PHANTOMS) else -0.5
    for outcome in phantoms[SHIPPED]:
        for target, hit in zip(outcome.targets, outcome.hits, strict=True):
            if hit <= limit:
                what = f"{target.series_uid}, {target.diameter_mm:.1f} mm"
                print(f"  missed at 1: {outcome.patient}, {what}")


def main() -> None:
    """Train, judge or time."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path, nargs="?", help="folder for what is made")
    parser.add_argument("--judge", action="store_true", help="train nothing")
    parser.add_argument("--ship", action="store_true", help="train on all patients")
    parser.add_argument("--epochs", type=int, default=36)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--fold", type=int, choices=range(len(FOLDS)))
    parser.add_argument("--precision", choices=PRECISIONS, default=PRECISIONS[0])
    parser.add_argument(
        "--filters", type=int, nargs=4, default=DetectionSettings().filters
    )
    args = parser.parse_args()
    if args.run is None:
        print("detection.py: skipped: needs a folder RUN; it trains for hours")
        return
    args.run.mkdir(parents=True, exist_ok=True)
    if not args.judge:
        chosen = FitSettings(epochs=args.epochs, seed=args.seed)
        settings = DetectionSettings(fit=chosen, mining=0, filters=tuple(args.filters))
        folds = range(len(FOLDS)) if args.fold is None else (args.fold,)
        with shared(precision=args.precision):
            train(args.run, settings, folds=folds, ship=args.ship)
    if not args.ship and args.fold is None:
        report(args.run)


if __name__ == "__main__":
    main()
