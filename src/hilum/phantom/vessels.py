"""Arteries, veins and airways inside the lung, grown lobe by lobe.

Each tree divides a cloud of points that fills its lobe: a branch to the centre of
each half, and again, until every point has a twig (after Tawhai et al., "Generation
of an anatomically based three-dimensional model of the conducting airways", Ann
Biomed Eng 28:793, 2000). A vessel's radius follows the number of twigs it feeds
(Murray's law). Bronchi run along the arteries, veins between them.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from hilum.phantom.anatomy import Anatomy, build_anatomy
from hilum.phantom.lobes import fissure_gap, fissure_waves, lobe_of
from hilum.phantom.mediastinum import (
    ARTERY_ROOTS,
    BRONCHUS_ROOTS,
    LOBES,
    VEIN_ROOTS,
    great_vessels,
    gullet_and_nodes,
    main_airways,
)
from hilum.phantom.person import Person
from hilum.phantom.tubes import KIND_NAMES, Tubes

Doubles = npt.NDArray[np.float64]
Tree = tuple[Doubles, npt.NDArray[np.int64], npt.NDArray[np.int64]]

TWIG_SPACING_MM = 7.0
TWIG_RADIUS_MM = 0.33
MURRAY = 3.0
"""Exponent of the sum of radii that a branching keeps."""
SMALLEST_BRONCHUS_MM = 0.95


@lru_cache(maxsize=1)
def lung_trees(person: Person) -> Tubes:
    """Grow all trees of a person's lungs and the great vessels they spring from.

    Args:
        person: Whose.

    Returns:
        Tubes of kinds blood, soft, vessel, wall and lumen, in this person's mm.
    """
    anatomy = build_anatomy(person)
    central = [great_vessels(person), gullet_and_nodes(), main_airways()]
    parts = [tubes.stretched(person.scale) for tubes in central]
    for vein in (False, True):
        cloud, lobes = _cloud(anatomy, salt=int(vein))
        roots = VEIN_ROOTS if vein else ARTERY_ROOTS
        for index, lobe in enumerate(LOBES):
            points = cloud[lobes == index]
            if len(points) < 3:
                continue
            root = np.array(roots[lobe]) * person.scale[::-1]
            tree = _grow(points, root, [person.seed, 5, int(vein), index])
            parts.append(_vessels(tree, [person.seed, 6, int(vein), index]))
            if not vein:
                start = np.array(BRONCHUS_ROOTS[lobe]) * person.scale[::-1]
                parts.append(_bronchi(tree, start, [person.seed, 7, index]))
    return Tubes.join(parts)


def _cloud(anatomy: Anatomy, *, salt: int) -> tuple[Doubles, npt.NDArray[np.int64]]:
    """Fill the lungs with points, shaken off a lattice, away from all borders."""
    person = anatomy.person
    rng = np.random.default_rng([person.seed, 4, salt])
    half = np.array([140.0, 115.0, 150.0])
    counts = (2 * half / TWIG_SPACING_MM).astype(int)
    axes = [np.linspace(-h, h, n) for h, n in zip(half, counts, strict=True)]
    lattice = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    points = lattice + rng.uniform(-0.5, 0.5, lattice.shape) * TWIG_SPACING_MM
    points = points[anatomy.at("lung", points) < -3.0]
    standard = points / np.array(person.scale)[::-1]
    waves = fissure_waves(person)
    keep = fissure_gap(waves, standard) > 3.0
    return points[keep], lobe_of(waves, standard[keep])


def _grow(points: Doubles, root: Doubles, seed: list[int]) -> Tree:
    from hilum.phantom._tree_kernels import grow_tree  # noqa: PLC0415  needs numba

    rng = np.random.default_rng(seed)
    heading = points.mean(axis=0) - root
    heading /= np.linalg.norm(heading)
    nodes, parents, below = grow_tree(
        np.ascontiguousarray(points), root, heading, rng.random(4096), 0.45
    )
    return nodes, parents, below


def _radii(tree: Tree) -> Doubles:
    return np.asarray(TWIG_RADIUS_MM * tree[2] ** (1 / MURRAY), dtype=np.float64)


def _vessels(tree: Tree, seed: list[int]) -> Tubes:
    rng = np.random.default_rng(seed)
    radii = _radii(tree) * rng.uniform(0.9, 1.1, len(tree[0]))
    return _as_tubes("vessel", tree[0], tree[1], radii, rng)


def _bronchi(tree: Tree, start: Doubles, seed: list[int]) -> Tubes:
    """Follow the thicker arteries, side by side."""
    nodes, parents, _ = tree
    rng = np.random.default_rng(seed)
    artery = _radii(tree)
    lumen = 0.66 * artery
    keep = lumen >= SMALLEST_BRONCHUS_MM
    keep[0] = True
    side = start - nodes[0]
    side /= np.linalg.norm(side)
    beside = nodes + side * (artery + lumen + 0.5)[:, None]
    beside[0] = start
    number = np.cumsum(keep) - 1
    above = np.where(parents[keep] >= 0, number[parents[keep]], -1)
    state = rng.bit_generator.state
    wall_mm = 0.3 + 0.13 * lumen[keep]
    wall = _as_tubes("wall", beside[keep], above, lumen[keep] + wall_mm, rng)
    rng.bit_generator.state = state
    inside = _as_tubes("lumen", beside[keep], above, lumen[keep], rng)
    return Tubes.join([wall, inside])


def _as_tubes(
    kind: str,
    nodes: Doubles,
    parents: npt.NDArray[np.int64],
    radii: Doubles,
    rng: np.random.Generator,
) -> Tubes:
    from hilum.phantom._tree_kernels import bend_branches  # noqa: PLC0415  needs numba

    wiggle = rng.normal(0, 0.06, nodes.shape)
    pieces = bend_branches(nodes, parents, radii, wiggle, 4.0)
    data = np.zeros((len(pieces), 12))
    data[:, :8] = pieces
    data[:, 8:] = (0, 0, 1, 1)
    return Tubes(np.full(len(data), KIND_NAMES.index(kind)), data)
