"""What reconstruction does to a slice: its sharpness and its noise.

A kernel is a modulation transfer function (MTF) over frequency. The slice goes
through it as it is; the noise goes through a ramp times it, as in filtered back
projection, which gives the grain that a CT has and white noise has not.

Sources:
    Riederer, Pelc, Chesler, "The noise power spectrum in computed X-ray
    tomography", Phys Med Biol 23:446, 1978: power ~ f * MTF(f)^2.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hilum.phantom.settings import Kernel, PhantomSettings

Floats = npt.NDArray[np.float32]

BODY_HALF_MM = (165.0, 112.0)
"""Half axes (x, y) of the ellipse through which most X-rays are lost."""
SHOULDER_MM = 100.0
"""Height above which shoulders add noise and streaks."""


def transfer(frequency: npt.NDArray[np.float64], kernel: Kernel) -> Floats:
    """Give the MTF of a reconstruction kernel, 1 at frequency 0.

    Args:
        frequency: Cycles per mm.
        kernel: "soft" falls from the start (half at 0.38 per mm); "sharp"
            first rises, by a quarter, which draws the bright rim at edges.
    """
    if kernel == "soft":
        return np.asarray(0.5 ** ((frequency / 0.38) ** 2), dtype=np.float32)
    f = (frequency / 0.62) ** 2
    return np.asarray((1 + 2.1 * f) * np.exp(-1.25 * f), dtype=np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class Reconstruction:
    """The two filters of one scan, on the frequencies of its slices.

    Attributes:
        settings: Of the scan.
        sharpness: (row, column // 2 + 1) MTF.
        grain: The same, spectrum of the noise, for noise of deviation 1.
        streaks: The same, for the level streaks between the shoulders.
    """

    settings: PhantomSettings
    sharpness: Floats
    grain: Floats
    streaks: Floats

    @classmethod
    def of(cls, settings: PhantomSettings) -> Reconstruction:
        """Make the filters of a scan."""
        _, rows, columns = settings.shape
        _, row_mm, column_mm = settings.spacing_mm
        v = np.fft.fftfreq(rows, row_mm)[:, None]
        u = np.fft.rfftfreq(columns, column_mm)[None, :]
        f = np.hypot(u, v)
        sharpness = transfer(f, settings.kernel)
        grain = np.sqrt(f + 0.02) * sharpness
        level = np.exp(-((u / (0.12 * np.abs(v) + 0.01)) ** 2)) * grain
        return cls(settings, sharpness, _to_unit(grain), _to_unit(level))

    def __call__(self, slice_hu: Floats, number: int) -> Floats:
        """Reconstruct one slice.

        Args:
            slice_hu: (row, column) true density.
            number: Of the slice; each has its own noise.

        Returns:
            (row, column) float32 HU.
        """
        from scipy import fft  # noqa: PLC0415  slow to import

        shape = slice_hu.shape
        spectrum = fft.rfft2(slice_hu) * self.sharpness
        sharp = np.asarray(fft.irfft2(spectrum, shape), dtype=np.float32)
        if self.settings.noise_hu == 0:
            return sharp
        rows, columns, shoulder = self._loss(number)
        white = fft.rfft2(self._white(number))
        noise = fft.irfft2(white * (self.grain + shoulder * self.streaks), shape)
        loss = 0.45 + 0.55 * np.outer(rows, columns) * (1 + 0.7 * shoulder)
        noise *= self.settings.noise_hu * loss.astype(np.float32)
        return np.asarray(sharp + noise, dtype=np.float32)

    def _white(self, number: int) -> Floats:
        """White noise; slices that overlap share part of it."""
        known = self.settings
        shared = max(1, min(8, round(known.thickness_mm / known.spacing_mm[0])))
        total = np.zeros(known.shape[1:], np.float32)
        for k in range(number, number + shared):
            rng = np.random.Generator(np.random.SFC64([known.seed, known.scan, 99, k]))
            total += rng.standard_normal(total.shape, dtype=np.float32)
        return np.asarray(total / np.sqrt(shared), dtype=np.float32)

    def _loss(self, number: int) -> tuple[Floats, Floats, float]:
        """How much of the beam is lost along rows and columns, and at shoulders."""
        known = self.settings
        grid = known.grid
        middle = grid.to_world([number, (known.shape[1] - 1) / 2, 0])
        y = grid.to_world([[number, i, 0] for i in range(known.shape[1])])[:, 1]
        x = grid.to_world([[number, 0, j] for j in range(known.shape[2])])[:, 0]
        rows = np.exp(-1.1 * ((y - known.shift_mm[1]) / BODY_HALF_MM[1]) ** 2)
        columns = np.exp(-1.1 * ((x - known.shift_mm[0]) / BODY_HALF_MM[0]) ** 2)
        above = middle[2] - known.shift_mm[2] - SHOULDER_MM
        shoulder = 1 / (1 + np.exp(-above / 12))
        return rows.astype(np.float32), columns.astype(np.float32), float(shoulder)


def _to_unit(half: npt.NDArray[np.float64]) -> Floats:
    """Scale a filter so that white noise of deviation 1 keeps it."""
    power = half**2
    # a real spectrum: each column but the first (and last) counts twice
    total = 2 * power.sum() - power[:, 0].sum()
    mean = total / (half.shape[0] * (2 * half.shape[1] - 1))
    return np.asarray(half / np.sqrt(mean), dtype=np.float32)
