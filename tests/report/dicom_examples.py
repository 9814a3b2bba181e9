"""A small DICOM series with balls for nodules, assessed as if by the pipeline."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from dicom_maker import (
    SeriesSpec,
    make_enhanced,
    make_slices,
    write_slice,
    write_slices,
)

from hilum.dicom import read_dicom
from hilum.findings import (
    Assessment,
    Guidelines,
    Nodule,
    Notice,
    Probability,
    Provenance,
    Scope,
)
from hilum.outlines import Outlines
from hilum.pipeline import describe_source
from hilum.volume import CTVolume, Mask

SPEC = SeriesSpec(shape=(40, 44, 52), spacing_mm=(3.0, 3.0, 3.0), thickness_mm=3.0)
BALLS = (
    ((-30.0, 10.0, 20.0), 12.0),
    ((25.0, -20.0, -15.0), 7.0),
    ((10.0, 22.0, 5.0), 9.0),
)
"""Centre and radius in mm."""

KINDS = ("solid", "part-solid", "ground-glass", "calcified")


@dataclass(frozen=True)
class Case:
    """What documents are made of."""

    source: Path
    volume: CTVolume
    assessment: Assessment
    outlines: Outlines


def ball(volume, center_mm, radius_mm):
    """The voxels of a ball, on the part of the grid that holds them."""
    index = np.stack(
        np.meshgrid(*map(np.arange, volume.grid.shape), indexing="ij"), axis=-1
    )
    apart = volume.grid.to_world(index) - np.array(center_mm)
    inside = np.linalg.norm(apart, axis=-1) <= radius_mm
    hit = np.argwhere(inside)
    start, stop = hit.min(axis=0), hit.max(axis=0) + 1
    box = tuple(slice(a, b) for a, b in zip(start, stop, strict=True))
    return Mask(inside[box], volume.grid.crop(tuple(start), tuple(stop)))


def nodule(number, center_mm, radius_mm, mask):
    """A nodule whose numbers all differ, so that none can be taken for another."""
    return Nodule(
        center_mm=center_mm,
        diameter_mm=2 * radius_mm - 0.3,
        long_axis_mm=2 * radius_mm + 0.25,
        short_axis_mm=2 * radius_mm - 0.85,
        volume_mm3=mask.volume_mm3 + 0.125,
        type=KINDS[number % 4],
        solid_diameter_mm=radius_mm,
        side="left" if center_mm[0] > 0 else "right",
        lobe="upper lobe" if number == 1 else None,
        detection_score=0.9 - 0.1 * number,
        malignancy=Probability(0.6 - 0.1 * number, 0.3 - 0.1 * number, 0.8),
    )


def assess_as_if(volume, balls=BALLS, **changes):
    """An assessment and its outlines, nothing of it found by a network."""
    masks = tuple(ball(volume, *b) for b in balls)
    label = np.zeros(volume.grid.shape, np.uint8)
    middle = label.shape[2] // 2
    label[4:-4, 8:-8, 4:middle], label[4:-4, 8:-8, middle:-4] = 1, 2
    outlines = Outlines(volume.series_uid, masks, Mask(label, volume.grid))
    fields = {
        "series_uid": volume.series_uid,
        "scope": Scope(True),
        "cancer_probability": Probability(0.34, 0.12, 0.61),
        "nodules": tuple(
            nodule(n, *b, m) for n, (b, m) in enumerate(zip(balls, masks, strict=True))
        ),
        "guidelines": Guidelines(
            lung_rads={"category": "4B", "findings": ["4B", "3", "2"]}
        ),
        "notices": (*volume.notices, Notice("odd", "Größe ≥ 8 mm is odd.", "measure")),
        "provenance": Provenance(
            version="9.8.7",
            settings={"malignancy": {"weights": "malignancy"}},
            weights={"malignancy.xml": "ab" * 32, "nodules.xml": "cd" * 32},
            timings_s={},
            source=describe_source(volume),
            outlines_sha256=outlines.sha256,
        ),
    }
    return Assessment(**{**fields, **changes}), outlines


def make_case(folder, spec=SPEC, *, enhanced=False, drop=(), **changes):
    """Write a series and assess it as if."""
    folder.mkdir(parents=True, exist_ok=True)
    if enhanced:
        write_slice(make_enhanced(spec), folder / "a.dcm")
    else:
        slices = [s for n, s in enumerate(make_slices(spec)) if n not in drop]
        write_slices(slices, folder)
    volume = read_dicom(folder)
    return Case(folder, volume, *assess_as_if(volume, **changes))


def out_of_scope(case):
    """The same, out of scope: no probability of anything."""
    nodules = tuple(
        replace(n, malignancy=Probability.UNKNOWN) for n in case.assessment.nodules
    )
    told = replace(
        case.assessment,
        scope=Scope(False, ("Slices are 8.0 mm apart.",)),
        cancer_probability=Probability.UNKNOWN,
        nodules=nodules,
        guidelines=Guidelines(),
    )
    return replace(case, assessment=told)
