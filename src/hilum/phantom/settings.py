"""What to scan and how: the settings of a phantom."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal

import numpy as np

from hilum.errors import InputError
from hilum.findings import Point
from hilum.space import Grid, Index, Spacing

MOST_ALONG_AXIS = 4096
MOST_VOXELS = 1 << 30
"""Three gigabytes for the volume and its lung mask."""
Kernel = Literal["soft", "sharp"]
NOISE_HU = {"soft": 16.0, "sharp": 45.0}
"""Noise in the middle of the body at dose 1 and 2.5 mm slices."""
FIRST_SCAN = date(2020, 1, 15)
MONTHS_BETWEEN_SCANS = 3
CENTER_MM = (0.0, -2.0, -8.0)
"""Point (x, y, z) of the chest that lies in the middle of the scan."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PhantomSettings:
    """One scan of one synthetic person.

    Attributes:
        seed: Who: anatomy, and where lesions go. The same seed is the same
            person at any spacing, dose or tilt.
        shape: Voxels along (slice, row, column).
        spacing_mm: Distance of voxel centres along (slice, row, column); with
            tilt, slices are this far apart along the table.
        slice_thickness_mm: Thickness over which a slice averages; None for the
            slice spacing.
        kernel: Reconstruction kernel: "soft", or "sharp" with crisper edges
            and more and finer noise.
        dose: Relative dose, 0.001 to 1000; noise falls with its square root. `inf` is a
            scan without noise.
        tilt_deg: Gantry tilt; > 0 raises the back of each slice to the head.
        blood_hu: Density of blood: about 45, or 150 to 400 with contrast.
        couch: Whether the patient lies on a couch.
        scan: Number of this scan of the person; another number is another day,
            with other noise.
        shift_mm: How far (x, y, z) the person lies from where the first scan had
            them; world points of truths move along.
        breath_mm: How much deeper the breath is than at the first scan: how far
            the diaphragm sinks, -30 to 30; see `breathing`.

    Raises:
        InputError: A value is out of its range.
    """

    seed: int = 0
    shape: Index = (240, 512, 512)
    spacing_mm: Spacing = (1.5, 0.7, 0.7)
    slice_thickness_mm: float | None = None
    kernel: Kernel = "soft"
    dose: float = 1.0
    tilt_deg: float = 0.0
    blood_hu: int = 45
    couch: bool = True
    scan: int = 1
    shift_mm: Point = (0.0, 0.0, 0.0)
    breath_mm: float = 0.0

    def __post_init__(self) -> None:
        """Refuse what no scanner could do."""
        checks = {
            "seed": (0 <= self.seed < 1 << 63, "a whole number from 0 to 2^63 - 1"),
            "shape": (
                min(self.shape) >= 1
                and max(self.shape) <= MOST_ALONG_AXIS
                and math.prod(self.shape) <= MOST_VOXELS,
                f"three counts from 1 to {MOST_ALONG_AXIS}, at most {MOST_VOXELS} "
                "voxels together",
            ),
            "spacing_mm": (
                all(0.01 <= v <= 500 for v in self.spacing_mm),
                "three numbers from 0.01 to 500",
            ),
            "slice_thickness_mm": (
                self.slice_thickness_mm is None
                or 0.01 <= self.slice_thickness_mm <= 20,
                "None, or from 0.01 to 20",
            ),
            "kernel": (self.kernel in NOISE_HU, f"one of {', '.join(NOISE_HU)}"),
            "dose": (
                1e-3 <= self.dose <= 1e3 or self.dose == math.inf,
                "from 0.001 to 1000, or inf",
            ),
            "tilt_deg": (abs(self.tilt_deg) <= 30, "between -30 and 30"),
            "blood_hu": (0 <= self.blood_hu <= 600, "between 0 and 600"),
            "scan": (1 <= self.scan <= 1000, "a whole number from 1 to 1000"),
            "shift_mm": (
                all(abs(v) <= 1000 for v in self.shift_mm),
                "three numbers from -1000 to 1000",
            ),
            "breath_mm": (abs(self.breath_mm) <= 30, "between -30 and 30"),
        }
        for name, (fine, need) in checks.items():
            if not fine:
                raise InputError(
                    f"Phantom setting `{name}` is {getattr(self, name)!r}; "
                    f"it must be {need}."
                )

    @property
    def visit(self) -> tuple[int, int]:
        """Who came for which scan: what one study has in common."""
        return self.seed, self.scan

    @property
    def acquired(self) -> str:
        """Day of the scan, YYYYMMDD: a new scan every three months."""
        days = 30.4375 * MONTHS_BETWEEN_SCANS * (self.scan - 1)
        return (FIRST_SCAN + timedelta(days=round(days))).strftime("%Y%m%d")

    @property
    def thickness_mm(self) -> float:
        """Slice thickness, given or taken from the spacing."""
        return self.slice_thickness_mm or self.spacing_mm[0]

    @property
    def noise_hu(self) -> float:
        """Standard deviation of the noise in the middle of the body."""
        if math.isinf(self.dose):
            return 0.0
        return NOISE_HU[self.kernel] * math.sqrt(2.5 / self.thickness_mm / self.dose)

    @property
    def grid(self) -> Grid:
        """Where the voxels are; sheared when the gantry is tilted."""
        slice_mm, row_mm, column_mm = self.spacing_mm
        tilt = math.radians(self.tilt_deg)
        affine = np.eye(4)
        affine[:3, 0] = (0, 0, slice_mm)
        affine[:3, 1] = (0, row_mm * math.cos(tilt), row_mm * math.sin(tilt))
        affine[:3, 2] = (column_mm, 0, 0)
        middle = [(n - 1) / 2 for n in self.shape]
        affine[:3, 3] = np.array(CENTER_MM) - affine[:3, :3] @ middle
        return Grid(self.shape, affine)
