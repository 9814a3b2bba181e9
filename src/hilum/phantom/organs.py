"""How each organ is drawn: formulas in the millimetres of a standard adult.

Every function takes one slab of nodes as arrays z, y, x and gives a field that
is negative inside. The outlines of chest and body follow real CT (LIDC-IDRI)
slice by slice; the organs are unions of ellipsoids with fillets.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from hilum.phantom.person import Person

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
Nodes = tuple[Floats, Floats, Floats]

VERTEBRA_MM = 23.0
"""Height of a vertebra with its disc; the first thoracic one lies at `T1_MM`."""
T1_MM = 122.0

# z, half width, front, back of the inside of the rib cage
_CAVITY = np.array(
    [
        (-220, 118, -84, 60),
        (-150, 124, -88, 70),
        (-115, 127, -92, 77),
        (-90, 126, -96, 82),
        (-65, 124, -100, 85),
        (-40, 121, -101, 88),
        (-15, 119, -100, 89),
        (10, 117, -97, 88),
        (35, 114, -91, 85),
        (60, 108, -81, 80),
        (85, 97, -65, 71),
        (105, 81, -46, 61),
        (120, 61, -30, 46),
        (131, 38, -15, 34),
        (138, 12, 0, 18),
        (160, -12, 10, 10),
        (220, -60, 20, 0),
    ],
    dtype=np.float64,
)

# z, half width, front, back of the skin
_BODY = np.array(
    [
        (-220, 143, -116, 98),
        (-150, 147, -120, 104),
        (-115, 149, -122, 108),
        (-65, 152, -122, 114),
        (-15, 158, -120, 116),
        (35, 165, -113, 113),
        (70, 170, -104, 108),
        (100, 172, -93, 103),
        (130, 171, -82, 97),
        (155, 160, -74, 90),
        (175, 128, -68, 82),
        (195, 85, -66, 74),
        (220, 66, -64, 68),
    ],
    dtype=np.float64,
)


def spine_y(z: npt.ArrayLike) -> Doubles:
    """Where the middle of a vertebral body lies (y)."""
    z = np.asarray(z, dtype=np.float64)
    return np.asarray(41 - 12 * ((z + 20) / 100) ** 2)


def _spine(z: Floats) -> Floats:
    return spine_y(z).astype(np.float32)


def draw_organs(
    person: Person,
    nodes: Nodes,
    mediastinum: Floats,
    rise: Floats,
    straight_y: Floats,
) -> dict[str, Floats]:
    """Draw all organs on one slab of nodes.

    Args:
        person: Whose organs.
        nodes: z (n, 1, 1), y and x (n, rows, columns) of the nodes; y and x
            shifted at random so that borders wander.
        mediastinum: Field of the great vessels and the airway with their fat.
        rise: Random rise of the diaphragm.
        straight_y: y of the nodes, not shifted: where water and couch are level.
    """
    z, y, x = nodes
    body = _body(person, nodes)
    cavity = np.maximum(_barrel(nodes, _CAVITY, 2.3, 27), body + 11)
    above = z - rise - _diaphragm_z(person, y, x)
    above = np.asarray(above / 1.3, dtype=np.float32)
    below = above + 2.5
    heart = np.maximum(_heart(person, nodes), 2 - above)
    middle = smooth_min(mediastinum, heart - 4, 8)
    middle = smooth_min(middle, _spine_bulge(nodes), 6)
    middle = np.minimum(middle, np.abs(x - 2) - 1.7)
    belly = np.maximum(below, cavity + 3)
    liver = np.maximum(belly, _liver_edge(nodes))
    stomach = ellipsoid(nodes, (60, -22, person.dome_mm[1] - 52), (50, 50, 48))
    stomach = np.maximum(np.maximum(stomach, belly + 2), 4 - liver)
    spleen = np.maximum(
        ellipsoid(nodes, (88, 42, person.dome_mm[1] - 58), (34, 46, 50)), belly
    )
    return {
        "body": body,
        "muscle": _muscle(nodes, body, cavity),
        "cavity": cavity,
        "liver": liver,
        "spleen": np.maximum(spleen, 2 - stomach),
        "stomach": stomach,
        "gas": np.maximum(stomach + 5, straight_y + 38),
        "heart": heart,
        "spine": _vertebrae(nodes),
        "lung": np.maximum(np.maximum(cavity, -above), -middle),
        "couch": np.abs(straight_y - 135 + (x / 60) ** 2) - 8,
    }


def smooth_min(a: Floats, b: Floats, width: float) -> Floats:
    """Unite two organs with a fillet of some mm."""
    h = np.maximum(width - np.abs(a - b), 0) / width
    return np.asarray(np.minimum(a, b) - h * h * (width / 4), dtype=np.float32)


def ellipsoid(
    nodes: Nodes,
    center: tuple[float, float, float],
    radii: tuple[float, float, float],
) -> Floats:
    """Field of an ellipsoid; center and radii are (x, y, z)."""
    z, y, x = nodes
    u, v, w = (x - center[0]) / radii[0], (y - center[1]) / radii[1], z - center[2]
    w = w / radii[2]
    field = (np.sqrt(u * u + v * v + w * w) - 1) * min(radii)
    return np.asarray(field, dtype=np.float32)


def _pair(nodes: Nodes) -> Nodes:
    """Fold the left half onto the right, to draw what comes in pairs once."""
    return nodes[0], nodes[1], np.abs(nodes[2])


def _barrel(nodes: Nodes, knots: Doubles, power: float, notch_mm: float = 0) -> Floats:
    """Field of a trunk whose half width, front and back change with height.

    The notch is how much nearer its back is at the spine than beside it.
    """
    z, y, x = nodes
    width, front, back = (
        np.interp(z, knots[:, 0], knots[:, i]).astype(np.float32) for i in (1, 2, 3)
    )
    notched = back - notch_mm * np.exp(-((x / 36) ** 2))
    middle = 0.55 * notched + 0.45 * front
    depth = np.maximum(np.where(y > middle, notched - middle, middle - front), 1)
    span = np.maximum(width, 1)
    rho = np.abs(x / span) ** power + np.abs((y - middle) / depth) ** power
    rho = rho ** (1 / power)
    field = (rho - 1) * np.minimum(span, depth)
    return np.asarray(np.where(width > 1, field, np.maximum(field, 1 - width)), "f4")


def _body(person: Person, nodes: Nodes) -> Floats:
    body: Floats = (_barrel(nodes, _BODY, 2.5) - person.fat_mm).astype(np.float32)
    if person.breasts:
        size = person.breasts
        breast = ellipsoid(
            _pair(nodes), (78, -112, -18), (58 * size, 34 * size, 52 * size)
        )
        body = smooth_min(body, breast, 16)
    return np.asarray(body, dtype=np.float32)


def _diaphragm_z(person: Person, y: Floats, x: Floats) -> Floats:
    """Height of the diaphragm: two domes and the saddle under the heart."""
    right, left = person.dome_mm
    tops: list[Floats] = []
    for top, middle in ((right, -58.0), (left, 66.0)):
        across = (x - middle) / np.where((x - middle) * middle > 0, 71, 84)
        along = (y + 12) / np.where(y > -12, 97, 125)
        rho2 = np.abs(across) ** 2.2 + np.abs(along) ** 2.2
        dome = top - 92 * (1 - np.sqrt(np.maximum(1 - 0.95 * rho2, 0.0025)))
        tops.append(np.asarray(-dome, dtype=np.float32))
    return -smooth_min(tops[0], tops[1], 20)


def _heart(person: Person, nodes: Nodes) -> Floats:
    """Four chambers as ellipsoids, the left ventricle turned to the left."""
    z, y, x = nodes
    size = person.heart
    turn = np.deg2rad(38)
    u, v = x - 44, y + 34
    along = (u * np.cos(turn) - v * np.sin(turn)) / (58 * size)
    across = (u * np.sin(turn) + v * np.cos(turn)) / (42 * size)
    up = (z + 68 + 0.25 * u) / (42 * size)
    left = (np.sqrt(along**2 + across**2 + up**2) - 1) * 42
    heart = np.asarray(left, dtype=np.float32)
    for center, radii in (
        ((14, -58, -64), (48, 32, 46)),
        ((-26, -30, -54), (26, 34, 40)),
        ((6, 8, -34), (36, 20, 27)),
        ((8, -36, -24), (28, 22, 26)),
    ):
        sized = (radii[0] * size, radii[1] * size, radii[2] * size)
        heart = smooth_min(heart, ellipsoid(nodes, center, sized), 12)
    return heart


def _spine_bulge(nodes: Nodes) -> Floats:
    """Vertebrae and the muscles beside them, as seen from the lung."""
    z, y, x = nodes
    behind = y - _spine(z)
    body = np.sqrt((x / 20.5) ** 2 + ((behind - 14) / 32) ** 2)
    arch = np.sqrt((x / 29) ** 2 + ((behind - 31) / 17) ** 2)
    field = np.minimum((body - 1) * 20, (arch - 1) * 17)
    return np.asarray(field, dtype=np.float32)


def _vertebrae(nodes: Nodes) -> Floats:
    """Vertebral bodies, waisted, with gaps for the discs."""
    z, y, x = nodes
    phase = (z - T1_MM) / VERTEBRA_MM
    gap = np.abs(phase - np.rint(phase - 0.5) - 0.5) * VERTEBRA_MM
    waist = 1 + 0.05 * np.cos(2 * np.pi * (phase - 0.5))
    size = 1 - 0.14 * np.clip((z + 130) / 260, 0, 1)
    rho = np.sqrt((x / (18.5 * size)) ** 2 + ((y - _spine(z)) / (15.5 * size)) ** 2)
    return np.asarray(np.maximum((rho - waist) * 15, 2.4 - gap), dtype=np.float32)


def _liver_edge(nodes: Nodes) -> Floats:
    """Keep the liver right of a slope that thins its left lobe."""
    z, y, x = nodes
    slope = 0.62 * (x - 52) - 0.55 * (z + 118) * (x > -20) + 0.3 * (y + 30)
    back = 0.8 * (x - 6) + 0.5 * (y - 4)
    return np.asarray(np.maximum(slope * 0.8, np.minimum(back, 20)), dtype=np.float32)


def _muscle(nodes: Nodes, body: Floats, cavity: Floats) -> Floats:
    """Chest wall, shoulder girdle and back, with fat left between them."""
    z, y, _ = nodes
    fold = _pair(nodes)
    wall = cavity - 8.5
    side = np.maximum(np.abs(cavity - 21) - 4.5, np.maximum(np.abs(y - 8) - 52, z - 75))
    back = np.sqrt(((fold[2] - 26) / 25) ** 2 + ((y - _spine(z) - 50) / 21) ** 2)
    parts = [
        side,
        (back - 1) * 21,
        ellipsoid(fold, (104, 70, 52), (54, 36, 88)),
        np.maximum(ellipsoid(fold, (74, -72, 62), (64, 26, 62)), cavity - 33),
        ellipsoid(fold, (132, 8, 118), (52, 44, 52)),
        ellipsoid(fold, (30, 62, 150), (70, 24, 60)),
        ellipsoid(fold, (24, 4, 185), (34, 44, 60)),
    ]
    muscle = wall
    for part in parts:
        muscle = np.minimum(muscle, part)
    return np.asarray(np.maximum(muscle, body + 6), dtype=np.float32)
