"""Lesson 5: volumes of activations."""

from __future__ import annotations

from hilum.primer import ops
from hilum.primer.lessons.lesson import Data, Lesson, Step, pack
from hilum.primer.scene import Scene
from hilum.space import Grid
from hilum.volume import HUArray

EDGE = 32


def nodule_cube(scene: Scene) -> HUArray:
    """Resample the surroundings of the nodule to 32 x 32 x 32 voxels of 1 mm."""
    x, y, z = (float(c) - (EDGE - 1) / 2 for c in scene.center_mm)
    frame = scene.around.grid.frame_uid
    grid = Grid.axial((EDGE,) * 3, (1.0, 1.0, 1.0), origin_mm=(x, y, z))
    grid = Grid(grid.shape, grid.affine, frame)
    return scene.around.resample_to(grid).hu


def _data(scene: Scene) -> Data:
    """Give the nodule as a cube."""
    return {"cube": pack(nodule_cube(scene), "int16")}


LESSON = Lesson(
    number=5,
    key="volumes",
    title="Volumes of activations",
    idea="Every filter makes a map, and the maps are stacked: the next layer sees all "
    "of them at once. Width and height shrink, depth grows, and the cost hides in the "
    "product.",
    why="In 3D a kernel of 3 has 27 weights instead of 9, and a scan has hundreds of "
    "slices: the third axis costs a thousandfold. What it buys is on this page: in one "
    "slice a vessel that runs through it looks like a nodule; in a volume it goes on.",
    steps=(
        Step(
            key="cost",
            title="Count a layer",
            text="Change the layer. Parameters are what is learnt and stored; "
            "multiply-adds are what is computed, for every output voxel anew. Below "
            "are other layers of the same reach.",
            code="""\
from hilum.primer import ops

for name, sizes, kernel in (
    ("2D", (64, 64), (3, 3)),
    ("3D", (64, 64, 64), (3, 3, 3)),
):
    parameters, work = ops.convolution_cost(sizes, kernel, channels=16, filters=32)
    print(f"{name}: {parameters:,} parameters, {work:,} multiply-adds")

import keras
layer = keras.layers.Conv3D(32, 3)
layer.build((None, 64, 64, 64, 16))
layer.count_params()""",
        ),
        Step(
            key="mix",
            title="Channels, mixed",
            text="Three filters make three maps of one slice. A fourth filter of size "
            "1 × 1 looks through all three at each pixel and weighs them: that is what "
            "the depth of a kernel does. Move the weights.",
            code="""\
import numpy as np
from hilum.primer.lessons.volumes import nodule_cube
from hilum.primer.scene import phantom_scene

cube = nodule_cube(phantom_scene())
image = (cube[16][None, ..., None] + 850) / 1000  # lung is 0
filters = np.stack([ops.SOBEL, np.transpose(ops.SOBEL), np.full((3, 3), 1 / 9)], -1)
maps = ops.convolve(image, filters[:, :, None, :], padding="same")
mixed = ops.convolve(maps, np.reshape([1.0, 1.0, -0.5], (1, 1, 3, 1)))
maps.shape, mixed.shape""",
        ),
        Step(
            key="solid",
            title="A 3D convolution on a nodule",
            text="32 slices of 1 mm around the nodule, lung taken as 0. Scroll "
            "through. The filter in 2D sees each slice for itself, the one in 3D the "
            "neighbours above and below as well. The wide blob answers to round "
            "things: vessels that cross the slice light up in 2D and fade in 3D, where "
            "they go on.",
            code="""\
blob = -np.ones((3, 3, 3)) / 26
blob[1, 1, 1] = 1
image = cube[None, ..., None] + 850
answer = ops.convolve(image, blob[..., None, None], padding="same")
answer[0, 16, 10:22, 16, 0].round()""",
        ),
    ),
    functions=(ops.convolution_cost, ops.output_size, ops.convolve),
    layers=("Conv2D", "Conv3D"),
    needs_scan=True,
    data=_data,
)
