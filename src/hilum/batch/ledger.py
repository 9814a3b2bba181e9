"""The folder of a run: what is done stands in it, whatever happens next.

    batch.json      how the run is done; another way needs another folder
    sources.csv     which scan has which number; the only file that names sources
    summary.csv     a line for each scan that was assessed
    failures.csv    a line for each that was not: stage and reason
    timings.csv     seconds of each stage of each scan
    scans/000001/   what `hilum assess` writes, and candidates.csv
    luna16.csv      all candidates, and submission.csv the patients; at the end

A line is appended by one write as soon as a scan is finished, and the tables are put
in the order of the numbers at the end. A line cut short by a crash is taken away at
the next start; a scan whose folder is there and whose line is not is not done again.
"""

from __future__ import annotations

import csv
import io
import json
import os
import re
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from hilum._hold import hold
from hilum._names import name_of
from hilum._version import __version__
from hilum.batch.order import Failure, Outcome, Row, Scan, row_of
from hilum.errors import InputError
from hilum.formats.atomic import replacing, writing
from hilum.records import Record
from hilum.report.documents import JSON_FILE, prepare_folder, read_assessment
from hilum.runtime.weights import digest_of, weights_folder

SUMMARY, FAILURES, TIMINGS = "summary.csv", "failures.csv", "timings.csv"
SOURCES, RUN, SCANS = "sources.csv", "batch.json", "scans"

STAGES = (
    "wait",
    "read",
    "lungs",
    "scope",
    "nodules",
    "measure",
    "malignancy",
    "patient",
    "prior",
    "registration",
    "compare",
    "write",
)
_COLUMNS = {
    SUMMARY: tuple(f.name for f in fields(Row)),
    FAILURES: tuple(f.name for f in fields(Failure)),
    TIMINGS: ("scan", *STAGES, "peak_gb"),
}
_SOURCE_COLUMNS = ("scan", "id", "source", "series_uid", "path", "prior", "facts")


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner(Record):
    """How a run is done; the same for all of its scans.

    Attributes:
        version: Of hilum.
        formats: Documents.
        force: Whether scans out of scope get a probability.
        settings_sha256: Of the settings file; "" without one.
        weights_sha256: Of the index of the shipped weights.
    """

    version: str
    formats: tuple[str, ...]
    force: bool
    settings_sha256: str
    weights_sha256: str


def manner_of(formats: tuple[str, ...], force: bool, settings: Path | None) -> Manner:
    """Say how a run is done.

    Args:
        formats: Documents.
        force: Whether scans out of scope get a probability.
        settings: A TOML file, or None.
    """
    return Manner(
        version=__version__,
        formats=formats,
        force=force,
        settings_sha256=digest_of(settings) if settings else "",
        weights_sha256=digest_of(weights_folder() / "index.json"),
    )


class Ledger:
    """The tables of a run, open for writing; one process holds them at a time.

    Args:
        out: Folder of the run; made when it is not there.
        manner: How the run is done.

    Raises:
        InputError: The folder cannot be written to, belongs to a run that was done
            another way, or another process is at work in it.
    """

    def __init__(self, out: Path, manner: Manner) -> None:
        self.out = prepare_folder(out)
        self._lock = _lock(self.out)
        try:
            with writing(self.out):
                (self.out / SCANS).mkdir(exist_ok=True)
            self._check_manner(manner)
            _clear_parts(self.out / SCANS)
            self.numbers = self._read_sources()
            self.failed = {int(row["scan"]) for row in self._mend(FAILURES)}
            self.done = {int(row["scan"]) for row in self._mend(SUMMARY)}
            self._mend(TIMINGS)
        except BaseException:
            self._lock.close()
            raise

    def __enter__(self) -> Self:
        """Use it in a `with` block."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Let others have the folder."""
        self._lock.close()

    def folder(self, number: int) -> Path:
        """Give the folder of a scan."""
        return self.out / SCANS / f"{number:06d}"

    def number(self, scans: Sequence[Scan]) -> list[int]:
        """Give each scan of the cohort its number; known ones keep theirs.

        Args:
            scans: In the order of the cohort.

        Raises:
            InputError: A scan has another path, prior or facts than it had.
        """
        numbers, fresh = [], []
        for scan in scans:
            known = self.numbers.get(_key(scan))
            if known is None:
                known = (len(self.numbers) + 1, _digest(scan))
                self.numbers[_key(scan)] = known
                fresh.append(_source_row(known[0], scan))
            elif known[1] != _digest(scan):
                raise InputError(
                    f"Scan {known[0]} has another path, prior or facts than when this "
                    "run began. Name another folder for the results."
                )
            numbers.append(known[0])
        self._append(SOURCES, fresh)
        return numbers

    def recover(self, numbers: Iterable[int]) -> int:
        """Write the lines of scans whose folder is there and whose line is not.

        Args:
            numbers: Of the scans of the cohort.

        Returns:
            How many lines were written.
        """
        count = 0
        for number in numbers:
            path = self.folder(number) / JSON_FILE
            if number in self.done or not path.is_file():
                continue
            try:
                result = read_assessment(path)
            except InputError:  # the machine crashed: done again
                continue
            seconds = dict(result.provenance.timings_s)
            self.add(number, Outcome(row=row_of(number, result), seconds=seconds))
            count += 1
        return count

    def forget_failures(self, numbers: Iterable[int]) -> None:
        """Let scans that failed be tried again; those of other cohorts stay."""
        self.failed.difference_update(numbers)
        rows = self._mend(FAILURES)
        self._replace(FAILURES, (r for r in rows if int(r["scan"]) in self.failed))

    def add(self, number: int, outcome: Outcome) -> None:
        """Write what came of a scan.

        Args:
            number: Of the scan.
            outcome: What came of it.
        """
        seconds: dict[str, Any] = dict(outcome.seconds)
        timing = [number, *(seconds.get(s, "") for s in STAGES), outcome.peak_gb]
        self._append(TIMINGS, [timing])
        if outcome.row is not None:
            self._append(SUMMARY, [_cells(outcome.row)])
            self.done.add(number)
            self.failed.discard(number)  # ended by a limit after all was written
        elif outcome.failure is not None:
            self._append(FAILURES, [_cells(outcome.failure)])
            self.failed.add(number)

    def sort(self) -> None:
        """Put all tables in order, each scan once; workers are at their end."""
        _clear_parts(self.out / SCANS)
        for name in (SUMMARY, FAILURES, TIMINGS):
            rows = {int(row["scan"]): row for row in self._mend(name)}
            if name == FAILURES:
                rows = {n: row for n, row in rows.items() if n not in self.done}
            self._replace(name, (rows[n] for n in sorted(rows)))

    def rows(self) -> list[dict[str, str]]:
        """Read the summary."""
        return self._mend(SUMMARY)

    def _check_manner(self, manner: Manner) -> None:
        path = self.out / RUN
        if not path.exists():
            if any((self.out / SCANS).iterdir()):
                raise InputError(
                    f"`{name_of(self.out)}` has scans of something that is no run of "
                    "`hilum batch`. Name another folder."
                )
            text = json.dumps(manner.to_json(), indent=2) + "\n"
            with writing(path), replacing(path) as file:
                file.write(text.encode())
            return
        try:
            known = Manner.from_json(json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError) as error:
            raise InputError(
                f"`{RUN}` of this folder cannot be read ({type(error).__name__}). "
                "Name another folder for the results."
            ) from error
        other = [
            field.name
            for field in fields(Manner)
            if getattr(known, field.name) != getattr(manner, field.name)
        ]
        if other:
            raise InputError(
                f"`{name_of(self.out)}` holds a run with another {', '.join(other)}. "
                "Name another folder, so that one table holds one kind of result."
            )

    def _read_sources(self) -> dict[tuple[str, str], tuple[int, str]]:
        """Read which source has which number, and a digest of the rest of it."""
        found = {}
        for row in self._mend(SOURCES, _SOURCE_COLUMNS):
            rest = json.dumps([row["path"], row["prior"], row["facts"]])
            key = (row["source"], row["series_uid"])
            found[key] = (int(row["scan"]), sha256(rest.encode()).hexdigest())
        return found

    def _mend(
        self, name: str, columns: tuple[str, ...] | None = None
    ) -> list[dict[str, str]]:
        """Read a table; take away what a crash left of a last line."""
        path, columns = self.out / name, columns or _COLUMNS[name]
        with writing(path):
            if not path.exists():
                self._replace(name, (), columns)
            text = path.read_bytes()
            whole = text[: text.rfind(b"\n") + 1]
            if whole != text:
                os.truncate(path, len(whole))
        is_ours = whole.startswith(",".join(columns).encode())
        rows = _rows_in(whole) if is_ours else None
        if rows is None:
            raise InputError(
                f"`{name}` of this folder is not as `hilum batch` wrote it. Name "
                "another folder, or put the table back."
            )
        return rows

    def _append(self, name: str, rows: Sequence[Sequence[Any]]) -> None:
        """Add lines by one write."""
        if not rows:
            return
        path = self.out / name
        with writing(path):
            file = os.open(path, os.O_WRONLY | os.O_APPEND)
            try:
                _write_all(file, _text(rows))
                if name in (SOURCES, FAILURES):  # the others can be had from `scans`
                    os.fsync(file)
            finally:
                os.close(file)

    def _replace(
        self,
        name: str,
        rows: Iterable[dict[str, str]],
        columns: tuple[str, ...] | None = None,
    ) -> None:
        columns = columns or _COLUMNS[name]
        lines = [columns, *([row[c] for c in columns] for row in rows)]
        path = self.out / name
        with writing(path), replacing(path) as file:
            file.write(_text(lines))


def _lock(out: Path) -> IO[str]:
    """Hold the folder until the process ends, however it ends."""
    with writing(out):
        file = hold(out / ".lock")
    if file is None:
        raise InputError(
            f"Another run is at work in `{name_of(out)}`. Wait for its end, or name "
            "another folder."
        )
    return file


def _clear_parts(folder: Path) -> None:
    """Remove what workers left that were stopped while they wrote."""
    for entry in os.scandir(folder):
        if entry.name.startswith("."):
            shutil.rmtree(entry.path, ignore_errors=True)


def _key(scan: Scan) -> tuple[str, str]:
    return _in_line(scan.name), _in_line(scan.series_uid or "")


def _source_row(number: int, scan: Scan) -> list[Any]:
    facts = json.dumps({k: v for k, v in scan.facts.to_json().items() if v is not None})
    path = scan.source if "://" in scan.source else os.path.normpath(scan.source)
    names = (scan.id, scan.name, scan.series_uid or "", path, scan.prior or "")
    return [number, *map(_in_line, names), facts]


def _digest(scan: Scan) -> str:
    rest = json.dumps(_source_row(0, scan)[-3:])
    return sha256(rest.encode()).hexdigest()


def _in_line(name: str) -> str:
    """Keep a name on one line, whatever characters the file system allows in it."""
    return re.sub(r"[\r\n\0]", lambda found: f"\\x{ord(found[0]):02x}", name)


def _cells(record: Record) -> list[Any]:
    values = (getattr(record, f.name) for f in fields(record))  # type: ignore[arg-type]
    return ["" if v is None else _cell(v) for v in values]


def _cell(value: Any) -> Any:
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, str):
        return " ".join(value.split())
    return f"{value:.6g}" if isinstance(value, float) else value


def _rows_in(table: bytes) -> list[dict[str, str]] | None:
    """Read the rows of a table; None where it is not as it was written."""
    text = io.StringIO(table.decode("utf-8", "surrogateescape"))
    try:
        rows = list(csv.DictReader(text))
    except csv.Error:
        return None
    is_whole = all(
        None not in row and None not in row.values() and row["scan"].isdecimal()
        for row in rows
    )
    return rows if is_whole else None


def _write_all(file: int, data: bytes) -> None:
    """Write all: a disk that fills up takes a part, and complains the next time."""
    while data:
        data = data[os.write(file, data) :]


def _text(rows: Iterable[Sequence[Any]]) -> bytes:
    table = io.StringIO()
    csv.writer(table, lineterminator="\n").writerows(rows)
    return table.getvalue().encode("utf-8", "surrogateescape")
