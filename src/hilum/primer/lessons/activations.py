"""Lesson 6: activations."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files

import numpy as np

from hilum.primer import ops
from hilum.primer.lessons.lesson import Data, Lesson, Step, pack
from hilum.primer.scene import Scene

LAYERS = 30
UNITS = 24
DRAWS = 400


@cache
def measured() -> Data:
    """Read what was measured on real nodules (`benchmarks/`, docs/explanation)."""
    path = files("hilum.primer") / "static" / "measured.json"
    found: Data = json.loads(path.read_text(encoding="utf-8"))
    return found


def _data(scene: Scene) -> Data:
    """Give a deep stack, noise to draw from, and what was measured."""
    rng = np.random.default_rng(6)
    cut = scene.cut(96)
    return {
        "kernels": pack(rng.normal(size=(LAYERS, UNITS, UNITS)), "float32"),
        "batch": pack(rng.normal(size=(16, UNITS)), "float32"),
        "uniform": pack(rng.random(DRAWS), "float64"),
        "normal": pack(rng.normal(size=DRAWS), "float64"),
        "edges": pack(
            ops.filter_image(cut, ((-1, 0, 1), (-2, 0, 2), (-1, 0, 1))) / 1000
        ),
        "activations": measured()["activations"],
    }


LESSON = Lesson(
    number=6,
    key="activations",
    title="Activations: what makes a network more than one matrix",
    idea="Convolutions alone, however many, are one convolution. A bend after each "
    "makes them more. Which bend decides what the gradient has to pass through.",
    why="On real nodules it was measured, and it is on this page: the sigmoid hardly "
    "learns, noise costs a network that nothing normalises, and all others end alike: "
    "the interval of each is wider than their differences. hilum's networks use ReLU, "
    "since nothing was better and little is quicker.",
    steps=(
        Step(
            key="curve",
            title="The curve, its slope, and a slice",
            text="Choose an activation and move `x`. Where the slope is near 0 the "
            "activation is *saturated*: a weight below it no longer learns. The "
            "picture is the edge filter's answer on CT, in units of 1000 HU, after the "
            "activation. The line below the curve checks that tanh is a sigmoid in "
            "other units: `tanh(x) = 2σ(2x) − 1`.",
            code="""\
import numpy as np
from hilum.primer import ops

x = np.linspace(-4, 4, 9)
print("sigmoid", ops.sigmoid(x).round(3))
print("slope  ", ops.sigmoid_derivative(x).round(3))
np.abs(ops.tanh(x) - (2 * ops.sigmoid(2 * x) - 1)).max()""",
        ),
        Step(
            key="deep",
            title="Thirty layers deep",
            text="A stack of layers of 24 units with random weights: how far the "
            "outputs spread, and what is left of the gradient at each layer, "
            "computed forward and back on this page. The scale of the weights "
            "multiplies what suits the activation (He's, or Glorot's for sigmoid and "
            "tanh). At 1 ReLU keeps its gradient; the sigmoid's is gone.",
            code="""\
rng = np.random.default_rng(6)
kernels, batch = rng.normal(size=(30, 24, 24)), rng.normal(size=(16, 24))
for name, scale in (("sigmoid", 1 / 24), ("relu", 2 / 24)):
    run = getattr(ops, name), getattr(ops, name + "_derivative")
    spread, norm = ops.gradient_by_depth(batch, kernels * np.sqrt(scale), *run)
    print(name, "first layer / last layer:", norm[0] / norm[-1])""",
        ),
        Step(
            key="chance",
            title="Activations with chance in them",
            text="In training, the randomised leaky ReLU divides what is below 0 by a "
            "number drawn anew for each element; the noisy ReLU shakes its input; the "
            "noisy hard tanh adds noise where it saturates, and only there. At test "
            "time nothing is drawn: the line. Each dot is one draw.",
            code="""\
x = np.linspace(-3, 3, 7)
draws = rng.uniform(3, 8, size=(10_000, 7))
print("mean of training", ops.rrelu(x, draws).mean(axis=0).round(3))
print("expected        ", ops.rrelu_expected(x).round(3))
print("at test time    ", ops.rrelu(x, 5.5).round(3))""",
        ),
        Step(
            key="measured",
            title="Measured on real nodules",
            text="464 nodules of 319 patients of LIDC-IDRI, malignant or benign to "
            "their readers; `simple_cnn` without normalisation, 20 epochs, three "
            "folds by patient, three seeds. The line is the 95 % interval over "
            "patients who were left out (`benchmarks/activations.py --full`).",
            code="""\
from hilum.primer.lessons.activations import measured

for row in measured()["activations"]:
    print(f"{row['name']:9} {row['auc']:.3f} [{row['low']:.3f}, {row['high']:.3f}]")""",
        ),
    ),
    functions=(
        ops.sigmoid,
        ops.tanh,
        ops.relu,
        ops.elu,
        ops.prelu,
        ops.rrelu,
        ops.noisy_relu,
        ops.noisy_activation,
        ops.gradient_by_depth,
    ),
    layers=(
        "Activation",
        "ReLU",
        "LeakyReLU",
        "PReLU",
        "ELU",
        "RandomizedLeakyReLU",
        "NoisyReLU",
        "NoisyActivation",
    ),
    needs_scan=True,
    data=_data,
)
