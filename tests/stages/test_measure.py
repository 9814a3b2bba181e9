import csv
import json
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
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

from hilum.dicom import read_dicom
from hilum.errors import InputError
from hilum.settings import fill, to_table
from hilum.space import Grid
from hilum.stages.lungs import LungSegmenter
from hilum.stages.measure import Measurement, NoduleMeasurer, segment_nodule
from hilum.stages.measure.levels import level_at_edge
from hilum.stages.measure.neighbourhood import cut_out
from hilum.volume import Acquisition, CTVolume, Mask

MEASURE = NoduleMeasurer(weights="")  # at the edge; drawn ones: test_drawing.py
THIN = (1.25, 0.7, 0.7)
THICK = (2.5, 0.7, 0.7)


def sphere_mm3(diameter_mm):
    return math.pi / 6 * diameter_mm**3


def measure(volume, found, lungs=None):
    return MEASURE.measure(volume, (found,), lungs or all_lung(volume.grid))[0]


# ---- lengths and volume, by hand ----


@pytest.mark.parametrize("spacing_mm", [(0.7, 0.7, 0.7), THIN, THICK])
@pytest.mark.parametrize("diameter_mm", [5, 8, 12, 20])
def test_a_ball_measures_what_it_is(diameter_mm, spacing_mm):
    center = (0.21, -0.13, 0.37)
    grid = grid_around(1.8 * diameter_mm + 20, spacing_mm)
    volume = paint(grid, (ball(center, diameter_mm), 40), noise_hu=20)
    found = candidate((0.9, -0.7, 0.1), 1.15 * diameter_mm)
    nodule = measure(volume, found).nodule
    assert nodule.diameter_mm == pytest.approx(
        diameter_mm, abs=max(0.6, 0.05 * diameter_mm)
    )
    assert nodule.volume_mm3 == pytest.approx(sphere_mm3(diameter_mm), rel=0.1)
    np.testing.assert_allclose(nodule.center_mm, center, atol=0.2)
    assert nodule.type == "solid"
    assert nodule.solid_diameter_mm == nodule.diameter_mm


@pytest.mark.parametrize("turn_deg", [0, 30, 75])
def test_axes_of_a_turned_ellipsoid(turn_deg):
    # semi-axes 8, 5 and 6 mm: axes of 16 and 10 mm on the slice through the middle,
    # mean diameter 13 mm, volume 4/3 pi 8 * 5 * 6 = 1005.3 mm3
    body = ellipsoid((0.2, 0.1, 0.3), (8, 5, 6), turn_deg=turn_deg)
    volume = paint(grid_around(42, THIN), (body, 40), noise_hu=20)
    nodule = measure(volume, candidate((0.8, 0.3, -0.5), 12)).nodule
    assert nodule.long_axis_mm == pytest.approx(16, abs=0.4)
    assert nodule.short_axis_mm == pytest.approx(10, abs=0.4)
    assert nodule.diameter_mm == (nodule.long_axis_mm + nodule.short_axis_mm) / 2
    assert nodule.volume_mm3 == pytest.approx(1005.3, rel=0.05)


def test_axes_lie_in_the_axial_plane_whatever_the_height():
    # 20 mm tall, but 8 mm across on every slice that is level
    body = ellipsoid((0, 0, 0), (4, 4, 10))
    volume = paint(grid_around(45, THIN), (body, 40))
    nodule = measure(volume, candidate((0, 0, 0), 11)).nodule
    assert nodule.long_axis_mm == pytest.approx(8, abs=0.4)
    assert nodule.volume_mm3 == pytest.approx(4 / 3 * math.pi * 160, rel=0.06)


def test_ground_glass_is_measured_to_its_own_edge():
    volume = paint(grid_around(45, THIN), (ball((0, 0, 0), 12), -620), noise_hu=25)
    nodule = measure(volume, candidate((0.8, 0.5, -0.6), 10)).nodule
    assert nodule.type == "ground-glass"
    assert nodule.solid_diameter_mm == 0
    assert nodule.diameter_mm == pytest.approx(12, abs=0.8)
    assert nodule.volume_mm3 == pytest.approx(sphere_mm3(12), rel=0.12)


def test_slices_of_8_mm_still_give_the_diameter():
    volume = paint(grid_around(90, (8.0, 0.7, 0.7)), (ball((0.2, 0.4, 1.5), 15), 40))
    nodule = measure(volume, candidate((0.5, 0.8, 0.5), 15)).nodule
    assert nodule.diameter_mm == pytest.approx(15, abs=0.75)
    assert nodule.volume_mm3 == pytest.approx(sphere_mm3(15), rel=0.15)


def test_a_mass_is_found_whole_from_a_candidate_of_half_its_size():
    volume = paint(grid_around(90, (2.5, 0.9, 0.9)), (ball((1, 2, 0), 44), 40))
    nodule = measure(volume, candidate((3, 3, 1), 24)).nodule
    assert nodule.diameter_mm == pytest.approx(44, rel=0.03)
    assert nodule.volume_mm3 == pytest.approx(sphere_mm3(44), rel=0.05)


def test_a_candidate_of_twice_the_size_finds_the_same_nodule():
    volume = paint(grid_around(60, THIN), (ball((0, 0, 0), 10), 40), noise_hu=20)
    nodule = measure(volume, candidate((1, 1, 0.5), 20)).nodule
    assert nodule.diameter_mm == pytest.approx(10, abs=0.5)


def test_thickness_that_only_dicom_tells_changes_nothing():
    plain = paint(grid_around(35, (2.0, 0.7, 0.7)), (ball((0, 0, 0.6), 5), 40))
    told = replace(plain, acquisition=Acquisition(slice_thickness_mm=6.0))
    here = candidate((0.3, 0, 0), 5)
    one, other = measure(told, here), measure(plain, here)
    assert one.nodule == other.nodule
    np.testing.assert_array_equal(one.mask.voxels, other.mask.voxels)


# ---- laws ----


@settings(max_examples=8)
@given(st.tuples(st.integers(-2, 2), st.integers(-5, 5), st.integers(-5, 5)))
def test_moving_by_whole_voxels_moves_the_centre_alone(shift):
    grid = grid_around(40, THIN)
    volume = paint(grid, (ball((0.3, 0.1, 0.2), 8), 40), noise_hu=15)
    moved = CTVolume(np.roll(volume.hu, shift, (0, 1, 2)), grid, "moved")
    step = grid.to_world(shift) - grid.to_world((0, 0, 0))
    # 0.03 mm off the voxel grid, so that no rounding falls on a tie
    a = measure(volume, candidate((0.53, 0.03, 0.03), 8)).nodule
    b = measure(moved, candidate(np.array((0.53, 0.03, 0.03)) + step, 8)).nodule
    np.testing.assert_allclose(np.array(b.center_mm) - a.center_mm, step, atol=1e-3)
    for name in ("long_axis_mm", "short_axis_mm", "volume_mm3"):
        assert getattr(b, name) == pytest.approx(getattr(a, name), rel=1e-4)


def test_a_bigger_ball_never_measures_smaller():
    grid = grid_around(50, THICK)
    sizes, volumes = [], []
    for diameter_mm in (4, 5, 6, 7, 9, 11, 14, 18):
        scene = paint(grid, (ball((0.2, 0.1, 0.9), diameter_mm), 40))
        nodule = measure(scene, candidate((0, 0, 0), diameter_mm)).nodule
        sizes.append(nodule.diameter_mm)
        volumes.append(nodule.volume_mm3)
    assert sizes == sorted(sizes)
    assert volumes == sorted(volumes)


def test_twice_the_scale_is_twice_the_diameter_and_eight_times_the_volume():
    small = paint(grid_around(40, THIN), (ball((0, 0, 0), 9), 40))
    double = [2 * s for s in THIN]
    grid = Grid.axial(small.grid.shape, double, origin_mm=2 * small.grid.affine[:3, 3])
    large = CTVolume(small.hu, grid, "double")
    a = measure(small, candidate((0.5, 0, 0), 9)).nodule
    b = measure(large, candidate((1.0, 0, 0), 18)).nodule
    assert b.diameter_mm == pytest.approx(2 * a.diameter_mm, rel=0.02)
    assert b.volume_mm3 == pytest.approx(8 * a.volume_mm3, rel=0.02)


def test_the_same_input_gives_the_same_result():
    volume = paint(grid_around(35, THIN), (ball((0, 0, 0), 7), 40), noise_hu=30)
    found = candidate((0.6, 0.6, 0.6), 7)
    assert measure(volume, found).nodule == measure(volume, found).nodule


# ---- neighbours ----


@pytest.mark.parametrize("spacing_mm", [THIN, THICK])
@pytest.mark.parametrize("lungs_know_it", [True, False])
def test_a_ball_on_the_wall_is_cut_at_the_pleura(spacing_mm, lungs_know_it):
    # a ball of 8 mm sunk 1.5 mm into a wall at x = 2.5: 6.5 mm stand out of it.
    # The cap in the wall is pi h^2 (3 r - h) / 3 = 24.7 of its 268.1 mm3.
    grid = grid_around(42, spacing_mm)
    body = ball((0, 0, 0), 8)
    volume = paint(grid, (wall(2.5), 50), (body, 40), noise_hu=20)
    z, y, x = np.meshgrid(
        *(
            np.arange(n) * s + o
            for n, s, o in zip(
                grid.shape, grid.spacing_mm, grid.affine[:3, 3][::-1], strict=True
            )
        ),
        indexing="ij",
    )
    air = (x <= 2.5) & (lungs_know_it | ~body(x, y, z))
    lungs = Mask(air.astype(np.uint8), grid)
    nodule = measure(volume, candidate((-0.8, 0.3, 0.5), 8), lungs).nodule
    assert nodule.long_axis_mm == pytest.approx(8, abs=0.7)
    assert 6.2 <= nodule.short_axis_mm <= 8.2
    assert nodule.volume_mm3 == pytest.approx(268.1 - 24.7, rel=0.12)


@pytest.mark.parametrize("radius_mm", [0.75, 1.25])
def test_a_vessel_is_cut_off_the_ball_on_it(radius_mm):
    volume = paint(
        grid_around(42, THIN), (rod(radius_mm), 30), (ball((2, 0, 0), 8), 40)
    )
    nodule = measure(volume, candidate((1.5, 0.8, 0.5), 8)).nodule
    assert nodule.diameter_mm == pytest.approx(8, abs=0.9)
    assert nodule.volume_mm3 == pytest.approx(sphere_mm3(8), rel=0.1)


def test_a_thick_vessel_is_cut_at_the_candidates_size_and_said_so():
    volume = paint(grid_around(50, THIN), (rod(4), 40), noise_hu=10)
    found = measure(volume, candidate((0, 0, 0), 8))
    assert found.nodule.long_axis_mm < 14
    assert "nodule-joined" in [notice.code for notice in found.notices]


# ---- kinds ----


@pytest.mark.parametrize("diameter_mm", [8, 14])
def test_part_solid_is_measured_whole_and_core(diameter_mm):
    # a candidate as large as the core, and one as large as the nodule
    volume = paint(
        grid_around(55, THIN),
        (ball((0, 0, 0), 14), -620),
        (ball((1, 0.5, 0), 8), 20),
        noise_hu=20,
    )
    nodule = measure(volume, candidate((0.5, 0.8, 0.5), diameter_mm)).nodule
    assert nodule.type == "part-solid"
    assert nodule.diameter_mm == pytest.approx(14, abs=0.7)
    assert nodule.solid_diameter_mm == pytest.approx(8, abs=0.8)


def test_calcified_by_its_core():
    volume = paint(
        grid_around(40, THIN), (ball((0, 0, 0), 9), 60), (ball((0, 0, 0), 7), 700)
    )
    nodule = measure(volume, candidate((0.5, 0, 0), 9)).nodule
    assert nodule.type == "calcified"
    assert nodule.diameter_mm == pytest.approx(9, abs=0.7)


@pytest.mark.parametrize(("rim_hu", "core_mm"), [(230, 3.3), (600, 0.0)])
def test_the_volume_of_a_calcified_nodule_does_not_hang_on_its_core(rim_hu, core_mm):
    # 6 mm; a core of 600 HU in a rim of 230 HU, or 600 HU throughout
    grid = grid_around(24, THIN)
    things = [(ball((0.2, -0.1, 0.3), 6), rim_hu)]
    if core_mm:
        things.append((ball((0.2, -0.1, 0.3), core_mm), 600))
    sharp = paint(grid, *things).hu.astype(np.float64)
    hu = ndimage.gaussian_filter(sharp, (0, 0.4 / 0.7, 0.4 / 0.7))
    volume = CTVolume.from_array(hu, grid, "scan")
    nodule = measure(volume, candidate((0.5, 0.2, 0), 6)).nodule
    assert nodule.type == "calcified"
    assert nodule.volume_mm3 == pytest.approx(sphere_mm3(6), rel=0.07)


def test_a_large_calcified_ball_keeps_its_volume():
    # its cells are coarse: the outermost are cut by the edge, whose level is too low
    grid = grid_around(60, THIN)
    volume = paint(grid, (ball((0.2, -0.1, 0.3), 30), 600))
    nodule = measure(volume, candidate((0.5, 0.2, 0), 30)).nodule
    assert nodule.volume_mm3 == pytest.approx(sphere_mm3(30), rel=0.03)


def test_the_level_at_the_edge_is_that_of_the_rim_and_not_above_the_inside():
    grid = grid_around(30, (0.7, 0.7, 0.7))
    center = (0.0, 0.0, 0.0)
    volume = paint(grid, (ball(center, 10), 240), (ball(center, 5), 700))
    hood = cut_out(volume, candidate(center, 10), all_lung(grid))
    cells = hood.distance_mm <= 5.0
    assert level_at_edge(hood, cells, 700.0) == pytest.approx(240, abs=5)
    assert level_at_edge(hood, cells, 200.0) == 200.0
    speck = hood.distance_mm <= 0.4  # nothing in it lies as deep as its edge is wide
    assert level_at_edge(hood, speck, 700.0) == 700.0


def test_a_fleck_of_calcium_does_not_make_a_nodule_calcified():
    volume = paint(
        grid_around(45, THIN), (ball((0, 0, 0), 14), 40), (ball((2, 0, 0), 3), 700)
    )
    assert measure(volume, candidate((0, 0, 0), 14)).nodule.type == "solid"


def test_what_counts_as_calcified_is_a_setting():
    volume = paint(grid_around(35, THIN), (ball((0, 0, 0), 9), 150))
    found = candidate((0, 0, 0), 9)
    lungs = all_lung(volume.grid)
    strict = NoduleMeasurer(weights="", calcified_hu=120.0)
    assert MEASURE(volume, (found,), lungs)[0].type == "solid"
    assert strict(volume, (found,), lungs)[0].type == "calcified"


# ---- side, order, score, mask ----


@pytest.mark.parametrize(("label", "side"), [(1, "right"), (2, "left")])
def test_side_is_that_of_the_lung(label, side):
    volume = paint(grid_around(30, THICK), (ball((0, 0, 0), 7), 40))
    lungs = all_lung(volume.grid, label)
    assert measure(volume, candidate((0, 0, 0), 7), lungs).nodule.side == side


@pytest.mark.parametrize(("gap_mm", "side"), [(6, "left"), (14, None)])
def test_just_outside_the_nearest_lung_within_10_mm_counts(gap_mm, side):
    grid = grid_around(50, THICK)
    volume = paint(grid, (ball((0, 0, 0), 6), 40))
    voxels = np.zeros(grid.shape, np.uint8)
    column = round(float(grid.to_index((gap_mm, 0, 0))[2]))
    voxels[:, :, column:] = 2
    nodule = measure(volume, candidate((0, 0, 0), 6), Mask(voxels, grid)).nodule
    assert nodule.side == side


def test_order_and_scores_are_those_of_the_candidates():
    grid = grid_around(70, THICK)
    volume = paint(grid, (ball((-15, 0, 0), 6), 40), (ball((15, 0, 0), 10), 40))
    found = (
        candidate((15, 0, 0), 10, 0.2),
        candidate((-15, 0, 0), 6, 0.9),
    )
    nodules = MEASURE(volume, found, all_lung(grid))
    assert [nodule.detection_score for nodule in nodules] == [0.2, 0.9]
    assert nodules[0].diameter_mm > nodules[1].diameter_mm
    assert nodules[0].malignancy.value is None


def test_no_candidates_give_no_nodules():
    volume = paint(grid_around(20, THICK))
    assert MEASURE(volume, (), all_lung(volume.grid)) == ()


def test_the_mask_lies_on_voxels_of_the_volume():
    grid = grid_around(45, THICK)
    body = ball((3, -4, 2), 12)
    volume = paint(grid, (body, 40))
    found = candidate((3, -4, 2), 12)
    mask = segment_nodule(volume, found, all_lung(grid))
    first = grid.to_index(mask.grid.to_world((0, 0, 0)))
    np.testing.assert_allclose(first, np.rint(first), atol=1e-6)
    np.testing.assert_allclose(mask.grid.spacing_mm, grid.spacing_mm)
    points = mask.grid.to_world(np.argwhere(mask.voxels))
    np.testing.assert_allclose(points.mean(axis=0), (3, -4, 2), atol=0.3)
    assert mask.volume_mm3 == pytest.approx(sphere_mm3(12), rel=0.1)
    assert isinstance(measure(volume, found), Measurement)
    np.testing.assert_array_equal(measure(volume, found).mask.voxels, mask.voxels)


def test_a_mass_gets_a_mask_of_whole_voxels_too():
    grid = grid_around(80, (1.5, 0.7, 0.7))
    volume = paint(grid, (ball((1, 1, 1), 36), 40))
    mask = segment_nodule(volume, candidate((0, 0, 0), 36), all_lung(grid))
    np.testing.assert_allclose(mask.grid.spacing_mm, grid.spacing_mm)
    assert mask.volume_mm3 == pytest.approx(sphere_mm3(36), rel=0.05)


# ---- doubts and refusals ----


def test_nothing_there_gives_the_candidates_sphere_and_a_notice():
    volume = paint(grid_around(30, THICK), noise_hu=15)
    found = measure(volume, candidate((1, 2, 3), 6.5))
    nodule = found.nodule
    assert (nodule.diameter_mm, nodule.long_axis_mm, nodule.center_mm) == (
        6.5,
        6.5,
        (1, 2, 3),
    )
    assert nodule.volume_mm3 == pytest.approx(143.79, abs=0.01)  # pi / 6 * 6.5^3
    assert [notice.code for notice in found.notices] == ["nodule-not-outlined"]
    assert found.notices[0].stage == "measure"
    assert "6.5 mm" in found.notices[0].message
    assert found.mask.voxels.any()


def test_a_sound_nodule_has_no_notice():
    volume = paint(grid_around(35, THIN), (ball((0, 0, 0), 8), 40))
    assert measure(volume, candidate((0.5, 0, 0), 8)).notices == ()


def test_a_size_far_from_the_candidates_is_said():
    volume = paint(grid_around(60, THIN), (ball((0, 0, 0), 8), 40))
    found = measure(volume, candidate((0, 0, 0), 20))
    assert [notice.code for notice in found.notices] == ["nodule-size-differs"]
    assert "20.0 mm" in found.notices[0].message


def test_a_candidate_outside_the_volume_is_refused():
    volume = paint(grid_around(30, THICK))
    top = volume.grid.to_world(np.array(volume.grid.shape) - 1)[2]
    outside = candidate((0, 0, top + 1.25 + 22), 6)
    with pytest.raises(InputError, match=r"22\.0 mm outside .* another series"):
        MEASURE(volume, (outside,), all_lung(volume.grid))
    with pytest.raises(InputError, match="another series"):
        segment_nodule(volume, outside, all_lung(volume.grid))


def test_lungs_of_another_volume_are_refused():
    volume = paint(grid_around(30, THICK))
    with pytest.raises(InputError, match="lungs of this volume"):
        MEASURE(volume, (), all_lung(grid_around(20, THICK)))


@pytest.mark.parametrize("bad", [0.0, -1.0, float("nan"), float("inf")])
def test_a_candidate_without_a_size_is_refused(bad):
    volume = paint(grid_around(30, THICK))
    with pytest.raises(InputError, match="above 0"):
        MEASURE(volume, (candidate((0, 0, 0), bad),), all_lung(volume.grid))


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("far", [False, True])
def test_a_nodule_at_the_edge_of_the_volume_is_measured(axis, far):
    grid = grid_around(30, THICK)
    corner = np.array(grid.shape) / 2 - 0.5
    corner[axis] = grid.shape[axis] - 1 if far else 0
    center = grid.to_world(corner)
    volume = paint(grid, (ball(center, 8), 40))
    nodule = measure(volume, candidate(center, 8)).nodule
    # half of the ball was scanned, or a little more: half a voxel
    assert 0.4 < nodule.volume_mm3 / sphere_mm3(8) < 0.8
    assert nodule.long_axis_mm == pytest.approx(8, abs=0.9)


@settings(max_examples=30)
@given(st.integers(0, 2**32 - 1))
def test_whatever_the_volume_the_numbers_are_sound(seed):
    rng = np.random.default_rng(seed)
    shape = tuple(int(n) for n in rng.integers(1, (12, 30, 30)))
    grid = Grid.axial(shape, tuple(rng.uniform((0.5, 0.4, 0.4), (8, 1, 1))))
    hu = (
        rng.integers(-1024, 3071, shape),
        np.full(shape, rng.integers(-1024, 3071)),
        np.where(rng.random(shape) < 0.2, 40, -850),
    )[seed % 3]
    volume = CTVolume(hu.astype(np.int16), grid, "random")
    lungs = Mask((rng.random(shape) < 0.7).astype(np.uint8), grid)
    where = grid.to_world(rng.uniform(-0.4, np.array(shape) - 0.6))
    found = measure(volume, candidate(where, rng.choice([0.1, 3, 9, 40])), lungs)
    nodule = found.nodule
    json.dumps(nodule.to_json(), allow_nan=False)
    assert nodule.long_axis_mm >= nodule.short_axis_mm > 0
    assert 0 <= nodule.solid_diameter_mm <= nodule.diameter_mm
    assert nodule.volume_mm3 > 0
    assert found.mask.voxels.any()


def test_settings_survive_a_table():
    stage = NoduleMeasurer(solid_hu=-300.0)
    assert fill(NoduleMeasurer, to_table(stage), table="measure") == stage


# ---- real nodules ----


@pytest.mark.real
@pytest.mark.slow
def test_annotated_nodules_come_out_near_the_readers(real_data):
    rng = np.random.default_rng(0)
    with (real_data / "annotations.csv").open() as file:
        rows = [r for r in csv.DictReader(file) if r["patient"] == "LIDC-IDRI-0012"]
    volume = read_dicom(real_data / "ct" / "LIDC-IDRI-0012")
    lungs = LungSegmenter()(volume)
    ratios = []
    for row in rows:
        jitter = rng.normal(size=3)
        jitter *= 1.5 / np.linalg.norm(jitter)
        center = [float(row[k]) for k in ("coordX", "coordY", "coordZ")]
        size = float(row["diameter_mm"])
        found = candidate(np.array(center) + jitter, size * rng.choice([0.8, 1.2]))
        nodule = measure(volume, found, lungs).nodule
        assert np.linalg.norm(np.array(nodule.center_mm) - center) < 3
        ratios.append((6 * nodule.volume_mm3 / math.pi) ** (1 / 3) / size)
    # readers draw outside the half-way edge: docs/explanation/measurement.md
    assert 0.8 < np.median(ratios) < 1.0
    assert min(ratios) > 0.65
    assert max(ratios) < 1.3
