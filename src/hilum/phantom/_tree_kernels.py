"""Compiled loops that grow a tree into a cloud of points."""

from __future__ import annotations

from typing import Any

import numpy as np

from hilum._compiled import compiled


@compiled
def grow_tree(
    points: Any, root: Any, heading: Any, randoms: Any, reach: float
) -> tuple[Any, Any, Any]:
    """Divide a cloud of points again and again, with a branch to each half.

    A branch grows towards the centre of its points, by the share `reach` of the
    way; then a plane through it divides them, off centre at random.

    Args:
        points: (n, 3), reordered in place.
        root: (3,) where the tree starts.
        heading: (3,) its first direction.
        randoms: (m,) in [0, 1), used in turn.
        reach: Share in (0, 1).

    Returns:
        Nodes (k, 3), parent of each (-1 for the root), points below each.
    """
    n = points.shape[0]
    nodes, parents = np.empty((2 * n + 1, 3)), np.full(2 * n + 1, -1)
    below = np.zeros(2 * n + 1, np.int64)
    nodes[0], below[0] = root, n
    stack, ways = np.empty((256, 3), np.int64), np.empty((256, 3))
    stack[0], ways[0] = (0, n, 0), heading
    used, depth, draw = 1, 1, 0
    while depth > 0:
        depth -= 1
        first, last, node = stack[depth]
        way = ways[depth].copy()
        split = _divide(points, first, last, way, randoms[draw % randoms.size])
        draw += 1
        for half in range(2):
            a, b = (first, split) if half == 0 else (split, last)
            share = 1.0
            if b - a > 1:
                share = reach * (0.75 + 0.5 * randoms[draw % randoms.size])
            draw += 1
            step = (_center(points, a, b) - nodes[node]) * share
            length = np.sqrt((step * step).sum())
            if length < 1e-6:
                continue
            if b - a > 1:  # vessels turn gently
                step += 0.5 * length * way
                step *= length / np.sqrt((step * step).sum() + 1e-12)
            nodes[used], parents[used], below[used] = nodes[node] + step, node, b - a
            if b - a > 1 and depth < 255:
                stack[depth], ways[depth] = (a, b, used), step / length
                depth += 1
            used += 1
    return nodes[:used], parents[:used], below[:used]


@compiled
def _center(points: Any, first: int, last: int) -> Any:
    """Mean of some points."""
    center = np.zeros(3)
    for i in range(first, last):
        center += points[i]
    return center / (last - first)


@compiled
def _divide(points: Any, first: int, last: int, way: Any, chance: float) -> int:
    """Reorder points so that one side of a plane along `way` comes first."""
    if last - first == 2:
        return first + 1
    middle = _center(points, first, last)
    helper = np.zeros(3)
    helper[np.argmin(np.abs(way))] = 1.0
    u = np.cross(way, helper)
    u /= np.sqrt((u * u).sum())
    v = np.cross(way, u)
    uu = uv = vv = 0.0
    for i in range(first, last):
        p = points[i] - middle
        pu, pv = (p * u).sum(), (p * v).sum()
        uu += pu * pu
        uv += pu * pv
        vv += pv * pv
    angle = 0.5 * np.arctan2(2 * uv, uu - vv)
    across = np.cos(angle) * u + np.sin(angle) * v
    spread = np.sqrt(max(uu, vv) / (last - first))
    # one side gets more: a stem that goes on, and a side branch
    off = (chance - 0.5) * 1.6
    off += 0.35 if off > 0 else -0.35
    edge = (middle * across).sum() + off * spread
    split = first
    for i in range(first, last):
        if (points[i] * across).sum() < edge:
            for k in range(3):
                keep = points[i, k]
                points[i, k] = points[split, k]
                points[split, k] = keep
            split += 1
    return min(max(split, first + 1), last - 1)


@compiled
def bend_branches(
    nodes: Any, parents: Any, radii: Any, wiggle: Any, step_mm: float
) -> Any:
    """Draw each branch as a curve that leaves along its parent.

    Args:
        nodes: (k, 3).
        parents: (k,), -1 for the root, which has no branch.
        radii: (k,) at the end of each branch.
        wiggle: (k, 3) shift of the middle of each branch, in branch lengths.
        step_mm: About the length of a piece.

    Returns:
        (n, 8) start, end, radius at start and end.
    """
    pieces = 0
    for k in range(1, nodes.shape[0]):
        step = nodes[k] - nodes[parents[k]]
        pieces += 1 + int(np.sqrt((step * step).sum()) / step_mm)
    out = np.empty((pieces, 8))
    done = 0
    for k in range(1, nodes.shape[0]):
        p = parents[k]
        a, b = nodes[p], nodes[k]
        step = b - a
        length = np.sqrt((step * step).sum())
        leave = step.copy()
        if parents[p] >= 0:
            before = a - nodes[parents[p]]
            size = np.sqrt((before * before).sum())
            if size > 1e-6:
                leave = 0.65 * step + 0.35 * before * (length / size)
        start = min(radii[p], radii[k] * 1.25)
        count = 1 + int(length / step_mm)
        old = a.copy()
        for i in range(count):
            t = (i + 1) / count
            new = a + step * (t * t * (3 - 2 * t)) - step * (t * t * (1 - t))
            new += leave * (t * (1 - t) * (1 - t)) + wiggle[k] * (length * t * (1 - t))
            out[done, :3], out[done, 3:6] = old, new
            out[done, 6] = start + (radii[k] - start) * (i / count)
            out[done, 7] = start + (radii[k] - start) * t
            old = new
            done += 1
    return out
