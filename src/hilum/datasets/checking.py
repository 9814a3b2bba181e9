"""What is there in a data set, what is missing, and what would spoil a split.

One scan is in memory at a time, and each is read once: its pixels are hashed while
they are there. Of a scan that cannot be read the reason is kept, whatever it is, and
the next one is read.
"""

from __future__ import annotations

import hashlib
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from hilum.datasets.cases import Case, DataSet, Gap
from hilum.datasets.lidc import Reading
from hilum.datasets.lidc_folder import load_readings
from hilum.datasets.opening import open_dataset
from hilum.errors import InputError
from hilum.findings import Record
from hilum.sources import read_ct
from hilum.volume import CTVolume

_LOG = logging.getLogger(__name__)
_LOG.addHandler(logging.NullHandler())

Talk = Callable[[str], None]
_DAMAGE = {"damaged-files", "missing-slices"}
"""Notices of a series that is not whole."""
_LABELS = ("cancer", "none", "unknown")


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanFacts(Record):
    """What one scan turned out to be.

    Attributes:
        id: Of its case.
        patient: Whose.
        fold: Part of the data set, or None.
        problem: Why it cannot be read, or None.
        slices: How many, or None.
        slice_spacing_mm: Distance of slices, or None.
        slice_thickness_mm: As the file tells, or None.
        pixel_mm: Distance of columns, or None.
        kernel: Reconstruction kernel, or None.
        digest: Of its voxels in HU; equal for equal pixels, wherever they lie.
        nodules: Annotations, or None where nobody looked.
        outside: Annotations outside the scan.
        notices: Codes of what reading it repaired or doubted.
    """

    id: str
    patient: str
    fold: str | None
    problem: str | None = None
    slices: int | None = None
    slice_spacing_mm: float | None = None
    slice_thickness_mm: float | None = None
    pixel_mm: float | None = None
    kernel: str | None = None
    digest: str | None = None
    nodules: int | None = None
    outside: int = 0
    notices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Spread(Record):
    """How a number spreads over scans.

    Attributes:
        n: Scans that have it.
        least: Smallest.
        median: Half lie below.
        most: Largest.
    """

    n: int
    least: float | None
    median: float | None
    most: float | None


@dataclass(frozen=True, slots=True)
class Leak(Record):
    """What lies in more than one part of a split, or under more than one name.

    Attributes:
        code: "patient-in-two-folds", "pixels-in-two-folds", "pixels-of-two-patients",
            "identifier-of-two-patients".
        cases: Their ids.
    """

    code: str
    cases: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DataCheck(Record):
    """What `hilum data check` prints.

    Attributes:
        layout: Of the data set.
        ok: Whether nothing is missing, leaks, comes twice or cannot be read.
        cases: Scans.
        patients: Of how many.
        readable: Scans that could be read.
        folds: Scans by part of the split.
        labels: Patients by label: cancer (by any of their scans), none, unknown.
        nodules: Annotations.
        outside: Of them outside their scan: wrong axes or another scan.
        gaps: What is missing.
        unreadable: Reason to ids of scans.
        duplicates: Groups of ids with the same pixels.
        leaks: What would spoil a split.
        slices: Spread over scans.
        slice_spacing_mm: The same.
        slice_thickness_mm: The same.
        pixel_mm: The same.
        kernels: Scans by reconstruction kernel.
        notices: Scans by code of a notice of reading.
    """

    layout: str
    ok: bool
    cases: int
    patients: int
    readable: int
    folds: dict[str, int]
    labels: dict[str, int]
    nodules: int
    outside: int
    gaps: tuple[Gap, ...]
    unreadable: dict[str, list[str]]
    duplicates: tuple[tuple[str, ...], ...]
    leaks: tuple[Leak, ...]
    slices: Spread
    slice_spacing_mm: Spread
    slice_thickness_mm: Spread
    pixel_mm: Spread
    kernels: dict[str, int]
    notices: dict[str, int]


def check_dataset(
    source: str | Path, *, out: Path | None = None, talk: Talk = lambda _: None
) -> DataCheck:
    """Read every scan of a data set once, and say what is wrong with it.

    Args:
        source: As for `open_dataset`.
        out: Gets scans.csv as it goes, then check.json, plots and check.html.
        talk: Told of the progress.

    Raises:
        InputError: It is no data set, or `out` cannot be written to.
        MissingDependencyError: There are plots to draw, and Matplotlib is missing.
    """
    from hilum.datasets.check_page import Report  # noqa: PLC0415  slow to import

    data, readings = _with_readings(open_dataset(source))
    report = Report(out) if out is not None else None
    found: list[ScanFacts] = []
    marks: dict[str, bytes] = {}
    for number, (facts, mark) in enumerate(check_scans(data, readings), start=1):
        found.append(facts)
        if mark is not None:
            marks[facts.id] = mark
        if report is not None:
            report.add(facts)
        talk(f"scan {number} of {len(data)}")
    check = summarise(data, found, marks)
    if report is not None:
        report.write(check, found)
    return check


def _with_readings(data: DataSet) -> tuple[DataSet, Mapping[str, Reading]]:
    """Read the readers' marks; where they are damaged, that is what is missing."""
    if all(case.annotations is not None for case in data.cases):
        return data, {}
    try:
        return data, load_readings(data)
    except InputError as error:
        gap = Gap("readings-damaged", len(data), str(error))
        return replace(data, gaps=(*data.gaps, gap)), {}


def check_scans(
    data: DataSet, readings: Mapping[str, Reading] | None = None
) -> Iterator[tuple[ScanFacts, bytes | None]]:
    """Read the scans of a data set, one after the other.

    Args:
        data: Out of `open_dataset`.
        readings: The readers' marks of LIDC; by default read here.

    Returns:
        For each what it is, and what tells its patient from others in this process
        where the files say that for certain.
    """
    if readings is None:
        data, readings = _with_readings(data)
    for case in data.cases:
        yield _check_scan(case, readings)


def _check_scan(
    case: Case, readings: Mapping[str, Reading]
) -> tuple[ScanFacts, bytes | None]:
    """Read one scan; what is wrong with it, or with us, is its own."""
    try:
        volume = read_ct(case.source, series_uid=case.series_uid)
        return _facts(case, volume, readings), _mark_of(volume)
    except InputError as error:
        problem = str(error)
    except Exception as error:  # noqa: BLE001  the others are to be checked too
        _LOG.debug("A scan could not be checked.", exc_info=True)
        problem = (
            f"Reading it failed with {type(error).__name__}, an error of hilum and not "
            "of the scan. Run again with --debug to see where, and report it."
        )
    facts = ScanFacts(id=case.id, patient=case.patient, fold=case.fold, problem=problem)
    return facts, None


def summarise(
    data: DataSet, scans: Iterable[ScanFacts], marks: Mapping[str, bytes]
) -> DataCheck:
    """Bring the facts of all scans together.

    Args:
        data: The data set.
        scans: Of each case.
        marks: What tells patients apart, by case.
    """
    scans = list(scans)
    unreadable: dict[str, list[str]] = {}
    for scan in scans:
        if scan.problem is not None:
            unreadable.setdefault(scan.problem, []).append(scan.id)
    digests = _groups({s.id: s.digest for s in scans if s.digest})
    leaks = tuple(_leaks(scans, digests, marks))
    outside = sum(scan.outside for scan in scans)
    damaged = any(_DAMAGE & set(scan.notices) for scan in scans)
    return DataCheck(
        layout=data.layout,
        ok=not (data.gaps or unreadable or digests or leaks or outside or damaged),
        cases=len(data),
        patients=len({case.patient for case in data.cases}),
        readable=sum(scan.problem is None for scan in scans),
        folds=_count(case.fold for case in data.cases if case.fold),
        labels=_labels(data.cases),
        nodules=sum(scan.nodules or 0 for scan in scans),
        outside=outside,
        gaps=data.gaps,
        unreadable=unreadable,
        duplicates=tuple(digests),
        leaks=leaks,
        slices=spread(scan.slices for scan in scans),
        slice_spacing_mm=spread(scan.slice_spacing_mm for scan in scans),
        slice_thickness_mm=spread(scan.slice_thickness_mm for scan in scans),
        pixel_mm=spread(scan.pixel_mm for scan in scans),
        kernels=_count(s.kernel or "unknown" for s in scans if not s.problem),
        notices=_count(code for scan in scans for code in set(scan.notices)),
    )


def spread(values: Iterable[float | None]) -> Spread:
    """Say how numbers spread; None is left out.

    Example:
        >>> spread([2.5, None, 1.0, 5.0])
        Spread(n=3, least=1.0, median=2.5, most=5.0)
    """
    known = np.array([v for v in values if v is not None], np.float64)
    if not known.size:
        return Spread(0, None, None, None)
    low, middle, high = (round(float(f(known)), 4) for f in (np.min, np.median, np.max))
    return Spread(len(known), low, middle, high)


def digest_of(volume: CTVolume) -> str:
    """Digest the voxels of a scan: the same for the same HU in any format."""
    made = hashlib.blake2b(str(volume.hu.shape).encode(), digest_size=16)
    made.update(np.ascontiguousarray(volume.hu, dtype="<i2").data)
    return made.hexdigest()


def _facts(case: Case, volume: CTVolume, readings: Mapping[str, Reading]) -> ScanFacts:
    grid, made = volume.grid, volume.acquisition
    known = case.annotations
    reading = readings.get(case.series_uid or case.id)
    if known is None and reading is not None:
        known = reading.annotations(grid)
    inside = [bool(grid.contains(a.center_mm)) for a in known or ()]
    slice_mm, _, column_mm = grid.spacing_mm
    return ScanFacts(
        id=case.id,
        patient=case.patient,
        fold=case.fold,
        slices=grid.shape[0],
        slice_spacing_mm=round(slice_mm, 4),
        slice_thickness_mm=made.slice_thickness_mm,
        pixel_mm=round(column_mm, 4),
        kernel=made.kernel,
        digest=digest_of(volume),
        nodules=None if known is None else len(known),
        outside=len(inside) - sum(inside),
        notices=tuple(notice.code for notice in volume.notices),
    )


def _mark_of(volume: CTVolume) -> bytes | None:
    mark = volume.patient
    return mark.digest if mark is not None and mark.certain else None


def _label(case: Case) -> str:
    if case.cancer is None and case.event is None:
        return "unknown"
    return "cancer" if case.cancer or case.event else "none"


def _labels(cases: Iterable[Case]) -> dict[str, int]:
    """Count patients by label, not scans."""
    of: dict[str, str] = {}
    for case in cases:
        known = of.get(case.patient, _LABELS[-1])
        of[case.patient] = min(known, _label(case), key=_LABELS.index)
    return dict(sorted(Counter(of.values()).items()))


def _groups(keys: Mapping[str, object]) -> list[tuple[str, ...]]:
    """Bring together the ids that share a key."""
    groups: dict[object, list[str]] = {}
    for name, key in keys.items():
        groups.setdefault(key, []).append(name)
    return [tuple(names) for names in groups.values() if len(names) > 1]


def _leaks(
    scans: list[ScanFacts],
    duplicates: list[tuple[str, ...]],
    marks: Mapping[str, bytes],
) -> Iterator[Leak]:
    """Find what lies on two sides of a split, or under two names."""
    by_id = {scan.id: scan for scan in scans}
    by_patient: dict[str, list[ScanFacts]] = {}
    for scan in scans:
        by_patient.setdefault(scan.patient, []).append(scan)
    for group in by_patient.values():
        if len({scan.fold for scan in group}) > 1:
            yield Leak("patient-in-two-folds", tuple(scan.id for scan in group))
    for names in duplicates:
        if len({by_id[name].fold for name in names}) > 1:
            yield Leak("pixels-in-two-folds", names)
        if len({by_id[name].patient for name in names}) > 1:
            yield Leak("pixels-of-two-patients", names)
    for names in _groups(marks):
        if len({by_id[name].patient for name in names}) > 1:
            yield Leak("identifier-of-two-patients", names)


def _count(values: Iterable[str]) -> dict[str, int]:
    """Count, the most frequent first."""
    counted = Counter(values)
    return dict(sorted(counted.items(), key=lambda item: (-item[1], item[0])))
