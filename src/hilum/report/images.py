"""Pictures of a volume in true millimetres, turned the way radiologists look.

Axial slices are seen from the feet with the front at the top; coronal and
sagittal ones have the head at the top. The patient's right is on the left of
axial and coronal pictures, the front on the left of sagittal ones. Pixels are
square, (row, column), row 0 at the top; whatever lies outside the scan is black.
"""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass
from io import BytesIO
from typing import Literal

import numpy as np
import numpy.typing as npt
from PIL import Image

from hilum.errors import InputError
from hilum.findings import Point
from hilum.space import FloatArray, Grid
from hilum.volume import CTVolume, apply_window

Grey = npt.NDArray[np.uint8]
Plane = Literal["axial", "coronal", "sagittal"]
PLANES: tuple[Plane, ...] = ("axial", "coronal", "sagittal")

LUNG_LEVEL_HU = -600.0
LUNG_WIDTH_HU = 1500.0
KEY_PIXELS = 240
OVERVIEW_SAMPLES = (256, 96, 256)
OUTSIDE_HU = -32768

_AXIS: dict[Plane, int] = {"sagittal": 0, "coronal": 1, "axial": 2}
_EDGES: dict[Plane, tuple[str, str, str, str]] = {
    "axial": ("R", "L", "A", "P"),
    "coronal": ("R", "L", "H", "F"),
    "sagittal": ("A", "P", "H", "F"),
}


@dataclass(frozen=True, slots=True, eq=False)
class KeyImage:
    """A square cut through the volume with a point of interest at its centre.

    Attributes:
        plane: How it is cut.
        grey: (rows, columns) uint8, lung window.
        grid: Its pixels in the patient, one voxel thick.
        size_mm: Length of its side, from edge to edge.
        position_mm: Where it is cut, along the world axis across it: z of an
            axial image, y of a coronal one, x of a sagittal one.
    """

    plane: Plane
    grey: Grey
    grid: Grid
    size_mm: float
    position_mm: float

    @property
    def pixel_mm(self) -> float:
        """Side of one pixel."""
        return self.size_mm / len(self.grey)

    @property
    def axis(self) -> str:
        """World axis across the image: "x", "y" or "z"."""
        return "xyz"[_AXIS[self.plane]]

    @property
    def edges(self) -> tuple[str, str, str, str]:
        """Letters of the directions at its left, right, top and bottom edge.

        R right, L left, A anterior, P posterior, H head, F feet.
        """
        return _EDGES[self.plane]

    def points_mm(self, step: int) -> FloatArray:
        """Give where in the patient every so manieth pixel lies.

        Args:
            step: How many pixels apart; the first is in the middle of a step.

        Returns:
            (rows, columns, 3) world points (x, y, z), row 0 at the top.
        """
        at = np.arange(step / 2 - 0.5, len(self.grey), step)
        index = np.zeros((len(at), len(at), 3))
        across = 2 - _AXIS[self.plane]
        row, column = (axis for axis in range(3) if axis != across)
        rows = at if self.plane == "axial" else len(self.grey) - 1 - at
        index[..., row], index[..., column] = rows[:, None], at
        return self.grid.to_world(index)

    def place(self, point_mm: npt.ArrayLike) -> tuple[float, float]:
        """Find a point on the picture, as seen along the axis across it.

        Args:
            point_mm: World point (x, y, z).

        Returns:
            Distance in mm from the left edge and from the top edge.
        """
        across = 2 - _AXIS[self.plane]
        index = np.delete(self.grid.to_index(point_mm), across)
        y, x = ((index + 0.5) * self.pixel_mm).tolist()
        return x, y if self.plane == "axial" else self.size_mm - y


@dataclass(frozen=True, slots=True, eq=False)
class Overview:
    """The mean of the volume from front to back, like a chest radiograph.

    Attributes:
        grey: (rows, columns) uint8, contrast stretched to the picture's own range.
        width_mm: From edge to edge.
        height_mm: From edge to edge.
        grid: The grid of the volume, to place points.
    """

    grey: Grey
    width_mm: float
    height_mm: float
    grid: Grid

    def place(self, center_mm: Point) -> tuple[float, float]:
        """Find a point on the picture.

        Args:
            center_mm: World point (x, y, z).

        Returns:
            Distance in mm from the left edge and from the top edge.
        """
        z, _, x = (self.grid.to_index(center_mm) + 0.5) * self.grid.spacing_mm
        return float(x), float(self.height_mm - z)


def key_image(
    volume: CTVolume, center_mm: Point, plane: Plane, size_mm: float
) -> KeyImage:
    """Cut one picture out of the volume, without touching the rest of it.

    The cut goes through the voxel centres nearest to the point, so that an axial
    image is a slice of the scan and no mixture of two; within the picture the
    point itself is the centre.

    Args:
        volume: What to cut.
        center_mm: World point (x, y, z) inside the volume.
        plane: How to cut.
        size_mm: Length of the picture's side, > 0.

    Raises:
        InputError: The point lies outside the volume, or the size is not > 0.
    """
    if not size_mm > 0:
        raise InputError(f"A picture's side must be > 0 mm; got {size_mm}.")
    if not volume.grid.contains(center_mm):
        point = ", ".join(f"{value:.1f}" for value in center_mm)
        raise InputError(
            f"Nodule at ({point}) mm lies outside the volume. "
            "Is the assessment of another series?"
        )
    nearest = volume.grid.to_world(np.rint(volume.grid.to_index(center_mm)))
    position_mm = float(nearest[_AXIS[plane]])
    grid = _cut(center_mm, plane, position_mm, size_mm)
    voxels = _around(volume, grid).resample_to(grid, outside_hu=OUTSIDE_HU).hu
    upright = voxels if plane == "axial" else voxels[::-1]
    hu = upright.squeeze(2 - _AXIS[plane])
    grey = apply_window(hu, level_hu=LUNG_LEVEL_HU, width_hu=LUNG_WIDTH_HU)
    return KeyImage(plane, grey, grid, size_mm, position_mm)


def overview(volume: CTVolume) -> Overview:
    """Project the volume from front to back, from an even sample of its voxels.

    Air outside the patient and metal inside count as -1000 and 1000 HU at most.

    Args:
        volume: What to project.
    """
    steps = [
        max(1, count // wanted)
        for count, wanted in zip(volume.grid.shape, OVERVIEW_SAMPLES, strict=True)
    ]
    counts = [n // step for n, step in zip(volume.grid.shape, steps, strict=True)]
    sample = tuple(
        slice(step // 2, count * step, step)
        for count, step in zip(counts, steps, strict=True)
    )
    mean = np.clip(volume.hu[sample], -1000, 1000).mean(axis=1, dtype=np.float32)
    low, high = np.percentile(mean, (2, 99.5))
    width_hu = max(float(high - low), 1.0)
    grey = apply_window(mean[::-1], level_hu=float(low + high) / 2, width_hu=width_hu)
    height_mm, _, width_mm = (
        count * step * spacing
        for count, step, spacing in zip(
            counts, steps, volume.grid.spacing_mm, strict=True
        )
    )
    return Overview(grey, width_mm, height_mm, volume.grid)


def to_data_uri(pixels: Grey) -> str:
    """Pack a picture into a `data:` address, as PNG.

    Args:
        pixels: (rows, columns) uint8, grey; or (rows, columns, 4), with colour and
            opacity.
    """
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG", compress_level=4)
    return "data:image/png;base64," + b64encode(buffer.getvalue()).decode("ascii")


def _cut(center_mm: Point, plane: Plane, position_mm: float, size_mm: float) -> Grid:
    """Give the pixels of a picture as a grid one voxel thick."""
    pixel_mm = size_mm / KEY_PIXELS
    first = [value - size_mm / 2 + pixel_mm / 2 for value in center_mm]
    first[_AXIS[plane]] = position_mm
    counts = [KEY_PIXELS] * 3
    counts[_AXIS[plane]] = 1
    return Grid.axial(
        (counts[2], counts[1], counts[0]),
        (pixel_mm, pixel_mm, pixel_mm),
        origin_mm=(first[0], first[1], first[2]),
    )


def _around(volume: CTVolume, grid: Grid) -> CTVolume:
    """Keep the voxels that interpolation on a grid may need."""
    last = [n - 1 for n in grid.shape]
    corners = np.stack(np.meshgrid(*([0, n] for n in last)), -1).reshape(-1, 3)
    index = volume.grid.to_index(grid.to_world(corners))
    shape = np.array(volume.grid.shape)
    start = np.clip(np.floor(index.min(axis=0)).astype(int) - 1, 0, shape - 1)
    stop = np.clip(np.ceil(index.max(axis=0)).astype(int) + 2, 1, shape)
    (z0, y0, x0), (z1, y1, x1) = start.tolist(), stop.tolist()
    return volume.crop((z0, y0, x0), (z1, y1, x1))
