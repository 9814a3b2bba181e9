"""What other learners make of the same features, and how well readers agree.

    python benchmarks/learners.py

Learners of scikit-learn, and their mean, on the 87 features of `hilum.features` from
the readers' masks, out of fold over the folds of `hilum train malignancy`; and beside
the shipped networks, each nodule by the one of its fold: averaged, and weighed by what
the other folds taught. Before it one reader of LIDC against the mean of the others, on
all nodules that four readers rated: what the labels themselves allow. Needs the data
that HILUM_DATA names.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel
from sklearn.linear_model import LinearRegression, LogisticRegression, RidgeCV
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVR

from hilum.datasets import NoduleCase, folds_by_patient, load_nodule, read_nodules
from hilum.datasets.lidc import ReaderMark, Reading, read_lidc
from hilum.evaluation.intervals import bootstrap
from hilum.evaluation.ranking import area_under_curve
from hilum.runtime.predictor import Predictor
from hilum.runtime.ratings import rating_inputs
from hilum.runtime.weights import find_weights

ROOT = Path(__file__).parents[1]
DATA = Path(os.environ.get("HILUM_DATA", ROOT.parent / "shared" / "data"))


class Ordinal(RegressorMixin, BaseEstimator):
    """P(rating > 1) to P(rating > 4), each by logistic regression, and their sum."""

    def fit(self, features: np.ndarray, ratings: np.ndarray) -> Ordinal:
        """Learn; a mean of 3.25 counts as above 3 for a quarter."""
        both = np.concatenate([features, features])
        sides = np.repeat([1, 0], len(features))
        self.steps_ = []
        for above in range(1, 5):
            share = np.clip(ratings - above, 0, 1)
            weights = np.concatenate([share, 1 - share])
            step = LogisticRegression(C=0.01, max_iter=400)
            self.steps_.append(step.fit(both, sides, weights))
        return self

    def predict(self, features: np.ndarray) -> np.ndarray:
        """Give expected ratings."""
        return 1 + sum(step.predict_proba(features)[:, 1] for step in self.steps_)


KERNEL = ConstantKernel(1) * RBF(15.0) + WhiteKernel(0.3)
LEARNERS: dict[str, Callable[[], Any]] = {
    "ordinal regression": Ordinal,
    "ridge": lambda: RidgeCV(np.logspace(0, 4, 9)),
    "support vectors": lambda: SVR(C=1, gamma=0.003, epsilon=0.2),
    "Gaussian process": lambda: GaussianProcessRegressor(KERNEL, normalize_y=True),
    "extra trees": lambda: ExtraTreesRegressor(
        400, min_samples_leaf=2, max_features=0.4, n_jobs=2, random_state=0
    ),
    "MLP 87-48-24": lambda: MLPRegressor(
        hidden_layer_sizes=(48, 24),
        alpha=1,
        max_iter=120,
        batch_size=64,
        random_state=0,
    ),
    "MLP 87-192-96": lambda: MLPRegressor(
        hidden_layer_sizes=(192, 96),
        alpha=1,
        max_iter=120,
        batch_size=64,
        random_state=0,
    ),
}
SHIPPED = "shipped networks"
TOGETHER = {
    "shipped, support vectors": (SHIPPED, "support vectors"),
    "shipped, three more": (SHIPPED, "ridge", "extra trees", "support vectors"),
}
"""Standardised and averaged."""
_NEAR = 12.0


def compare_learners() -> None:
    """Print the AUC of each learner, out of fold, with its interval over patients."""
    cases = [c for c in read_nodules(DATA / "nodules") if c.mask is not None]
    folds = folds_by_patient(cases, 5, 0)
    features, shipped = measured(cases, folds)
    low, high = np.percentile(features, [1, 99], axis=0)
    clipped = np.clip(features.astype(np.float64), low, high)
    mode = np.array([case.modes.malignancy or np.nan for case in cases])
    mean = np.array([case.ratings.malignancy or np.nan for case in cases])
    target = np.where(np.isnan(mean), mode, mean)
    show = judge([case.patient for case in cases], mean, mode)
    said = {}
    for name, learner in LEARNERS.items():
        said[name] = left_out(learner, clipped, target, folds)
        show(name, said[name])
    show("mean of all", sum(said.values()))
    said = {SHIPPED: shipped, **said}
    show(SHIPPED, shipped)
    for name, which in TOGETHER.items():
        scores = [(said[w] - said[w].mean()) / said[w].std() for w in which]
        show(name, sum(scores))
        show("  less shipped", sum(scores), shipped)
    stacked = left_out(
        lambda: LinearRegression(positive=True),
        np.stack(list(said.values()), axis=1),
        target,
        folds,
    )
    show("shipped and all, stacked", stacked)
    show("  less shipped", stacked, shipped)


def measured(
    cases: Sequence[NoduleCase], folds: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Measure all nodules; and let the shipped network of its fold rate each."""
    predict = Predictor(find_weights("malignancy"))
    features, shipped = [], []
    for case, fold in zip(cases, folds, strict=True):
        inputs = rating_inputs(*load_nodule(case))
        features.append(inputs["features"][0])
        found = np.asarray(predict(inputs)["malignancy"])[0, fold]
        shipped.append(1 + float(found.sum()))
    return np.stack(features), np.array(shipped)


def left_out(
    learner: Callable[[], Any],
    features: np.ndarray,
    target: np.ndarray,
    folds: np.ndarray,
) -> np.ndarray:
    """Predict each nodule by a learner that was fitted on the other folds."""
    said = np.zeros(len(folds))
    for fold in range(5):
        seen = folds != fold
        model = make_pipeline(StandardScaler(), learner())
        model.fit(features[seen], target[seen])
        said[~seen] = model.predict(features[~seen])
    return said


def judge(
    patients: Sequence[str], mean: np.ndarray, mode: np.ndarray
) -> Callable[..., None]:
    """Give what prints the AUC of ratings, or what they have more than others."""
    whose = np.array(patients)
    truths = {
        "mean": (mean >= 3.5, (mean >= 3.5) | (mean <= 2.5)),
        "mode": (mode >= 4, (mode >= 4) | (mode <= 2)),
    }

    def show(name: str, said: np.ndarray, less: np.ndarray | None = None) -> None:
        line = f"{name:26}"
        sign = "" if less is None else "+"
        for title, (truth, counts) in truths.items():
            at = np.flatnonzero(counts)

            def statistic(k: np.ndarray, at=at, truth=truth) -> float:
                area = area_under_curve(said[at[k]], truth[at[k]])
                if less is None:
                    return area
                return area - area_under_curve(less[at[k]], truth[at[k]])

            figure = bootstrap(statistic, whose[at])
            ends = f"[{figure.low:{sign}.3f}, {figure.high:{sign}.3f}]"
            line += f"{title} {figure.value:{sign}.3f} {ends}  "
        print(line, flush=True)

    return show


def compare_readers() -> None:
    """Print how well one reader ranks what the mean of the others calls malignant."""
    readings = read_lidc(DATA / "labels" / "lidc-xml.zip")
    rows = [
        (ratings, uid)
        for uid, reading in sorted(readings.items())
        for ratings in _rated_by_four(reading)
    ]
    ratings = np.array([r for r, _ in rows], np.float64)
    series = np.array([uid for _, uid in rows])
    one = ratings.ravel()
    others = ((ratings.sum(axis=1, keepdims=True) - ratings) / 3).ravel()
    whose = np.repeat(series, 4)
    at = np.flatnonzero((others >= 3.5) | (others <= 2.5))
    figure = bootstrap(
        lambda k: area_under_curve(one[at[k]], others[at[k]] >= 3.5), whose[at]
    )
    print(
        f"one reader against the mean of three: AUC {figure.value:.3f} "
        f"[{figure.low:.3f}, {figure.high:.3f}], {len(rows)} nodules of four readers"
    )


def _rated_by_four(reading: Reading) -> Iterator[list[int]]:
    """Bring together the marks of a nodule that four readers rated, by middles."""
    groups: list[list[ReaderMark]] = []
    for mark in (m for m in reading.marks if m.kind == "nodule" and m.malignancy):
        for group in groups:
            if np.linalg.norm(_middle(mark) - _middle(group[0])) < _NEAR:
                group.append(mark)
                break
        else:
            groups.append([mark])
    for group in groups:
        if len(group) == 4 and len({mark.reader for mark in group}) == 4:
            yield [int(mark.malignancy or 0) for mark in group]


def _middle(mark: ReaderMark) -> np.ndarray:
    """Give the middle of a mark: column and row in pixels, slice in mm."""
    points = np.array(
        [(*pixel, o.z_mm) for o in mark.outlines for pixel in o.pixels], np.float64
    )
    return np.asarray(points.mean(axis=0))


if __name__ == "__main__":
    if (DATA / "nodules").is_dir():
        warnings.filterwarnings("ignore", "Stochastic Optimizer")  # 120 are meant
        compare_readers()
        compare_learners()
    else:
        print("learners.py: skipped: needs rated nodules, set HILUM_DATA")
