"""Lesson 9: fully connected layers, softmax, and what a probability is worth."""

from __future__ import annotations

import numpy as np

from hilum.primer import ops
from hilum.primer.lessons.lesson import Data, Lesson, Step, pack
from hilum.primer.scene import Scene

INPUTS = ((1.2, -0.4, 0.8, 2.0),)
KERNEL = (
    (0.5, -0.3, 0.1),
    (-0.6, 0.9, 0.2),
    (0.2, 0.4, -0.8),
    (0.7, -0.5, 0.3),
)
BIAS = ((-0.2, 0.1, 0.0),)
CLASSES = ("malignant", "benign", "no nodule")
PATIENTS = 2000
SHARPENED, SHIFTED = 2.5, 0.8
"""How the simulated network errs: logits times this, plus that."""


def cohort() -> tuple[np.ndarray, np.ndarray]:
    """Simulate nodules whose true probability is known, and a network that is too sure.

    Returns:
        (n,) probabilities that the network says, and (n,) 1 where it was a cancer.
    """
    rng = np.random.default_rng(9)
    logits = rng.normal(-0.8, 1.4, PATIENTS)
    truth = (rng.random(PATIENTS) < ops.sigmoid(logits)).astype(np.float64)
    return ops.sigmoid(SHARPENED * logits + SHIFTED), truth


def _data(_: Scene | None) -> Data:
    """Give a small layer and the cohort."""
    said, truth = cohort()
    return {
        "inputs": INPUTS,
        "kernel": KERNEL,
        "bias": BIAS,
        "classes": CLASSES,
        "said": pack(said, "float64"),
        "truth": pack(truth, "uint8"),
        "best": [1 / SHARPENED, -SHIFTED / SHARPENED],
    }


LESSON = Lesson(
    number=9,
    key="deciding",
    title="Fully connected, softmax, and what a probability is worth",
    idea="A fully connected layer weighs everything that was found; softmax turns the "
    "sums into numbers that add up to 1. Whether they are *probabilities* is another "
    "question, and only patients can answer it.",
    why="Of 100 nodules that a network calls 80 %, 80 should be cancer. Trained "
    "networks are too sure, and a doctor who acts at 10 % acts on the wrong patients. "
    "hilum's malignancy is therefore calibrated on nodules that the networks had not "
    "seen, with an interval, and never below 1 % or above 99 %.",
    steps=(
        Step(
            key="scores",
            title="From features to probabilities",
            text="Four features times a matrix plus a bias gives three scores, the "
            "*logits*. Softmax takes the exponential of each and divides by the sum. "
            "A temperature above 1 makes it less sure, below 1 more; the order of the "
            "classes never changes.",
            code="""\
from hilum.primer import ops
from hilum.primer.lessons.deciding import BIAS, INPUTS, KERNEL

scores = ops.dense(INPUTS, KERNEL, BIAS)
for t in (0.5, 1, 3):
    print("temperature", t, ops.softmax(scores, t).round(3))""",
        ),
        Step(
            key="reliability",
            title="Bend it until it is true",
            text="2000 simulated nodules, and a network that is too sure and too "
            "alarmed. Dots: of those that it called so, how many were cancer. On the "
            "diagonal it is calibrated. Slope and offset bend its probabilities on the "
            "scale of logits; which nodule is more suspicious than which never "
            "changes. Find the bend where the log loss is least.",
            code="""\
from hilum.primer.lessons.deciding import cohort

said, truth = cohort()
for slope, offset in ((1, 0), (0.4, -0.32)):
    p = ops.recalibrate(said, slope, offset)
    print(f"slope {slope}, offset {offset}: log loss {ops.log_loss(p, truth):.3f}, "
          f"calibration error {ops.calibration_error(p, truth):.3f}")""",
        ),
    ),
    functions=(
        ops.dense,
        ops.softmax,
        ops.recalibrate,
        ops.reliability,
        ops.calibration_error,
        ops.log_loss,
    ),
    layers=("Dense", "Softmax"),
    data=_data,
)
