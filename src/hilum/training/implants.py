"""Real nodules to set into lungs where there are none.

What a nodule adds to the lung around it is kept; set into another lung it is added
there, at another angle and size, with slices as thick as those of the other scan.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hilum.datasets import NoduleCase, load_nodule
from hilum.errors import InputError
from hilum.features import signed_distance_mm, surround
from hilum.space import FloatArray, Spacing
from hilum.training.turning import Float32Array, resampled, rotation
from hilum.volume import HUArray

SIZES_MM = (3.0, 5.0, 7.0, 10.0, 16.0, 30.0, 44.0)
"""Each range is drawn as often as the others."""

_STRETCH = (0.75, 1.3)
_STRETCH_OF_LARGE = 1.9
_LARGE_MM = 20.0
_FADE_MM = 2.0
_SOFT_TISSUE_HU = 60.0
_LEAST_SEEN = 0.4
_FAINT = 0.12
_FAINTNESS = (0.3, 0.65)
_SUBSOLID_TEXTURE = 3.5
_SUBSOLID_WEIGHT = 5.0


@dataclass(frozen=True, slots=True, eq=False)
class Implant:
    """A nodule, cut out of its lung.

    Attributes:
        patient: Whose it is.
        rise_hu: (slice, row, column) float32, what it adds to the lung; 0 far from it.
        spacing_mm: Of the voxels.
        center: Its middle in voxels.
        diameter_mm: Of the sphere of its volume.
        weight: How often it is drawn.
        series_uid: The series that it was cut from, or "".
    """

    patient: str
    rise_hu: Float32Array
    spacing_mm: Spacing
    center: FloatArray
    diameter_mm: float
    weight: float
    series_uid: str = ""


def cut_implant(case: NoduleCase) -> Implant:
    """Cut a nodule out of its lung."""
    cut = surround(*load_nodule(case), margin_mm=_FADE_MM + 1)
    depth = signed_distance_mm(cut)
    kept = np.clip(1 + depth / _FADE_MM, 0, 1)
    rise = np.maximum(cut.hu.astype(np.float64) - cut.lung_hu, 0) * kept
    texture = case.ratings.texture or 5.0
    return Implant(
        case.patient,
        rise.astype(np.float32),
        cut.spacing_mm,
        np.argwhere(cut.inside).mean(axis=0),
        case.diameter_mm,
        _SUBSOLID_WEIGHT if texture < _SUBSOLID_TEXTURE else 1.0,
        case.series_uid,
    )


class Implants:
    """Nodules to choose from, small ones as often as large ones."""

    def __init__(self, nodules: Sequence[Implant]):
        """Sort the nodules by size.

        Raises:
            InputError: There are none.
        """
        if not nodules:
            raise InputError(
                "There is no nodule to insert. Give a folder of nodules, or train "
                "without inserted ones."
            )
        self.nodules = tuple(sorted(nodules, key=lambda n: n.diameter_mm))
        self._sizes = np.array([n.diameter_mm for n in self.nodules])
        self._weights = np.array([n.weight for n in self.nodules])

    def draw(self, rng: np.random.Generator) -> tuple[Implant, float]:
        """Choose a nodule, and the diameter in mm to give it."""
        low = rng.integers(len(SIZES_MM) - 1)
        wanted = rng.uniform(SIZES_MM[low], SIZES_MM[low + 1])
        large = _STRETCH_OF_LARGE if wanted > _LARGE_MM else _STRETCH[1]
        fits = (self._sizes >= wanted / large) & (self._sizes <= wanted / _STRETCH[0])
        if not fits.any():
            fits = np.abs(self._sizes - wanted) == np.abs(self._sizes - wanted).min()
            wanted = float(self._sizes[fits][0])
        weights = self._weights * fits
        chosen = rng.choice(len(self.nodules), p=weights / weights.sum())
        return self.nodules[chosen], float(wanted)


def insert(
    hu: HUArray,
    center: FloatArray,
    implant: Implant,
    rng: np.random.Generator,
    *,
    diameter_mm: float,
    slice_mm: float = 1.0,
) -> HUArray | None:
    """Set a nodule into a part of a scan.

    It is turned about the axis of the body, mirrored, and brought to its size. Half
    of the time what it adds is added, up to soft tissue; else the brighter of lung
    and nodule stays.

    Args:
        hu: (slice, row, column) int16, voxels of 1 mm.
        center: Where, in voxels; may lie outside, then part of the nodule shows.
        implant: What.
        rng: Of angle, mirroring and manner.
        diameter_mm: How large.
        slice_mm: Slice spacing of the scan; a nodule from thinner slices is averaged
            over it.

    Returns:
        The part with the nodule; None where too little of it would be seen, as in
        the chest wall.
    """
    scale = implant.diameter_mm / diameter_mm
    matrix = _turned(rng) * scale / np.array(implant.spacing_mm)[:, None]
    sizes_mm = np.array(implant.rise_hu.shape) * implant.spacing_mm
    reach = math.ceil(np.linalg.norm(sizes_mm) / 2 / scale) + 1
    low = np.maximum(np.floor(center).astype(int) - reach, 0)
    high = np.minimum(np.ceil(center).astype(int) + reach + 1, hu.shape)
    if (high <= low).any():
        return None
    start = implant.center + matrix @ (low - center)
    shape = tuple((high - low).tolist())
    rise = resampled(implant.rise_hu, matrix, start, shape, mode="constant")
    if implant.spacing_mm[0] / scale < 0.8 * slice_mm:
        rise = _averaged(rise, max(1, round(slice_mm)))
    if rng.uniform() < _FAINT:
        rise *= rng.uniform(*_FAINTNESS)
    box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    host = hu[box].astype(np.float32)
    mixed = _mixed(host, rise, rng)
    if (mixed - host).sum() < _LEAST_SEEN * rise.sum():
        return None
    out = hu.copy()
    out[box] = np.rint(mixed).astype(np.int16)
    return out


def _turned(rng: np.random.Generator) -> FloatArray:
    """Draw a turn about the axis of the body, perhaps mirrored, as a matrix."""
    turn = rng.uniform(0, 2 * math.pi)
    mirror = np.where(rng.uniform(size=2) < 0.5, -1.0, 1.0)
    return np.asarray(rotation(turn, 0) * [mirror[0], 1, mirror[1]])


def _averaged(rise_hu: Float32Array, slices: int) -> Float32Array:
    """Average over so many slices of 1 mm, as a thicker slice does."""
    from scipy import ndimage  # noqa: PLC0415  slow to import

    found: Float32Array = ndimage.uniform_filter1d(rise_hu, slices, axis=0)
    return found


def _mixed(
    host: Float32Array, rise_hu: Float32Array, rng: np.random.Generator
) -> Float32Array:
    """Draw how lung and nodule are brought together, and do it."""
    air = float(np.median(host[host < -500])) if (host < -500).any() else -850.0
    nodule = air + rise_hu
    if rng.uniform() < 0.5:
        cap = np.maximum(np.maximum(host, nodule), _SOFT_TISSUE_HU)
        mixed: Float32Array = np.minimum(host + rise_hu, cap)
    else:
        mixed = np.where(rise_hu > 0, np.maximum(host, nodule), host)
    return mixed
