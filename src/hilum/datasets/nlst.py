"""NLST: CT of the National Lung Screening Trial, and labels from the trial's tables.

    PARTICIPANT/STUDY/SERIES/*.dcm    as The Cancer Imaging Archive has it
    nlst_..._prsn_....csv             a row a participant (any name with "prsn" or
                                      "participant")

Of the table, columns in any case of letters:

    pid                 participant
    scr_days0, 1, 2     days from randomisation to the screen of year 0, 1, 2
    candx_days          days from randomisation to the diagnosis of lung cancer
    fup_days            days from randomisation to the end of follow-up
    age, gender         at randomisation; 1 male, 2 female
    can_scr             above 0 in those with a confirmed lung cancer; may be absent

".E", ".N" and so on stand for no value, as in the trial's dictionary.

A label is of a screen: `years` runs from the day of that CT to the diagnosis
(`event` true) or to the end of follow-up (`event` false, censored), 365.25 days each.
`canc_free_days` is not used: the trial's dictionary warns that it is no follow-up time
and names `fup_days` for those without cancer, `candx_days` for those with it. So the
subset of the table that the Imaging Data Commons hosts, which lacks `fup_days`, does
not do.

Left out and counted: screens without a day, follow-up that ends before the screen,
screens after the diagnosis, which show a treated patient, and those of participants
with a cancer whose day is not known. The year of a study is that
of its date: the archive shifted dates so that year 0 is 1999.

Sources:
    NLST data dictionary, participant dataset, https://cdas.cancer.gov/datasets/nlst/;
    https://www.cancerimagingarchive.net/collection/nlst/
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from hilum._names import name_of
from hilum.datasets.cases import Case, DataSet, Gap
from hilum.datasets.tables import Row, columns_of, number_in, read_rows
from hilum.datasets.walking import find_scans, first_header
from hilum.dicom.headers import read_text
from hilum.errors import InputError

DAYS_A_YEAR = 365.25
SCREENS = (0, 1, 2)
_MOST_DAYS = 40_000
_NEEDED = ("pid", "scr_days0", "candx_days", "fup_days")
_FIRST_YEAR = 1999
_DATE = re.compile(r"(?:\d\d-\d\d-)?(1999|2000|2001)(?:\d{4})?(?=-|$)")
_STUDY_DATE = 0x00080020
_SEXES = {1.0: "male", 2.0: "female"}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a participant after a screen.

    Attributes:
        years: From the screen to the diagnosis, or to the end of follow-up.
        event: Whether it ended with a diagnosis of lung cancer.
    """

    years: float
    event: bool


@dataclass(frozen=True, slots=True)
class Unusable:
    """Why a screen has no label.

    Attributes:
        reason: "no-screen", "no-follow-up", "after-diagnosis", "no-diagnosis-day".
    """

    reason: str


def find_participants(folder: Path) -> Path | None:
    """Find the table of participants in a folder: the one with days of screens."""
    for path in sorted(folder.glob("*.csv")):
        columns = {name.lower() for name in columns_of(path)}
        if {"pid", "scr_days0"} <= columns:
            return path
    return None


def read_participants(path: Path) -> dict[str, Row]:
    """Read the table of participants.

    Args:
        path: A CSV; columns in any case of letters.

    Returns:
        Participant to columns in small letters.

    Raises:
        InputError: A column is missing, or a participant has two rows.
    """
    columns = {name.lower() for name in columns_of(path)}
    missing = [name for name in _NEEDED if name not in columns]
    if missing:
        raise InputError(
            f"`{path.name}` lacks the column {', '.join(missing)}, so there is no time "
            "to cancer or to the end of follow-up. Ask CDAS for the participant "
            "dataset; the table of the Imaging Data Commons is a part of it."
        )
    table: dict[str, Row] = {}
    for row in read_rows(path, ()):
        low = {name.strip().lower(): text or "" for name, text in row.items() if name}
        pid = low["pid"].strip().removesuffix(".0")
        if not pid or pid in table:
            raise InputError(
                f"`{path.name}` has a row without pid, or two rows of one pid."
            )
        table[pid] = low
    return table


def outcome_after(row: Mapping[str, str], screen: int) -> Outcome | Unusable:
    """Say what became of a participant after a screen.

    Args:
        row: Of the table of participants, columns in small letters.
        screen: 0, 1 or 2.

    Raises:
        InputError: A number of days is no number, or more than a life has.

    Example:
        >>> row = {"scr_days0": "10", "candx_days": "", "fup_days": "2201.5"}
        >>> outcome_after(row, 0)  # (2201.5 - 10) / 365.25 = 6.0
        Outcome(years=6.0, event=False)
    """
    where = "The table of participants"
    screened = number_in(row, f"scr_days{screen}", where)
    diagnosed = number_in(row, "candx_days", where)
    followed = number_in(row, "fup_days", where)
    if max(diagnosed or 0, followed or 0) > _MOST_DAYS:
        raise InputError(
            f"{where} has days beyond {_MOST_DAYS:,} in candx_days or fup_days, more "
            "than a life. Are they dates?"
        )
    if screened is None or screened < 0:
        return Unusable("no-screen")
    if diagnosed is None and (number_in(row, "can_scr", where) or 0) > 0:
        return Unusable("no-diagnosis-day")
    end = followed if diagnosed is None else diagnosed
    event = diagnosed is not None
    if end is None or (not event and end < screened):
        return Unusable("no-follow-up")
    if end < screened:
        return Unusable("after-diagnosis")
    return Outcome((end - screened) / DAYS_A_YEAR, event)


def read_nlst(folder: Path) -> DataSet:
    """List the screens of NLST with their outcome.

    Args:
        folder: Holds the table, and the CT below it.

    Raises:
        InputError: The table or the CT is missing, or a table is damaged. No
            participant is named.
    """
    table = find_participants(folder)
    if table is None:
        raise InputError(
            f"`{name_of(folder)}` holds no table of participants of NLST: a CSV with "
            "pid, scr_days0, candx_days and fup_days."
        )
    participants = read_participants(table)
    cases: list[Case] = []
    left_out: Counter[str] = Counter()
    for study in _studies(folder):
        pid = study.parent.name
        row = participants.get(pid)
        screen = _screen_of(study)
        if row is None or screen is None:
            left_out["no-row" if row is None else "no-year"] += 1
            continue
        outcome = outcome_after(row, screen)
        if isinstance(outcome, Unusable):
            left_out[outcome.reason] += 1
            continue
        cases.append(_case(study, pid, screen, row, outcome))
    if not cases:
        raise InputError(
            f"`{name_of(folder)}` holds no CT of a participant in `{table.name}` with "
            f"a label ({dict(left_out)} left out). Expected PARTICIPANT/STUDY/SERIES/ "
            "with slices, and the date of the study in 1999 to 2001."
        )
    ids = Counter(case.id for case in cases)
    twice = [case for case in cases if ids[case.id] > 1]
    if twice:
        raise InputError(
            f"{len(twice)} studies are of a screen that another one is of, too. Put "
            "all series of a screen into one folder."
        )
    gaps = [*_gaps(left_out), *_without_ct(participants, cases)]
    return DataSet(layout="nlst", folder=folder, cases=tuple(cases), gaps=tuple(gaps))


def _case(study: Path, pid: str, screen: int, row: Row, outcome: Outcome) -> Case:
    wanted = ("age", "cigsmok", "race", "pkyr")
    facts = {name: row[name] for name in wanted if row.get(name)}
    sex = _SEXES.get(number_in(row, "gender", "The table of participants") or 0.0)
    return Case(
        id=f"{pid}-T{screen}",
        patient=pid,
        source=study,
        years=outcome.years,
        event=outcome.event,
        cancer=True if outcome.event else None,
        facts=facts | ({"sex": sex} if sex else {}) | {"screen": str(screen)},
    )


def _studies(folder: Path) -> Iterator[Path]:
    """Go through the folders PARTICIPANT/STUDY, wherever they are below."""
    seen: set[Path] = set()
    for scan in find_scans(folder):
        parts = scan.relative_to(folder).parts
        study = folder.joinpath(*parts[:-1]) if len(parts) > 2 else scan
        if study not in seen:
            seen.add(study)
            yield study


def _screen_of(study: Path) -> int | None:
    """Tell the year of a study by the name of its folder, else by its date."""
    named = _DATE.match(study.name)
    if named:
        return int(named.group(1)) - _FIRST_YEAR
    scan = next(find_scans(study), None)
    header = first_header(scan) if scan is not None and scan.is_dir() else None
    date = read_text(header.elements, _STUDY_DATE) if header else ""
    screen = int(date[:4]) - _FIRST_YEAR if date[:4].isdigit() else -1
    return screen if screen in SCREENS else None


def _gaps(left_out: Counter[str]) -> Iterator[Gap]:
    words = {
        "no-row": "studies are of nobody in the table",
        "no-year": "studies have no date in 1999 to 2001",
        "no-screen": "screens have no day in the table",
        "no-follow-up": "screens have no follow-up after them",
        "after-diagnosis": "screens came after the diagnosis",
        "no-diagnosis-day": "screens are of participants whose cancer has no day",
    }
    for reason, count in sorted(left_out.items()):
        yield Gap(reason, count, f"{count} {words[reason]}; they were left out.")


def _without_ct(participants: Mapping[str, Row], cases: list[Case]) -> Iterator[Gap]:
    absent = len(set(participants) - {case.patient for case in cases})
    if absent:
        yield Gap(
            "participants-without-ct",
            absent,
            f"{absent} of {len(participants)} participants have no CT here.",
        )
