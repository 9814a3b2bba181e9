"""The nodule detector, from data to figures: cross-validation on the annotated CT.

    python benchmarks/detection.py RUN           train each fold, then judge them
    python benchmarks/detection.py RUN --judge   judge the networks that are in RUN
    python benchmarks/detection.py RUN --ship    train fold-0.keras on, on all patients
                                                 and nodules: RUN/nodules.keras

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
import csv
import os
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import keras
import numpy as np
from froc_classical import LEAST_HIT_MM, LEAST_READERS, RATES, found_at, interval_at
from PIL import Image

from hilum.datasets.scans import ScanCase, read_scans
from hilum.errors import InputError
from hilum.findings import Annotation, Candidate
from hilum.formats import write_volume
from hilum.nn.losses import marks_loss
from hilum.phantom import Phantom, PhantomSettings, make_phantom
from hilum.phantom.placing import Plan, place_lesions
from hilum.report.images import key_image
from hilum.runtime.export import export_weights
from hilum.sources import read_ct
from hilum.space import Grid
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
from hilum.training.implants import Implant, Implants, insert
from hilum.training.scenes import Scene
from hilum.volume import CTVolume, HUArray, Mask

ROOT = Path(__file__).parents[1]
DATA = Path(os.environ.get("HILUM_DATA", ROOT.parent / "shared" / "data"))
FOLDS = (
    ("LIDC-IDRI-0001", "LIDC-IDRI-0012", "QIN-LSC-0055", "QIN-LSC-0064"),
    (
        "LIDC-IDRI-0003", "LIDC-IDRI-0006", "LIDC-IDRI-0013", "LIDC-IDRI-0028",
        "LIDC-IDRI-0306", "QIN-LSC-0028", "QIN-LUNG-01-0007",
    ),
)  # fmt: skip
ANNOTATED = tuple(patient for fold in FOLDS for patient in fold)
TRAINING_PHANTOMS = range(900, 910)
TEST_PHANTOMS = range(100, 120)
HARD_OF_A_SORT = 6
SHIP = FitSettings(epochs=14, learning_rate=1e-3, seed=7)
SLICES_MM = (1.0, 1.25, 2.0, 2.5, 3.0)
SIZES_MM = (4.0, 5.0, 6.0, 7.5, 9.0, 11.0, 14.0, 18.0, 24.0, 30.0)
KINDS = ("ground-glass", "solid", "part-solid", "ground-glass", "calcified")
SITES = ("lung", "lung", "pleura", "vessel")
FORMS = ("round", "lobulated", "spiculated")


@dataclass(frozen=True)
class Outcome:
    """What became of a scan's targets and marks.

    Attributes:
        patient: The scan.
        targets: What there was to find.
        hits: (targets,) score of the best hit of each; -1 where it was missed.
        ranks: (targets,) its rank among the marks from 1; 0 where missed.
        false_scores: (n,) scores of the false positives.
    """

    patient: str
    targets: tuple[Annotation, ...]
    hits: tuple[float, ...]
    ranks: tuple[int, ...]
    false_scores: tuple[float, ...]


def judge(
    patient: str, marks: Iterable[Candidate], annotations: Sequence[Annotation]
) -> Outcome:
    """Match the marks in a scan, the best first, with its annotations."""
    hits, ranks = [-1.0] * len(annotations), [0] * len(annotations)
    false_scores = []
    for rank, mark in enumerate(marks, start=1):
        near = [
            n
            for n, truth in enumerate(annotations)
            if np.linalg.norm(np.subtract(mark.center_mm, truth.center_mm))
            <= max(truth.diameter_mm / 2, LEAST_HIT_MM)
        ]
        if not near:
            false_scores.append(mark.score)
        for n in near:
            if not ranks[n]:
                hits[n], ranks[n] = mark.score, rank
    sure = [n for n, a in enumerate(annotations) if a.readers >= LEAST_READERS]
    return Outcome(
        patient,
        tuple(annotations[n] for n in sure),
        tuple(hits[n] for n in sure),
        tuple(ranks[n] for n in sure),
        tuple(false_scores),
    )


def row(name: str, outcomes: Sequence[Outcome]) -> str:
    """Give a line of the table: found at each rate, and their mean share."""
    found = [found_at(outcomes, rate) for rate in RATES]
    targets = sum(len(o.hits) for o in outcomes)
    share = float(np.mean(found)) / max(targets, 1)
    cells = " ".join(f"{n:4}" for n in found)
    return f"{name:38}{cells}  of {targets:3}  mean {share:.3f}"


def phantom_of(seed: int, count: int) -> Phantom:
    """Make a phantom with up to so many lesions of all kinds, sizes and places."""
    rng = np.random.default_rng([seed, 77])
    plans: list[Plan] = []
    for _ in range(count):
        kind = KINDS[int(rng.integers(len(KINDS)))]
        low = 5.0 if kind in ("ground-glass", "part-solid") else 4.0
        size = max(
            low, SIZES_MM[int(rng.integers(len(SIZES_MM)))] * rng.uniform(0.9, 1.1)
        )
        site = SITES[int(rng.integers(len(SITES)))]
        plan = Plan(
            diameter_mm=float(min(size, 30.0)) if kind != "calcified" else 6.0,
            kind=kind,
            form=FORMS[int(rng.integers(len(FORMS)))],
            site="lung" if size > 12 else site,
        )
        try:
            place_lesions(seed, [*plans, plan])
        except InputError:  # no room for this one
            continue
        plans.append(plan)
    slice_mm = SLICES_MM[seed % len(SLICES_MM)]
    settings = PhantomSettings(
        seed=seed,
        shape=(round(340 / slice_mm), 420, 420),
        spacing_mm=(slice_mm, 0.85, 0.85),
        kernel="sharp" if seed % 3 == 0 else "soft",
        dose=float(rng.uniform(0.3, 1.5)),
    )
    return make_phantom(settings, place_lesions(seed, plans))


def prepare(run: Path) -> Path:
    """Lay out the annotated scans and the training phantoms as `read_scans` wants."""
    data = run / "data"
    if (data / "annotations.csv").exists():
        return data
    (data / "ct").mkdir(parents=True, exist_ok=True)
    for name, source in (
        ("nodules", DATA / "nodules"),
        ("lidc-xml.zip", DATA / "labels" / "lidc-xml.zip"),
        *((f"ct/{p}", DATA / "ct" / p) for p in ANNOTATED),
    ):
        if not (data / name).exists():
            (data / name).symlink_to(source.resolve())
    header = [
        "seriesuid",
        "coordX",
        "coordY",
        "coordZ",
        "diameter_mm",
        "readers",
        "patient",
    ]
    rows: list[list[object]] = []
    with (DATA / "annotations.csv").open(newline="") as file:
        for line in csv.DictReader(file):
            if line["patient"] in ANNOTATED:
                rows.append([line[name] for name in header])
    for seed in TRAINING_PHANTOMS:
        start = time.perf_counter()
        phantom = phantom_of(seed, 14)
        name = f"phantom-{seed}"
        write_volume(phantom.volume, data / "ct" / f"{name}.nii.gz")
        for truth in phantom.truths:
            rows.append([name, *truth.center_mm, truth.diameter_mm, 4, name])
        took = time.perf_counter() - start
        print(f"{name}: {len(phantom.truths)} lesions, {took:.0f} s", flush=True)
    with (data / "annotations.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])
    return data


def split_off(implants: Sequence[Implant]) -> tuple[list[Implant], list[Implant]]:
    """Set the nodules of an eighth of the patients aside for the hard set."""
    patients = sorted({i.patient for i in implants})
    aside = set(patients[::8])
    kept = [i for i in implants if i.patient not in aside]
    return kept, [i for i in implants if i.patient in aside]


def train(run: Path, settings: DetectionSettings, *, ship: bool) -> None:
    """Train the network of each fold, or go on with the first on all patients."""
    data = prepare(run)
    scenes = load_scenes(read_training_scans(data), run / "scenes")
    implants = load_implants(data)
    if ship:
        model = keras.models.load_model(run / "fold-0.keras", compile=False)
        views = DetectionViews(scenes, Implants(implants), variety=settings.variety)
        fit(
            model,
            Views(views, settings.crops, batch=settings.batch, seed=SHIP.seed),
            loss=marks_loss,
            folder=run / "all",
            settings=SHIP,
        )
        _keep(model, run / "nodules.keras")
        return
    known, _ = split_off(implants)
    for name, left_out in ((f"fold-{n}", fold) for n, fold in enumerate(FOLDS)):
        target = run / f"{name}.keras"
        if target.exists():
            continue
        start = time.perf_counter()
        model = train_detection(
            [s for s in scenes if s.patient not in left_out],
            [i for i in known if i.patient not in left_out],
            folder=run / name,
            settings=settings,
        )
        _keep(model, target)
        print(f"{name}: {time.perf_counter() - start:.0f} s", flush=True)


def _keep(model: keras.Model, target: Path) -> None:
    """Save a network, and export it as it is and in bf16."""
    model.save(target)
    export_weights(target, target.with_suffix(".xml"))
    half = target.with_name(f"{target.stem}-bf16.xml")
    export_weights(target, half, precision="bf16")


def read_case(case: ScanCase) -> tuple[CTVolume, Mask]:
    """Read a scan and find its lungs."""
    uid = case.series_uid if case.source.is_dir() else None
    volume = read_ct(case.source, series_uid=uid)
    return volume, LungSegmenter()(volume)


def detectors(run: Path, fold: int) -> dict[str, NoduleDetector]:
    """Give the ways of detecting that are compared, for the scans of a fold."""
    network = str(run / f"fold-{fold}.xml")
    return {
        "dots alone (classical)": NoduleDetector(weights=""),
        "network alone, one view": NoduleDetector(
            weights=network, dot_share=0.0, mirrored=False
        ),
        "network alone": NoduleDetector(weights=network, dot_share=0.0),
        "network and dots, one view": NoduleDetector(weights=network, mirrored=False),
        "network and dots": NoduleDetector(weights=network),
        "the same in bf16": NoduleDetector(weights=str(run / f"fold-{fold}-bf16.xml")),
    }


def _trained(run: Path) -> list[tuple[int, tuple[str, ...]]]:
    """Give the folds whose network is there, and the patients that it never saw."""
    folds = [
        (n, patients)
        for n, patients in enumerate(FOLDS)
        if (run / f"fold-{n}.keras").exists()
    ]
    for n, _ in folds:
        half = run / f"fold-{n}-bf16.xml"
        if not half.exists():
            export_weights(run / f"fold-{n}.keras", half, precision="bf16")
    return folds


def cross_validate(run: Path) -> dict[str, list[Outcome]]:
    """Detect in each annotated scan by the network that never saw its patient."""
    cases = {c.patient: c for c in read_scans(prepare(run))}
    outcomes: dict[str, list[Outcome]] = {}
    for fold, patients in _trained(run):
        for patient in patients:
            volume, lungs = read_case(cases[patient])
            for name, detect in detectors(run, fold).items():
                found = judge(
                    patient, detect(volume, lungs), cases[patient].annotations
                )
                outcomes.setdefault(name, []).append(found)
                if name == "network and dots":
                    draw_misses(found, volume, run / "misses")
    return outcomes


def draw_misses(outcome: Outcome, volume: CTVolume, folder: Path) -> None:
    """Draw what ranks below the eighth false positive, in three planes."""
    folder.mkdir(parents=True, exist_ok=True)
    ordered = sorted(outcome.false_scores, reverse=True)
    for target, hit in zip(outcome.targets, outcome.hits, strict=True):
        worse = sum(score > hit for score in ordered)
        if hit < 0 or worse >= 1:
            images = [
                key_image(volume, target.center_mm, plane, size_mm=60.0).grey
                for plane in ("axial", "coronal", "sagittal")
            ]
            name = f"{outcome.patient}-{target.diameter_mm:.0f}mm-after-{worse}.png"
            Image.fromarray(np.hstack(images)).save(folder / name)


def hard_scans(
    scene: Scene, implants: Implants, rng: np.random.Generator, count: int
) -> tuple[HUArray, list[tuple[str, Annotation]]]:
    """Insert hard nodules into the lungs of a scene: a quarter of each sort."""
    hu, taken = np.asarray(scene.hu), [*scene.nodules.tolist(), *scene.unsure.tolist()]
    found: list[tuple[str, Annotation]] = []
    sorts = {
        "on vessels, 4-8 mm": (scene.vascular, (4, 8), 5.0),
        "at the pleura, 4-10 mm": (scene.pleural, (4, 10), 5.0),
        "ground glass, 6-16 mm": (scene.inside, (6, 16), 0.0),
        "anywhere, 3-6 mm": (scene.inside, (3, 6), 5.0),
    }
    for name, (places, sizes, density) in sorts.items():
        made = 0
        for _ in range(60):
            if made == count:
                break
            center = places[rng.integers(len(places))].astype(float)
            diameter = float(rng.uniform(*sizes))
            if any(
                np.linalg.norm(center - t[:3]) < (diameter + t[3]) / 2 + 8
                for t in taken
            ):
                continue
            pool = [n for n in implants.nodules if (n.weight > 1) == (density < 1)]
            fits = [n for n in pool if 0.6 < diameter / n.diameter_mm < 1.6] or pool
            nodule = fits[rng.integers(len(fits))]
            mixed = insert(
                hu, center, nodule, rng, diameter_mm=diameter, slice_mm=scene.slice_mm
            )
            if mixed is None:
                continue
            hu, made = mixed, made + 1
            taken.append([*center, diameter])
            point = (float(center[2]), float(center[1]), float(center[0]))
            found.append((name, Annotation(scene.name, point, diameter, 4)))
    return hu, found


def judge_hard(run: Path) -> dict[str, dict[str, list[Outcome]]]:
    """Judge on inserted nodules of patients, and in lungs, that were never trained on.

    Returns:
        Sort of nodule to detector to outcomes; false positives are those of all.
    """
    data = prepare(run)
    scenes = load_scenes(read_training_scans(data), run / "scenes")
    aside = split_off(load_implants(data))[1]
    outcomes: dict[str, dict[str, list[Outcome]]] = {}
    for fold, patients in _trained(run):
        known = [i for i in aside if i.patient not in ANNOTATED]
        for scene in (s for s in scenes if s.patient in patients):
            rng = np.random.default_rng([fold, len(scene.hu)])
            hu, hard = hard_scans(scene, Implants(known), rng, HARD_OF_A_SORT)
            grid = Grid.axial((*hu.shape,), (1.0, 1.0, 1.0))
            volume = CTVolume(hu, grid, scene.name)
            lungs = LungSegmenter()(volume)
            others = [
                Annotation(scene.name, (x, y, z), d, 1)
                for z, y, x, d in [*scene.nodules.tolist(), *scene.unsure.tolist()]
            ]
            for name, detect in detectors(run, fold).items():
                if name not in ("dots alone (classical)", "network and dots"):
                    continue
                marks = detect(volume, lungs)
                for sort in {s for s, _ in hard}:
                    wanted = [a for s, a in hard if s == sort]
                    rest = [replace(a, readers=1) for s, a in hard if s != sort]
                    found = judge(scene.patient, marks, [*wanted, *rest, *others])
                    outcomes.setdefault(sort, {}).setdefault(name, []).append(found)
    return outcomes


def judge_phantoms(run: Path) -> dict[str, list[Outcome]]:
    """Judge on synthetic chests of people that were never trained on."""
    outcomes: dict[str, list[Outcome]] = {}
    for seed in TEST_PHANTOMS:
        phantom = phantom_of(seed, 6)
        lungs = LungSegmenter()(phantom.volume)
        truths = [
            Annotation(f"{t.type} {t.site}", t.center_mm, t.diameter_mm, 4)
            for t in phantom.truths
        ]
        for name, detect in detectors(run, 0).items():
            if name in ("dots alone (classical)", "network and dots"):
                found = judge(f"phantom-{seed}", detect(phantom.volume, lungs), truths)
                outcomes.setdefault(name, []).append(found)
    return outcomes


def report(run: Path) -> None:
    """Judge what is in RUN, and print the tables."""
    print("found at ... false positives a scan   1/8  1/4  1/2    1    2    4    8")
    crossed = cross_validate(run)
    for name, outcomes in crossed.items():
        print(row(name, outcomes))
    best = crossed["network and dots"]
    low, high = interval_at(best, 1)
    print(f"sensitivity at 1, network and dots: 95 % interval {low:.2f} to {high:.2f}")
    for outcome in best:
        if outcome.patient.startswith("QIN"):
            print(f"  {outcome.patient}: rank {outcome.ranks}")
    for sort, by_name in judge_hard(run).items():
        for name, outcomes in by_name.items():
            print(row(f"{sort}: {name}"[:38], outcomes))
    phantoms = judge_phantoms(run)
    for name, outcomes in phantoms.items():
        print(row(f"20 phantoms: {name}"[:38], outcomes))
    false = sorted(
        (s for o in phantoms["network and dots"] for s in o.false_scores), reverse=True
    )
    limit = false[len(TEST_PHANTOMS)] if len(false) > len(TEST_PHANTOMS) else -0.5
    for outcome in phantoms["network and dots"]:
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
    args = parser.parse_args()
    if args.run is None:
        print("detection.py: skipped: needs a folder RUN; it trains for hours")
        return
    args.run.mkdir(parents=True, exist_ok=True)
    if not args.judge:
        chosen = FitSettings(epochs=args.epochs, seed=args.seed)
        train(args.run, DetectionSettings(fit=chosen, mining=0), ship=args.ship)
    if not args.ship:
        report(args.run)


if __name__ == "__main__":
    main()
