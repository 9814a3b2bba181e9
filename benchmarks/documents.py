"""Time of the documents: SR, SEG and HTML of ten nodules on 300 x 512 x 512 DICOM.

Makes a phantom as a DICOM series, reads it, puts ten balls of 6 to 24 mm in the place
of what a network would outline, and writes the documents, with the explanations of the
page: all together as the command does after an assessment, in this fresh process with
its imports; then once more, and one by one. CPU seconds count both cores and do not
depend on what else runs.

    python benchmarks/documents.py [--slices 300] [--nodules 10]
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from hilum.dicom import read_dicom
from hilum.findings import (
    Assessment,
    Guidelines,
    Nodule,
    Probability,
    Provenance,
    Scope,
)
from hilum.outlines import Outlines
from hilum.report.dicom import SegmentStyle
from hilum.report.documents import write_documents
from hilum.runtime.predictor import load_predictor
from hilum.runtime.ratings import rating_inputs
from hilum.volume import CTVolume, Mask

WANTED_SECONDS = 2.0
TOGETHER = ("html", "seg", "sr")
RATED_BY = "malignancy"
"""The network that explains; an assessment has loaded it."""


def make_nodules(volume: CTVolume, count: int) -> tuple[list[Nodule], list[Mask]]:
    """Put balls on a helix through the chest."""
    nodules, masks = [], []
    shape, spacing = np.array(volume.grid.shape), np.array(volume.grid.spacing_mm)
    for n in range(count):
        radius_mm = 3.0 + 9.0 * n / max(1, count - 1)
        turn = 2 * np.pi * n / count
        part = (
            0.2 + 0.6 * n / count,
            0.5 + 0.2 * np.sin(turn),
            0.5 + 0.25 * np.cos(turn),
        )
        middle = np.rint(np.array(part) * shape).astype(int)
        reach = np.ceil(radius_mm / spacing).astype(int)
        start, stop = middle - reach, middle + reach + 1
        cells = np.stack(
            np.meshgrid(*(np.arange(-r, r + 1) for r in reach), indexing="ij")
        )
        away = np.linalg.norm(cells * spacing[:, None, None, None], axis=0)
        grid = volume.grid.crop(tuple(start.tolist()), tuple(stop.tolist()))
        masks.append(Mask(away <= radius_mm, grid))
        x, y, z = volume.grid.to_world(middle).tolist()
        nodules.append(
            Nodule(
                center_mm=(x, y, z),
                diameter_mm=2 * radius_mm,
                long_axis_mm=2 * radius_mm,
                short_axis_mm=2 * radius_mm,
                volume_mm3=4 / 3 * np.pi * radius_mm**3,
                type="solid",
                solid_diameter_mm=2 * radius_mm,
                side="right" if x < 0 else "left",
                detection_score=0.9 - 0.05 * n,
                malignancy=Probability(0.3, 0.1, 0.6),
            )
        )
    return nodules, masks


def assess_as_if(volume: CTVolume, count: int) -> tuple[Assessment, Outlines]:
    """Make what the pipeline would conclude."""
    nodules, masks = make_nodules(volume, count)
    lungs = np.zeros(volume.grid.shape, np.uint8)
    unit = np.stack(
        np.meshgrid(*(np.linspace(-1, 1, n) for n in lungs.shape), indexing="ij")
    )
    for label, at in ((1, -0.45), (2, 0.45)):
        away = (
            (unit[0] / 0.9) ** 2 + (unit[1] / 0.6) ** 2 + ((unit[2] - at) / 0.35) ** 2
        )
        lungs[away < 1] = label
    outlines = Outlines(volume.series_uid, tuple(masks), Mask(lungs, volume.grid))
    assessment = Assessment(
        series_uid=volume.series_uid,
        scope=Scope(True),
        cancer_probability=Probability(0.3, 0.1, 0.6),
        nodules=tuple(nodules),
        guidelines=Guidelines(),
        notices=volume.notices,
        provenance=Provenance(
            version="0",
            settings={"malignancy": {"weights": RATED_BY}},  # so they are explained
            weights=dict(load_predictor(RATED_BY).sha256),
            timings_s={},
            source={},
        ),
    )
    return assessment, outlines


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--slices", type=int, default=300)
    parser.add_argument("--nodules", type=int, default=10)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        source, out = Path(name) / "phantom", Path(name) / "out"
        shape = [str(args.slices), "512", "512"]
        command = [sys.executable, "-m", "hilum", "--quiet", "phantom", str(source)]
        subprocess.run(
            [*command, "--seed", "7", "--shape", *shape],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        volume = read_dicom(source)
        assessment, outlines = assess_as_if(volume, args.nodules)
        corner = volume.crop((0, 0, 0), (4, 4, 4))
        # what any assessment has loaded: kernels, and the network, which rated nodules
        corner.resample_to(corner.grid)
        load_predictor(RATED_BY)(rating_inputs(volume, outlines.nodules[0]))

        def measure(title: str, *formats: str, lungs: bool = False) -> float:
            start, cpu = time.perf_counter(), time.process_time()
            write_documents(
                assessment,
                volume,
                out,
                formats=formats,
                outlines=outlines,
                source=source,
                style=SegmentStyle(lungs=lungs),
            )
            wall, used = time.perf_counter() - start, time.process_time() - cpu
            print(f"{title:34}{wall:10.2f}{used:10.2f}")
            return wall

        print(
            f"{args.nodules} nodules, {args.slices} slices{'wall s':>20}{'CPU s':>10}"
        )
        first = measure("html + seg + sr, first", *TOGETHER)
        measure("html + seg + sr, again", *TOGETHER)
        for one in ("html", "seg", "sr", "sc"):
            measure(one, one)
        measure("seg with lungs", "seg", lungs=True)
    print(f"wanted {WANTED_SECONDS:.1f} s, first: {first / WANTED_SECONDS:.2f} of it")


if __name__ == "__main__":
    main()
