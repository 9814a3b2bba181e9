"""How far measured sizes are from those of LIDC readers, beside one reader's distance.

A reader's nodule is what lies within the lines, without the pixels under them: by the
rules of LIDC the line runs through the first pixels that are no longer nodule. Each
reader, and the measurement, is compared with the mean of the other readers.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from hilum.datasets.lidc import Reading, _filled, _groups, read_lidc
from hilum.findings import Candidate, Nodule
from hilum.space import Grid
from hilum.stages.measure import NoduleMeasurer
from hilum.stages.measure.size import axes_in_plane
from hilum.volume import CTVolume, Mask

Sizes = npt.NDArray[np.float64]
Patch = Callable[[Path, str], tuple[CTVolume, Mask, Mask]]


@dataclass(frozen=True, slots=True, eq=False)
class Read:
    """What the readers of one nodule included.

    Attributes:
        sphere_mm: (readers,) diameters of the spheres of equal volume.
        axis_mm: (readers,) means of long and short axis.
        z_mm: Height of its middle.
    """

    sphere_mm: Sizes
    axis_mm: Sizes
    z_mm: float


def readers_table(folder: Path, patch: Patch, every: int) -> None:
    """Measure the patches of every so manieth patient, and print how far off.

    Args:
        folder: With `nodules` and `labels`.
        patch: Reads one: volume, readers' mask and lungs.
        every: Patients whose number this divides.
    """
    readings = read_lidc(folder / "labels" / "lidc-xml.zip")
    with (folder / "nodules" / "nodules.csv").open() as file:
        rows = [
            r for r in csv.DictReader(file) if int(r["patient_id"][-4:]) % every == 0
        ]
    rng = np.random.default_rng(0)
    found: list[tuple[Read, Nodule]] = []
    for row in rows:
        volume, mask, lungs = patch(folder / "nodules", row["file"])
        size = (6 * mask.volume_mm3 / math.pi) ** (1 / 3)
        read = _matched(readings.get(row["seriesuid"]), row, size, volume.grid)
        middle = volume.grid.to_world(np.argwhere(mask.voxels).mean(axis=0))
        way = rng.normal(size=3)
        way *= rng.uniform(0.5, 1.5) / np.linalg.norm(way)
        wide = max(3.0, size * float(rng.choice([0.85, 1.2])))
        candidate = Candidate(tuple((middle + way).tolist()), wide, 0.5)
        nodule = NoduleMeasurer()(volume, (candidate,), lungs)[0]
        if read is not None:
            found.append((read, nodule))
    _print_held(found)
    _print_beside(found)


def _print_held(found: list[tuple[Read, Nodule]]) -> None:
    held = [
        (
            abs(n.diameter_mm - r.axis_mm.mean()) <= (n.diameter_error_mm or 0),
            abs(n.volume_mm3 - (math.pi / 6 * r.sphere_mm**3).mean())
            <= (n.volume_error_mm3 or 0),
        )
        for r, n in found
    ]
    wide = np.median([(n.diameter_error_mm or 0) / n.diameter_mm for _, n in found])
    mm, mm3 = 100 * np.mean(held, axis=0)
    print(
        f"{len(found)} nodules: readers' mean within the 95 % interval, diameter "
        f"{mm:.0f} %, volume {mm3:.0f} %; half-width {100 * wide:.0f} % of the diameter"
    )


def _print_beside(found: list[tuple[Read, Nodule]]) -> None:
    print("against the mean of the other readers, where three or more outlined it")
    for name in ("sphere of equal volume", "mean of the axes", "volume"):
        ours, theirs = [], []
        for read, nodule in found:
            sizes = read.axis_mm if name == "mean of the axes" else read.sphere_mm
            mine = nodule.diameter_mm
            if name != "mean of the axes":
                mine = (6 * nodule.volume_mm3 / math.pi) ** (1 / 3)
            if name == "volume":
                sizes, mine = sizes**3, mine**3
            for n in range(len(sizes) if len(sizes) > 2 else 0):
                others = float(np.delete(sizes, n).mean())
                ours.append(mine / others - 1)
                theirs.append(sizes[n] / others - 1)
        for who, off in (("measured", ours), ("one reader", theirs)):
            low, high = 100 * np.percentile(off, (5, 95))
            print(
                f"  {name:23}{who:11} median {100 * np.median(off):+.1f} %, median "
                f"absolute {100 * np.median(np.abs(off)):.1f} %, 5 to 95 %: "
                f"{low:+.0f} to {high:+.0f} %"
            )


def _matched(
    reading: Reading | None, row: dict[str, str], size_mm: float, like: Grid
) -> Read | None:
    """Find the nodule of a row among what was outlined in its series."""
    if reading is None:
        return None
    height = float(row["coordZ"])
    near = [
        read
        for read in _reads(reading, like)
        if abs(read.z_mm - height) <= max(2 * like.spacing_mm[0], 3.0)
    ]

    def unlike(read: Read) -> float:
        return abs(math.log(read.sphere_mm.mean() / size_mm))

    best = min(near, key=unlike, default=None)
    return best if best is not None and unlike(best) < 0.4 else None


def _reads(reading: Reading, like: Grid) -> Iterator[Read]:
    """Give the nodules of a series, on a grid that starts at the lowest outline."""
    heights = [o.z_mm for mark in reading.marks for o in mark.outlines]
    depth, row, column = like.spacing_mm
    count = round((max(heights) - min(heights)) / depth) + 3
    grid = Grid.axial(
        (count, 600, 600),
        (depth, row, column),
        origin_mm=(0.0, 0.0, min(heights) - depth),
    )
    drawn = [
        (mark, voxels)
        for mark in reading.marks
        if mark.kind == "nodule" and len(voxels := _filled(mark, grid))
    ]
    for group in _groups(drawn):
        by_reader: dict[int, list[npt.NDArray[np.int64]]] = {}
        for mark, voxels in group:
            by_reader.setdefault(mark.reader, []).append(voxels)
        each = [np.unique(np.concatenate(v), axis=0) for v in by_reader.values()]
        volumes = np.array([len(v) for v in each]) * grid.voxel_mm3
        middle = np.concatenate(each).mean(axis=0)
        yield Read(
            (6 * volumes / math.pi) ** (1 / 3),
            np.array([_mean_axis(v, (row, column)) for v in each]),
            float(grid.to_world(middle)[2]),
        )


def _mean_axis(voxels: npt.NDArray[np.int64], plane_mm: tuple[float, float]) -> float:
    """Measure on the slice with the most voxels, as the stage does."""
    slices, counts = np.unique(voxels[:, 0], return_counts=True)
    cells = voxels[voxels[:, 0] == slices[counts.argmax()]][:, 1:]
    cells = cells - cells.min(axis=0) + 2
    field = np.full(cells.max(axis=0) + 3, -0.5, np.float32)
    field[tuple(cells.T)] = 0.5
    return sum(axes_in_plane(field, plane_mm)) / 2
