"""Real inputs of a network, from nodules or scans: what int8 learns its ranges from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from hilum._optional import require
from hilum.datasets import NoduleCase, load_nodule, read_nodules
from hilum.datasets.cases import Case
from hilum.datasets.opening import open_dataset
from hilum.errors import InputError
from hilum.evaluation.networks import detected
from hilum.runtime.patches import cut_patch, patch_grid
from hilum.runtime.ratings import rating_inputs
from hilum.sources import read_ct
from hilum.space import FloatArray
from hilum.stages.lungs import LungSegmenter
from hilum.stages.nodules import NoduleDetector
from hilum.stages.nodules.marks import SIZE_MULTIPLE, padded
from hilum.stages.nodules.network import NO_LUNGS, network_region
from hilum.volume import HUArray

Inputs = npt.NDArray[np.float32] | dict[str, npt.NDArray[np.float32]]

EXAMPLES = 100
MOST_SCANS = 20
"""Of a data set so many are read, evenly spread over it."""

_EDGE = 64
_DOTS = 20

_Case = TypeVar("_Case")


def example_inputs(
    network: Path, folder: Path, *, count: int = EXAMPLES
) -> tuple[Inputs, ...]:
    """Prepare real data as a network takes them, by the preparation it is used with.

    Args:
        network: A `.keras` file of `hilum train`: of ratings, outlines or marks.
        folder: For ratings and outlines nodules, see `hilum.datasets.nodules`; for
            marks scans, a data set of any layout, see `hilum.datasets.opening`. Spread
            evenly over what it holds.
        count: How many at most.

    Returns:
        Inputs, each with the axis of the batch.

    Raises:
        InputError: The folder cannot be read, has no masks or no lungs, or the network
            is none of the three.
        WeightsError: The network cannot be loaded.
    """
    prepare = _preparation(network)
    if prepare is None:
        return scan_inputs(open_dataset(folder).cases, count=count)
    cases = [case for case in read_nodules(folder) if case.mask is not None]
    if not cases:
        raise InputError("The folder has no nodule with a mask to take examples from.")
    return tuple(prepare(case) for case in _spread(cases, count))


def inputs_of(network: Path, cases: Sequence[NoduleCase]) -> tuple[Inputs, ...]:
    """Prepare these nodules, which have masks, as `example_inputs` does a folder's."""
    prepare = _preparation(network)
    if prepare is None:
        raise InputError(
            f"`{network.name}` marks nodules in scans; give scans, not nodules."
        )
    return tuple(prepare(case) for case in cases)


def scan_inputs(
    cases: Sequence[Case], *, count: int = EXAMPLES
) -> tuple[npt.NDArray[np.float32], ...]:
    """Cut blocks out of scans as the detector sees them.

    Of the blocks of a scan every second, from the first on, lies where most looks like
    a nodule by the dot filter, for what answers strongest must not be cut off; the
    others anywhere near the lungs, for bone and heart answer too.

    Args:
        cases: `MOST_SCANS` are read, spread evenly; others in place of those that
            cannot be read or show no lungs.
        count: How many blocks, the same number of each scan or one more.

    Returns:
        (1, 64, 64, 64, 1) each, or less where a scan is smaller.

    Raises:
        InputError: No scan gives anything.
    """
    scans, error = [], ""
    first = _spread(range(len(cases)), MOST_SCANS)
    for n in (*first, *(n for n in range(len(cases)) if n not in first)):
        try:
            scans.append(_seen(cases[n]))
        except InputError as problem:
            error = error or str(problem)
        if len(scans) == MOST_SCANS:
            break
    if not scans:
        raise InputError(
            f"None of the {len(cases)} scans can be used. "
            + (f"The first: {error} " if error else "")
            + "To calibrate a detector give scans as `hilum train nodules` takes them."
        )
    rng = np.random.default_rng(0)
    return tuple(
        scans[n % len(scans)].block(n // len(scans), rng) for n in range(count)
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Scan:
    """A scan as the detector sees it.

    Attributes:
        hu: (1, slice, row, column, 1) int16, for there are many in memory.
        dots: (n, 3) voxels where most looks like a nodule, the strongest first.
    """

    hu: HUArray
    dots: FloatArray

    def block(self, number: int, rng: np.random.Generator) -> npt.NDArray[np.float32]:
        """Cut a block; it begins at a multiple of the detector's coarsest cells."""
        room = np.maximum(np.array(self.hu.shape[1:4]) - _EDGE, 0) // SIZE_MULTIPLE
        steps = rng.integers(room + 1)
        if number % 2 == 0 and number // 2 < len(self.dots):
            middle = self.dots[number // 2] - _EDGE / 2
            steps = np.clip(np.rint(middle / SIZE_MULTIPLE).astype(int), 0, room)
        z, y, x = (slice(at, at + _EDGE) for at in (SIZE_MULTIPLE * steps).tolist())
        return np.ascontiguousarray(self.hu[:, z, y, x], np.float32)


def _seen(case: Case) -> _Scan:
    """Read a scan as the detector sees it.

    Raises:
        InputError: It cannot be read, or shows no lungs.
    """
    volume = read_ct(case.source, series_uid=case.series_uid)
    lungs = LungSegmenter()(volume)
    region = network_region(volume, lungs)
    if region is None:
        raise InputError(NO_LUNGS)
    dots = NoduleDetector(weights="", max_candidates=_DOTS)(volume, lungs)
    places = np.array([dot.center_mm for dot in dots]).reshape(-1, 3)
    hu = padded(region.hu).astype(np.int16)
    return _Scan(hu, region.grid.to_index(places))


def _spread(cases: Sequence[_Case], count: int) -> Sequence[_Case]:
    """Take at most so many, evenly spread."""
    wanted = min(count, len(cases))
    return [cases[n * len(cases) // wanted] for n in range(wanted)]


def _preparation(network: Path) -> Callable[[NoduleCase], Inputs] | None:
    """Tell how a network is shown a nodule; None for one that is shown scans."""
    from hilum.runtime.predictor import Predictor  # noqa: PLC0415  needs Keras

    Predictor(network)  # refuses what is not to be trusted
    keras = require("keras", extra="train", to="to export networks")
    model = keras.models.load_model(network, compile=False, safe_mode=True)
    names = {tensor.name.split(":")[0] for tensor in model.inputs}
    sizes = tuple(model.inputs[0].shape[1:])
    if names == {"features", "hu", "mask"}:
        return _rated
    if len(names) > 1 or len(sizes) != 4:
        raise InputError(
            f"`{network.name}` takes {sorted(names)}; examples are known for networks "
            "of ratings, outlines and marks alone."
        )
    return None if None in sizes else _outlined


def _rated(case: NoduleCase) -> dict[str, npt.NDArray[np.float32]]:
    """Prepare a nodule as `rate_nodule` does."""
    return rating_inputs(*load_nodule(case))


def _outlined(case: NoduleCase) -> Any:
    """Prepare a nodule as `outline_nodule` does."""
    volume, mask = load_nodule(case)
    grid = patch_grid(*detected(case, volume, mask))
    return cut_patch(volume, grid)[None]
