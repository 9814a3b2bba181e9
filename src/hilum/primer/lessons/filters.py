"""Lesson 3: convolution in two dimensions."""

from __future__ import annotations

import numpy as np

from hilum.primer import ops
from hilum.primer.lessons.lesson import Data, Lesson, Step, pack
from hilum.primer.scene import Scene

LETTER = """\
................
................
.......##.......
.......##.......
......####......
......#..#......
.....##..##.....
.....#....#.....
....##....##....
....########....
...##########...
...##......##...
..##........##..
..##........##..
................
................"""

MATRIX = (
    (3, 0, 1, 2, 7, 4, 1),
    (1, 5, 8, 9, 3, 1, 0),
    (2, 7, 2, 5, 1, 3, 2),
    (0, 1, 3, 1, 7, 8, 4),
    (4, 2, 1, 6, 2, 8, 1),
    (2, 4, 5, 2, 3, 9, 6),
    (1, 0, 2, 4, 6, 5, 3),
)
EDGE = ((1, 0, -1), (1, 0, -1), (1, 0, -1))

FILTERS = {
    "edge across": ((-1, 0, 1), (-2, 0, 2), (-1, 0, 1)),
    "edge down": ((-1, -2, -1), (0, 0, 0), (1, 2, 1)),
    "outline": ((-1, -1, -1), (-1, 8, -1), (-1, -1, -1)),
    "sharpen": ((0, -1, 0), (-1, 5, -1), (0, -1, 0)),
    "average": ((1 / 9, 1 / 9, 1 / 9),) * 3,
    "nothing": ((0, 0, 0), (0, 1, 0), (0, 0, 0)),
}
LEARNED = 6
"""How many of the shipped network's first filters are shown."""


def letter() -> list[list[float]]:
    """Give the letter A, 1 where it is drawn, 16 x 16."""
    return [[float(c == "#") for c in row] for row in LETTER.splitlines()]


def learned_filters() -> np.ndarray:
    """Take the middle planes of the first filters of the shipped network.

    Returns:
        (filters, 5, 5) for HU in the window, those with the largest weights.
    """
    from hilum.runtime.inside import OpenNetwork  # noqa: PLC0415  loads OpenVINO

    kernels = OpenNetwork("malignancy").filters()[:, 2, :, :, 0]
    order = np.argsort(-np.abs(kernels).sum(axis=(1, 2)), kind="stable")
    return np.asarray(kernels[order[:LEARNED]], np.float64)


def _data(scene: Scene) -> Data:
    """Give the matrix, the letter, the slice, and filters to try."""
    filters = {k: np.array(v, np.float64).tolist() for k, v in FILTERS.items()}
    filters["blur (bell)"] = np.outer(*[ops.gaussian_kernel(1.0, 2)] * 2).tolist()
    for number, kernel in enumerate(learned_filters(), 1):
        filters[f"learned {number}"] = kernel.round(4).tolist()
    random = np.random.default_rng(3).normal(size=(40, 3, 3)).round(2)
    return {
        "matrix": MATRIX,
        "edge": EDGE,
        "letter": letter(),
        "random": pack(random, "float64"),
        "slice": pack(scene.slice_hu, "int16"),
        "filters": filters,
    }


LESSON = Lesson(
    number=3,
    key="filters",
    title="Convolution in two dimensions",
    idea="A filter is a small matrix. Lay it on the image, multiply cell by cell, add "
    "up, write the sum down, move on by one.",
    why="The first layer of the network that rates nodules does this with filters that "
    "nobody drew: it learned them from radiologists' ratings. Some of them look for "
    "an edge of lung against tissue, some for a blob of one density. Those with the "
    "largest weights are on this page, to be tried on a slice.",
    steps=(
        Step(
            key="sheet",
            title="As in a spreadsheet",
            text="Choose a cell of the result to see its sum. Change the matrix or the "
            "filter: the result follows. `hilum primer --sheet out.xlsx` writes the "
            "same as a workbook with live formulas.",
            code="""\
import numpy as np
from hilum.primer import ops
from hilum.primer.lessons.filters import MATRIX, EDGE

image = np.reshape(MATRIX, (1, 7, 7, 1))
kernel = np.reshape(EDGE, (3, 3, 1, 1))
ops.convolve(image, kernel)[0, :, :, 0]""",
        ),
        Step(
            key="letter",
            title="The letter A and a random filter",
            text="A network starts with filters of random numbers. Even those answer "
            "differently to strokes of different direction; training only has to pick "
            "and turn them. Blue is below 0, orange above.",
            code="""\
from hilum.primer.lessons.filters import letter

random = np.random.default_rng(3).normal(size=(3, 3, 1, 1)).round(2)
answer = ops.convolve(np.reshape(letter(), (1, 16, 16, 1)), random, padding="same")
answer[0, :, :, 0].round(1)""",
        ),
        Step(
            key="slice",
            title="A filter on a CT slice",
            text="Pick a filter or write your own. The learned ones are the middle "
            "planes of 5 × 5 × 5 filters of the shipped network `malignancy`; here "
            "they see one slice instead of a volume. Beyond the border the slice is "
            "mirrored.",
            code="""\
from hilum.primer.scene import phantom_scene

ct = phantom_scene().slice_hu
edges = ops.filter_image(ct, [[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]])
edges.min(), edges.max()""",
        ),
    ),
    functions=(ops.convolve, ops.filter_image),
    layers=("Conv2D",),
    needs_scan=True,
    data=_data,
)
