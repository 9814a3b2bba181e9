"""Lesson 11: build a network, and train it."""

from __future__ import annotations

from hilum.primer import ops
from hilum.primer.lessons.lesson import Data, Lesson, Step
from hilum.primer.scene import Scene

EDGE = 32
"""Rows and columns of what the network looks at."""

ACTIVATIONS = (
    "relu", "sigmoid", "tanh", "elu", "leaky_relu", "very_leaky_relu", "prelu",
    "rrelu", "noisy_relu", "selu",
)  # fmt: skip
"""Those to choose from: names of `hilum.nn.layers.ACTIVATIONS`."""

LIMIT_S = 120.0
"""How long a network may be trained from the page."""


def _data(_: Scene | None) -> Data:
    """Give what can be chosen."""
    return {"edge": EDGE, "activations": list(ACTIVATIONS), "limit_s": LIMIT_S}


LESSON = Lesson(
    number=11,
    key="build",
    title="Build your own",
    idea="Choose layers, see what they cost, train for up to two minutes, and judge by "
    "what the network has not seen.",
    why="The curve that counts is the one of patients left out. A network with a "
    "training loss near 0 and a rising loss elsewhere has learnt its patients by "
    "heart; with a few hundred nodules that takes seconds.",
    steps=(
        Step(
            key="layers",
            title="Layers and cost",
            text="This is `simple_cnn` of hilum: for each layer a 3 × 3 convolution, "
            "the activation, max-pooling by 2, and batch normalisation if you like; "
            "then a pyramid of 1 + 4 bins, a fully connected layer and a softmax over "
            "two classes. The table counts every row, as Keras does.",
            code="""\
from hilum.nn.models import simple_cnn

model = simple_cnn((32, 32, 1), 2, filters=(16, 32, 64), activation="relu", units=64)
model.summary()
model.count_params()""",
        ),
        Step(
            key="train",
            title="Train it",
            text="**Synthetic**: nodules of a synthetic chest against vessels and "
            "empty lung, trained on the right lung and judged on the left. **Real**: "
            "nodules that readers called malignant or benign, judged on patients left "
            "out; for these start the primer with `--nodules FOLDER`. Train several "
            "with another activation each: the list below compares them. The `.keras` "
            "file is yours to keep; `hilum export` makes OpenVINO IR of it.",
            code="""\
from hilum.primer.trainer import Plan, synthetic_data, train

plan = Plan(filters=(8, 16), activation="elu", epochs=3)
data = synthetic_data()
model, log = train(plan, data)
for row in log:
    print({name: round(value, 3) for name, value in row.items()})""",
        ),
    ),
    functions=(ops.convolution_cost, ops.dense_cost),
    layers=(
        "HUWindow",
        "Conv2D",
        "MaxPooling2D",
        "BatchNormalization",
        "SpatialPyramidPooling2D",
        "Dense",
        "Softmax",
    ),
    data=_data,
)
