"""One training run: the same result each time, whether it was interrupted or not.

Everything random in an epoch follows from the seed and the number of the epoch, so a
run that goes on from its last checkpoint ends where an unbroken one does. That is why
stopping early and the log follow from the list of epochs here: Keras's own callbacks
for them forget what was before the interruption.

A run's folder holds `last.keras` (with the state of the optimizer), `best.keras`,
`log.csv`, `curves.png` and `settings.json`.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import keras
import numpy as np

from hilum.errors import InputError
from hilum.formats.atomic import replacing, writing
from hilum.settings import check_ranges, to_table
from hilum.training.progress import Bar, EventLog, draw_curves
from hilum.training.sharing import compute_in_float32, prepare_sharing

Epoch = dict[str, float]
View = Callable[[int, np.random.Generator], Any]

MOST_EPOCHS = 1_000_000
MOST_FOLDS = 1000
MOST_SEED = 2**31 - 2
"""NumPy and Keras take it, and the next one."""
_MOST_RATE = 1000.0


@dataclass(frozen=True, slots=True, kw_only=True)
class FitSettings:
    """How to train.

    Attributes:
        epochs: At most this many.
        learning_rate: The highest; it falls to 0 along a cosine over all the epochs,
            after rising over the first of them.
        weight_decay: Of AdamW.
        patience: Stop after this many epochs without a lower loss in validation, and
            keep the best; 0 for all the epochs, and keep the last.
        seed: Of everything random.
    """

    epochs: int = 30
    learning_rate: float = 2e-3
    weight_decay: float = 1e-3
    patience: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what cannot train."""
        check_ranges(
            self,
            {
                "epochs": (1, MOST_EPOCHS),
                "weight_decay": (0, 1000),
                "patience": (0, MOST_EPOCHS),
                "seed": (0, MOST_SEED),
            },
        )
        if not 0 < self.learning_rate <= _MOST_RATE:
            raise InputError(
                f"Setting `learning_rate` must be above 0 and at most {_MOST_RATE}; "
                f"got {self.learning_rate}."
            )


class Views(keras.utils.PyDataset):  # type: ignore[misc]
    """Batches of random views of cases; which ones follows from seed and epoch.

    Each case is seen once an epoch, in an order of its own; the cases left over that
    do not fill a batch wait for another epoch.

    Attributes:
        epoch: Set by `fit` before each epoch.
    """

    def __init__(self, view: View, count: int, *, batch: int = 8, seed: int = 0):
        """Describe the batches; nothing is made yet.

        Args:
            view: Makes a sample from the number of a case and a random generator: a
                tuple of arrays (or dictionaries of arrays) as Keras takes it, without
                the axis of the batch.
            count: How many cases there are.
            batch: Views a batch.
            seed: Of the order and of the generators.

        Raises:
            InputError: There are fewer cases than a batch has.
        """
        super().__init__()
        if not 1 <= batch <= count:
            raise InputError(
                f"Cannot make batches of {batch} from {count} cases. "
                "Give more cases, or a smaller batch."
            )
        self.view, self.count, self.batch, self.seed = view, count, batch, seed
        self.epoch = 0

    def __len__(self) -> int:
        """Count the batches of an epoch."""
        return self.count // self.batch

    def __getitem__(self, index: int) -> Any:
        """Make one batch of the epoch."""
        order = np.random.default_rng((self.seed, self.epoch)).permutation(self.count)
        chosen = order[index * self.batch : (index + 1) * self.batch].tolist()
        samples = [
            self.view(case, np.random.default_rng((self.seed, self.epoch, case)))
            for case in chosen
        ]
        return keras.tree.map_structure(lambda *parts: np.stack(parts), *samples)


def check_fold(fold: int | None, folds: int) -> None:
    """Refuse a fold that there is none of.

    Raises:
        InputError: It is not None and not in 0 to folds - 1.
    """
    if fold is not None and not 0 <= fold < folds:
        raise InputError(
            f"There is no fold {fold}: the settings ask for {folds} folds, numbered "
            "from 0."
        )


def fit(
    model: keras.Model,
    views: Views,
    *,
    loss: Any,
    folder: Path,
    settings: FitSettings | None = None,
    validation: Any = None,
    callbacks: Sequence[keras.callbacks.Callback] = (),
) -> list[Epoch]:
    """Train a model in place, from its last checkpoint where there is one.

    AdamW with a cosine schedule, without XLA, which is slower on processors. Within
    `hilum.training.sharing.shared` devices share each batch; afterwards the model
    computes in float32, whatever it was trained in.

    Args:
        model: Built, not compiled.
        views: What to train on.
        loss: What `compile` takes; a dictionary for several outputs.
        folder: Of this run; made if absent.
        settings: How to train.
        validation: What `keras.Model.fit` takes as `validation_data`; the same in
            each epoch.
        callbacks: More of Keras's callbacks; they see the epochs from where this call
            takes up the run.

    Returns:
        For each epoch its losses by name, as in `log.csv`. The model has the weights
        of the best epoch if there is a patience, else of the last.

    Raises:
        InputError: The folder holds another run, the loss is no longer a number, or
            there is a patience and no validation.
    """
    settings = settings or FitSettings()
    if settings.patience and validation is None:
        raise InputError(
            f"A patience of {settings.patience} epochs needs data for validation. "
            "Pass `validation`, or set `patience` to 0."
        )
    with writing(folder / "settings.json"):
        folder.mkdir(parents=True, exist_ok=True)
        _claim(folder, settings, views)
    prepare_sharing(model, views.batch)
    for callback in callbacks:
        if isinstance(callback, EventLog):
            callback.folder = folder
    model.compile(_optimizer(settings, len(views)), loss=loss, jit_compile=False)
    run = _Run(folder, settings, views)
    first = run.resume(model)
    if not run.is_over:
        model.fit(
            views,
            validation_data=validation,
            epochs=settings.epochs,
            initial_epoch=first,
            shuffle=False,
            verbose=0,
            callbacks=[run, Bar(folder.name), *callbacks],
        )
    if settings.patience:
        model.load_weights(folder / "best.keras")
    compute_in_float32(model)
    draw_curves(run.epochs, folder / "curves.png", title=folder.name)
    return run.epochs


def read_log(path: Path) -> list[Epoch]:
    """Read the losses of each epoch.

    Args:
        path: A `log.csv` that `fit` wrote.

    Raises:
        InputError: The file cannot be read or is no such table.
    """
    try:
        with path.open(newline="") as file:
            rows = [{k: float(v) for k, v in r.items()} for r in csv.DictReader(file)]
    except (OSError, ValueError, TypeError) as error:
        raise InputError(
            f"Cannot read the training log `{path.name}`: {error}. "
            "Delete the folder of that run to start it anew."
        ) from error
    return rows


class _Run(keras.callbacks.Callback):  # type: ignore[misc]
    """Seeds each epoch; then checkpoints, logs and stops."""

    def __init__(self, folder: Path, settings: FitSettings, views: Views):
        super().__init__()
        self.folder, self.settings, self.views = folder, settings, views
        self.epochs: list[Epoch] = []

    @property
    def is_over(self) -> bool:
        """Whether the run has all its epochs, or waited long enough for a better."""
        patience, done = self.settings.patience, len(self.epochs)
        waited = done - 1 - self._best() if done else 0
        return done >= self.settings.epochs or 0 < patience <= waited

    def resume(self, model: keras.Model) -> int:
        """Load the last checkpoint, if any, and return the number of its epochs."""
        last = self.folder / "last.keras"
        if not last.exists():
            return 0
        model.optimizer.build(model.trainable_variables)
        try:
            model.load_weights(last)
        except (ValueError, OSError, KeyError, BadZipFile) as error:
            raise InputError(
                f"Cannot go on from `{last.name}` in `{self.folder}`: it is damaged or "
                "of another network. Delete the folder to start anew."
            ) from error
        done = int(model.optimizer.iterations.numpy()) // len(self.views)
        self.epochs = read_log(self.folder / "log.csv")[:done]
        return done

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002
        """Make everything random follow from the seed and the epoch."""
        self.views.epoch = epoch
        seed = int(np.random.default_rng((self.settings.seed, epoch)).integers(2**31))
        keras.utils.set_random_seed(seed)
        for n, variable in enumerate(self.model.variables):
            if "seed_generator" in variable.path:
                variable.assign(np.array([seed, n], dtype=variable.dtype))

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Write the checkpoint last, so that what it counts on is there."""
        losses = {name: float(value) for name, value in (logs or {}).items()}
        if not all(math.isfinite(value) for value in losses.values()):
            raise InputError(
                f"The loss of epoch {epoch + 1} is not a number: {losses}. "
                "Lower `learning_rate`, or look for NaN in the data."
            )
        self.epochs.append({"epoch": float(epoch + 1), **losses})
        if self._best() == epoch:
            _save(self.model, self.folder / "best.keras")
        _write_log(self.epochs, self.folder / "log.csv")
        _save(self.model, self.folder / "last.keras")
        self.model.stop_training = self.is_over

    def _best(self) -> int:
        """Find the epoch with the lowest loss in validation, else in training."""
        name = "val_loss" if "val_loss" in self.epochs[0] else "loss"
        return min(range(len(self.epochs)), key=lambda n: self.epochs[n][name])


def _optimizer(settings: FitSettings, steps: int) -> keras.optimizers.Optimizer:
    """Make AdamW, its rate rising over one epoch and falling over the others."""
    rate = keras.optimizers.schedules.CosineDecay(
        settings.learning_rate / 10,
        decay_steps=max(1, steps * (settings.epochs - 1)),
        warmup_target=settings.learning_rate,
        warmup_steps=steps,
    )
    return keras.optimizers.AdamW(rate, weight_decay=settings.weight_decay)


def _claim(folder: Path, settings: FitSettings, views: Views) -> None:
    """Note the settings in the folder, or refuse one that was begun with others."""
    path = folder / "settings.json"
    table = to_table(settings) | {"cases": views.count, "batch": views.batch}
    if path.exists():
        try:
            begun = json.loads(path.read_text())
        except ValueError:
            begun = None
        if begun != table:
            raise InputError(
                f"`{folder}` holds a run with other settings: {begun}; now {table}. "
                "Choose another folder, or delete that one."
            )
    with replacing(path) as file:
        file.write(json.dumps(table, indent=2).encode())


def _save(model: keras.Model, path: Path) -> None:
    """Save under the name only when all is written."""
    part = path.with_name(f".{path.stem}.part.keras")
    model.save(part)
    part.replace(path)


def _write_log(epochs: list[Epoch], path: Path) -> None:
    """Write the losses of each epoch as CSV."""
    names = list(epochs[0])
    lines = [",".join(names)]
    lines += [",".join(repr(epoch[name]) for name in names) for epoch in epochs]
    with replacing(path) as file:
        file.write(("\n".join(lines) + "\n").encode())
