"""One training run: the same result, whether it was interrupted or not."""

import io
import json
import os
import signal
import subprocess
import sys

import keras
import numpy as np
import pytest
from rich.console import Console

from hilum.errors import InputError
from hilum.training.fit import FitSettings, Views, fit, read_log
from hilum.training.progress import Bar

X = np.random.default_rng(0).normal(size=(32, 6)).astype("float32")
Y = X[:, :1] ** 2


def small_net():
    """Dropout and batch normalisation: what is random, and what has a state."""
    keras.utils.set_random_seed(1)
    x = inputs = keras.Input((6,))
    x = keras.layers.Dense(8, activation="relu")(x)
    x = keras.layers.Dropout(0.3)(keras.layers.BatchNormalization()(x))
    return keras.Model(inputs, keras.layers.Dense(1)(x))


def noisy(case, rng):
    return X[case] + rng.normal(0, 0.1, 6).astype("float32"), Y[case]


class StopAfter(keras.callbacks.Callback):
    def __init__(self, epoch, stop):
        super().__init__()
        self.epoch, self.stop = epoch, stop

    def on_train_batch_end(self, batch, logs=None):
        if len(self.model.seen) == self.epoch and batch == 1:
            self.stop()

    def on_epoch_end(self, epoch, logs=None):
        self.model.seen.append(epoch)


def run(folder, *, stop=None, view=noisy, **changes):
    """Train; `stop` is called in the middle of the third epoch."""
    model = small_net()
    model.seen = []
    callbacks = [StopAfter(2, stop)] if stop else [StopAfter(None, None)]
    epochs = fit(
        model,
        Views(view, 32, batch=8, seed=3),
        loss="mse",
        folder=folder,
        settings=FitSettings(**{"epochs": 5, "seed": 5, **changes}),
        validation=(X, Y),
        callbacks=callbacks,
    )
    return epochs, model


def interrupt():
    raise KeyboardInterrupt


def kill():
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """An unbroken run: its folder, and what it gave."""
    folder = tmp_path_factory.mktemp("runs") / "whole"
    return folder, run(folder)


def assert_the_same(one, other):
    assert one[0] == other[0]
    for a, b in zip(one[1].weights, other[1].weights, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.slow
def test_an_interrupted_run_ends_as_an_unbroken_one(whole, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "broken", stop=interrupt)
    resumed = run(tmp_path / "broken")
    assert resumed[1].seen == [2, 3, 4]
    assert_the_same(whole[1], resumed)
    assert read_log(tmp_path / "broken" / "log.csv") == whole[1][0]


@pytest.mark.slow
def test_a_killed_run_ends_as_an_unbroken_one(whole, tmp_path):
    code = (
        "from pathlib import Path; import test_fit; "
        f"test_fit.run(Path({str(tmp_path / 'broken')!r}), stop=test_fit.kill)"
    )
    here = os.pathsep.join([os.path.dirname(__file__), *sys.path])  # noqa: PTH120
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": here},
        capture_output=True,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert len(read_log(tmp_path / "broken" / "log.csv")) == 2
    assert_the_same(whole[1], run(tmp_path / "broken"))


@pytest.mark.slow
def test_a_finished_run_is_not_trained_again(whole):
    again = run(whole[0])
    assert again[1].seen == []
    assert_the_same(whole[1], again)


@pytest.mark.slow
def test_the_seed_decides(whole, tmp_path):
    epochs, _ = run(tmp_path, seed=6, epochs=1)
    assert epochs[0] != whole[1][0][0]


@pytest.mark.slow
def test_it_learns(tmp_path):
    epochs, _ = run(tmp_path, epochs=8, learning_rate=0.05)
    assert epochs[-1]["val_loss"] < 0.8 * epochs[0]["val_loss"]


@pytest.mark.slow
def test_patience_stops_and_keeps_the_best(tmp_path):
    epochs, model = run(tmp_path, epochs=30, learning_rate=0.3, patience=2)
    losses = [epoch["val_loss"] for epoch in epochs]
    assert len(epochs) < 30
    assert losses.index(min(losses)) == len(losses) - 3
    found = np.mean((model.predict(X, verbose=0) - Y) ** 2)
    np.testing.assert_allclose(found, min(losses), rtol=1e-4)
    again, model = run(tmp_path, epochs=30, learning_rate=0.3, patience=2)
    assert model.seen == []  # a run that stopped stays stopped
    assert again == epochs


def test_what_a_run_leaves_behind(whole):
    names = sorted(path.name for path in whole[0].iterdir())
    assert names == [
        "best.keras",
        "curves.png",
        "last.keras",
        "log.csv",
        "settings.json",
    ]
    assert json.loads((whole[0] / "settings.json").read_text())["seed"] == 5


def test_a_folder_of_another_run_is_refused(whole):
    with pytest.raises(InputError, match="other settings"):
        run(whole[0], epochs=2)


@pytest.mark.slow
def test_a_damaged_checkpoint_is_refused(tmp_path):
    run(tmp_path, epochs=1)
    whole = (tmp_path / "last.keras").read_bytes()
    (tmp_path / "last.keras").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match="Delete the folder"):
        run(tmp_path, epochs=1)


def test_a_damaged_log_is_refused(tmp_path):
    (tmp_path / "log.csv").write_text("epoch,loss\n1,much\n")
    with pytest.raises(InputError, match="training log"):
        read_log(tmp_path / "log.csv")


@pytest.mark.slow
def test_a_loss_that_is_no_number_is_refused(tmp_path):
    def broken(case, _rng):
        return X[case], Y[case] * np.nan

    with pytest.raises(InputError, match="learning_rate"):
        run(tmp_path, view=broken, epochs=1)


def test_patience_needs_validation(tmp_path):
    views = Views(noisy, 32)
    settings = FitSettings(patience=1)
    with pytest.raises(InputError, match="validation"):
        fit(small_net(), views, loss="mse", folder=tmp_path, settings=settings)


@pytest.mark.parametrize(
    "bad",
    [{"epochs": 0}, {"patience": -1}, {"learning_rate": 0.0}, {"weight_decay": -1.0}],
)
def test_settings_that_cannot_train_are_refused(bad):
    with pytest.raises(InputError, match=next(iter(bad))):
        FitSettings(**bad)


def test_each_case_is_seen_once_an_epoch_in_another_order():
    views = Views(lambda case, _rng: (np.array([case]),), 12, batch=4)
    orders = []
    for epoch in (0, 1):
        views.epoch = epoch
        batches = [views[n][0] for n in range(len(views))]
        orders.append(np.concatenate(batches).ravel().tolist())
    assert sorted(orders[0]) == list(range(12))
    assert sorted(orders[1]) == list(range(12))
    assert orders[0] != orders[1]


def test_a_view_follows_from_seed_epoch_and_case_alone():
    views = Views(lambda _case, rng: (rng.uniform(size=1),), 12, batch=4, seed=2)
    views.epoch = 3
    late = views[2][0]
    again = Views(views.view, 12, batch=4, seed=2)
    again.epoch = 3
    np.testing.assert_array_equal(again[2][0], late)


def test_more_than_there_are_make_no_batch():
    with pytest.raises(InputError, match="smaller batch"):
        Views(noisy, 3, batch=4)


def _shown(terminal):
    out = io.StringIO()
    bar = Bar("fold-2", Console(file=out, force_terminal=terminal, width=120))
    bar.set_params({"epochs": 4, "steps": 10})
    bar.on_train_begin()
    bar.on_epoch_begin(1)
    bar.on_train_batch_end(0)
    bar.on_epoch_end(1, {"loss": 0.25})
    bar.on_train_end()
    return out.getvalue()


def test_the_bar_counts_what_is_left():
    shown = _shown(terminal=True)
    assert "fold-2" in shown
    assert "1/30" in shown
    assert "loss 0.2500" in shown


def test_nothing_is_shown_where_nobody_looks():
    assert _shown(terminal=False) == ""
