"""The networks of nodules by fold: each nodule by one that never saw its patient.

    python benchmarks/out_of_fold.py

The shipped weights that rate hold the networks of all five folds side by side; those
that outline are beside this file, for the shipped one was trained on all patients, as
they were on four fifths. Here each of the 804 nodules is outlined and rated by the
network whose training left its patient out, in the precision that is shipped: Dice,
volume error by how the volume is taken, and the AUC of malignancy, with and without
mirrored views, and on that outline in place of the readers'. As a check, the same by a
network that was trained on the patient. Needs the data that HILUM_DATA names.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from hilum.datasets import NoduleCase, folds_by_patient, load_nodule, read_nodules
from hilum.evaluation.intervals import Figure, bootstrap
from hilum.evaluation.networks import detected
from hilum.evaluation.nodules import (
    BENIGN_UP_TO,
    MALIGNANT_FROM,
    NoduleReading,
    judge_nodules,
    overlap_of,
)
from hilum.evaluation.ranking import area_under_curve
from hilum.runtime.outlines import central_part, mirror_views, probabilities_of
from hilum.runtime.predictor import Predictor
from hilum.runtime.ratings import rating_inputs
from hilum.runtime.weights import find_weights
from hilum.volume import Mask

ROOT = Path(__file__).parents[1]
DATA = Path(os.environ.get("HILUM_DATA", ROOT.parent / "shared" / "data"))
OUTLINES = "outlines_of_fold_{}.xml"
"""Beside this file, in int8 as the shipped one is, which was trained on all."""

FOLDS = 5
VIEWS = (1, 4, 8)
FLIPS = 4
LEVEL = 0.5
FAINT = (0.1, 0.2)
"""From which probability on a voxel adds its share to the volume."""

WANTED = {"dice": 0.82, "volume": 0.12, "mean": 0.99, "mode": 0.955}


def outlined(
    case: NoduleCase, predict: Callable[[np.ndarray], np.ndarray]
) -> tuple[dict[str, float], Mask]:
    """Outline a nodule from where a detector would see it, in several ways.

    Returns:
        Dice and errors by way, and the mask of one view.
    """
    volume, mask = load_nodule(case)
    place = detected(case, volume, mask)
    row, masks = {}, []
    for views in VIEWS:
        chances, box = probabilities_of(
            volume, [place], predict=predict, mirrored=views
        )[0]
        inside = central_part(chances > LEVEL, box, *place)
        masks.append(Mask(inside, box))
        row[f"dice, {views}"] = overlap_of(mask, masks[-1])
        full = mask.volume_mm3 / box.voxel_mm3
        row[f"voxels above {LEVEL}, {views}"] = inside.sum() / full - 1
        for faint in FAINT:
            part = central_part(chances > faint, box, *place)
            row[f"sum of chances above {faint}, {views}"] = (
                chances[part].sum() / full - 1
            )
    return row, masks[0]


def rated(
    case: NoduleCase,
    predict: Predictor,
    mask: Mask | None = None,
    *,
    flips: int = FLIPS,
) -> np.ndarray:
    """Give (flips, folds) expected ratings of malignancy, by a mask or as marked."""
    volume, marked = load_nodule(case)
    own = mask is not None and mask.voxels.any()
    inputs = rating_inputs(volume, mask if own else marked)
    views = {
        name: mirror_views(inputs[name][0], flips)
        if name != "features"
        else np.repeat(inputs[name], flips, axis=0)
        for name in inputs
    }
    return 1 + np.asarray(predict(views)["malignancy"]).sum(axis=-1)


def chosen_elsewhere(errors: Mapping[str, np.ndarray], folds: np.ndarray) -> np.ndarray:
    """Take the volume of each fold in the way that did best on the other folds."""
    found = np.zeros(len(folds))
    for fold in range(FOLDS):
        rest = folds != fold
        best = min(errors, key=lambda way: float(np.median(np.abs(errors[way][rest]))))
        found[~rest] = errors[best][~rest]
        print(f"  fold {fold}: chosen on the others: {best}")
    return found


def show_outlines(
    cases: Sequence[NoduleCase], folds: np.ndarray, patients: np.ndarray
) -> list[Mask]:
    """Print Dice and volume error of the segmentation, and give its masks."""
    networks = [
        Predictor(find_weights(Path(__file__).with_name(OUTLINES.format(fold))))
        for fold in range(FOLDS)
    ]
    found = [
        outlined(case, networks[fold]) for case, fold in zip(cases, folds, strict=True)
    ]
    rows = [row for row, _ in found]
    table = {name: np.array([row[name] for row in rows]) for name in rows[0]}
    errors = {name: v for name, v in table.items() if not name.startswith("dice")}
    print("way, mirrored views                    median volume error   median ratio")
    for name, values in errors.items():
        print(
            f"{name:36}{_shown(_median(np.abs(values), patients))}"
            f"   {1 + np.median(values):.3f}"
        )
    nested = chosen_elsewhere(errors, folds)
    figure = _median(np.abs(nested), patients)
    print(
        f"{'chosen on the other folds':36}{_shown(figure)}   wanted {WANTED['volume']}"
    )
    for name in sorted(set(table) - set(errors)):
        figure = bootstrap(lambda k, v=table[name]: float(v[k].mean()), patients)
        print(f"{name:36}{_shown(figure)}   wanted {WANTED['dice']}")
    return [mask for _, mask in found]


def show_ratings(
    cases: Sequence[NoduleCase], folds: np.ndarray, masks: Sequence[Mask]
) -> None:
    """Print the AUC of malignancy, by mean and by most frequent rating."""
    predict = Predictor(find_weights("malignancy"))
    said = np.stack([rated(case, predict) for case in cases])
    own = np.stack(
        [rated(case, predict, m) for case, m in zip(cases, masks, strict=True)]
    )
    at = np.arange(len(cases))
    ways = {
        "network of its fold": said[at, 0, folds],
        f"the same, {FLIPS} mirrored views": said[at, :, folds].mean(axis=1),
        "the same, on its own outline": own[at, 0, folds],
        "one that was trained on it": said[at, 0, (folds + 1) % FOLDS],
    }
    print(
        f"malignancy, readers' mask           AUC, mean rating, wanted "
        f"{WANTED['mean']}   most frequent, wanted {WANTED['mode']}"
    )
    for name, ratings in ways.items():
        readings = [NoduleReading(float(r) / 5) for r in ratings]
        figures = judge_nodules(cases, readings, [np.nan] * len(cases))
        print(
            f"{name:36}{_shown(figures.malignancy_auc)}        "
            f"{_shown(figures.malignancy_auc_mode)}"
        )
    show_difference(cases, own[at, 0, folds], said[at, 0, folds])


def show_difference(
    cases: Sequence[NoduleCase], own: np.ndarray, readers: np.ndarray
) -> None:
    """Print by how much the AUC is higher on our own outlines than on the readers'."""
    patients = np.array([case.patient for case in cases])
    means = np.array([case.ratings.malignancy or np.nan for case in cases], float)
    modes = np.array([case.mode_malignancy or np.nan for case in cases], float)
    shown = []
    for rating, low, high in ((means, BENIGN_UP_TO, MALIGNANT_FROM), (modes, 2, 4)):
        at = np.flatnonzero((rating <= low) | (rating >= high))
        bad, ours, theirs = rating[at] >= high, own[at], readers[at]
        figure = bootstrap(
            lambda k, bad=bad, ours=ours, theirs=theirs: (
                area_under_curve(ours[k], bad[k]) - area_under_curve(theirs[k], bad[k])
            ),
            patients[at],
        )
        shown.append(f"{figure.value:+.4f} [{figure.low:+.3f}, {figure.high:+.3f}]")
    print(f"{'own outline less the readers':36}{'      '.join(shown)}   wanted -0.01")


def _median(values: np.ndarray, patients: np.ndarray) -> Figure:
    return bootstrap(lambda k: float(np.median(values[k])), patients)


def _shown(figure: Figure) -> str:
    return f"{figure.value:.4f} [{figure.low:.3f}, {figure.high:.3f}]"


def main() -> None:
    """Print both tables."""
    if not (DATA / "nodules").is_dir():
        raise SystemExit("out_of_fold.py needs the data that HILUM_DATA names.")
    cases = [c for c in read_nodules(DATA / "nodules") if c.mask is not None]
    folds = folds_by_patient(cases, FOLDS, seed=0)
    patients = np.array([case.patient for case in cases])
    print(f"{len(cases)} nodules of {len(set(patients))} patients")
    masks = show_outlines(cases, folds, patients)
    show_ratings(cases, folds, masks)


if __name__ == "__main__":
    main()
