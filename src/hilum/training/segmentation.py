"""Train the network that outlines nodules, and judge it on patients it never saw.

The patients are dealt into folds. For each fold a network is trained on the others,
without a look at the fold, and then outlines its nodules. The last network learns from
all patients: it is the one to use, and one is five times as quick as five.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from hilum.datasets import NoduleCase, folds_by_patient, read_nodules
from hilum.errors import InputError
from hilum.formats.atomic import replacing
from hilum.runtime.patches import PATCH_SHAPE
from hilum.settings import check_ranges, to_table
from hilum.training.augment import Variety
from hilum.training.fit import MOST_FOLDS, FitSettings, Views, check_fold, fit
from hilum.training.nodule_data import nodules_of
from hilum.training.segmentation_figures import (
    Outlined,
    Piece,
    judge,
    level_volumes,
    summarise,
)
from hilum.training.segmentation_network import outline_net
from hilum.training.segmentation_views import NoduleViews, load_pieces, outline_loss

_MOST_LEVELS = 5
"""Of the network: each but the first halves the patch, down to a single slice."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentationSettings:
    """How to train the outlines.

    Attributes:
        fit: Epochs, learning rate, seed. With a patience, one in ten of the patients
            that a network is trained on is kept aside to tell when to stop.
        variety: How far random views go.
        folds: How many.
        batch: Views a batch.
        filters: Of each level of the network.
        repeated: Share of views in which the last slice of a volume goes on.
    """

    fit: FitSettings = field(default_factory=lambda: FitSettings(epochs=20))
    variety: Variety = field(default_factory=Variety)
    folds: int = 5
    batch: int = 8
    filters: tuple[int, ...] = (12, 24, 48)
    repeated: float = 0.3

    def __post_init__(self) -> None:
        """Refuse what cannot train."""
        if not 1 <= len(self.filters) <= _MOST_LEVELS:
            raise InputError(
                f"Setting `filters` needs 1 to {_MOST_LEVELS} levels; got "
                f"{list(self.filters)}."
            )
        check_ranges(
            self,
            {
                "folds": (2, MOST_FOLDS),
                "batch": (1, 100_000),
                "filters": (1, 10_000),
                "repeated": (0, 1),
            },
        )


def train_segmentation(
    data: Path,
    out: Path,
    *,
    settings: SegmentationSettings | None = None,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    fold: int | None = None,
) -> dict[str, Any]:
    """Train and judge one network a fold; goes on where it was interrupted.

    Args:
        data: Holds nodules.csv, image/ and nodule_mask/; or a data set of LIDC, whose
            nodules are cut out into `out` first.
        out: Gets segmentation.keras, trained on all patients, fold-0.keras and so on,
            a folder of each run with its log and learning curves, outlines.csv with
            each nodule, and metrics.json.
        settings: How to train.
        callbacks: More of Keras's callbacks, for each network.
        fold: Train this fold alone, such as on one of many machines that share `out`;
            a call without it then judges them all, and trains the network to use.

    Returns:
        The metrics, as in metrics.json: each with its 95 % interval over patients; of
        one fold alone those of that fold, and no file.

    Raises:
        InputError: The data cannot be read, there are too few patients, or `out`
            holds a run with other settings.
    """
    settings = settings or SegmentationSettings()
    check_fold(fold, settings.folds)
    cases = read_nodules(nodules_of(data, out))
    folds = folds_by_patient(cases, settings.folds, settings.fit.seed)
    pieces = load_pieces(cases)
    outlined: list[Outlined] = []

    def learn(name: str, left_out: int | None = None) -> keras.Model:
        rest = [n for n, own in enumerate(folds.tolist()) if own != left_out]
        learned, shown = [cases[n] for n in rest], [pieces[n] for n in rest]
        model = _train_one(
            learned, shown, folder=out / name, settings=settings, callbacks=callbacks
        )
        level_volumes(model, learned, shown)
        return model

    for number in range(settings.folds) if fold is None else [fold]:
        mine = np.flatnonzero(folds == number)
        model = learn(f"fold-{number}", number)
        model.save(out / f"fold-{number}.keras")
        outlined += judge(
            model, [cases[n] for n in mine], [pieces[n] for n in mine], fold=number
        )
        if fold is None:
            _write_table(outlined, out / "outlines.csv")
    if fold is not None:
        return summarise(outlined)
    learn("all").save(out / "segmentation.keras")
    metrics = summarise(outlined) | {"settings": to_table(settings)}
    with replacing(out / "metrics.json") as file:
        file.write((json.dumps(metrics, indent=2) + "\n").encode())
    return metrics


def _train_one(
    cases: Sequence[NoduleCase],
    pieces: Sequence[Piece],
    *,
    folder: Path,
    settings: SegmentationSettings,
    callbacks: Sequence[keras.callbacks.Callback],
) -> keras.Model:
    """Train one network."""
    chosen = settings.fit
    aside = np.zeros(len(cases), bool)
    if chosen.patience:
        aside = folds_by_patient(cases, 10, chosen.seed) == 0
    kept, held = (np.flatnonzero(aside == which) for which in (False, True))
    views = _views(cases, pieces, kept, settings)
    validation = None
    if len(held):
        checks = _views(cases, pieces, held, settings, views.donors)
        made = [
            checks(n, np.random.default_rng((chosen.seed, n))) for n in range(len(held))
        ]
        validation = tuple(np.stack(part) for part in zip(*made, strict=True))
    keras.utils.set_random_seed(chosen.seed)
    model = outline_net(PATCH_SHAPE, filters=settings.filters)
    fit(
        model,
        Views(views, len(kept), batch=settings.batch, seed=chosen.seed),
        loss=outline_loss,
        folder=folder,
        settings=chosen,
        validation=validation,
        callbacks=callbacks,
    )
    return model


def _views(
    cases: Sequence[NoduleCase],
    pieces: Sequence[Piece],
    chosen: npt.NDArray[np.int64],
    settings: SegmentationSettings,
    donors: Sequence[npt.NDArray[np.float32]] = (),
) -> NoduleViews:
    """Make the views of some of the cases."""
    return NoduleViews(
        [cases[n] for n in chosen],
        [pieces[n] for n in chosen],
        variety=settings.variety,
        repeated=settings.repeated,
        donors=donors,
    )


def _write_table(outlined: Sequence[Outlined], path: Path) -> None:
    """Write a line for each nodule."""
    lines = ["file,patient_id,fold,dice,volume_mm3,readers_mm3"]
    lines += [
        f"{o.name},{o.patient},{o.fold},{o.dice:.4f},{o.volume_mm3:.1f},"
        f"{o.readers_mm3:.1f}"
        for o in outlined
    ]
    with replacing(path) as file:
        file.write(("\n".join(lines) + "\n").encode())
