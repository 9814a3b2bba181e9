"""`outlines.npz`: the voxels of nodules and lungs, a bit each, beside the JSON.

Masks are cut to the box that holds them and packed to bits, so that a scan of 300
slices takes some hundred kilobytes. Nothing in the file is executed when it is read.
"""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path

import numpy as np
import numpy.typing as npt

from hilum._names import name_of
from hilum.errors import InputError
from hilum.formats.atomic import replacing
from hilum.outlines import Outlines, tight
from hilum.space import Grid, Index
from hilum.volume import Mask

_VERSION = 1
_MOST_BYTES = 1 << 28
_DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    ValueError,
    KeyError,
    IndexError,
    OverflowError,
    NotImplementedError,
    RuntimeError,
)
_Arrays = dict[str, npt.NDArray[np.generic]]


def write_outlines(outlines: Outlines, path: Path) -> None:
    """Write outlines, whole or not at all.

    Args:
        outlines: What to write.
        path: The file.
    """
    grid = outlines.lungs.grid
    arrays: _Arrays = {
        "version": np.array(_VERSION),
        "series_uid": np.array(outlines.series_uid),
        "frame_uid": np.array(grid.frame_uid or ""),
        "shape": np.array(grid.shape),
        "affine": grid.affine,
        "nodules": np.array(len(outlines.nodules)),
        "drawn": np.array(len(outlines.drawn)),
    }
    for label, side in ((1, "right"), (2, "left")):
        arrays |= _pack(Mask(outlines.lungs.voxels == label, grid), grid, side)
    for name, masks in (("nodule", outlines.nodules), ("drawn", outlines.drawn)):
        for number, mask in enumerate(masks, start=1):
            arrays |= _pack(mask, grid, f"{name}_{number}")
    with (
        replacing(path) as file,
        zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as members,
    ):
        for name, array in arrays.items():
            with members.open(f"{name}.npy", "w") as member:
                np.lib.format.write_array(member, array, allow_pickle=False)


def read_outlines(path: Path) -> Outlines:
    """Read what `write_outlines` wrote.

    Args:
        path: The file.

    Raises:
        InputError: The file is absent, damaged or something else.
    """
    path = Path(path)
    try:
        with zipfile.ZipFile(path) as members:
            if sum(m.file_size for m in members.infolist()) > _MOST_BYTES:
                raise ValueError("larger than any outlines")
        with np.load(path, allow_pickle=False) as file:
            return _unpack_all(file)
    except OSError as error:
        raise InputError(
            f"Cannot read `{name_of(path)}`: "
            f"{error.strerror or type(error).__name__}. It is written beside "
            "assessment.json; keep the two together."
        ) from error
    except _DAMAGE as error:
        raise InputError(
            f"`{name_of(path)}` holds no outlines that hilum wrote, or it is damaged. "
            "Assess the scan again to have them written anew."
        ) from error


def _pack(mask: Mask, grid: Grid, name: str) -> _Arrays:
    """Cut a mask to what is set, and pack it."""
    start, part = tight(mask, grid)
    return {
        f"{name}_start": np.array(start),
        f"{name}_shape": np.array(part.shape),
        f"{name}_bits": np.packbits(part),
    }


def _unpack(arrays: _Arrays, name: str) -> tuple[Index, npt.NDArray[np.bool_]]:
    z, y, x = (int(n) for n in arrays[f"{name}_start"])
    shape = tuple(int(n) for n in arrays[f"{name}_shape"])
    bits = np.asarray(arrays[f"{name}_bits"], dtype=np.uint8)
    count = int(np.prod(shape))
    return (z, y, x), np.unpackbits(bits, count=count).reshape(shape).astype(bool)


def _unpack_all(arrays: _Arrays) -> Outlines:
    a, b, c = (int(n) for n in arrays["shape"])
    affine = np.asarray(arrays["affine"], dtype=np.float64)
    grid = Grid((a, b, c), affine, str(arrays["frame_uid"]) or None)
    labels = np.zeros(grid.shape, np.uint8)
    for label, side in ((1, "right"), (2, "left")):
        start, part = _unpack(arrays, side)
        z, y, x = (slice(s, s + n) for s, n in zip(start, part.shape, strict=True))
        labels[z, y, x][part] = label
    nodules = _masks(arrays, "nodule", int(arrays["nodules"]), grid)
    drawn = _masks(arrays, "drawn", int(arrays["drawn"]), grid)
    return Outlines(str(arrays["series_uid"]), nodules, Mask(labels, grid), drawn)


def _masks(arrays: _Arrays, name: str, count: int, grid: Grid) -> tuple[Mask, ...]:
    """Take out masks that were cut to what is set."""
    found = []
    for number in range(1, count + 1):
        start, part = _unpack(arrays, f"{name}_{number}")
        i, j, k = (s + n for s, n in zip(start, part.shape, strict=True))
        found.append(Mask(part, grid.crop(start, (i, j, k))))
    return tuple(found)
