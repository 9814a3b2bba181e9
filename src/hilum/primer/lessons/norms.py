"""Lesson 8: batch normalisation."""

from __future__ import annotations

import numpy as np

from hilum.primer import ops
from hilum.primer.lessons.activations import measured
from hilum.primer.lessons.lesson import Data, Lesson, Step, pack
from hilum.primer.scene import Scene

NODULES = (
    (6.0, -40.0),
    (12.0, 20.0),
    (9.0, -320.0),
    (22.0, 60.0),
    (5.0, -610.0),
    (15.0, 35.0),
)
"""Six nodules: diameter in mm, mean HU."""

BATCHES = 300


def batch_means() -> np.ndarray:
    """Draw the mean and the variance that each of many batches of 16 happens to have.

    Returns:
        (batches, 2): of values with mean 3 and variance 4.
    """
    drawn = np.random.default_rng(8).normal(3, 2, size=(BATCHES, 16))
    return np.stack([drawn.mean(axis=1), drawn.var(axis=1)], axis=1)


def _data(scene: Scene) -> Data:
    """Give nodules, batches, a piece of the slice, and measured curves."""
    found = measured()
    return {
        "nodules": NODULES,
        "batches": pack(batch_means(), "float64"),
        "cut": pack(scene.cut(48), "int16"),
        "curves": found["loss_curves"],
        "steps_each": found["steps_each"],
        "rates": found["batch_norm"],
    }


LESSON = Lesson(
    number=8,
    key="norms",
    title="Batch normalisation",
    idea="Give every channel mean 0 and variance 1, by the batch while training, by "
    "what was remembered afterwards. Then let the network scale it back if it likes.",
    why="Scanners, kernels and doses shift and stretch grey values; with normalised "
    "channels, layers above need not follow. But it remembers the scans that it was "
    "trained on: a network fed with wrongly scaled HU meets other statistics, and "
    "nothing warns it. hilum therefore checks the scale before the network sees it.",
    steps=(
        Step(
            key="batch",
            title="One batch",
            text="Six nodules, two channels of very different size: diameter in mm and "
            "mean HU. Each column is brought to mean 0 and variance 1, then stretched "
            "by γ and moved by β, which are learnt. Change a cell: one outlier moves "
            "all the others.",
            code="""\
from hilum.primer import ops
from hilum.primer.lessons.norms import NODULES

y, moving = ops.batch_norm_training(NODULES, ([0.0, 0.0], [1.0, 1.0]))
print(y.round(2))
print("mean", y.mean(axis=0).round(6), "variance", y.var(axis=0).round(3))""",
        ),
        Step(
            key="moving",
            title="What is remembered",
            text="Each batch of 16 has a mean of its own (dots). The moving mean keeps "
            "a share, the *momentum*, of what it was. Near 1 it is calm but late: "
            "after 100 batches with 0.99 it still holds 37 % of its start. A network "
            "that was trained briefly is tested with statistics that are not yet true.",
            code="""\
from hilum.primer.lessons.norms import batch_means

mean = 0.0
for batch, _ in batch_means()[:100]:
    mean = 0.99 * mean + 0.01 * batch
print("true mean 3, remembered", round(mean, 2), "left of the start", 0.99**100)""",
        ),
        Step(
            key="scanner",
            title="A scanner that is off",
            text="Add an error to all HU of a slice. Normalised by its own statistics, "
            "as in training with a batch of one, the error vanishes; and so would any "
            "true difference between patients. Normalised by remembered statistics it "
            "goes through to all later layers.",
            code="""\
from hilum.primer.scene import phantom_scene

ct = phantom_scene().cut(48)[None, ..., None] * 1.0
known = ct.mean(), ct.var()
for error in (0, 200):
    own, _ = ops.batch_norm_training(ct + error, ([0.0], [1.0]))
    then = ops.batch_norm(ct + error, [known[0]], [known[1]])
    print(error, "HU off:", round(own.mean(), 3), "or", round(then.mean(), 3))""",
        ),
        Step(
            key="loss",
            title="What it does to the loss, measured",
            text="`simple_cnn` on 464 real nodules of LIDC-IDRI, the loss of each step "
            "averaged over ten steps and three seeds "
            "(`benchmarks/primer_curves.py`). Beside it the steps to a loss of 0.3 by "
            "learning rate (`benchmarks/activations.py`); where there is no dot, it "
            "was not reached in 300 steps.",
            code="""\
from hilum.primer.lessons.activations import measured

for curve in measured()["loss_curves"]:
    said = "with" if curve["batch_norm"] else "without"
    print(curve["activation"], curve["rate"], said, "ends at", curve["loss"][-1])""",
        ),
    ),
    functions=(ops.batch_norm_training, ops.batch_norm),
    layers=("BatchNormalization",),
    needs_scan=True,
    data=_data,
)
