"""Inner loops of the lung stage, compiled by numba once and cached on disk.

Imported inside the functions that use it: numba takes half a second to import.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

WALL = 255


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def count_chords(
    labels: Any, axes: Any, reach: Any, counts: Any, votes: Any, first: int, last: int
) -> None:
    """Count, for each voxel, the axes along which one lung lies on both sides.

    `labels` is flat-able: 0 tissue, 1 and 2 the lungs, WALL what ends a chord.
    `counts[..., s]` grows for chords of at most `reach[axis, s]` steps and more
    than the reach before; `counts[..., -1]` for those that run steeply, whatever
    their length; `votes` sums +1 for a chord of lung 1 and -1 for one of lung 2.
    Works through axes `first` to `last`.
    """
    depth, height, width = labels.shape
    flat = labels.ravel()
    count = counts.reshape(-1, counts.shape[3])
    vote = votes.ravel()
    scales = reach.shape[1]
    for a in range(first, last):
        dz, dy, dx = axes[a, 0], axes[a, 1], axes[a, 2]
        stride = (dz * height + dy) * width + dx
        steep = 2 * dz * dz >= dz * dz + dy * dy + dx * dx
        furthest = reach[a, scales - 1]
        for z0 in range(depth):
            room_z = _room(z0, dz, depth)
            for y0 in range(height):
                room_y = min(room_z, _room(y0, dy, height))
                for x0 in range(width):
                    if (
                        0 <= z0 - dz < depth
                        and 0 <= y0 - dy < height
                        and 0 <= x0 - dx < width
                    ):
                        continue  # the line that starts here began further back
                    at = (z0 * height + y0) * width + x0
                    before = 0
                    gap = 0
                    for _ in range(min(room_y, _room(x0, dx, width))):
                        label = flat[at]
                        if label == 0:
                            gap += 1
                        else:
                            if label == before and 0 < gap <= furthest:
                                scale = 0
                                while gap > reach[a, scale]:
                                    scale += 1
                                back = at
                                for _ in range(gap):
                                    back -= stride
                                    count[back, scale] += 1
                                    if steep:
                                        count[back, scales] += 1
                                    vote[back] += 3 - 2 * label
                            before = 0 if label == 255 else label
                            gap = 0
                        at += stride


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _room(start: int, step: int, size: int) -> int:
    """How many voxels a line of this step has from `start` to the edge."""
    if step > 0:
        return (size - 1 - start) // step + 1
    if step < 0:
        return start // -step + 1
    return 1 << 30


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
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


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _queue(following: Any, head: Any, tail: Any, level: int, at: int) -> None:
    """Put a voxel at the end of the queue of its level."""
    following[at] = -1
    if head[level] < 0:
        head[level] = at
    else:
        following[tail[level]] = at
    tail[level] = at


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
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
