"""Scan a synthetic chest: from settings and lesions to a CT with known truth."""

from __future__ import annotations

import math
import uuid
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from hilum._threads import in_threads
from hilum.phantom.anatomy import (
    FIELDS,
    LAYERS,
    START_MM,
    STEP_MM,
    Anatomy,
)
from hilum.phantom.bones import skeleton
from hilum.phantom.breathing import breath_shift, breathing_anatomy
from hilum.phantom.lesions import Body, Lesion, Truth
from hilum.phantom.lobes import fissure_waves
from hilum.phantom.noise import Reconstruction
from hilum.phantom.person import Person
from hilum.phantom.settings import PhantomSettings
from hilum.phantom.tubes import KINDS, Tubes
from hilum.phantom.vessels import lung_trees
from hilum.volume import Acquisition, CTVolume, Mask

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]

FINE_TEXTURE_HU = 26.0
COARSE_TEXTURE_HU = 13.0
KERNEL_NAMES = {"soft": "PHANTOM-B30", "sharp": "PHANTOM-B60"}
BLOOD_KINDS = ("blood", "vessel")


@dataclass(frozen=True, slots=True, eq=False)
class Phantom:
    """A scan of a synthetic chest and all that is known about it.

    Attributes:
        settings: How it was made.
        volume: The CT.
        lungs: 1 in the right lung, 2 in the left, 0 elsewhere; vessels and
            lesions inside the lungs belong to them.
        truths: The lesions, in the order in which they were given.
    """

    settings: PhantomSettings
    volume: CTVolume
    lungs: Mask
    truths: tuple[Truth, ...]


def make_phantom(
    settings: PhantomSettings | None = None,
    lesions: tuple[Lesion, ...] | None = None,
) -> Phantom:
    """Scan a synthetic chest.

    Args:
        settings: Who and how; None for the defaults.
        lesions: What to put in; None for a set of mixed kinds that depends on
            the seed alone, () for healthy lungs.

    Example:
        >>> small = PhantomSettings(shape=(4, 32, 32), spacing_mm=(60, 12, 12))
        >>> make_phantom(small, ()).volume.hu.shape
        (4, 32, 32)
    """
    settings = settings or PhantomSettings()
    if lesions is None:
        from hilum.phantom.placing import default_lesions  # noqa: PLC0415  is above

        lesions = default_lesions(settings.seed)
    painter = Painter.of(settings, where := _moved(settings, lesions))
    hu = np.empty(settings.shape, np.int16)
    side = np.zeros(settings.shape, np.uint8)

    def part(first: int, last: int) -> None:
        for number in range(first, last):
            hu[number] = painter.slice(number, side[number])

    in_threads(part, settings.shape[0])
    grid = replace(settings.grid, frame_uid=uid_of("frame", *settings.visit))
    volume = CTVolume(
        hu,
        grid,
        uid_of("series", settings, lesions),
        Acquisition(
            study_uid=uid_of("study", *settings.visit),
            slice_thickness_mm=settings.thickness_mm,
            kernel=KERNEL_NAMES[settings.kernel],
            manufacturer="hilum",
            model="synthetic chest",
            kvp=120.0,
            patient_position="HFS",
            body_part="CHEST",
            description=f"Synthetic chest, {settings.kernel} kernel",
            acquired=settings.acquired,
        ),
    )
    truths = tuple(n.truth(settings.shift_mm) for n in where)
    return Phantom(settings, volume, Mask(side, grid), truths)


def uid_of(*parts: object) -> str:
    """Give the UID that stands for some values, always the same.

    Source:
        DICOM PS3.5 B.2: a UUID as decimal number under 2.25.
    """
    return f"2.25.{uuid.uuid5(uuid.NAMESPACE_OID, 'hilum ' + repr(parts)).int}"


@dataclass(frozen=True, slots=True, eq=False)
class Painter:
    """Everything that a thread needs to make any slice.

    Attributes:
        settings: Of the scan.
        anatomy: Organs.
        scene: The organs as `_render_kernels.paint_organs` takes them.
        tubes: Bones, vessels, airways and spicules, in the world.
        reach: (n, 2) first and last slice that each tube touches.
        bodies: Of the lesions, in the world.
        reconstruction: Sharpness and noise.
    """

    settings: PhantomSettings
    anatomy: Anatomy
    scene: tuple[npt.NDArray[Any], ...]
    tubes: Tubes
    reach: Doubles
    bodies: tuple[Body, ...]
    reconstruction: Reconstruction

    @classmethod
    def of(cls, settings: PhantomSettings, lesions: tuple[Lesion, ...]) -> Painter:
        """Prepare a scan."""
        person = Person.from_seed(settings.seed)
        anatomy = breathing_anatomy(person, settings.breath_mm)
        parts = [_trees(person, settings.breath_mm), skeleton(anatomy)]
        parts += [_inside(anatomy, lesion.spicules()) for lesion in lesions]
        tubes = Tubes.join(parts).moved(settings.shift_mm)
        grid = settings.grid
        ends = grid.to_index(tubes.data[:, :6].reshape(-1, 2, 3))[..., 0]
        margin = tubes.data[:, 6:8].max(axis=1) / math.cos(
            math.radians(settings.tilt_deg)
        ) + 0.5 * _height(settings)
        margin = margin / settings.spacing_mm[0]
        reach = np.stack([ends.min(1) - margin, ends.max(1) + margin], axis=1)
        return cls(
            settings,
            anatomy,
            _scene(anatomy, settings),
            tubes,
            reach,
            tuple(body for lesion in lesions for body in lesion.bodies()),
            Reconstruction.of(settings),
        )

    def slice(self, number: int, side: npt.NDArray[np.uint8]) -> npt.NDArray[np.int16]:
        """Make one slice, and mark the lungs in `side`."""
        true = self._organs(number, side)
        self._add_tubes(number, true)
        self._add_lesions(number, true)
        hu = self.reconstruction(true, number)
        return np.asarray(np.clip(np.rint(hu), -1024, 3071), dtype=np.int16)

    def _frame(self, number: int) -> Doubles:
        """World of (thickness, row, column, 1) of one slice."""
        affine = self.settings.grid.affine
        frame = affine[:3].copy()
        frame[:, 0] = (0, 0, _height(self.settings))
        frame[:, 3] = affine[:3, 3] + number * affine[:3, 0]
        return np.ascontiguousarray(frame)

    def _organs(self, number: int, side: npt.NDArray[np.uint8]) -> Floats:
        from hilum.phantom._render_kernels import paint_organs  # noqa: PLC0415

        settings = self.settings
        out = np.zeros(settings.shape[1:], np.float32)
        planes = max(1, math.ceil(_height(settings) / 2 - 1e-6))
        box = np.array([_height(settings) / planes, *settings.spacing_mm[1:]])
        frame = self._frame(number)
        nowhere = np.empty((0, 0), np.uint8)
        for plane in range(planes):
            place = self._place(frame, (plane + 0.5) / planes - 0.5)
            marks = side if plane == planes // 2 else nowhere
            paint_organs(self.scene, place, box, out, marks, 1 / planes)
        return out

    def _place(self, frame: Doubles, level: float) -> Doubles:
        """Coarse index of (row, column, 1), and mm per step, for (z, y, x)."""
        origin = frame[:, 3] + level * frame[:, 0] - self.settings.shift_mm
        step, start = self.anatomy.step_mm, self.anatomy.start_mm
        rows = np.stack([frame[::-1, 1], frame[::-1, 2], origin[::-1] - start], 1)
        return np.column_stack([rows / step[:, None], step])

    def _add_tubes(self, number: int, true: Floats) -> None:
        from hilum.phantom._render_kernels import blend  # noqa: PLC0415  numba
        from hilum.phantom._tube_kernels import cover_with_tubes  # noqa: PLC0415

        frame = self._frame(number)
        cuts = _cuts(self.settings, 0.75, 3)
        cover = np.zeros_like(true)
        near = (self.reach[:, 0] <= number) & (self.reach[:, 1] >= number)
        for kind, (name, hu, brightens) in enumerate(KINDS):
            which = np.flatnonzero(near & (self.tubes.kind == kind))
            if not len(which):
                continue
            if name in BLOOD_KINDS:
                hu = self.settings.blood_hu
            cover_with_tubes(self.tubes.data, which, frame, cuts, cover)
            blend(true, cover, float(hu), brightens)

    def _add_lesions(self, number: int, true: Floats) -> None:
        from hilum.phantom._lesion_kernels import cover_with_body  # noqa: PLC0415
        from hilum.phantom._render_kernels import blend  # noqa: PLC0415  numba

        frame = self._frame(number)
        cuts = _cuts(self.settings, 0.4, 5)
        cover = np.zeros_like(true)
        for body in self.bodies:
            packed = body.packed(self.settings.shift_mm)
            if cover_with_body(packed, body.shape.bumps, frame, cuts, cover):
                blend(true, cover, body.hu, True)


def _height(settings: PhantomSettings) -> float:
    """Thickness of a slice along the table."""
    return settings.thickness_mm / math.cos(math.radians(settings.tilt_deg))


def _margin(settings: PhantomSettings) -> float:
    """How far from a border a voxel can still see it."""
    return 0.5 * (sum(settings.spacing_mm[1:]) + min(_height(settings), 2.0))


def _cuts(
    settings: PhantomSettings, fine_mm: float, most: int
) -> npt.NDArray[np.int64]:
    """How often to sample a voxel along (slice, row, column)."""
    box = np.array([_height(settings), *settings.spacing_mm[1:]])
    return np.asarray(np.clip(np.ceil(box / fine_mm), 2, most), dtype=np.int64)


def _layers(settings: PhantomSettings) -> Doubles:
    blood = {"heart": settings.blood_hu}
    return np.array(
        [(FIELDS.index(f), offset, blood.get(f, hu)) for f, offset, hu in LAYERS],
        dtype=np.float64,
    )


def _scene(anatomy: Anatomy, settings: PhantomSettings) -> tuple[npt.NDArray[Any], ...]:
    """Fields, cells, layers, lung tissue, fissures and noise tile."""
    person = anatomy.person
    lung = [person.lung_hu, person.gravity_hu, FINE_TEXTURE_HU, COARSE_TEXTURE_HU]
    lung += [*START_MM, STEP_MM, STEP_MM, STEP_MM]
    return (
        anatomy.fields,
        _cells(person, settings.breath_mm, _margin(settings), settings.couch),
        _layers(settings),
        np.array(lung),
        fissure_waves(person),
        texture_tile(),
    )


@lru_cache(maxsize=1)
def _cells(
    person: Person, breath_mm: float, margin_mm: float, couch: bool
) -> npt.NDArray[np.int32]:
    """Sort the cells of the coarse grid once for scans of one person."""
    from hilum.phantom._render_kernels import sort_cells  # noqa: PLC0415  numba

    fields = breathing_anatomy(person, breath_mm).fields
    cells = np.empty((*(n - 1 for n in fields.shape[1:]), 2), np.int32)
    layers = np.array([(FIELDS.index(f), offset) for f, offset, _ in LAYERS])
    if not couch:
        layers = layers[[f != "couch" for f, _, _ in LAYERS]]

    def part(first: int, last: int) -> None:
        sort_cells(fields, layers, margin_mm, cells, first, last)

    in_threads(part, cells.shape[0])
    return cells


def _trees(person: Person, breath_mm: float) -> Tubes:
    """Give vessels and airways where a breath has them."""
    trees = lung_trees(person)
    if breath_mm == 0:
        return trees
    data = trees.data.copy()
    for ends in (slice(0, 3), slice(3, 6)):
        data[:, ends] += breath_shift(person, data[:, ends], breath_mm)
    return Tubes(trees.kind, data)


def _moved(
    settings: PhantomSettings, lesions: tuple[Lesion, ...]
) -> tuple[Lesion, ...]:
    """Give lesions where a breath has them, their shape unchanged."""
    if settings.breath_mm == 0:
        return lesions
    person = Person.from_seed(settings.seed)
    shifts = [breath_shift(person, n.center_mm, settings.breath_mm) for n in lesions]
    at = [np.add(n.center_mm, s).tolist() for n, s in zip(lesions, shifts, strict=True)]
    return tuple(
        replace(n, center_mm=(x, y, z))
        for n, (x, y, z) in zip(lesions, at, strict=True)
    )


def _inside(anatomy: Anatomy, spicules: Tubes) -> Tubes:
    """Keep the spicules that end in the lung."""
    ends = spicules.data[:, 3:6]
    keep = anatomy.at("lung", ends) < 0.5
    return Tubes(spicules.kind[keep], spicules.data[keep])


@lru_cache(maxsize=1)
def texture_tile() -> Floats:
    """Make 64^3 periodic noise of deviation 1, smooth over about a node."""
    rng = np.random.default_rng(20240601)
    spectrum = np.fft.fftn(rng.standard_normal((64, 64, 64)))
    f2 = sum(
        np.square(np.fft.fftfreq(64)).reshape([-1 if a == b else 1 for b in range(3)])
        for a in range(3)
    )
    noise = np.fft.ifftn(spectrum * np.exp(-f2 / (2 * 0.16**2))).real
    return np.asarray(noise / noise.std(), dtype=np.float32)
