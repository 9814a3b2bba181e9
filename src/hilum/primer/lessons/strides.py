"""Lesson 4: padding, stride, dilation, and the way back."""

from __future__ import annotations

from hilum.primer import ops
from hilum.primer.lessons.lesson import Data, Lesson, Step, pack
from hilum.primer.scene import Scene


def _data(scene: Scene) -> Data:
    """Give a piece of the slice around the nodule."""
    return {"cut": pack(scene.cut(32), "int16")}


LESSON = Lesson(
    number=4,
    key="strides",
    title="Padding, stride, dilation, and the way back",
    idea="Four numbers decide where a kernel is laid: what is put around the input, "
    "how far it steps, how far its elements stand apart, and whether it reads or "
    "writes.",
    why="A chest CT has tens of millions of voxels. The network that rates nodules "
    "begins with a stride of 2 along each axis, which leaves an eighth of them to all "
    "later layers: that, more than a fast computer, makes seconds out of minutes. And "
    "a network that outlines nodules has to come back to full size; if it does so with "
    "the wrong kernel, every outline gets the pattern of a chessboard.",
    steps=(
        Step(
            key="grid",
            title="Where the kernel is laid",
            text="Press Play, or move the place. Marked are the input cells that one "
            "output cell reads (or, transposed, the output cells that one input cell "
            "writes to). Cells in italics are padding. `same` pads so that "
            "`ceil(size / stride)` outputs come out, one more zero at the end when "
            "their number is odd.",
            code="""\
from hilum.primer import ops

print("outputs", ops.output_size(7, kernel=3, stride=2, padding="same"))
print("zeros before and after", ops.same_padding(7, kernel=3, stride=2))
print("and back", ops.transposed_size(4, kernel=3, stride=2, padding="same"))""",
        ),
        Step(
            key="board",
            title="The chessboard of a transposed convolution",
            text="Every input pixel writes a copy of the kernel. Where the kernel's "
            "size is no multiple of the stride, some output pixels get more copies "
            "than others. First how many, then a piece of the CT, every stride-th "
            "pixel kept and brought back. Try kernel 4 with stride 2.",
            code="""\
import numpy as np

ones = np.ones((1, 6, 6, 1))
for size in (3, 4):
    copies = ops.convolve_transposed(ones, np.ones((size, size, 1, 1)), stride=2)
    print("kernel", size, "copies inside:", np.unique(copies[0, 3:-3, 3:-3, 0]))""",
        ),
    ),
    functions=(
        ops.same_padding,
        ops.output_size,
        ops.transposed_size,
        ops.convolve_transposed,
    ),
    layers=("Conv2D", "Conv2DTranspose"),
    needs_scan=True,
    data=_data,
)
