"""A training run whose folder holds everything that reproduces it.

run.toml    every setting, defaults too: `hilum train WHAT DATA OUT --settings` takes
it
run.json    what it ran on: the data set and its digests, what of it was left out and
            why, versions, the command
data.csv    the scans or nodules, their patients and folds; of scans the folds of the
            data set's own, where it has any: others follow from the seed
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import logging
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

import keras

from hilum._names import name_of
from hilum._version import __version__
from hilum.datasets import DataSet, Gap, folds_by_patient, open_dataset, read_nodules
from hilum.datasets.left_out import LeftOut, Told
from hilum.datasets.lidc import digest_readers
from hilum.errors import InputError
from hilum.formats.atomic import replacing, writing
from hilum.runtime.weights import digest_of
from hilum.settings import fill, read_settings, to_table, to_toml
from hilum.training.detection import DetectionSettings, train_nodules
from hilum.training.malignancy import MalignancySettings, train_malignancy
from hilum.training.malignancy_report import report_malignancy
from hilum.training.nodule_data import nodules_of
from hilum.training.progress import EventLog
from hilum.training.segmentation import SegmentationSettings, train_segmentation
from hilum.training.sharing import shared
from hilum.training.typical import write_typical

_LOG = logging.getLogger(__name__)
_LOG.addHandler(logging.NullHandler())

What = Literal["malignancy", "nodules", "segmentation"]
SETTINGS: dict[str, type] = {
    "malignancy": MalignancySettings,
    "nodules": DetectionSettings,
    "segmentation": SegmentationSettings,
}
_LIST = "list of scans"
_READERS = "reader files"
_LEARNED = (
    _LIST,
    _READERS,
    "annotations.csv",
    "annotations_excluded.csv",
    "candidates_V2.csv",
    "nodules.csv",
)
_DESCRIPTION = {"run.toml", "run.json", "data.csv"}
_PREPARED = {"scenes", "nodules"}
"""What a run prepares first: it follows from the data, whatever the settings."""
_Row = tuple[str, str, str]
"""Of data.csv."""

_PACKAGES = ("keras", "tensorflow-cpu", "tensorflow", "numpy", "scipy")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSettings:
    """How to compute, which does not belong to what is learned.

    Attributes:
        devices: How many share each batch; see `hilum.training.sharing`.
        precision: "float32", or "mixed_bfloat16" where that is faster.
        tensorboard: Whether to write events for TensorBoard.
    """

    devices: int = 1
    precision: str = "float32"
    tensorboard: bool = False


def read_run_settings(what: str, path: Path | None) -> tuple[Any, RunSettings]:
    """Read the settings of a run.

    Args:
        what: "malignancy", "nodules" or "segmentation".
        path: A TOML file with a table of that name, and perhaps one `run`; None for
            the defaults.

    Raises:
        InputError: The file cannot be read, or has another table or key.
    """
    tables = read_settings(path) if path else {}
    unknown = set(tables) - {what, "run"}
    if unknown:
        raise InputError(
            f"Unknown table [{min(unknown)}] in the settings file; expected [{what}] "
            "and perhaps [run]."
        )
    settings: Any = fill(SETTINGS[what], tables.get(what, {}), table=what)
    return settings, fill(RunSettings, tables.get("run", {}), table="run")


def train(
    what: str,
    data: Path,
    out: Path,
    *,
    settings: Any = None,
    run: RunSettings | None = None,
    fold: int | None = None,
    command: Sequence[str] = (),
) -> dict[str, Any]:
    """Train networks, and keep with them what reproduces the run.

    What the data set lacks, and each scan that is left out, is logged as a warning and
    stands in run.json.

    Args:
        what: "malignancy", "nodules" or "segmentation".
        data: What `train_malignancy` and so on take.
        out: Folder of the run; an interrupted one goes on.
        settings: Of `SETTINGS[what]`; None for the defaults.
        run: How to compute.
        fold: Train this fold alone.
        command: What was typed, for run.json.

    Returns:
        The figures.

    Raises:
        InputError: The data cannot be used, or `out` holds a run of other settings or
            on other data.
    """
    settings = settings if settings is not None else SETTINGS[what]()
    run = run or RunSettings()
    with shared(run.devices, precision=run.precision):
        _check_folder(what, out, settings, run)
        left_out: list[LeftOut] = []

        def tell(item: LeftOut) -> None:
            left_out.append(item)
            _LOG.warning("%s", item)
            _note(out, left_out)

        for gap in _describe(what, data, out, settings, command, told=tell):
            _LOG.warning("In the data set: %s", gap.message)
        _note(out, left_out)
        _write_settings(what, out, settings, run)
        callbacks = [EventLog()] if run.tensorboard else []
        return _train(what, data, out, settings, callbacks, fold=fold, told=tell)


def _train(
    what: str,
    data: Path,
    out: Path,
    settings: Any,
    callbacks: list[keras.callbacks.Callback],
    *,
    fold: int | None,
    told: Told,
) -> dict[str, Any]:
    if what == "segmentation":
        return train_segmentation(
            data, out, settings=settings, callbacks=callbacks, fold=fold
        )
    if what == "nodules":
        return train_nodules(
            data, out, settings=settings, callbacks=callbacks, fold=fold, told=told
        )
    predictions = train_malignancy(
        data, out, settings=settings, callbacks=callbacks, fold=fold
    )
    if fold is not None:
        return {"fold": fold, "nodules": len(predictions.cases)}
    figures = report_malignancy(predictions, out)
    write_typical(nodules_of(data, out), out / "malignancy.keras")
    return {mask: figure.to_json() for mask, figure in figures.items()}


def _check_folder(what: str, out: Path, settings: Any, run: RunSettings) -> None:
    """Make the folder, or refuse one where other settings were trained with."""
    path = out / "run.toml"
    with writing(path):
        out.mkdir(parents=True, exist_ok=True)
    if path.exists():
        begun, how = read_run_settings(what, path)
        trained = {p.name for p in out.iterdir()} - _DESCRIPTION - _PREPARED
        is_other = begun != settings or how.precision != run.precision
        if is_other and trained:
            raise InputError(
                f"`{name_of(out)}` holds a run with other settings, in run.toml. "
                "Choose another folder, or delete that one."
            )


def _write_settings(what: str, out: Path, settings: Any, run: RunSettings) -> None:
    """Write run.toml, once the data has proven to be usable."""
    path = out / "run.toml"
    text = to_toml({what: to_table(settings), "run": to_table(run)})
    with writing(path), replacing(path) as file:
        file.write(text.encode())


def _describe(
    what: str,
    data: Path,
    out: Path,
    settings: Any,
    command: Sequence[str],
    *,
    told: Told,
) -> tuple[Gap, ...]:
    """Write run.json and data.csv; give what the data set lacks."""
    is_cut = (data / "nodules.csv").is_file()
    found = None if is_cut and what != "nodules" else open_dataset(data)
    digests = _digests(data, found)
    _refuse_other(out, digests)
    layout = "nodules" if found is None else str(found.layout)
    if what == "nodules" and found is not None:
        rows = [(c.id, c.patient, c.fold or "") for c in found]
    else:
        rows = _nodule_rows(what, nodules_of(data, out, told=told), settings)
    table = _table(rows)
    gaps = () if found is None else found.gaps
    about = {
        "folder": str(Path(data).resolve()),
        "layout": layout,
        "cases": len(rows),
        "patients": len({row[1] for row in rows}),
        "cases_sha256": hashlib.sha256(table).hexdigest(),
        "tables_sha256": digests,
        "gaps": [gap.to_json() for gap in gaps],
        "left_out": [],
    }
    tree = {
        "hilum": __version__,
        "what": what,
        "command": list(command),
        "data": about,
        **_computer(),
    }
    for name, content in (("data.csv", table), ("run.json", _json(tree))):
        with writing(out / name), replacing(out / name) as file:
            file.write(content)
    return gaps


def _nodule_rows(what: str, folder: Path, settings: Any) -> list[_Row]:
    """List the nodules of a folder with the fold that each falls into."""
    cases = read_nodules(folder)
    seed = settings.seed if what == "malignancy" else settings.fit.seed
    folds = folds_by_patient(cases, settings.folds, seed).tolist()
    return [(c.name, c.patient, str(f)) for c, f in zip(cases, folds, strict=True)]


def _table(rows: Sequence[_Row]) -> bytes:
    """Write data.csv."""
    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\n")
    lines.writerows([("id", "patient", "fold"), *rows])
    return text.getvalue().encode()


def _computer() -> dict[str, Any]:
    """Say what it runs on, for run.json."""
    return {
        "python": platform.python_version(),
        "machine": platform.platform(),
        "keras_backend": keras.backend.backend(),
        "packages": _versions(),
    }


def _note(out: Path, left_out: Sequence[LeftOut]) -> None:
    """Say in run.json what is left out, as soon as it is known."""
    path = out / "run.json"
    if not path.exists():  # the nodules are being cut: it is written afterwards
        return
    tree = json.loads(path.read_text(encoding="utf-8"))
    tree["data"]["left_out"] = [item.to_json() for item in left_out]
    with writing(path), replacing(path) as file:
        file.write(_json(tree))


def _digests(data: Path, found: DataSet | None) -> dict[str, str]:
    """Digest what a run learns from, pixels apart: tables, reader files, the list."""
    root = data if data.is_dir() else data.parent
    paths = {path.name: path for path in sorted(root.glob("*.csv"))}
    digests = {}
    if found is not None:
        names = "\n".join(f"{c.id},{c.patient},{c.fold or ''}" for c in found)
        digests[_LIST] = hashlib.sha256(names.encode("utf-8", "replace")).hexdigest()
        readers = found.readings
        digests[_READERS] = "" if readers is None else digest_readers(readers)
        more = (found.candidates, found.excluded)
        paths |= {path.name: path for path in more if path and path.is_file()}
    return digests | {name: digest_of(path) for name, path in paths.items()}


def _refuse_other(out: Path, digests: Mapping[str, str]) -> None:
    """Refuse a folder that a run on other data was begun in.

    What was prepared and learned there would go on as if it were of these data.
    """
    if not {path.name for path in out.iterdir()} - _DESCRIPTION:
        return
    try:
        begun = json.loads((out / "run.json").read_text(encoding="utf-8"))
        before = dict(begun["data"]["tables_sha256"])
    except (OSError, ValueError, KeyError, TypeError):
        return
    if _READERS not in before:  # of a version that did not look at them
        before[_READERS] = digests.get(_READERS, "")
    changed = [n for n in _LEARNED if before.get(n, "") != digests.get(n, "")]
    if changed:
        raise InputError(
            f"`{name_of(out)}` holds a run on other data: {changed[0]} changed since. "
            "Choose another folder, or delete that one."
        )


def _versions() -> dict[str, str]:
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def _json(tree: dict[str, Any]) -> bytes:
    return (json.dumps(tree, indent=2) + "\n").encode()
