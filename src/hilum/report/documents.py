"""From one assessment to the files that people and programs read.

`assessment.json` is always written, and first: when a later document fails, nothing
that was computed is lost. Each file appears whole or not at all. What stands in the
folder from another assessment is removed, for it would tell the wrong numbers.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryFile

from hilum._names import name_of
from hilum._threads import map_in_threads
from hilum.errors import HilumError, InputError
from hilum.findings import Assessment
from hilum.formats import is_volume_file
from hilum.formats.atomic import replacing, replacing_folder
from hilum.formats.outlines import write_outlines
from hilum.outlines import Outlines
from hilum.report.changes import with_changes
from hilum.report.details import NOTHING, NoduleDetails, gather_details
from hilum.report.dicom import (
    DicomDocuments,
    SegmentStyle,
    load_library,
    to_bytes,
    write_dicom,
)
from hilum.report.fhir import write_fhir
from hilum.report.page import write_page
from hilum.report.pdf import write_pdf
from hilum.report.table import write_csv
from hilum.volume import CTVolume

Format = str
"""A name among `FORMATS`."""

JSON_FILE = "assessment.json"
OUTLINES_FILE = "outlines.npz"


@dataclass(frozen=True, eq=False, kw_only=True)
class Job:
    """One assessment on its way to its documents.

    Attributes:
        assessment: The conclusions.
        seen: The CT that they are about, where it is at hand.
        outlines: The voxels behind them, where they were kept.
        source: What the CT was read from, where it is known.
        style: How segmentations are written.
        formats: The documents that are asked for.
    """

    assessment: Assessment
    seen: CTVolume | None
    outlines: Outlines | None
    source: Path | None
    style: SegmentStyle
    formats: tuple[Format, ...]

    @property
    def volume(self) -> CTVolume:
        """The CT.

        Raises:
            InputError: It is not at hand.
        """
        if self.seen is None:
            needed = ", ".join(name for name in self.formats if FORMATS[name].pictures)
            raise InputError(
                f"The CT itself is needed to write {needed}. Name it with --source."
            )
        return self.seen

    @cached_property
    def details(self) -> tuple[NoduleDetails, ...]:
        """What the page shows of each nodule beyond the assessment."""
        known: Sequence[NoduleDetails] = (NOTHING,) * len(self.assessment.nodules)
        if self.outlines is not None:
            known = gather_details(
                self.assessment,
                self.volume,
                self.outlines.nodules,
                rated=self.outlines.rated,
            )
        return with_changes(known, self.assessment.comparison)

    @cached_property
    def dicom(self) -> DicomDocuments:
        """The DICOM documents; those of one job refer to each other.

        Raises:
            InputError: The CT is not at hand, or is not DICOM.
        """
        volume = self.volume
        check_source(self.formats, self.source)
        load_library()
        return DicomDocuments(
            assessment=self.assessment,
            volume=volume,
            source=self.source or Path(),
            outlines=self.outlines,
            style=self.style,
        )


@dataclass(frozen=True, slots=True)
class Document:
    """One format: its file, and how it is written.

    Attributes:
        file: Its name in the folder.
        write: Writes it, and is False when there was nothing to write.
        also: Further files that may be written with it.
        pictures: Whether it needs the CT itself.
        refers: Whether it refers to DICOM instances.
    """

    file: str
    write: Callable[[Job, Path], bool]
    also: tuple[str, ...] = ()
    pictures: bool = False
    refers: bool = False


def _seg(job: Job, path: Path) -> bool:
    nodules, lungs = job.dicom.nodules_seg, job.dicom.lungs_seg()
    for made, file in ((nodules, path), (lungs, path.with_name("lungs.dcm"))):
        file.unlink(missing_ok=True) if made is None else write_dicom(made, file)
    return nodules is not None or lungs is not None


def _sr(job: Job, path: Path) -> bool:
    write_dicom(job.dicom.report(with_seg="seg" in job.formats), path)
    return True


def _sc(job: Job, path: Path) -> bool:
    images = job.dicom.captures()
    with replacing_folder(path) as folder:
        for number, image in enumerate(images, start=1):
            (folder / f"nodule-{number:02d}.dcm").write_bytes(to_bytes(image))
    return bool(images)


def _page(job: Job, path: Path) -> bool:
    write_page(job.assessment, job.volume, path, details=job.details)
    return True


def _pdf(job: Job, path: Path) -> bool:
    write_pdf(job.assessment, job.volume, path, details=job.details)
    return True


def _csv(job: Job, path: Path) -> bool:
    write_csv(job.assessment, path)
    return True


def _fhir(job: Job, path: Path) -> bool:
    write_fhir(job.assessment, path)
    return True


FORMATS: dict[Format, Document] = {
    "json": Document(JSON_FILE, lambda *_: True),
    "html": Document("report.html", _page, pictures=True),
    "pdf": Document("report.pdf", _pdf, pictures=True),
    "csv": Document("assessment.csv", _csv),
    "fhir": Document("assessment.fhir.json", _fhir),
    "seg": Document("segmentation.dcm", _seg, ("lungs.dcm",), True, True),
    "sr": Document("measurements.dcm", _sr, (), True, True),
    "sc": Document("key-images", _sc, (), True, True),
}
"""In the order in which they are written; the JSON is, before any."""


def parse_formats(text: str) -> tuple[Format, ...]:
    """Read the formats from a list such as "html,json".

    Args:
        text: Names with commas between them.

    Raises:
        InputError: A name is not a format.
    """
    names = [name.strip() for name in text.split(",") if name.strip()]
    return tuple(_known(name) for name in names)


def check_source(formats: Sequence[Format], source: Path | None) -> None:
    """Refuse documents that refer to DICOM where there is none, before any work.

    Args:
        formats: What is asked for.
        source: What the CT is read from, or None.

    Raises:
        InputError: One of them refers to instances, and the source holds none.
    """
    refer = [name for name in formats if FORMATS[_known(name)].refers]
    if refer and (source is None or (source.is_file() and is_volume_file(source))):
        what = f"`{name_of(source)}` is none" if source else "the source is not known"
        raise InputError(
            f"The formats {', '.join(refer)} refer to the images of a DICOM series, "
            f"and {what}. Give the DICOM series, or leave them out."
        )


def write_documents(
    assessment: Assessment,
    volume: CTVolume | None,
    out: Path,
    *,
    formats: Sequence[Format] = ("json", "html"),
    outlines: Outlines | None = None,
    source: Path | None = None,
    style: SegmentStyle | None = None,
) -> dict[Format, Path]:
    """Write the documents of one assessment into a folder.

    `outlines.npz` is written beside the JSON where outlines are given, so that
    segmentations can be written later.

    Args:
        assessment: The conclusions.
        volume: The CT that they are about, for the images; None: only documents
            without images.
        out: Folder; made when it is not there.
        formats: Which documents beside the JSON.
        outlines: The voxels behind the assessment, for "seg" and "sr".
        source: What the CT was read from, for "sr", "seg" and "sc".
        style: How segmentations are written; by default `SegmentStyle()`.

    Returns:
        Format to the file, or folder, that was written; without those that had
        nothing to write, such as a segmentation where there is no nodule.

    Raises:
        InputError: The folder cannot be made or written to, a format is not known
            or needs what is not given, or things of two series are mixed.
    """
    chosen = {_known(name) for name in formats}
    wanted = tuple(name for name in FORMATS if name in chosen)
    source = Path(source) if source is not None else None
    check_source(wanted, source)
    job = Job(
        assessment=assessment,
        seen=volume,
        outlines=outlines,
        source=source,
        style=style or SegmentStyle(),
        formats=wanted,
    )
    _check_series(job)
    return _write_all(job, prepare_folder(out))


def _write_all(job: Job, out: Path) -> dict[Format, Path]:
    """Write those of DICOM while a network explains the ratings on the page."""
    others = [name for name in job.formats if not FORMATS[name].refers]
    dicom = [name for name in job.formats if FORMATS[name].refers]

    def write(names: list[Format]) -> list[Format]:
        return [n for n in names if FORMATS[n].write(job, out / FORMATS[n].file)]

    try:
        _begin(job, out)
        if others and dicom:
            with suppress(HilumError):  # the lane says it, and the other one is written
                job.dicom.read_source()
        lanes = map_in_threads(write, [lane for lane in (others, dicom) if lane])
    except OSError as error:
        raise InputError(
            f"Cannot write into `{name_of(out)}`: {error.strerror or error}. "
            "Name a folder that you may write to, on a disk with room."
        ) from error
    made = {"json", *(name for lane in lanes for name in lane)}
    return {name: out / FORMATS[name].file for name in FORMATS if name in made}


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


def _begin(job: Job, out: Path) -> None:
    """Write the JSON, and remove what another assessment left in the folder.

    The others go once the JSON is safe on the disk and before it gets its name: a
    full disk changes nothing, and a stop at any time leaves fewer documents, never
    documents of two assessments.
    """
    text = _text_of(job.assessment)
    fresh = text != _read_text(out / JSON_FILE)
    if fresh:
        with replacing(out / JSON_FILE) as file:
            file.write(text.encode())
            file.flush()
            files = {f for one in FORMATS.values() for f in (one.file, *one.also)}
            for name in {*files, OUTLINES_FILE} - {JSON_FILE}:
                _remove(out / name)
    if job.outlines is not None and (fresh or not (out / OUTLINES_FILE).exists()):
        write_outlines(job.outlines, out / OUTLINES_FILE)


def _check_series(job: Job) -> None:
    """Refuse a volume or outlines of another series, before anything is written."""
    uid, count = job.assessment.series_uid, len(job.assessment.nodules)
    shown = any(FORMATS[name].pictures for name in job.formats)
    if shown and job.volume.series_uid != uid:
        raise InputError(
            f"The assessment is of series {uid}, the volume of series "
            f"{job.volume.series_uid}. Read the series that was assessed."
        )
    if job.outlines is not None:
        job.outlines.check(uid, count, job.assessment.provenance.outlines_sha256)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _known(name: str) -> Format:
    if name not in FORMATS:
        raise InputError(f"Unknown format `{name}`. Formats are: {', '.join(FORMATS)}.")
    return name


def _text_of(assessment: Assessment) -> str:
    return json.dumps(assessment.to_json(), indent=2, ensure_ascii=False) + "\n"


def _read_text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError):
        return None


def write_json(assessment: Assessment, path: Path) -> None:
    """Write `assessment.json`, whole or not at all.

    Args:
        assessment: The conclusions.
        path: The file.
    """
    text = _text_of(assessment)
    with replacing(path) as file:
        file.write(text.encode())


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
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(
            f"Cannot read `{name_of(path)}` as an assessment: {error}"
        ) from error
    return Assessment.from_json(tree)
