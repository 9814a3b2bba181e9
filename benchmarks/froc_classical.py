"""FROC of the classical nodule detector on the annotated CT that HILUM_DATA names.

    python benchmarks/froc_classical.py                 table on stdout, figure in docs
    python benchmarks/froc_classical.py --perturb       each constant 20 % off as well

A target is a nodule that at least 3 readers marked, or a tumour of the QIN scans. A
candidate hits it within max(radius, 4 mm) of its centre. A candidate that hits a
nodule of 1 or 2 readers counts neither way. LIDC-IDRI-0028 and -0306 have no marked
nodule and count with all their candidates.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from hilum.dicom import read_dicom
from hilum.evaluation.froc import RATES
from hilum.evaluation.froc_figure import froc_axes, write_axes
from hilum.findings import Annotation, Candidate
from hilum.stages.lungs import LungSegmenter
from hilum.stages.nodules import NoduleDetector, detector, dots
from hilum.volume import CTVolume, Mask

ROOT = Path(__file__).parents[1]
FIGURE = ROOT / "docs" / "explanation" / "froc_classical.png"
LEAST_READERS = 3
LEAST_HIT_MM = 4.0
PATIENTS = ("LIDC-IDRI-", "QIN-")


@dataclass(frozen=True)
class Scan:
    """One annotated scan, ready for detection."""

    patient: str
    volume: CTVolume
    lungs: Mask
    annotations: tuple[Annotation, ...]


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


def read_scans(data: Path) -> Iterator[Scan]:
    """Read the annotated scans, one at a time."""
    marks: dict[str, list[Annotation]] = {}
    with (data / "annotations.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            center = (float(row["coordX"]), float(row["coordY"]), float(row["coordZ"]))
            mark = Annotation(
                row["seriesuid"], center, float(row["diameter_mm"]), int(row["readers"])
            )
            marks.setdefault(row["patient"], []).append(mark)
    for folder in sorted((data / "ct").iterdir()):
        if folder.name.startswith(PATIENTS):
            volume = read_dicom(folder)
            lungs = LungSegmenter()(volume)
            found = tuple(marks.get(folder.name, ()))
            yield Scan(folder.name, volume, lungs, found)


def judge(scan: Scan, candidates: tuple[Candidate, ...]) -> Outcome:
    """Match the candidates of a scan with its annotations."""
    return match(scan.patient, candidates, scan.annotations)


def match(
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


def found_at(outcomes: Sequence[Outcome], rate: float) -> int:
    """Count the targets found where at most `rate` false positives a scan pass."""
    false_scores = sorted((s for o in outcomes for s in o.false_scores), reverse=True)
    allowed = int(rate * len(outcomes) + 1e-9)
    limit = false_scores[allowed] if allowed < len(false_scores) else -0.5
    return sum(hit > limit for o in outcomes for hit in o.hits)


def table(outcomes: list[Outcome]) -> dict[str, object]:
    """Give the targets, and how many are found at each rate."""
    return {
        "scans": len(outcomes),
        "targets": sum(len(o.hits) for o in outcomes),
        "found": {f"{rate:g}": found_at(outcomes, rate) for rate in RATES},
    }


def interval_at(outcomes: Sequence[Outcome], rate: float) -> tuple[float, float]:
    """Bootstrap over scans: the 95 % interval of the sensitivity at a rate."""
    rng = np.random.default_rng(0)
    draws = []
    for _ in range(1000):
        chosen = [outcomes[n] for n in rng.integers(len(outcomes), size=len(outcomes))]
        targets = sum(len(o.hits) for o in chosen)
        if targets:
            draws.append(found_at(chosen, rate) / targets)
    low, high = np.percentile(draws, [2.5, 97.5])
    return float(low), float(high)


def variants() -> Iterator[tuple[str, NoduleDetector, Callable[[], object]]]:
    """Give each constant 20 % lower and higher: name, settings, what to do before."""
    usual = NoduleDetector(weights="")
    low, high = usual.range_hu
    exponent, halved = dots.SHAPE_EXPONENT, dots.HALVED_FROM
    around = detector.SURROUNDINGS_MM
    smallest, largest = usual.diameters_mm

    def constants(e: float, h: float, s: float) -> Callable[[], object]:
        def apply() -> None:
            dots.SHAPE_EXPONENT, dots.HALVED_FROM = e, h
            detector.SURROUNDINGS_MM = s

        return apply

    asis = constants(exponent, halved, around)
    yield "as shipped", usual, asis
    for f in (0.8, 1.2):
        above = round(detector.LUNG_HU + (high - detector.LUNG_HU) * f)
        below = round(detector.LUNG_HU + (low - detector.LUNG_HU) * f)
        yield f"clip above x {f}", replace(usual, range_hu=(low, above)), asis
        yield f"clip below x {f}", replace(usual, range_hu=(below, high)), asis
        yield f"voxel_mm x {f}", replace(usual, voxel_mm=usual.voxel_mm * f), asis
        yield f"margin_mm x {f}", replace(usual, margin_mm=usual.margin_mm * f), asis
        scales = (smallest * f, largest * f)
        yield f"diameters_mm x {f}", replace(usual, diameters_mm=scales), asis
        yield f"exponent x {f}", usual, constants(exponent * f, halved, around)
        yield f"halved from x {f}", usual, constants(exponent, halved * f, around)
        yield f"surroundings x {f}", usual, constants(exponent, halved, around * f)
    asis()


def draw(groups: dict[str, list[Outcome]], path: Path) -> None:
    """Draw the FROC curves."""
    axes = froc_axes(
        "Classical detector; grey: 95 % interval, bootstrap over all scans"
    )
    fine = np.geomspace(1 / 11, 16, 120)
    for (name, outcomes), style in zip(groups.items(), ("-", "--", ":"), strict=True):
        targets = sum(len(o.hits) for o in outcomes)
        curve = [found_at(outcomes, r) / targets for r in fine]
        label = f"{name}: {len(outcomes)} scans, {targets} targets"
        axes.step(fine, curve, style, where="post", label=label)
    everything = next(iter(groups.values()))
    for rate in RATES:
        axes.plot([rate] * 2, interval_at(everything, rate), color="0.75", zorder=0)
    write_axes(axes, path)


def main() -> None:
    """Measure, print JSON, draw."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--perturb", action="store_true", help="constants 20 %% off")
    default = os.environ.get("HILUM_DATA", ROOT.parent / "shared" / "data")
    parser.add_argument("--data", type=Path, default=Path(default))
    parser.add_argument("--figure", type=Path, default=FIGURE)
    args = parser.parse_args()
    if not (args.data / "annotations.csv").exists():
        print("froc_classical.py: skipped: needs real CT, set HILUM_DATA")
        return
    usual = ("as shipped", NoduleDetector(weights=""), lambda: None)
    chosen = list(variants()) if args.perturb else [usual]
    results: dict[str, list[Outcome]] = {name: [] for name, _, _ in chosen}
    for scan in read_scans(args.data):
        for name, detect, prepare in chosen:
            prepare()
            outcome = judge(scan, detect(scan.volume, scan.lungs))
            results[name].append(outcome)
    outcomes = results["as shipped"]
    groups = {
        "all": outcomes,
        "LIDC-IDRI": [o for o in outcomes if o.patient.startswith("LIDC")],
        "QIN": [o for o in outcomes if o.patient.startswith("QIN")],
    }
    report = {name: table(group) for name, group in groups.items()}
    report["interval at 1"] = {"low_high": interval_at(outcomes, 1)}
    report["ranks"] = {o.patient: o.ranks for o in outcomes}
    if args.perturb:
        report["perturbed"] = {name: table(r)["found"] for name, r in results.items()}
    print(json.dumps(report, indent=1))
    draw(groups, args.figure)


if __name__ == "__main__":
    main()
