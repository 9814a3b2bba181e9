"""Which weights are shipped, and whether they are still what they were.

The package holds `weights/index.json` and the files that it names:

    {"NAME": {"file": "NAME.xml", "sha256": {"NAME.xml": "...", "NAME.bin": "..."}}}

Weights of one's own are named by their path; where `hilum export` wrote them, a
`.json` beside them holds their digests, and they are checked alike.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from difflib import get_close_matches
from importlib.resources import files
from pathlib import Path
from typing import Any

from hilum.errors import WeightsError
from hilum.formats.atomic import replacing

SUFFIXES = (".keras", ".xml")
"""Of a Keras model, and of an OpenVINO IR, whose `.bin` lies beside it."""

BESIDE = (".calibration.json", ".typical.json")
"""What may lie beside weights: how ratings become probabilities, what is typical."""


def weights_folder() -> Path:
    """Find the folder of the weights that come with the package."""
    return Path(str(files("hilum"))) / "weights"


def find_weights(source: Path | str, folder: Path | None = None) -> Path:
    """Find the file of some weights, and check that it is whole.

    Args:
        source: Name of weights in the index, or path of a `.keras` or `.xml` file.
        folder: That holds index.json; the package's by default.

    Returns:
        The `.keras` or `.xml` file.

    Raises:
        WeightsError: There is no such name or file, it is not of these kinds, or it
            has another digest than it should have.
    """
    folder = folder or weights_folder()
    if isinstance(source, str) and Path(source).suffix not in SUFFIXES:
        return _shipped(source, folder)
    path = Path(source)
    if path.suffix not in SUFFIXES:
        raise WeightsError(
            f"`{path.name}` is no file of weights. Give a .keras file, the .xml of an "
            "OpenVINO model, or the name of shipped weights."
        )
    _check_there(path, "Check the path, or give the name of shipped weights.")
    note = path.with_suffix(".json")
    if path.suffix == ".xml" and note.is_file():
        table = _read_json(note, f"Export `{path.name}` again.")
        digests = table.get("sha256")
        if not isinstance(digests, dict):
            raise WeightsError(
                f"`{note.name}` has no table `sha256`. Export `{path.name}` again."
            )
        _check_digests(path.parent, digests, f"Export `{path.name}` again.")
    return path


def shipped_names() -> tuple[str, ...]:
    """Name the weights that come with the package.

    Raises:
        WeightsError: Their index is absent or damaged.
    """
    index = _read_json(weights_folder() / "index.json", "Install hilum again.")
    return tuple(sorted(index))


def digest_of(path: Path) -> str:
    """Compute the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def parts_of(path: Path) -> tuple[Path, ...]:
    """Name the files that make up some weights, those beside them included."""
    beside = (path.with_suffix(suffix) for suffix in BESIDE)
    binary = (path.with_suffix(".bin"),) if path.suffix == ".xml" else ()
    return (path, *binary, *(file for file in beside if file.is_file()))


def digests_of(path: Path) -> dict[str, str]:
    """Compute the SHA-256 of each file of some weights, by its name."""
    return {part.name: digest_of(part) for part in parts_of(path)}


def write_index(folder: Path, weights: Mapping[str, str]) -> None:
    """Write the index of a folder of weights.

    Args:
        folder: Holds the files; index.json is replaced.
        weights: Name of the weights to the name of their `.keras` or `.xml` file.

    Raises:
        WeightsError: A file is not there.
    """
    table = {}
    for name, file in weights.items():
        for part in parts_of(folder / file):
            _check_there(part, "Copy it there first.")
        table[name] = {"file": file, "sha256": digests_of(folder / file)}
    with replacing(folder / "index.json") as out:
        out.write((json.dumps(table, indent=2) + "\n").encode())


def _shipped(name: str, folder: Path) -> Path:
    """Find weights by their name in the index."""
    again = "Install hilum again."
    index = _read_json(folder / "index.json", again)
    if name not in index:
        near = get_close_matches(name, index, n=1)
        hint = f" Did you mean `{near[0]}`?" if near else ""
        raise WeightsError(
            f"No weights are named `{name}`.{hint} Shipped are: "
            f"{', '.join(sorted(index)) or 'none'}. For weights of your own give the "
            "path of a .keras or .xml file."
        )
    try:
        file, digests = str(index[name]["file"]), dict(index[name]["sha256"])
    except (KeyError, TypeError, ValueError) as error:
        raise WeightsError(
            f"The index of the weights is damaged at `{name}`. {again}"
        ) from error
    _check_digests(folder, digests, again)
    return folder / file


def _check_digests(folder: Path, digests: dict[str, Any], remedy: str) -> None:
    """Refuse files that are absent or not those that the digests were taken of."""
    for name, digest in digests.items():
        _check_there(folder / name, remedy)
        found = digest_of(folder / name)
        if found != digest:
            raise WeightsError(
                f"`{name}` has the SHA-256 {found[:12]}…, expected "
                f"{str(digest)[:12]}…: it is damaged or was replaced. {remedy}"
            )


def _check_there(path: Path, remedy: str) -> None:
    if not path.is_file():
        raise WeightsError(f"There are no weights `{path}`. {remedy}")


def _read_json(path: Path, remedy: str) -> dict[str, Any]:
    """Read a table that the weights need."""
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise WeightsError(
            f"Cannot read `{path.name}`, which tells the weights: {error}. {remedy}"
        ) from error
    if not isinstance(table, dict):
        raise WeightsError(f"`{path.name}` holds no table of weights. {remedy}")
    return table
