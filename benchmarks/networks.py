"""How fast the networks of nodules train and run, on this machine.

    python benchmarks/networks.py

Training: patches a second of `malignancy_net` and of `segmentation_net` under Keras on
TensorFlow, and the same Keras networks on torch, each in a process of its own, where
torch is installed. Running: measuring and rating the nodules of a phantom.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import time

import numpy as np

BATCH = 16
STEPS = 8
NETWORKS = ("malignancy_net", "segmentation_net")
WANTED_MS = 50.0


def train(name: str) -> float:
    """Train one network on noise for some steps; give patches a second."""
    import keras  # noqa: PLC0415  the backend is chosen by the environment

    from hilum.nn import models  # noqa: PLC0415

    model = getattr(models, name)()
    rng = np.random.default_rng(0)

    def filled(tensor: keras.KerasTensor) -> np.ndarray:
        return rng.normal(size=(BATCH, *tensor.shape[1:])).astype("float32")

    shown = [filled(tensor) for tensor in model.inputs]
    outputs = model(shown if len(shown) > 1 else shown[0])
    wanted = keras.tree.map_structure(
        lambda y: np.clip(keras.ops.convert_to_numpy(y), 0, 1), outputs
    )
    names = [tensor.name.split(":")[0] for tensor in model.inputs]
    given = dict(zip(names, shown, strict=True)) if len(shown) > 1 else shown[0]
    model.compile("adamw", loss="mse", jit_compile=False)
    model.train_on_batch(given, wanted)
    start = time.perf_counter()
    for _ in range(STEPS):
        model.train_on_batch(given, wanted)
    return BATCH * STEPS / (time.perf_counter() - start)


def in_process(name: str, backend: str) -> float:
    """Train in a process of its own, on a backend of Keras."""
    done = subprocess.run(
        [sys.executable, __file__, "--train", name],
        env={**os.environ, "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
        check=True,
    )
    return float(json.loads(done.stdout.splitlines()[-1]))


def time_a_nodule() -> tuple[float, float, int]:
    """Measure and rate the nodules of a phantom; ms for each, and how many."""
    from hilum.findings import Candidate  # noqa: PLC0415
    from hilum.phantom import PhantomSettings, make_phantom  # noqa: PLC0415
    from hilum.stages.lungs import LungSegmenter  # noqa: PLC0415
    from hilum.stages.malignancy import MalignancyModel  # noqa: PLC0415
    from hilum.stages.measure import NoduleMeasurer  # noqa: PLC0415

    phantom = make_phantom(PhantomSettings(seed=7))
    lungs = LungSegmenter()(phantom.volume)
    found = tuple(
        Candidate(truth.center_mm, truth.diameter_mm, 0.9) for truth in phantom.truths
    )
    measure, rate = NoduleMeasurer(), MalignancyModel()
    best = [np.inf, np.inf]
    for _ in range(3):
        start = time.perf_counter()
        measured = measure.measure(phantom.volume, found, lungs)
        middle = time.perf_counter()
        nodules = tuple(m.nodule for m in measured)
        rate(phantom.volume, nodules, tuple(m.shown for m in measured))
        parts = (middle - start, time.perf_counter() - middle)
        best = [min(a, b) for a, b in zip(best, parts, strict=True)]
    each = [1000 * seconds / len(found) for seconds in best]
    return each[0], each[1], len(found)


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--train", choices=NETWORKS, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.train:
        print(json.dumps(train(args.train)))
        return
    backends = ["tensorflow"]
    if importlib.util.find_spec("torch") is not None:
        backends.append("torch")
    else:
        print("torch is not installed: nothing to compare with")
    for name in NETWORKS:
        first = 0.0
        for backend in backends:
            rate = in_process(name, backend)
            first = first or rate
            print(
                f"{name:18}{backend:12}{rate:8.1f} patches/s   ratio {rate / first:.2f}"
            )
    measuring, rating, count = time_a_nodule()
    print(
        f"one nodule, mean of {count}: measured in {measuring:.0f} ms, rated in",
        end=" ",
    )
    total = measuring + rating
    print(f"{rating:.0f} ms; together {total:.0f}, wanted {WANTED_MS:.0f}")


if __name__ == "__main__":
    main()
