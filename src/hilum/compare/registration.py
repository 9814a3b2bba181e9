"""Where a point of the current scan lies in the prior.

Only the lungs are looked at: their density, brought to the same mean, on cubes of a
few millimetres, and one constant outside, so that their borders and their vessels pull
and ribs and diaphragm, along which they slide, do not. First an affine map, then a
smooth field by symmetric demons, coarse and then fine. The same scans give the same
map, whatever the number of cores.

Sources:
    Vercauteren et al., "Non-parametric diffeomorphic image registration with the
    demons algorithm", MICCAI 2007 (as SimpleITK's fast symmetric forces demons).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from hilum.errors import InputError
from hilum.space import FloatArray, Grid
from hilum.volume import CTVolume, Mask

LUNG_HU = -850
"""What the median of each lung is brought to."""

MARGIN_MM = 15.0
OUTSIDE_HU = 0
LEAST_LITRES = 0.1
WORK_UNITS = 4
"""Sums are made in so many parts, whatever the cores: the same scans, the same map."""

_MIDDLE = (2.0, 98.0)
_INVERTED_STEPS = 25

Float32Array = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Lungs:
    """The lungs of one scan on cubes.

    Attributes:
        hu: (z, y, x) float32, `OUTSIDE_HU` outside the lungs.
        share: (z, y, x) float32, how much of each cube is lung.
        grid: Where the cubes are; along the axes of the world.
        box_mm: (2, 3) where the middle 96 % of the lungs begin and end (x, y, z).
    """

    hu: Float32Array
    share: Float32Array
    grid: Grid
    box_mm: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class Registration:
    """A map from points of the current scan to points of the prior.

    A point p goes to affine(p + shift(p)).

    Attributes:
        affine: (4, 4), world to world.
        shift_mm: (z, y, x, 3) shifts (x, y, z), on `grid`.
        grid: Of the shifts; beyond it the nearest shift holds.
        current: Lungs of the current scan.
        warped: Those of the prior, brought onto the cubes of the current.
    """

    affine: FloatArray
    shift_mm: Float32Array
    grid: Grid
    current: Lungs
    warped: Lungs

    def to_prior(self, points: npt.ArrayLike) -> FloatArray:
        """Map points (..., 3) of the current scan, in mm, to the prior."""
        points = np.asarray(points, dtype=np.float64)
        moved = points + self._shift(points)
        return np.asarray(moved @ self.affine[:3, :3].T + self.affine[:3, 3])

    def to_current(self, points: npt.ArrayLike) -> FloatArray:
        """Map points (..., 3) of the prior, in mm, to the current scan."""
        points = np.asarray(points, dtype=np.float64)
        inverse = np.linalg.inv(self.affine)
        target = points @ inverse[:3, :3].T + inverse[:3, 3]
        found = target
        for _ in range(_INVERTED_STEPS):
            found = target - self._shift(found)
        return np.asarray(found)

    def _shift(self, points: FloatArray) -> FloatArray:
        from scipy.ndimage import map_coordinates  # noqa: PLC0415  slow to import

        at = self.grid.to_index(points).reshape(-1, 3).T
        parts = [
            map_coordinates(
                self.shift_mm[..., axis], at, np.float64, order=1, mode="nearest"
            )
            for axis in range(3)
        ]
        return np.stack(parts, axis=1).reshape(points.shape)


@dataclass(frozen=True, slots=True, kw_only=True)
class Register:
    """Bring the lungs of two scans onto each other.

    Attributes:
        voxel_mm: Edge of the cubes that it works on.
        coarse_steps: Steps of the demons on cubes of twice that edge.
        fine_steps: Steps on the cubes themselves.
        smooth: How smooth the field is: deviation of a Gaussian, in cubes.

    Raises:
        InputError: The cubes are not between 2 and 8 mm, or there are no steps.
    """

    voxel_mm: float = 3.5
    coarse_steps: int = 50
    fine_steps: int = 30
    smooth: float = 1.5

    def __post_init__(self) -> None:
        """Refuse cubes that would take minutes, or show no vessels."""
        if not 2 <= self.voxel_mm <= 8:
            raise InputError(
                f"Scans are registered on cubes of 2 to 8 mm; got {self.voxel_mm} mm."
            )
        if min(self.coarse_steps, self.fine_steps) < 1 or not self.smooth > 0:
            raise InputError(
                "Registration needs at least one step at each scale, and a field that "
                f"is smooth; got {self.coarse_steps}, {self.fine_steps} and "
                f"{self.smooth}."
            )

    def __call__(
        self, current: tuple[CTVolume, Mask], prior: tuple[CTVolume, Mask]
    ) -> Registration:
        """Map the current scan to the prior.

        Args:
            current: The scan and its lungs.
            prior: Likewise.

        Raises:
            InputError: One of them shows no lungs.
        """
        here = _lungs_on_cubes(*current, voxel_mm=self.voxel_mm, which="current scan")
        there = _lungs_on_cubes(*prior, voxel_mm=self.voxel_mm, which="prior")
        fixed = _image(here.hu, here.grid)
        affine = _find_affine(fixed, _image(there.hu, there.grid), here, there)
        moved = _through(affine, there.hu, there.grid, fixed)
        field = self._find_field(fixed, moved)
        shift_mm = _array(field).astype(np.float32)
        warped = Lungs(
            _array(_warp(moved, field, float(OUTSIDE_HU))),
            _array(_warp(_through(affine, there.share, there.grid, fixed), field, 0.0)),
            here.grid,
            there.box_mm,
        )
        return Registration(_matrix(affine), shift_mm, here.grid, here, warped)

    def _find_field(self, fixed: Any, moved: Any) -> Any:
        """Find the field on cubes of twice the edge, and go on from it."""
        import SimpleITK as sitk  # noqa: N813, PLC0415  slow to import

        coarse = [
            sitk.Shrink(sitk.SmoothingRecursiveGaussian(i, self.voxel_mm), [2] * 3)
            for i in (fixed, moved)
        ]
        demons = sitk.FastSymmetricForcesDemonsRegistrationFilter()
        demons.SetStandardDeviations(self.smooth)
        demons.SetNumberOfIterations(self.coarse_steps)
        field = demons.Execute(*coarse)
        start = sitk.Resample(
            field, fixed, sitk.Transform(), sitk.sitkLinear, 0.0, field.GetPixelID()
        )
        demons.SetNumberOfIterations(self.fine_steps)
        return demons.Execute(fixed, moved, start)


def _lungs_on_cubes(
    volume: CTVolume, lungs: Mask, *, voxel_mm: float, which: str
) -> Lungs:
    """Cut the lungs out and bring them to cubes.

    Raises:
        InputError: There are none.
    """
    inside = lungs.voxels > 0
    litres = np.count_nonzero(inside) * volume.grid.voxel_mm3 / 1e6
    if litres < LEAST_LITRES:
        raise InputError(
            f"The {which} shows no lungs ({litres:.2f} l), so the two scans cannot be "
            "compared. Give two CT scans of the chest."
        )
    at = np.argwhere(inside[::2, ::4, ::4]) * (2, 4, 4)
    world = volume.grid.to_world(at)
    low, high = world.min(axis=0) - MARGIN_MM, world.max(axis=0) + MARGIN_MM
    x, y, z = (np.ceil((high - low) / voxel_mm).astype(int) + 1).tolist()
    grid = Grid.axial((z, y, x), (voxel_mm,) * 3, origin_mm=tuple(low.tolist()))
    first = np.maximum(at.min(axis=0) - 4, 0)
    last = np.minimum(at.max(axis=0) + 8, inside.shape)
    box = tuple(slice(a, b) for a, b in zip(first, last, strict=True))
    cut = volume.crop(tuple(first.tolist()), tuple(last.tolist()))
    # a map between frames of reference is what is sought, so they do not matter
    cut = replace(cut, grid=replace(cut.grid, frame_uid=None))
    within = inside[box]
    more = LUNG_HU - round(float(np.median(cut.hu[within][::50])))
    hu = np.clip(cut.hu, -1000 - more, OUTSIDE_HU - more) + np.int16(more)
    parts = []
    for values, outside in (
        (np.where(within, hu, np.int16(OUTSIDE_HU)), OUTSIDE_HU),
        (np.where(within, np.int16(1000), np.int16(0)), 0),
    ):
        cubes = replace(cut, hu=values).shrink((voxel_mm,) * 3)
        cubes = cubes.resample_to(grid, outside_hu=outside)
        parts.append(cubes.hu.astype(np.float32))
    box_mm = np.percentile(world, _MIDDLE, axis=0)
    share = parts[1] / np.float32(1000)
    return Lungs(parts[0], share, grid, np.asarray(box_mm))


def _find_affine(fixed: Any, moving: Any, here: Lungs, there: Lungs) -> Any:
    """Lay the boxes of the lungs onto each other, and improve on that."""
    import SimpleITK as sitk  # noqa: N813, PLC0415  slow to import

    size = [b[1] - b[0] for b in (here.box_mm, there.box_mm)]
    middle = [b.mean(axis=0) for b in (here.box_mm, there.box_mm)]
    affine = sitk.AffineTransform(3)
    affine.SetMatrix(np.diag(size[1] / size[0]).ravel().tolist())
    affine.SetCenter(middle[0].tolist())
    affine.SetTranslation((middle[1] - middle[0]).tolist())
    method = sitk.ImageRegistrationMethod()
    method.SetMetricAsMeanSquares()
    method.SetMetricSamplingStrategy(method.NONE)
    method.SetInterpolator(sitk.sitkLinear)
    method.SetOptimizerAsRegularStepGradientDescent(
        learningRate=4.0,
        minStep=0.05,
        numberOfIterations=60,
        relaxationFactor=0.6,
    )
    method.SetOptimizerScalesFromPhysicalShift()
    method.SetShrinkFactorsPerLevel([3])
    method.SetSmoothingSigmasPerLevel([4.0])
    method.SmoothingSigmasAreSpecifiedInPhysicalUnitsOn()
    method.SetNumberOfWorkUnits(WORK_UNITS)
    method.SetInitialTransform(affine, inPlace=True)
    method.Execute(fixed, moving)
    return affine


def _image(values: Float32Array, grid: Grid) -> Any:
    """Give an array on a grid along the axes of the world to SimpleITK."""
    import SimpleITK as sitk  # noqa: N813, PLC0415  slow to import

    image = sitk.GetImageFromArray(values)
    image.SetSpacing(grid.spacing_mm[::-1])
    image.SetOrigin(grid.affine[:3, 3].tolist())
    return image


def _array(image: Any) -> Any:
    import SimpleITK as sitk  # noqa: N813, PLC0415  slow to import

    return sitk.GetArrayFromImage(image)


def _through(affine: Any, values: Float32Array, grid: Grid, onto: Any) -> Any:
    """Bring an array through an affine map onto other cubes."""
    import SimpleITK as sitk  # noqa: N813, PLC0415  slow to import

    return sitk.Resample(_image(values, grid), onto, affine, sitk.sitkLinear, 0.0)


def _warp(image: Any, field: Any, outside: float) -> Any:
    """Bring an image through a field."""
    import SimpleITK as sitk  # noqa: N813, PLC0415  slow to import

    shift = sitk.Cast(field, sitk.sitkVectorFloat64)
    transform = sitk.DisplacementFieldTransform(shift)
    return sitk.Resample(image, image, transform, sitk.sitkLinear, outside)


def _matrix(affine: Any) -> FloatArray:
    """Write an affine transform of SimpleITK as a matrix."""
    points = np.vstack([np.zeros(3), np.eye(3)])
    ends = np.array([affine.TransformPoint(p.tolist()) for p in points])
    matrix = np.eye(4)
    matrix[:3, :3] = (ends[1:] - ends[0]).T
    matrix[:3, 3] = ends[0]
    return matrix
