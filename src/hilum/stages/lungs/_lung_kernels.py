"""Inner loops of the lung stage, compiled by numba once and cached on disk.

Imported inside the functions that use it: numba takes half a second to import.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from hilum._compiled import compiled

WALL = 255
EDGE = 2
"""Voxels added on each side of the sweeps: the longest step of an axis."""


@compiled
def count_chords(
    labels: Any, axes: Any, reach: Any, counts: Any, votes: Any, first: int, last: int
) -> None:
    """Count, for each voxel, the axes along which one lung lies on both sides.

    `labels` is (slice, row, column): 0 tissue, 1 and 2 the lungs, WALL what ends a
    chord. `counts[s]` grows for chords of at most `reach[axis, s]` steps;
    `counts[-1]` for those of any reach that run steeply; `votes` sums +1 for a
    chord of lung 1 and -1 for one of lung 2. Works through axes `first` to `last`,
    each later than (0, 0, 0) in order.

    Two sweeps an axis tell each voxel how far a lung is behind it and ahead; a row
    at a time, so that the processor does many voxels at once.
    """
    depth, height, width = labels.shape
    edge = EDGE
    shape = (depth + 2 * edge, height + 2 * edge, width + 2 * edge)
    behind = np.zeros(shape, np.int16)
    ahead = np.zeros(shape, np.int16)
    length = np.zeros(width, np.int16)
    for a in range(first, last):
        dz, dy, dx = axes[a, 0], axes[a, 1], axes[a, 2]
        steep = 2 * dz * dz >= dz * dz + dy * dy + dx * dx
        along = dx if dz == dy == 0 else 0
        for z in range(depth):
            for y in range(height):
                before = behind[z + edge - dz, y + edge - dy]
                _carry_on(labels[z, y], before, dx, along, behind[z + edge, y + edge])
        for z in range(depth - 1, -1, -1):
            for y in range(height - 1, -1, -1):
                before = ahead[z + edge + dz, y + edge + dy]
                near, far = behind[z + edge, y + edge], ahead[z + edge, y + edge]
                _carry_on(labels[z, y], before, -dx, -along, far)
                _measure(near, far, reach[a, -1], length, votes[z, y])
                for s in range(reach.shape[1]):
                    _count(length, reach[a, s], counts[s, z, y])
                if steep:
                    _count(length, reach[a, -1], counts[-1, z, y])


@compiled
def _carry_on(labels: Any, before: Any, dx: int, along: int, out: Any) -> None:
    """Count on the steps since lines left a lung.

    1 in lung 1, then 2, 3, ... through tissue; the same below 0 for lung 2; 0 where
    no lung came before, or a wall since. Lines come `dx` columns from the row
    `before`; `along` is 1 or -1 where they run within the row, and 0 elsewhere.
    """
    width = labels.size
    if along != 0:
        was = np.int16(0)
        for k in range(width):
            x = k if along > 0 else width - 1 - k
            was = _step(labels[x], was)
            out[x + EDGE] = was
        return
    for x in range(width):
        out[x + EDGE] = _step(labels[x], before[x + EDGE - dx])


@compiled
def _step(label: int, was: int) -> Any:
    """Go one voxel on."""
    here = np.int16(label == 1) - np.int16(label == 2)
    went = was + np.int16(was > 0) - np.int16(was < 0)
    return np.int16(went if label == 0 else here)


@compiled
def _measure(near: Any, far: Any, reach: int, length: Any, votes: Any) -> None:
    """Give the voxels of each chord, 32767 where there is none, and let it vote."""
    for x in range(length.size):
        a, b = near[x + EDGE], far[x + EDGE]
        long = abs(a + b) - 3
        right = (a > 1) & (b > 1) & (long <= reach)
        left = (a < -1) & (b < -1) & (long <= reach)
        length[x] = np.int16(long if right | left else 32767)
        votes[x] += np.int8(right) - np.int8(left)


@compiled
def _count(length: Any, reach: int, out: Any) -> None:
    """Add 1 where a chord has at most `reach` voxels."""
    most = np.int16(reach)
    for x in range(out.size):
        out[x] += np.uint8(length[x] <= most)


@compiled
def flood(levels: Any, labels: Any) -> None:
    """Let labels grow over the voxels that are 0, the lowest levels first.

    `levels` is (slice, row, column) uint8; `labels` is the same, 255 where nothing
    may grow. Voxels of one level are taken in the order in which they were
    reached, so that two labels meet half way on level ground.
    """
    depth, height, width = labels.shape
    flat, level = labels.ravel(), levels.ravel()
    following = np.full(flat.size, -1, np.int32)
    head = np.full(256, -1, np.int32)
    tail = np.full(256, -1, np.int32)
    for at in range(flat.size):
        if 0 < flat[at] < 255:
            _queue(following, head, tail, 0, at)
    now = 0
    while now < 256:
        at = head[now]
        if at < 0:
            now += 1
            continue
        head[now] = following[at]
        x = at % width
        y = at // width % height
        z = at // (width * height)
        for way in range(6):
            if way == 0 and x > 0:
                to = at - 1
            elif way == 1 and x < width - 1:
                to = at + 1
            elif way == 2 and y > 0:
                to = at - width
            elif way == 3 and y < height - 1:
                to = at + width
            elif way == 4 and z > 0:
                to = at - width * height
            elif way == 5 and z < depth - 1:
                to = at + width * height
            else:
                continue
            if flat[to] == 0:
                flat[to] = flat[at]
                _queue(following, head, tail, max(now, level[to]), to)


@compiled
def _queue(following: Any, head: Any, tail: Any, level: int, at: int) -> None:
    """Put a voxel at the end of the queue of its level."""
    following[at] = -1
    if head[level] < 0:
        head[level] = at
    else:
        following[tail[level]] = at
    tail[level] = at


@compiled
def enlarge(
    fields: Any, zs: Any, ys: Any, xs: Any, out: Any, first: int, last: int
) -> None:
    """Interpolate trilinearly and write the label where the first field is half full.

    `fields` is (2, slice, row, column) uint8: how much of a voxel is lung, and how
    much of that is left. `zs`, `ys` and `xs` give the place of each slice, row and
    column of `out` in it. Fills slices `first` to `last` of `out`.
    """
    depth, height, width = fields.shape[1:]
    line = np.empty((2, width), np.float32)
    for k in range(first, last):
        fz = min(max(zs[k], 0.0), depth - 1.0)
        iz = min(int(fz), max(depth - 2, 0))
        jz, tz = min(iz + 1, depth - 1), np.float32(fz - iz)
        for j in range(out.shape[1]):
            fy = min(max(ys[j], 0.0), height - 1.0)
            iy = min(int(fy), max(height - 2, 0))
            jy, ty = min(iy + 1, height - 1), np.float32(fy - iy)
            fullest = np.float32(0)
            for s in range(2):
                a, b = fields[s, iz, iy], fields[s, iz, jy]
                c, d = fields[s, jz, iy], fields[s, jz, jy]
                for x in range(width):
                    near = a[x] + (np.float32(b[x]) - a[x]) * ty
                    far = c[x] + (np.float32(d[x]) - c[x]) * ty
                    line[s, x] = near + (far - near) * tz
                    if s == 0:
                        fullest = max(fullest, line[s, x])
            if fullest < 127.5:
                continue
            for i in range(out.shape[2]):
                fx = min(max(xs[i], 0.0), width - 1.0)
                ix = min(int(fx), max(width - 2, 0))
                jx, tx = min(ix + 1, width - 1), np.float32(fx - ix)
                lung = line[0, ix] + (line[0, jx] - line[0, ix]) * tx
                if lung >= 127.5:
                    left = line[1, ix] + (line[1, jx] - line[1, ix]) * tx
                    out[k, j, i] = 2 if left > 127.5 else 1
