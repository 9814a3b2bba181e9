"""What the stages find in the chest that the lessons are shown on."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from hilum.errors import InputError
from hilum.findings import Candidate, Point
from hilum.pipeline import Pipeline
from hilum.primer.lessons.lesson import Data, pack
from hilum.primer.scene import Scene, scan_scene
from hilum.stages.measure import drop_repeats
from hilum.volume import CTVolume


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Findings:
    """What was found in a chest.

    Attributes:
        candidates: All marks of the detector, surest first.
        is_hit: Whether each is the surest mark on a nodule; all False where no truth
            is known.
        again: Whether each lies on a nodule that a surer mark lies on.
        nodules: How many nodules there are in truth; 0 where it is not known.
        missed: World points (x, y, z) of the nodules that no mark lies on.
        rated: Malignancy and detection score of each kept nodule.
        places: World point and diameter in mm of each kept nodule.
    """

    candidates: tuple[Candidate, ...]
    is_hit: tuple[bool, ...]
    again: tuple[bool, ...]
    nodules: int
    missed: tuple[Point, ...]
    rated: tuple[tuple[float, float], ...]
    places: tuple[tuple[Point, float], ...]


@cache
def look(scene: Scene) -> Findings:
    """Run the stages of `hilum assess` up to the malignancy of each nodule."""
    volume, _ = scene.chest()
    stages = Pipeline()
    lungs = stages.lungs(volume)
    marks = stages.nodules(volume, lungs)
    measured = drop_repeats(
        stages.measure.measure(volume, stages.selection(marks), lungs)
    )
    nodules = tuple(m.nodule for m in measured)
    rated = stages.malignancy(volume, nodules, tuple(m.mask for m in measured))
    worst = sorted(rated, key=lambda n: n.suspicion, reverse=True)
    is_hit, again, missed = _judged(scene, marks)
    return Findings(
        candidates=marks,
        is_hit=is_hit,
        again=again,
        nodules=len(scene.truths()),
        missed=missed,
        rated=tuple((n.malignancy.value or 0.0, n.detection_score) for n in worst),
        places=tuple((n.center_mm, n.diameter_mm) for n in worst),
    )


def _judged(
    scene: Scene, marks: tuple[Candidate, ...]
) -> tuple[tuple[bool, ...], tuple[bool, ...], tuple[Point, ...]]:
    """Sort marks as LUNA16 does: on a nodule when nearer than its radius."""
    found: set[int] = set()
    hits, again = [], []
    truths = scene.truths()
    for mark in marks:
        near = [
            n
            for n, truth in enumerate(truths)
            if np.linalg.norm(np.subtract(mark.center_mm, truth.center_mm))
            < truth.diameter_mm / 2
        ]
        new = [n for n in near if n not in found]
        found.update(near)
        hits.append(bool(new))
        again.append(bool(near) and not new)
    missed = [t.center_mm for n, t in enumerate(truths) if n not in found]
    return tuple(hits), tuple(again), tuple(missed)


def patient_data(scene: Scene) -> Data:
    """Give lesson 12 the chest from the front, and what was found in it."""
    found, (volume, _) = look(scene), scene.chest()
    slices = volume.grid.shape[0]

    def shown(point: Point) -> list[float]:
        index = volume.grid.to_index(point)
        return [float(slices - 1 - index[0]), float(index[2])]

    return {
        "front": pack(volume.hu.mean(axis=1)[::-1], "int16"),
        "spacing": list(volume.grid.spacing_mm),
        "marks": [
            {"at": shown(c.center_mm), "score": c.score, "hit": h, "again": a}
            for c, h, a in zip(found.candidates, found.is_hit, found.again, strict=True)
        ],
        "nodules": found.nodules,
        "truths": [
            {"at": shown(t.center_mm), "mm": t.diameter_mm} for t in scene.truths()
        ],
        "rated": [list(pair) for pair in found.rated],
    }


def own_scene(volume: CTVolume) -> Scene:
    """Make the scene of a scan of one's own, on the nodule that looks surest.

    Args:
        volume: The CT.

    Raises:
        InputError: Nothing in it looks like a nodule.
    """
    stages = Pipeline()
    lungs = stages.lungs(volume)
    marks = stages.nodules(volume, lungs)
    if not marks:
        raise InputError(
            "No nodule was found in this CT, so there is nothing to show the lessons "
            "on. Leave out --ct, or give a chest CT with a nodule."
        )
    measured = stages.measure.measure(volume, marks[:1], lungs)
    place = measured[0].nodule if measured else marks[0]
    return scan_scene(volume, place.center_mm, place.diameter_mm)
