"""Lesson 1: from the scanner to numbers."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import numpy as np

from hilum.primer import ops
from hilum.primer.lessons.lesson import Data, Lesson, Step, pack
from hilum.primer.scene import Scene
from hilum.volume import CTVolume

SIGMAS = (0.5, 1.0, 2.0, 4.0)
HALF = 64
LUNG_HU = (-600.0, 1500.0)
"""Level and width of the window that makes grey values of HU."""


def grey_values(scene: Scene) -> np.ndarray:
    """Window the piece of the slice to whole grey values, 0 to 255."""
    return np.rint(255 * ops.hu_window(scene.cut(HALF), *LUNG_HU))


def opencv_results(grey: np.ndarray) -> Data | None:
    """Compute with OpenCV what the page computes; None where it is not installed.

    Args:
        grey: (row, column) whole numbers, 0 to 255.
    """
    if find_spec("cv2") is None:
        return None
    import cv2  # noqa: PLC0415  optional

    image = grey.astype(np.float64)
    across, down = (
        cv2.Sobel(image, cv2.CV_64F, 1, 0),
        cv2.Sobel(image, cv2.CV_64F, 0, 1),
    )
    blurred = {}
    for sigma in SIGMAS:
        size = len(ops.gaussian_kernel(sigma))
        smooth = cv2.GaussianBlur(image, (size, size), sigma)
        blurred[f"{sigma:g}"] = pack(smooth)
    return {
        "version": cv2.__version__,
        "equalised": pack(cv2.equalizeHist(grey.astype(np.uint8)), "uint8"),
        "edges": pack(np.hypot(across, down)),
        "blurred": blurred,
    }


def tags(volume: CTVolume) -> list[list[str]]:
    """List the technical tags of a series: number, keyword, value, what it is for.

    Nothing that names a person is among them.
    """
    said, grid = volume.acquisition, volume.grid
    z, y, x = grid.spacing_mm
    rows: list[tuple[str, str, Any, str]] = [
        ("0018,0060", "KVP", said.kvp, "tube voltage, kV"),
        ("0018,1210", "ConvolutionKernel", said.kernel, "how sharp, how noisy"),
        (
            "0018,0050",
            "SliceThickness",
            said.slice_thickness_mm,
            "mm that are averaged",
        ),
        ("0028,0010", "Rows", grid.shape[1], "pixels to the back"),
        ("0028,0011", "Columns", grid.shape[2], "pixels to the left"),
        ("0028,0030", "PixelSpacing", f"{y:g}\\{x:g}", "mm between pixels"),
        ("", "slices", grid.shape[0], "how many"),
        ("", "slice spacing", f"{z:g}", "mm, from ImagePositionPatient (0020,0032)"),
    ]
    return [[a, b, "not given" if v is None else str(v), d] for a, b, v, d in rows]


def _planes(scene: Scene) -> Data:
    """Cut the chest in three planes through the nodule."""
    volume, place = scene.chest()
    index = np.rint(volume.grid.to_index(place)).astype(int)
    z, row, column = (
        int(np.clip(i, 0, n - 1)) for i, n in zip(index, volume.hu.shape, strict=True)
    )
    cuts = {
        "axial": volume.hu[z],
        "coronal": volume.hu[::-1, row],
        "sagittal": volume.hu[::-1, :, column],
    }
    packed = {name: pack(cut, "int16") for name, cut in cuts.items()}
    return {**packed, "spacing": list(volume.grid.spacing_mm)}


def _data(scene: Scene) -> Data:
    """Give slices, tags, and what OpenCV makes of a piece."""
    grey = grey_values(scene)
    return {
        "tags": tags(scene.chest()[0]),
        "slice": pack(scene.slice_hu, "int16"),
        "pixel_mm": list(scene.slice_mm),
        "planes": _planes(scene),
        "grey": pack(grey, "uint8"),
        "sigmas": list(SIGMAS),
        "opencv": opencv_results(grey),
    }


LESSON = Lesson(
    number=1,
    key="scanner",
    title="From the scanner to numbers",
    idea="A CT is not a picture. It is a block of numbers with units, places in "
    "millimetres, and a way of being shown that you choose.",
    why="Read a slope wrongly, take the slice thickness for the slice spacing or let "
    "each series keep its own grey scale, and every later number is wrong though every "
    "picture looks right. A network sees numbers alone.",
    steps=(
        Step(
            key="tags",
            title="What the file says",
            text="These tags decide what the numbers mean. The stored number becomes "
            "Hounsfield units by `HU = slope · stored + intercept` "
            "(RescaleSlope 0028,1053 and RescaleIntercept 0028,1052): water is 0, air "
            "−1000, on every scanner of the world.",
            code="""\
import numpy as np
from hilum.primer.scene import phantom_chest

volume, truths = phantom_chest()
print(volume.hu.shape, volume.hu.dtype, "spacing", volume.grid.spacing_mm, "mm")
stored, slope, intercept = 1064, 1, -1024
slope * stored + intercept""",
        ),
        Step(
            key="window",
            title="Window level and width",
            text="A screen shows 256 greys; a CT has 4000 values. The window decides "
            "which of them differ on the screen. Lung is seen at level −600 and width "
            "1500, soft tissue at 40 and 400; what lies outside is plain black or "
            "white. Click the slice to read a value.",
            code="""\
from hilum.primer import ops
from hilum.primer.scene import phantom_scene

ct = phantom_scene().slice_hu
grey = ops.hu_window(ct, level_hu=-600, width_hu=1500)
print(f"{(grey == 0).mean():.0%} black, {(grey == 1).mean():.0%} white")
ops.histogram(ct, -1100, 1300, 24).astype(int)""",
        ),
        Step(
            key="planes",
            title="Three planes, and why spacing matters",
            text="The same block of numbers cut across, from the front and from the "
            "side. Draw each voxel as a square and the patient shrinks: pixels and "
            "slices have different distances. Never measure in voxels.",
            code="""\
z, y, x = np.rint(volume.grid.to_index(truths[0].center_mm)).astype(int)
axial, coronal, sagittal = volume.hu[z], volume.hu[::-1, y], volume.hu[::-1, :, x]
axial.shape, coronal.shape, sagittal.shape""",
        ),
        Step(
            key="threshold",
            title="A threshold",
            text="Mark what is denser than a threshold. −400 HU parts lung from "
            "tissue; no threshold parts a nodule from a vessel or from the chest wall. "
            "For that, form has to be seen.",
            code="""\
dense = ct > -400
print(f"{dense.mean():.1%} of the slice is denser than -400 HU")""",
        ),
        Step(
            key="equalise",
            title="Histogram and equalisation",
            text="Equalisation spreads the greys so that each is as frequent. It makes "
            "everything visible and ruins the units: after it the same grey is another "
            "density in every slice. First ours, then OpenCV's.",
            code="""\
piece = np.rint(255 * ops.hu_window(phantom_scene().cut(64)))
equal = ops.equalise(piece)
print("greys used before and after:", len(np.unique(piece)), len(np.unique(equal)))""",
        ),
        Step(
            key="smooth",
            title="Blur and edges",
            text="A blur by a bell curve takes noise away, and small vessels with it; "
            "the gradient shows edges. Ours is computed as you look, beside it is what "
            "OpenCV gave.",
            code="""\
smooth, steep = ops.blur(piece, 2.0), ops.edges(piece)
print("noise before and after:", piece[:20, :20].std(), smooth[:20, :20].std())

try:
    import cv2
    theirs = cv2.GaussianBlur(piece, (13, 13), 2.0)
    print("largest difference to OpenCV:", np.abs(smooth - theirs).max())
except ImportError:
    print("OpenCV is not installed: pip install opencv-python-headless")""",
        ),
    ),
    functions=(ops.hu_window, ops.histogram, ops.equalise, ops.blur, ops.edges),
    layers=("HUWindow",),
    needs_scan=True,
    data=_data,
)
