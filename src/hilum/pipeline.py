"""One series in, one assessment out, in the order that it happens."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from time import perf_counter
from typing import Any

from hilum._version import __version__
from hilum.clinical.facts import Facts
from hilum.errors import InputError
from hilum.findings import (
    Assessment,
    Candidate,
    Guidelines,
    Nodule,
    Notice,
    Probability,
    Provenance,
    Scope,
)
from hilum.formats import write_mask
from hilum.settings import fill, read_settings, to_table
from hilum.sources import read_ct
from hilum.stages.lungs import LungSegmenter, lung_notices
from hilum.stages.malignancy import BrockModel, brock_notices
from hilum.stages.measure import NoduleMeasurer, drop_repeats
from hilum.stages.nodules import NoduleDetector
from hilum.stages.patient import RiskModel
from hilum.volume import CTVolume, Mask

Progress = Callable[[str], None]

THICKEST_SLICES_MM = 5.0
"""Above this spacing nodules fall between slices: no probability is given."""

OUT_OF_SCOPE_NOTICES = ("no-lungs", "lungs-cropped", "one-lung")
"""Notices of the lungs stage after which the figures do not hold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which candidates are kept as nodules.

    Attributes:
        min_score: Candidates below this detection score are dropped.
        max_nodules: How many are kept at most, the best scored first.
    """

    min_score: float = 0.3
    max_nodules: int = 15

    def __call__(self, candidates: tuple[Candidate, ...]) -> tuple[Candidate, ...]:
        """Keep the best candidates."""
        ranked = sorted(candidates, key=lambda c: c.score, reverse=True)
        return tuple(c for c in ranked if c.score >= self.min_score)[: self.max_nodules]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pipeline:
    """The stages, each replaceable by anything with the same signature."""

    lungs: LungSegmenter = field(default_factory=LungSegmenter)
    nodules: NoduleDetector = field(default_factory=NoduleDetector)
    selection: Selection = field(default_factory=Selection)
    measure: NoduleMeasurer = field(default_factory=NoduleMeasurer)
    malignancy: BrockModel = field(default_factory=BrockModel)
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
        """
        facts = facts or Facts()
        clock = _Clock(progress)
        with clock("lungs"):
            lungs = self.lungs(volume)
            doubts = lung_notices(volume, lungs)
        with clock("nodules"):
            candidates = self.selection(self.nodules(volume, lungs))
        with clock("measure"):
            found = drop_repeats(self.measure.measure(volume, candidates, lungs))
            measured = tuple(m.nodule for m in found)
            doubts += tuple(notice for m in found for notice in m.notices)
        with clock("malignancy"):
            nodules = self.malignancy(measured, facts)
            doubts += brock_notices(nodules, facts)
        with clock("patient"):
            scope = judge_scope(volume, doubts)
            risk = self.patient(nodules)
        return Assessment(
            series_uid=volume.series_uid,
            scope=scope,
            cancer_probability=(
                risk if scope.in_scope or force else Probability.UNKNOWN
            ),
            nodules=nodules,
            guidelines=Guidelines(brock=_brock_line(nodules, facts)),
            notices=volume.notices + doubts + _patient_notices(scope, force=force),
            provenance=Provenance(
                version=__version__,
                settings={
                    item.name: to_table(getattr(self, item.name))
                    for item in fields(self)
                },
                weights={},
                timings_s=clock.seconds,
                source=describe_source(volume),
            ),
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
    pipeline = Pipeline() if settings is None else Pipeline.from_file(settings)
    if isinstance(source, CTVolume):
        return source, pipeline(source, facts=facts, force=force, progress=progress)
    clock = _Clock(progress)
    with clock("read"):
        volume = read_ct(source, series_uid=series_uid)
    result = pipeline(volume, facts=facts, force=force, progress=progress)
    timings_s = {**clock.seconds, **result.provenance.timings_s}
    provenance = replace(result.provenance, timings_s=timings_s)
    return volume, replace(result, provenance=provenance)


def segment(source: Path, out: Path, *, series_uid: str | None = None) -> Mask:
    """Write the lung mask of a CT.

    Args:
        source: As for `assess`.
        out: Ends in .nii, .nii.gz, .mha or .mhd.
        series_uid: As for `assess`.

    Returns:
        The mask on the grid of the CT: 1 right lung, 2 left lung.

    Raises:
        InputError: The CT cannot be read, or the file cannot be written.
    """
    lungs = LungSegmenter()(read_ct(source, series_uid=series_uid))
    write_mask(lungs, Path(out))
    return lungs


def detect(
    source: Path, out: Path, *, series_uid: str | None = None
) -> tuple[Candidate, ...]:
    """Write every candidate of a CT with its score, as LUNA16 has it.

    Args:
        source: As for `assess`.
        out: A CSV file with the columns seriesuid, coordX, coordY, coordZ
            (LPS, mm) and probability (ranks; not calibrated).
        series_uid: As for `assess`.

    Returns:
        The candidates by falling score.

    Raises:
        InputError: The CT cannot be read, or the file cannot be written.
    """
    volume = read_ct(source, series_uid=series_uid)
    candidates = NoduleDetector()(volume, LungSegmenter()(volume))
    try:
        with Path(out).open("w", newline="") as file:
            rows = csv.writer(file, lineterminator="\n")
            rows.writerow(["seriesuid", "coordX", "coordY", "coordZ", "probability"])
            for candidate in candidates:
                point = (f"{x:.3f}" for x in candidate.center_mm)
                rows.writerow([volume.series_uid, *point, f"{candidate.score:.6f}"])
    except OSError as error:
        raise InputError(
            f"Cannot write `{Path(out).name}`: {error.strerror}."
        ) from error
    return candidates


def judge_scope(volume: CTVolume, doubts: tuple[Notice, ...]) -> Scope:
    """Decide whether the figures hold for a series.

    Args:
        volume: The CT.
        doubts: Notices of the lungs stage.
    """
    reasons = [n.message for n in doubts if n.code in OUT_OF_SCOPE_NOTICES]
    spacing = volume.grid.spacing_mm[0]
    if spacing > THICKEST_SLICES_MM:
        reasons.append(
            f"Slices are {spacing:.1f} mm apart; the limit is "
            f"{THICKEST_SLICES_MM:.1f} mm. Nodules can fall between them."
        )
    return Scope(in_scope=not reasons, reasons=tuple(reasons))


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


def _brock_line(nodules: tuple[Nodule, ...], facts: Facts) -> dict[str, Any] | None:
    if not nodules:
        return None
    first = nodules[0]
    return {
        "model": "Brock (PanCan) 2a, McWilliams et al., NEJM 2013;369:910",
        "nodule": 1,
        "probability": first.malignancy.to_json(),
        "rule": f"{first.type}, {first.diameter_mm:.1f} mm, "
        f"{len(nodules)} nodule(s) on the scan",
        "missing": [*facts.missing, "lobe"],
    }


def _patient_notices(scope: Scope, *, force: bool) -> tuple[Notice, ...]:
    if scope.in_scope:
        return (
            Notice(
                "probability-not-calibrated",
                "The patient's probability combines the nodules' malignancies by a "
                "leaky noisy-or; it has not been calibrated on patients.",
                "patient",
            ),
        )
    if force:
        return (
            Notice(
                "forced",
                "The series is out of scope; the probability was asked for all the "
                "same and need not hold.",
                "patient",
            ),
        )
    return (
        Notice(
            "probability-suppressed",
            "The series is out of scope, so no probability is given.",
            "patient",
        ),
    )


class _Clock:
    """Seconds by stage, with a word to the user as each starts."""

    def __init__(self, progress: Progress | None) -> None:
        self.seconds: dict[str, float] = {}
        self._progress = progress
        self._stage = ""
        self._start = 0.0

    def __call__(self, stage: str) -> _Clock:
        if self._progress:
            self._progress(stage)
        self._stage = stage
        return self

    def __enter__(self) -> None:
        self._start = perf_counter()

    def __exit__(self, *error: object) -> None:
        self.seconds[self._stage] = round(perf_counter() - self._start, 3)
