"""Time of the documents: SR, SEG and HTML of ten nodules on 300 x 512 x 512 DICOM.

Makes a phantom as a DICOM series, reads it, puts ten balls of 6 to 24 mm in the place
of what a network would outline, and writes the documents, with the explanations of the
page: all together in this fresh process, with its imports; once more, and one by one.
Last, in another fresh process, as the command does after an assessment: what writes
DICOM was loaded while the networks ran. CPU seconds count all cores; on a busy machine
they tell more than those of the clock, which go up with what else runs.

    python benchmarks/documents.py [--slices 300] [--nodules 10]
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
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
from hilum.report.ahead import load_ahead
from hilum.report.dicom import SegmentStyle
from hilum.report.documents import write_documents
from hilum.runtime.predictor import load_predictor
from hilum.runtime.ratings import rating_inputs
from hilum.volume import CTVolume, Mask

WANTED_SECONDS = 2.0
TOGETHER = ("html", "seg", "sr")
RATED_BY = "malignancy"
"""The network that explains; an assessment has loaded it."""


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """What documents are written of."""

    source: Path
    volume: CTVolume
    assessment: Assessment
    outlines: Outlines


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


def measure(
    case: Case, title: str, formats: tuple[str, ...], *, lungs: bool = False
) -> float:
    """Write documents, and print how long it took."""
    start, cpu = time.perf_counter(), time.process_time()
    write_documents(
        case.assessment,
        case.volume,
        case.source.with_name("out"),
        formats=formats,
        outlines=case.outlines,
        source=case.source,
        style=SegmentStyle(lungs=lungs),
    )
    wall, used = time.perf_counter() - start, time.process_time() - cpu
    print(f"{title:34}{wall:10.2f}{used:10.2f}", flush=True)
    return wall


def make_case(source: Path, nodules: int) -> Case:
    """Read a scan; load what any assessment has: kernels, and a network."""
    volume = read_dicom(source)
    assessment, outlines = assess_as_if(volume, nodules)
    corner = volume.crop((0, 0, 0), (4, 4, 4))
    corner.resample_to(corner.grid)
    load_predictor(RATED_BY)(rating_inputs(volume, outlines.nodules[0]))
    return Case(source, volume, assessment, outlines)


def measure_ahead(source: Path, nodules: int) -> None:
    """Measure what the command has to wait for after an assessment."""
    case = make_case(source, nodules)
    thread = load_ahead(TOGETHER)
    if thread is not None:
        thread.join()
    measure(case, "html + seg + sr, loaded ahead", TOGETHER)


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--slices", type=int, default=300)
    parser.add_argument("--nodules", type=int, default=10)
    parser.add_argument("--ahead", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.ahead is not None:
        measure_ahead(args.ahead, args.nodules)
        return
    with tempfile.TemporaryDirectory() as name:
        source = Path(name) / "phantom"
        shape = [str(args.slices), "512", "512"]
        command = [sys.executable, "-m", "hilum", "--quiet", "phantom", str(source)]
        subprocess.run(
            [*command, "--seed", "7", "--shape", *shape],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        case = make_case(source, args.nodules)
        head = f"{args.nodules} nodules, {args.slices} slices"
        print(f"{head:34}{'wall s':>10}{'CPU s':>10}")
        first = measure(case, "html + seg + sr, first", TOGETHER)
        measure(case, "html + seg + sr, again", TOGETHER)
        for one in ("html", "seg", "sr", "sc"):
            measure(case, one, (one,))
        measure(case, "seg with lungs", ("seg",), lungs=True)
        again = [sys.executable, __file__, "--ahead", str(source)]
        subprocess.run([*again, "--nodules", str(args.nodules)], check=True)
    print(f"wanted {WANTED_SECONDS:.1f} s, first: {first / WANTED_SECONDS:.2f} of it")


if __name__ == "__main__":
    main()
