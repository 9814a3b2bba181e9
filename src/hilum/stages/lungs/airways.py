"""Trachea and main bronchi, followed from the neck down into the lungs.

On an axial slice the lumen is a dark disc with a wall around it, apart from the
lungs down to the hilum. So a chain of overlapping discs is the trachea, and what
hangs on it below, for as long as it stays small, are the bronchi.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from hilum.stages.lungs.thorax import BoolArray, Thorax

LUMEN_HU = -750
DISC_HU = -850
DISC_MM2 = (40.0, 700.0)
LARGEST_MM2 = 800.0
CHAIN_MM = 25.0
# a disc fills more of its bounding box, and is less drawn out, than a sliver
FILLED = 0.45
DRAWN_OUT = 2.5


@dataclass(frozen=True, slots=True, eq=False)
class _Slice:
    """Lumen of one axial slice in parts; index 0 of each array is background."""

    parts: npt.NDArray[np.integer]
    area_mm2: npt.NDArray[np.floating]
    mean_hu: npt.NDArray[np.floating]

    def overlapping(self, mask: BoolArray) -> npt.NDArray[np.intp]:
        """How many pixels of each part lie in a mask."""
        hits = np.bincount(self.parts[mask], minlength=self.area_mm2.size)
        hits[0] = 0
        return hits


@dataclass(slots=True)
class _Chain:
    """Discs on successive slices, from the highest down."""

    top: int
    discs: list[int] = field(default_factory=list)


def find_airways(thorax: Thorax, aerated: BoolArray) -> BoolArray:
    """Find the lumen of trachea and main bronchi.

    Args:
        thorax: The chest on cubes.
        aerated: Lungs and airways together.

    Returns:
        (slice, row, column) bool; empty where no trachea is seen.
    """
    slices = [
        _split(hu, lung, thorax.spacing_mm)
        for hu, lung in zip(thorax.hu, aerated, strict=True)
    ]
    columns = np.flatnonzero(aerated.any(axis=(0, 1)))
    airways = np.zeros(aerated.shape, np.bool_)
    if not columns.size:
        return airways
    third = (columns[-1] - columns[0]) / 3
    middle = (columns[0] + third, columns[-1] - third)
    chain = _longest_chain(slices, middle)
    if len(chain.discs) * thorax.spacing_mm < CHAIN_MM:
        return airways
    for step, part in enumerate(chain.discs):
        airways[chain.top - step] = slices[chain.top - step].parts == part
    bottom = chain.top - len(chain.discs) + 1
    _follow(airways, slices, range(chain.top + 1, len(slices)), -1)
    _follow(airways, slices, range(bottom - 1, -1, -1), 1)
    return airways


def _split(hu: npt.NDArray[np.int16], lung: BoolArray, spacing_mm: float) -> _Slice:
    """Label the lumen on one slice and measure its parts."""
    import cc3d  # noqa: PLC0415  slow to import

    parts = cc3d.connected_components(lung & (hu < LUMEN_HU), connectivity=4)
    count = int(parts.max()) + 1
    pixels = np.bincount(parts.ravel(), minlength=count)
    total = np.bincount(parts.ravel(), weights=hu.ravel(), minlength=count)
    return _Slice(parts, pixels * spacing_mm**2, total / np.maximum(pixels, 1))


def _longest_chain(slices: list[_Slice], middle: tuple[float, float]) -> _Chain:
    """Chain discs that overlap and change little in size; give the longest."""
    best = _Chain(0)
    open_chains: list[_Chain] = []
    for z in range(len(slices) - 1, -1, -1):
        here = slices[z]
        going_on: list[_Chain] = []
        taken: set[int] = set()
        for chain in open_chains:
            above, last = slices[z + 1], chain.discs[-1]
            part = int(np.argmax(here.overlapping(above.parts == last)))
            change = here.area_mm2[part] / above.area_mm2[last]
            free = part > 0 and part not in taken
            if free and 0.5 <= change <= 2 and _may_be_disc(here, part):
                chain.discs.append(part)
                taken.add(part)
                going_on.append(chain)
        for part in range(1, here.area_mm2.size):
            new = part not in taken and _may_be_disc(here, part)
            if new and _is_round(here.parts == part, middle):
                going_on.append(_Chain(z, [part]))
        best = max([best, *going_on], key=lambda chain: len(chain.discs))
        open_chains = going_on
    return best


def _may_be_disc(here: _Slice, part: int) -> bool:
    """Tell whether a part is as large and as dark as the trachea may be."""
    low, high = DISC_MM2
    return bool(low <= here.area_mm2[part] <= high and here.mean_hu[part] < DISC_HU)


def _is_round(disc: BoolArray, middle: tuple[float, float]) -> bool:
    """Tell whether a part is compact and lies in the middle third of the chest."""
    y, x = np.nonzero(disc)
    height, width = np.ptp(y) + 1, np.ptp(x) + 1
    return bool(
        middle[0] <= x.mean() <= middle[1]
        and disc.sum() >= FILLED * height * width
        and max(height, width) <= DRAWN_OUT * min(height, width)
    )


def _follow(airways: BoolArray, slices: list[_Slice], places: range, back: int) -> None:
    """Carry the airways on over slices, for as long as parts stay small."""
    for z in places:
        here = slices[z]
        hits = here.overlapping(airways[z + back])
        goes_on = (hits > 0) & (here.area_mm2 <= LARGEST_MM2)
        goes_on &= here.mean_hu < DISC_HU
        if not goes_on.any():
            return
        airways[z] = goes_on[here.parts]
