"""Lesson 7: pooling."""

from __future__ import annotations

from hilum.primer import ops
from hilum.primer.lessons.lesson import Data, Lesson, Step, pack
from hilum.primer.scene import Scene

MATRIX = (
    (1, 3, 2, 9, 0, 1, 4, 2),
    (7, 4, 1, 5, 2, 6, 3, 8),
    (8, 5, 2, 3, 1, 0, 7, 5),
    (4, 2, 1, 4, 9, 3, 2, 1),
    (0, 6, 8, 2, 5, 4, 1, 3),
    (3, 1, 4, 7, 2, 8, 6, 0),
    (5, 9, 0, 1, 3, 2, 4, 7),
    (2, 8, 3, 6, 1, 5, 9, 4),
)


def _data(scene: Scene) -> Data:
    """Give a matrix and a piece of the slice."""
    return {"matrix": MATRIX, "cut": pack(scene.cut(48), "int16")}


LESSON = Lesson(
    number=7,
    key="pooling",
    title="Pooling: keep the best, forget the place",
    idea="Replace each window by its largest value, or by its average. The image "
    "shrinks, and small shifts no longer matter.",
    why="Is there a nodule in this lung? Then its place matters little, and a shift by "
    "one voxel between two scans should change nothing. How large is it? Then pooling "
    "is what you must not do. And nodules come in all sizes while a dense layer wants "
    "one length: spatial pyramid pooling gives it that.",
    steps=(
        Step(
            key="grid",
            title="2 × 2 with stride 2 discards 75 %",
            text="Change the cells, the window and the stride. Marked are the values "
            "that max-pooling keeps.",
            code="""\
import numpy as np
from hilum.primer import ops
from hilum.primer.lessons.pooling import MATRIX

image = np.reshape(MATRIX, (1, 8, 8, 1))
pooled = ops.max_pool(image, 2)
print(pooled[0, :, :, 0])
print(f"kept {pooled.size} of {image.size}: {1 - pooled.size / 64:.0%} gone")""",
        ),
        Step(
            key="shift",
            title="How much a shift matters",
            text="Shift the piece of CT. The bars show by how much each version "
            "changes, as a share of itself. Pooled maps change less than the image, "
            "the more the larger the window.",
            code="""\
from hilum.primer.scene import phantom_scene

ct = phantom_scene().cut(48) + 1000.0
here, there = ct[8:-8, 8:-8], ct[8:-8, 9:-7]

def change(a, b):
    return np.linalg.norm(a - b) / np.linalg.norm(a)

print("image", change(here, there))
for size in (2, 4, 8):
    a, b = (ops.max_pool(v[None, ..., None], size) for v in (here, there))
    print("max-pooled by", size, change(a, b))""",
        ),
        Step(
            key="pyramid",
            title="Two sizes, one length",
            text="A pyramid cuts any image into 1, 4 and 16 bins and keeps the largest "
            "value of each: 21 numbers, whatever the size. Change both sizes.",
            code="""\
for half in (12, 40):
    ct = phantom_scene().cut(half)[None, ..., None]
    vector = ops.spatial_pyramid_pool(ct, (1, 2, 4))
    print(ct.shape[1:3], "->", vector.shape[1], "numbers")""",
        ),
    ),
    functions=(ops.max_pool, ops.average_pool, ops.spatial_pyramid_pool),
    layers=("MaxPooling2D", "AveragePooling2D", "SpatialPyramidPooling2D"),
    needs_scan=True,
    data=_data,
)
