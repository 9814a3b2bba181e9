"""The article's claims on real nodules: activations, saturation, batch normalisation.

    python benchmarks/activations.py                a quick look, one fold and seed
    python benchmarks/activations.py --full OUT     all folds and seeds; figures in OUT

The same small CNN, without normalisation, on the middle slice of each nodule of
HILUM_DATA that readers rated malignant (mean from 3.5) or benign (to 2.5), with each
activation. Patients are judged by networks that never saw them. An interrupted run
goes on from OUT/results.json.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")  # before TensorFlow is loaded

import keras
import numpy as np
import tensorflow as tf

from hilum.datasets import folds_by_patient, load_nodule, read_nodules
from hilum.evaluation import area_under_curve, bootstrap
from hilum.evaluation.nodules import BENIGN_UP_TO, MALIGNANT_FROM
from hilum.features.patches import sample_patch
from hilum.features.surroundings import surround
from hilum.nn.layers import activation_layer, initializer_for
from hilum.nn.models import simple_cnn

ROOT = Path(__file__).parents[1]
NAMES = (
    "sigmoid", "tanh", "relu", "elu", "leaky_relu", "very_leaky_relu", "prelu",
    "rrelu", "noisy_relu",
)  # fmt: skip
PLAIN = ("sigmoid", "tanh", "relu", "elu", "very_leaky_relu")
SEEDS = (0, 1, 2)
FOLDS = 3
EPOCHS = 20
BATCH = 32
RATE = 1e-3
RATES = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3)
WANTED_LOSS = 0.3
MOST_STEPS = 300
DEPTH = 12
DEEP_STEPS = 100


@dataclass(frozen=True)
class Nodules:
    """What is told apart.

    Attributes:
        hu: (n, 32, 32, 1) middle slices, 1 mm.
        truth: (n,) 1 where malignant.
        patients: (n,) whose.
        fold: (n,) in which each is judged.
    """

    hu: np.ndarray
    truth: np.ndarray
    patients: np.ndarray
    fold: np.ndarray


def load(folder: Path) -> Nodules:
    """Read the nodules and take their middle slices."""
    cases = []
    for case in read_nodules(folder):
        rating = case.ratings.malignancy
        if rating is not None and not BENIGN_UP_TO < rating < MALIGNANT_FROM:
            cases.append(case)
    patches = [
        sample_patch(surround(*load_nodule(case)), size=(1, 32, 32)) for case in cases
    ]
    return Nodules(
        np.array([p.hu[0][..., None] for p in patches], np.float32),
        np.array([c.ratings.malignancy >= MALIGNANT_FROM for c in cases], int),
        np.array([c.patient for c in cases]),
        folds_by_patient(cases, FOLDS, 0),
    )


def network(name: str, *, batch_norm: bool) -> keras.Model:
    """Build the article's CNN, 2D."""
    return simple_cnn((32, 32, 1), 2, activation=name, batch_norm=batch_norm)


def train(data: Nodules, name: str, seed: int, fold: int, epochs: int) -> dict:
    """Train on all folds but one, and predict that one."""
    keras.utils.set_random_seed(seed)
    kept, out = data.fold != fold, data.fold == fold
    model = network(name, batch_norm=False)
    model.compile(
        keras.optimizers.Adam(RATE),
        loss="sparse_categorical_crossentropy",
        jit_compile=False,
    )
    log = model.fit(
        data.hu[kept], data.truth[kept], batch_size=BATCH, epochs=epochs, verbose=0,
        validation_data=(data.hu[out], data.truth[out]),
    ).history  # fmt: skip
    found = model.predict(data.hu[out], verbose=0)[:, 1]
    settled = float(model.evaluate(data.hu[kept], data.truth[kept], verbose=0))
    return {
        "loss": log["loss"],
        "val_loss": log["val_loss"],
        "settled": settled,
        "found": found.tolist(),
    }


def seconds_an_epoch(data: Nodules, names: Sequence[str]) -> dict[str, float]:
    """Time an epoch with each activation: the fastest of three, taken in turns."""
    models = {}
    for name in names:
        model = models[name] = network(name, batch_norm=False)
        model.compile("adam", loss="sparse_categorical_crossentropy", jit_compile=False)
        model.fit(data.hu, data.truth, batch_size=BATCH, verbose=0)  # compiles
    found: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(3):
        for name, model in models.items():
            start = perf_counter()
            model.fit(data.hu, data.truth, batch_size=BATCH, verbose=0)
            found[name].append(perf_counter() - start)
    return {name: min(times) for name, times in found.items()}


def steps_to(data: Nodules, name: str, norm: bool, rate: float, seed: int) -> int:
    """Count the steps until the mean loss of 10 batches is low; 0 for never.

    Plain gradient descent with momentum, since Adam would hide the scale.
    """
    keras.utils.set_random_seed(seed)
    model = network(name, batch_norm=norm)
    model.compile(
        keras.optimizers.SGD(rate, momentum=0.9),
        loss="sparse_categorical_crossentropy",
        jit_compile=False,
    )
    rng = np.random.default_rng(seed)
    kept = np.flatnonzero(data.fold != 0)
    losses: list[float] = []
    for step in range(1, MOST_STEPS + 1):
        chosen = rng.choice(kept, BATCH, replace=False)
        model.reset_metrics()
        losses.append(float(model.train_on_batch(data.hu[chosen], data.truth[chosen])))
        if not np.isfinite(losses[-1]):
            return 0
        if len(losses) >= 10 and np.mean(losses[-10:]) <= WANTED_LOSS:
            return step
    return 0


def deep(name: str) -> keras.Model:
    """Build a plain network of many convolutions, without normalisation."""
    x = inputs = keras.Input((32, 32, 1))
    x = keras.layers.Rescaling(1 / 500, 850 / 500)(x)
    for _ in range(DEPTH):
        x = keras.layers.Conv2D(
            12, 3, padding="same", kernel_initializer=initializer_for(name)
        )(x)
        x = activation_layer(name, rank=2)(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, keras.layers.Dense(2, activation="softmax")(x))


def gradients(data: Nodules, name: str, seed: int) -> dict:
    """Measure the gradient by the weights of each layer, before and after training."""
    keras.utils.set_random_seed(seed)
    model = deep(name)
    loss = keras.losses.SparseCategoricalCrossentropy()
    chosen = np.random.default_rng(seed).choice(len(data.hu), 128, replace=False)

    def norms() -> list[float]:
        kernels = [v for v in model.trainable_variables if v.path.endswith("kernel")]
        with tf.GradientTape() as tape:
            value = loss(data.truth[chosen], model(data.hu[chosen], training=True))
        found = tape.gradient(value, [v.value for v in kernels[:DEPTH]])
        return [float(tf.norm(g)) for g in found]

    before = norms()
    model.compile(keras.optimizers.Adam(RATE), loss=loss, jit_compile=False)
    kept = data.fold != 0
    epochs = max(1, DEEP_STEPS * BATCH // int(kept.sum()))
    model.fit(
        data.hu[kept], data.truth[kept], batch_size=BATCH, epochs=epochs, verbose=0
    )
    return {"before": before, "after": norms()}


class Results:
    """What was computed, kept on disk after each piece."""

    def __init__(self, path: Path | None):
        self.path = path
        self.known: dict[str, Any] = {}
        if path and path.exists():
            self.known = json.loads(path.read_text())

    def get(self, key: str, compute: Callable[[], Any]) -> Any:
        """Give a piece, computed once."""
        if key not in self.known:
            self.known[key] = compute()
            keras.backend.clear_session()
            if self.path:
                self.path.write_text(json.dumps(self.known))
        return self.known[key]


def table_of_activations(
    data: Nodules, results: Results, plan: argparse.Namespace
) -> dict[str, list[dict]]:
    """Train with each activation, and print how good it is."""
    heads = f"{'activation':<16} {'AUC':>6} {'95 %':>15} {'seeds':>13} {'loss':>6}"
    print(f"{heads} {'val.':>6} {'gap':>6} {'to 0.4':>7}")
    runs: dict[str, list[dict]] = {}
    for name in plan.names:
        runs[name], found = [], []
        judged = np.isin(data.fold, plan.folds)
        for seed in plan.seeds:
            chance = np.zeros(len(data.truth))
            for fold in plan.folds:

                def one(n: str = name, s: int = seed, f: int = fold) -> dict:
                    return train(data, n, s, f, plan.epochs)

                run = results.get(f"{name}-{seed}-{fold}-{plan.epochs}", one)
                chance[data.fold == fold] = run["found"]
                runs[name].append(run)
            found.append(chance[judged])
        row(name, data, judged, np.array(found), runs[name])
    return runs


def row(
    name: str,
    data: Nodules,
    judged: np.ndarray,
    found: np.ndarray,
    runs: Sequence[dict],
) -> None:
    """Print one activation: the mean AUC over seeds, its interval, its spread."""
    truth, patients = data.truth[judged] > 0, data.patients[judged]

    def mean_auc(n: np.ndarray) -> float:
        return float(np.mean([area_under_curve(f[n], truth[n]) for f in found]))

    auc = bootstrap(mean_auc, patients, rounds=500)
    each = [area_under_curve(f, truth) for f in found]
    settled = np.mean([r["settled"] for r in runs])
    last = np.mean([r["val_loss"][-1] for r in runs])
    reached = [next((n + 1 for n, v in enumerate(r["loss"]) if v <= 0.4), 0)
               for r in runs]  # fmt: skip
    epochs = f"{np.mean(reached):.1f}" if all(reached) else "never"
    spread = f"{min(each):.3f}-{max(each):.3f}"
    first = f"{name:<16} {auc.value:>6.3f} {auc.low:>7.3f}-{auc.high:.3f}  {spread}"
    losses = f"{settled:>7.3f} {last:>6.3f} {last - settled:>6.3f}"
    print(f"{first} {losses} {epochs:>7}", flush=True)


def table_of_norms(
    data: Nodules, results: Results, plan: argparse.Namespace
) -> dict[tuple[str, bool], list[list[int]]]:
    """Count steps with and without batch normalisation, over learning rates."""
    never = f"'-': not in {MOST_STEPS}"
    print(f"\nsteps to a loss of {WANTED_LOSS}, median of seeds ({never})")
    print(f"{'network':<24}" + "".join(f"{rate:>8g}" for rate in plan.rates))
    table: dict[tuple[str, bool], list[list[int]]] = {}
    for name in ("sigmoid", "relu"):
        for norm in (False, True):
            steps = []
            for rate in plan.rates:
                steps.append([
                    results.get(
                        f"norm-{name}-{norm}-{rate}-{seed}",
                        lambda n=name, b=norm, r=rate, s=seed: steps_to(
                            data, n, b, r, s
                        ),
                    )
                    for seed in plan.seeds
                ])  # fmt: skip
            table[name, norm] = steps
            label = f"{name}, {'with' if norm else 'without'}"
            cells = [f"{np.median(s):>8.0f}" if all(s) else f"{'-':>8}" for s in steps]
            print(f"{label:<24}" + "".join(cells), flush=True)
    return table


def draw(runs: dict, table: dict, slopes: dict, rates: Sequence, out: Path) -> None:
    """Draw the three figures."""
    import matplotlib as mpl  # noqa: PLC0415  only for the figures

    mpl.use("Agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415

    figure, both = plt.subplots(1, 2, figsize=(9, 3.8), layout="constrained")
    for name, found in runs.items():
        for axes, key in zip(both, ("loss", "val_loss"), strict=True):
            curve = np.mean([run[key] for run in found], axis=0)
            axes.plot(np.arange(1, len(curve) + 1), curve, label=name)
    for axes, title in zip(both, ("training", "patients left out"), strict=True):
        axes.set(title=title, xlabel="epoch", ylabel="cross-entropy", ylim=(0.1, 0.8))
        axes.grid(alpha=0.3)
    both[1].legend(fontsize=7, ncols=2)
    figure.savefig(out / "activations_curves.png", dpi=90)

    figure, both = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
    for axes, when in zip(both, ("before", "after"), strict=True):
        for name, found in slopes.items():
            norms = np.exp(np.mean(np.log([f[when] for f in found]), axis=0))
            axes.semilogy(range(1, DEPTH + 1), norms, ".-", label=name)
        axes.set(title=f"{when} training", xlabel="layer, from the input",
                 ylabel="norm of the gradient")  # fmt: skip
        axes.grid(alpha=0.3)
    both[0].legend(fontsize=7)
    figure.savefig(out / "activations_gradients.png", dpi=90)

    figure, axes = plt.subplots(figsize=(6, 3.6), layout="constrained")
    for n, ((name, norm), steps) in enumerate(table.items()):
        label = f"{name}, {'with' if norm else 'without'} batch normalisation"
        medians = [np.median(s) if all(s) else np.nan for s in steps]
        style = "o-" if norm else "s--"
        axes.loglog(rates, medians, style, color=f"C{n // 2}", label=label)
    axes.set(xlabel="learning rate", ylabel=f"steps to a loss of {WANTED_LOSS}")
    axes.set_yticks([25, 50, 100, 200, 400], labels=["25", "50", "100", "200", "400"])
    axes.set_yticks([], minor=True)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=7)
    figure.savefig(out / "batch_norm.png", dpi=90)


def main() -> None:
    """Train, print, and draw when asked for all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--full", type=Path, metavar="OUT", help="folder of the run")
    default = os.environ.get("HILUM_DATA", ROOT.parent / "shared" / "data")
    parser.add_argument("--data", type=Path, default=Path(default))
    plan = parser.parse_args()
    if not (plan.data / "nodules" / "nodules.csv").exists():
        print("activations.py: skipped: needs rated nodules, set HILUM_DATA")
        return
    plan.names, plan.seeds, plan.folds = ("sigmoid", "relu", "elu"), (0,), (0,)
    plan.epochs, plan.rates = 6, (0.01, 0.1)
    if plan.full:
        plan.full.mkdir(parents=True, exist_ok=True)
        plan.names, plan.seeds, plan.folds = NAMES, SEEDS, tuple(range(FOLDS))
        plan.epochs, plan.rates = EPOCHS, RATES
    results = Results(plan.full / "results.json" if plan.full else None)
    data = load(plan.data / "nodules")
    who = f"{len(data.truth)} nodules, {len(set(data.patients))} patients"
    print(f"{who}, {data.truth.sum()} malignant; {len(plan.folds)} fold(s) judged")
    runs = table_of_activations(data, results, plan)
    table = table_of_norms(data, results, plan)
    times = results.get("seconds", lambda: seconds_an_epoch(data, plan.names))
    print("\nseconds an epoch: " + ", ".join(f"{n} {t:.2f}" for n, t in times.items()))
    if plan.full:
        slopes = {
            name: [
                results.get(
                    f"gradient-{name}-{seed}",
                    lambda n=name, s=seed: gradients(data, n, s),
                )
                for seed in plan.seeds
            ]
            for name in PLAIN
        }
        draw(runs, table, slopes, plan.rates, plan.full)


if __name__ == "__main__":
    main()
