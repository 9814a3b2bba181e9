"""From two sources to an assessment with a prior."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

from hilum.clinical.facts import Facts
from hilum.compare.comparing import compare_readings
from hilum.compare.pairs import (
    STAGE,
    check_alignment,
    check_pair,
    growth_doubts,
)
from hilum.compare.quality import judge_alignment
from hilum.compare.registration import Register
from hilum.errors import InputError
from hilum.findings import Assessment, Candidate, Comparison, Notice
from hilum.outlines import Outlines
from hilum.pipeline import Pipeline, Reading
from hilum.pipeline.clock import Clock, Progress
from hilum.pipeline.follow_up import follow_up
from hilum.settings import to_table
from hilum.sources import read_ct
from hilum.tracking import follow
from hilum.volume import CTVolume

_DAYS_A_YEAR = 365.25
_YOUNGEST_YEARS = 18.0


@dataclass(frozen=True, slots=True, eq=False)
class PairResult:
    """Two scans of one patient, assessed.

    Attributes:
        volume: The current scan.
        prior: Assessment of the prior alone.
        current: Assessment of the current scan, with the comparison in it.
        comparison: What became of each nodule.
        outlines: The voxels behind the current assessment.
        candidates: All of the current scan, also those below the threshold.
    """

    volume: CTVolume
    prior: Assessment
    current: Assessment
    comparison: Comparison
    outlines: Outlines
    candidates: tuple[Candidate, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PairOptions:
    """How two scans are held against each other.

    Attributes:
        days: Between them, where the files do not say it or say it wrongly.
        same_patient: Whether they are said to be of one patient, whatever the files
            and the lungs say.
        series_uid: The series of the current scan, where a source has several.
        prior_series_uid: That of the prior.
        register: How their lungs are brought onto each other.
    """

    days: int | None = None
    same_patient: bool = False
    series_uid: str | None = None
    prior_series_uid: str | None = None
    register: Register = field(default_factory=Register)


def compare(
    prior: Path | CTVolume,
    current: Path | CTVolume,
    *,
    options: PairOptions | None = None,
    facts: Facts | None = None,
    settings: Path | None = None,
    force: bool = False,
    progress: Progress | None = None,
) -> PairResult:
    """Assess a chest CT and hold its nodules against those of an earlier one.

    Args:
        prior: The earlier scan: as for `hilum.assess`.
        current: The later scan.
        options: Days between, and whether they are of one patient.
        facts: What is known of the patient at the current scan.
        settings: A TOML file of settings; by default none.
        force: Give the probability even when the series is out of scope.
        progress: Called with the name of each stage as it starts.

    Raises:
        InputError: A scan cannot be read, or the two are no pair.
        WeightsError: The weights are absent, damaged or of another task.
    """
    pipeline = Pipeline() if settings is None else Pipeline.from_file(settings)
    options = options or PairOptions()
    say = progress or _say_nothing
    say("read")
    earlier = _volume(prior, options.prior_series_uid)
    later = _volume(current, options.series_uid)
    return compare_volumes(
        earlier,
        later,
        pipeline=pipeline,
        options=options,
        facts=facts or Facts(),
        force=force,
        progress=say,
    )


def compare_volumes(
    prior: CTVolume,
    current: CTVolume,
    *,
    pipeline: Pipeline,
    options: PairOptions,
    facts: Facts,
    force: bool,
    progress: Progress,
) -> PairResult:
    """Assess two volumes and compare them; as `compare`, with everything given."""
    days, doubts = check_pair(
        prior, current, days=options.days, same_patient=options.same_patient
    )
    clock = Clock(progress)
    with clock("prior"):
        before = pipeline.read(prior, facts=_younger(facts, days))
    now = pipeline.read(current, facts=facts, force=force, progress=progress)
    with clock("registration"):
        registration = options.register(
            (now.volume, now.lungs), (before.volume, before.lungs)
        )
        alignment = judge_alignment(registration)
        doubts += check_alignment(
            alignment,
            (prior.patient, current.patient),
            same_patient=options.same_patient,
        )
    with clock("compare"):
        comparison = compare_readings(
            before,
            now,
            registration=registration,
            alignment=alignment,
            days=days,
            measure=pipeline.measure,
        )
    doubts += _scope_doubt(before) + growth_doubts(comparison)
    result = _with_comparison(now, comparison, facts, doubts)
    result = follow(result, before.assessment, comparison.matches)
    return PairResult(
        current,
        before.assessment,
        _with_provenance(result, options, clock.seconds),
        comparison,
        now.outlines,
        now.candidates,
    )


def _volume(source: Path | CTVolume, series_uid: str | None) -> CTVolume:
    """Read a scan, unless it is one already."""
    if not isinstance(source, CTVolume):
        return read_ct(source, series_uid=series_uid)
    if series_uid is not None:
        raise InputError(
            "A volume is one series already, so there is none to pick. "
            "Leave out the series."
        )
    return source


def _with_comparison(
    reading: Reading, comparison: Comparison, facts: Facts, doubts: tuple[Notice, ...]
) -> Assessment:
    """Put the comparison into the assessment, and let the guidelines follow it up."""
    assessment = reading.assessment
    given = assessment.guidelines.lung_rads is not None
    guidelines = assessment.guidelines
    if given:
        guidelines = follow_up(guidelines, assessment.nodules, facts, comparison)
    return replace(
        assessment,
        comparison=comparison,
        guidelines=guidelines,
        notices=assessment.notices + doubts,
    )


def _with_provenance(
    result: Assessment, options: PairOptions, seconds: dict[str, float]
) -> Assessment:
    run = result.provenance
    settings = {**run.settings, "registration": to_table(options.register)}
    run = replace(run, settings=settings, timings_s={**run.timings_s, **seconds})
    return replace(result, provenance=run)


def _scope_doubt(prior: Reading) -> tuple[Notice, ...]:
    """Doubt what is said to be new where the prior is out of scope."""
    scope = prior.assessment.scope
    if scope.in_scope:
        return ()
    text = (
        f"The prior is out of scope: {' '.join(scope.reasons)} What is called new or "
        "grown may have been missed or mismeasured there."
    )
    return (Notice("prior-out-of-scope", text, STAGE),)


def _younger(facts: Facts, days: int) -> Facts:
    """Give the facts as they were so many days ago."""
    if facts.age_years is None:
        return facts
    age = max(facts.age_years - days / _DAYS_A_YEAR, _YOUNGEST_YEARS)
    return replace(facts, age_years=round(age, 2))


def _say_nothing(_stage: str) -> None:
    """Take the place of a progress that nobody wants."""
