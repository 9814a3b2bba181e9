"""Scans to find nodules in: what a detector is trained on.

A scene is a scan as the detector sees it, cubic voxels around the lungs, with what
is known of it: nodules, places that look like nodules and are not, and where in the
lungs a further nodule could lie.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from hilum.datasets.scans import CERTAIN_READERS
from hilum.findings import Annotation, Candidate, Point
from hilum.stages.nodules import NoduleDetector
from hilum.stages.nodules.network import NETWORK_VOXEL_MM, network_region
from hilum.stages.nodules.region import Region
from hilum.volume import CTVolume, HUArray, Mask

LEAST_HIT_MM = 4.0
_PLACES = 40_000
_PLEURA_MM = 3.0
_VESSEL_HU = -450

Points = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """A scan to train on.

    Attributes:
        name: Series UID.
        patient: Whose scan; what splits go by.
        hu: (slice, row, column) int16, voxels of 1 mm.
        slice_mm: Slice spacing of the scan.
        nodules: (n, 4) centre (slice, row, column) in voxels, diameter in mm.
        unsure: (n, 4) nodules of fewer readers, neither right nor wrong.
        traps: (n, 3) places that look like nodules and are not.
        inside: (n, 3) places in the lungs.
        pleural: (n, 3) places at the pleura.
        vascular: (n, 3) places on vessels.
    """

    name: str
    patient: str
    hu: HUArray
    slice_mm: float
    nodules: Points
    unsure: Points
    traps: Points
    inside: Points
    pleural: Points
    vascular: Points

    def to_arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Give what `numpy.savez` can write."""
        return {f.name: np.asarray(getattr(self, f.name)) for f in fields(self)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> Self:
        """Take back what `to_arrays` gave.

        Raises:
            KeyError: An array is missing.
        """
        values: dict[str, Any] = {f.name: arrays[f.name] for f in fields(cls)}
        for name, kind in (("name", str), ("patient", str), ("slice_mm", float)):
            values[name] = kind(values[name])
        return cls(**values)


def make_scene(
    volume: CTVolume,
    lungs: Mask,
    annotations: Iterable[Annotation],
    *,
    patient: str = "",
    traps: Iterable[Point] = (),
    detect: NoduleDetector | None = None,
) -> Scene | None:
    """Prepare a scan for training; None without lungs.

    The traps are what the classical detector takes for nodules and is none, and
    what readers took for none.

    Args:
        volume: The CT.
        lungs: On its grid.
        annotations: Its nodules; those of one or two readers count neither way.
        patient: Whose scan.
        traps: More places that look like nodules and are not.
        detect: The classical detector, with 150 candidates unless told otherwise.
    """
    region = network_region(volume, lungs)
    if region is None:
        return None
    detect = detect or NoduleDetector(weights="", max_candidates=150)
    known = tuple(annotations)
    sure = [a for a in known if a.readers >= CERTAIN_READERS]
    unsure = [a for a in known if a.readers < CERTAIN_READERS]
    found = [*detect(volume, lungs), *(Candidate(p, 0.0, 0.0) for p in traps)]
    found = [c for c in found if not _hits(c, known)]
    rng = np.random.default_rng(0)
    outside = region.distance_mm
    inside, pleural, vascular = _places(region.hu, outside, rng)
    return Scene(
        name=volume.series_uid,
        patient=patient or volume.series_uid,
        hu=region.hu,
        slice_mm=volume.grid.spacing_mm[0],
        nodules=_points(region, sure),
        unsure=_points(region, unsure),
        traps=_points(region, found)[:, :3],
        inside=inside,
        pleural=pleural,
        vascular=vascular,
    )


def _hits(candidate: Candidate, annotations: Iterable[Annotation]) -> bool:
    """Tell whether a candidate lies on an annotation."""
    return any(
        np.linalg.norm(np.subtract(candidate.center_mm, a.center_mm))
        <= max(a.diameter_mm / 2, LEAST_HIT_MM) + LEAST_HIT_MM
        for a in annotations
    )


def _points(region: Region, found: Iterable[Annotation | Candidate]) -> Points:
    """Give centres in voxels, and diameters in mm."""
    rows = [(*region.grid.to_index(f.center_mm).tolist(), f.diameter_mm) for f in found]
    return np.array(rows, np.float32).reshape(-1, 4)


def _places(
    hu: HUArray, outside_mm: npt.NDArray[np.float32], rng: np.random.Generator
) -> tuple[Points, Points, Points]:
    """Choose places in the lungs, at the pleura, and on vessels."""
    import edt  # noqa: PLC0415

    lung = np.ascontiguousarray(outside_mm <= 0)
    depth = edt.edt(lung, anisotropy=(2 * NETWORK_VOXEL_MM,) * 3, parallel=2)
    coarse = hu[::2, ::2, ::2]
    deep = depth > _PLEURA_MM
    kinds = (lung, lung & ~deep, deep & (coarse > _VESSEL_HU) & (coarse < 200))
    chosen = []
    for kind in kinds:
        at = np.flatnonzero(kind)
        at = rng.choice(at, min(_PLACES, at.size), replace=False)
        places = np.stack(np.unravel_index(at, kind.shape), axis=1)
        chosen.append(2 * places.astype(np.float32))
    return chosen[0], chosen[1], chosen[2]
