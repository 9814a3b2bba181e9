"""Real inputs of a network, from nodules: what int8 learns its ranges from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hilum._optional import require
from hilum.datasets import NoduleCase, load_nodule, read_nodules
from hilum.errors import InputError
from hilum.evaluation.networks import detected
from hilum.runtime.patches import cut_patch, patch_grid
from hilum.runtime.ratings import rating_inputs
from hilum.stages.nodules.marks import padded

Inputs = npt.NDArray[np.float32] | dict[str, npt.NDArray[np.float32]]

DETECTOR_VOXEL_MM = 1.0
EXAMPLES = 100


def example_inputs(
    network: Path, folder: Path, *, count: int = EXAMPLES
) -> tuple[Inputs, ...]:
    """Prepare nodules as a network takes them, by the preparation that it is used with.

    Args:
        network: A `.keras` file of `hilum train`: of ratings, outlines or marks.
        folder: See `hilum.datasets.nodules`; spread evenly over its nodules.
        count: How many at most.

    Returns:
        Inputs, each with the axis of the batch.

    Raises:
        InputError: The folder cannot be read, has no masks, or the network is none of
            the three.
        WeightsError: The network cannot be loaded.
    """
    cases = [case for case in read_nodules(folder) if case.mask is not None]
    if not cases:
        raise InputError("The folder has no nodule with a mask to take examples from.")
    return inputs_of(network, cases[:: max(len(cases) // count, 1)][:count])


def inputs_of(network: Path, cases: Sequence[NoduleCase]) -> tuple[Inputs, ...]:
    """Prepare these nodules, which have masks, as `example_inputs` does a folder's."""
    from hilum.runtime.predictor import Predictor  # noqa: PLC0415  needs Keras

    Predictor(network)  # refuses what is not to be trusted
    keras = require("keras", extra="train", to="to export networks")
    model = keras.models.load_model(network, compile=False, safe_mode=True)
    names = {tensor.name.split(":")[0] for tensor in model.inputs}
    sizes = tuple(model.inputs[0].shape[1:])
    if names == {"features", "hu", "mask"}:
        prepare: Callable[[NoduleCase], Inputs] = _rated
    elif len(names) > 1 or len(sizes) != 4:
        raise InputError(
            f"`{network.name}` takes {sorted(names)}; examples are known for networks "
            "of ratings, outlines and marks alone."
        )
    else:
        prepare = _scanned if None in sizes else _outlined
    return tuple(prepare(case) for case in cases)


def _rated(case: NoduleCase) -> dict[str, npt.NDArray[np.float32]]:
    """Prepare a nodule as `rate_nodule` does."""
    return rating_inputs(*load_nodule(case))


def _outlined(case: NoduleCase) -> Any:
    """Prepare a nodule as `outline_nodule` does."""
    volume, mask = load_nodule(case)
    grid = patch_grid(*detected(case, volume, mask))
    return cut_patch(volume, grid)[None]


def _scanned(case: NoduleCase) -> Any:
    """Prepare what lies around a nodule as the detector does a scan."""
    volume, _ = load_nodule(case)
    cubes = volume.grid.regrid((DETECTOR_VOXEL_MM,) * 3)
    return padded(volume.resample_to(cubes).hu)
