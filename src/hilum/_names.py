"""File names as they may be shown: in messages, in JSON and on a page."""

from __future__ import annotations

from pathlib import Path


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
