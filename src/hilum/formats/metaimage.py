"""MetaImage: text keys, then voxels in the same file or in one beside it.

Sources:
    MetaIO documentation, https://itk.org/Wiki/MetaIO/Documentation; where it and
    ITK differ (the order of TransformMatrix), as ITK reads and writes.
"""

from __future__ import annotations

import re
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from hilum._names import name_of
from hilum.errors import InputError
from hilum.findings import Notice
from hilum.formats.atomic import replacing
from hilum.formats.encoding import Encoding, Stored, read_hu
from hilum.formats.geometry import chest_grid, label_grid
from hilum.space import FloatArray
from hilum.volume import CTVolume

HEADER_AT_MOST = 1 << 16
DTYPES = {
    "MET_CHAR": "i1",
    "MET_UCHAR": "u1",
    "MET_SHORT": "i2",
    "MET_USHORT": "u2",
    "MET_INT": "i4",
    "MET_UINT": "u4",
    "MET_LONG_LONG": "i8",
    "MET_ULONG_LONG": "u8",
    "MET_FLOAT": "f4",
    "MET_DOUBLE": "f8",
}
SERIES_UID = re.compile(r"series_uid=([!-~]+)")
ORIGIN = ("Offset", "Origin", "Position")
MATRIX = ("TransformMatrix", "Rotation", "Orientation")
BIG_ENDIAN = ("ElementByteOrderMSB", "BinaryDataByteOrderMSB")


def read_metaimage(path: Path, *, name: str, labels: bool = False) -> CTVolume:
    """Read a CT from a .mha, or from a .mhd and the file that it names.

    Args:
        path: The .mha or .mhd.
        name: Series name where the header holds no UID of ours.
        labels: The voxels are labels of any extent, not the HU of a chest.

    Raises:
        InputError: See `hilum.formats.read_volume`.
        OSError: A file cannot be read.
    """
    keys, end = _read_keys(path)
    header = _Header(keys, name_of(path))
    header.refuse_what_is_not_one_ct()
    columns, rows, slices = header.sizes()
    affine, notices = header.affine()
    place = label_grid if labels else chest_grid
    grid = place((slices, rows, columns), affine, file=name_of(path))
    encoding = _encoding(header, path, end, grid.shape)
    found = SERIES_UID.search(keys.get("Comment", ""))
    uid = found[1] if found else name
    hu, more = read_hu(encoding, check=not labels)
    return CTVolume.from_array(hu, grid, uid, notices=(*notices, *more))


def write_metaimage(stored: Stored, path: Path) -> None:
    """Write a .mha, or a .mhd with a .zraw beside it; deflated.

    Raises:
        OSError: A file cannot be written.
    """
    little = stored.voxels.dtype.newbyteorder("<")
    body = np.ascontiguousarray(stored.voxels).astype(little, copy=False)
    packed = zlib.compress(body.data, 1)
    name = f"series_uid={stored.series_uid}"
    alone = path.suffix.lower() == ".mhd"
    beside = path.with_suffix(".zraw")
    spacing = np.array(stored.grid.spacing_mm)
    axes = stored.grid.affine[:3, :3] / spacing
    fields = {
        "ObjectType": "Image",
        "NDims": "3",
        "Comment": name if SERIES_UID.fullmatch(name) else "",
        "BinaryData": "True",
        "BinaryDataByteOrderMSB": "False",
        "CompressedData": "True",
        "CompressedDataSize": str(len(packed)),
        "TransformMatrix": _spaced(axes[:, ::-1].T),
        "Offset": _spaced(stored.grid.affine[:3, 3]),
        "CenterOfRotation": "0 0 0",
        "ElementSpacing": _spaced(spacing[::-1]),
        "DimSize": " ".join(map(str, stored.voxels.shape[::-1])),
        "ElementType": "MET_UCHAR" if little.itemsize == 1 else "MET_SHORT",
        "ElementDataFile": beside.name if alone else "LOCAL",
    }
    text = "".join(f"{key} = {value}\n" for key, value in fields.items() if value)
    if alone:
        with replacing(beside) as file:
            file.write(packed)
    with replacing(path) as file:
        file.write(text.encode("utf-8"))
        if not alone:
            file.write(packed)


class _Header:
    """The keys of one file, read with errors that name it."""

    def __init__(self, keys: dict[str, str], file: str) -> None:
        self.keys = keys
        self.file = file

    def refuse_what_is_not_one_ct(self) -> None:
        """Refuse other objects, text, vectors, and values on another scale."""
        ok = (
            self.keys.get("ObjectType", "Image") == "Image"
            and self.flag("BinaryData", default=True)
            and self.keys.get("ElementNumberOfChannels", "1") == "1"
        )
        if not ok:
            raise InputError(
                f"`{self.file}` is not an image of one binary number a voxel "
                "(ObjectType, BinaryData, ElementNumberOfChannels). Convert it to one."
            )
        slope = self.numbers(("ElementToIntensityFunctionSlope",), 1, (1.0,))
        offset = self.numbers(("ElementToIntensityFunctionOffset",), 1, (0.0,))
        if (slope[0], offset[0]) != (1.0, 0.0):
            raise InputError(
                f"`{self.file}` asks for values * {slope[0]} + {offset[0]} "
                "(ElementToIntensityFunction), which ITK ignores. Store HU instead."
            )

    def flag(self, *names: str, default: bool) -> bool:
        """Read a True or False."""
        for name in names:
            if name in self.keys:
                return self.keys[name].lower() in ("true", "t", "1")
        return default

    def numbers(
        self, names: tuple[str, ...], count: int, default: tuple[float, ...] | None
    ) -> tuple[float, ...]:
        """Read numbers under the first name that the file has."""
        text = next((self.keys[name] for name in names if name in self.keys), None)
        if text is None and default is not None:
            return default
        try:
            values = tuple(map(float, (text or "").split()))
        except ValueError:
            values = ()
        if len(values) != count or not np.isfinite(values).all():
            raise InputError(
                f"`{self.file}` has {names[0]} = {(text or 'nothing')[:80]!r}; "
                f"expected {count} numbers. Its header is damaged or incomplete."
            )
        return values

    def dimensions(self) -> int:
        """Read NDims; a fourth dimension may be there if it is of length 1."""
        (count,) = self.numbers(("NDims",), 1, None)
        if count not in (3, 4):
            raise InputError(
                f"`{self.file}` has {count:g} dimensions; a CT volume needs three."
            )
        return int(count)

    def sizes(self) -> tuple[int, int, int]:
        """Read the voxels along column, row and slice."""
        sizes = self.numbers(("DimSize",), self.dimensions(), None)
        if any(n != int(n) or n < 1 for n in sizes) or any(n != 1 for n in sizes[3:]):
            raise InputError(
                f"`{self.file}` has DimSize {sizes}; expected three whole numbers of "
                "at least 1, and no fourth above 1: write one volume to a file."
            )
        return int(sizes[0]), int(sizes[1]), int(sizes[2])

    def affine(self) -> tuple[FloatArray, tuple[Notice, ...]]:
        """Find where the voxels are: LPS mm, for indices (slice, row, column)."""
        n = self.dimensions()
        spacing = self.numbers(("ElementSpacing", "ElementSize"), n, None)
        origin = self.numbers(ORIGIN, n, (0.0,) * n)
        square = self.numbers(MATRIX, n * n, tuple(np.eye(n).ravel().tolist()))
        axes = np.array(square).reshape(n, n)[:3, :3].T
        lengths = np.linalg.norm(axes, axis=0)
        if np.abs(lengths - 1).max() > 0.01 or min(spacing) <= 0:
            raise InputError(
                f"`{self.file}` has direction cosines of length {lengths.tolist()} and "
                f"spacing {spacing}; expected 1 and more than 0. Its header is damaged."
            )
        affine = np.eye(4)
        affine[:3, :3] = (axes * spacing[:3])[:, ::-1]
        affine[:3, 3] = origin[:3]
        absent = [
            group[0] for group in (ORIGIN, MATRIX) if not self.keys.keys() & {*group}
        ]
        if not absent:
            return affine, ()
        message = (
            f"The header has no {' and no '.join(absent)}; axes to the left, back and "
            "head from a corner at 0 were taken, as ITK does."
        )
        return affine, (Notice("no-position", message, "read"),)


def _read_keys(path: Path) -> tuple[dict[str, str], int]:
    """Read the text up to ElementDataFile, and where it ends."""
    with path.open("rb") as file:
        start = file.read(HEADER_AT_MOST)
    keys: dict[str, str] = {}
    end = 0
    while "ElementDataFile" not in keys:
        stop = start.find(b"\n", end)
        last = stop < 0
        line = start[end : len(start) if last else stop]
        end = len(start) if last else stop + 1
        key, equals, value = line.decode("latin-1").partition("=")
        if equals:
            keys[key.strip()] = value.strip()
        if (not equals and line.strip()) or (last and "ElementDataFile" not in keys):
            raise InputError(
                f"`{name_of(path)}` is not a MetaImage: expected lines `key = value` "
                "up to ElementDataFile. Check what the file is, or copy it again."
            )
    return keys, end


def _encoding(
    header: _Header, path: Path, end: int, shape: tuple[int, int, int]
) -> Encoding:
    """Find the voxels and how they are stored."""
    data = header.keys["ElementDataFile"]
    local = data.upper() == "LOCAL"
    file = path if local else _beside(path, data)
    order = ">" if header.flag(*BIG_ENDIAN, default=False) else "<"
    kind = header.keys.get("ElementType", "")
    if kind not in DTYPES:
        raise InputError(
            f"`{name_of(path)}` has ElementType {kind[:40]!r}; expected one of "
            f"{', '.join(DTYPES)}."
        )
    dtype = np.dtype(order + DTYPES[kind])
    deflated = header.flag("CompressedData", default=False)
    (size,) = header.numbers(("CompressedDataSize",), 1, (0.0,))
    (skip,) = header.numbers(("HeaderSize",), 1, (0.0,))
    if skip == -1 and not deflated:
        skip = file.stat().st_size - int(np.prod(shape)) * dtype.itemsize
    if skip < 0 or size < 0 or max(skip, size) > 2**40:
        raise InputError(
            f"`{name_of(path)}` has HeaderSize {skip:.0f} and CompressedDataSize "
            f"{size:.0f} that do not fit its data. It is cut or damaged: copy it again."
        )
    return Encoding(
        path=file,
        dtype=dtype,
        shape=shape,
        start=int(skip) or (end if local else 0),
        length=int(size) or None,
        deflated=deflated,
    )


def _beside(path: Path, name: str) -> Path:
    """Find the data file, which must lie in the folder of its header."""
    plain = name not in ("", ".", "..") and not set(name) & set('/\\:%*?"<>|\0')
    if not plain or name.split()[0] == "LIST" or name[0] == "~":
        raise InputError(
            f"`{name_of(path)}` has its voxels in {name[:80]!r}; expected LOCAL or the "
            "name of one file in the same folder. Lists, patterns and folders are "
            "refused: convert it to one .mha."
        )
    beside = path.parent / name
    if beside.is_symlink() or not beside.is_file():
        raise InputError(
            f"`{name_of(path)}` has its voxels in `{name}`, which is not a file beside "
            "it. Copy both into one folder, under the names that they had."
        )
    return beside


def _spaced(values: Any) -> str:
    """Write numbers so that they come back unchanged."""
    return " ".join(repr(float(v) + 0.0) for v in np.ravel(values))
