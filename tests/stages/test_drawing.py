import csv
import math

import numpy as np
import pytest
from nodule_scenes import all_lung, ball, candidate, grid_around, paint

from hilum.dicom import read_dicom
from hilum.errors import InputError, WeightsError
from hilum.runtime.outlines import nodule_probabilities, probabilities_of
from hilum.runtime.predictor import load_predictor
from hilum.space import Grid
from hilum.stages.lungs import LungSegmenter
from hilum.stages.measure import NoduleMeasurer, measurer
from hilum.stages.measure.drawing import DRAWN_LEVEL, Drawing, draw_all

THIN = (1.25, 0.7, 0.7)


def cone(radius_mm, spacing_mm=(1.5, 0.8, 0.8), shape=(25, 45, 45)):
    # probability falls by 0.25 a mm and is at the level on the sphere
    grid = Grid.axial(shape, spacing_mm)
    middle = grid.to_world((np.array(shape) - 1) / 2 + 0.2)
    points = grid.to_world(np.argwhere(np.ones(shape)))
    off = np.linalg.norm(points - middle, axis=1)
    chances = np.clip(DRAWN_LEVEL + (radius_mm - off) / 4, 0, 1).reshape(shape)
    chances = chances.astype(np.float32)
    drawing = Drawing(probability=chances, cells=chances > DRAWN_LEVEL, grid=grid)
    return drawing, middle


def dense(hu):
    return (hu > -400).astype(np.float32)


def measure(volume, found, **settings):
    stage = NoduleMeasurer(**settings)
    return stage.measure(volume, (found,), all_lung(volume.grid))[0]


@pytest.mark.parametrize("radius_mm", [3, 5.5, 9])
def test_a_sphere_of_probability_measures_what_it_is(radius_mm):
    drawing, middle = cone(radius_mm)
    assert drawing.volume_mm3() == pytest.approx(
        4 / 3 * math.pi * radius_mm**3,
        rel=0.06,  # slices of 1.5 mm, interpolated
    )
    np.testing.assert_allclose(drawing.center_mm, middle, atol=0.25)


def test_a_part_that_was_left_out_does_not_count():
    drawing, _ = cone(4)
    other = drawing.probability.copy()
    other[0, :8, :8] = 1
    both = Drawing(probability=other, cells=drawing.cells, grid=drawing.grid)
    assert both.volume_mm3() == drawing.volume_mm3()


@pytest.mark.parametrize("times", [0.5, 1.0, 2.0])
def test_a_diameter_half_or_twice_as_large_draws_the_same(times):
    volume = paint(grid_around(60, THIN), (ball((0, 0, 0), 10), 40))
    (drawing,) = draw_all(volume, [((0.5, 0.5, 0.5), 10 * times)], predict=dense)
    assert drawing.sphere_mm == pytest.approx(10, rel=0.06)


def test_several_at_once_are_drawn_as_one_by_one():
    things = [(ball((n * 20, 0, 0), 7 + n), 40) for n in (-1, 0, 1)]
    volume = paint(grid_around(70, THIN), *things)
    places = [((20.0 * n + 0.5, 0.5, 0.0), d) for n, d in ((-1, 6), (0, 16), (1, 8))]
    together = draw_all(volume, places, predict=dense)
    for place, drawing in zip(places, together, strict=True):
        (alone,) = draw_all(volume, [place], predict=dense)
        np.testing.assert_array_equal(drawing.probability, alone.probability)
        np.testing.assert_array_equal(drawing.cells, alone.cells)


def test_a_batch_of_the_network_gives_what_it_gives_one_by_one():
    volume = paint(grid_around(60, THIN), (ball((-12, 0, 0), 8), 40), noise_hu=20)
    places = [((-12.0, 0.0, 0.0), 8.0), ((12.0, 4.0, 0.0), 11.0)]
    predict = load_predictor("segmentation")
    together = probabilities_of(volume, places, predict=predict)
    for place, (chances, grid) in zip(places, together, strict=True):
        alone, same = nodule_probabilities(volume, *place, predict=predict, mirrored=1)
        assert grid.same_as(same)
        # 1e-5, and the step of 1e-4 to which probabilities are resampled
        np.testing.assert_allclose(chances, alone, atol=1.1e-4)


def test_what_the_network_does_not_see_is_not_drawn():
    volume = paint(grid_around(30, THIN), (ball((0, 0, 0), 8), 40))
    assert draw_all(volume, [((0, 0, 0), 8)], predict=lambda hu: 0 * hu) == [None]
    assert draw_all(volume, [], predict=dense) == []
    with pytest.raises(InputError, match="another series"):
        draw_all(volume, [((0, 0, 900), 8)], predict=dense)
    with pytest.raises(InputError, match="above 0"):
        draw_all(volume, [((0, 0, 0), 0.0)], predict=dense)


def test_unseen_by_the_network_is_measured_at_the_edge(monkeypatch):
    volume = paint(grid_around(40, THIN), (ball((0, 0, 0), 9), 40))
    found = candidate((0.4, 0, 0), 9)
    monkeypatch.setattr(measurer, "load_predictor", lambda name: lambda hu: 0 * hu)
    seen = measure(volume, found)
    assert seen.nodule == measure(volume, found, weights="").nodule
    assert seen.drawn is None
    assert seen.shown is seen.mask


@pytest.mark.parametrize("diameter_mm", [6, 9, 14])
@pytest.mark.parametrize("hu", [40, -600])
def test_a_ball_measures_what_it_is_though_it_is_drawn_wider(diameter_mm, hu):
    volume = paint(grid_around(50, THIN), (ball((0.2, 0, 0.1), diameter_mm), hu))
    found = measure(volume, candidate((0.8, 0.3, 0), diameter_mm))
    nodule = found.nodule
    assert nodule.diameter_mm == pytest.approx(diameter_mm, abs=0.6)
    assert nodule.volume_mm3 == pytest.approx(math.pi / 6 * diameter_mm**3, rel=0.1)
    drawn_mm3 = np.count_nonzero(found.drawn.voxels) * volume.grid.voxel_mm3
    assert 0.98 < math.cbrt(6 * drawn_mm3 / math.pi) / diameter_mm < 1.2
    assert found.shown is found.drawn
    assert nodule.type == ("solid" if hu == 40 else "ground-glass")
    np.testing.assert_allclose(nodule.center_mm, (0.2, 0, 0.1), atol=0.5)
    assert found.notices == ()


def test_a_mass_and_nothing_at_all_are_not_drawn():
    mass = paint(grid_around(90, (2.5, 0.9, 0.9)), (ball((1, 2, 0), 40), 40))
    empty = paint(grid_around(30, THIN), noise_hu=5)
    for volume, found in (
        (mass, candidate((1, 2, 0), 40)),
        (empty, candidate((0, 0, 0), 6)),
    ):
        drawn, at_edge = measure(volume, found), measure(volume, found, weights="")
        assert drawn.nodule == at_edge.nodule
        assert drawn.notices == at_edge.notices


def test_outlines_that_differ_are_said_to_and_the_edge_decides(monkeypatch):
    volume = paint(grid_around(50, THIN), (ball((0, 0, 0), 7), 40))
    wide = paint(grid_around(50, THIN), (ball((0, 0, 0), 16), 40))
    here = NoduleMeasurer().measure(
        volume, (candidate((0, 0, 0), 7),), all_lung(volume.grid)
    )[0]
    assert [n.code for n in here.notices] == []
    drawings = draw_all(wide, [((0.0, 0.0, 0.0), 16)], predict=dense)
    monkeypatch.setattr(measurer, "draw_all", lambda *a, **k: drawings)
    there = measure(volume, candidate((0, 0, 0), 7))
    assert [n.code for n in there.notices] == ["nodule-outlines-differ"]
    at_edge = measure(volume, candidate((0, 0, 0), 7), weights="")
    assert there.nodule.volume_mm3 == at_edge.nodule.volume_mm3
    assert there.nodule.diameter_error_mm > at_edge.nodule.diameter_error_mm
    assert there.drawn is None
    np.testing.assert_array_equal(there.mask.voxels, at_edge.mask.voxels)


def test_absent_weights_are_refused_before_any_work():
    with pytest.raises(WeightsError):
        NoduleMeasurer(weights="no-such-weights").check()
    NoduleMeasurer(weights="").check()
    assert NoduleMeasurer(weights="").digests() == {}
    assert set(NoduleMeasurer().digests()) == {"segmentation.xml", "segmentation.bin"}


@pytest.mark.real
def test_annotated_nodules_measure_what_their_readers_included(real_data):
    # by the rules of LIDC the lines run outside the nodule; annotations.csv counts
    # what they enclose, half a pixel more on each side than the readers included
    rng = np.random.default_rng(0)
    with (real_data / "annotations.csv").open() as file:
        rows = [r for r in csv.DictReader(file) if r["patient"] == "LIDC-IDRI-0012"]
    volume = read_dicom(real_data / "ct" / "LIDC-IDRI-0012")
    lungs = LungSegmenter()(volume)
    half_mm = volume.grid.spacing_mm[1] / 2
    off, held = [], []
    for row in rows:
        size = float(row["diameter_mm"]) - 2 * half_mm
        center = np.array([float(row[k]) for k in ("coordX", "coordY", "coordZ")])
        found = candidate(center + rng.normal(size=3) * 0.8, size * 1.2)
        nodule = NoduleMeasurer()(volume, (found,), lungs)[0]
        assert np.linalg.norm(np.array(nodule.center_mm) - center) < 3
        sphere_mm = (6 * nodule.volume_mm3 / math.pi) ** (1 / 3)
        off.append(sphere_mm - size)
        held.append(abs(sphere_mm - size) <= nodule.diameter_error_mm)
    assert abs(np.median(off)) < 0.35
    assert np.mean(held) >= 0.9
