"""Where a nodule ends: half-way between its own level and that of the lung.

The edge of a blurred object lies where the scan reads half-way between inside and
outside, whatever the blur; both levels are measured on the spot. Where a
ground-glass halo surrounds a dense nodule, the edge is that of the halo.

Sources:
    Kuhnigk et al., "Morphological segmentation and partial volume analysis for
    volumetry of solid pulmonary lesions in thoracic CT scans", IEEE TMI
    2006;25:417.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from hilum.findings import Candidate
from hilum.stages.measure.boxes import close, within
from hilum.stages.measure.fitting import fit_rim
from hilum.stages.measure.halo import find_halo
from hilum.stages.measure.levels import (
    FAINTEST_HU,
    find_core,
    inner_cells,
    lung_level,
    smooth,
    smooth_in,
)
from hilum.stages.measure.neighbourhood import BoolArray, Neighbourhood, cut_out
from hilum.stages.measure.search import Outline, Search
from hilum.volume import CTVolume, Mask

_WIDER = (1.0, 1.5, 2.25)
_LARGEST_MM = 100.0
_CALM = 10
_CALM_MM = 0.8
_GLASS_HU = 200.0
_EVEN_GLASS_HU = 110.0
_SOLID_HU = -250.0
_MOSTLY = 0.6
_BLUR_MM = 1.2
_PLEURA_MM = 3.0
_AIR_HU = -450.0
_BALL_MM = (6.0, 30.0)
_LAST_RESORT = 0.65
_SPECK_MM3 = 2.0
_INSIDE = 0.95
"""Share of a fitted whole that must lie in the room of the nodule: one that reaches
into the wall was fitted to one side of it alone, and its axes are not those seen."""


def find_outline(
    volume: CTVolume, candidate: Candidate, lungs: Mask
) -> tuple[Neighbourhood, Outline | None]:
    """Outline a candidate, looking further around if it turns out larger.

    Args:
        volume: The CT.
        candidate: Its centre lies inside the volume.
        lungs: Labels on the grid of the volume.

    Returns:
        The surroundings, and the outline in them or None when nothing stands out.

    Raises:
        InputError: The centre lies outside the volume.
    """
    size_mm = candidate.diameter_mm
    *sooner, last = (min(times * size_mm, _LARGEST_MM) for times in _WIDER)
    narrow = None
    for size_mm in sooner:
        hood = cut_out(volume, candidate, lungs, diameter_mm=size_mm)
        outline = outline_nodule(hood, widest=False)
        narrow = narrow or (hood, outline)
        if outline is None:
            return narrow
        if not outline.outgrows:
            return hood, outline
    hood = cut_out(volume, candidate, lungs, diameter_mm=last)
    return hood, outline_nodule(hood)


def outline_nodule(hood: Neighbourhood, *, widest: bool = True) -> Outline | None:
    """Find the cells of the nodule, or None when nothing but a speck stands out.

    Args:
        hood: The surroundings.
        widest: Whether the outline must end within them.
    """
    lung_hu, noise_hu = lung_level(hood)
    room = _room(hood)
    seed = find_core(hood, room, lung_hu)
    z, y, x = (slice(at, at + 1) for at in seed)
    start_hu = float(smooth_in(hood, hood.hu, 0.5, (z, y, x))[0, 0, 0])
    if start_hu - lung_hu < FAINTEST_HU:
        return None
    off = hood.distances_from(seed)
    search = Search(hood, seed, off, room, lung_hu, hood.reach_mm, widest)
    noisy = start_hu - lung_hu < _CALM * noise_hu
    calm = smooth(hood, hood.hu, _CALM_MM) if noisy else hood.hu
    dense = search.settle(calm, start_hu)
    if dense is None or np.count_nonzero(dense.cells) * hood.cell_mm3 < _SPECK_MM3:
        return None
    if dense.outgrows:
        return dense
    whole = _find_rim(search, dense, noise_hu) or _find_halo(search, dense)
    alone = _parted(search, dense)
    return alone if whole is None else replace(whole, dense=alone)


def _parted(search: Search, dense: Outline) -> Outline:
    """Cut a nodule off at the candidate's own size where it runs away."""
    if not search.leaks(dense.cells):
        return dense
    tight = replace(search, reach_mm=_LAST_RESORT * search.hood.diameter_mm)
    cut = tight.settle(dense.hu, dense.rim_hu)
    return replace(cut or dense, joined=True)


def _find_rim(search: Search, dense: Outline, noise_hu: float) -> Outline | None:
    """Find the outline of a small dense core and its thin rim, if there is any.

    The cells are those of what was fitted, so that mask and volume are of one thing.
    """
    hood = search.hood
    if search.leaks(dense.cells):  # what is joined to it would be fitted as well
        return None
    rim = fit_rim(hood, dense, search.room, noise_hu)
    if rim is None or not rim.clear:
        return None
    whole = rim.holds(hood)
    cells = whole & search.room
    inside = int(cells.sum()) / max(int(whole.sum()), 1)
    if inside < _INSIDE or not (cells & dense.cells).any():
        return None
    rim = replace(rim, inside=inside)
    level_hu = search.lung_hu + rim.glass_hu
    return replace(
        dense, cells=cells, hu=hood.hu, rim_hu=level_hu, full_hu=level_hu, rim=rim
    )


def _find_halo(search: Search, dense: Outline) -> Outline | None:
    """Find the outline of the ground glass around a dense nodule, if there is any."""
    hood, lung_hu = search.hood, search.lung_hu
    rest = dense.tissue & ~dense.cells
    halo = find_halo(hood, dense.cells, rest, where=search.reachable, lung_hu=lung_hu)
    if halo is None or halo.level_hu >= dense.edge_hu:
        return None
    core = within(dense.cells, hood.cell_mm, max(*hood.voxel_mm, _BLUR_MM))
    faint = search.settle(smooth(hood, hood.hu, _CALM_MM), halo.level_hu, core=core)
    least_hu = _EVEN_GLASS_HU if halo.even else _GLASS_HU
    if faint is None or faint.rim_hu - lung_hu < least_hu:
        return None
    inner = hood.hu[inner_cells(hood, faint.cells)]
    if np.mean(inner > _SOLID_HU) > _MOSTLY:
        return None
    if not search.leaks(faint.cells):
        return faint
    return None if search.widest else replace(faint, outgrows=True)


def _room(hood: Neighbourhood) -> BoolArray:
    """Give the cells that may belong to a nodule: the lung, and what dents it.

    The pleura is drawn anew here, finer than the lung mask: a ball wider than the
    candidate rolls along the air from outside, and what it cannot reach is room.
    Where that leaves out most of the candidate, the lung mask is taken as it is,
    and if that does too, the candidate's own sphere.
    """
    if hood.lungs[hood.distance_mm <= hood.reach_mm + 2].all():
        return hood.lungs
    near = within(hood.lungs, hood.cell_mm, _PLEURA_MM)
    ball = float(np.clip(hood.diameter_mm, *_BALL_MM))
    room = near & close(near & (hood.hu < _AIR_HU), hood.cell_mm, ball)
    sphere = hood.distance_mm <= 0.5 * hood.diameter_mm
    for more in (hood.lungs, hood.distance_mm <= 0.6 * hood.diameter_mm):
        if np.count_nonzero(sphere & room) >= _MOSTLY * np.count_nonzero(sphere):
            break
        room = room | more
    return room
