"""Lesson 2: convolution in one dimension."""

from __future__ import annotations

from hilum.primer import ops
from hilum.primer.lessons.lesson import Data, Lesson, Step, pack
from hilum.primer.scene import Scene

PROFILE = 120
"""Pixels of the line through the nodule."""


def _data(scene: Scene) -> Data:
    """Give HU along a line through the nodule."""
    cut = scene.cut(PROFILE // 2)
    return {"profile": pack(cut[cut.shape[0] // 2], "int16")}


LESSON = Lesson(
    number=2,
    key="sliding",
    title="Convolution in one dimension",
    idea="Slide one signal over another; at each place multiply what overlaps and add "
    "up. That is all that a convolution does.",
    why="A profile of Hounsfield units across a nodule is a signal. Convolved with "
    "`[-1, 0, 1]` it tells where tissue begins and ends; convolved with a wide pulse "
    "it loses its noise, and a small nodule with it. A scanner's *reconstruction "
    "kernel* is such a convolution, done before you ever see the slice.",
    steps=(
        Step(
            key="pulses",
            title="Two pulses slide into a triangle",
            text="Move the short pulse along. The shaded overlap is the product; its "
            "sum is one point of the result. Pulses of equal width make a triangle, "
            "others a trapezium as wide as both together less one.",
            code="""\
import numpy as np
from hilum.primer import ops

a, b = np.ones(8), np.ones(8)
ops.slide(a, b)""",
        ),
        Step(
            key="flips",
            title="Any two signals, with the flip and without",
            text="Change the cells. Mathematics flips the kernel first, so that one "
            "impulse gives a copy of it. Networks leave the flip out: that is "
            "*cross-correlation*, and one impulse gives the kernel backwards. Only a "
            "symmetric kernel does not care. A network does not either: it learns its "
            "kernels, and learns them flipped.",
            code="""\
impulse, kernel = [0, 0, 0, 1, 0, 0, 0], [1, 2, 4]
print("convolution      ", ops.slide(impulse, kernel))
print("cross-correlation", ops.slide(impulse, kernel, flip=False))

# Keras does what the second line does
import keras
layer = keras.layers.Conv1D(1, 3, padding="same", use_bias=False)
layer.build((None, 7, 1))
layer.set_weights([np.reshape(kernel, (3, 1, 1)).astype("float32")])
np.asarray(layer(np.reshape(impulse, (1, 7, 1)).astype("float32"))).ravel()""",
        ),
        Step(
            key="profile",
            title="A line through a nodule",
            text="Hounsfield units along one row of the slice. Choose a kernel: the "
            "difference `[-1, 0, 1]` finds edges, the average smooths, the bell does "
            "so without steps.",
            code="""\
from hilum.primer.scene import phantom_scene

line = phantom_scene().cut(60)[60]
edge = ops.slide(line, [-1, 0, 1], flip=False)[1:-1]
print("steepest rise", edge.max(), "HU over two pixels")""",
        ),
    ),
    functions=(ops.slide, ops.gaussian_kernel),
    layers=("Conv1D",),
    needs_scan=True,
    data=_data,
)
