"""New, gone and all between, on balls whose truth is known; no network."""

import math
from dataclasses import replace

import numpy as np
import pytest

from hilum.compare import Registration, compare_readings
from hilum.findings import (
    Alignment,
    Assessment,
    Candidate,
    Comparison,
    Guidelines,
    Probability,
    Provenance,
    Scope,
)
from hilum.outlines import Outlines
from hilum.pipeline import Reading
from hilum.space import Grid
from hilum.stages.measure import NoduleMeasurer
from hilum.volume import CTVolume, Mask

SHAPE = (64, 64, 64)
MEASURE = NoduleMeasurer(weights="")
ALIGNMENT = Alignment(overlap=0.98, likeness=0.95, doubt_mm=1.0)


def scan(balls, *, moved_mm=0.0, crop=0, uid="1"):
    """Balls (x, diameter, score) in a row in lung; below 0.3 only candidates."""
    grid = Grid.axial(SHAPE, (1.0, 1.0, 1.0))
    z, y, x = np.indices(SHAPE)
    hu = np.full(SHAPE, -850.0)
    found = []
    for at, diameter_mm, score in balls:
        center = (at + moved_mm, 32.0, 32.0)
        far = np.sqrt((x - center[0]) ** 2 + (y - 32) ** 2 + (z - 32) ** 2)
        hu += 890 * np.clip(diameter_mm / 2 - far + 0.5, 0, 1)
        if score > 0:
            found.append(Candidate(center, diameter_mm, score))
    volume = CTVolume.from_array(hu, grid, uid)
    volume = volume.crop((0, 0, crop), SHAPE)
    lungs = Mask(np.ones(volume.grid.shape, np.uint8), volume.grid)
    kept = tuple(c for c in found if c.score >= 0.3)
    measured = MEASURE.measure(volume, kept, lungs)
    assessment = Assessment(
        series_uid=uid,
        scope=Scope(True),
        cancer_probability=Probability.UNKNOWN,
        nodules=tuple(m.nodule for m in measured),
        guidelines=Guidelines(),
        notices=(),
        provenance=Provenance(
            version="1", settings={}, weights={}, timings_s={}, source={}
        ),
    )
    outlines = Outlines(uid, tuple(m.mask for m in measured), lungs)
    return Reading(volume, lungs, tuple(found), measured, assessment, outlines)


def compared(prior, current, *, moved_mm=0.0, days=100):
    """Compare scans of which one is moved along x, the map being known."""
    affine = np.eye(4)
    affine[0, 3] = -moved_mm
    grid = Grid.axial((2, 2, 2), (64.0, 64.0, 64.0))
    registration = Registration(
        affine, np.zeros((2, 2, 2, 3), np.float32), grid, None, None
    )
    return compare_readings(
        prior,
        current,
        registration=registration,
        alignment=ALIGNMENT,
        days=days,
        measure=MEASURE,
    )


@pytest.fixture(scope="module")
def comparison():
    # 1 stays, 2 grows from 6 to 8 mm, 3 goes, 4 comes; the later scan lies 5 mm left
    prior = [(10, 8, 0.9), (24, 6, 0.8), (40, 7, 0.7)]
    current = [(24, 8, 0.9), (10, 8, 0.8), (52, 6, 0.7)]
    return compared(scan(prior), scan(current, moved_mm=5.0), moved_mm=5.0)


def test_each_nodule_is_named(comparison):
    named = [(c.status, c.prior, c.current) for c in comparison.changes]
    assert named == [
        ("grown", 2, 1),
        ("stable", 1, 2),
        ("new", None, 3),
        ("gone", 3, None),
    ]


def test_places_are_given_in_both_scans(comparison):
    grown, _, new, gone = comparison.changes
    assert grown.prior_mm == pytest.approx((24, 32, 32), abs=0.3)
    assert grown.current_mm == pytest.approx((29, 32, 32), abs=0.3)
    assert new.prior_mm == pytest.approx((52, 32, 32), abs=0.3)  # would be there
    assert gone.current_mm == pytest.approx((45, 32, 32), abs=0.3)
    assert new.before is None
    assert gone.now is None


def test_growth_is_that_of_the_balls(comparison):
    # 6 to 8 mm: ln(8^3 / 6^3) = 0.863; 100 days * ln 2 / 0.863 = 80.3 days
    growth = comparison.changes[0].growth
    assert growth.low < (8 / 6) ** 3 - 1 < growth.high
    assert growth.shortest_days < 80.3 < growth.longest_days
    assert growth.doubling_time_days == pytest.approx(80.3, rel=0.1)
    assert "work-up" in comparison.changes[0].rule


def test_a_comparison_survives_json(comparison):
    assert Comparison.from_json(comparison.to_json()) == comparison


def test_a_change_is_found_by_its_number(comparison):
    assert comparison.change_of(2).prior == 1
    assert comparison.change_of(9) is None


@pytest.mark.parametrize("score", [0.1, 0.0])  # a weaker candidate, or none at all
def test_what_is_below_the_threshold_is_neither_new_nor_gone(score):
    shown, faint = [(30, 8, 0.9)], [(30, 7.5, score)]
    (change,) = compared(scan(faint), scan(shown)).changes
    assert (change.status, change.prior, change.current) == ("stable", None, 1)
    assert change.below_threshold == "prior"
    assert "below the threshold" in change.rule
    assert change.before is not None
    (change,) = compared(scan(shown), scan(faint)).changes
    assert (change.status, change.prior, change.current) == ("stable", 1, None)
    assert change.below_threshold == "current"


def test_what_is_below_the_threshold_elsewhere_is_not_taken():
    prior = scan([(14, 8, 0.1)])
    (change,) = compared(prior, scan([(30, 8, 0.9)])).changes
    assert change.status == "new"
    assert change.growth is None
    assert "nor anything weaker" in change.rule


def test_a_weaker_candidate_inside_a_nodule_is_not_another_one():
    prior = scan([(30, 12, 0.9)])
    lobule = Candidate((33.0, 32.0, 32.0), 5.0, 0.2)
    prior = replace(prior, candidates=(*prior.candidates, lobule))
    changes = compared(prior, scan([(30, 12, 0.9), (41, 6, 0.8)])).changes
    assert [c.status for c in changes] == ["stable", "new"]


def test_a_place_that_the_prior_does_not_show_is_not_new():
    prior = scan([(40, 8, 0.9)], crop=20)
    changes = compared(prior, scan([(40, 8, 0.9), (10, 8, 0.8)])).changes
    assert [c.status for c in changes] == ["stable", "not-covered"]
    assert "does not show the place" in changes[1].rule
    (_, gone) = compared(scan([(40, 8, 0.9), (10, 8, 0.8)]), prior).changes
    assert gone.status == "not-covered"
    assert gone.prior == 2


def test_scans_without_nodules_have_no_changes():
    assert compared(scan([]), scan([])).changes == ()


def test_days_change_the_rate_and_not_the_change():
    prior, current = scan([(30, 6, 0.9)]), scan([(30, 8, 0.9)])
    (soon,), (late,) = (compared(prior, current, days=d).changes for d in (100, 1000))
    assert soon.growth.volume_change == late.growth.volume_change
    ratio = late.growth.doubling_time_days / soon.growth.doubling_time_days
    assert ratio == pytest.approx(10)
    assert math.isfinite(late.growth.longest_days)
