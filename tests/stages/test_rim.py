"""A thin rim of ground glass: found by fitting where there is one, and only there."""

import math
import re
from dataclasses import replace

import numpy as np
import pytest
from nodule_scenes import (
    all_lung,
    ball,
    candidate,
    ellipsoid,
    grid_around,
    paint,
    rod,
    wall,
)
from scipy import ndimage

from hilum.stages.measure import NoduleMeasurer, fitting
from hilum.stages.measure._rim_kernels import residuals, show_ellipsoids
from hilum.stages.measure.rim import Rim
from hilum.stages.measure.search import Search
from hilum.volume import CTVolume, Mask

MEASURE = NoduleMeasurer(weights="")
THIN = (1.25, 0.7, 0.7)
THICK = (2.5, 0.7, 0.7)
GLASS_HU, CORE_HU = -600, 20


def scan(*things, size_mm=24, spacing_mm=THIN, seed=0):
    """A scene as a scanner shows it: blurred by 0.4 mm in the plane, noise of 20 HU."""
    grid = grid_around(size_mm, spacing_mm)
    sharp = paint(grid, *things).hu.astype(np.float64)
    hu = ndimage.gaussian_filter(sharp, (0, 0.4 / 0.7, 0.4 / 0.7))
    hu += np.random.default_rng(seed).normal(0, 20, hu.shape)
    return CTVolume.from_array(hu, grid, "scan")


def measure(volume, found):
    return MEASURE.measure(volume, (found,), all_lung(volume.grid))[0].nodule


@pytest.mark.parametrize("spacing_mm", [(0.7, 0.7, 0.7), THIN, THICK])
@pytest.mark.parametrize("diameter_mm", [6, 8])
def test_a_rim_of_two_pixels_belongs_to_the_nodule(diameter_mm, spacing_mm):
    center, core_mm = (0.2, -0.1, 0.3), diameter_mm / 2
    things = (ball(center, diameter_mm), GLASS_HU), (ball(center, core_mm), CORE_HU)
    volume = scan(*things, spacing_mm=spacing_mm)
    nodule = measure(volume, candidate((0.6, 0.3, -0.2), 0.9 * diameter_mm))
    assert nodule.type == "part-solid"
    assert nodule.diameter_mm == pytest.approx(diameter_mm, abs=0.4)
    assert nodule.volume_mm3 == pytest.approx(math.pi / 6 * diameter_mm**3, rel=0.1)
    assert nodule.solid_diameter_mm == pytest.approx(core_mm, abs=0.4)
    np.testing.assert_allclose(nodule.center_mm, center, atol=0.15)


@pytest.mark.parametrize(
    ("inside", "level"),
    [
        (ball((0.2, -0.1, 0.3), 6), CORE_HU),
        (ellipsoid((0, 0, 0), (3.5, 2.5, 3)), CORE_HU),
        (ball((0.2, -0.1, 0.3), 7), GLASS_HU),
        (ball((0.2, -0.1, 0.3), 5), 600),
        (ball((0.2, -0.1, 0.3), 4), 800),
    ],
)
def test_a_nodule_of_one_level_has_no_rim(inside, level, monkeypatch):
    fitted = spy(monkeypatch)
    measure(scan((inside, level)), candidate((0.5, 0.2, 0), 6))
    assert [rim.clear for rim in fitted] == [False]


def test_a_fitted_rim_is_said():
    def said(*things):
        volume = scan(*things)
        found = candidate((0.6, 0.3, -0.2), 7)
        return MEASURE.measure(volume, (found,), all_lung(volume.grid))[0].notices

    center = (0.2, -0.1, 0.3)
    core = ball(center, 4), CORE_HU
    (notice,) = said((ball(center, 8), GLASS_HU), core)
    assert notice.code == "nodule-rim-fitted"
    (whole,) = re.findall(r"([\d.]+) mm in all", notice.message)
    (part,) = re.findall(r"core of ([\d.]+) mm", notice.message)
    assert float(whole) == pytest.approx(8, abs=0.4)
    assert float(part) == pytest.approx(4, abs=0.4)
    assert "nodule-rim-fitted" not in {n.code for n in said((ball(center, 7), CORE_HU))}


def test_what_is_no_ellipsoid_is_not_fitted(monkeypatch):
    # two balls side by side: much is left over with one rim or none
    fitted = spy(monkeypatch)
    volume = scan((ball((-2, 0, 0), 4), 20), (ball((1.8, 1, 0), 4), 20))
    measure(volume, candidate((0, 0, 0), 7))
    assert [rim.likely for rim in fitted] == [False]


def test_a_vessel_beside_the_rim_is_left_out():
    center = (4.6, 0.1, 0.2)
    things = (ball(center, 7), GLASS_HU), (ball(center, 3.5), CORE_HU)
    volume = scan((rod(0.8), 0), *things)
    nodule = measure(volume, candidate((4.9, 0.3, 0), 7))
    assert nodule.diameter_mm == pytest.approx(7, abs=0.6)


def beside_a_wall(center_x_mm, monkeypatch):
    """A core in a rim, 7 mm wide, beside a wall to the left of x = 0."""
    fitted = spy(monkeypatch)
    center = (center_x_mm, 0.1, 0.2)
    things = (ball(center, 7), GLASS_HU), (ball(center, 3.5), CORE_HU)
    volume = scan(*things, (wall(0.0), 30), size_mm=34)
    x = volume.grid.to_world(np.moveaxis(np.indices(volume.grid.shape), 0, -1))[..., 0]
    lungs = Mask((x < 0).astype(np.uint8), volume.grid)
    found = candidate((center_x_mm - 0.3, 0.2, 0), 7)
    return MEASURE.measure(volume, (found,), lungs)[0], fitted


@pytest.mark.parametrize("center_x_mm", [-9.0, -4.5, -3.2])
def test_mask_and_volume_of_a_fitted_rim_are_of_one_thing(center_x_mm, monkeypatch):
    found, _ = beside_a_wall(center_x_mm, monkeypatch)
    assert "nodule-rim-fitted" in {n.code for n in found.notices}
    assert found.nodule.volume_mm3 == pytest.approx(math.pi / 6 * 7**3, rel=0.15)
    assert found.mask.volume_mm3 == pytest.approx(found.nodule.volume_mm3, rel=0.15)


def test_a_rim_that_reaches_into_the_wall_is_not_fitted(monkeypatch):
    # a fifth of the ball lies in the wall; what fits is all of it, and is not taken
    found, fitted = beside_a_wall(-1.5, monkeypatch)
    assert fitted[0].clear
    assert "nodule-rim-fitted" not in {n.code for n in found.notices}


def test_a_nodule_that_is_joined_is_not_fitted(monkeypatch):
    fitted = spy(monkeypatch)
    volume = scan((ball((0, 0, 0), 7), GLASS_HU), (ball((0, 0, 0), 3.5), CORE_HU))
    found, lungs = candidate((0, 0, 0), 7), all_lung(volume.grid)

    def codes():
        return {n.code for n in MEASURE.measure(volume, (found,), lungs)[0].notices}

    assert "nodule-rim-fitted" in codes()
    assert fitted.pop().clear
    # as if its dense part ran on to where the search ends
    monkeypatch.setattr(Search, "leaks", lambda _search, _cells: True)
    assert codes() == {"nodule-joined"}
    assert fitted == []


def test_what_lies_in_the_wall_is_not_in_the_volume():
    rim = Rim(np.zeros(3), np.diag([1 / 4, 1 / 9, 1 / 16]), 0.5, 250.0, 900.0, 500,
              0.3, 1.0)  # fmt: skip
    part = replace(rim, inside=0.96)
    assert part.volume_mm3 == pytest.approx(0.96 * rim.volume_mm3)


def test_a_large_dense_nodule_is_not_fitted(monkeypatch):
    fitted = spy(monkeypatch)
    measure(scan((ball((0, 0, 0), 12), 20), size_mm=34), candidate((0, 0, 0), 12))
    assert fitted == [None]


@pytest.mark.parametrize(("glass_hu", "wide_mm"), [(-700, 15), (-690, 20)])
def test_a_faint_halo_counts_where_it_is_even(glass_hu, wide_mm):
    # 160 and 170 HU above the lung
    things = (ball((0, 0, 0), wide_mm), glass_hu), (ball((0, 0, 0), 9), CORE_HU)
    nodule = measure(scan(*things, size_mm=44), candidate((0.5, 0, 0), wide_mm))
    assert nodule.diameter_mm == pytest.approx(wide_mm, rel=0.05)
    assert nodule.type == "part-solid"


# ---- the picture that is fitted ----


@pytest.mark.parametrize(("whole_mm", "core_mm"), [(8, 4), (16, 7)])  # rim, halo
def test_the_dense_part_is_measured_alone_as_well(whole_mm, core_mm):
    core = (ball((0, 0, 0), core_mm), CORE_HU)
    glass = (ball((0, 0, 0), whole_mm), GLASS_HU)
    found = {}
    for name, things in (("whole", (glass, core)), ("core", (core,))):
        volume = scan(*things, size_mm=44)
        place = candidate((0.5, 0.2, -0.2), core_mm)
        (found[name],) = MEASURE.measure(volume, (place,), all_lung(volume.grid))
    whole, alone = found["whole"], found["core"]
    assert alone.dense is None
    assert whole.nodule.volume_mm3 > 3 * whole.dense.volume_mm3
    # the edge of a core lies half-way to the glass around it, not to the lung
    assert whole.dense.diameter_mm == pytest.approx(alone.nodule.diameter_mm, abs=1.0)
    assert whole.dense.diameter_mm == pytest.approx(core_mm, abs=1.0)


def test_blur_and_slices_keep_the_volume():
    # half-axes 3, 4 and 5 mm, turned in the plane of slices and rows
    turn = np.array([[0.8, 0.6, 0], [-0.6, 0.8, 0], [0, 0, 1]])
    form = turn.T @ np.diag([1 / 9, 1 / 16, 1 / 25]) @ turn
    steps = [np.arange(-12, 12.01, s) for s in (1.0, 0.5, 0.5)]
    points = np.stack(np.meshgrid(*steps, indexing="ij"), -1).reshape(-1, 3)
    shares = np.empty((2, len(points)))
    show_ellipsoids(points, form, np.array([0.5, 1.0]), 0.5, 1.0, shares)
    volumes = shares.sum(axis=1) * 0.25
    whole = 4 / 3 * math.pi * 60
    np.testing.assert_allclose(volumes, [whole / 8, whole], rtol=0.03)
    assert shares.min() > -1e-9
    assert shares.max() <= 1 + 1e-9


def test_levels_are_those_that_leave_least():
    # both columns and the levels are known, so nothing is left over
    rng = np.random.default_rng(0)
    shares = rng.random((2, 50))
    none, levels, left = np.zeros(2), np.empty(2), np.empty(50)
    residuals(shares, 600 * shares[0] + 250 * shares[1], none, none, levels, left)
    np.testing.assert_allclose(levels, [600, 250], rtol=1e-4)
    np.testing.assert_allclose(left, 0, atol=0.1)


def test_usual_levels_pull():
    # one ellipsoid that fills nothing: only what is usual speaks
    levels, left = np.empty(2), np.empty(50)
    usual = np.array([260.0, 880.0])
    residuals(np.zeros((2, 50)), np.zeros(50), np.ones(2), usual, levels, left)
    np.testing.assert_allclose(levels, [620, 260], rtol=1e-4)


@pytest.mark.parametrize("place", [9, 10])
@pytest.mark.parametrize("far", [-5000.0, 5000.0])
def test_a_step_too_far_is_a_number_and_not_an_error(place, far):
    # beside metal a step may go anywhere; exp of 5000 would end the assessment
    points = np.random.default_rng(0).uniform(-4, 4, (60, 3))
    scene = fitting._Scene(points, np.full(60, 3000.0), 20.0, THIN)
    at = fitting._start(np.eye(3), 3.0, (0.0,))
    at[place] = far
    left, levels, _ = scene._left(at)
    assert np.isfinite(left).all()
    assert np.isfinite(levels).all()


def test_a_core_is_a_fifth_to_nine_tenths_of_the_whole():
    # the logistic curve: 0.2 + 0.7 / (1 + 1/e^x); e^x = 4 gives 0.2 + 0.7 x 4/5
    shares = [fitting._share(x) for x in (-1e9, 0, math.log(4), 1e9)]
    np.testing.assert_allclose(shares, [0.2, 0.55, 0.76, 0.9])


def test_sizes_of_a_rim_by_hand():
    # half-axes 2 (slice), 3 and 4 mm: 4/3 pi 24 = 100.5 mm3, axes of 8 and 6 mm
    form = np.diag([1 / 4, 1 / 9, 1 / 16])
    rim = Rim(np.zeros(3), form, 0.5, 250.0, 900.0, 500, 0.3, 1.0)
    assert rim.volume_mm3 == pytest.approx(100.53, abs=0.01)
    assert rim.axes_mm == pytest.approx((8, 6))
    assert rim.clear


@pytest.mark.parametrize(
    "told",
    [
        {"glass_hu": 60.0},
        {"glass_hu": 500.0},
        {"core_hu": 400.0},
        {"core_hu": 1200.0},
        {"core": 0.85},
        {"rough": 2.0},
        {"gain": 0.005},
        {"voxels": 15},
    ],
)
def test_a_rim_in_doubt_is_none(told):
    usual = {
        "center": np.zeros(3),
        "form": np.eye(3),
        "core": 0.5,
        "glass_hu": 250.0,
        "core_hu": 900.0,
        "voxels": 500,
        "gain": 0.3,
        "rough": 1.0,
    }
    assert Rim(**usual).clear
    assert not Rim(**{**usual, **told}).clear


def spy(monkeypatch):
    """What was fitted, whether or not it was taken."""
    from hilum.stages.measure import outline  # noqa: PLC0415  to replace a name in it

    fitted = []

    def fit(*given):
        fitted.append(fitting.fit_rim(*given))
        return fitted[-1]

    monkeypatch.setattr(outline, "fit_rim", fit)
    return fitted
