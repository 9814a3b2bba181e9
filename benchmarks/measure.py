"""How well nodules are measured, and how long it takes.

Phantoms of known size; or, where HILUM_DATA names a folder of real CT, the annotated
nodules, the tumours with masks, and the LIDC nodule patches (kinds and sizes).

    python benchmarks/measure.py
    python benchmarks/measure.py --phantom [NODULES]
    python benchmarks/measure.py --readers 3
"""

from __future__ import annotations

import argparse
import csv
import math
import os
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
from measure_phantom import phantom_table
from measure_readers import readers_table
from scipy import ndimage

from hilum.datasets.pieces import read_piece, read_piece_mask
from hilum.dicom import find_studies, read_series
from hilum.findings import Candidate, Nodule
from hilum.space import Grid
from hilum.stages.lungs import LungSegmenter
from hilum.stages.measure import NoduleMeasurer, segment_nodule
from hilum.volume import CTVolume, Mask

Row = dict[str, str]
KINDS = ("ground-glass", "part-solid", "solid", "calcified")
BEYOND_MM = 8.0
WALL_MM3 = 1500.0


def main() -> None:
    """Print the table of phantoms, or all that have to do with real nodules."""
    parser = argparse.ArgumentParser()
    parser.add_argument(
        "--phantom", type=int, nargs="?", const=2, help="nodules a cell of the table"
    )
    parser.add_argument(
        "--readers", type=int, help="LIDC patches of every so manieth patient"
    )
    wanted = parser.parse_args()
    if wanted.phantom:
        phantom_table(wanted.phantom)
        return
    folder = Path(os.environ.get("HILUM_DATA", _default_folder()))
    if not (folder / "annotations.csv").exists():
        print("measure.py: skipped: needs real CT, set HILUM_DATA; or --phantom")
        return
    if wanted.readers:
        readers_table(folder, _patch, wanted.readers)
        return
    annotated(folder)
    patches(folder)


def annotated(folder: Path, draws: int = 3) -> None:
    """Measure every annotated nodule from candidates 1-2 mm and 20 % off."""
    print("annotated nodules: diameter of the readers, of the equal sphere, mean axis")
    off, axes, repeats, times = [], [], [], []
    for volume, lungs, rows in _scans(folder):
        for row in rows:
            size, found, seconds = float(row["diameter_mm"]), [], []
            rng = np.random.default_rng(int(row["nodule"]))
            for scale in np.resize((0.8, 1.2, 1.0), draws):
                candidate = _jittered(row, size * scale, rng)
                start = time.perf_counter()
                found.append(NoduleMeasurer()(volume, (candidate,), lungs)[0])
                seconds.append(time.perf_counter() - start)
            spheres = [_sphere_mm(n) for n in found]
            means = [n.diameter_mm for n in found]
            off += [s - size for s in spheres]
            axes += [m - size for m in means]
            repeats.append(float(np.std(spheres)))
            times.append((size, 1000 * min(seconds)))
            print(
                f"  {row['patient']:17}{row['nodule']:>3} {size:5.1f}  "
                f"{_joined(spheres)}  {_joined(means)}  {found[0].type}"
            )
            if not row["texture"]:
                _tumour(folder, row, volume, lungs)
    for name, errors in (("equal sphere", off), ("mean axis", axes)):
        print(
            f"  {name}: median error {np.median(errors):+.2f} mm, median absolute "
            f"{np.median(np.abs(errors)):.2f} mm"
        )
    print(f"  spread of the three candidates: {np.mean(repeats):.2f} mm")
    usual = [t for s, t in times if s < 20]
    large = [t for s, t in times if s >= 20]
    print(f"  below 20 mm {np.median(usual):.0f} ms, worst {max(usual):.0f} ms")
    print(f"  from 20 mm {np.median(large):.0f} ms, worst {max(large):.0f} ms")


def _tumour(folder: Path, row: Row, volume: CTVolume, lungs: Mask) -> None:
    """Compare the mask of one tumour with the one that comes with the scan."""
    truth = read_piece_mask(folder / "masks" / f"{row['patient']}_tumour.nii.gz").voxels
    rng = np.random.default_rng(0)
    mask = segment_nodule(volume, _jittered(row, float(row["diameter_mm"]), rng), lungs)
    start = np.rint(volume.grid.to_index(mask.grid.to_world((0, 0, 0)))).astype(int)
    z, y, x = (slice(a, a + n) for a, n in zip(start, mask.grid.shape, strict=True))
    both = np.count_nonzero(truth[z, y, x] & mask.voxels)
    total = np.count_nonzero(truth) + np.count_nonzero(mask.voxels)
    print(f"    Dice with the mask of the tumour {2 * both / total:.3f}")


def patches(folder: Path) -> None:
    """Measure the LIDC nodule patches; tell size and kind by the readers' ratings."""
    ratios: list[float] = []
    table: dict[str, list[str]] = {}
    rng = np.random.default_rng(0)
    with (folder / "nodules" / "nodules.csv").open() as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        volume, readers, lungs = _patch(folder / "nodules", row["file"])
        size = (6 * readers.volume_mm3 / math.pi) ** (1 / 3)
        middle = volume.grid.to_world(np.argwhere(readers.voxels).mean(axis=0))
        jitter = rng.normal(size=3)
        jitter *= rng.uniform(0.5, 1.5) / np.linalg.norm(jitter)
        wide = max(3.0, size * float(rng.choice([0.85, 1.2])))
        found = Candidate(tuple((middle + jitter).tolist()), wide, 0.5)
        nodule = NoduleMeasurer()(volume, (found,), lungs)[0]
        ratios.append(_sphere_mm(nodule) / size)
        for name in _ratings(row):
            table.setdefault(name, []).append(nodule.type)
    print(f"{len(rows)} patches: diameter of the equal sphere by that of the readers")
    print(
        f"  5, 25, 50, 75, 95 %: {np.percentile(ratios, [5, 25, 50, 75, 95]).round(2)}"
    )
    print(f"  {'rated':24}" + "".join(f"{kind:>14}" for kind in KINDS))
    for name in sorted(table):
        counts = (table[name].count(kind) for kind in KINDS)
        print(f"  {name:24}" + "".join(f"{count:14}" for count in counts))


def _ratings(row: Row) -> Iterator[str]:
    """Name the classes that the mean ratings put a nodule in."""
    for name, edges in (
        ("texture", (1, 2, 3, 4, 4.5, 5.01)),
        ("calcification", (1, 3.5, 5, 5.5, 6.01)),
    ):
        if not row[f"{name}_mean"]:
            continue
        rating = float(row[f"{name}_mean"])
        for low, high in pairwise(edges):
            if low <= rating < high:
                yield f"{name} {low} to {high}"


def _patch(folder: Path, name: str) -> tuple[CTVolume, Mask, Mask]:
    """Read a patch and add what it lacks: slices beyond the nodule, and lungs.

    Patches end with the nodule, so the last slice is repeated with the nodule
    blanked. Tissue that hangs together outside the readers' mask is wall.
    """
    volume = read_piece(folder / "image" / name)
    inside = read_piece_mask(folder / "nodule_mask" / name).voxels
    hu, spacing = volume.hu, volume.grid.spacing_mm
    air = hu[(hu < -500) & (hu > -1000)]
    level = np.int16(np.median(air)) if air.size > 30 else np.int16(-850)
    rounds = math.ceil(3 / spacing[1])
    pads = math.ceil(BEYOND_MM / spacing[0])
    ends = []
    for last in (0, -1):
        wide = ndimage.binary_dilation(inside[last], iterations=rounds)
        ends.append(np.repeat(np.where(wide, level, hu[last])[None], pads, 0))
    hu = np.concatenate([ends[0], hu, ends[1]]).astype(np.int16)
    inside = np.pad(inside, ((pads, pads), (0, 0), (0, 0)))
    affine = volume.grid.affine.copy()
    affine[:3, 3] = volume.grid.to_world((-pads, 0, 0))
    z, y, x = hu.shape
    grid = Grid((z, y, x), affine)
    parts, _ = ndimage.label((hu > -300) & ~ndimage.binary_dilation(inside))
    sizes = np.bincount(parts.ravel()) * grid.voxel_mm3
    border = np.zeros(hu.shape, bool)
    border[:, [0, -1]] = border[:, :, [0, -1]] = True
    walls = [p for p in np.unique(parts[border]) if p and sizes[p] > WALL_MM3]
    lungs: npt.NDArray[np.uint8] = (~np.isin(parts, walls)).astype(np.uint8)
    return CTVolume(hu, grid, name), Mask(inside, grid), Mask(lungs, grid)


def _scans(folder: Path) -> Iterator[tuple[CTVolume, Mask, list[Row]]]:
    """Read each annotated scan with its lungs and its rows."""
    with (folder / "annotations.csv").open() as file:
        rows = list(csv.DictReader(file))
    for patient in dict.fromkeys(row["patient"] for row in rows):
        mine = [row for row in rows if row["patient"] == patient]
        studies = find_studies(folder / "ct" / patient).studies
        series = {s.uid: s for study in studies for s in study.series}
        volume = read_series(series[mine[0]["seriesuid"]])
        yield volume, LungSegmenter()(volume), mine


def _jittered(row: Row, size: float, rng: np.random.Generator) -> Candidate:
    """Make a candidate 1 to 2 mm beside the centre that the readers gave."""
    way = rng.normal(size=3)
    way *= rng.uniform(1, 2) / np.linalg.norm(way)
    keys = ("coordX", "coordY", "coordZ")
    x, y, z = (float(row[k]) + w for k, w in zip(keys, way, strict=True))
    return Candidate((x, y, z), size, 0.5)


def _sphere_mm(nodule: Nodule) -> float:
    return float((6 * nodule.volume_mm3 / math.pi) ** (1 / 3))


def _joined(values: list[float]) -> str:
    return " ".join(f"{value:5.1f}" for value in values)


def _default_folder() -> Path:
    return Path(__file__).parents[2] / "shared" / "data"


if __name__ == "__main__":
    main()
