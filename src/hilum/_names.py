"""File names as they may be shown: in messages, in JSON and on a page."""

from __future__ import annotations

import re
from pathlib import Path

_HARMLESS = re.compile(r"\w[\w .-]{0,127}")


def printable(name: str) -> str:
    r"""Replace what cannot be printed, such as bytes that are not UTF-8.

    Example:
        >>> printable("M\udcfcller.txt")
        'M�ller.txt'
    """
    return "".join(c if c.isprintable() else "\ufffd" for c in name)


def name_of(path: Path) -> str:
    """Give the base name of a path, also of one like `.`.

    Example:
        >>> name_of(Path("scans/a.dcm")), name_of(Path("/"))
        ('a.dcm', '/')
    """
    name = path.name
    if name in ("", ".."):
        resolved = path.resolve()
        name = resolved.name or str(resolved)
    return printable(name)


def stem_of(uid: str) -> str:
    """Give what a file may be called after a UID that somebody's file tells.

    A UID that no standard knows may be a path, and lead out of the folder.

    Args:
        uid: Text of any kind.

    Returns:
        The same where it is harmless, else a digest of it.

    Example:
        >>> stem_of("1.2.840.10008"), stem_of("../../a")
        ('1.2.840.10008', 'a95605e87b3e')
    """
    if _HARMLESS.fullmatch(uid):
        return uid
    import hashlib  # noqa: PLC0415  seldom used

    made = hashlib.blake2b(uid.encode("utf-8", "surrogateescape"), digest_size=6)
    return made.hexdigest()
