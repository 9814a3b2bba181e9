"""Make probabilities mean what they say in a cohort of one's own: `hilum calibrate`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from hilum.errors import InputError
from hilum.evaluation.calibration import Bin, fit_platt, reliability
from hilum.evaluation.dsb2017 import PatientFigures, judge_patients
from hilum.evaluation.patients import Labelled, as_table, read_labelled
from hilum.findings import Record
from hilum.formats.atomic import replacing

LEAST_OF_A_KIND = 10
"""Fewer cancers, or fewer without, and a curve would be fitted to chance."""

FOLDS = 5
_CLIP = 1e-4
_STEPS = 200

Floats = npt.NDArray[np.float64]
Curve = tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recalibration(Record):
    """What was fitted, and how good it is on patients that it was not fitted to.

    Attributes:
        method: "platt" or "isotonic", whichever has the lower cross-fitted log loss.
        before: Figures of the probabilities as they were.
        platt: Of those by Platt's curve, each patient by one fitted to the others.
        isotonic: Of those by a monotone curve, likewise.
        sentence: What the number means now, and in whom.
        file: The curve that `[patient] calibration` takes.
    """

    method: str
    before: PatientFigures
    platt: PatientFigures
    isotonic: PatientFigures
    sentence: str
    file: str


def calibrate(truth: Path, predictions: Path, out: Path) -> Recalibration:
    """Fit a curve from the probabilities given to those that hold in a cohort.

    Args:
        truth: CSV `id,cancer`, 0 or 1.
        predictions: CSV `id,cancer`, probabilities, of the same patients.
        out: Folder; gets calibration.json, calibrated.csv (each patient by a curve
            fitted to the others) and reliability.png.

    Raises:
        InputError: A table cannot be read, or there are fewer than 10 patients of a
            kind.
    """
    cases = read_labelled(truth, predictions)
    fewest = int(min(cases.cancer.sum(), (~cases.cancer).sum()))
    if fewest < LEAST_OF_A_KIND:
        raise InputError(
            f"Calibration needs {LEAST_OF_A_KIND} patients with and without cancer; "
            f"got {int(cases.cancer.sum())} and {int((~cases.cancer).sum())}."
        )
    if np.ptp(cases.probability) == 0:
        raise InputError("All probabilities are alike; no curve can tell them apart.")
    crossed = {m: cross_fit(cases, m) for m in ("platt", "isotonic")}
    figures = {
        m: judge_patients(Labelled(cases.ids, cases.cancer, p))
        for m, p in crossed.items()
    }
    method = min(figures, key=lambda m: figures[m].log_loss)
    curve = fit_curve(cases.probability, cases.cancer, method)
    sentence = _sentence(cases, figures[method])
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    _write(out, cases, crossed[method], curve, sentence)
    _plot(out / "reliability.png", cases, crossed[method])
    return Recalibration(
        method=method,
        before=judge_patients(cases),
        platt=figures["platt"],
        isotonic=figures["isotonic"],
        sentence=sentence,
        file=str(out / "calibration.json"),
    )


def cross_fit(cases: Labelled, method: str) -> Floats:
    """Calibrate each patient by a curve that was fitted to other patients.

    Args:
        cases: At least as many of each kind as there are folds.
        method: "platt" or "isotonic".
    """
    out = np.zeros(len(cases.ids))
    fold = np.zeros(len(cases.ids), int)
    rng = np.random.default_rng(0)
    for kind in (True, False):  # as many cancers in each fold
        at = rng.permutation(np.flatnonzero(cases.cancer == kind))
        fold[at] = np.arange(len(at)) % FOLDS
    for n in range(FOLDS):
        rest = fold != n
        curve = fit_curve(cases.probability[rest], cases.cancer[rest], method)
        out[~rest] = apply_curve(curve, cases.probability[~rest])
    return out


def fit_curve(probability: Floats, cancer: npt.NDArray[np.bool_], method: str) -> Curve:
    """Fit a rising curve from what was said to what holds.

    Args:
        probability: (n,) in [0, 1].
        cancer: (n,) bool.
        method: "platt", a straight line in log odds, or "isotonic".

    Returns:
        Its corners, from 0 to 1; straight in between.

    Raises:
        InputError: The method is unknown, or Platt's line falls.
    """
    if method == "platt":
        line = fit_platt(_logit(probability), cancer)
        if line.slope <= 0:
            raise InputError(
                "Higher probabilities went with fewer cancers. Check that the tables "
                "belong together; a curve that falls is not fitted."
            )
        x = np.linspace(0, 1, _STEPS + 1)
        return _corners(x, line(_logit(x)))
    if method != "isotonic":
        raise InputError(f"The method must be platt or isotonic; got {method!r}.")
    from scipy import optimize  # noqa: PLC0415  slow to import

    x, whose = np.unique(probability, return_inverse=True)
    count = np.bincount(whose).astype(float)
    share = np.bincount(whose, weights=cancer) / count
    # two made-up patients, one of each kind, keep it from certainty
    y = optimize.isotonic_regression(share, weights=count).x
    y = (y * len(cancer) + cancer.mean() * 2) / (len(cancer) + 2)
    return _corners(np.concatenate([[0], x, [1]]), np.concatenate([y[:1], y, y[-1:]]))


def apply_curve(curve: Curve, probability: npt.ArrayLike) -> Floats:
    """Bring probabilities onto a curve.

    Example:
        >>> apply_curve(((0.0, 0.0), (1.0, 0.5)), [0.4]).tolist()
        [0.2]
    """
    x, y = np.array(curve).T
    return np.asarray(np.interp(np.asarray(probability, np.float64), x, y))


def _corners(x: Floats, y: Floats) -> Curve:
    return tuple(zip(x.tolist(), np.clip(y, 0, 1).tolist(), strict=True))


def _logit(p: npt.ArrayLike) -> Floats:
    q = np.clip(np.asarray(p, np.float64), _CLIP, 1 - _CLIP)
    return np.asarray(np.log(q / (1 - q)))


def _sentence(cases: Labelled, after: PatientFigures) -> str:
    """Say in words what the number means."""
    return (
        f"Calibrated on {len(cases.ids)} patients, {int(cases.cancer.sum())} of them "
        f"with cancer ({cases.cancer.mean():.0%}): of 100 patients like those given "
        "10 %, about 10 have cancer. In others it need not hold. On patients "
        f"it was not fitted to, what it said and what was true differed by "
        f"{after.ece:.3f} on average (95 % interval {after.ece_interval[0]:.3f} to "
        f"{after.ece_interval[1]:.3f})."
    )


def _write(
    out: Path, cases: Labelled, crossed: Floats, curve: Curve, sentence: str
) -> None:
    """Write the curve, and what each patient gets by a curve of the others."""
    tree = {"points": [list(p) for p in curve], "sentence": sentence}
    with replacing(out / "calibration.json") as file:
        file.write(json.dumps(tree).encode())
    with replacing(out / "calibrated.csv") as file:
        file.write(as_table(zip(cases.ids, crossed.tolist(), strict=True)))


def _plot(path: Path, cases: Labelled, crossed: Floats) -> None:
    """Draw what was said against what was true, before and after."""
    from matplotlib.figure import Figure as Canvas  # noqa: PLC0415  slow to import

    figure = Canvas(figsize=(4.6, 4.4), layout="constrained")
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], "--", color="grey", lw=1)
    for name, p in (("before", cases.probability), ("after", crossed)):
        table: tuple[Bin, ...] = reliability(p, cases.cancer)
        axes.plot([b.said for b in table], [b.true for b in table], "o-", label=name)
    axes.set(
        xlabel="probability given", ylabel="share with cancer", xlim=(0, 1), ylim=(0, 1)
    )
    axes.legend()
    with replacing(path) as file:
        figure.savefig(file, format="png", dpi=110)
