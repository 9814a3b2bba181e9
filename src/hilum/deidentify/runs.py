"""A folder of images to a folder of copies.

A copy appears whole or not at all, under a name that the key makes from the UIDs. A
file that cannot be made safe is left out and counted; none stops the others.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydicom.dataset import Dataset
from pydicom.uid import UID_dictionary

from hilum._names import name_of
from hilum.deidentify.cleaning import Cleaner, Person
from hilum.deidentify.encoding import Encoding
from hilum.deidentify.identifiers import find_identifiers
from hilum.deidentify.keys import Key
from hilum.deidentify.pixels import find_refusal
from hilum.deidentify.profile import EDITION, Options, load_table
from hilum.deidentify.reading import RefusedError, read, text_of
from hilum.dicom.files import File, Opener
from hilum.dicom.search import find_files
from hilum.dicom.silence import silence
from hilum.errors import InputError
from hilum.formats.atomic import replacing, writing

MOST_BYTES = 4 << 30
_IMPLICIT = "1.2.840.10008.1.2"
_EXPLICIT = "1.2.840.10008.1.2.1"
_BIG_ENDIAN = "1.2.840.10008.1.2.2"


_CLASS, _INSTANCE = 0x00080016, 0x00080018
_STUDY, _SERIES = 0x0020000D, 0x0020000E


@dataclass(frozen=True, slots=True)
class Summary:
    """What was done, in numbers; no name of a person or a file.

    Attributes:
        files: How many were looked at.
        written: How many copies were written.
        patients: How many patients they show.
        studies: How many studies.
        series: How many series.
        refused: How many files were left out, by reason.
        options: What was done, as the standard names it.
    """

    files: int
    written: int
    patients: int
    studies: int
    series: int
    refused: dict[str, int]
    options: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Give what `hilum deidentify` prints."""
        return {
            "files": self.files,
            "written": self.written,
            "patients": self.patients,
            "studies": self.studies,
            "series": self.series,
            "refused": dict(sorted(self.refused.items())),
            "profile": f"DICOM PS3.15 {EDITION}",
            "options": list(self.options),
        }


@dataclass(frozen=True, slots=True)
class _Copy:
    """One copy, not yet written: its place below OUT, and its bytes."""

    place: Path
    data: bytes


def deidentify(
    source: str | Path,
    out: str | Path,
    *,
    key: Key,
    options: Options | None = None,
    refused: str | Path | None = None,
) -> Summary:
    """Write copies of images that name nobody.

    Args:
        source: A DICOM folder, file or zip; never changed.
        out: Folder for the copies; made if absent. Copies lie in
            PATIENT/STUDY/SERIES/INSTANCE.dcm, each name a number under the key.
        key: The secret. The same key gives the same copies.
        options: Which options of the profile are used.
        refused: A CSV file to write, with each file that was left out and why. It
            names files, so it belongs to the originals.

    Returns:
        Numbers.

    Raises:
        InputError: There is nothing to copy, nothing could be copied, the two places
            overlap, or the disk is full.
    """
    source, out = Path(source), Path(out)
    _check_places(source, out)
    load_table()
    files, _ = find_files(source)
    run = _Run(out, key, options or Options())
    with Opener() as opener, silence():
        for file in files:
            run.take(file, opener)
    if refused is not None:
        _write_refused(Path(refused), run.left_out)
    return run.summary(len(files))


def _check_places(source: Path, out: Path) -> None:
    here, there = source.resolve(), out.resolve()
    if here == there or here in there.parents or there in here.parents:
        raise InputError(
            f"`{name_of(out)}` and `{name_of(source)}` lie in each other. Copies must "
            "not mix with originals; name another folder."
        )
    if out.exists() and not out.is_dir():
        raise InputError(f"`{name_of(out)}` is a file; name a folder for the copies.")


class _Run:
    """One run over many files."""

    def __init__(self, out: Path, key: Key, options: Options) -> None:
        self._out, self._key, self._options = out, key, options
        self._places: Counter[Path] = Counter()
        self.left_out: list[tuple[File, str]] = []

    def take(self, file: File, opener: Opener) -> None:
        """Copy one file, or note why not."""
        try:
            copy = self._make(_load(file, opener))
        except RefusedError as error:
            self.left_out.append((file, str(error)))
            return
        self._places[copy.place] += 1
        again = self._places[copy.place]
        place = copy.place if again == 1 else _number(copy.place, again)
        path = self._out / place
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            with replacing(path) as target:
                target.write(copy.data)

    def _make(self, data: bytes) -> _Copy:
        try:
            return self._clean(read(data))
        except RefusedError:
            raise
        except Exception as error:  # whatever damaged bytes may raise
            raise RefusedError("damaged") from error

    def _clean(self, dataset: Dataset) -> _Copy:
        checked = self._options.pixels_checked
        if reason := find_refusal(dataset, pixels_checked=checked):
            raise RefusedError(reason)
        encoding = _encoding_of(dataset)
        patient = _patient_of(dataset)
        person = Person(self._key.pseudonym(patient), self._key.days(patient))
        identifiers = find_identifiers(dataset)
        cleaner = Cleaner(self._key, self._options, person, identifiers)
        body = cleaner.clean(dataset)
        uids = [text_of(dataset, tag) for tag in (_STUDY, _SERIES, _INSTANCE)]
        study, series, instance = map(self._key.short, uids)
        data = encoding.encode_file(
            text_of(dataset, _CLASS), self._key.uid(uids[2]), body
        )
        place = Path(person.pseudonym, study, series, f"{instance}.dcm")
        return _Copy(place, data)

    def summary(self, files: int) -> Summary:
        """Sum up.

        Raises:
            InputError: Nothing was copied.
        """
        reasons = Counter(reason for _, reason in self.left_out)
        if not self._places:
            listed = ", ".join(f"{n} {reason}" for reason, n in reasons.most_common())
            raise InputError(
                f"None of {files} files could be copied: {listed or 'nothing there'}. "
                "Only images of CT, MR and PET without text in them are; see "
                "--pixels-checked for others."
            )
        folders = {place.parent for place in self._places}
        return Summary(
            files=files,
            written=sum(self._places.values()),
            patients=len({folder.parents[1] for folder in folders}),
            studies=len({folder.parent for folder in folders}),
            series=len(folders),
            refused=dict(reasons),
            options=tuple(meaning for _, meaning in self._options.codes),
        )


def _load(file: File, opener: Opener) -> bytes:
    if file.size > MOST_BYTES:
        raise RefusedError("too large")
    try:
        with closing(opener.open(file)) as stream:
            parts: list[bytes] = []
            while part := stream.read(1 << 24):
                parts.append(part)
    except Exception as error:  # of a disk, or of a damaged zip
        raise RefusedError("cannot be read") from error
    return b"".join(parts)


def _encoding_of(dataset: Dataset) -> Encoding:
    implicit, little = dataset.original_encoding
    implicit, little = bool(implicit), little is not False
    syntax = str(getattr(dataset.file_meta, "TransferSyntaxUID", "") or "")
    if syntax and syntax not in UID_dictionary:
        raise RefusedError("unknown transfer syntax")
    plain = _IMPLICIT if implicit else _EXPLICIT if little else _BIG_ENDIAN
    return Encoding(syntax or plain, implicit, little)


def _patient_of(dataset: Dataset) -> str:
    """Tell patients apart: by the ID and who gave it, else by name, else by study."""
    identity, issuer, name, birth, study, instance = (
        text_of(dataset, tag)
        for tag in (0x00100020, 0x00100021, 0x00100010, 0x00100030, _STUDY, _INSTANCE)
    )
    if identity:
        return f"{issuer} {identity}"
    return f"{birth} {name.upper()}" if name else study or instance


def _number(place: Path, number: int) -> Path:
    return place.with_name(f"{place.stem}-{number}.dcm")


def _write_refused(path: Path, rows: Iterable[tuple[File, str]]) -> None:
    with writing(path), replacing(path) as target:
        lines: list[str] = []
        writer = csv.writer(_Lines(lines.append), lineterminator="\n")
        writer.writerow(("file", "member", "reason"))
        writer.writerows((file.path, file.member or "", why) for file, why in rows)
        target.write("".join(lines).encode("utf-8", "surrogateescape"))


@dataclass(frozen=True, slots=True)
class _Lines:
    """What `csv` writes to."""

    write: Callable[[str], Any]
