"""One stage over one CT, its result into one file."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from pathlib import Path

from hilum._names import name_of
from hilum.errors import InputError
from hilum.findings import Candidate
from hilum.formats import write_mask
from hilum.formats.atomic import replacing, writing
from hilum.sources import read_ct
from hilum.stages.lungs import LungSegmenter
from hilum.stages.nodules import NoduleDetector
from hilum.volume import Mask

COLUMNS = ("seriesuid", "coordX", "coordY", "coordZ", "probability")
MASKS = (".nii", ".nii.gz", ".mha", ".mhd")


def segment(source: Path, out: Path, *, series_uid: str | None = None) -> Mask:
    """Write the lung mask of a CT.

    Args:
        source: As for `assess`.
        out: Ends in .nii, .nii.gz, .mha or .mhd.
        series_uid: As for `assess`.

    Returns:
        The mask on the grid of the CT: 1 right lung, 2 left lung.

    Raises:
        InputError: The CT cannot be read, or the file cannot be written.
    """
    out = _check_out(Path(source), Path(out), MASKS)
    lungs = LungSegmenter()(read_ct(source, series_uid=series_uid))
    write_mask(lungs, out)
    return lungs


def detect(
    source: Path, out: Path, *, series_uid: str | None = None
) -> tuple[Candidate, ...]:
    """Write every candidate of a CT with its score, as LUNA16 has it.

    Args:
        source: As for `assess`.
        out: A .csv file with the columns seriesuid, coordX, coordY, coordZ
            (LPS, mm) and probability (ranks; not calibrated).
        series_uid: As for `assess`.

    Returns:
        The candidates by falling score.

    Raises:
        InputError: The CT cannot be read, or the file cannot be written.
    """
    out = _check_out(Path(source), Path(out), (".csv",))
    volume = read_ct(source, series_uid=series_uid)
    candidates = NoduleDetector()(volume, LungSegmenter()(volume))
    write_candidates(candidates, volume.series_uid, out)
    return candidates


def write_candidates(
    candidates: Iterable[Candidate], series_uid: str, out: Path
) -> None:
    """Write candidates as LUNA16 has them.

    Args:
        candidates: In the order of the rows.
        series_uid: Of the CT that they are in.
        out: A CSV file, replaced in one step.

    Raises:
        InputError: The file cannot be written.
    """
    table = io.StringIO()
    rows = csv.writer(table, lineterminator="\n")
    rows.writerow(COLUMNS)
    for candidate in candidates:
        point = (f"{x:.3f}" for x in candidate.center_mm)
        rows.writerow([series_uid, *point, f"{candidate.score:.6f}"])
    with writing(out), replacing(out) as file:
        file.write(table.getvalue().encode())


def _check_out(source: Path, out: Path, extensions: tuple[str, ...]) -> Path:
    """Refuse, before the work, a file that could not or must not be written."""
    if not out.name.lower().endswith(extensions):
        raise InputError(
            f"`{name_of(out)}` must end in {' or '.join(extensions)}; "
            "the extension says what is written."
        )
    try:
        if not out.parent.is_dir() or out.is_dir():
            raise InputError(
                f"Cannot write `{name_of(out)}`: its folder does not exist, or it is "
                "a folder itself. Make the folder first, and name a file in it."
            )
        same = out.exists() and source.exists() and out.samefile(source)
    except OSError as error:
        raise InputError(
            f"Cannot write `{name_of(out)}`: {error.strerror}. Check the path."
        ) from error
    if same:
        raise InputError(
            f"`{name_of(out)}` is the CT itself and would be overwritten. "
            "Name another file."
        )
    return out
