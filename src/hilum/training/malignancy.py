"""How readers rate a nodule, learned from a folder of rated nodules.

Two networks a fold: one on what `hilum.features` measures, one on the patch with the
mask. What they say is averaged, and `fold-K.keras` holds both. Which patients a fold
leaves out follows from the names of the patients and the seed alone.

Settings were fixed before the folds were judged; see docs/explanation/malignancy.md.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from hilum.datasets import NoduleCase, folds_by_patient, read_nodules
from hilum.errors import InputError
from hilum.features.patches import Patch, to_channels
from hilum.formats.atomic import replacing, writing
from hilum.nn.models import RATING_CATEGORIES, malignancy_net
from hilum.settings import check_ranges, to_table
from hilum.training.fit import (
    MOST_EPOCHS,
    MOST_FOLDS,
    MOST_SEED,
    FitSettings,
    Views,
    check_fold,
    fit,
)
from hilum.training.joining import members_net
from hilum.training.malignancy_data import (
    Floats,
    Prepared,
    ordinal_targets,
    prepare,
    rating_of,
)
from hilum.training.malignancy_networks import (
    KINDS,
    features_net,
    joint_net,
    losses,
)
from hilum.training.nodule_data import nodules_of

MASKS = ("folder", "automatic")
_FLIPS: tuple[tuple[int, ...], ...] = ((), (1,), (2,), (3,))


@dataclass(frozen=True, slots=True, kw_only=True)
class MalignancySettings:
    """How to train the ratings.

    Attributes:
        folds: How many times patients are left out.
        seed: Of everything random, and of the folds.
        members: Networks on features, beside each other.
        feature_epochs: Each sees every nodule four times.
        patch_epochs: For the network on the patch.
        views: Random views of each nodule, made once.
        automatic_share: How often the mask is the one of `hilum.stages.measure`.
        grown_mm: Masks of patches shrink or grow by up to this.
        patch_share: How much the patch counts in the average.
    """

    folds: int = 5
    seed: int = 0
    members: int = 12
    feature_epochs: int = 30
    patch_epochs: int = 16
    views: int = 6
    automatic_share: float = 0.25
    grown_mm: float = 0.5
    patch_share: float = 0.25

    def __post_init__(self) -> None:
        """Refuse what cannot train."""
        check_ranges(
            self,
            {
                "folds": (2, MOST_FOLDS),
                "seed": (0, MOST_SEED),
                "members": (1, 1000),
                "feature_epochs": (1, MOST_EPOCHS),
                "patch_epochs": (1, MOST_EPOCHS),
                "views": (1, 1000),
                "automatic_share": (0, 1),
                "grown_mm": (0, 10),
                "patch_share": (0, 1),
            },
        )


@dataclass(frozen=True, slots=True, eq=False)
class Predictions:
    """What networks said of nodules that they had not seen.

    Attributes:
        cases: The nodules.
        folds: (n,) the fold of each.
        ratings: Source of the mask to (n, ratings), in the order of
            `RATING_CATEGORIES`.
        kinds: Source of the mask to (n, 3) probabilities in the order of `KINDS`.
    """

    cases: tuple[NoduleCase, ...]
    folds: npt.NDArray[np.int64]
    ratings: dict[str, npt.NDArray[np.float64]]
    kinds: dict[str, npt.NDArray[np.float64]]


def train_malignancy(
    data: Path,
    out: Path,
    *,
    settings: MalignancySettings | None = None,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    fold: int | None = None,
) -> Predictions:
    """Train all folds, and predict each nodule by the networks that never saw it.

    A run that was interrupted goes on from its last epoch.

    Args:
        data: A folder of nodules (see `hilum.datasets.nodules`); or a data set of
            LIDC, whose nodules are cut out into `out` first.
        out: Gets `fold-K.keras`, all of them joined as `malignancy.keras`,
            `predictions.csv` and a folder for each network with its log and learning
            curves; made if absent.
        settings: How to train.
        callbacks: More of Keras's callbacks.
        fold: Train this fold alone, such as on one of many machines that share `out`;
            a call without it then predicts with them all.

    Returns:
        Of each nodule; of one fold alone of its nodules, and no file.

    Raises:
        InputError: The data cannot be used, or `out` holds a run of other settings.
    """
    settings = settings or MalignancySettings()
    check_fold(fold, settings.folds)
    cases = read_nodules(nodules_of(data, out))
    unmasked = [case.name for case in cases if case.mask is None]
    if unmasked:
        raise InputError(
            f"{len(unmasked)} nodules have no mask, such as `{unmasked[0]}`. "
            "Training needs nodule_mask/ for every row: segment them first."
        )
    with writing(out / "settings.json"):
        out.mkdir(parents=True, exist_ok=True)
        _claim(out, settings)
    prepared = prepare(
        cases, out / "prepared.npz", views=settings.views, seed=settings.seed
    )
    folds = folds_by_patient(cases, settings.folds, settings.seed)
    models = {}
    for number in range(settings.folds) if fold is None else [fold]:
        seen = np.flatnonzero(folds != number)
        models[number] = _train_fold(
            prepared, cases, seen, out=out, fold=number, settings=settings,
            callbacks=callbacks,
        )  # fmt: skip
    predictions = _predict_left_out(models, prepared, cases, folds)
    if fold is not None:
        return predictions
    members = list(models.values())
    members_net(members, name="malignancy").save(out / "malignancy.keras")
    write_predictions(predictions, out / "predictions.csv")
    return predictions


def predict(
    model: keras.Model,
    prepared: Prepared,
    which: npt.NDArray[np.int64],
    *,
    source: int,
) -> dict[str, npt.NDArray[np.float64]]:
    """Ask a network, upright and mirrored.

    Args:
        model: Out of `joint_net`.
        prepared: The nodules.
        which: (k,) numbers of nodules.
        source: Of the mask: 0 the folder's, 1 the automatic one.

    Returns:
        Name of the output to (k, ...).
    """
    pairs = [_channels(prepared, int(n), source, 0.0) for n in which]
    hu, mask = (np.stack(part) for part in zip(*pairs, strict=True))
    features = prepared.features[which, source]
    found: dict[str, Any] = {}
    for flip in _FLIPS:
        inputs = {
            "features": features,
            "hu": np.flip(hu, flip),
            "mask": np.flip(mask, flip),
        }
        given = model.predict(inputs, batch_size=32, verbose=0)
        for name, value in given.items():
            found[name] = found.get(name, 0) + np.float64(value) / len(_FLIPS)
    return found


def expected_ratings(
    found: dict[str, npt.NDArray[np.float64]],
) -> npt.NDArray[np.float64]:
    """Turn ordinal outputs into (n, ratings), in the order of `RATING_CATEGORIES`."""
    return np.stack([1 + found[name].sum(axis=1) for name in RATING_CATEGORIES], axis=1)


def kind_of(texture: float) -> int:
    """Tell the class of a mean texture rating: up to 2, between, from 4 on."""
    return 0 if texture <= 2 else 1 if texture < 4 else 2


def write_predictions(predictions: Predictions, path: Path) -> None:
    """Write a row for each nodule, with what it was rated and what was predicted."""
    names = list(RATING_CATEGORIES)
    head = ["patient_id", "file", "fold", "diameter_mm", "malignancy_mean"]
    head += [f"{m}_{name}" for m in MASKS for name in (*names, *KINDS)]
    with replacing(path) as file:
        rows = [head]
        for n, case in enumerate(predictions.cases):
            row = [case.patient, case.name, str(predictions.folds[n])]
            row += [f"{case.diameter_mm:.3f}", str(case.ratings.malignancy or "")]
            for mask in MASKS:
                values = [*predictions.ratings[mask][n], *predictions.kinds[mask][n]]
                row += [f"{value:.5f}" for value in values]
            rows.append(row)
        file.write("".join(",".join(row) + "\n" for row in rows).encode())


def read_predictions(path: Path) -> list[dict[str, str]]:
    """Read the rows that `write_predictions` wrote."""
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def _predict_left_out(
    models: Mapping[int, keras.Model],
    prepared: Prepared,
    cases: tuple[NoduleCase, ...],
    folds: npt.NDArray[np.int64],
) -> Predictions:
    """Ask each network about the nodules of its own fold."""
    ratings = {m: np.zeros((len(cases), len(RATING_CATEGORIES))) for m in MASKS}
    kinds = {m: np.zeros((len(cases), len(KINDS))) for m in MASKS}
    for fold, model in models.items():
        left_out = np.flatnonzero(folds == fold)
        for source, mask in enumerate(MASKS):
            found = predict(model, prepared, left_out, source=source)
            ratings[mask][left_out] = expected_ratings(found)
            kinds[mask][left_out] = found["kind"]
    asked = np.flatnonzero(np.isin(folds, list(models)))
    return Predictions(
        tuple(cases[n] for n in asked),
        folds[asked],
        {mask: values[asked] for mask, values in ratings.items()},
        {mask: values[asked] for mask, values in kinds.items()},
    )


def _claim(out: Path, settings: MalignancySettings) -> None:
    """Note the settings, or refuse a folder that was begun with others."""
    path, table = out / "settings.json", to_table(settings)
    if path.exists() and json.loads(path.read_text()) != table:
        raise InputError(
            f"`{out}` holds a run with other settings than {table}. "
            "Choose another folder, or delete that one."
        )
    with replacing(path) as file:
        file.write(json.dumps(table, indent=2).encode())


def _train_fold(
    prepared: Prepared,
    cases: Sequence[NoduleCase],
    seen: npt.NDArray[np.int64],
    *,
    out: Path,
    fold: int,
    settings: MalignancySettings,
    callbacks: Sequence[keras.callbacks.Callback],
) -> keras.Model:
    """Train both networks of a fold and join them, or load them if that was done."""
    path = out / f"fold-{fold}.keras"
    if path.exists():
        return keras.saving.load_model(path, compile=False)
    seed = settings.seed + fold
    chosen = [cases[n] for n in seen]
    keras.utils.set_random_seed(seed)
    by_features = features_net(prepared.features[seen, 0], members=settings.members)
    fit(
        by_features,
        _feature_views(prepared, chosen, seen, seed=seed, settings=settings),
        loss=losses(kind=True),
        folder=out / f"fold-{fold}-features",
        settings=_how(settings.feature_epochs, 3e-3, seed),
        callbacks=callbacks,
    )
    keras.utils.set_random_seed(seed)
    by_patch = malignancy_net(dropout=0.3)
    fit(
        by_patch,
        _patch_views(prepared, chosen, seen, seed=seed, settings=settings),
        loss=losses(kind=False),
        folder=out / f"fold-{fold}-patch",
        settings=_how(settings.patch_epochs, 2e-3, seed),
        callbacks=callbacks,
    )
    model = joint_net(by_features, by_patch, patch_share=settings.patch_share)
    part = path.with_name(f".{path.stem}.part.keras")
    model.save(part)
    part.replace(path)
    return model


def _how(epochs: int, learning_rate: float, seed: int) -> FitSettings:
    return FitSettings(
        epochs=epochs, learning_rate=learning_rate, weight_decay=1e-2, seed=seed
    )


def _feature_views(
    prepared: Prepared,
    cases: Sequence[NoduleCase],
    seen: npt.NDArray[np.int64],
    *,
    seed: int,
    settings: MalignancySettings,
) -> Views:
    """Show the features four times an epoch, sometimes of the automatic mask."""
    targets = ordinal_targets(cases)
    kinds = np.array([kind_of(rating_of(case, "texture")) for case in cases])
    often = np.maximum(np.bincount(kinds, minlength=3), 1)
    weighted = (
        np.eye(3, dtype=np.float32)[kinds] * (len(cases) / 3 / often[kinds])[:, None]
    )
    targets["kind"] = weighted.astype(np.float32)

    def view(number: int, rng: np.random.Generator) -> tuple[Floats, dict[str, Floats]]:
        case = number % len(seen)
        source = int(rng.uniform() < settings.automatic_share)
        truth = {name: values[case][None] for name, values in targets.items()}
        return prepared.features[seen[case], source], truth

    count = 4 * len(seen)
    return Views(view, count, batch=min(128, count), seed=seed)


def _patch_views(
    prepared: Prepared,
    cases: Sequence[NoduleCase],
    seen: npt.NDArray[np.int64],
    *,
    seed: int,
    settings: MalignancySettings,
) -> Views:
    """Show one of the cached views, mirrored at will, with some noise."""
    targets = ordinal_targets(cases)

    def view(
        case: int, rng: np.random.Generator
    ) -> tuple[dict[str, Floats], dict[str, Floats]]:
        automatic = rng.uniform() < settings.automatic_share
        which = (
            1
            if automatic
            else (0, *range(2, 2 + settings.views))[
                int(rng.integers(settings.views + 1))
            ]
        )
        grown = float(rng.uniform(-settings.grown_mm, settings.grown_mm))
        hu, mask = _channels(prepared, int(seen[case]), which, grown)
        noise = rng.standard_normal(hu.shape, dtype=np.float32)
        hu = hu + np.float32(rng.normal(0, 15)) + noise * np.float32(rng.uniform(0, 30))
        flips = tuple(np.flatnonzero(rng.random(3) < 0.5).tolist())
        inputs = {"hu": np.flip(hu, flips), "mask": np.flip(mask, flips)}
        return inputs, {name: values[case] for name, values in targets.items()}

    return Views(view, len(seen), batch=min(24, len(seen)), seed=seed)


def _channels(
    prepared: Prepared, case: int, view: int, grown_mm: float
) -> tuple[Floats, Floats]:
    patch = Patch(prepared.hu[case, view], prepared.depth[case, view])
    return to_channels(patch, grown_mm=grown_mm)
