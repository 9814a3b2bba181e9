"""Inner loops over voxels, compiled by numba once and cached on disk.

Each kernel fills slices `first` to `last` of `out` and releases the GIL, so that
threads can share the work. Imported inside the functions that use it: numba
takes half a second to import.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from hilum._compiled import compiled


@compiled
def trilinear(
    hu: Any, index_map: Any, out: Any, first: int, last: int, outside_hu: int
) -> None:
    """Interpolate `hu` at `index_map @ (z, y, x, 1)` for each voxel of `out`."""
    depth, height, width = hu.shape
    m = index_map
    for z in range(first, last):
        for y in range(out.shape[1]):
            for x in range(out.shape[2]):
                fz = m[0, 0] * z + m[0, 1] * y + m[0, 2] * x + m[0, 3]
                fy = m[1, 0] * z + m[1, 1] * y + m[1, 2] * x + m[1, 3]
                fx = m[2, 0] * z + m[2, 1] * y + m[2, 2] * x + m[2, 3]
                if (
                    fz < -0.5
                    or fy < -0.5
                    or fx < -0.5
                    or fz > depth - 0.5
                    or fy > height - 0.5
                    or fx > width - 0.5
                ):
                    out[z, y, x] = outside_hu
                    continue
                fz = min(max(fz, 0.0), depth - 1.0)
                fy = min(max(fy, 0.0), height - 1.0)
                fx = min(max(fx, 0.0), width - 1.0)
                iz, iy, ix = int(fz), int(fy), int(fx)
                jz, jy = min(iz + 1, depth - 1), min(iy + 1, height - 1)
                jx = min(ix + 1, width - 1)
                tz, ty, tx = fz - iz, fy - iy, fx - ix
                a = hu[iz, iy, ix] * (1 - tx) + hu[iz, iy, jx] * tx
                b = hu[iz, jy, ix] * (1 - tx) + hu[iz, jy, jx] * tx
                c = hu[jz, iy, ix] * (1 - tx) + hu[jz, iy, jx] * tx
                d = hu[jz, jy, ix] * (1 - tx) + hu[jz, jy, jx] * tx
                low = a * (1 - ty) + b * ty
                high = c * (1 - ty) + d * ty
                out[z, y, x] = np.int16(np.rint(low * (1 - tz) + high * tz))


@compiled
def trilinear_aligned(
    hu: Any, scale: Any, offset: Any, out: Any, first: int, last: int, outside_hu: int
) -> None:
    """Interpolate `hu` at `scale * (z, y, x) + offset`: axes parallel, and faster.

    Blends the four rows around a line of `out` once, then walks along it.
    """
    depth, height, width = hu.shape
    blend = np.empty(width + 1, np.float32)
    at = np.empty(out.shape[2], np.int64)
    part = np.empty(out.shape[2], np.float32)
    for x in range(out.shape[2]):
        fx = scale[2] * x + offset[2]
        at[x] = -1 if fx < -0.5 or fx > width - 0.5 else int(max(fx, 0.0))
        part[x] = np.float32(min(max(fx, 0.0), width - 1.0) - max(at[x], 0))
    for z in range(first, last):
        fz = scale[0] * z + offset[0]
        for y in range(out.shape[1]):
            fy = scale[1] * y + offset[1]
            if fz < -0.5 or fy < -0.5 or fz > depth - 0.5 or fy > height - 0.5:
                out[z, y, :] = outside_hu
                continue
            iz, iy = int(max(fz, 0.0)), int(max(fy, 0.0))
            jz, jy = min(iz + 1, depth - 1), min(iy + 1, height - 1)
            tz = np.float32(min(max(fz, 0.0), depth - 1.0) - iz)
            ty = np.float32(min(max(fy, 0.0), height - 1.0) - iy)
            one = np.float32(1)
            wa, wb = (one - tz) * (one - ty), (one - tz) * ty
            wc, wd = tz * (one - ty), tz * ty
            a, b, c, d = hu[iz, iy], hu[iz, jy], hu[jz, iy], hu[jz, jy]
            for x in range(width):
                blend[x] = wa * a[x] + wb * b[x] + wc * c[x] + wd * d[x]
            blend[width] = blend[width - 1]
            line = out[z, y]
            for x in range(out.shape[2]):
                i = at[x]
                if i < 0:
                    line[x] = outside_hu
                else:
                    value = blend[i] + (blend[i + 1] - blend[i]) * part[x]
                    line[x] = np.int16(np.rint(value))


@compiled
def mean_of_blocks(
    hu: Any, fz: int, fy: int, fx: int, out: Any, first: int, last: int
) -> None:
    """Average blocks of fz x fy x fx voxels of `hu` into `out`."""
    count = fz * fy * fx
    row = np.empty(out.shape[2], np.int64)
    for z in range(first, last):
        for y in range(out.shape[1]):
            row[:] = 0
            for dz in range(fz):
                for dy in range(fy):
                    line = hu[z * fz + dz, y * fy + dy]
                    for x in range(out.shape[2]):
                        for dx in range(fx):
                            row[x] += line[x * fx + dx]
            for x in range(out.shape[2]):
                out[z, y, x] = np.int16(np.rint(row[x] / count))
