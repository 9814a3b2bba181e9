"""What makes two arrivals the same study: the bytes of their images.

Names, order, folders, packing into a zip and the file meta group (0002,xxxx), which
every node writes anew, do not count; nor does what is no DICOM file beside those
that are. Two copies of one image count once.
"""

from __future__ import annotations

import hashlib
import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

from hilum.dicom.archives import is_zip, list_members
from hilum.dicom.files import File, Opener, Stream
from hilum.errors import InputError

_PIECE = 1 << 20
_PREAMBLE = 132
_DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError)
_META_HEAD = 12
"""Tag, VR and length of (0002,0000), and its value: how long the rest of group 2 is."""


def digest_study(source: Path) -> tuple[str, int]:
    """Give what identifies a study, and its size.

    Args:
        source: A folder, a file or a zip.

    Returns:
        64 hexadecimal digits, and the bytes of all its files, unpacked.

    Raises:
        InputError: It holds no files, or is a zip that is damaged or hostile.
        OSError: A file cannot be read.
    """
    images: set[bytes] = set()
    others: set[bytes] = set()
    size = 0
    with Opener() as opener:
        for file in _files(source):
            size += file.size
            stream = opener.open(file)
            try:
                is_image, digest = _digest_file(stream)
            except _DAMAGED as error:
                raise InputError(
                    f"The zip is damaged ({type(error).__name__}). Pack it again."
                ) from error
            finally:
                stream.close()
            (images if is_image else others).add(digest)
    if not images | others:
        raise InputError("There are no files in it. Give a CT study.")
    whole = hashlib.sha256()
    for digest in sorted(images or others):
        whole.update(digest)
    return whole.hexdigest(), size


def _files(source: Path) -> Iterator[File]:
    if source.is_dir():
        for path in sorted(source.rglob("*")):
            if path.is_file() and not path.is_symlink():
                yield File(str(path), None, path.stat().st_size)
    elif is_zip(source):
        yield from list_members(source)
    else:
        yield File(str(source), None, source.stat().st_size)


def _digest_file(stream: Stream) -> tuple[bool, bytes]:
    """Hash a file; of a DICOM file, what follows the file meta group."""
    head = _read(stream, _PREAMBLE + _META_HEAD)
    hashed = hashlib.sha256()
    is_image = head[128:132] == b"DICM"
    meta = head[_PREAMBLE:]
    if is_image and meta[:6] == b"\x02\x00\x00\x00UL" and len(meta) == _META_HEAD:
        (length,) = struct.unpack("<I", meta[8:12])
        left = length
        while left > 0 and (part := stream.read(min(left, _PIECE))):
            left -= len(part)
    else:
        hashed.update(head)
    while part := stream.read(_PIECE):
        hashed.update(part)
    return is_image, hashed.digest()


def _read(stream: Stream, count: int) -> bytes:
    parts = b""
    while len(parts) < count and (part := stream.read(count - len(parts))):
        parts += part
    return parts
