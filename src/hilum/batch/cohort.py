"""The scans of a cohort: of a folder, a table, or a query to a DICOMweb server.

Nothing is decoded here. Of a folder that is called after its study or series two files
are looked at; of another one each header is read, about a millisecond a file, for
slices of several studies may lie in it. The order is that of names, or of lines.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from hilum._names import name_of
from hilum.batch.order import Scan
from hilum.batch.table import read_cohort_table
from hilum.datasets import open_dataset
from hilum.datasets.tables import columns_of
from hilum.datasets.walking import bare_name, find_scans
from hilum.dicom import choose_series, find_studies
from hilum.dicom.glance import glance
from hilum.dicom.looks import is_junk
from hilum.errors import InputError

_SUBSET = re.compile(r"subset\d+$")  # of LUNA16, whose lungs are .mhd too
_ADDRESS = re.compile(r"dicomwebs?:/")
_TRIED = 5
_THREADS = 8


def find_cohort(cohort: str | Path) -> tuple[Scan, ...]:
    """Find the scans of a cohort.

    Args:
        cohort: One of
            a folder: a data set that `hilum.datasets.open_dataset` knows, such as
            LUNA16 or DSB2017, or else any folder: each study in it is a scan, and
            each .nii, .nii.gz, .mha, .mhd, .npz and .zip too;
            a CSV with a column `source`, see `read_cohort_table`, or one that
            `open_dataset` knows;
            `dicomweb(s)://HOST/PATH[?QUERY]`: the studies with CT of a server.

    Returns:
        In the order of names, of lines, or of the server.

    Raises:
        InputError: There is no such thing, no scan in it, or one twice.
        UnreachableError: The DICOMweb server cannot be reached.
    """
    if _ADDRESS.match(str(cohort)):
        found = tuple(_on_server(str(cohort)))
        where = "The DICOMweb server"
    else:
        path = Path(cohort)
        try:
            is_folder, is_file = path.is_dir(), path.is_file()
        except OSError as error:
            raise InputError(
                f"Cannot open `{name_of(path)}`: {error.strerror}. Check the path."
            ) from error
        if not is_folder and not is_file:
            raise InputError(
                f"There is nothing at `{name_of(path)}`. Give a folder of scans, a CSV "
                "with a column `source`, or dicomweb(s)://HOST/PATH?QUERY."
            )
        if is_file and "source" in columns_of(path):
            found = read_cohort_table(path)
        else:
            found = _in_data_set(path) or tuple(_in_folder(path))
        where = f"`{name_of(path)}`"
    if not found:
        raise InputError(
            f"{where} has no scan. Scans are DICOM series, zips, and .nii, .nii.gz, "
            ".mha, .mhd and .npz files."
        )
    if len({(scan.name, scan.series_uid) for scan in found}) < len(found):
        raise InputError(f"{where} names a scan twice. Take one out.")
    return found


def _on_server(text: str) -> Iterator[Scan]:
    from hilum.dicomweb import (  # noqa: PLC0415  seldom used
        Server,
        parse_address,
        read_token,
    )
    from hilum.dicomweb.query import find_studies_on  # noqa: PLC0415

    start, _, query = text.partition("?")
    start = start.rstrip("/").removesuffix("/studies")
    address = parse_address(start, whole_server=True)
    scheme = "dicomwebs" if address.secure else "dicomweb"
    host = f"[{address.host}]" if ":" in address.host else address.host
    root = f"{scheme}://{host}:{address.port}{address.root}"
    for uid in find_studies_on(Server(address, read_token()), query):
        source = f"{root}/studies/{uid}"
        yield Scan(name=source, source=source, id=uid)


@dataclass(frozen=True, slots=True)
class _Leaf:
    """A folder with DICOM files in it.

    Attributes:
        path: The folder.
        studies: In it; "" where a file names none.
    """

    path: Path
    studies: frozenset[str]


def _in_data_set(path: Path) -> tuple[Scan, ...]:
    """List a data set of a layout that has a name; nothing where it has none.

    What its table names and is not there is listed too: it will be a failure.
    """
    try:
        known = open_dataset(path)
    except InputError:
        if path.is_dir() and any(find_scans(path)):
            return ()
        raise
    if known.layout == "folder":
        return ()
    root = known.folder.absolute()
    return tuple(
        Scan(
            name=Path(os.path.relpath(case.source.absolute(), root)).as_posix(),
            source=str(case.source.absolute()),
            id=case.patient,
            series_uid=case.series_uid if case.source.is_dir() else None,
        )
        for case in known.lines()
    )


def _in_folder(root: Path) -> Iterator[Scan]:
    """Find the scans of any folder, by name."""
    found: list[tuple[Path, list[Scan]]] = []
    leaves: list[_Leaf] = []
    starts = sorted(p for p in root.iterdir() if _SUBSET.match(p.name)) or [root]
    places = [path for start in starts for path in find_scans(start)]
    folders = [path for path in places if path.is_dir()]
    files = [path for path in places if not path.is_dir()]
    found += [(p, [_scan(root, p)]) for p in (*files, *sorted(root.rglob("*.zip")))]
    with ThreadPoolExecutor(_THREADS) as pool:
        leaves += map(_Leaf, folders, pool.map(_studies_in, folders))
    found += [(path, _scans_of(root, path, mixed)) for path, mixed in _studies(leaves)]
    for _, scans in sorted(found, key=lambda item: str(item[0])):
        yield from scans


def _studies_in(folder: Path) -> frozenset[str]:
    """Give the studies of a folder: by its name and two headers, or by all."""
    with os.scandir(folder) as entries:
        names = sorted(e.name for e in entries if e.is_file() and not is_junk(e.name))
    files = [folder / name for name in names if not name.startswith(".")]
    ends = (files[:_TRIED], files[::-1][:_TRIED])
    found = [header for some in ends if (header := next(glance(some), None))]
    studies = {header.study_uid for header in found}
    named = {folder.name, folder.parent.name} - {""}
    if len(studies) == 1 and not any(
        {header.study_uid, header.series_uid} & named for header in found
    ):
        others = (header.study_uid for header in glance(files))
        studies |= set(islice((uid for uid in others if uid not in studies), 1))
    return frozenset(studies)


def _studies(leaves: list[_Leaf]) -> Iterator[tuple[Path, bool]]:
    """Join the folders of one study, where nothing else lies among them.

    Gives each place, and whether it holds several studies in one folder.
    """
    within: dict[Path, set[str]] = {}
    places: dict[frozenset[str], list[Path]] = {}
    for leaf in leaves:
        places.setdefault(leaf.studies, []).append(leaf.path)
        for path in (leaf.path, *leaf.path.parents):
            within.setdefault(path, set()).update(leaf.studies or {str(leaf.path)})
    given: set[Path] = set()
    for leaf in leaves:
        place = leaf.path
        if len(leaf.studies) == 1 and "" not in leaf.studies:
            same = places[leaf.studies]
            common = Path(os.path.commonpath(same)) if len(same) > 1 else place
            if within[common] == set(leaf.studies):
                place = common
        if place not in given:
            given.add(place)
            yield place, len(leaf.studies) > 1


def _scans_of(root: Path, path: Path, mixed: bool) -> list[Scan]:
    """Give the scan of a folder; of one that mixes studies, a scan a study."""
    if not mixed:
        return [_scan(root, path)]
    scans = []
    for study in find_studies(path).studies:
        try:
            uid = choose_series((study,))[0].uid
        except InputError:  # to be told where it is due
            uid = study.series[0].uid
        scans.append(_scan(root, path, uid))
    return scans


def _scan(root: Path, path: Path, series_uid: str | None = None) -> Scan:
    """Make the scan at a place; its patient is the first folder or file on the way."""
    name = path.relative_to(root)
    patient = name.parts[0] if name.parts else root.absolute().name
    if len(name.parts) == 1 and not path.is_dir():
        patient = bare_name(patient)
    return Scan(
        name=name.as_posix(),
        source=str(path.absolute()),
        id=patient,
        series_uid=series_uid,
    )
