"""Compiled loops that paint one slice."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from hilum._compiled import compiled

LUNG = -10000


@compiled
def sort_cells(
    fields: Any, layers: Any, margin: float, out: Any, first: int, last: int
) -> None:
    """Tell for each cell of the coarse grid which layers border in it.

    `out[..., 0]` gets the last layer that fills the cell, `out[..., 1]` the bits
    of the layers above it that have a border within `margin` of the cell.
    """
    for z in range(first, last):
        for y in range(out.shape[1]):
            for x in range(out.shape[2]):
                solid = -1
                bits = 0
                for layer in range(layers.shape[0]):
                    f, offset = int(layers[layer, 0]), layers[layer, 1]
                    low, high = np.float32(1e9), np.float32(-1e9)
                    for corner in range(8):
                        v = fields[
                            f,
                            z + (corner >> 2),
                            y + (corner >> 1 & 1),
                            x + (corner & 1),
                        ]
                        low, high = min(low, v), max(high, v)
                    if high < offset - margin:
                        solid = layer
                        bits = 0
                    elif low < offset + margin:
                        bits |= 1 << layer
                out[z, y, x, 0] = solid
                out[z, y, x, 1] = bits


@njit(nogil=True, inline="always")  # type: ignore[untyped-decorator]
def _texture(tile: Any, x: float, y: float, z: float) -> float:
    """Interpolate the periodic noise tile (power of two in size)."""
    n = tile.shape[0] - 1
    ix, iy, iz = int(np.floor(x)), int(np.floor(y)), int(np.floor(z))
    tx, ty, tz = x - ix, y - iy, z - iz
    x0, y0, z0 = ix & n, iy & n, iz & n
    x1, y1, z1 = (ix + 1) & n, (iy + 1) & n, (iz + 1) & n
    a = tile[z0, y0, x0] * (1 - tx) + tile[z0, y0, x1] * tx
    b = tile[z0, y1, x0] * (1 - tx) + tile[z0, y1, x1] * tx
    c = tile[z1, y0, x0] * (1 - tx) + tile[z1, y0, x1] * tx
    d = tile[z1, y1, x0] * (1 - tx) + tile[z1, y1, x1] * tx
    low, high = a * (1 - ty) + b * ty, c * (1 - ty) + d * ty
    return low * (1 - tz) + high * tz  # type: ignore[no-any-return]


@njit(nogil=True, inline="always")  # type: ignore[untyped-decorator]
def _sheet(wave: Any, x: float, y: float, z: float) -> float:
    """Height of a point above a fissure, see `lobes.fissure_z`."""
    ripple = np.sin(x / 27.0 + wave[4]) * np.cos(y / 35.0 + wave[4])
    return z - (wave[0] + wave[1] * y + wave[2] * abs(x) + wave[3] * ripple)  # type: ignore[no-any-return]


@njit(nogil=True, inline="always")  # type: ignore[untyped-decorator]
def _sheet_hu(wave: Any, off: float, box_z: float) -> float:
    """What a fissure of 0.3 mm adds to a voxel whose centre is `off` above it."""
    steep = 1.0 + abs(wave[1])
    wide = box_z + steep * 0.7
    full = min(1.0, 0.3 * np.sqrt(steep) / wide)
    return 750.0 * full * max(1.0 - abs(off) / wide, 0.0)  # type: ignore[no-any-return]


@compiled
def _lung_hu(scene: Any, cz: float, cy: float, cx: float, box_z: float) -> float:
    """Density of lung tissue at a point of the coarse grid.

    `lung` of the scene is mean HU, HU of gravity over 180 mm, HU of the fine and
    of the coarse texture, then start and step (z, y, x) of the standard adult.
    """
    lung, waves, tile = scene[3], scene[4], scene[5]
    z, y, x = lung[4] + cz * lung[7], lung[5] + cy * lung[8], lung[6] + cx * lung[9]
    hu = lung[0] + lung[1] * (y + 10.0) / 180.0
    hu += lung[2] * _texture(tile, x / 1.3, y / 1.3, z / 1.3)
    hu += lung[3] * _texture(tile, x / 5.1 + 9.0, y / 5.1 + 5.0, z / 5.1 + 31.0)
    if x >= 2.0:
        return hu + _sheet_hu(waves[2], _sheet(waves[2], x, y, z), box_z)  # type: ignore[no-any-return]
    oblique = _sheet(waves[0], x, y, z)
    hu += _sheet_hu(waves[0], oblique, box_z)
    if oblique > 0:
        hu += _sheet_hu(waves[1], _sheet(waves[1], x, y, z), box_z)
    return hu  # type: ignore[no-any-return]


@compiled
def _share(field: Any, offset: float, at: Any, box: Any, step: Any) -> float:
    """Share of a voxel inside a border: a plane there, cut by the voxel's box.

    `at` is the coarse index (z, y, x); the box is in mm, `step` mm per index.
    """
    iz, iy, ix = int(at[0]), int(at[1]), int(at[2])
    tz, ty, tx = at[0] - iz, at[1] - iy, at[2] - ix
    a, b = field[iz, iy, ix], field[iz, iy, ix + 1]
    c, d = field[iz, iy + 1, ix], field[iz, iy + 1, ix + 1]
    e, f = field[iz + 1, iy, ix], field[iz + 1, iy, ix + 1]
    g, h = field[iz + 1, iy + 1, ix], field[iz + 1, iy + 1, ix + 1]
    near = (a * (1 - tx) + b * tx) * (1 - ty) + (c * (1 - tx) + d * tx) * ty
    far = (e * (1 - tx) + f * tx) * (1 - ty) + (g * (1 - tx) + h * tx) * ty
    dx = ((b - a) * (1 - ty) + (d - c) * ty) * (1 - tz)
    dx += ((f - e) * (1 - ty) + (h - g) * ty) * tz
    dy = ((c - a) * (1 - tx) + (d - b) * tx) * (1 - tz)
    dy += ((g - e) * (1 - tx) + (h - f) * tx) * tz
    wide = abs(far - near) * box[0] / step[0]
    wide += abs(dy) * box[1] / step[1] + abs(dx) * box[2] / step[2]
    value = near * (1 - tz) + far * tz - offset
    return min(max(0.5 - value / max(wide, 0.05), 0.0), 1.0)  # type: ignore[no-any-return]


@compiled
def paint_organs(
    scene: Any, place: Any, box: Any, out: Any, side: Any, weight: float
) -> None:
    """Add one thin plane, times `weight`, to `out`.

    Args:
        scene: Fields (field, z, y, x); cells from `sort_cells`; layers (layer, 3)
            as field, offset, HU; lung (see `_lung_hu`); fissures; noise tile.
        place: (3, 4): coarse index z, y, x of (row, column, 1), and mm per index.
        box: Size of the voxel along (z, y, x) in mm.
        out: (row, column) float32.
        side: (row, column) uint8, set to 1 in the right lung and 2 in the left,
            unless it is empty.
        weight: Share of this plane in the slice.
    """
    fields, cells, layers, lung = scene[0], scene[1], scene[2], scene[3]
    nz, ny, nx = cells.shape[:3]
    step = place[:, 3]
    middle = (2.0 - lung[6]) / lung[9]
    for i in range(out.shape[0]):
        cz = min(max(place[0, 0] * i + place[0, 2], 0.0), nz - 1e-3)
        cy = min(max(place[1, 0] * i + place[1, 2], 0.0), ny - 1e-3)
        for j in range(out.shape[1]):
            cx = min(max(place[2, 1] * j + place[2, 2], 0.0), nx - 1e-3)
            top, bits = cells[int(cz), int(cy), int(cx)]
            hu, tissue, in_lung = -1000.0, 0.0, 0.0
            if top >= 0:
                hu = layers[top, 2]
                if hu == LUNG:
                    hu = _lung_hu(scene, cz, cy, cx, box[0])
                    in_lung = 1.0
            layer = top
            bits >>= top + 1
            while bits != 0:
                layer += 1
                if bits & 1:
                    field = fields[int(layers[layer, 0])]
                    share = _share(field, layers[layer, 1], (cz, cy, cx), box, step)
                    if share > 0.0:
                        tissue = layers[layer, 2]
                        if tissue == LUNG:
                            tissue = _lung_hu(scene, cz, cy, cx, box[0])
                            in_lung = share
                        hu += share * (tissue - hu)
                bits >>= 1
            out[i, j] += np.float32(weight * hu)
            if in_lung >= 0.5 and side.shape[0] > 0:
                side[i, j] = 1 if cx < middle else 2


@compiled
def blend(out: Any, cover: Any, hu: float, brightens: bool) -> None:
    """Mix a density into a slice by its cover, and clear the cover."""
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            c = cover[i, j]
            if c > 0.0:
                if not brightens or hu > out[i, j]:
                    out[i, j] += c * (np.float32(hu) - out[i, j])
                cover[i, j] = 0.0
