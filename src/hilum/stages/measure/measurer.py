"""From candidates to measured nodules, each with what there is to doubt.

Each is outlined twice: at the edge that the densities show, and as radiologists would
draw it, by a network. Size is the network's, because limits of guidelines are in
radiologists' millimetres; kind is told by the densities inside the edge. Where the
two disagree, and for masses, of which the network learned none, the edge decides.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from hilum.errors import InputError
from hilum.findings import Candidate, Nodule, Notice, Side
from hilum.runtime.predictor import load_predictor
from hilum.runtime.weights import find_weights
from hilum.space import Grid
from hilum.stages.measure.drawing import Drawing, draw
from hilum.stages.measure.filling import find_filling
from hilum.stages.measure.kind import Densities, kind_at_level, tell_kind
from hilum.stages.measure.levels import DENSEST_RIM_HU
from hilum.stages.measure.neighbourhood import BoolArray, Neighbourhood
from hilum.stages.measure.outline import find_outline
from hilum.stages.measure.size import axes_mm
from hilum.volume import CTVolume, Mask

_SIDE_REACH_MM = 10.0
_MANY_TIMES = 1.8
_UNLIKE = 1.2
_EDGE_TO_LINE = 1.1
"""Diameter of a nodule as readers draw it, by that of its edge (median)."""


@dataclass(frozen=True, slots=True, eq=False)
class Measurement:
    """A measured nodule, its voxels and the doubts about them.

    Attributes:
        nodule: What was measured; malignancy unknown.
        mask: Its voxels, on a part of the grid of the volume.
        notices: What there is to doubt.
    """

    nodule: Nodule
    mask: Mask
    notices: tuple[Notice, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class NoduleMeasurer:
    """Outline each candidate and measure it.

    No candidate is dropped: one that cannot be outlined is measured as the sphere
    that it was found as, and `measure` says so in a notice.

    Attributes:
        weights: Name of shipped weights, or path of a `.keras` or `.xml` file, of the
            network that draws nodules; "" to measure all at their edge.
        mass_mm: What is larger than this at its edge is measured there.
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
        return tuple(self._measure_one(volume, c, lungs) for c in candidates)

    def _measure_one(
        self, volume: CTVolume, candidate: Candidate, lungs: Mask
    ) -> Measurement:
        at_edge = self._measure_edge(volume, candidate, lungs)
        nodule = at_edge.nodule
        edge_mm = _sphere_mm(nodule)
        outlined = not any(n.code == "nodule-not-outlined" for n in at_edge.notices)
        if not (self.weights and outlined) or edge_mm > self.mass_mm:
            return at_edge
        drawing = draw(
            volume,
            nodule.center_mm,
            _EDGE_TO_LINE * edge_mm,
            predict=load_predictor(self.weights),
        )
        if drawing is None:
            return at_edge
        return _as_drawn(at_edge, drawing, candidate, lungs)

    def _measure_edge(
        self, volume: CTVolume, candidate: Candidate, lungs: Mask
    ) -> Measurement:
        limits = Densities(
            self.solid_hu, self.calcified_hu, self.solid_share, self.calcified_share
        )
        hood, outline = find_outline(volume, candidate, lungs)
        if outline is None:
            return _as_sphere(volume.grid, hood, candidate, lungs, limits)
        filling = find_filling(
            hood,
            outline.cells,
            outline.tissue,
            outline.lung_hu,
            soft=outline.rim_hu < DENSEST_RIM_HU,
        )
        long_mm, short_mm = axes_mm(hood, outline, filling)
        mean_mm = (long_mm + short_mm) / 2
        kind, solid_mm = tell_kind(hood, outline, limits)
        cell, _, _ = filling.ellipsoid(hood, outline.rim_hu)
        x, y, z = hood.to_world(cell).tolist()
        nodule = Nodule(
            center_mm=(x, y, z),
            diameter_mm=mean_mm,
            long_axis_mm=long_mm,
            short_axis_mm=short_mm,
            volume_mm3=filling.volume_mm3(hood, outline.rim_hu),
            type=kind,
            solid_diameter_mm=mean_mm if solid_mm is None else min(solid_mm, mean_mm),
            side=_side(lungs, (x, y, z)),
            detection_score=candidate.score,
        )
        mask = hood.to_mask(outline.cells, volume.grid)
        doubts = _doubts_of_size(candidate, nodule)
        if outline.joined:
            doubts = (_doubt_of_joint(nodule), *doubts)
        return Measurement(nodule, mask, doubts)


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


def _as_sphere(
    grid: Grid,
    hood: Neighbourhood,
    candidate: Candidate,
    lungs: Mask,
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
        side=_side(lungs, candidate.center_mm),
        detection_score=candidate.score,
    )
    doubt = Notice(
        "nodule-not-outlined",
        f"The candidate at {_place(candidate.center_mm)} stands out too little to be "
        f"outlined; its {size:.1f} mm are the detector's, not measured.",
        "measure",
    )
    return Measurement(nodule, hood.to_mask(cells, grid), (doubt,))


def _side(lungs: Mask, center_mm: tuple[float, float, float]) -> Side | None:
    """Tell which lung a point lies in, or the nearest within 10 mm."""
    label = int(lungs.at(center_mm))
    if not label:
        spacing = np.array(lungs.grid.spacing_mm)
        middle = np.rint(lungs.grid.to_index(center_mm)).astype(int)
        middle = np.clip(middle, 0, np.array(lungs.grid.shape) - 1)
        half = np.ceil(_SIDE_REACH_MM / spacing).astype(int)
        first = np.maximum(middle - half, 0)
        z, y, x = (
            slice(int(a), int(b)) for a, b in zip(first, middle + half + 1, strict=True)
        )
        cells = np.argwhere(lungs.voxels[z, y, x])
        if not len(cells):
            return None
        off = np.linalg.norm((cells + first - middle) * spacing, axis=1)
        if off.min() > _SIDE_REACH_MM:
            return None
        label = int(lungs.voxels[tuple(cells[int(off.argmin())] + first)])
    return {1: "right", 2: "left"}.get(label)  # type: ignore[return-value]


def _as_drawn(
    at_edge: Measurement, drawing: Drawing, candidate: Candidate, lungs: Mask
) -> Measurement:
    """Take size and place from the drawing, unless it is far from the edge.

    Kind and solid part are those inside the edge in any case.
    """
    before = at_edge.nodule
    long_mm, short_mm = drawing.axes_mm()
    mean_mm = (long_mm + short_mm) / 2
    whole = before.type in ("solid", "calcified")
    nodule = replace(
        before,
        center_mm=drawing.center_mm,
        diameter_mm=mean_mm,
        long_axis_mm=long_mm,
        short_axis_mm=short_mm,
        volume_mm3=drawing.volume_mm3(),
        solid_diameter_mm=mean_mm if whole else min(before.solid_diameter_mm, mean_mm),
        side=_side(lungs, drawing.center_mm),
    )
    edge_mm, drawn_mm = _sphere_mm(before), _sphere_mm(nodule)
    if 1 / _UNLIKE <= drawn_mm / (_EDGE_TO_LINE * edge_mm) <= _UNLIKE:
        doubts = _doubts_of_size(candidate, nodule)
        return Measurement(nodule, drawing.mask, doubts)
    doubt = Notice(
        "nodule-outlines-differ",
        f"The nodule at {_place(before.center_mm)} is {edge_mm:.1f} mm wide at the "
        "edge of its density and was measured there; a network draws it "
        f"{drawn_mm:.1f} mm wide. Look at it before you trust its size.",
        "measure",
    )
    return replace(at_edge, notices=(doubt, *at_edge.notices))


def _doubt_of_joint(nodule: Nodule) -> Notice:
    """Say that the outline was cut off where nothing parts it."""
    return Notice(
        "nodule-joined",
        f"The nodule at {_place(nodule.center_mm)} is joined to other tissue that no "
        "thinner part separates; it was cut off at the size of the candidate.",
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
