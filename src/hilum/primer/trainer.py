"""Train the article's small network for the page: a process of its own.

    python -m hilum.primer.trainer PLAN.json FOLDER

FOLDER gets `log.jsonl`, a line an epoch, and at the end `model.keras`. The process
stops by itself at the plan's time limit, and at the end of an epoch when `stop` is
in FOLDER.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import numpy.typing as npt

from hilum._optional import require
from hilum.errors import InputError
from hilum.phantom import PhantomSettings, make_phantom, place_lesions
from hilum.phantom.placing import Plan as LesionPlan
from hilum.primer.lessons.build import ACTIVATIONS, EDGE, LIMIT_S

Floats = npt.NDArray[np.float32]
Row = dict[str, float]

MALIGNANT_FROM, BENIGN_UP_TO = 3.5, 2.5
"""Mean ratings that count; what lies between is left out, as in docs/explanation."""

LESIONS = 36
SEED = 11
VIEWS = 6
"""Shifted and mirrored views of each synthetic place."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to train, and for how long.

    Attributes:
        filters: Of each convolution, 1 to 4 of them, each 1 to 64.
        activation: A name out of `hilum.primer.lessons.build.ACTIVATIONS`.
        batch_norm: Whether to normalise after each pooling.
        units: Of the fully connected layer, 1 to 256.
        rate: Of Adam, 0.00001 to 0.1.
        epochs: At most, 1 to 500.
        limit_s: At most, 1 to 120 seconds.
        data: "synthetic" or "nodules".
        seed: Of weights and order.

    Raises:
        InputError: A value is out of its range.
    """

    filters: tuple[int, ...] = (16, 32, 64)
    activation: str = "relu"
    batch_norm: bool = True
    units: int = 64
    rate: float = 0.001
    epochs: int = 30
    limit_s: float = LIMIT_S
    data: str = "synthetic"
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what cannot be trained in a page."""
        checks = {
            "filters": (
                1 <= len(self.filters) <= 4 and all(1 <= n <= 64 for n in self.filters),
                "1 to 4 numbers from 1 to 64",
            ),
            "activation": (
                self.activation in ACTIVATIONS,
                f"one of {', '.join(ACTIVATIONS)}",
            ),
            "units": (1 <= self.units <= 256, "from 1 to 256"),
            "rate": (1e-5 <= self.rate <= 0.1, "from 0.00001 to 0.1"),
            "epochs": (1 <= self.epochs <= 500, "from 1 to 500"),
            "limit_s": (1 <= self.limit_s <= LIMIT_S, f"from 1 to {LIMIT_S:g}"),
            "data": (self.data in ("synthetic", "nodules"), "synthetic or nodules"),
            "seed": (0 <= self.seed < 2**31, "a whole number from 0"),
        }
        for name, (fine, need) in checks.items():
            if not fine:
                raise InputError(
                    f"`{name}` of the network is {getattr(self, name)!r}; it must be "
                    f"{need}."
                )


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Data:
    """What to learn from, and what to be judged on.

    Attributes:
        hu: (n, 32, 32, 1) float32.
        truth: (n,) 0 or 1.
        held_out: (n,) True for those that are not trained on.
    """

    hu: Floats
    truth: npt.NDArray[np.int64]
    held_out: npt.NDArray[np.bool_]


def synthetic_data() -> Data:
    """Cut nodules, and lung without, out of a synthetic chest.

    The left lung is held out: no nodule and no vessel is on both sides.
    """
    hu, truth, left = _chest_patches(SEED)
    return Data(hu=hu[..., None], truth=truth, held_out=left)


def _chest_patches(seed: int) -> tuple[Floats, Any, Any]:
    """Cut views of each lesion, and as many of dense places of lung without one."""
    rng = np.random.default_rng(seed)
    plans = [LesionPlan(diameter_mm=float(d)) for d in rng.uniform(4, 12, LESIONS)]
    settings = PhantomSettings(
        seed=seed, shape=(90, 200, 200), spacing_mm=(3.0, 1.6, 1.6)
    )
    phantom = make_phantom(settings, place_lesions(seed, plans))
    volume, grid = phantom.volume.hu, phantom.volume.grid
    centers = np.array([t.center_mm for t in phantom.truths])
    index = np.rint(grid.to_index(centers)).astype(int)
    inside = phantom.lungs.voxels > 0
    dense = np.argwhere(inside & (volume > -500))  # vessels, and walls of nodules
    plain = np.argwhere(inside)
    others = np.concatenate(
        [
            dense[rng.permutation(len(dense))[: 40 * LESIONS]],
            plain[rng.permutation(len(plain))[: 2 * LESIONS]],
        ]
    )
    world = grid.to_world(others)
    apart = np.linalg.norm(world[:, None] - centers[None], axis=-1).min(axis=1) > 18
    others = others[apart]
    others = others[rng.permutation(len(others))[: len(index)]]
    hu, truth, left = [], [], []
    for places, kind in ((index, 1), (others, 0)):
        for place in places:
            side = grid.to_world(place)[0] > 0
            for _ in range(VIEWS):
                patch = _view(volume, place, rng)
                if patch is not None:
                    hu.append(patch)
                    truth.append(kind)
                    left.append(side)
    return np.array(hu, np.float32), np.array(truth), np.array(left)


def _view(volume: Any, place: Any, rng: np.random.Generator) -> Floats | None:
    """Cut one slice around a place, shifted by up to 4 pixels, perhaps mirrored."""
    z, row, column = place + np.append(0, rng.integers(-4, 5, 2))
    half = EDGE // 2
    patch = volume[z, row - half : row + half, column - half : column + half]
    if patch.shape != (EDGE, EDGE):
        return None
    step = int(rng.choice([-1, 1]))
    return np.asarray(patch[:, ::step], np.float32)


def nodule_data(folder: Path) -> Data:
    """Take the middle slices of rated nodules; a third of the patients is held out.

    Args:
        folder: With nodules.csv, image/ and nodule_mask/, as `hilum train` takes it.

    Raises:
        InputError: The folder cannot be read, or has too few rated nodules.
    """
    from hilum.datasets import (  # noqa: PLC0415  slow to import
        folds_by_patient,
        load_nodule,
        read_nodules,
    )
    from hilum.features import surround  # noqa: PLC0415
    from hilum.features.patches import sample_patch  # noqa: PLC0415

    cases = []
    for case in read_nodules(folder):
        rating = case.ratings.malignancy
        if rating is not None and not BENIGN_UP_TO < rating < MALIGNANT_FROM:
            cases.append(case)
    if len(cases) < 20:
        raise InputError(
            f"{len(cases)} nodules of that folder are rated clearly malignant or "
            "benign; training needs at least 20."
        )
    size = (1, EDGE, EDGE)
    patches = [sample_patch(surround(*load_nodule(c)), size=size) for c in cases]
    return Data(
        hu=np.array([p.hu[0][..., None] for p in patches], np.float32),
        truth=np.array(
            [(c.ratings.malignancy or 0) >= MALIGNANT_FROM for c in cases]
        ).astype(np.int64),
        held_out=folds_by_patient(cases, 3, 0) == 0,
    )


def train(
    plan: Plan, data: Data, *, said: Callable[[Row], bool] | None = None
) -> tuple[Any, list[Row]]:
    """Train, and judge after each epoch.

    Args:
        plan: What and for how long.
        data: What to learn from.
        said: Called with each epoch's row; training stops when it gives False.

    Returns:
        The Keras model, and of each epoch `loss`, `accuracy`, `val_loss`,
        `val_accuracy` and `seconds` since the start.

    Raises:
        MissingDependencyError: Keras is not installed.
    """
    keras = require("keras", extra="train", to="to train a network")
    model = _compiled(plan)
    log: list[Row] = []
    start = perf_counter()

    def after(_: int, logs: Mapping[str, float] | None = None) -> None:
        row = {name: float(value) for name, value in (logs or {}).items()}
        row["seconds"] = perf_counter() - start
        # the first epoch also compiles, and so tells nothing of the next
        next_s = row["seconds"] - log[-1]["seconds"] if log else 0.0
        log.append(row)
        go_on = said(row) if said else True
        if not go_on or row["seconds"] + next_s > plan.limit_s:
            model.stop_training = True

    out = data.held_out
    model.fit(
        data.hu[~out], data.truth[~out], batch_size=32, epochs=plan.epochs, verbose=0,
        validation_data=(data.hu[out], data.truth[out]),
        callbacks=[keras.callbacks.LambdaCallback(on_epoch_end=after)],
    )  # fmt: skip
    return model, log


def _compiled(plan: Plan) -> Any:
    """Build the network that a plan describes, ready to be trained."""
    keras = require("keras", extra="train", to="to train a network")
    from hilum.nn.models import simple_cnn  # noqa: PLC0415  needs Keras

    keras.utils.set_random_seed(plan.seed)
    model = simple_cnn(
        (EDGE, EDGE, 1),
        2,
        filters=plan.filters,
        activation=plan.activation,
        batch_norm=plan.batch_norm,
        units=plan.units,
    )
    model.compile(
        keras.optimizers.Adam(plan.rate),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
        jit_compile=False,
    )
    return model


def parse_plan(tree: Any) -> Plan:
    """Read a plan from JSON.

    Raises:
        InputError: It is not an object, or a value does not fit.
    """
    known = {
        "filters": tuple, "activation": str, "batch_norm": bool, "units": int,
        "rate": float, "epochs": int, "limit_s": float, "data": str, "seed": int,
    }  # fmt: skip
    if not isinstance(tree, dict) or set(tree) - set(known):
        raise InputError(
            f"A network is described by an object with some of {', '.join(known)}."
        )
    try:
        given = {name: known[name](value) for name, value in tree.items()}
        if "filters" in given:
            given["filters"] = tuple(int(n) for n in given["filters"])
    except (TypeError, ValueError, OverflowError) as error:
        raise InputError(
            f"The network's description cannot be read: {error}."
        ) from error
    return Plan(**given)


def main(argv: list[str]) -> None:
    """Train as the plan in a file says, and keep a log."""
    tree = json.loads(Path(argv[0]).read_text(encoding="utf-8"))
    nodules, folder = tree.pop("nodules", None), Path(argv[1])
    plan = parse_plan(tree)
    stop = folder / "stop"

    with (folder / "log.jsonl").open("a", encoding="utf-8") as log:

        def said(row: Row) -> bool:
            log.write(json.dumps(row) + "\n")
            log.flush()
            return not stop.exists()

        data = (
            nodule_data(Path(nodules)) if plan.data == "nodules" else synthetic_data()
        )
        model, _ = train(plan, data, said=said)
    model.save(folder / "part.keras")
    (folder / "part.keras").replace(folder / "model.keras")


if __name__ == "__main__":
    main(sys.argv[1:])
