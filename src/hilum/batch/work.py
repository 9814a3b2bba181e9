"""One scan from its source to its folder, in the process that holds the networks.

`load` reads, `finish` assesses and writes; so that the next scan can be read by
another thread while the networks look at this one. Whatever is wrong with a scan is
an outcome; what is wrong with the installation or the disk is raised, for it would be
wrong with every scan.
"""

from __future__ import annotations

import os
import re
import resource
import sys
import traceback
import zipfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import perf_counter

from hilum._names import printable
from hilum.batch.order import Failure, Kind, Order, Outcome, Row, Scan, row_of
from hilum.compare import PairOptions, compare_volumes
from hilum.compare.documents import write_comparison
from hilum.errors import HilumError, InputError, MissingDependencyError, WeightsError
from hilum.findings import Assessment
from hilum.formats.atomic import replacing_folder, writing
from hilum.pipeline import Pipeline, write_candidates
from hilum.report.documents import write_documents
from hilum.sources import local_source, read_ct
from hilum.volume import CTVolume

Say = Callable[[str], None]

CANDIDATES = "candidates.csv"
_DATA_FILE = re.compile(r"voxels in ([`']).*?\1")  # as a MetaImage header names it
_BYTES = 1 if sys.platform == "darwin" else 1024  # what ru_maxrss counts in


@dataclass(slots=True)
class Loaded:
    """A scan that was read, or why it was not.

    Attributes:
        order: What is to be done with it.
        source: Where it lies on this machine; None: it is not here.
        volume: The scan.
        prior: The earlier one, where there is one.
        seconds: That reading took.
        error: What went wrong.
    """

    order: Order
    source: Path | None = None
    volume: CTVolume | None = None
    prior: CTVolume | None = None
    seconds: float = 0.0
    error: Exception | None = None
    _stack: ExitStack = field(default_factory=ExitStack)

    def close(self) -> None:
        """Remove what was fetched from a server."""
        self._stack.close()


def load(order: Order) -> Loaded:
    """Read the scan of an order, and its prior; never raises.

    Args:
        order: Names the scan.
    """
    loaded, scan = Loaded(order), order.scan
    start = perf_counter()
    try:
        source = loaded._stack.enter_context(local_source(scan.source))
        loaded.source = source
        loaded.volume = read_ct(source, series_uid=scan.series_uid)
        if scan.prior is not None:
            loaded.prior = _read_prior(scan.prior)
    except Exception as error:  # noqa: BLE001  told where the scan is due
        loaded.error = error
    loaded.seconds = round(perf_counter() - start, 3)
    return loaded


def _read_prior(prior: str) -> CTVolume:
    """Read the earlier scan; its errors say that it is that one."""
    try:
        return read_ct(prior)
    except InputError as error:
        raise InputError(f"The prior cannot be used. {error}") from error


class Assessor:
    """What a worker runs: the pipeline, with its networks.

    Args:
        settings: A TOML file, or "".

    Raises:
        InputError: The settings cannot be used.
        WeightsError: The weights are absent or damaged.
    """

    def __init__(self, settings: str) -> None:
        self._pipeline = Pipeline.from_file(Path(settings)) if settings else Pipeline()
        self._pipeline.check()

    def load(self, order: Order) -> Loaded:
        """Read the scan of an order; in any thread."""
        return load(order)

    def finish(self, loaded: Loaded, say: Say) -> Outcome:
        """Assess a scan that was read, and write its folder.

        Takes and raises what `finish` does.
        """
        return finish(loaded, self._pipeline, say)


def finish(loaded: Loaded, pipeline: Pipeline, say: Say) -> Outcome:
    """Assess a scan that was read, and write its folder.

    Args:
        loaded: The scan.
        pipeline: With its networks.
        say: Told of each stage as it starts.

    Raises:
        InputError: The folder cannot be written.
        MissingDependencyError: A document needs what is not installed.
        WeightsError: The weights are absent, damaged or of another task.
    """
    stage = _Stage(say)
    try:
        if loaded.error is not None:
            raise loaded.error
        row, seconds = _assess(loaded, pipeline, stage)
    except Exception as error:
        if isinstance(error, MissingDependencyError | WeightsError) or (
            stage.name == "write" and isinstance(error.__cause__ or error, OSError)
        ):
            raise
        failure = _failure(loaded, stage.name, error)
        return Outcome(failure=failure, seconds={"read": loaded.seconds})
    finally:
        loaded.close()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _BYTES
    return Outcome(row=row, seconds=seconds, peak_gb=round(peak / 1e9, 3))


class _Stage:
    """Passes the stages on, and remembers the last."""

    def __init__(self, say: Say) -> None:
        self.name = "read"
        self._say = say

    def __call__(self, stage: str) -> None:
        self.name = stage
        self._say(stage)


def _assess(
    loaded: Loaded, pipeline: Pipeline, stage: _Stage
) -> tuple[Row, dict[str, float]]:
    order, volume = loaded.order, loaded.volume
    if volume is None:
        raise InputError("The scan was not read.")
    pair = None
    if loaded.prior is not None:
        pair = compare_volumes(
            loaded.prior,
            volume,
            pipeline=pipeline,
            options=PairOptions(),
            facts=order.scan.facts,
            force=order.force,
            progress=stage,
        )
        result, outlines, candidates = pair.current, pair.outlines, pair.candidates
    else:
        reading = pipeline.read(
            volume, facts=order.scan.facts, force=order.force, progress=stage
        )
        result, outlines = reading.assessment, reading.outlines
        candidates = reading.candidates
    result = _with_reading(result, loaded.seconds)
    stage("write")
    start, out = perf_counter(), Path(order.out)
    with writing(out), replacing_folder(out) as folder:
        write_documents(
            result,
            volume,
            folder,
            formats=order.formats,
            outlines=outlines,
            source=loaded.source,
        )
        write_candidates(candidates, result.series_uid, folder / CANDIDATES)
        if pair is not None:
            write_comparison(replace(pair, current=result), folder)
    seconds = dict(result.provenance.timings_s)
    seconds["write"] = round(perf_counter() - start, 3)
    return row_of(order.number, result), seconds


def _with_reading(result: Assessment, seconds: float) -> Assessment:
    run = result.provenance
    run = replace(run, timings_s={"read": seconds, **run.timings_s})
    return replace(result, provenance=run)


def _failure(loaded: Loaded, stage: str, error: Exception) -> Failure:
    """Say what went wrong with a scan, without the name of its folder or files."""
    kind: Kind = "input" if isinstance(error, HilumError) else "bug"
    text = str(error)
    if isinstance(error, MemoryError):
        kind, text = "memory", "The scan needs more memory than there is."
    elif isinstance(error, OSError) and not isinstance(error, HilumError):
        kind, text = "input", f"It cannot be read: {error.strerror or 'I/O error'}."
    elif kind == "bug":
        text = f"{type(error).__name__} in {_place(error)}."
    order = loaded.order
    reason = without_names(text, order.scan, loaded.source)
    return Failure(scan=order.number, kind=kind, stage=stage, reason=reason)


def _place(error: Exception) -> str:
    """Name the line of ours in which an error came up."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [f for f in frames if "hilum" in Path(f.filename).parts]
    if not frames:
        return "hilum"
    last = (ours or frames)[-1]
    return f"{Path(last.filename).name}, line {last.lineno}"


def without_names(text: str, scan: Scan, source: Path | None = None) -> str:
    """Take the names of the folders and files of a scan out of a message.

    They are often the names of people.

    Args:
        text: A message, names in it between backticks.
        scan: What it is about.
        source: Where it lies on this machine: files in it have names too.

    Example:
        >>> scan = Scan(name="DOE^JANE", source="/cohort/DOE^JANE")
        >>> without_names("There is nothing at `DOE^JANE`. Check the path.", scan)
        'There is nothing at `the scan`. Check the path.'
    """
    for place, word in ((scan.source, "the scan"), (scan.prior, "the prior")):
        for name in () if place is None else {place, *Path(place).parts[1:]}:
            text = text.replace(f"`{printable(name)}`", f"`{word}`")
    for folder in (source, scan.prior):
        for name in () if folder is None else _names_in(Path(folder)):
            text = text.replace(f"`{printable(name)}`", "`a file of it`")
    return _DATA_FILE.sub("voxels in `a file of it`", text)


def _names_in(place: Path) -> Iterator[str]:
    """Name the files of a scan that is a folder or a zip."""
    for _, folders, files in os.walk(place):
        yield from (*folders, *files)
    if place.suffix.lower() == ".zip" and place.is_file():  # a pipe would hang
        with suppress(OSError, ValueError, zipfile.BadZipFile):
            with zipfile.ZipFile(place) as file:
                names = file.namelist()
            yield from (part for name in names for part in Path(name).parts)
