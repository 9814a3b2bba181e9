"""What 16 and 8 bits cost: AUC and Dice of networks out of fold, in each precision.

Takes the folders that `hilum train malignancy` and `hilum train segmentation` wrote:
each nodule is seen by the network of the fold that it was left out of. int8 learns its
ranges from 100 nodules of the other folds.

    python benchmarks/precision.py NODULES MALIGNANCY_RUN SEGMENTATION_RUN
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from hilum.datasets import NoduleCase, folds_by_patient, load_nodule, read_nodules
from hilum.evaluation.examples import EXAMPLES, inputs_of
from hilum.evaluation.networks import detected
from hilum.evaluation.nodules import (
    NoduleFigures,
    NoduleReading,
    judge_nodules,
    overlap_of,
)
from hilum.runtime.export import export_weights
from hilum.runtime.outlines import outline_nodule
from hilum.runtime.predictor import Predictor
from hilum.runtime.ratings import Calibration, rate_nodule

PRECISIONS = ("fp32", "bf16", "int8")
FOLDS = 5
AS_RATED = Calibration(1.0, -3.0)
"""Only the order counts here."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Print one row for each precision, and its differences from fp32."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("nodules", type=Path, nargs="?")
    parser.add_argument("malignancy", type=Path, nargs="?")
    parser.add_argument("segmentation", type=Path, nargs="?")
    args = parser.parse_args(arguments)
    if not args.segmentation:
        print("precision.py: skipped: needs NODULES and two runs of `hilum train`")
        return
    cases = read_nodules(args.nodules)
    folds = folds_by_patient(cases, FOLDS, seed=0)
    print(f"{len(cases)} nodules, {FOLDS} folds; differences are from fp32")
    print("precision  MB    AUC               AUC by mode       Dice")
    first: list[float] = []
    with tempfile.TemporaryDirectory() as scratch:
        for precision in PRECISIONS:
            figures, size = judged(cases, folds, args, precision, Path(scratch))
            tree = figures.to_json()
            names = ("malignancy_auc", "malignancy_auc_mode", "dice")
            found = [float(tree[name]["value"]) for name in names]
            first = first or found
            cells = [
                f"{a:.4f} ({a - b:+.4f})" for a, b in zip(found, first, strict=True)
            ]
            print(f"{precision:9} {size / 1e6:4.1f}  {'  '.join(cells)}", flush=True)


def judged(
    cases: Sequence[NoduleCase],
    folds: np.ndarray,
    args: argparse.Namespace,
    precision: str,
    scratch: Path,
) -> tuple[NoduleFigures, int]:
    """Read every nodule by the networks of its fold, and count their bytes."""
    readings: list[NoduleReading] = []
    overlaps: list[float] = []
    order: list[int] = []
    for fold in range(FOLDS):
        rest = [case for case, of in zip(cases, folds, strict=True) if of != fold]
        examples = rest[:: len(rest) // EXAMPLES][:EXAMPLES]
        rate, outline = (
            export_weights(
                run / f"fold-{fold}.keras",
                scratch / f"{name}-{fold}-{precision}.xml",
                precision=precision,
                calibration=inputs_of(run / f"fold-{fold}.keras", examples),
            )
            for name, run in (
                ("rate", args.malignancy),
                ("outline", args.segmentation),
            )
        )
        networks = Predictor(rate.path), Predictor(outline.path)
        for number in np.flatnonzero(folds == fold):
            volume, mask = load_nodule(cases[number])
            said = rate_nodule(volume, mask, predict=networks[0], calibration=AS_RATED)
            readings.append(NoduleReading(said.malignancy.value or 0.0, said.kind))
            own = outline_nodule(
                volume,
                *detected(cases[number], volume, mask),
                predict=networks[1],
                mirrored=1,
            )
            overlaps.append(overlap_of(mask, own))
            order.append(int(number))
    figures = judge_nodules([cases[n] for n in order], readings, overlaps)
    return figures, rate.bytes + outline.bytes


if __name__ == "__main__":
    main()
