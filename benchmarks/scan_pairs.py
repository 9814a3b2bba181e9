"""Pairs of scans whose truth is known, for `benchmarks/compare.py`.

A real scan, and the same scan moved by a smooth field with other noise on another grid
of voxels; real nodules of other patients are set into both, at other sizes. Phantoms of
one person at two depths of breath.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import SimpleITK as sitk  # noqa: N813
from scipy import ndimage

from hilum.findings import Point
from hilum.phantom import (
    Lesion,
    PhantomSettings,
    Plan,
    grow_lesions,
    make_phantom,
    place_lesions,
)
from hilum.phantom import Truth as Seen
from hilum.phantom.settings import CENTER_MM
from hilum.space import Grid
from hilum.stages.lungs import LungSegmenter
from hilum.training.implants import Implant, insert
from hilum.volume import CTVolume, Mask

Points = npt.NDArray[np.float64]

VOXEL_MM = 1.0
NOISE_HU = 12.0
APART_MM = 26.0
BREATH_MM = 15.0
WAVE_MM = 4.0
GROWTH = (1.0, 1.0, 1.12, 1.26, 1.4, 1.6, 0.8)
"""Diameter at the second scan by that at the first."""


PLANS = (
    ("solid", 5, 7),
    ("solid", 5, 8),
    ("solid", 6, 9),
    ("solid", 6, 9),
    ("solid", 7, 10),
    ("solid", 8, 12),
    ("solid", 8, 14),
    ("solid", 10, 18),
    ("part-solid", 10, 16),
    ("ground-glass", 9, 16),
    ("ground-glass", 12, 18),
    ("solid", 6, 12),
)
"""Kind, and smallest and largest diameter in mm, of the nodules of a phantom."""


@dataclass(frozen=True, slots=True)
class Truth:
    """One nodule in two scans.

    Attributes:
        prior_mm: Where it is in the prior; None: not there.
        current_mm: Where it is in the current scan; None: not there.
        diameters_mm: At the prior and now; of one that is not there, that of the other.
    """

    prior_mm: Point | None
    current_mm: Point | None
    diameters_mm: tuple[float, float]


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """Two scans and what became of the nodules in them."""

    name: str
    prior: CTVolume
    current: CTVolume
    truths: tuple[Truth, ...]
    background: CTVolume | None = None


def phantom_pair(seed: int, *, shape_mm: tuple[float, float] = (2.0, 0.9)) -> Pair:
    """Scan one synthetic person twice, at two depths of breath.

    Of the nodules the last is not in the first scan, the last but one not in the
    second.
    """
    rng = np.random.default_rng([seed, 77])
    slice_mm, pixel_mm = shape_mm
    settings = PhantomSettings(
        seed=seed,
        shape=(round(330 / slice_mm), round(390 / pixel_mm), round(390 / pixel_mm)),
        spacing_mm=(slice_mm, pixel_mm, pixel_mm),
    )
    before = place_lesions(seed, _drawn_plans(rng))
    times = rng.choice(GROWTH, len(before))
    after = grow_lesions(seed, before, [float(t) ** 3 for t in times])
    shift = tuple(float(v) for v in rng.uniform(-12, 12, 3))
    second = replace(
        settings, scan=3, breath_mm=float(rng.uniform(-20, 20)), shift_mm=shift
    )
    prior = make_phantom(settings, before[:-1])
    current = make_phantom(second, (*after[:-2], after[-1]))
    truths = [
        truth
        for old, new, b, a in zip(
            before[:-2], after[:-2], prior.truths[:-1], current.truths[:-1], strict=True
        )
        for truth in truths_of(old, new, b, a)
    ]
    gone, new = prior.truths[-1], current.truths[-1]
    truths.append(Truth(gone.center_mm, None, (gone.diameter_mm,) * 2))
    truths.append(Truth(None, new.center_mm, (new.diameter_mm,) * 2))
    return Pair(f"phantom {seed}", prior.volume, current.volume, tuple(truths))


def truths_of(
    old: Lesion, new: Lesion, seen_before: Seen, seen_now: Seen
) -> tuple[Truth, ...]:
    """Say what became of a lesion that was made to grow.

    One that outgrows the lung is moved; by more than its radius it is no longer what
    was there, but one that went and one that came.

    Args:
        old: In the person at the first scan.
        new: At the second, before any breath.
        seen_before: Where the first scan has it.
        seen_now: Where the second has it.
    """
    sizes = seen_before.diameter_mm, seen_now.diameter_mm
    if math.dist(old.center_mm, new.center_mm) <= max(sizes) / 2:
        return (Truth(seen_before.center_mm, seen_now.center_mm, sizes),)
    return (
        Truth(seen_before.center_mm, None, (sizes[0],) * 2),
        Truth(None, seen_now.center_mm, (sizes[1],) * 2),
    )


@dataclass(frozen=True, slots=True, eq=False)
class Patch:
    """One nodule at two times, each cut out of its scan.

    Attributes:
        name: Of the scan.
        scans: Volume and lungs of the prior and of the current scan.
        centers_mm: Of the nodule in each.
        diameters_mm: Of the nodule in each.
    """

    name: str
    scans: tuple[tuple[CTVolume, Mask], tuple[CTVolume, Mask]]
    centers_mm: tuple[Points, Points]
    diameters_mm: tuple[float, float]


def phantom_patches(seed: int) -> Iterator[Patch]:
    """Scan only what lies around each nodule of a synthetic person, twice."""
    rng = np.random.default_rng([seed, 79])
    before = place_lesions(seed, _drawn_plans(rng))
    times = rng.choice(GROWTH, len(before))
    after = grow_lesions(seed, before, [float(t) ** 3 for t in times])
    slice_mm, pixel_mm = float(rng.choice([1.0, 1.5, 2.5])), 0.75
    shape = (round(70 / slice_mm), 96, 96)
    for old, new in zip(before, after, strict=True):
        scans, centers = [], []
        for number, lesion in enumerate((old, new), start=1):
            shift = np.array(CENTER_MM) - lesion.center_mm + rng.uniform(-3, 3, 3)
            settings = PhantomSettings(
                seed=seed,
                scan=number,
                shape=shape,
                spacing_mm=(slice_mm, pixel_mm, pixel_mm),
                shift_mm=tuple(shift.tolist()),
            )
            phantom = make_phantom(settings, before if number == 1 else after)
            scans.append((phantom.volume, phantom.lungs))
            centers.append(np.array(lesion.center_mm) + shift)
        sizes = (old.diameter_mm, new.diameter_mm)
        yield Patch(
            f"phantom {seed}",
            (scans[0], scans[1]),
            (centers[0], centers[1]),
            sizes,
        )


def real_patches(
    volume: CTVolume, implants: Sequence[Implant], *, seed: int, name: str, count: int
) -> Iterator[Patch]:
    """Set real nodules into places of a real scan, twice: other size, noise, voxels."""
    rng = np.random.default_rng([seed, 80])
    lungs = LungSegmenter()(volume)
    slice_mm = volume.grid.spacing_mm[0]
    reach = np.ceil(45 / np.array(volume.grid.spacing_mm)).astype(int)
    for place in _places(lungs.voxels > 0, volume.grid, rng, count=count):
        first = float(rng.uniform(5, 12))
        sizes = (first, first * float(rng.choice(GROWTH)))
        implant, draws = _fitting(implants, first, rng), int(rng.integers(1 << 31))
        middle = np.rint(volume.grid.to_index(place)).astype(int)
        low = np.maximum(middle - reach, 0)
        high = np.minimum(middle + reach, volume.grid.shape)
        part = volume.crop(tuple(low.tolist()), tuple(high.tolist()))
        fine = part.resample_to(part.grid.regrid((VOXEL_MM,) * 3))
        at = fine.grid.to_index(place)
        scans = []
        for size, grid in zip(
            sizes, (part.grid, _shifted(part.grid, rng)), strict=True
        ):
            hu = _set(fine.hu, at, implant, size, draws, slice_mm)
            if hu is None:
                break
            scan = _scan(volume, hu, fine.grid, grid, rng, "patch")
            index = np.stack(
                np.meshgrid(*map(np.arange, scan.grid.shape), indexing="ij"), -1
            )
            inside = lungs.at(scan.grid.to_world(index))
            scans.append((scan, Mask(inside, scan.grid)))
        if len(scans) == 2:
            yield Patch(name, (scans[0], scans[1]), (place, place), sizes)


def real_pair(
    volume: CTVolume, implants: Sequence[Implant], *, seed: int, name: str
) -> Pair:
    """Warp a real scan and set nodules into it before and after."""
    rng = np.random.default_rng([seed, 78])
    lungs = LungSegmenter()(volume)
    fine = volume.resample_to(volume.grid.regrid((VOXEL_MM,) * 3))
    field = Field.draw(fine.grid, rng)
    warped = field.warp(fine.hu)
    places = _places(lungs.voxels > 0, volume.grid, rng, count=14)
    truths, before, after = [], fine.hu.copy(), warped
    slice_mm = volume.grid.spacing_mm[0]
    for number, place in enumerate(places):
        first = float(rng.uniform(5, 12))
        second = first * float(rng.choice(GROWTH))
        implant = _fitting(implants, first, rng)
        there, now = number not in (5, 10), number not in (6, 11)
        draws = int(rng.integers(1 << 31))
        at = field.moved(place)
        done = []
        for hu, where, size in (
            (before, place, first),
            (after, at, second),
        ):
            out = _set(hu, fine.grid.to_index(where), implant, size, draws, slice_mm)
            done.append(out)
            if out is None:
                break
        if any(out is None for out in done):
            continue
        before = done[0] if there else before  # type: ignore[assignment]
        after = done[1] if now else after  # type: ignore[assignment]
        truths.append(
            Truth(
                tuple(place.tolist()) if there else None,
                tuple(at.tolist()) if now else None,
                (first if there else second, second if now else first),
            )
        )
    other = _shifted(volume.grid, rng)
    return Pair(
        name,
        _scan(volume, before, fine.grid, volume.grid, rng, "prior"),
        _scan(volume, after, fine.grid, other, rng, "current"),
        tuple(truths),
    )


@dataclass(frozen=True, slots=True, eq=False)
class Field:
    """A smooth field: a breath and waves of some 80 mm.

    Attributes:
        grid: Of the cubes that are moved.
        pull_mm: (3, z, y, x) from a point of the second scan to the first, (z, y, x),
            on a coarse grid that covers the fine one.
    """

    grid: Grid
    pull_mm: npt.NDArray[np.float64]

    @classmethod
    def draw(cls, grid: Grid, rng: np.random.Generator) -> Field:
        """Draw a field for one scan."""
        knots = [max(4, round(e / 80)) for e in grid.extent_mm]
        waves = rng.normal(0, WAVE_MM, (3, *knots))
        shape = (24, 24, 24)
        coarse = np.stack(
            [ndimage.zoom(w, np.array(shape) / w.shape, order=3) for w in waves]
        )
        height = np.linspace(0, 1, shape[0])[:, None, None]
        breath = float(rng.uniform(-BREATH_MM, BREATH_MM))
        coarse[0] += breath * (1 - height) + float(rng.uniform(-8, 8))
        return cls(grid, coarse)

    def pull(self, index: Points) -> Points:
        """Give the pull in cubes at (n, 3) indices of the grid."""
        size = np.array(self.grid.shape) - 1
        at = (index / size * (np.array(self.pull_mm.shape[1:]) - 1)).T
        parts = [
            ndimage.map_coordinates(p, at, order=1, mode="nearest")
            for p in self.pull_mm
        ]
        return np.stack(parts, axis=1) / VOXEL_MM

    def moved(self, world: Points) -> Points:
        """Say where a point of the first scan lies in the second."""
        index = self.grid.to_index(world)[None]
        at = index.copy()
        for _ in range(30):
            at = index - self.pull(at)
        return np.asarray(self.grid.to_world(at[0]))

    def warp(self, hu: npt.NDArray[np.int16]) -> npt.NDArray[np.int16]:
        """Move the cubes."""
        pull = np.moveaxis(self.pull_mm[::-1] / VOXEL_MM, 0, -1)  # (x, y, z)
        field = sitk.GetImageFromArray(np.ascontiguousarray(pull), isVector=True)
        steps = [
            (n - 1) / (m - 1) for n, m in zip(hu.shape, pull.shape[:3], strict=True)
        ]
        field.SetSpacing(steps[::-1])
        image = sitk.GetImageFromArray(hu)
        moved = sitk.Resample(
            image,
            image,
            sitk.DisplacementFieldTransform(sitk.Cast(field, sitk.sitkVectorFloat64)),
            sitk.sitkLinear,
            -1000.0,
        )
        return np.asarray(sitk.GetArrayFromImage(moved))


def _drawn_plans(rng: np.random.Generator) -> list[Plan]:
    """Draw the nodules of a phantom."""
    return [
        Plan(
            diameter_mm=float(rng.uniform(low, high)),
            kind=kind,  # type: ignore[arg-type]
            form=str(rng.choice(["round", "lobulated"])),  # type: ignore[arg-type]
        )
        for kind, low, high in PLANS
    ]


def _set(
    hu: npt.NDArray[np.int16],
    center: Points,
    implant: Implant,
    size_mm: float,
    draws: int,
    slice_mm: float,
) -> npt.NDArray[np.int16] | None:
    """Set a nodule into a part of a scan; alike for alike draws."""
    low = np.maximum(np.rint(center).astype(int) - 50, 0)
    high = np.minimum(low + 100, hu.shape)
    box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    part = insert(
        hu[box],
        center - low,
        implant,
        np.random.default_rng(draws),
        diameter_mm=size_mm,
        slice_mm=slice_mm,
    )
    if part is None:
        return None
    out = hu.copy()
    out[box] = part
    return out


def _fitting(
    implants: Sequence[Implant], size_mm: float, rng: np.random.Generator
) -> Implant:
    near = [n for n in implants if 0.75 <= size_mm / n.diameter_mm <= 1.3]
    return near[int(rng.integers(len(near)))]


def _places(
    inside: npt.NDArray[np.bool_], grid: Grid, rng: np.random.Generator, *, count: int
) -> list[Points]:
    """Choose places in the lungs, 6 mm from their border and far from each other."""
    import edt  # noqa: PLC0415

    step = (1, 3, 3)
    coarse = np.ascontiguousarray(inside[:: step[0], :: step[1], :: step[2]])
    spacing = [s * n for s, n in zip(grid.spacing_mm, step, strict=True)]
    depth = edt.edt(coarse, anisotropy=spacing)
    index = np.argwhere(depth > 6) * step
    world = grid.to_world(index)
    chosen: list[Points] = []
    for place in rng.permutation(world)[:20000]:
        if all(math.dist(place, other) > APART_MM for other in chosen):
            chosen.append(place)
        if len(chosen) == count:
            break
    return chosen


def _shifted(grid: Grid, rng: np.random.Generator) -> Grid:
    """Move the voxels of a grid by a part of a voxel."""
    affine = grid.affine.copy()
    affine[:3, 3] = grid.to_world(rng.uniform(0.1, 0.9, 3))
    shape = tuple(n - 1 for n in grid.shape)
    return Grid(shape, affine, None)  # type: ignore[arg-type]


def _scan(
    volume: CTVolume,
    hu: npt.NDArray[np.int16],
    fine: Grid,
    grid: Grid,
    rng: np.random.Generator,
    name: str,
) -> CTVolume:
    """Scan the cubes: on a grid, with noise, without a frame of reference."""
    cubes = CTVolume(hu, replace(fine, frame_uid=None), volume.series_uid)
    scan = cubes.resample_to(replace(grid, frame_uid=None))
    noise = rng.normal(0, NOISE_HU, scan.hu.shape).astype(np.float32)
    noisy = np.clip(scan.hu + noise, -1024, 3071).astype(np.int16)
    return CTVolume(
        noisy,
        scan.grid,
        f"{volume.series_uid}-{name}",
        replace(volume.acquisition, acquired=None, study_uid=None),
    )
