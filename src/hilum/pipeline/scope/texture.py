"""Reconstruction kernel and metal, by the noise that they leave.

Noise is the deviation within blocks of 8 by 8 pixels. Of the eleven scans (kernels GE
STANDARD and BONE, Siemens B30f and B41f) that of soft tissue is 9 to 66 HU, and that of
neighbouring pixels correlates by 0.02 to 0.53; the 804 nodules of LIDC-IDRI that the
networks also learned from have more kernels, soft and sharp.

Contrast agent in the veins reaches 3000 HU as metal does (11 cm3 in one of the scans),
without streaks: at most 0.2 % of the lung lies on slices where its noise rises by half.
"""

from __future__ import annotations

import re

import numpy as np
import numpy.typing as npt

from hilum._threads import in_threads
from hilum.findings import ScopeCheck
from hilum.pipeline.scope.checks import Rule, named
from hilum.volume import CTVolume, Mask

NOISE = Rule(
    code="noise",
    unit="HU",
    at_most=100.0,
    decides=False,
    why="Noisier than any scan that the networks learned from.",
)
SHARPNESS = Rule(
    code="sharpness",
    unit="",
    at_least=-0.3,
    at_most=0.8,
    decides=False,
    why="The reconstruction kernel is unlike those that the networks learned from "
    "(LIDC-IDRI and QIN: soft and sharp kernels of the chest).",
    digits=2,
)
METAL = Rule(
    code="metal",
    unit="cm3",
    at_most=25.0,
    decides=False,
    why="Metal hides what lies beside it.",
)
STREAKS = Rule(
    code="metal-streaks",
    unit="%",
    at_most=10.0,
    why="Streaks of metal hide nodules and pass for some.",
)

METAL_HU = 3000
METAL_CM2 = 0.2
"""So much of a slice is metal before streaks are looked for."""

STREAKY = 1.5
"""Noise of the lung, as multiple of that on slices without metal."""

BLOCK = 8
SLICES = 10
LEAST_BLOCKS = 20
LEAST_NOISE_HU = 3.0
TISSUE_HU = (-210, 290)
LUNG_HU = (-1024, -500)

KERNELS = re.compile(
    r"^(SOFT|STANDARD|STND|CHEST|DETAIL|LUNG|BONE|BONEPLUS|EDGE"
    r"|[BI]\d\d[FSUHR]?.*|B[LFRV]\d\d.*|Q[R]\d\d.*|[A-E]|L|Y[ABC]|FC\d\d.*|PHANTOM.*)$"
)
"""Names of chest kernels of GE, Siemens, Philips and Toshiba, and of the phantom."""

Planes = npt.NDArray[np.float32]


def check_texture(volume: CTVolume, lungs: Mask) -> list[ScopeCheck]:
    """Judge the noise of a scan and what metal does to it.

    Args:
        volume: The CT.
        lungs: 1 right lung, 2 left lung, on its grid.
    """
    found: list[ScopeCheck] = []
    area = _lung_pixels(lungs)
    held = np.flatnonzero(area)
    if held.size:
        some = held[np.linspace(0, held.size - 1, SLICES).astype(int)]
        noise, together = _tissue_noise(volume, some)
        if noise is not None:
            found.append(NOISE("Soft tissue has a noise of {}", noise))
        if together is not None:
            said = "Noise of neighbouring pixels correlates by {}"
            found.append(SHARPNESS(said, together))
    kernel = volume.acquisition.kernel
    if kernel:
        known = KERNELS.match(kernel.strip().upper()) is not None
        more = "" if known else ", no kernel of the chest that is known here"
        text = f"The reconstruction kernel is `{kernel}`{more}."
        found.append(named("kernel", message=text, passed=known))
    return found + _check_metal(volume, lungs, area)


def _check_metal(
    volume: CTVolume, lungs: Mask, area: npt.NDArray[np.int64]
) -> list[ScopeCheck]:
    """Measure metal, and on how much of the lung it leaves streaks."""
    count = np.zeros(len(volume.hu), np.int64)

    def part(first: int, last: int) -> None:
        for z in range(first, last):
            count[z] = np.count_nonzero(volume.hu[z] > METAL_HU)

    in_threads(part, len(count))
    cm3 = float(count.sum()) * volume.grid.voxel_mm3 / 1000
    found = [METAL(f"{{}} lie above {METAL_HU} HU", cm3)]
    if not area.any():
        return found
    pixel_cm2 = volume.grid.spacing_mm[1] * volume.grid.spacing_mm[2] / 100
    metal = (count * pixel_cm2 > METAL_CM2) & (area > 0)
    clear = np.flatnonzero((area > 0) & ~metal)
    streaky = 0.0
    if metal.any() and clear.size:
        some = clear[np.linspace(0, clear.size - 1, SLICES).astype(int)]
        usual = np.nanmedian([_lung_noise(volume, lungs, z) for z in some.tolist()])
        at = [z for z in np.flatnonzero(metal).tolist()
              if _lung_noise(volume, lungs, z) > STREAKY * usual]  # fmt: skip
        streaky = float(area[at].sum() / area.sum())
    said = "{} of the lung lie on slices with metal and more noise than elsewhere"
    return [*found, STREAKS(said, 100 * streaky)]


def _tissue_noise(
    volume: CTVolume, slices: npt.NDArray[np.int64]
) -> tuple[float | None, float | None]:
    """Measure noise in soft tissue, and how alike that of neighbours is.

    The quieter quarter of the blocks counts: in others there are vessels or edges.
    """
    low, high = TISSUE_HU
    blocks = [_blocks(volume.hu[z]) for z in slices.tolist()]
    every = np.concatenate(blocks) if blocks else np.zeros((0, BLOCK, BLOCK))
    soft = (every.min(axis=(1, 2)) > low) & (every.max(axis=(1, 2)) < high)
    if soft.sum() < LEAST_BLOCKS:  # loud noise leaves the limits: the mean decides
        mean = every.mean(axis=(1, 2))
        soft = (mean > low / 4) & (mean < high / 2)
    if soft.sum() < LEAST_BLOCKS:
        return None, None
    left = every[soft] - every[soft].mean(axis=(1, 2), keepdims=True)
    square = (left**2).mean(axis=(1, 2))
    quiet = left[square <= np.quantile(square, 0.25)]
    noise = float(np.sqrt((quiet**2).mean() * BLOCK**2 / (BLOCK**2 - 1)))
    if noise < LEAST_NOISE_HU:
        return noise, None
    together = (quiet[:, :, 1:] * quiet[:, :, :-1]).mean() / (quiet**2).mean()
    return noise, float(together)


def _lung_noise(volume: CTVolume, lungs: Mask, z: int) -> float:
    """Measure the usual noise of the lung on one slice; NaN where there is little."""
    inside = _blocks(lungs.voxels[z] > 0).min(axis=(1, 2)) > 0
    if inside.sum() < LEAST_BLOCKS:
        return float("nan")
    lung = np.clip(_blocks(volume.hu[z])[inside], *LUNG_HU)
    return float(np.median(lung.std(axis=(1, 2))))


def _blocks(plane: npt.NDArray[np.generic]) -> Planes:
    """Cut a slice into blocks: (n, 8, 8) float32."""
    rows, columns = (n // BLOCK for n in plane.shape)
    whole = plane[: rows * BLOCK, : columns * BLOCK]
    cut = whole.reshape(rows, BLOCK, columns, BLOCK).swapaxes(1, 2)
    return cut.reshape(-1, BLOCK, BLOCK).astype(np.float32)


def _lung_pixels(lungs: Mask) -> npt.NDArray[np.int64]:
    """Count the pixels of lung on each slice, on a fourth of the pixels."""
    some = lungs.voxels[:, ::2, ::2]
    return np.asarray(np.count_nonzero(some, axis=(1, 2)), dtype=np.int64)
