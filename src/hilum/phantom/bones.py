"""Ribs, breastbone, collar bones, shoulder blades and the arches of the spine.

Each bone is a chain of flat tubes of cortex with marrow inside. Ribs and
shoulder blades are laid on the rib cage as it was drawn for this person, so they
follow its shape wherever it wandered. All in this person's mm.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from hilum.phantom.anatomy import Anatomy
from hilum.phantom.organs import T1_MM, VERTEBRA_MM, spine_y
from hilum.phantom.tubes import Tubes, curve

Doubles = npt.NDArray[np.float64]

CORTEX_MM = 1.1
RIB_HALF_HEIGHT_MM = 6.2
RIB_FLATNESS = 1.75

# of ribs 1 to 12: fall from the spine to the front end (mm), angle of the bony
# end and of the cartilage's end from the back (degrees), rise of the cartilage
_RIBS = (
    (24, 128, 168, 2),
    (40, 132, 170, 4),
    (54, 134, 170, 8),
    (62, 134, 170, 14),
    (68, 132, 169, 22),
    (72, 128, 168, 32),
    (74, 122, 166, 46),
    (76, 116, 152, 44),
    (76, 110, 144, 40),
    (72, 104, 134, 26),
    (58, 84, 0, 0),
    (40, 62, 0, 0),
)


def skeleton(anatomy: Anatomy) -> Tubes:
    """Give all bones but the vertebral bodies, which are an organ's field.

    Args:
        anatomy: Of the person.
    """
    scale = anatomy.person.scale
    ribs = [
        _rib(anatomy, number, side) for number in range(1, 13) for side in (-1.0, 1.0)
    ]
    blades = [_shoulder_blade(anatomy, side) for side in (-1.0, 1.0)]
    drawn = [_breastbone(anatomy), *_collar_bones(), _arches()]
    return Tubes.join(ribs + blades + [bone.stretched(scale) for bone in drawn])


def _bone(
    points: Doubles, radii: npt.ArrayLike, *, flat: npt.ArrayLike, flatness: float
) -> Tubes:
    """Cortex and the marrow inside."""
    radii = np.broadcast_to(np.asarray(radii, np.float64), len(points))
    thin = radii / flatness
    inner = np.maximum(thin - CORTEX_MM, 0.2)
    hollow = flatness * np.maximum(thin - CORTEX_MM, 0.2) / inner
    inside = np.minimum(inner * hollow, radii - 0.6 * CORTEX_MM)
    shell = Tubes.chain("cortex", points, radii, flat=flat, flatness=flatness)
    core = Tubes.chain("marrow", points, inside, flat=flat, flatness=flatness)
    return Tubes.join([shell, core])


def on_rib_cage(
    anatomy: Anatomy, angles: Doubles, heights: Doubles, out_mm: float
) -> Doubles:
    """Find points at some distance outside of the rib cage.

    Args:
        anatomy: Of the person.
        angles: (n,) radians from the back, > 0 to the left.
        heights: (n,) z in this person's mm.
        out_mm: How far outside the inner surface of the ribs.

    Returns:
        (n, 3) points (x, y, z).
    """
    ray = np.column_stack([np.sin(angles), np.cos(angles), np.zeros(len(angles))])
    start = np.column_stack([np.zeros(len(angles))] * 2 + [heights])
    low, high = np.zeros(len(angles)), np.full(len(angles), 175.0)
    for _ in range(22):
        middle = (low + high) / 2
        inside = anatomy.at("cavity", start + middle[:, None] * ray) < out_mm
        low, high = np.where(inside, middle, low), np.where(inside, high, middle)
    return np.asarray(start + low[:, None] * ray)


def _rib(anatomy: Anatomy, number: int, side: float) -> Tubes:
    fall, bony, end, rise = _RIBS[number - 1]
    scale = np.array(anatomy.person.scale)
    root_z = T1_MM - VERTEBRA_MM * (number - 1) + 6
    last = np.deg2rad(max(bony, end))
    angles = np.linspace(np.deg2rad(27), last, 46)
    share = np.clip((angles - angles[0]) / (np.deg2rad(bony) - angles[0]), 0, None)
    eased = np.clip(share, 0, 1) ** 1.25
    beyond = np.clip(
        (angles - np.deg2rad(bony)) / max(last - np.deg2rad(bony), 0.1), 0, 1
    )
    heights = (root_z - fall * (0.12 + 0.88 * eased) + rise * beyond**1.5) * scale[0]
    cage = on_rib_cage(
        anatomy, side * angles, heights, RIB_HALF_HEIGHT_MM / RIB_FLATNESS + 1.2
    )
    y = float(spine_y(root_z))
    neck = (
        np.array([(side * 15, y + 13, root_z), (side * 25, y + 31, root_z - 1)])
        * scale[::-1]
    )
    path = curve(np.vstack([neck, cage]), 72)
    flat = anatomy.normal("cavity", path)
    flat[:, 2] *= 0.4
    flat /= np.linalg.norm(flat, axis=1, keepdims=True)
    around = np.arctan2(side * path[:, 0], path[:, 1])
    height = RIB_HALF_HEIGHT_MM * (0.8 if number in (1, 2, 11, 12) else 1.0)
    cut = int(np.searchsorted(around[10:], np.deg2rad(bony)) + 10)
    bone = _bone(path[:cut], height, flat=flat[:cut], flatness=RIB_FLATNESS)
    if not end or cut >= len(path) - 1:
        return bone
    soft = Tubes.chain(
        "cartilage",
        path[cut - 1 :],
        height * 0.95,
        flat=flat[cut - 1 :],
        flatness=1.5,
    )
    return Tubes.join([bone, soft])


def _shoulder_blade(anatomy: Anatomy, side: float) -> Tubes:
    scale = anatomy.person.scale
    strips = []
    for share in np.linspace(0, 1, 9):
        top, bottom = 92 - 8 * share, -36 + 74 * share**1.3
        heights = np.linspace(top, bottom, 14) * scale[0]
        angles = np.deg2rad(36 + 40 * share - 6 * np.linspace(0, 1, 14))
        path = on_rib_cage(anatomy, side * angles, heights, 15 + 5 * share)
        radius = 7.5 if share < 1 else 6.0
        flat = anatomy.normal("cavity", path)
        strips.append(
            Tubes.chain(
                "cortex", path, radius, flat=flat, flatness=4.2 if share < 1 else 1.3
            )
        )
    angles = np.deg2rad(np.linspace(40, 82, 14))
    ridge = on_rib_cage(anatomy, side * angles, np.linspace(66, 98, 14) * scale[0], 15)
    out = anatomy.normal("cavity", ridge)
    lifted = ridge + out * np.linspace(7, 18, 14)[:, None]
    spine = Tubes.chain("cortex", lifted, 7.5, flat=(0, 0, 1), flatness=3.2)
    head = on_rib_cage(anatomy, side * np.deg2rad([80, 84]), np.array([78, 96.0]), 30)
    return Tubes.join([*strips, spine, _bone(head, 12, flat=(0, 0, 1), flatness=1.0)])


def _breastbone(anatomy: Anatomy) -> Tubes:
    """Manubrium and body, in a standard adult."""
    heights = np.linspace(62, -84, 24) * anatomy.person.scale[0]
    front = on_rib_cage(anatomy, np.full(24, np.pi), heights, 6.5)
    path = front / np.array(anatomy.person.scale)[::-1]
    path[:, 1] = np.convolve(
        np.pad(path[:, 1], 3, mode="edge"), np.ones(7) / 7, "valid"
    )
    path[:, 0] = 0
    half = np.interp(path[:, 2], [-84, -70, -30, 25, 40, 62], [6, 14, 19, 14, 22, 26])
    bones = []
    for across in (-0.6, -0.3, 0, 0.3, 0.6):
        line = path.copy()
        line[:, 0] = across * half
        bones.append(_bone(line, 0.42 * half, flat=(0, 1, 0), flatness=1.7))
    joined = Tubes.join(bones)
    return Tubes.join([joined.of("cortex"), joined.of("marrow")])


def _collar_bones() -> list[Tubes]:
    knots = (
        (20, -87, 68),
        (44, -87, 82),
        (78, -72, 99),
        (112, -38, 116),
        (134, -14, 124),
    )
    paths = [
        curve(np.array([(side * x, y, z) for x, y, z in knots]), 30) for side in (-1, 1)
    ]
    return [_bone(path, 6.0, flat=(0, 0, 1), flatness=1.15) for path in paths]


def _arches() -> Tubes:
    """Pedicles, laminae, spinous and transverse processes of each vertebra."""
    parts = []
    for number in range(-3, 16):
        z = T1_MM - VERTEBRA_MM * number
        y = float(spine_y(z))
        for side in (-1.0, 1.0):
            arch = [
                (side * 11, y + 11, z + 3),
                (side * 12.5, y + 22, z + 1),
                (side * 8, y + 31, z - 2),
                (0, y + 36, z - 5),
            ]
            parts.append(_bone(np.array(arch), 4.2, flat=(1, 0, 0), flatness=1.2))
            process = [(side * 12, y + 24, z + 2), (side * 29, y + 37, z + 4)]
            parts.append(_bone(np.array(process), 4.5, flat=(0, 1, 0), flatness=1.2))
        tip = [(0, y + 35, z - 5), (0, y + 48, z - 15), (0, y + 55, z - 22)]
        parts.append(_bone(np.array(tip), 5.5, flat=(1, 0, 0), flatness=1.6))
    return Tubes.join(parts)
