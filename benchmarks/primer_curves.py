"""The loss curves of the primer's lesson on batch normalisation, on real nodules.

    python benchmarks/primer_curves.py            a table
    python benchmarks/primer_curves.py --write    and into the primer's measured.json

The network, the nodules and the descent of `activations.py`: fold 0 left out, SGD of
momentum 0.9, batches of 32, 200 steps; the loss of each step, averaged over ten steps
and three seeds.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")  # before TensorFlow is loaded

import keras
import numpy as np
from activations import BATCH, ROOT, SEEDS, Nodules, load, network

STEPS = 200
OVER = 10
RUNS = (("relu", 0.003), ("relu", 0.03), ("sigmoid", 0.03))
STATIC = ROOT / "src" / "hilum" / "primer" / "static" / "measured.json"


def curve(data: Nodules, name: str, rate: float, norm: bool, seed: int) -> np.ndarray:
    """Train, and give the loss of every step."""
    keras.utils.set_random_seed(seed)
    model = network(name, batch_norm=norm)
    model.compile(
        keras.optimizers.SGD(rate, momentum=0.9),
        loss="sparse_categorical_crossentropy",
        jit_compile=False,
    )
    rng, kept = np.random.default_rng(seed), np.flatnonzero(data.fold != 0)
    losses = []
    for _ in range(STEPS):
        chosen = rng.choice(kept, BATCH, replace=False)
        model.reset_metrics()
        losses.append(float(model.train_on_batch(data.hu[chosen], data.truth[chosen])))
    return np.array(losses)


def main() -> None:
    """Measure, and print or write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true")
    args = parser.parse_args()
    default = ROOT.parent / "shared" / "data"
    folder = Path(os.environ.get("HILUM_DATA", default)) / "nodules"
    if not (folder / "nodules.csv").exists():
        print("primer_curves.py: skipped: needs rated nodules, set HILUM_DATA")
        return
    data = load(folder)
    tree = json.loads(STATIC.read_text(encoding="utf-8"))
    known = tree.get("loss_curves", []) if args.write else []
    runs, seeds = (RUNS, SEEDS) if args.write else (RUNS[:1], SEEDS[:1])
    for name, rate in runs:
        for norm in (False, True):
            what = {"activation": name, "rate": rate, "batch_norm": norm}
            if any(what.items() <= row.items() for row in known):
                continue  # an interrupted run goes on
            every = np.array([curve(data, name, rate, norm, seed) for seed in seeds])
            means = every.mean(axis=0).reshape(-1, OVER).mean(axis=1)
            known.append({**what, "loss": [round(float(v), 4) for v in means]})
            print(name, rate, "with" if norm else "without", means.round(3)[[0, 4, -1]])
            if args.write:
                write(tree, known)


def write(tree: dict, curves: list[dict]) -> None:
    """Put the curves into the primer's file, one to a line."""
    rows = ",\n".join(f" {json.dumps(row)}" for row in tree["activations"])
    lines = ",\n".join(f" {json.dumps(row)}" for row in curves)
    STATIC.write_text(
        f'{{\n"activations": [\n{rows}\n],\n'
        f'"batch_norm": {json.dumps(tree["batch_norm"])},\n'
        f'"steps_each": {OVER},\n"loss_curves": [\n{lines}\n]\n}}\n',
        encoding="utf-8",
    )


if __name__ == "__main__":
    main()
