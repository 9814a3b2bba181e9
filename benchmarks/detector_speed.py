"""Time and memory of the detector as shipped, and what it does not depend on.

    python benchmarks/detector_speed.py

On a phantom of 300 x 512 x 512: the stage, its network beside the same one under Keras
and, where torch is installed, beside a 3D RetinaNet of the usual size, and the marks
when the files are in another order, in another format or resliced.
"""

from __future__ import annotations

import resource
import tempfile
import time
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from hilum.findings import Candidate
from hilum.formats import write_volume
from hilum.phantom import PhantomSettings, make_phantom, write_phantom
from hilum.runtime.predictor import load_predictor
from hilum.sources import read_ct
from hilum.stages.lungs import LungSegmenter
from hilum.stages.nodules import NoduleDetector
from hilum.stages.nodules.marks import padded
from hilum.stages.nodules.network import network_region


def main() -> None:
    """Time the stage as shipped, and see that format and file order do not matter."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shape = (300, 512, 512)
        write_phantom(make_phantom(PhantomSettings(seed=7, shape=shape)), folder)
        series = next(p for p in folder.iterdir() if p.is_dir())
        volume = read_ct(series)
        lungs = LungSegmenter()(volume)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        detect = NoduleDetector()
        usual = detect(volume, lungs)
        seconds = min(_timed(lambda: detect(volume, lungs)) for _ in range(3))
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        region = network_region(volume, lungs)
        if region is None:
            raise SystemExit("no lungs in the phantom")
        hu = padded(region.hu)
        ours = min(_timed(lambda: load_predictor("nodules")(hu)) for _ in range(2))
        keras_seconds = _timed_in_keras(hu)
        print(f"lungs' box {region.hu.shape} mm, {shape[0]} slices, two cores if idle")
        print(f"{'stage, s':34}{seconds:8.2f}   wanted 2")
        print(
            f"{'process peak, GB':34}{peak / 1e6:8.2f}   before it {before / 1e6:.2f}"
        )
        print(f"{'network by OpenVINO, s':34}{ours:8.2f}   ratio 1")
        title = "the same by Keras predict, s"
        print(f"{title:34}{keras_seconds:8.2f}   ratio {keras_seconds / ours:.1f}")
        if find_spec("torch"):
            from retina_net import seconds_over  # noqa: PLC0415  needs torch

            retina, tiles = seconds_over(region.hu.shape)
            title = f"a RetinaNet in torch, {tiles} tiles, s"
            print(f"{title:34}{retina:8.2f}   ratio {retina / ours:.1f}", flush=True)
        else:
            print("a RetinaNet: skipped: torch is not installed")
        for k, path in enumerate(sorted(series.iterdir(), reverse=True)):
            path.rename(series / f"other-{k:04}")
        write_volume(volume, folder / "ct.nii.gz")
        write_volume(volume, folder / "ct.mha")
        for title, source in (
            ("files in another order", series),
            ("as NIfTI", folder / "ct.nii.gz"),
            ("as MetaImage", folder / "ct.mha"),
        ):
            again = read_ct(source)
            _compare(title, usual, detect(again, LungSegmenter()(again)))
        for spacing in ((1.0, 0.7, 0.7), (2.0, 0.8, 0.8)):
            grid = volume.grid.regrid(spacing)
            again = volume.resample_to(grid)
            title = f"resliced to {spacing[0]} mm"
            _compare(title, usual, detect(again, LungSegmenter()(again)))


def _compare(
    title: str, usual: Sequence[Candidate], other: Sequence[Candidate]
) -> None:
    """Say how far the surest marks move and how their scores change."""
    moved, changed = [0.0], [0.0]
    for mark in (m for m in usual if m.score >= 0.3):
        near = min(
            other,
            key=lambda m: np.linalg.norm(np.subtract(m.center_mm, mark.center_mm)),
        )
        moved.append(float(np.linalg.norm(np.subtract(near.center_mm, mark.center_mm))))
        changed.append(abs(near.score - mark.score))
    print(
        f"{title:34}{len(moved) - 1:3} marks from 0.3 on: moved by up to "
        f"{max(moved):.2f} mm, scores by up to {max(changed):.3f}"
    )


def _timed(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _timed_in_keras(hu: np.ndarray) -> float:
    """Time a network of the same shape under Keras, whatever its weights."""
    from hilum.nn.models.detectors import detection_net  # noqa: PLC0415  slow

    model = detection_net()
    model.predict_on_batch(hu[:, :64])
    return _timed(lambda: model.predict_on_batch(hu))


if __name__ == "__main__":
    main()
