"""Where a nodule lies: lobe with its doubt, side, and distance from the pleura."""

import numpy as np
import pytest
from nodule_scenes import all_lung, ball, candidate, grid_around, paint

from hilum.findings import Nodule
from hilum.phantom.anatomy import build_anatomy
from hilum.phantom.lobes import fissure_waves, lobe_of
from hilum.phantom.person import Person
from hilum.space import Grid
from hilum.stages.measure import NoduleMeasurer
from hilum.stages.measure.lobes import Lobes, LungShape, lung_shapes
from hilum.stages.measure.place import pleura_mm, share_outside, side_of
from hilum.volume import Mask


def box_of_lung(label=2, low=2, high=38, size=40, step_mm=6.0):
    """A cube of lung in a cube of nothing, its middle in the origin."""
    labels = np.zeros((size,) * 3, np.uint8)
    labels[low:high, low:high, low:high] = label
    start = -(size - 1) / 2 * step_mm
    return Mask(labels, Grid.axial((size,) * 3, (step_mm,) * 3, origin_mm=(start,) * 3))


def test_half_of_a_left_lung_is_upper_lobe():
    # 23.2 of 46.4 % lie below the fissure, so it runs through the middle of a cube
    shape = lung_shapes(box_of_lung())["left"]
    assert shape.lobes_at((0, 0, 0)).upper == pytest.approx(0.5, abs=0.03)
    top_front, bottom_back = (0, -90, 90), (0, 90, -90)  # y points to the back
    assert shape.lobes_at(top_front).upper > 0.99
    assert shape.lobes_at(bottom_back).lower > 0.99
    assert shape.lobes_at(top_front).name("left") == "left upper lobe"
    assert shape.lobes_at((0, 0, 0)).name("left") is None


def test_the_right_lung_has_a_middle_lobe_at_its_front_below():
    shape = lung_shapes(box_of_lung(label=1))["right"]
    below_front, above_front = (0, -100, -60), (0, -60, 100)
    assert shape.lobes_at(above_front).name("right") == "right upper lobe"
    low = shape.lobes_at(below_front)
    assert low.middle > low.upper
    assert low.middle > low.lower


@pytest.mark.parametrize("side", ["left", "right"])
def test_lobes_add_up_and_higher_is_never_less_upper(side):
    label = {"right": 1, "left": 2}[side]
    shape = lung_shapes(box_of_lung(label=label))[side]
    found = [shape.lobes_at((0, 10, z)) for z in np.linspace(-110, 110, 23)]
    for lobes in found:
        assert lobes.upper + lobes.middle + lobes.lower == pytest.approx(1)
        assert min(lobes.upper, lobes.middle, lobes.lower) >= 0
    assert (np.diff([lobes.upper for lobes in found]) >= 0).all()
    assert (np.diff([lobes.lower for lobes in found]) <= 0).all()


def test_twice_the_person_has_the_same_lobes():
    one = lung_shapes(box_of_lung(step_mm=4.0))["left"]
    two = lung_shapes(box_of_lung(step_mm=8.0))["left"]
    for point in ((0, 20, 30), (5, -30, -10), (0, 0, 45)):
        double = tuple(2 * c for c in point)
        assert one.lobes_at(point).upper == pytest.approx(
            two.lobes_at(double).upper, abs=0.02
        )


def test_a_lung_that_the_scan_cuts_or_that_is_not_there_has_no_lobes():
    assert lung_shapes(box_of_lung(low=0)) == {}
    assert set(lung_shapes(box_of_lung(label=1))) == {"right"}


def test_only_what_is_clear_is_named():
    assert Lobes(0.1, 0.0, 0.9).name("left") == "left lower lobe"
    assert Lobes(0.0, 0.95, 0.05).name("right") == "right middle lobe"
    assert Lobes(0.89, 0.0, 0.11).name("left") is None


@pytest.mark.slow
def test_on_phantoms_what_is_said_of_the_upper_lobes_is_mostly_right():
    # their fissures are drawn otherwise: the lower lobes have 35 %, not 49 %
    said, right = [], []
    for seed in (0, 1):
        anatomy = build_anatomy(Person.from_seed(seed))
        person = anatomy.person
        grid = Grid.axial((54, 47, 54), (6.0, 6.0, 6.0), origin_mm=(-160, -140, -170))
        points = grid.to_world(np.argwhere(np.ones(grid.shape)))
        standard = points / np.array(person.scale)[::-1]
        inside = anatomy.at("lung", points) < 0
        labels = np.where(inside, np.where(standard[:, 0] < 2, 1, 2), 0)
        lungs = Mask(labels.reshape(grid.shape).astype(np.uint8), grid)
        shapes = lung_shapes(lungs)
        chosen = np.random.default_rng(seed).choice(np.flatnonzero(inside), 200)
        truth = lobe_of(fissure_waves(person), standard[chosen])
        for n, lobe in zip(chosen, truth, strict=True):
            shape: LungShape = shapes["right" if labels[n] == 1 else "left"]
            upper = shape.lobes_at(tuple(points[n])).upper
            said.append(upper >= 0.9 or upper <= 0.1)
            right.append((upper > 0.5) == (lobe in (0, 3)))
    assert np.mean(said) > 0.5
    assert np.mean(np.array(right)[said]) > 0.9


def cube(grid, low, high):
    voxels = np.zeros(grid.shape, bool)
    voxels[low[0] : high[0], low[1] : high[1], low[2] : high[2]] = True
    return Mask(voxels, grid)


def test_the_distance_from_the_pleura_by_hand():
    # lung from column 5 on, nodule from column 12 on, voxels of 0.5 mm: columns 5 to
    # 11 lie between, 7 * 0.5 = 3.5 mm
    grid = Grid.axial((30, 60, 60), (1.0, 0.5, 0.5))
    labels = np.ones(grid.shape, np.uint8)
    labels[:, :, :5] = 0
    lungs = Mask(labels, grid)
    nodule = cube(grid, (12, 25, 12), (16, 33, 20))
    assert pleura_mm(nodule, lungs, "right") == pytest.approx(3.5)
    touching = cube(grid, (12, 25, 5), (16, 33, 20))
    assert pleura_mm(touching, lungs, "right") == 0
    through = cube(grid, (12, 25, 3), (16, 33, 20))
    assert pleura_mm(through, lungs, "right") == 0
    assert pleura_mm(nodule, all_lung(grid), "right") == 10
    # the other lung is not this one: its border counts as surface
    assert pleura_mm(nodule, lungs, "left") == 0


def test_how_much_lies_outside_the_lungs_by_hand():
    grid = Grid.axial((30, 60, 60), (1.0, 0.5, 0.5))
    labels = np.ones(grid.shape, np.uint8)
    labels[:, :, :5] = 0
    labels[:, :, 40:] = 2  # the other lung is lung too
    lungs = Mask(labels, grid)
    assert share_outside(cube(grid, (12, 25, 1), (16, 33, 9)), lungs) == 0.5
    assert share_outside(cube(grid, (12, 25, 36), (16, 33, 44)), lungs) == 0
    part = grid.crop((10, 20, 0), (20, 40, 30))
    cut = cube(grid, (12, 25, 1), (16, 33, 9)).voxels[10:20, 20:40, :30]
    assert share_outside(Mask(cut, part), lungs) == 0.5


@pytest.mark.parametrize(("edge", "codes"), [(34, []), (26, ["nodule-outside-lungs"])])
def test_a_finding_outside_the_lungs_says_so(edge, codes):
    grid = grid_around(60, (1.0, 1.0, 1.0))
    volume = paint(grid, (ball((0, 0, 0), 10), 40))
    labels = np.zeros(grid.shape, np.uint8)
    labels[:, :, :edge] = 1
    place = candidate((0, 0, 0), 10)
    measure = NoduleMeasurer(weights="")
    (found,) = measure.measure(volume, (place,), Mask(labels, grid))
    assert [n.code for n in found.notices if n.code.endswith("lungs")] == codes


def test_the_distance_does_not_hang_on_how_much_grid_the_mask_has():
    grid = Grid.axial((30, 60, 60), (1.0, 0.5, 0.5))
    labels = np.ones(grid.shape, np.uint8)
    labels[:, :, :5] = 0
    whole = cube(grid, (12, 25, 12), (16, 33, 20))
    part = grid.crop((10, 20, 10), (20, 40, 30))
    cut = Mask(whole.voxels[10:20, 20:40, 10:30], part)
    lungs = Mask(labels, grid)
    assert pleura_mm(cut, lungs, "right") == pleura_mm(whole, lungs, "right")


def test_a_measured_nodule_knows_its_place():
    grid = grid_around(60, (1.25, 0.7, 0.7))
    volume = paint(grid, (ball((0, 0, 0), 8), 40))
    found = candidate((0.5, 0, 0), 8)
    alone = NoduleMeasurer(weights="")(volume, (found,), all_lung(grid))[0]
    assert alone.side == "right"
    assert alone.juxtapleural is False
    # the lungs fill the volume to its ends, so the scan cuts them
    assert alone.lobe is None
    assert alone.upper_lobe is None
    nowhere = Mask(np.zeros(grid.shape, np.uint8), grid)
    lost = NoduleMeasurer(weights="")(volume, (found,), nowhere)[0]
    assert lost.side is None
    assert lost.juxtapleural is None
    assert side_of(nowhere, (0.0, 0.0, 0.0)) is None


def test_upper_lobe_is_yes_no_or_doubt():
    def at(chance):
        return Nodule(
            center_mm=(0, 0, 0),
            diameter_mm=8.0,
            long_axis_mm=8.0,
            short_axis_mm=8.0,
            volume_mm3=268.0,
            type="solid",
            solid_diameter_mm=8.0,
            side="left",
            upper_lobe_probability=chance,
            detection_score=0.9,
        ).upper_lobe

    assert [at(p) for p in (None, 0.05, 0.5, 0.95)] == [None, False, None, True]
