"""The figures of a training run, from nodules that the networks had not seen."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hilum._optional import require
from hilum.errors import InputError
from hilum.evaluation import (
    Bin,
    NoduleFigures,
    NoduleReading,
    Platt,
    fit_platt,
    judge_nodules,
    reliability,
)
from hilum.evaluation.nodules import BENIGN_UP_TO, MALIGNANT_FROM
from hilum.formats.atomic import replacing
from hilum.nn.models import RATING_CATEGORIES
from hilum.training.malignancy import MASKS, Predictions

_MALIGNANCY = list(RATING_CATEGORIES).index("malignancy")


def calibrated_out_of_fold(
    score: npt.NDArray[np.float64],
    truth: npt.NDArray[np.int64],
    folds: npt.NDArray[np.int64],
) -> npt.NDArray[np.float64]:
    """Turn scores into probabilities, each by the other folds.

    Args:
        score: (n,) predicted ratings.
        truth: (n,) 1 malignant, 0 benign, -1 neither.
        folds: (n,) the fold of each.
    """
    said = np.zeros(len(score))
    for fold in np.unique(folds):
        others = (folds != fold) & (truth >= 0)
        said[folds == fold] = fit_platt(score[others], truth[others] > 0)(
            score[folds == fold]
        )
    return said


def report_malignancy(predictions: Predictions, out: Path) -> dict[str, NoduleFigures]:
    """Write `metrics.json`, `reliability.json` and `reliability.png`.

    The calibration that `malignancy.keras` needs goes beside it, as
    `malignancy.calibration.json`.

    Args:
        predictions: Out of `train_malignancy`.
        out: A folder.

    Returns:
        Source of the mask to figures.

    Raises:
        InputError: No nodule is rated malignant, or none benign.
    """
    truth = truth_of(predictions)
    if not (truth > 0).any() or not (truth == 0).any():
        raise InputError(
            f"Figures need nodules with mean malignancy from {MALIGNANT_FROM} on and "
            f"up to {BENIGN_UP_TO}; got {int((truth > 0).sum())} and "
            f"{int((truth == 0).sum())}. Add rated nodules."
        )
    figures: dict[str, NoduleFigures] = {}
    tables: dict[str, tuple[Bin, ...]] = {}
    for mask in MASKS:
        score = predictions.ratings[mask][:, _MALIGNANCY]
        said = calibrated_out_of_fold(score, truth, predictions.folds)
        kinds = predictions.kinds[mask].argmax(axis=1).tolist()
        readings = [
            NoduleReading(p, kind) for p, kind in zip(said.tolist(), kinds, strict=True)
        ]
        nothing = [np.nan] * len(readings)
        figures[mask] = judge_nodules(predictions.cases, readings, nothing)
        tables[mask] = reliability(said[truth >= 0], truth[truth >= 0] > 0)
    final = final_calibration(predictions)
    _write({m: f.to_json() for m, f in figures.items()}, out / "metrics.json")
    covariance = calibration_covariance(predictions)
    table = {**final.to_json(), "covariance": covariance}
    _write(table, out / "malignancy.calibration.json")
    bins = {mask: [b.to_json() for b in table] for mask, table in tables.items()}
    _write(bins, out / "reliability.json")
    _draw(tables, out / "reliability.png")
    return figures


def final_calibration(predictions: Predictions) -> Platt:
    """Fit the calibration that goes with the networks, on all left-out nodules."""
    truth = truth_of(predictions)
    score = predictions.ratings[MASKS[0]][:, _MALIGNANCY]
    return fit_platt(score[truth >= 0], truth[truth >= 0] > 0)


def calibration_covariance(
    predictions: Predictions, *, draws: int = 1000
) -> tuple[float, float, float]:
    """Tell what the patients leave open of the calibration, by bootstrap over them.

    Args:
        predictions: Out of `train_malignancy`.
        draws: Of patients.

    Returns:
        Variance of the slope, covariance, variance of the offset.
    """
    truth = truth_of(predictions)
    known = np.flatnonzero(truth >= 0)
    score = predictions.ratings[MASKS[0]][known, _MALIGNANCY]
    names = [predictions.cases[n].patient for n in known]
    patients, member = np.unique(names, return_inverse=True)
    groups = [np.flatnonzero(member == n) for n in range(len(patients))]
    rng = np.random.default_rng(0)
    fits = []
    for _ in range(draws):
        drawn = rng.integers(len(groups), size=len(groups))
        some = np.concatenate([groups[n] for n in drawn])
        try:
            found = fit_platt(score[some], truth[known[some]] > 0)
        except InputError:  # none malignant, or none benign, among those drawn
            continue
        fits.append((found.slope, found.offset))
    if len(fits) < 2:
        return 0.0, 0.0, 0.0
    spread = np.cov(np.array(fits).T)
    return float(spread[0, 0]), float(spread[0, 1]), float(spread[1, 1])


def truth_of(predictions: Predictions) -> npt.NDArray[np.int64]:
    """Tell for each nodule: 1 malignant, 0 benign, -1 neither or not rated."""
    mean = [case.ratings.malignancy for case in predictions.cases]
    return np.array(
        [
            -1
            if m is None
            else 1
            if m >= MALIGNANT_FROM
            else 0
            if m <= BENIGN_UP_TO
            else -1
            for m in mean
        ]
    )


def _write(tree: dict[str, Any], path: Path) -> None:
    with replacing(path) as file:
        file.write((json.dumps(tree, indent=2) + "\n").encode())


def _draw(tables: dict[str, tuple[Bin, ...]], path: Path) -> None:
    """Draw how often nodules were malignant by how likely they were said to be."""
    require("matplotlib", extra="train", to="to draw the reliability")
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415
    from matplotlib.figure import Figure  # noqa: PLC0415

    figure = Figure(figsize=(5, 5), dpi=100, layout="constrained")
    axes = figure.add_subplot(
        xlabel="probability that was said", ylabel="share rated malignant"
    )
    axes.plot([0, 1], [0, 1], color="grey", linewidth=1)
    for mask, table in tables.items():
        axes.plot(
            [b.said for b in table], [b.true for b in table], marker="o",
            label=f"{mask} mask",
        )  # fmt: skip
    axes.legend()
    axes.grid(alpha=0.3)
    with replacing(path) as file:
        FigureCanvasAgg(figure).print_png(file)
