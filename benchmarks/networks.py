"""How fast the networks of nodules train and run, on this machine.

    python benchmarks/networks.py

Training: patches a second of `malignancy_net` and of `segmentation_net` under Keras on
TensorFlow, and the same Keras networks on torch, each in a process of its own, where
torch is installed. Running: measuring and rating the nodules of a phantom and, where
HILUM_DATA names it, of LIDC-IDRI-0003.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from hilum._optional import prepare_backend
from hilum.volume import CTVolume

BATCH = 16
STEPS = 8
NETWORKS = {"malignancy_net": (32, 32, 32), "segmentation_net": (16, 32, 32)}
"""Voxels of the patches that each is trained on."""

WANTED_MS = 50.0
ROUNDS = 5
ROOT = Path(__file__).parents[1]
DATA = Path(os.environ.get("HILUM_DATA", ROOT.parent / "shared" / "data"))


def train(name: str) -> float:
    """Train one network on noise for some steps; give patches a second."""
    prepare_backend()
    import keras  # noqa: PLC0415  the backend is chosen by the environment

    from hilum.nn import models  # noqa: PLC0415

    model = getattr(models, name)(NETWORKS[name])
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


def time_nodules(name: str, volume: CTVolume, most: int) -> None:
    """Measure and rate the surest marks of a scan; print ms for each nodule."""
    from hilum.stages.lungs import LungSegmenter  # noqa: PLC0415
    from hilum.stages.malignancy import MalignancyModel  # noqa: PLC0415
    from hilum.stages.measure import NoduleMeasurer  # noqa: PLC0415
    from hilum.stages.nodules import NoduleDetector  # noqa: PLC0415

    lungs = LungSegmenter()(volume)
    found = NoduleDetector()(volume, lungs)[:most]
    measure, rate = NoduleMeasurer(), MalignancyModel()
    best = [np.inf] * 4
    for _ in range(ROUNDS):
        start = _clocks()
        measured = measure.measure(volume, found, lungs)
        middle = _clocks()
        nodules = tuple(m.nodule for m in measured)
        rate(volume, nodules, tuple(m.shown for m in measured))
        parts = (*(middle - start), *(_clocks() - middle))
        best = [min(a, b) for a, b in zip(best, parts, strict=True)]
    wall, cpu, rated, rated_cpu = (1000 * s / len(found) for s in best)
    print(f"{name}, {len(found)} nodules: ms for each, in brackets of CPU")
    print(
        f"  measured {wall:.0f} ({cpu:.0f}), rated {rated:.0f} ({rated_cpu:.0f}), "
        f"together {wall + rated:.0f} ({cpu + rated_cpu:.0f}), wanted {WANTED_MS:.0f}",
        flush=True,
    )


def _clocks() -> np.ndarray:
    """Give seconds of wall and of CPU; on a busy machine only CPU tells something."""
    return np.array([time.perf_counter(), time.process_time()])


def time_scans() -> None:
    """Time ten marks of a phantom and of a real scan."""
    from hilum.phantom import PhantomSettings, make_phantom  # noqa: PLC0415
    from hilum.sources import read_ct  # noqa: PLC0415

    phantom = make_phantom(PhantomSettings(seed=7))
    time_nodules("phantom", phantom.volume, 10)
    scan = DATA / "ct" / "LIDC-IDRI-0003"
    if scan.is_dir():
        time_nodules(scan.name, read_ct(scan), 10)
    else:
        print("no real scan: set HILUM_DATA")


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--train", choices=NETWORKS, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.train:
        print(json.dumps(train(args.train)))
        return
    time_scans()
    backends = ["tensorflow"]
    if importlib.util.find_spec("torch") is not None:
        backends.append("torch")
    else:
        print("torch: not installed, nothing to compare with")
    for name in NETWORKS:
        first = 0.0
        for backend in backends:
            rate = in_process(name, backend)
            first = first or rate
            ratio = f"ratio {rate / first:.2f}"
            print(f"{name:18}{backend:12}{rate:8.1f} patches/s   {ratio}", flush=True)


if __name__ == "__main__":
    main()
