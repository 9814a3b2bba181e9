"""The nodule detector: bright dots in the lungs, and what a network makes of them.

The dots are found without learning: a few constants with a physical reason, so that
they are a baseline that a trained network must beat, and a source of hard negatives
for it. The network's marks are ranked by both.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from hilum.errors import InputError
from hilum.findings import Candidate
from hilum.runtime.predictor import load_predictor
from hilum.runtime.weights import find_weights
from hilum.space import FloatArray
from hilum.stages.nodules.dots import BoolArray, Dots, find_dots, strongest
from hilum.stages.nodules.extent import measure_diameters
from hilum.stages.nodules.joining import (
    FAINTEST_CONTRAST,
    FAINTEST_DOT,
    contrast_of,
    odds_with_dots,
)
from hilum.stages.nodules.marks import Marks
from hilum.stages.nodules.network import network_marks, network_region
from hilum.stages.nodules.region import Region
from hilum.volume import CTVolume, HUArray, Mask

LUNG_HU = -850
"""What a nodule stands out from."""

SURROUNDINGS_MM = 20.0
"""How much around the lungs is filtered with them, so that the wall has no edge."""

HALVED_BESIDE = 1.7
"""Width of the smoothing, in voxels, from which dots beside a network are sought on
every second voxel: half the time, and the same marks were found."""

FAINTEST_STRENGTH = 0.1
"""Weaker dots are not even candidates: a good lung has hundreds of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NoduleDetector:
    """Find places that may be nodules, by their shape and by a trained network.

    The lungs are resampled to cubic voxels and clipped to soft tissue, so that
    calcium and contrast agent look no different. A Hessian filter then finds
    bright dots at every half octave of diameter (see `dots`). With `weights`, a network
    marks nodules in cubic voxels of 1 mm, and each mark is ranked by its odds and by
    those of the strongest dot in it (see `joining`). Without, the dots are the
    candidates; of those that lie within each other the strongest.

    Attributes:
        diameters_mm: The smallest and the largest nodule to look for.
        voxel_mm: Edge of the cubic voxels that the filter works on.
        range_hu: Hounsfield units are clipped to this range: air in the lungs to
            soft tissue, whose contrast to lung is that of a dot of strength 1.
        margin_mm: How far outside the lungs a centre may lie.
        even_strength: Strength of a dot that is as likely a nodule as not. A
            sharp ball of soft tissue in lung has strength 1, a vessel 0.
        steepness: How fast the odds of being a nodule grow with strength:
            odds = (strength / even_strength) ** steepness.
        max_candidates: How many are given at most.
        weights: Name of shipped weights, or a network that `hilum train nodules` made,
            `.keras` or `.xml`; "" for the dots alone.
        dot_share: How much dots count beside the network.
        mirrored: Let the network look at mirror images of what it marked as well.

    Raises:
        InputError: A setting is out of its range.
    """

    diameters_mm: tuple[float, float] = (3.0, 45.0)
    voxel_mm: float = 1.0
    range_hu: tuple[int, int] = (-1000, 50)
    margin_mm: float = 4.0
    even_strength: float = 0.3
    steepness: float = 6.0
    max_candidates: int = 100
    weights: str = "nodules"
    dot_share: float = 1.0
    mirrored: bool = True

    def __post_init__(self) -> None:
        """Refuse settings that nothing could be found with."""
        smallest, largest = self.diameters_mm
        low, high = self.range_hu
        checks = {
            "diameters_mm": (0 < smallest <= largest, "two numbers > 0, rising"),
            "voxel_mm": (
                0 < self.voxel_mm <= smallest / 2,
                "above 0 and at most half the smallest diameter",
            ),
            "range_hu": (low < LUNG_HU < high, f"rising, with {LUNG_HU} inside"),
            "margin_mm": (self.margin_mm >= 0, "at least 0"),
            "even_strength": (
                self.even_strength > FAINTEST_DOT,
                f"> {FAINTEST_DOT}, which counts as no dot",
            ),
            "steepness": (0 < self.steepness <= 100, "in (0, 100]"),
            "max_candidates": (self.max_candidates >= 1, "at least 1"),
            "dot_share": (self.dot_share >= 0, "at least 0"),
        }
        for name, (fine, need) in checks.items():
            if not fine:
                raise InputError(
                    f"Detector setting `{name}` is {getattr(self, name)}; it must be "
                    f"{need}."
                )

    def check(self) -> None:
        """Refuse weights that are absent or damaged, before any work.

        Raises:
            WeightsError: As when called.
        """
        if self.weights:
            find_weights(self.weights)

    def digests(self) -> dict[str, str]:
        """Give the SHA-256 of each file of the weights, by its name.

        Raises:
            WeightsError: As when called.
        """
        return dict(load_predictor(self.weights).sha256) if self.weights else {}

    def __call__(self, volume: CTVolume, lungs: Mask) -> tuple[Candidate, ...]:
        """Find candidates in the lungs.

        Args:
            volume: The CT, of any slice spacing.
            lungs: On the grid of the volume; every label counts as lung.

        Returns:
            At most `max_candidates`, by falling score; none without lungs. The
            score ranks. It grows with the chance of being a nodule, and is not
            calibrated.

        Raises:
            InputError: The mask is not on the grid of the volume.
            WeightsError: The network is absent, damaged or of another kind.
        """
        if self.weights:
            seen = network_region(volume, lungs)
            return self._marked(seen) if seen else ()
        region = Region.cut(
            volume, lungs, voxel_mm=self.voxel_mm, margin_mm=SURROUNDINGS_MM
        )
        return self._dotted(region) if region else ()

    def _dotted(self, region: Region) -> tuple[Candidate, ...]:
        """Find candidates by their shape alone."""
        hu = np.clip(region.hu, *self.range_hu)
        inside = region.near(self.margin_mm)
        dots = self._dots(region, hu, inside, FAINTEST_STRENGTH)
        dots = strongest(dots, inside, self.max_candidates)
        diameters = measure_diameters(hu, dots.index, dots.diameter, around_hu=LUNG_HU)
        return tuple(
            Candidate((x, y, z), diameter * self.voxel_mm, self.score(strength))
            for (x, y, z), diameter, strength in zip(
                region.grid.to_world(dots.index).tolist(),
                diameters.tolist(),
                dots.strength.tolist(),
                strict=True,
            )
        )

    def _marked(self, region: Region) -> tuple[Candidate, ...]:
        """Find candidates by the network, and rank them by their shape as well."""
        hu = np.clip(region.hu, *self.range_hu)
        inside = region.near(self.margin_mm)
        dots = self._dots(region, hu, inside, FAINTEST_DOT * FAINTEST_CONTRAST)

        def odds_of(marks: Marks) -> FloatArray:
            return odds_with_dots(
                marks,
                dots,
                contrast_of(hu, marks, soft_tissue_hu=self._full_contrast_hu),
                even_strength=self.even_strength,
                share=self.dot_share,
            )

        marks = network_marks(
            region,
            load_predictor(self.weights),
            margin_mm=self.margin_mm,
            odds_of=odds_of if self.mirrored else None,
        )
        odds = odds_of(marks)
        order = np.argsort(-odds, kind="stable")[: self.max_candidates]
        score = 1 / (1 + np.exp(-odds))
        world = region.grid.to_world(marks.index[order]).tolist()
        return tuple(
            Candidate((x, y, z), float(marks.diameter[n]), float(score[n]))
            for (x, y, z), n in zip(world, order.tolist(), strict=True)
        )

    def _dots(
        self, region: Region, hu: HUArray, inside: BoolArray, least_strength: float
    ) -> Dots:
        """Find the dots in the lungs, those of neighbouring scales too."""
        voxel_mm = region.grid.spacing_mm[0]
        smallest, largest = self.diameters_mm
        return find_dots(
            hu.astype(np.float32),
            inside,
            diameters=(smallest / voxel_mm, largest / voxel_mm),
            contrast=self._full_contrast_hu,
            least_strength=least_strength,
            halved_from=HALVED_BESIDE if self.weights else None,
        )

    @property
    def _full_contrast_hu(self) -> float:
        """How far the brightest that counts, soft tissue, stands out from lung."""
        return self.range_hu[1] - LUNG_HU

    def score(self, strength: float) -> float:
        """Map the strength of a dot to a score in [0, 1] that grows with it.

        Example:
            >>> NoduleDetector(even_strength=0.3).score(0.3)
            0.5
        """
        odds = math.pow(strength / self.even_strength, self.steepness)
        return odds / (1 + odds)
