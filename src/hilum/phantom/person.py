"""Who is being scanned: the few numbers in which one synthetic chest differs.

Everything else of the anatomy is drawn once, in the millimetres of a standard
adult, and stretched to this person.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Build and state of one synthetic adult.

    Attributes:
        seed: What the person was drawn from.
        scale: Stretch of the standard adult along (z, y, x).
        heart: Size of the heart, 1 for the standard adult.
        dome_mm: Height of the (right, left) dome of the diaphragm, z in the
            standard adult.
        fat_mm: Subcutaneous fat added to the standard outline, may be < 0.
        breasts: Size of the breasts, 0 for none.
        lung_hu: Mean density of the lung tissue between the vessels.
        gravity_hu: How much denser the lung is at the back than at the front.
        warp_mm: How far organ borders stray from the drawn ones.
    """

    seed: int
    scale: tuple[float, float, float]
    heart: float
    dome_mm: tuple[float, float]
    fat_mm: float
    breasts: float
    lung_hu: float
    gravity_hu: float
    warp_mm: float = 3.2

    @classmethod
    def from_seed(cls, seed: int) -> Person:
        """Draw a person; the same seed gives the same one.

        Args:
            seed: Any whole number >= 0.
        """
        rng = np.random.default_rng([seed, 1])
        size = rng.normal(1.02, 0.025)
        stretch = np.clip(size * rng.normal(1.0, 0.02, 3), 0.94, 1.08)
        right = float(np.clip(rng.normal(-78, 7), -92, -64))
        female = rng.random() < 0.5
        return cls(
            seed=seed,
            scale=(float(stretch[0]), float(stretch[1]), float(stretch[2])),
            heart=float(np.clip(rng.normal(1.0, 0.05), 0.9, 1.1)),
            dome_mm=(right, right - float(rng.uniform(6, 16))),
            fat_mm=float(rng.uniform(-3, 7)),
            breasts=float(rng.uniform(0.7, 1.1)) if female else 0.0,
            lung_hu=float(rng.normal(-902, 8)),
            gravity_hu=float(rng.uniform(30, 60)),
        )
