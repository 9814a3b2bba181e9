"""Assessments of many patients as one table `id,cancer`: `hilum submission`.

It is what the Data Science Bowl 2017 asked for, and what `hilum evaluate dsb2017` and
`hilum calibrate` take as predictions.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from hilum._names import name_of
from hilum.errors import InputError
from hilum.evaluation.patients import as_table, read_table
from hilum.findings import Assessment, Record
from hilum.formats.atomic import replacing, writing

PRIOR = 0.26
"""Share of patients with cancer in stage 1 of the competition."""

DOCUMENT = "assessment.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission(Record):
    """What was written.

    Attributes:
        file: The table.
        patients: Rows.
        assessed: Of them with a probability of their own.
        out_of_scope: Of them without one, because their scan is out of scope; they got
            the prior.
        absent: Of them without an assessment; they got the prior.
        prior: What those got.
        warnings: The same in words; empty when all were assessed.
    """

    file: str
    patients: int
    assessed: int
    out_of_scope: int
    absent: int
    prior: float
    warnings: tuple[str, ...] = ()


def write_submission(
    folder: Path,
    out: Path,
    *,
    prior: float = PRIOR,
    sample: Path | None = None,
    assessed_only: bool = False,
) -> Submission:
    """Write the probabilities of many patients as one table.

    Args:
        folder: Has a folder for each patient, named by the id, with what
            `hilum assess` wrote.
        out: CSV `id,cancer`.
        prior: Given to patients out of scope or without an assessment, in [0, 1].
        sample: CSV with a column `id`, and perhaps `cancer`: whom to write, and in
            which order; None for everybody in the folder, by name.
        assessed_only: Leave out who has no probability of their own, as for
            `hilum calibrate`: a prior that was filled in tells nothing of a scan.

    Raises:
        InputError: The folder has no assessment, one of them is damaged, the prior is
            no probability, or the table cannot be written. No id is named.
    """
    folder = Path(folder)
    _check_prior(prior)
    found = _read_folder(folder)
    ids = _ids_of(sample) if sample else tuple(found)
    if not assessed_only:
        return write_probabilities(found, ids, Path(out), prior=prior)
    own = tuple(name for name in ids if found.get(name) is not None)
    if not own:
        raise InputError(
            "No patient has a probability: all scans are out of scope, or not "
            "assessed. There is nothing to write."
        )
    known = {name: value for name, value in found.items() if value is not None}
    made = write_probabilities(known, own, Path(out), prior=prior)
    if len(own) == len(ids):
        return made
    said = f"Without a probability, left out: {len(ids) - len(own)} patients."
    return replace(made, warnings=(*made.warnings, said))


def write_probabilities(
    found: Mapping[str, float | None],
    ids: Sequence[str],
    out: Path,
    *,
    prior: float = PRIOR,
) -> Submission:
    """Write the probabilities of many patients as one table.

    Args:
        found: Of each patient that was assessed; None: out of scope.
        ids: Whom to write, and in which order.
        out: CSV `id,cancer`.
        prior: Given to patients out of scope or not assessed, in [0, 1].

    Raises:
        InputError: The prior is no probability, or the table cannot be written.
    """
    _check_prior(prior)
    rows, outside, absent = [], 0, 0
    for name in ids:
        value = found.get(name, prior)
        absent += name not in found
        outside += value is None
        rows.append((name, prior if value is None else value))
    with writing(out), replacing(out) as file:
        file.write(as_table(rows))
    return Submission(
        file=str(out),
        patients=len(rows),
        assessed=len(rows) - outside - absent,
        out_of_scope=outside,
        absent=absent,
        prior=prior,
        warnings=_warnings(outside, absent, len(set(found) - set(ids)), prior),
    )


def _check_prior(prior: float) -> None:
    if not 0 <= prior <= 1:
        raise InputError(f"`prior` must lie in [0, 1]; got {prior:g}.")


def _read_folder(folder: Path) -> dict[str, float | None]:
    """Read what was said of each patient; None where nothing could be."""
    try:
        paths = sorted(p for p in folder.iterdir() if (p / DOCUMENT).is_file())
    except OSError as error:
        raise InputError(
            f"Cannot read the folder `{name_of(folder)}`: {error.strerror}."
        ) from error
    if not paths:
        raise InputError(
            f"No folder in `{name_of(folder)}` has an {DOCUMENT}. Give the folder that "
            "holds one folder a patient, as `hilum assess SOURCE FOLDER/ID` made them."
        )
    found: dict[str, float | None] = {}
    for number, path in enumerate(paths, start=1):
        try:
            tree = json.loads((path / DOCUMENT).read_text(encoding="utf-8"))
            found[path.name] = Assessment.from_json(tree).cancer_probability.value
        except (OSError, ValueError, RecursionError, InputError) as error:
            raise InputError(
                f"The {DOCUMENT} of folder {number} of {len(paths)}, by name, cannot "
                f"be read ({type(error).__name__}). Assess that patient again."
            ) from error
    return found


def _ids_of(sample: Path) -> tuple[str, ...]:
    """Read whom to write, in the order of the table."""
    return tuple(read_table(sample, ()))


def _warnings(outside: int, absent: int, extra: int, prior: float) -> tuple[str, ...]:
    """Say whose probability is not their own, and who was left out."""
    said = []
    if outside:
        said.append(f"Out of scope, given the prior of {prior:g}: {outside} patients.")
    if absent:
        said.append(f"Not assessed, given the prior of {prior:g}: {absent} patients.")
    if extra:
        said.append(f"Assessed, but not in the sample and left out: {extra} patients.")
    return tuple(said)
