"""From candidates to measured nodules, each with what there is to doubt.

Each is outlined at the edge that the densities show, which decides on size and kind:
on phantoms it is right, and it agrees with what the readers of LIDC included. A network
that learned how radiologists draw gives a second outline. It is what other networks
are shown; and the further the two are apart, the greater the doubt about the size.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from hilum._threads import map_in_threads
from hilum.errors import InputError
from hilum.findings import Candidate, Nodule, Notice, Side
from hilum.runtime.predictor import load_predictor
from hilum.runtime.weights import find_weights
from hilum.space import Grid
from hilum.stages.measure.doubt import JOINED, NOT_OUTLINED, doubt_of
from hilum.stages.measure.drawing import Drawing, draw_all
from hilum.stages.measure.kind import Densities, kind_at_level, tell_kind
from hilum.stages.measure.lobes import LungShape, lung_shapes
from hilum.stages.measure.neighbourhood import BoolArray, Neighbourhood
from hilum.stages.measure.outline import find_outline
from hilum.stages.measure.place import placed, share_outside
from hilum.stages.measure.rim import Rim
from hilum.stages.measure.search import Outline
from hilum.stages.measure.size import size_of
from hilum.volume import CTVolume, Mask

_MANY_TIMES = 1.8
_MOSTLY = 0.5
_UNLIKE = 1.2
_EDGE_TO_LINE = 1.1
"""Diameter of a nodule as the network draws it, by that of its edge (median)."""


@dataclass(frozen=True, slots=True, eq=False)
class Measurement:
    """A measured nodule, its voxels and the doubts about them.

    Attributes:
        nodule: What was measured; malignancy unknown.
        mask: Its voxels, on a part of the grid of the volume.
        drawn: Those that a radiologist might draw, for the networks that rate; None
            where the network drew nothing, or something else.
        drawn_mm3: Volume of what the network drew, also where that is something else;
            None where it drew nothing.
        dense: The dense part measured alone, where the nodule ends with the ground
            glass around it; None elsewhere.
        notices: What there is to doubt.
    """

    nodule: Nodule
    mask: Mask
    drawn: Mask | None = None
    drawn_mm3: float | None = None
    dense: Nodule | None = None
    notices: tuple[Notice, ...] = ()

    @property
    def shown(self) -> Mask:
        """The voxels to show to a network: as drawn, or else at the edge."""
        return self.mask if self.drawn is None else self.drawn


@dataclass(frozen=True, slots=True, kw_only=True)
class NoduleMeasurer:
    """Outline each candidate and measure it.

    No candidate is dropped: one that cannot be outlined is measured as the sphere
    that it was found as, and `measure` says so in a notice.

    Attributes:
        weights: Name of shipped weights, or path of a `.keras` or `.xml` file, of the
            network that draws nodules; "" for no second outline.
        mass_mm: What is larger than this is not drawn, for the network learned none.
        solid_hu: Tissue above this is solid.
        calcified_hu: Tissue above this is calcified.
        solid_share: A nodule with this share of solid tissue is solid.
        calcified_share: A nodule with this share of calcified tissue is calcified.
    """

    weights: str = "segmentation"
    mass_mm: float = 30.0
    solid_hu: float = -250.0
    calcified_hu: float = 250.0
    solid_share: float = 0.8
    calcified_share: float = 0.3

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

    def __call__(
        self, volume: CTVolume, candidates: tuple[Candidate, ...], lungs: Mask
    ) -> tuple[Nodule, ...]:
        """Measure the candidates, in their order.

        Takes and raises what `measure` does.
        """
        return tuple(m.nodule for m in self.measure(volume, candidates, lungs))

    def measure(
        self, volume: CTVolume, candidates: tuple[Candidate, ...], lungs: Mask
    ) -> tuple[Measurement, ...]:
        """Measure the candidates, in their order, with voxels and doubts.

        Args:
            volume: The CT.
            candidates: Where nodules may be.
            lungs: Labels on the grid of the volume: 1 right lung, 2 left lung.

        Raises:
            InputError: A candidate lies outside the volume or has no size, or the
                lungs are those of another volume.
            WeightsError: The weights are absent, damaged or of another task.
        """
        _check(volume, candidates, lungs)
        at_edge = map_in_threads(
            lambda candidate: self._measure_edge(volume, candidate, lungs),
            candidates,
            work=lambda candidate: candidate.diameter_mm,
        )
        drawings = self._draw(volume, at_edge)
        shapes = lung_shapes(lungs) if at_edge else {}
        return tuple(
            map_in_threads(
                lambda pair: _completed(*pair, lungs, shapes),
                list(zip(at_edge, drawings, strict=True)),
            )
        )

    def _draw(
        self, volume: CTVolume, at_edge: Sequence[Measurement]
    ) -> list[Drawing | None]:
        """Draw what has an outline and is no mass, all at once."""
        drawings: list[Drawing | None] = [None] * len(at_edge)
        wanted = [
            number
            for number, found in enumerate(at_edge)
            if NOT_OUTLINED not in {n.code for n in found.notices}
            and _sphere_mm(found.nodule) <= self.mass_mm
        ]
        if not (self.weights and wanted):
            return drawings
        nodules = [at_edge[number].nodule for number in wanted]
        places = [(n.center_mm, _EDGE_TO_LINE * _sphere_mm(n)) for n in nodules]
        predict = load_predictor(self.weights)
        for number, drawing in zip(
            wanted, draw_all(volume, places, predict=predict), strict=True
        ):
            drawings[number] = drawing
        return drawings

    def _measure_edge(
        self, volume: CTVolume, candidate: Candidate, lungs: Mask
    ) -> Measurement:
        limits = Densities(
            self.solid_hu, self.calcified_hu, self.solid_share, self.calcified_share
        )
        hood, outline = find_outline(volume, candidate, lungs)
        if outline is None:
            return _as_sphere(volume.grid, hood, candidate, limits)
        nodule = _sized(hood, outline, limits, candidate.score)
        dense = outline.dense
        alone = None if dense is None else _sized(hood, dense, limits, candidate.score)
        mask = hood.to_mask(outline.cells, volume.grid)
        doubts = _doubts_of_size(candidate, nodule)
        if outline.joined:
            doubts = (_doubt_of_joint(nodule), *doubts)
        if outline.rim is not None:
            doubts = (_doubt_of_rim(nodule, outline.rim), *doubts)
        return Measurement(nodule, mask, dense=alone, notices=doubts)


def segment_nodule(volume: CTVolume, candidate: Candidate, lungs: Mask) -> Mask:
    """Outline one candidate at its edge.

    Args:
        volume: The CT.
        candidate: Where the nodule may be.
        lungs: Labels on the grid of the volume.

    Returns:
        Bool mask on a part of the grid of the volume, at least one voxel of it
        set; the candidate's sphere where no outline was found.

    Raises:
        InputError: The candidate lies outside the volume or has no size, or the
            lungs are those of another volume.
    """
    _check(volume, (candidate,), lungs)
    hood, outline = find_outline(volume, candidate, lungs)
    cells = _sphere(hood, candidate) if outline is None else outline.cells
    return hood.to_mask(cells, volume.grid)


def _check(volume: CTVolume, candidates: tuple[Candidate, ...], lungs: Mask) -> None:
    """Refuse lungs of another volume and candidates without a size."""
    if not lungs.grid.same_as(volume.grid):
        raise InputError(
            f"Lungs of shape {lungs.grid.shape} do not lie on the grid of the volume, "
            f"{volume.grid.shape}. Segment the lungs of this volume."
        )
    for candidate in candidates:
        if not 0 < candidate.diameter_mm < np.inf:
            raise InputError(
                f"Candidate has diameter {candidate.diameter_mm} mm; expected a "
                "number above 0. A detector must give each candidate a size."
            )


def _sphere(hood: Neighbourhood, candidate: Candidate) -> BoolArray:
    """Give the cells of the sphere that the candidate was found as."""
    nearest = hood.distance_mm == hood.distance_mm.min()
    return np.asarray(nearest | (hood.distance_mm <= candidate.diameter_mm / 2))


def _sized(
    hood: Neighbourhood, outline: Outline, limits: Densities, score: float
) -> Nodule:
    """Measure what an outline encloses."""
    size = size_of(hood, outline)
    mean_mm = (size.long_mm + size.short_mm) / 2
    kind, solid_mm = tell_kind(hood, outline, limits)
    return Nodule(
        center_mm=size.center_mm,
        diameter_mm=mean_mm,
        long_axis_mm=size.long_mm,
        short_axis_mm=size.short_mm,
        volume_mm3=size.volume_mm3,
        type=kind,
        solid_diameter_mm=mean_mm if solid_mm is None else min(solid_mm, mean_mm),
        side=None,
        detection_score=score,
    )


def _as_sphere(
    grid: Grid,
    hood: Neighbourhood,
    candidate: Candidate,
    limits: Densities,
) -> Measurement:
    """Measure a candidate that has no outline as the sphere that it was found as."""
    cells = _sphere(hood, candidate)
    size = candidate.diameter_mm
    kind = kind_at_level(float(np.median(hood.hu[cells])), limits)
    nodule = Nodule(
        center_mm=candidate.center_mm,
        diameter_mm=size,
        long_axis_mm=size,
        short_axis_mm=size,
        volume_mm3=float(np.pi / 6 * size**3),
        type=kind,
        solid_diameter_mm=0.0 if kind == "ground-glass" else size,
        side=None,
        detection_score=candidate.score,
    )
    doubt = Notice(
        NOT_OUTLINED,
        f"The candidate at {_place(candidate.center_mm)} stands out too little to be "
        f"outlined; its {size:.1f} mm are the detector's, not measured.",
        "measure",
    )
    return Measurement(nodule, hood.to_mask(cells, grid), notices=(doubt,))


def _completed(
    found: Measurement,
    drawing: Drawing | None,
    lungs: Mask,
    shapes: Mapping[Side, LungShape],
) -> Measurement:
    """Add to what was measured at the edge where it lies, and how sure it is."""
    nodule = placed(found.nodule, found.mask, lungs, shapes)
    notices, drawn, drawn_mm3 = found.notices, None, None
    edge_mm = _sphere_mm(nodule)
    apart = 1.0
    if drawing is not None:
        drawn_mm3 = drawing.volume_mm3()
        drawn_mm = math.cbrt(6 * drawn_mm3 / math.pi)
        apart = drawn_mm / (_EDGE_TO_LINE * edge_mm)
        if 1 / _UNLIKE <= apart <= _UNLIKE:
            drawn = drawing.mask
        else:
            notices = (_doubt_of_edge(nodule, edge_mm, drawn_mm), *notices)
    outside = share_outside(found.mask, lungs)
    if outside > _MOSTLY:
        notices = (*notices, _doubt_of_place(nodule, outside))
    doubt = doubt_of(
        nodule,
        slice_mm=lungs.grid.spacing_mm[0],
        apart=apart,
        codes=frozenset(n.code for n in notices),
    )
    nodule = replace(
        nodule,
        diameter_error_mm=doubt.diameter_mm,
        volume_error_mm3=doubt.volume_mm3,
    )
    return replace(
        found, nodule=nodule, drawn=drawn, drawn_mm3=drawn_mm3, notices=notices
    )


def _doubt_of_edge(nodule: Nodule, edge_mm: float, drawn_mm: float) -> Notice:
    """Say that a network draws something else."""
    return Notice(
        "nodule-outlines-differ",
        f"The nodule at {_place(nodule.center_mm)} is {edge_mm:.1f} mm wide at the "
        "edge of its density and was measured there; a network draws it "
        f"{drawn_mm:.1f} mm wide. Look at it before you trust its size.",
        "measure",
    )


def _doubt_of_place(nodule: Nodule, outside: float) -> Notice:
    """Say that what was found lies outside the lungs."""
    return Notice(
        "nodule-outside-lungs",
        f"{outside:.0%} of the finding at {_place(nodule.center_mm)} lie outside the "
        "lungs as they were outlined: it may be a part of the heart, a vessel or the "
        "wall, or the lungs were not outlined whole. Look at it before you take it for "
        "a nodule.",
        "measure",
    )


def _doubt_of_joint(nodule: Nodule) -> Notice:
    """Say that the outline was cut off where nothing parts it."""
    return Notice(
        JOINED,
        f"The nodule at {_place(nodule.center_mm)} is joined to other tissue that no "
        "thinner part separates; it was cut off at the size of the candidate.",
        "measure",
    )


def _doubt_of_rim(nodule: Nodule, rim: Rim) -> Notice:
    """Say that size and kind rest on a rim that was fitted."""
    core_mm = rim.core * sum(rim.axes_mm) / 2
    return Notice(
        "nodule-rim-fitted",
        f"The nodule at {_place(nodule.center_mm)} was measured with a rim of ground "
        f"glass so thin that it was fitted: {nodule.diameter_mm:.1f} mm in all around "
        f"a core of {core_mm:.1f} mm. Look at it before you trust its size and kind.",
        "measure",
    )


def _doubts_of_size(candidate: Candidate, nodule: Nodule) -> tuple[Notice, ...]:
    """Say where the nodule is not as large as it was found."""
    sphere_mm = _sphere_mm(nodule)
    times = sphere_mm / candidate.diameter_mm
    if 1 / _MANY_TIMES <= times <= _MANY_TIMES:
        return ()
    doubt = Notice(
        "nodule-size-differs",
        f"The nodule at {_place(nodule.center_mm)} measures {sphere_mm:.1f} mm, the "
        f"detector took it for {candidate.diameter_mm:.1f} mm.",
        "measure",
    )
    return (doubt,)


def _sphere_mm(nodule: Nodule) -> float:
    """Give the diameter of the sphere of equal volume."""
    return math.cbrt(6 * nodule.volume_mm3 / math.pi)


def _place(center_mm: tuple[float, float, float]) -> str:
    x, y, z = center_mm
    return f"({x:.1f}, {y:.1f}, {z:.1f}) mm"
