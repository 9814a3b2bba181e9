"""What the readers of LIDC drew: their XML files, and the nodules in them.

Each of up to four readers outlined what they took for nodules of 3 mm or more,
pointed at smaller ones, and at other things that look like nodules. An outline runs
through the first pixels that are no longer nodule. Files of chest radiographs, which
lie among them, are left out.

Sources:
    Armato et al., "The Lung Image Database Consortium (LIDC) and Image Database
    Resource Initiative (IDRI)", Med Phys 2011;38:915.
"""

from __future__ import annotations

import math
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, fields
from hashlib import sha256
from pathlib import Path
from typing import Literal
from xml.etree import ElementTree as Tree

import numpy as np
import numpy.typing as npt

from hilum.datasets.nodules import Ratings
from hilum.errors import InputError
from hilum.findings import Annotation, Point
from hilum.space import FloatArray, Grid

Kind = Literal["nodule", "small nodule", "non-nodule"]

_NAMESPACE = "{http://www.nih.gov}"
_ROOT = "LidcReadMessage"
_LARGEST_BYTES = 1 << 26
_SAME_SMALL_MM = 3.0
_OFF_SLICE = 0.6
_UNRATED = Ratings()


@dataclass(frozen=True, slots=True)
class Outline:
    """A closed line in one slice.

    Attributes:
        z_mm: Of the slice, ImagePositionPatient.
        pixels: ((column, row), ...) of the image as it was scanned.
        inclusion: Whether it surrounds nodule; else a hole in it.
    """

    z_mm: float
    pixels: tuple[tuple[int, int], ...]
    inclusion: bool = True


@dataclass(frozen=True, slots=True)
class ReaderMark:
    """What one reader marked.

    Attributes:
        reader: 0 to 3, in the order of the file.
        kind: "nodule" from 3 mm on, with outlines; "small nodule" and "non-nodule"
            with a point alone.
        outlines: In the order of the file.
        malignancy: 1 to 5, or None.
        ratings: All of the reader's ratings, the malignancy among them.
    """

    reader: int
    kind: Kind
    outlines: tuple[Outline, ...]
    malignancy: int | None = None
    ratings: Ratings = _UNRATED


@dataclass(frozen=True, slots=True, eq=False)
class ReadNodule:
    """A nodule, as its readers agreed on it.

    Attributes:
        annotation: Where, how large, of how many readers.
        voxels: (n, 3) indices (slice, row, column) that at least half of its readers
            included.
        ratings: Means over its readers; None where none of them rated.
    """

    annotation: Annotation
    voxels: npt.NDArray[np.int64]
    ratings: Ratings


@dataclass(frozen=True, slots=True)
class Reading:
    """What the readers marked in one series.

    Attributes:
        series_uid: SeriesInstanceUID.
        readers: How many there were.
        marks: Of all of them.
    """

    series_uid: str
    readers: int
    marks: tuple[ReaderMark, ...]

    def annotations(self, grid: Grid) -> tuple[Annotation, ...]:
        """Bring the outlines of the readers together, one annotation a nodule.

        Outlines that share a voxel are of one nodule. It consists of the voxels that
        at least half of its readers included; the centre is theirs, and the diameter
        that of the sphere of their volume.

        Args:
            grid: Of the scan, with rows and columns as they were scanned.

        Raises:
            InputError: An outline lies outside the grid.
        """
        return tuple(nodule.annotation for nodule in self.nodules(grid))

    def nodules(self, grid: Grid) -> tuple[ReadNodule, ...]:
        """Give the nodules of `annotations`, with their voxels and mean ratings.

        Args:
            grid: Of the scan, with rows and columns as they were scanned.

        Raises:
            InputError: An outline lies outside the grid.
        """
        drawn = [
            (mark, voxels)
            for mark in self.marks
            if mark.kind == "nodule" and len(voxels := _filled(mark, grid))
        ]
        found = [self._nodule(group, grid) for group in _groups(drawn)]
        return tuple(sorted(found, key=lambda n: n.annotation.center_mm[2]))

    def points(self, grid: Grid, kind: Kind) -> tuple[Point, ...]:
        """Give the points that readers marked; those within 3 mm are one.

        Args:
            grid: Of the scan.
            kind: "small nodule" or "non-nodule".

        Raises:
            InputError: A mark lies outside the grid.
        """
        kept: list[Point] = []
        for mark in self.marks:
            if mark.kind != kind:
                continue
            middle = np.mean([_index(o, grid).mean(axis=0) for o in mark.outlines], 0)
            x, y, z = grid.to_world(middle).tolist()
            if all(math.dist((x, y, z), other) > _SAME_SMALL_MM for other in kept):
                kept.append((x, y, z))
        return tuple(kept)

    def _nodule(self, group: list[_Drawn], grid: Grid) -> ReadNodule:
        """Find what at least half of the readers of a nodule included."""
        readers = {mark.reader for mark, _ in group}
        by_reader = [
            np.unique(np.concatenate([v for m, v in group if m.reader == r]), axis=0)
            for r in sorted(readers)
        ]
        voxels, counts = np.unique(
            np.concatenate(by_reader), axis=0, return_counts=True
        )
        agreed = voxels[counts >= len(readers) / 2]
        x, y, z = grid.to_world(agreed.mean(axis=0)).tolist()
        volume = len(agreed) * grid.voxel_mm3
        ratings = _mean_ratings([mark.ratings for mark, _ in group])
        annotation = Annotation(
            self.series_uid,
            (x, y, z),
            math.cbrt(6 / math.pi * volume),
            len(readers),
            ratings.malignancy,
        )
        return ReadNodule(annotation, agreed, ratings)


_Drawn = tuple[ReaderMark, npt.NDArray[np.int64]]


def read_lidc(source: Path) -> dict[str, Reading]:
    """Read reader files.

    Args:
        source: An XML file, a folder of them however nested, or a zip.

    Returns:
        By series UID. Where several files are of one series, the first by name.

    Raises:
        InputError: Nothing can be read there, or a file is damaged.
    """
    readings: dict[str, Reading] = {}
    for name, text in _texts(Path(source)):
        reading = _parse(name, text)
        if reading is not None:
            readings.setdefault(reading.series_uid, reading)
    if not readings:
        raise InputError(
            f"There is no LIDC reader file of a CT in `{source.name}`. Give the "
            "folder or zip with the XML files."
        )
    return readings


def digest_readers(source: Path) -> str:
    """Digest what readers marked, in whatever order and files it lies.

    Args:
        source: As for `read_lidc`.

    Returns:
        SHA-256 in hexadecimal digits.

    Raises:
        InputError: Nothing can be read there.
    """
    root = _ROOT.encode()
    digests = sorted(sha256(t).digest() for _, t in _texts(Path(source)) if root in t)
    return sha256(b"".join(digests)).hexdigest()


def _texts(source: Path) -> Iterator[tuple[str, bytes]]:
    """Go through the XML files by name."""
    try:
        if source.is_dir():
            for path in sorted(source.rglob("*.xml")):
                yield path.name, path.read_bytes()
        elif source.suffix.lower() == ".zip":
            with zipfile.ZipFile(source) as archive:
                for entry in sorted(archive.infolist(), key=lambda e: e.filename):
                    if entry.filename.lower().endswith(".xml"):
                        if entry.file_size > _LARGEST_BYTES:
                            raise InputError(
                                f"`{entry.filename}` in `{source.name}` is larger "
                                "than any reader file. Is it one?"
                            )
                        yield entry.filename, archive.read(entry)
        else:
            yield source.name, source.read_bytes()
    except (OSError, zipfile.BadZipFile, RuntimeError) as error:
        raise InputError(
            f"Cannot read the reader files in `{source.name}`: {error}. Check the path."
        ) from error


def _parse(name: str, text: bytes) -> Reading | None:
    """Read one file; None when it is of no CT."""
    try:
        root = Tree.fromstring(text)
        if root.tag.removeprefix(_NAMESPACE) != _ROOT:
            return None
        uid = root.findtext(f".//{_NAMESPACE}SeriesInstanceUid", "").strip()
        sessions = root.findall(f"{_NAMESPACE}readingSession")
        marks = tuple(m for n, s in enumerate(sessions) for m in _marks(n, s))
    except (Tree.ParseError, ValueError) as error:
        raise InputError(
            f"`{name}` is no whole LIDC reader file: {error}. Copy it again."
        ) from error
    if not uid:
        raise InputError(f"`{name}` names no SeriesInstanceUid. Copy it again.")
    return Reading(uid, len(sessions), marks)


def _marks(reader: int, session: Tree.Element) -> Iterator[ReaderMark]:
    """Go through what one reader marked."""
    for nodule in session.findall(f"{_NAMESPACE}unblindedReadNodule"):
        outlines = tuple(
            _outline(roi, roi.findall(f"{_NAMESPACE}edgeMap"))
            for roi in nodule.findall(f"{_NAMESPACE}roi")
        )
        rating = nodule.findtext(f".//{_NAMESPACE}malignancy")
        is_large = rating is not None or any(len(o.pixels) > 1 for o in outlines)
        ratings = _ratings(nodule)
        if outlines:
            yield ReaderMark(
                reader,
                "nodule" if is_large else "small nodule",
                outlines,
                None if ratings.malignancy is None else int(ratings.malignancy),
                ratings,
            )
    for other in session.findall(f"{_NAMESPACE}nonNodule"):
        point = _outline(other, other.findall(f"{_NAMESPACE}locus"))
        yield ReaderMark(reader, "non-nodule", (point,))


def _ratings(nodule: Tree.Element) -> Ratings:
    """Read what a reader rated; 0 stands for none."""
    texts = {
        item.name: nodule.findtext(f".//{_NAMESPACE}{item.name}")
        for item in fields(Ratings)
    }
    return Ratings(
        **{name: float(int(text)) or None for name, text in texts.items() if text}
    )


def _mean_ratings(given: list[Ratings]) -> Ratings:
    """Average each rating over those who gave it."""
    means: dict[str, float | None] = {}
    for item in fields(Ratings):
        known = [v for r in given if (v := getattr(r, item.name)) is not None]
        means[item.name] = float(np.mean(known)) if known else None
    return Ratings(**means)


def _outline(roi: Tree.Element, points: list[Tree.Element]) -> Outline:
    """Read a line or a point."""
    pixels = tuple(
        (
            int(point.findtext(f"{_NAMESPACE}xCoord", "")),
            int(point.findtext(f"{_NAMESPACE}yCoord", "")),
        )
        for point in points
    )
    if not pixels:
        raise ValueError("a mark without a point")
    included = roi.findtext(f"{_NAMESPACE}inclusion", "TRUE").strip().upper()
    z_mm = float(roi.findtext(f"{_NAMESPACE}imageZposition", ""))
    return Outline(z_mm, pixels, included == "TRUE")


def _index(outline: Outline, grid: Grid) -> FloatArray:
    """Give the pixels of an outline as (n, 3) indices (slice, row, column)."""
    x, y, _ = grid.to_world((0, 0, 0)).tolist()
    number = float(grid.to_index((x, y, outline.z_mm))[0])
    columns, rows = np.array(outline.pixels).T
    _, height, width = grid.shape
    inside = -_OFF_SLICE < number < grid.shape[0] - 1 + _OFF_SLICE
    if not (inside and (rows < height).all() and (columns < width).all()):
        raise InputError(
            f"A reader's mark at z = {outline.z_mm} mm, column {columns[0]}, row "
            f"{rows[0]} lies outside the scan of {grid.shape} voxels. Is the reader "
            "file of another series?"
        )
    return np.stack([np.full(len(rows), round(number)), rows, columns], axis=1)


def _filled(mark: ReaderMark, grid: Grid) -> npt.NDArray[np.int64]:
    """List the voxels that a reader included: what lies within the lines."""
    from scipy import ndimage  # noqa: PLC0415  slow to import

    included: set[tuple[int, ...]] = set()
    holes: set[tuple[int, ...]] = set()
    for outline in mark.outlines:
        index = _index(outline, grid).astype(np.int64)
        low = index.min(axis=0) - 1
        line = np.zeros(index.max(axis=0)[1:] - low[1:] + 2, bool)
        line[tuple((index - low)[:, 1:].T)] = True
        within = ndimage.binary_fill_holes(line) & ~line
        cells = np.argwhere(within) + low[1:]
        goal = included if outline.inclusion else holes
        goal.update((int(index[0, 0]), *cell) for cell in cells.tolist())
    return np.array(sorted(included - holes), np.int64).reshape(-1, 3)


def _groups(drawn: list[_Drawn]) -> list[list[_Drawn]]:
    """Bring together what shares voxels."""
    groups: list[tuple[set[tuple[int, ...]], list[_Drawn]]] = []
    for mark, voxels in drawn:
        cells = set(map(tuple, voxels.tolist()))
        members = [(mark, voxels)]
        apart = []
        for other, items in groups:
            if other.isdisjoint(cells):
                apart.append((other, items))
            else:
                cells |= other
                members = items + members
        groups = [*apart, (cells, members)]
    return [members for _, members in groups]
