"""From one assessment to the files that people and programs read."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryFile
from typing import Literal

from hilum._names import name_of
from hilum.errors import InputError
from hilum.findings import Assessment
from hilum.formats.atomic import replacing
from hilum.report.page import write_page
from hilum.volume import CTVolume

Format = Literal["json", "html"]
FILE_NAMES: dict[Format, str] = {"json": "assessment.json", "html": "report.html"}


def parse_formats(text: str) -> tuple[Format, ...]:
    """Read the formats from a list such as "html,json".

    Args:
        text: Names with commas between them.

    Raises:
        InputError: A name is not a format.
    """
    names = [name.strip() for name in text.split(",") if name.strip()]
    return tuple(_known(name) for name in names)


def write_documents(
    assessment: Assessment,
    volume: CTVolume,
    out: Path,
    *,
    formats: Sequence[Format] = ("json", "html"),
) -> dict[Format, Path]:
    """Write the documents of one assessment into a folder.

    `assessment.json` is always written, and first: when a later document fails,
    nothing that was computed is lost. A document of an earlier assessment that is
    not written now is removed, for it would stand beside the wrong numbers.

    Args:
        assessment: The conclusions.
        volume: The CT that they are about, for the images.
        out: Folder; made when it is not there.
        formats: Which documents beside the JSON.

    Returns:
        Format to the file that was written.

    Raises:
        InputError: The folder cannot be made or written to, or a format is
            not known.
    """
    formats = [_known(name) for name in formats]
    out = prepare_folder(out)
    try:
        written: dict[Format, Path] = {"json": out / FILE_NAMES["json"]}
        write_json(assessment, written["json"])
        if "html" in formats:
            written["html"] = out / FILE_NAMES["html"]
            write_page(assessment, volume, written["html"])
        for name, file in FILE_NAMES.items():
            if name not in written:
                (out / file).unlink(missing_ok=True)
    except OSError as error:
        raise InputError(
            f"Cannot write into `{name_of(out)}`: {error.strerror or error}. "
            "Name a folder that you may write to."
        ) from error
    return written


def prepare_folder(out: Path) -> Path:
    """Make the folder for the documents, before any work is done for them.

    Args:
        out: The folder.

    Raises:
        InputError: It cannot be made, or written to.
    """
    out = Path(out)
    try:
        out.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=out):
            pass
    except OSError as error:
        raise InputError(
            f"Cannot write into `{name_of(out)}`: {error.strerror or error}. "
            "Name a folder that you may write to."
        ) from error
    return out


def _known(name: str) -> Format:
    for known in FILE_NAMES:
        if name == known:
            return known
    raise InputError(f"Unknown format `{name}`. Formats are: {', '.join(FILE_NAMES)}.")


def write_json(assessment: Assessment, path: Path) -> None:
    """Write `assessment.json`, whole or not at all.

    Args:
        assessment: The conclusions.
        path: The file.
    """
    text = json.dumps(assessment.to_json(), indent=2, ensure_ascii=False)
    with replacing(path) as file:
        file.write((text + "\n").encode())


def read_assessment(path: Path) -> Assessment:
    """Read an `assessment.json`.

    Args:
        path: The file.

    Raises:
        InputError: The file is absent, is not JSON or is of another version.
    """
    path = Path(path)
    try:
        tree = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(
            f"Cannot read `{name_of(path)}` as an assessment: {error}"
        ) from error
    return Assessment.from_json(tree)
