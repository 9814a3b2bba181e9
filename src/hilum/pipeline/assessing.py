"""One series in, one assessment out, in the order that it happens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from hilum._version import __version__
from hilum.clinical.facts import Facts
from hilum.errors import InputError
from hilum.findings import (
    Assessment,
    Attributes,
    Candidate,
    Guidelines,
    Nodule,
    Notice,
    Probability,
    Provenance,
)
from hilum.outlines import Outlines
from hilum.pipeline.clock import Clock, Progress
from hilum.pipeline.guidelines import advise
from hilum.pipeline.scope import judge_scope, patient_notices, scope_notices
from hilum.settings import fill, read_settings, to_table
from hilum.sources import read_ct
from hilum.stages.lungs import LungLook, LungSegmenter, notices_of
from hilum.stages.malignancy import (
    BrockModel,
    MalignancyModel,
    brock_notices,
    kind_notices,
    rating_notices,
)
from hilum.stages.measure import Measurement, NoduleMeasurer, drop_repeats
from hilum.stages.nodules import NoduleDetector
from hilum.stages.patient import RiskModel
from hilum.volume import CTVolume, Mask

MASS_NOTICE = "brock-mass"
"""What is said of malignancy even where no probability is given."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which candidates are kept as nodules.

    Attributes:
        min_score: Candidates below this detection score are dropped.
        max_nodules: How many are kept at most, the best scored first.
    """

    min_score: float = 0.3
    max_nodules: int = 15

    def __post_init__(self) -> None:
        """Refuse what would keep nothing, or drop from the wrong end."""
        if not 0 <= self.min_score <= 1:
            raise InputError(f"`min_score` must lie in [0, 1]; got {self.min_score}.")
        if self.max_nodules < 1:
            raise InputError(
                f"`max_nodules` must be at least 1; got {self.max_nodules}."
            )

    def __call__(self, candidates: tuple[Candidate, ...]) -> tuple[Candidate, ...]:
        """Keep the best candidates."""
        ranked = sorted(candidates, key=lambda c: c.score, reverse=True)
        return tuple(c for c in ranked if c.score >= self.min_score)[: self.max_nodules]


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """An assessment and what it was concluded from, for whoever looks again.

    Attributes:
        volume: The CT.
        lungs: On its grid.
        candidates: All of them, also those below the threshold.
        measured: The nodules with voxels and doubts.
        assessment: What was concluded.
        outlines: The voxels of its nodules, in their order, and of the lungs.
    """

    volume: CTVolume
    lungs: Mask
    candidates: tuple[Candidate, ...]
    measured: tuple[Measurement, ...]
    assessment: Assessment
    outlines: Outlines


@dataclass(frozen=True, slots=True, kw_only=True)
class Pipeline:
    """The stages, each replaceable by anything with the same signature."""

    lungs: LungSegmenter = field(default_factory=LungSegmenter)
    nodules: NoduleDetector = field(default_factory=NoduleDetector)
    selection: Selection = field(default_factory=Selection)
    measure: NoduleMeasurer = field(default_factory=NoduleMeasurer)
    malignancy: MalignancyModel = field(default_factory=MalignancyModel)
    brock: BrockModel = field(default_factory=BrockModel)
    patient: RiskModel = field(default_factory=RiskModel)

    @classmethod
    def from_file(cls, path: Path) -> Pipeline:
        """Make the pipeline that a settings file describes.

        Args:
            path: A TOML file with one table a stage; what is left out keeps its
                default.

        Raises:
            InputError: A table or key is unknown, or a value does not fit.
        """
        stages = {item.name: item.default_factory for item in fields(cls)}
        tables = read_settings(path)
        unknown = sorted(set(tables) - set(stages))
        if unknown:
            raise InputError(
                f"Unknown table [{unknown[0]}] in the settings file. "
                f"Tables are: {', '.join(f'[{name}]' for name in stages)}."
            )
        return cls(
            **{
                name: fill(stages[name], table, table=name)  # type: ignore[arg-type]
                for name, table in tables.items()
            }
        )

    def check(self) -> None:
        """Refuse weights that are absent or damaged, before any work."""
        self.nodules.check()
        self.measure.check()
        self.malignancy.check()
        self.patient.check()

    def __call__(
        self,
        volume: CTVolume,
        *,
        facts: Facts | None = None,
        force: bool = False,
        progress: Progress | None = None,
    ) -> Assessment:
        """Assess one series.

        Args:
            volume: The CT.
            facts: What is known of the patient.
            force: Give the probability even when the series is out of scope.
            progress: Called with the name of each stage as it starts.

        Raises:
            WeightsError: The weights are absent, damaged or of another task.
        """
        reading = self.read(volume, facts=facts, force=force, progress=progress)
        return reading.assessment

    def read(
        self,
        volume: CTVolume,
        *,
        facts: Facts | None = None,
        force: bool = False,
        progress: Progress | None = None,
    ) -> Reading:
        """Assess one series, and keep what it was concluded from.

        Takes and raises what calling the pipeline does.
        """
        self.check()
        facts = facts or Facts()
        clock = Clock(progress)
        with clock("lungs"):
            lungs = self.lungs(volume)
            look = LungLook.of(volume, lungs)
        with clock("scope"):
            scope = judge_scope(volume, lungs, look=look)
            doubts = notices_of(look) + scope_notices(scope)
            given = scope.in_scope or force
        with clock("nodules"):
            candidates = self.nodules(volume, lungs)
            selected = self.selection(candidates)
        with clock("measure"):
            found = drop_repeats(self.measure.measure(volume, selected, lungs))
            doubts += tuple(notice for m in found for notice in m.notices)
        with clock("malignancy"):
            nodules, outlines = self._ranked(volume, found, lungs)
            if given:
                doubts += rating_notices(nodules) + kind_notices(nodules)
        with clock("patient"):
            clinical = self.brock(nodules, facts)
            looks = tuple(nodule.malignancy for nodule in nodules)
            risk = self.patient(clinical, looks) if given else Probability.UNKNOWN
            doubts += _brock_doubts(nodules, facts, given=given)
            doubts += patient_notices(
                scope, force=force, calibrated_on=self.patient.calibrated_on()
            )
        assessment = Assessment(
            series_uid=volume.series_uid,
            scope=scope,
            cancer_probability=risk,
            nodules=nodules if given else _without_malignancy(nodules),
            guidelines=advise(nodules, clinical, facts) if given else Guidelines(),
            notices=volume.notices + doubts,
            provenance=self._provenance(
                volume,
                facts,
                weights=self._digests(nodules),
                seconds=clock.seconds,
                outlines=outlines,
            ),
        )
        return Reading(volume, lungs, candidates, found, assessment, outlines)

    def _ranked(
        self, volume: CTVolume, found: Sequence[Measurement], lungs: Mask
    ) -> tuple[tuple[Nodule, ...], Outlines]:
        """Rate the nodules; give the most suspicious first, with their voxels."""
        shown = tuple(m.shown for m in found)
        rated = self.malignancy(volume, tuple(m.nodule for m in found), shown)
        order = sorted(range(len(rated)), key=lambda i: -rated[i].suspicion)
        outlines = Outlines(
            volume.series_uid,
            tuple(found[i].mask for i in order),
            lungs,
            tuple(shown[i] for i in order),
        )
        return tuple(rated[i] for i in order), outlines

    def _digests(self, nodules: tuple[Nodule, ...]) -> dict[str, str]:
        """Give the SHA-256 of each file of the weights that were used."""
        found = self.nodules.digests()
        if nodules:
            found |= {**self.measure.digests(), **self.malignancy.digests()}
        return found

    def _provenance(
        self,
        volume: CTVolume,
        facts: Facts,
        *,
        weights: dict[str, str],
        seconds: dict[str, float],
        outlines: Outlines,
    ) -> Provenance:
        """Note what is needed to do it again."""
        return Provenance(
            version=__version__,
            settings={
                item.name: to_table(getattr(self, item.name)) for item in fields(self)
            },
            weights=weights,
            timings_s=seconds,
            source=describe_source(volume),
            facts=facts.to_json(),
            outlines_sha256=outlines.sha256,
        )


def assess(
    source: Path | CTVolume,
    *,
    series_uid: str | None = None,
    facts: Facts | None = None,
    settings: Path | None = None,
    force: bool = False,
    progress: Progress | None = None,
) -> Assessment:
    """Assess a chest CT.

    Args:
        source: A DICOM folder, file or zip, a NIfTI, MetaImage or npz file, or
            a volume that was read before.
        series_uid: The series to read where there are several; by default the
            best chest series.
        facts: What is known of the patient; narrows the intervals.
        settings: A TOML file of settings; by default none.
        force: Give the probability even when the series is out of scope.
        progress: Called with the name of each stage as it starts.

    Returns:
        All conclusions, notices and provenance.

    Raises:
        InputError: There is no chest CT that can be read, or a setting is wrong.
        WeightsError: The weights are absent, damaged or of another task.
    """
    return read_and_assess(
        source,
        series_uid=series_uid,
        facts=facts,
        settings=settings,
        force=force,
        progress=progress,
    )[1]


def read_and_assess(
    source: Path | CTVolume,
    *,
    series_uid: str | None = None,
    facts: Facts | None = None,
    settings: Path | None = None,
    force: bool = False,
    progress: Progress | None = None,
) -> tuple[CTVolume, Assessment]:
    """Assess a chest CT and keep the volume, for reports with images.

    Takes and raises what `assess` does.

    Returns:
        The volume as it was read, and its assessment.
    """
    return read_and_outline(
        source,
        series_uid=series_uid,
        facts=facts,
        settings=settings,
        force=force,
        progress=progress,
    )[:2]


def read_and_outline(
    source: Path | CTVolume,
    *,
    series_uid: str | None = None,
    facts: Facts | None = None,
    settings: Path | None = None,
    force: bool = False,
    progress: Progress | None = None,
) -> tuple[CTVolume, Assessment, Outlines]:
    """Assess a chest CT; keep the volume and the voxels, for DICOM SEG and SR.

    Takes and raises what `assess` does.

    Returns:
        The volume as it was read, its assessment, and the voxels behind it.
    """
    pipeline = Pipeline() if settings is None else Pipeline.from_file(settings)
    if isinstance(source, CTVolume):
        if series_uid is not None:
            raise InputError(
                "A volume is one series already, so there is none to pick. "
                "Leave out `series_uid`."
            )
        reading = pipeline.read(source, facts=facts, force=force, progress=progress)
        return source, reading.assessment, reading.outlines
    clock = Clock(progress)
    with clock("read"):
        volume = read_ct(source, series_uid=series_uid)
    reading = pipeline.read(volume, facts=facts, force=force, progress=progress)
    result = reading.assessment
    timings_s = {**clock.seconds, **result.provenance.timings_s}
    provenance = replace(result.provenance, timings_s=timings_s)
    return volume, replace(result, provenance=provenance), reading.outlines


def describe_source(volume: CTVolume) -> dict[str, Any]:
    """Say what was read: geometry and acquisition, no identifier of a person.

    Args:
        volume: The CT.
    """
    return {
        "shape": list(volume.grid.shape),
        "spacing_mm": [round(s, 4) for s in volume.grid.spacing_mm],
        "acquisition": volume.acquisition.to_json(),
    }


def _brock_doubts(
    nodules: Sequence[Nodule], facts: Facts, *, given: bool
) -> tuple[Notice, ...]:
    """Say where the Brock model does not hold; of what is not given, a mass alone."""
    said = brock_notices(tuple(nodules), facts)
    return tuple(n for n in said if given or n.code == MASS_NOTICE)


def _without_malignancy(nodules: tuple[Nodule, ...]) -> tuple[Nodule, ...]:
    """Keep the order, and give no probability and no look that need not hold."""
    return tuple(
        replace(n, malignancy=Probability.UNKNOWN, attributes=Attributes())
        for n in nodules
    )
