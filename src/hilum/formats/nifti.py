"""NIfTI-1 and NIfTI-2 in one file, the only place where a world is RAS.

Sources:
    NIfTI-1 Data Format, https://nifti.nimh.nih.gov/nifti-1/ (nifti1.h): methods 1
    to 3 of orientation, xyzt_units, scl_slope and scl_inter.
"""

from __future__ import annotations

import gzip
import re
from pathlib import Path
from typing import Any

import numpy as np

from hilum._names import name_of
from hilum.errors import InputError
from hilum.findings import Notice
from hilum.formats.atomic import replacing
from hilum.formats.encoding import Encoding, Stored, read_hu, read_start
from hilum.formats.geometry import chest_grid, label_grid
from hilum.space import FloatArray, Index
from hilum.volume import CTVolume

LPS_FROM_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
DTYPES = {
    2: "u1",
    4: "i2",
    8: "i4",
    16: "f4",
    64: "f8",
    256: "i1",
    512: "u2",
    768: "u4",
    1024: "i8",
    1280: "u8",
}
NOT_NUMBERS = {0: "nothing", 1: "bits", 32: "complex", 128: "RGB", 2304: "RGBA"}
MM_A_UNIT = {0: 1.0, 1: 1000.0, 2: 1.0, 3: 0.001}
SERIES_UID = re.compile(rb"series_uid=([!-~]+)")


def read_nifti(path: Path, *, name: str, labels: bool = False) -> CTVolume:
    """Read a CT from a .nii or .nii.gz.

    The sform places it; where there is none, the qform does. A file with
    neither is refused: its left and right are not known.

    Args:
        path: File; gzip or not is told from its first bytes.
        name: Series name where the header holds no UID of ours.
        labels: The voxels are labels of any extent, not the HU of a chest.

    Raises:
        InputError: See `hilum.formats.read_volume`.
        OSError: The file cannot be read.
    """
    start, deflated = read_start(path, 540)
    header = _header(start, name_of(path))
    shape = _shape(header, name_of(path))
    affine, notices = _affine(header, shape, name_of(path))
    place = label_grid if labels else chest_grid
    grid = place(shape, affine, file=name_of(path))
    slope, intercept = _scaling(header, name_of(path))
    offset = _offset(header, name_of(path))
    encoding = Encoding(
        path=path,
        dtype=_dtype(header, name_of(path)),
        shape=shape,
        start=0 if deflated else offset,
        deflated=deflated,
        skip=offset if deflated else 0,
        slope=slope,
        intercept=intercept,
    )
    found = SERIES_UID.search(bytes(header["descrip"]))
    uid = found[1].decode("ascii") if found else name
    hu, more = read_hu(encoding, check=not labels)
    return CTVolume.from_array(hu, grid, uid, notices=(*notices, *more))


def write_nifti(stored: Stored, path: Path) -> None:
    """Write a NIfTI-1 file, gzipped when its name ends in .gz.

    Raises:
        InputError: An axis is longer than NIfTI-1 can say.
        OSError: The file cannot be written.
    """
    from nibabel.nifti1 import Nifti1Header  # noqa: PLC0415  slow to import

    if max(stored.voxels.shape) > 32767:
        raise InputError(
            f"NIfTI-1 holds at most 32767 voxels along an axis; `{name_of(path)}` "
            f"would have {max(stored.voxels.shape)}. Write a .mha."
        )
    affine = LPS_FROM_RAS @ stored.grid.affine[:, [2, 1, 0, 3]]
    header = Nifti1Header(endianness="<")
    header.set_data_dtype(stored.voxels.dtype)
    header.set_data_shape(stored.voxels.shape[::-1])
    header.set_sform(affine, code=1)
    header.set_qform(affine, code=1, strip_shears=True)
    header.set_xyzt_units("mm")
    header.set_slope_inter(1, 0)
    header["vox_offset"] = 352
    label = f"series_uid={stored.series_uid}".encode()
    if stored.series_uid and len(label) < 80 and SERIES_UID.fullmatch(label):
        header["descrip"] = label
    with replacing(path) as file:
        body = np.ascontiguousarray(stored.voxels).astype(
            stored.voxels.dtype.newbyteorder("<"), copy=False
        )
        if path.name.lower().endswith(".gz"):
            with gzip.GzipFile("", "wb", 1, file, mtime=0) as packed:
                packed.write(header.binaryblock + b"\0\0\0\0")
                packed.write(body.data)
        else:
            file.write(header.binaryblock + b"\0\0\0\0")
            file.write(body.data)


def _header(start: bytes, file: str) -> Any:
    """Parse the header, of either version and byte order, without judging it."""
    from nibabel.nifti1 import Nifti1Header  # noqa: PLC0415  slow to import
    from nibabel.nifti2 import Nifti2Header  # noqa: PLC0415

    for kind, size in ((Nifti1Header, 348), (Nifti2Header, 540)):
        for order, letter in (("little", "<"), ("big", ">")):
            is_it = int.from_bytes(start[:4], order) == size  # type: ignore[arg-type]
            if is_it and len(start) >= size:
                header = kind(start[:size], endianness=letter, check=False)
                if bytes(header["magic"])[:2] == b"n+":
                    return header
    raise InputError(
        f"`{file}` is not a NIfTI file in one piece: its header is damaged, cut, or "
        "has its voxels in a separate .img. Write it as .nii or .nii.gz."
    )


def _shape(header: Any, file: str) -> Index:
    """Read the shape; axes beyond the third may only be of length 1."""
    dim = [int(n) for n in header["dim"]]
    used = dim[1 : 1 + max(0, min(dim[0], 7))]
    if len(used) < 3 or min(used) < 1:
        raise InputError(f"`{file}` has dimensions {used}; a CT volume needs three.")
    if any(n != 1 for n in used[3:]):
        raise InputError(
            f"`{file}` has dimensions {used}: several volumes, or vectors. "
            "Write the one volume that is to be read to a file of its own."
        )
    return used[2], used[1], used[0]


def _dtype(header: Any, file: str) -> np.dtype[Any]:
    """Read the number type of the stored voxels."""
    code = int(header["datatype"])
    if code not in DTYPES:
        raise InputError(
            f"`{file}` holds {NOT_NUMBERS.get(code, 'voxels')} (NIfTI datatype {code}"
            "); a CT has one real number a voxel."
        )
    return np.dtype(f"{header.endianness}{DTYPES[code]}")


def _offset(header: Any, file: str) -> int:
    """Read where the voxels start; 0 stands for right behind the header."""
    offset, least = float(header["vox_offset"]), int(header["sizeof_hdr"]) + 4
    if offset == 0:
        return least
    if not (least <= offset < 2**31 and offset == int(offset)):
        raise InputError(
            f"`{file}` says that its voxels start at byte {offset}; expected {least} "
            "or more. Its header is damaged."
        )
    return int(offset)


def _scaling(header: Any, file: str) -> tuple[float, float]:
    """Read slope and intercept; a slope of 0 or NaN stands for none."""
    slope, intercept = float(header["scl_slope"]), float(header["scl_inter"])
    if slope == 0 or not np.isfinite(slope):
        return 1.0, 0.0
    if not np.isfinite(intercept):
        raise InputError(f"`{file}` has scl_inter {intercept}; expected a number.")
    return slope, intercept


def _affine(
    header: Any, shape: Index, file: str
) -> tuple[FloatArray, tuple[Notice, ...]]:
    """Find where the voxels are: LPS mm, for indices (slice, row, column)."""
    unit = int(header["xyzt_units"]) & 7
    sform = _form(header, "sform", file) if header["sform_code"] > 0 else None
    qform = _form(header, "qform", file) if header["qform_code"] > 0 else None
    ras = sform if sform is not None else qform
    if ras is None or unit not in MM_A_UNIT:
        wrong = "neither sform nor qform" if ras is None else f"the unit code {unit}"
        raise InputError(
            f"`{file}` has {wrong}: where its voxels are in the patient, and which "
            "side is left, is not known. Convert it again from DICOM."
        )
    notices = []
    if sform is not None and qform is not None:
        corner = np.array([shape[2] - 1, shape[1] - 1, shape[0] - 1, 1.0])
        first, last = (sform - qform)[:3, 3], ((sform - qform) @ corner)[:3]
        apart = max(np.linalg.norm(first), np.linalg.norm(last)) * MM_A_UNIT[unit]
        if not apart <= 1:
            message = (
                f"sform and qform place voxels up to {apart:.4g} mm apart; "
                "the sform was used."
            )
            notices.append(Notice("sform-qform-differ", message, "read"))
    affine = (LPS_FROM_RAS @ ras)[:, [2, 1, 0, 3]]
    affine[:3] *= MM_A_UNIT[unit]
    return affine, tuple(notices)


def _form(header: Any, which: str, file: str) -> FloatArray:
    """Read one of the two affines, RAS, in the units of the header."""
    from nibabel.spatialimages import HeaderDataError  # noqa: PLC0415

    if header["pixdim"][0] == 0:  # the standard: 0 stands for 1
        header["pixdim"][0] = 1
    try:
        with np.errstate(all="ignore"):
            form = header.get_sform() if which == "sform" else header.get_qform()
    except (HeaderDataError, ValueError, OverflowError) as error:
        raise InputError(f"`{file}` has a damaged {which}: {error}.") from error
    return np.asarray(form, dtype=np.float64)
