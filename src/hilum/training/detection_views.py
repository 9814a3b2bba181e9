"""What the detector is trained on: random crops of scans, and where nodules are.

Of eight crops four show an inserted nodule, one a real one, two a place that only
looks like one, and one any place in the lungs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from hilum.errors import InputError
from hilum.nn.models.detectors import STRIDE
from hilum.settings import check_ranges
from hilum.space import FloatArray
from hilum.training.implants import Implants, insert
from hilum.training.scenes import Scene
from hilum.training.turning import Float32Array, resampled, rotation
from hilum.volume import HUArray

AIR_HU = -1000
_KINDS = ("inserted",) * 4 + ("real",) + ("trap",) * 2 + ("lung",)
_SPREAD = 1 / 6
_SPREADS_MM = (1.8, 5.0)
_UNSURE_MM = 3.0
_TRIES = 4
_BLUR_VOXELS = (0.5, 1.5)


@dataclass(frozen=True, slots=True, kw_only=True)
class CropVariety:
    """How far crops go from what was scanned.

    Attributes:
        edge: Voxels of 1 mm along each edge of a crop, a multiple of 16.
        shift_hu: Standard deviation of what is added to all of a crop.
        noise_hu: Standard deviation of the noise is drawn up to this, a low one more
            often.
        pleural: Share of inserted nodules at the pleura.
        vascular: Share of inserted nodules on a vessel.
        between: Share of crops that are turned about the axis of the body, brought to
            another size, and so sampled between the voxels of the scan.
        zoom: Most that such a crop grows or shrinks, as a factor.
        thick: Share of crops that are blurred along the axis as by thicker slices.
    """

    edge: int = 48
    shift_hu: float = 15.0
    noise_hu: float = 45.0
    pleural: float = 0.4
    vascular: float = 0.3
    between: float = 0.7
    zoom: float = 1.25
    thick: float = 0.25

    def __post_init__(self) -> None:
        """Refuse crops that the network cannot take."""
        if self.edge < 16 or self.edge % 16:
            raise InputError(
                f"The edge of a crop must be a multiple of 16 voxels; got {self.edge}."
            )
        check_ranges(
            self,
            {
                "edge": (16, 256),
                "shift_hu": (0, 1000),
                "noise_hu": (0, 1000),
                "pleural": (0, 1),
                "vascular": (0, 1),
                "between": (0, 1),
                "zoom": (1, 2),
                "thick": (0, 1),
            },
        )


class DetectionViews:
    """Makes a random crop and its answer; as `hilum.training.fit` wants."""

    def __init__(
        self,
        scenes: Sequence[Scene],
        implants: Implants | None,
        *,
        variety: CropVariety | None = None,
    ):
        """Take scans, and nodules to insert into them.

        Raises:
            InputError: There is neither a nodule to insert nor one in the scans.
        """
        self.scenes, self.implants = tuple(scenes), implants
        self.variety = variety or CropVariety()
        self._with = [s for s in self.scenes if len(s.nodules)]
        if not self.scenes or not (self._with or implants):
            raise InputError(
                "There is no nodule to train on: neither in the scans nor to insert. "
                "Check the series UIDs in annotations.csv."
            )

    def __call__(self, case: int, rng: np.random.Generator) -> tuple[Any, Any]:
        """Give HU (slice, row, column, 1), and the answer as `marks_loss` wants it."""
        kind = _KINDS[case % len(_KINDS)]
        if kind == "inserted" and self.implants is None:
            kind = "real"
        if kind == "real" and not self._with:
            kind = "lung"
        pool = self._with if kind == "real" else self.scenes
        scene = pool[rng.integers(len(pool))]
        return self._crop(scene, kind, rng)

    def _crop(
        self, scene: Scene, kind: str, rng: np.random.Generator
    ) -> tuple[Float32Array, Float32Array]:
        """Cut around a place of that kind, not always in its middle."""
        edge = self.variety.edge
        jitter = edge / 2 - 6
        shift = rng.uniform(-jitter, jitter, 3)
        matrix = self._warp(rng)
        reach = np.ceil(np.abs(matrix).sum(axis=1) * (edge - 1) / 2).astype(int) + 1
        for _ in range(_TRIES if kind == "inserted" else 1):
            place = self._place(scene, kind, rng)
            middle = place + matrix @ shift
            start = np.floor(middle).astype(int) - reach
            hu = cut(scene.hu, start, 2 * reach + 2)
            nodules = scene.nodules - np.array([*start, 0])
            unsure = scene.unsure - np.array([*start, 0])
            if kind != "inserted":
                break
            new = self._inserted(scene, hu, (nodules, unsure), place - start, rng)
            if new is not None:
                hu, nodules = new
                break
        seen = middle - start
        if np.array_equal(matrix, np.eye(3)):
            seen = np.rint(seen - (edge - 1) / 2) + (edge - 1) / 2
        values = warped(hu, matrix, seen, edge)
        nodules, unsure = (
            warped_points(points, matrix, seen, edge) for points in (nodules, unsure)
        )
        values, nodules, unsure = _turned(values, nodules, unsure, rng)
        if rng.uniform() < self.variety.thick:
            values = blurred(values, rng.uniform(*_BLUR_VOXELS))
        values += np.float32(rng.normal(0, self.variety.shift_hu))
        noise = np.float32(self.variety.noise_hu * rng.uniform() ** 2)
        values += noise * rng.standard_normal(values.shape, np.float32)
        return values[..., None], answer_for(values.shape, nodules, unsure)

    def _warp(self, rng: np.random.Generator) -> FloatArray:
        """Draw how voxels of a crop lie in those of a scan, as a matrix."""
        if rng.uniform() >= self.variety.between:
            return np.eye(3)
        turn = rng.uniform(0, 2 * np.pi)
        scale = self.variety.zoom ** rng.uniform(-1, 1)
        return np.asarray(rotation(turn, 0) / scale)

    def _inserted(
        self,
        scene: Scene,
        hu: HUArray,
        known: tuple[Any, Any],
        center: Any,
        rng: np.random.Generator,
    ) -> tuple[HUArray, Any] | None:
        """Insert a nodule, unless it would touch another or could not be seen."""
        if self.implants is None:
            return None
        nodule, diameter = self.implants.draw(rng)
        if not _is_free(np.concatenate(known), center, diameter):
            return None
        mixed = insert(
            hu, center, nodule, rng, diameter_mm=diameter, slice_mm=scene.slice_mm
        )
        if mixed is None:
            return None
        return mixed, np.vstack([known[0], [*center, diameter]])

    def _place(self, scene: Scene, kind: str, rng: np.random.Generator) -> Any:
        """Choose the place that a crop is to show."""
        places = scene.inside
        if kind == "real":
            places = scene.nodules[:, :3]
        elif kind == "trap" and len(scene.traps):
            places = scene.traps
        elif kind == "inserted":
            drawn = rng.uniform()
            if drawn < self.variety.pleural:
                places = scene.pleural
            elif drawn < self.variety.pleural + self.variety.vascular:
                places = scene.vascular
        places = places if len(places) else scene.inside
        return places[rng.integers(len(places))].astype(np.float64)


def cut(
    hu: HUArray, start: npt.NDArray[np.int64], sizes: int | npt.NDArray[np.int64]
) -> HUArray:
    """Cut a box; air where it leaves the scan.

    Args:
        hu: (slice, row, column).
        start: (3,) its first voxel, which may lie outside.
        sizes: (3,) of the box, or the edge of a cube, in voxels.
    """
    shape = np.broadcast_to(sizes, 3)
    out = np.full(shape.tolist(), AIR_HU, np.int16)
    low = np.maximum(start, 0)
    high = np.minimum(start + shape, hu.shape)
    if (high > low).all():
        source = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
        goal = tuple(
            slice(a, b) for a, b in zip(low - start, high - start, strict=True)
        )
        out[goal] = hu[source]
    return out


def warped(
    hu: HUArray, matrix: FloatArray, middle: FloatArray, edge: int
) -> Float32Array:
    """Sample a cube out of a box, linearly.

    Args:
        hu: (slice, row, column).
        matrix: From steps in the cube to steps in the box, in voxels.
        middle: Of the cube, in the box.
        edge: Voxels along each edge of the cube.

    Returns:
        (edge, edge, edge), in HU.
    """
    first = middle - matrix @ np.full(3, (edge - 1) / 2)
    return resampled(hu, matrix, first, (edge,) * 3, mode="nearest")


def warped_points(
    points: Any, matrix: FloatArray, middle: FloatArray, edge: int
) -> FloatArray:
    """Say where the points of a box are in the cube that `warped` gives.

    Args:
        points: (n, 4) centre in voxels and diameter.
        matrix: As for `warped`.
        middle: As for `warped`.
        edge: As for `warped`.
    """
    found = np.array(points, np.float64)
    inverse = np.linalg.inv(matrix)
    found[:, :3] = (found[:, :3] - middle) @ inverse.T + (edge - 1) / 2
    found[:, 3] *= np.cbrt(np.linalg.det(inverse))
    return found


def blurred(values: Float32Array, voxels: float) -> Float32Array:
    """Blur along slices, by a Gaussian of that standard deviation in voxels."""
    from scipy import ndimage  # noqa: PLC0415  slow to import

    found: Float32Array = ndimage.gaussian_filter1d(values, voxels, axis=0)
    return found


def answer_for(
    shape: Sequence[int], nodules: npt.ArrayLike, unsure: npt.ArrayLike
) -> Float32Array:
    """Write down what the network is to say of a crop.

    Args:
        shape: (slice, row, column) of the crop in voxels, multiples of 4.
        nodules: (n, 4) centre in voxels and diameter in voxels; may lie outside.
        unsure: The same of what counts neither way.

    Returns:
        (slice / 4, row / 4, column / 4, 7), see `hilum.nn.losses.marks_loss`.
    """
    cells = tuple(n // STRIDE for n in shape)
    out = np.zeros((*cells, 7), np.float32)
    out[..., 1] = 1
    axes = [np.arange(n) * STRIDE + (STRIDE - 1) / 2 for n in cells]
    zyx = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
    for *center, diameter in np.reshape(unsure, (-1, 4)):
        distance = np.linalg.norm(zyx - center, axis=-1)
        out[..., 1][distance <= max(diameter / 2, _UNSURE_MM) + STRIDE / 2] = 0
    for *center, diameter in np.reshape(nodules, (-1, 4)):
        cell = np.floor((np.array(center) + 0.5) / STRIDE).astype(int)
        middle = cell * STRIDE + (STRIDE - 1) / 2
        spread = np.clip(diameter * _SPREAD, *_SPREADS_MM)
        squared = ((zyx - middle) ** 2).sum(axis=-1)
        out[..., 0] = np.maximum(out[..., 0], np.exp(-squared / (2 * spread**2)))
        if (cell >= 0).all() and (cell < cells).all():
            place = (np.array(center) - middle) / STRIDE
            out[tuple(cell)] = (1, 1, 1, *place, np.log(diameter))
    return out


def _is_free(taken: npt.NDArray[np.float64], center: Any, diameter: float) -> bool:
    """Tell whether a nodule there would touch no other."""
    gaps = np.linalg.norm(taken[:, :3] - center, axis=1) - taken[:, 3] / 2
    return bool((gaps > diameter / 2).all())


def _turned(
    hu: Float32Array, nodules: Any, unsure: Any, rng: np.random.Generator
) -> tuple[Float32Array, Any, Any]:
    """Mirror a crop, and swap rows with columns, at random."""
    edge = hu.shape[0]
    nodules, unsure = np.array(nodules), np.array(unsure)
    for axis in range(3):
        if rng.uniform() < 0.5:
            hu = np.flip(hu, axis)
            for points in (nodules, unsure):
                points[:, axis] = edge - 1 - points[:, axis]
    if rng.uniform() < 0.5:
        hu = hu.transpose(0, 2, 1)
        nodules, unsure = nodules[:, [0, 2, 1, 3]], unsure[:, [0, 2, 1, 3]]
    return np.ascontiguousarray(hu), nodules, unsure
