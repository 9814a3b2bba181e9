"""The great vessels, the windpipe and the gullet, and the room that they take.

Knots are (x, y, z, radius) in the millimetres of a standard adult. Where a
vessel or bronchus enters a lobe is written down here too: there `vessels` takes
over and grows the trees of the lung.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from hilum._threads import in_threads
from hilum.phantom.person import Person
from hilum.phantom.tubes import Tubes, curve

Knots = tuple[tuple[float, float, float, float], ...]
Point = tuple[float, float, float]

LOBES = ("right upper", "right middle", "right lower", "left upper", "left lower")

ARTERY_ROOTS: dict[str, Point] = {
    "right upper": (-46, -4, 24),
    "right middle": (-48, -10, -16),
    "right lower": (-50, 16, -22),
    "left upper": (47, -2, 26),
    "left lower": (51, 24, -12),
}
VEIN_ROOTS: dict[str, Point] = {
    "right upper": (-45, -16, 2),
    "right middle": (-44, -22, -22),
    "right lower": (-44, 24, -48),
    "left upper": (46, -16, 6),
    "left lower": (50, 30, -46),
}
BRONCHUS_ROOTS: dict[str, Point] = {
    "right upper": (-42, 8, 20),
    "right middle": (-43, 0, -20),
    "right lower": (-43, 20, -24),
    "left upper": (42, 2, 8),
    "left lower": (42, 24, -16),
}

_ARTERIES: tuple[Knots, ...] = (
    # aorta: root, arch, down to the diaphragm and beyond
    (
        (2, -26, -20, 15),
        (-12, -34, 8, 16),
        (-14, -34, 36, 15.5),
        (-6, -24, 58, 14.5),
        (10, -4, 66, 14),
        (22, 14, 56, 13.5),
        (27, 27, 34, 13),
        (26, 31, -40, 12.5),
        (16, 28, -110, 12),
        (6, 18, -200, 11),
        (4, 14, -240, 10),
    ),
    ((-6, -22, 62, 7), (-14, -20, 84, 6.5), (-26, -14, 112, 5), (-34, -10, 190, 4)),
    ((6, -8, 66, 5), (12, -6, 95, 4.5), (20, -4, 190, 4)),
    ((16, 4, 66, 5.5), (24, 6, 100, 5), (46, -2, 126, 4.5), (90, -20, 138, 4)),
    # pulmonary trunk and its branches up to the lobes
    ((16, -46, -18, 14), (20, -38, 6, 14), (18, -24, 22, 12.5)),
    ((18, -24, 22, 12), (4, -10, 24, 11), (-18, -8, 14, 10.5), (-38, -2, 8, 9)),
    ((-34, -4, 10, 8), (-46, -4, 24, 5.5)),
    ((-38, -2, 8, 9), (-47, 4, -8, 7.5), (-50, 16, -22, 6.5)),
    ((-47, 3, -6, 5), (-48, -10, -16, 3.5)),
    ((18, -24, 22, 12), (28, -8, 30, 11.5), (40, 8, 24, 10), (47, 18, 8, 8.5)),
    ((40, 4, 26, 7), (47, -2, 26, 5.5)),
    ((47, 18, 8, 8.5), (51, 24, -12, 6.5)),
)
_VEINS: tuple[Knots, ...] = (
    # upper and lower caval veins, brachiocephalic veins
    ((-26, -26, 78, 9), (-29, -22, 40, 9.5), (-28, -20, -20, 11)),
    ((-26, -26, 78, 7), (-38, -24, 110, 6.5), (-50, -22, 140, 6), (-90, -30, 150, 5)),
    ((-26, -28, 76, 7), (-4, -42, 82, 6.5), (24, -38, 96, 6), (50, -26, 136, 6)),
    ((-22, -12, -70, 12), (-20, 2, -110, 12), (-14, 14, -240, 11)),
    # pulmonary veins to the left atrium
    ((-14, 4, -26, 8), (-34, -8, -10, 6.5), (-45, -16, 2, 5)),
    ((-34, -8, -12, 4.5), (-44, -22, -22, 3.2)),
    ((-14, 12, -36, 8), (-30, 20, -44, 7), (-44, 24, -48, 5.5)),
    ((24, 6, -24, 8), (38, -8, -6, 6.5), (46, -16, 6, 5)),
    ((24, 14, -34, 8), (38, 24, -42, 7), (50, 30, -46, 5.5)),
)
# lumen; the wall is added when they are drawn
_AIRWAY: tuple[Knots, ...] = (
    ((0, -2, 200, 9), (0, 0, 120, 9), (-1, 6, 60, 8.7), (-2, 13, 24, 9)),
    ((-3, 13, 24, 7.5), (-18, 14, 10, 7), (-32, 14, -2, 5.8), (-43, 20, -24, 4.6)),
    ((-22, 14, 8, 5), (-32, 11, 15, 4.6), (-42, 8, 20, 4)),
    ((-37, 16, -12, 3.5), (-43, 0, -20, 2.8)),
    ((-1, 13, 24, 6.8), (14, 16, 12, 6.4), (30, 18, 0, 5.8), (42, 24, -16, 4.6)),
    ((32, 17, 0, 4.8), (42, 2, 8, 4)),
)
_SOFT: tuple[Knots, ...] = (
    # gullet
    (
        (4, 14, 200, 6),
        (4, 16, 110, 6),
        (6, 23, 40, 6.5),
        (6, 22, -20, 7.5),
        (12, 16, -80, 8),
        (24, 6, -112, 9),
    ),
    # lymph nodes beside the windpipe and below its fork
    ((-16, 2, 44, 3.5), (-15, 4, 36, 4.5), (-14, 6, 28, 3.5)),
    ((8, 4, 34, 3), (10, 4, 28, 4)),
    ((-2, 20, 2, 5), (0, 22, -8, 6), (2, 22, -14, 4)),
)
# fat in front of the great vessels, that keeps the lungs apart
_FAT: tuple[Knots, ...] = (
    ((0, -36, 110, 6), (-4, -52, 72, 9), (-5, -62, 34, 10), (-6, -78, -10, 9)),
    ((10, -40, 90, 6), (10, -54, 60, 9), (10, -66, 30, 10), (16, -80, -14, 11)),
    ((-16, 0, 100, 8), (-14, -4, 60, 9)),
    ((2, -84, 50, 3), (3, -96, 0, 5), (4, -98, -50, 7)),
)


def great_vessels(person: Person) -> Tubes:
    """Give aorta, caval and pulmonary vessels up to the lobes.

    Args:
        person: Whose; places stay those of a standard adult.
    """
    scale = 1 + 0.8 * (person.heart - 1)
    return Tubes.join([_chain("blood", k, scale) for k in _ARTERIES + _VEINS])


def gullet_and_nodes() -> Tubes:
    """Give the gullet and some lymph nodes, in a standard adult."""
    return Tubes.join([_chain("soft", knots) for knots in _SOFT])


def main_airways() -> Tubes:
    """Give windpipe and bronchi up to the lobes, wall and lumen."""
    lumen = [_chain("lumen", knots) for knots in _AIRWAY]
    wall = [_chain("wall", _thicker(knots, 1.5)) for knots in _AIRWAY]
    return Tubes.join(wall + lumen)


def envelope(
    person: Person,
    count: tuple[int, int, int],
    start_mm: tuple[float, float, float],
    step_mm: float,
) -> npt.NDArray[np.float32]:
    """Field of the room that the great vessels take among the lungs.

    Args:
        person: Whose; places are those of a standard adult.
        count: Nodes along (z, y, x).
        start_mm: First node (z, y, x).
        step_mm: Distance of nodes.

    Returns:
        (z, y, x) about mm from the fat around the vessels, < 0 inside.
    """
    from hilum.phantom._field_kernels import near_tubes  # noqa: PLC0415  numba

    data = Tubes.join(
        [
            great_vessels(person),
            main_airways().of("wall"),
            gullet_and_nodes(),
            *(_chain("soft", knots) for knots in _FAT),
        ]
    ).data
    margin_mm, fillet_mm = 2.5, 4.5
    out = np.full(count, 35.0, np.float32)
    start = np.array(start_mm)

    def part(first: int, last: int) -> None:
        near_tubes(data, start, step_mm, fillet_mm, out, first, last)

    in_threads(part, count[0])
    out -= margin_mm
    return out


def _thicker(knots: Knots, wall_mm: float) -> Knots:
    return tuple((x, y, z, radius + wall_mm) for x, y, z, radius in knots)


def _chain(kind: str, knots: Knots, scale: float = 1.0) -> Tubes:
    smooth = curve(np.array(knots, dtype=np.float64), 9 * len(knots))
    return Tubes.chain(kind, smooth[:, :3], smooth[:, 3] * scale)
