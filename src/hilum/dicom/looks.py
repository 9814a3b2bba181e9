"""What files look like: DICOM by name or mark, or else what, for messages."""

from __future__ import annotations

from pathlib import Path, PurePath

_STARTS = (
    (b"\x89PNG", "a PNG picture"),
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"GIF8", "a GIF picture"),
    (b"II*\0", "a TIFF picture"),
    (b"MM\0*", "a TIFF picture"),
    (b"BM", "a BMP picture"),
    (b"%PDF", "a PDF document"),
    (b"PK\3\4", "a zip"),
    (b"\x1f\x8b", "a gzip file"),
    (b"7z\xbc\xaf", "a 7z archive"),
    (b"Rar!", "a RAR archive"),
    (b"NRRD", "an NRRD volume"),
    (b"\x93NUMPY", "a NumPy array"),
    (b"\x89HDF", "an HDF5 file"),
    (b"ObjectType", "a MetaImage header"),
    (b"NDims", "a MetaImage header"),
    (b"SQLite", "a database"),
    (b"<?xml", "an XML file"),
    (b"<!DOCTYPE", "a web page"),
    (b"<html", "a web page"),
)
_VOLUMES = (".nii", ".nii.gz", ".mha", ".mhd", ".nrrd", ".npz")
_JUNK = frozenset(
    (".ds_store", "thumbs.db", "desktop.ini", "lockfile", "version", "ehthumbs.db")
)


def is_junk(name: str) -> bool:
    """Tell whether a file belongs to an operating system and needs no mention."""
    return name.lower() in _JUNK or name.startswith("._")


def is_volume_name(name: str) -> bool:
    """Tell whether a name is that of a volume in one file.

    Example:
        >>> is_volume_name("CT.nii.gz"), is_volume_name("IM0001")
        (True, False)
    """
    return name.lower().endswith(_VOLUMES)


def claims_dicom(name: str) -> bool:
    """Tell whether a file is named as DICOM files are.

    Example:
        >>> claims_dicom("IM0001.dcm"), claims_dicom("report.pdf")
        (True, False)
    """
    return PurePath(name).suffix.lower() in (".dcm", ".dic", ".dicom", ".ima")


def has_mark(path: Path) -> bool:
    """Tell whether a file has the mark of DICOM after its first 128 bytes.

    Raises:
        OSError: It cannot be read.
    """
    with path.open("rb") as file:
        return file.read(132)[128:] == b"DICM"


def describe(head: bytes) -> str:
    """Say what a file looks like.

    Args:
        head: Its first 400 bytes or so.

    Example:
        >>> describe(b"%PDF-1.7 ...")
        'a PDF document'
    """
    if not head:
        return "empty"
    for start, kind in _STARTS:
        if head.startswith(start):
            return kind
    if head[344:347] in (b"n+1", b"ni1"):
        return "a NIfTI volume"
    text = head[:256]
    if all(b in b"\t\n\r\f" or 32 <= b < 127 or b > 160 for b in text):
        return "a text"
    return "no file that is known here"
