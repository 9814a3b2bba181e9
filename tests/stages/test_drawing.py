import csv
import math

import numpy as np
import pytest
from nodule_scenes import all_lung, ball, candidate, grid_around, paint

from hilum.dicom import read_dicom
from hilum.errors import InputError, WeightsError
from hilum.space import Grid
from hilum.stages.lungs import LungSegmenter
from hilum.stages.measure import NoduleMeasurer, measurer
from hilum.stages.measure.drawing import DRAWN_LEVEL, Drawing, draw

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
    np.testing.assert_allclose(drawing.axes_mm(), 2 * radius_mm, atol=0.25)
    assert drawing.volume_mm3() == pytest.approx(
        4 / 3 * math.pi * radius_mm**3,
        rel=0.06,  # slices of 1.5 mm, interpolated
    )
    np.testing.assert_allclose(drawing.center_mm, middle, atol=0.25)


def test_a_row_of_voxels_measures_to_where_the_probability_crosses_the_level():
    # 1 inside and 0 outside cross 0.6 at 0.4 of a voxel beyond the last centre:
    # 5 voxels of 0.5 mm are 4.8 * 0.5 = 2.4 mm long and 0.8 * 0.5 = 0.4 mm wide
    chances = np.zeros((3, 5, 9), np.float32)
    chances[1, 2, 2:7] = 1
    grid = Grid.axial(chances.shape, (2.0, 0.5, 0.5))
    drawing = Drawing(probability=chances, cells=chances > 0.6, grid=grid)
    long_mm, short_mm = drawing.axes_mm()
    assert long_mm == pytest.approx(2.4, abs=1e-6)
    assert short_mm == pytest.approx(0.4, abs=0.11)  # chords are stepped by 0.1 mm


def test_a_part_that_was_left_out_does_not_count():
    drawing, _ = cone(4)
    other = drawing.probability.copy()
    other[0, :8, :8] = 1
    both = Drawing(probability=other, cells=drawing.cells, grid=drawing.grid)
    assert both.volume_mm3() == drawing.volume_mm3()
    assert both.axes_mm() == drawing.axes_mm()


@pytest.mark.parametrize("times", [0.5, 1.0, 2.0])
def test_a_diameter_half_or_twice_as_large_draws_the_same(times):
    volume = paint(grid_around(60, THIN), (ball((0, 0, 0), 10), 40))
    drawing = draw(volume, (0.5, 0.5, 0.5), 10 * times, predict=dense)
    assert drawing.sphere_mm == pytest.approx(10, rel=0.06)


def test_what_the_network_does_not_see_is_not_drawn():
    volume = paint(grid_around(30, THIN), (ball((0, 0, 0), 8), 40))
    assert draw(volume, (0, 0, 0), 8, predict=lambda hu: 0 * hu) is None
    with pytest.raises(InputError, match="another series"):
        draw(volume, (0, 0, 900), 8, predict=dense)


def test_unseen_by_the_network_is_measured_at_the_edge(monkeypatch):
    volume = paint(grid_around(40, THIN), (ball((0, 0, 0), 9), 40))
    found = candidate((0.4, 0, 0), 9)
    monkeypatch.setattr(measurer, "load_predictor", lambda name: lambda hu: 0 * hu)
    assert measure(volume, found).nodule == measure(volume, found, weights="").nodule


@pytest.mark.parametrize("diameter_mm", [6, 9, 14])
@pytest.mark.parametrize("hu", [40, -600])
def test_a_ball_is_drawn_a_little_outside_its_edge(diameter_mm, hu):
    volume = paint(grid_around(50, THIN), (ball((0.2, 0, 0.1), diameter_mm), hu))
    drawn = measure(volume, candidate((0.8, 0.3, 0), diameter_mm))
    assert 0.98 < drawn.nodule.diameter_mm / diameter_mm < 1.18
    assert drawn.nodule.short_axis_mm <= drawn.nodule.long_axis_mm
    assert drawn.nodule.type == ("solid" if hu == 40 else "ground-glass")
    np.testing.assert_allclose(drawn.nodule.center_mm, (0.2, 0, 0.1), atol=0.5)
    assert drawn.notices == ()


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
    drawing = draw(wide, (0.0, 0.0, 0.0), 16, predict=dense)
    monkeypatch.setattr(measurer, "draw", lambda *a, **k: drawing)
    there = measure(volume, candidate((0, 0, 0), 7))
    assert [n.code for n in there.notices] == ["nodule-outlines-differ"]
    at_edge = measure(volume, candidate((0, 0, 0), 7), weights="")
    assert there.nodule == at_edge.nodule
    np.testing.assert_array_equal(there.mask.voxels, at_edge.mask.voxels)


def test_absent_weights_are_refused_before_any_work():
    with pytest.raises(WeightsError):
        NoduleMeasurer(weights="no-such-weights").check()
    NoduleMeasurer(weights="").check()
    assert NoduleMeasurer(weights="").digests() == {}
    assert set(NoduleMeasurer().digests()) == {"segmentation.xml", "segmentation.bin"}


@pytest.mark.real
def test_annotated_nodules_are_drawn_as_large_as_readers_draw_them(real_data):
    rng = np.random.default_rng(0)
    with (real_data / "annotations.csv").open() as file:
        rows = [r for r in csv.DictReader(file) if r["patient"] == "LIDC-IDRI-0012"]
    volume = read_dicom(real_data / "ct" / "LIDC-IDRI-0012")
    lungs = LungSegmenter()(volume)
    ratios = []
    for row in rows:
        size = float(row["diameter_mm"])
        center = np.array([float(row[k]) for k in ("coordX", "coordY", "coordZ")])
        found = candidate(center + rng.normal(size=3) * 0.8, size * 1.2)
        nodule = NoduleMeasurer()(volume, (found,), lungs)[0]
        assert np.linalg.norm(np.array(nodule.center_mm) - center) < 3
        ratios.append((6 * nodule.volume_mm3 / math.pi) ** (1 / 3) / size)
    assert 0.93 < np.median(ratios) < 1.1
