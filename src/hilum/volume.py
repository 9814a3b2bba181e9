"""A CT in Hounsfield units and the masks drawn on it.

Arrays are (slice, row, column) and always stand in canonical order: slices run
closest to the head, rows to the back, columns to the left of the patient. Whoever
has another order passes through `CTVolume.from_array`, which reorders without
resampling. So every stage may take axis 0 for "up" whatever the scanner did.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Self

import numpy as np
import numpy.typing as npt

from hilum._cores import count_cores
from hilum.errors import InputError
from hilum.findings import Notice, Record
from hilum.space import Grid, Index, Spacing

HUArray = npt.NDArray[np.int16]

AIR_HU = -1024
"""Floor of every volume that is read: nothing that was measured lies below."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Acquisition(Record):
    """How the scan was made, as far as the file tells; no identifiers of a person.

    Attributes:
        study_uid: StudyInstanceUID.
        slice_thickness_mm: Collimated or reconstructed thickness; not the spacing.
        kernel: Reconstruction kernel (ConvolutionKernel).
        manufacturer: Manufacturer of the scanner.
        model: Model name of the scanner.
        kvp: Tube voltage in kV.
        contrast: Contrast agent, as written by the scanner.
        patient_position: Such as "HFS" or "FFP".
        body_part: BodyPartExamined.
        description: SeriesDescription.
        acquired: AcquisitionDate, SeriesDate or StudyDate, YYYYMMDD.
        interpolated_slices: How many slices were missing and made up; None: none
            that is known of.
    """

    study_uid: str | None = None
    slice_thickness_mm: float | None = None
    kernel: str | None = None
    manufacturer: str | None = None
    model: str | None = None
    kvp: float | None = None
    contrast: str | None = None
    patient_position: str | None = None
    body_part: str | None = None
    description: str | None = None
    acquired: str | None = None
    interpolated_slices: int | None = None


@dataclass(frozen=True, slots=True, repr=False)
class PatientMark:
    """What tells patients apart within this process, and nowhere else.

    A digest keyed with a random number that is drawn anew in each process: it is
    never written, and says nothing to who reads it.

    Attributes:
        digest: Of the PatientID.
        certain: False where identifiers were removed or replaced, so that one
            patient may have two, and two may have one.
    """

    digest: bytes
    certain: bool


@dataclass(frozen=True, slots=True, eq=False)
class CTVolume:
    """A chest CT.

    Attributes:
        hu: (slice, row, column) int16, Hounsfield units, rescale applied.
        grid: Where the voxels are; canonical.
        series_uid: SeriesInstanceUID, or a name where there is none.
        acquisition: How the scan was made.
        notices: Doubts and repairs of reading it.
        patient: What tells patients apart, in memory only; None: not known.

    Raises:
        InputError: The array is not int16 or disagrees with the grid on shape,
            or the grid is not canonical.
    """

    hu: HUArray
    grid: Grid
    series_uid: str
    acquisition: Acquisition = Acquisition()
    notices: tuple[Notice, ...] = ()
    patient: PatientMark | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        """Refuse an array that does not fill the grid, or lies on its side."""
        if self.hu.shape != self.grid.shape:
            raise InputError(
                f"Volume has shape {self.hu.shape}, its grid {self.grid.shape}."
            )
        if self.hu.dtype != np.int16:
            raise InputError(
                f"Volume must be int16 HU; got {self.hu.dtype}. "
                "Round and clip it first, or use CTVolume.from_array."
            )
        if not self.grid.is_canonical:
            raise InputError(
                "Volume axes must run closest to head, back and left; got "
                f"{self.grid.canonical_axes()}. Use CTVolume.from_array to reorder."
            )

    @classmethod
    def from_array(
        cls,
        hu: npt.NDArray[np.number],
        grid: Grid,
        series_uid: str,
        *,
        acquisition: Acquisition | None = None,
        notices: tuple[Notice, ...] = (),
    ) -> Self:
        """Make a volume from an array of any number type and axis order.

        Args:
            hu: (slice, row, column) on `grid`, Hounsfield units; goes through
                `to_int16`.
            grid: Where the voxels are, in any axis order.
            series_uid: SeriesInstanceUID, or a name where there is none.
            acquisition: How the scan was made.
            notices: Doubts and repairs of reading it.

        Raises:
            InputError: The array and the grid disagree on shape.
        """
        if hu.shape != grid.shape:
            raise InputError(f"Volume has shape {hu.shape}, its grid {grid.shape}.")
        order, flips = grid.canonical_axes()
        steps = tuple(slice(None, None, -1 if flip else 1) for flip in flips)
        turned = hu.transpose(order)[steps]
        return cls(
            np.ascontiguousarray(to_int16(turned)),
            grid.to_canonical(),
            series_uid,
            acquisition or Acquisition(),
            notices,
        )

    def crop(self, start: Index, stop: Index) -> CTVolume:
        """Keep a box of voxels, where they are in the patient; shares memory.

        Args:
            start: First voxel (slice, row, column) that is kept.
            stop: First voxel (slice, row, column) that is not.

        Raises:
            InputError: The box is empty or leaves the volume.
        """
        grid = self.grid.crop(start, stop)
        box = tuple(slice(a, b) for a, b in zip(start, stop, strict=True))
        return replace(self, hu=self.hu[box], grid=grid)

    def resample_to(self, grid: Grid, *, outside_hu: int = AIR_HU) -> CTVolume:
        """Interpolate on another grid, trilinearly.

        Points within half a voxel of the edge take the edge's value. Going to
        much larger voxels does not average: use `shrink` for that.

        Args:
            grid: Where the new voxels are; canonical.
            outside_hu: Value of voxels outside this volume.

        Raises:
            InputError: The two grids have known, different frames of reference.
        """
        frames = {self.grid.frame_uid, grid.frame_uid} - {None}
        if len(frames) > 1:
            raise InputError(
                "Cannot resample from one frame of reference to another: "
                f"{' and '.join(sorted(map(str, frames)))}. Register them first."
            )
        hu = resample(self.hu, self.grid.index_map_from(grid), grid.shape, outside_hu)
        return replace(self, hu=hu, grid=grid)

    def shrink(self, spacing_mm: Spacing) -> CTVolume:
        """Average whole blocks of voxels, to come near a coarser spacing.

        Args:
            spacing_mm: Wanted spacing along (slice, row, column). Each block is
                the largest whole number of voxels that does not exceed it; the
                voxels left over at the far edges are dropped.
        """
        factors = [
            max(1, min(n, int(want / have + 1e-6)))
            for n, want, have in zip(
                self.grid.shape, spacing_mm, self.grid.spacing_mm, strict=True
            )
        ]
        if factors == [1, 1, 1]:
            return self
        z, y, x = (n // f for n, f in zip(self.grid.shape, factors, strict=True))
        affine = self.grid.affine.copy()
        affine[:3, :3] = self.grid.affine[:3, :3] * factors
        affine[:3, 3] = self.grid.to_world([(f - 1) / 2 for f in factors])
        grid = Grid((z, y, x), affine, self.grid.frame_uid)
        return replace(self, hu=block_mean(self.hu, factors, grid.shape), grid=grid)

    def window(self, *, level_hu: float, width_hu: float) -> npt.NDArray[np.uint8]:
        """Map a Hounsfield window to grey values.

        Args:
            level_hu: Centre of the window.
            width_hu: Width of the window, > 0.

        Returns:
            (slice, row, column) uint8, 0 below the window and 255 above it.
        """
        return apply_window(self.hu, level_hu=level_hu, width_hu=width_hu)


@dataclass(frozen=True, slots=True, eq=False)
class Mask:
    """Voxels that belong to something, on the grid of the volume they came from.

    Attributes:
        voxels: (slice, row, column) bool or uint8 labels, 0 for background.
        grid: Where the voxels are.

    Raises:
        InputError: The array and the grid disagree on shape, or the array is
            neither bool nor uint8.
    """

    voxels: npt.NDArray[np.bool_] | npt.NDArray[np.uint8]
    grid: Grid

    def __post_init__(self) -> None:
        """Refuse an array that does not fill the grid."""
        if self.voxels.shape != self.grid.shape:
            raise InputError(
                f"Mask has shape {self.voxels.shape}, its grid {self.grid.shape}."
            )
        if self.voxels.dtype not in (np.bool_, np.uint8):
            raise InputError(
                f"Mask must be bool or uint8 labels; got {self.voxels.dtype}."
            )

    @property
    def volume_mm3(self) -> float:
        """Volume of all labels together."""
        return float(np.count_nonzero(self.voxels) * self.grid.voxel_mm3)

    def at(self, world: npt.ArrayLike) -> npt.NDArray[np.uint8]:
        """Read the label at points; 0 outside the grid.

        Args:
            world: (..., 3) points (x, y, z) in mm.

        Returns:
            (...) uint8.
        """
        index = np.rint(self.grid.to_index(world)).astype(int)
        inside = self.grid.contains(world)
        z, y, x = np.moveaxis(np.where(inside[..., None], index, 0), -1, 0)
        return np.where(inside, self.voxels[z, y, x], 0).astype(np.uint8)


def apply_window(
    hu: npt.NDArray[np.number], *, level_hu: float, width_hu: float
) -> npt.NDArray[np.uint8]:
    """Map a Hounsfield window to grey values.

    Computes `255 * clip((hu - level_hu) / width_hu + 0.5, 0, 1)`, rounded.

    Args:
        hu: Any shape, HU.
        level_hu: Centre of the window.
        width_hu: Width of the window, > 0.

    Returns:
        uint8 of the same shape.

    Raises:
        InputError: The width is not > 0.

    Source:
        DICOM PS3.3 C.11.2.1.3.2 (LINEAR_EXACT).
    """
    if not width_hu > 0:
        raise InputError(f"Window width must be > 0 HU; got {width_hu}.")
    grey = (np.asarray(hu, dtype=np.float32) - level_hu) / width_hu + 0.5
    return np.asarray(np.rint(np.clip(grey, 0, 1) * 255), dtype=np.uint8)


def to_int16(hu: npt.NDArray[np.number]) -> HUArray:
    """Round Hounsfield units and clip them to -1024 ... 32767; NaN becomes air.

    Scanners fill what they did not measure with anything from -1025 to -32768;
    below -1024 there is nothing that a tissue could be, so all of it is air.

    Args:
        hu: Any shape and number type.

    Returns:
        int16 of the same shape; the same array when there is nothing to change.
    """
    if np.issubdtype(hu.dtype, np.floating):
        hu = np.rint(np.nan_to_num(hu, nan=AIR_HU, posinf=32767, neginf=AIR_HU))
    if hu.dtype == np.int16 and (hu.size == 0 or hu.min() >= AIR_HU):
        return np.asarray(hu, dtype=np.int16)
    low, high = AIR_HU, 32767
    if hu.dtype.kind in "iu":  # within the type, so that nothing wider is allocated
        limits = np.iinfo(hu.dtype.name)
        low, high = max(low, int(limits.min)), min(high, int(limits.max))
    return np.asarray(np.clip(hu, low, high), dtype=np.int16)


def resample(
    hu: HUArray, index_map: npt.NDArray[np.float64], shape: Index, outside_hu: int
) -> HUArray:
    """Interpolate trilinearly through an index map, on all cores.

    Args:
        hu: (slice, row, column) int16.
        index_map: (4, 4), indices of the result to indices of `hu`.
        shape: Of the result.
        outside_hu: Value where the map leaves `hu` by more than half a voxel.

    Returns:
        int16 of `shape`.
    """
    from hilum import _kernels  # noqa: PLC0415  numba is slow to import

    out = np.empty(shape, np.int16)
    work = np.ascontiguousarray(hu)
    matrix = np.ascontiguousarray(index_map[:3, :3])
    scale, offset = matrix.diagonal().copy(), index_map[:3, 3].copy()
    # what is off the diagonal moves the far corner by less than a millivoxel
    aligned = np.abs((matrix - np.diag(scale)) @ np.array(shape)).max() < 1e-3

    def part(first: int, last: int) -> None:
        if aligned:
            _kernels.trilinear_aligned(
                work, scale, offset, out, first, last, outside_hu
            )
        else:
            _kernels.trilinear(
                work, np.ascontiguousarray(index_map), out, first, last, outside_hu
            )

    in_threads(part, shape[0])
    return out


def block_mean(hu: HUArray, factors: list[int], shape: Index) -> HUArray:
    """Average blocks of voxels, on all cores.

    Args:
        hu: (slice, row, column) int16.
        factors: Voxels a block along (slice, row, column).
        shape: Of the result, in blocks.

    Returns:
        int16 of `shape`, rounded to nearest.
    """
    from hilum._kernels import mean_of_blocks  # noqa: PLC0415  numba is slow to import

    out = np.empty(shape, np.int16)
    z, y, x = factors

    def part(first: int, last: int) -> None:
        mean_of_blocks(hu, z, y, x, out, first, last)

    in_threads(part, shape[0])
    return out


def in_threads(part: Callable[[int, int], None], count: int) -> None:
    """Run `part(first, last)` over ranges that together cover `range(count)`.

    Args:
        part: Called with each range; releases the GIL, so that threads help.
        count: How many items there are.
    """
    workers = max(1, min(count, count_cores()))
    edges = np.linspace(0, count, workers + 1).astype(int).tolist()
    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(part, edges[:-1], edges[1:]))
