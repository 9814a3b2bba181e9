"""From cells to marks, and the detector with a network."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hilum.errors import InputError, WeightsError
from hilum.runtime.predictor import load_predictor
from hilum.space import Grid
from hilum.stages.nodules import NoduleDetector, detector, network
from hilum.stages.nodules.marks import Marks, marks_of, padded
from hilum.stages.nodules.network import network_marks
from hilum.stages.nodules.region import Region
from hilum.volume import CTVolume, Mask


def output(shape, *cells):
    """An answer; cells are (cell, chance, place, log of the diameter)."""
    out = np.zeros((*shape, 5), np.float32)
    for cell, chance, place, size in cells:
        out[cell] = (chance, *place, size)
    return out


def test_a_mark_by_hand():
    # cell (1, 2, 3) covers voxels 4-7, 8-11, 12-15: its centre is (5.5, 9.5, 13.5)
    out = output((4, 4, 4), ((1, 2, 3), 0.8, (0.5, -0.25, 0), np.log(6)))
    marks = marks_of(out, (16, 16, 16), least=0.1)
    np.testing.assert_allclose(marks.index, [[7.5, 8.5, 13.5]])
    np.testing.assert_allclose(marks.diameter, [6], rtol=1e-6)
    np.testing.assert_allclose(marks.chance, [0.8])


def test_the_surest_are_kept():
    cells = [((4 * n, 0, 0), 0.1 * (n + 1), (0, 0, 0), 1) for n in range(5)]
    marks = marks_of(output((20, 2, 2), *cells), (80, 8, 8), least=0.05, most=2)
    np.testing.assert_allclose(marks.chance, [0.5, 0.4], rtol=1e-6)


def test_a_neighbour_that_is_less_sure_is_no_mark():
    out = output(
        (4, 4, 4), ((1, 1, 1), 0.8, (0, 0, 0), 1), ((1, 1, 2), 0.7, (0, 0, 0), 1)
    )
    assert len(marks_of(out, (16, 16, 16), least=0.1).index) == 1


def test_a_mark_inside_a_surer_one_falls_away():
    cells = [((2, 2, 0), 0.8, (0, 0, 0), np.log(30)), ((2, 2, 3), 0.7, (0, 0, 0), 1)]
    assert len(marks_of(output((5, 5, 5), *cells), (20, 20, 20), least=0.1).index) == 1
    cells[0] = ((2, 2, 0), 0.8, (0, 0, 0), np.log(10))
    assert len(marks_of(output((5, 5, 5), *cells), (20, 20, 20), least=0.1).index) == 2


def test_what_is_unlikely_or_in_the_padding_is_no_mark():
    cells = [((0, 0, 0), 0.09, (0, 0, 0), 1), ((3, 3, 3), 0.9, (0, 0, 0), 1)]
    assert not len(marks_of(output((4, 4, 4), *cells), (12, 12, 12), least=0.1).index)


@given(st.lists(st.integers(1, 40), min_size=3, max_size=3))
def test_padding_goes_on_to_sizes_that_the_network_takes(shape):
    hu = np.random.default_rng(0).integers(-1000, 100, shape).astype(np.int16)
    out = padded(hu)[0, ..., 0]
    assert all(n % 16 == 0 for n in out.shape)
    np.testing.assert_array_equal(out[tuple(map(slice, shape))], hu)
    assert out[-1, -1, -1] == hu[-1, -1, -1]


def region(edge=32):
    grid = Grid.axial((edge,) * 3, spacing_mm=(1.0, 1.0, 1.0))
    rng = np.random.default_rng(0)
    hu = rng.integers(-900, -800, (edge,) * 3).astype(np.int16)
    hu[20, 12, 25] = 500
    return Region(hu, grid, Mask(np.ones((edge,) * 3, np.uint8), grid))


def brightest(hu):
    """A network that marks the brightest voxel where it is."""
    z, y, x = np.unravel_index(np.argmax(hu[0, ..., 0]), hu.shape[1:4])
    out = np.zeros((1, *(n // 4 for n in hu.shape[1:4]), 5), np.float32)
    cell = np.array([z, y, x]) // 4
    place = (np.array([z, y, x]) - (4 * cell + 1.5)) / 4
    out[0][tuple(cell)] = (0.9, *place, np.log(5))
    return out


def by_chance(marks):
    return np.log(marks.chance)


LOOKS = pytest.mark.parametrize("odds_of", [None, by_chance])


@LOOKS
def test_mirror_images_agree_on_the_place(odds_of):
    marks = network_marks(region(64), brightest, margin_mm=4, odds_of=odds_of)
    np.testing.assert_allclose(marks.index, [[20, 12, 25]], atol=1e-5)
    np.testing.assert_allclose(marks.diameter, [5], rtol=1e-5)


def test_a_mark_far_outside_the_lungs_falls_away():
    found = region()
    lungs = np.zeros((32, 32, 32), np.uint8)
    lungs[:8, :8, :8] = 1
    far = Region(found.hu, found.grid, Mask(lungs, found.grid))
    assert not len(network_marks(far, brightest, margin_mm=4).index)
    assert len(network_marks(far, brightest, margin_mm=30).index)


def shipped():
    return load_predictor("nodules")


def lung_with_a_ball(shape=(64, 64, 64)):
    rng = np.random.default_rng(1)
    hu = rng.normal(-850, 30, shape)
    off = np.indices(shape).T - np.array([30, 33, 28])
    hu[(np.linalg.norm(off, axis=-1) <= 5).T] = 20
    return hu.astype(np.int16)


@LOOKS
def test_the_shipped_network_marks_a_ball(odds_of):
    hu = lung_with_a_ball()
    grid = Grid.axial(hu.shape, spacing_mm=(1.0, 1.0, 1.0))
    region = Region(hu, grid, Mask(np.ones(hu.shape, np.uint8), grid))
    marks = network_marks(region, shipped(), margin_mm=4, odds_of=odds_of)
    assert np.linalg.norm(marks.index[0] - [30, 33, 28]) < 1.5
    assert marks.chance[0] > 0.5
    assert marks.diameter[0] == pytest.approx(10, rel=0.3)


@LOOKS
def test_where_the_region_begins_does_not_matter(odds_of):
    hu = np.full((96, 96, 96), -850, np.int16)
    off = np.indices(hu.shape).T - np.array([50, 47, 52])
    hu[(np.linalg.norm(off, axis=-1) <= 5).T] = 20
    grid = Grid.axial(hu.shape, spacing_mm=(1.0, 1.0, 1.0), origin_mm=(-30, 17, 5))

    def marked(start):
        part, box = hu[start[0] :, start[1] :, start[2] :], grid.crop(start, hu.shape)
        region = Region(
            part, box, Mask(np.ones(part.shape, np.uint8), box), (1.0, 2.0, 3.0)
        )
        marks = network_marks(region, shipped(), margin_mm=4, odds_of=odds_of)
        return box.to_world(marks.index[0]), marks.chance[0]

    place, chance = marked((0, 0, 0))
    for start in [(5, 3, 7), (16, 1, 0), (0, 9, 14)]:
        other, other_chance = marked(start)
        np.testing.assert_allclose(other, place, atol=0.05)
        assert other_chance == pytest.approx(chance, abs=0.02)  # the ends differ


def test_marks_are_the_same_whole_and_in_slabs(monkeypatch):
    hu = lung_with_a_ball((448, 32, 48))
    whole = network._in_slabs(padded(hu), shipped())
    monkeypatch.setattr(network, "MOST_VOXELS", 32 * 48 * 300)
    seen = []

    def predict(part):
        seen.append(part.shape[1])
        return shipped()(part)

    parts = network._in_slabs(padded(hu), predict)
    assert len(seen) > 2
    assert max(seen) <= 300
    steps = 0.02 if shipped().precision == "bf16" else 2e-4  # bf16 has 8 bits
    np.testing.assert_allclose(parts, whole, atol=steps)
    one, other = (marks_of(o, hu.shape, least=0.05) for o in (whole, parts))
    np.testing.assert_allclose(one.index, other.index, atol=0.1)


def test_a_second_look_at_what_looks_alike_changes_nothing():
    # `brightest` answers the same for mirror images
    hu = np.full((1, 64, 64, 64, 1), -850, np.float32)
    hu[0, 20, 12, 25] = 0
    said = brightest(hu)[0]
    marks = marks_of(said, (64, 64, 64), least=0.1)
    again = network._looked_again(hu[0], said, marks, marks.chance, brightest)
    at = np.unravel_index(said[..., 0].argmax(), said.shape[:3])
    np.testing.assert_allclose(again[at], said[at], atol=1e-5)


def test_only_the_best_near_the_lungs_and_no_mass_get_a_second_look(monkeypatch):
    monkeypatch.setattr(network, "LOOKED_AT_MOST", 1)
    cells = {"best": 6, "surer": 12, "outside": 18, "mass": 9}
    first = np.zeros((1, 24, 24, 24, 5), np.float32)
    for name, chance, mm in (
        ("best", 0.5, 8), ("surer", 0.6, 8), ("outside", 0.9, 8), ("mass", 0.8, 30)
    ):  # fmt: skip
        first[(0, *[cells[name]] * 3)] = (chance, 0, 0, 0, np.log(mm))

    def predict(hu):
        whole = hu.shape[1] == 96
        return first if whole else np.zeros((len(hu), 12, 12, 12, 5), np.float32)

    def odds_of(marks):
        at_best = np.isclose(marks.index[:, 0], 4 * cells["best"] + 1.5)
        return np.where(at_best, 3.0, marks.chance)

    grid = Grid.axial((96,) * 3, spacing_mm=(1.0, 1.0, 1.0))
    lungs = np.zeros(grid.shape, np.uint8)
    lungs[:60] = 1
    found = Region(np.full(grid.shape, -850, np.int16), grid, Mask(lungs, grid))
    marks = network_marks(found, predict, margin_mm=40, odds_of=odds_of)
    assert marks.chance.tolist() == pytest.approx([0.9, 0.8, 0.6, 0.125])
    marks = network_marks(found, predict, margin_mm=4, odds_of=lambda m: 10 * m.chance)
    # what lies outside is no mark, and takes no look from the surest in the lungs
    assert marks.chance.tolist() == pytest.approx([0.8, 0.5, 0.15])


def test_the_detector_looks_again_unless_told_otherwise(monkeypatch):
    given = []

    def no_marks(region, predict, *, margin_mm, odds_of):
        given.append(odds_of)
        return Marks(np.zeros((0, 3)), np.zeros(0), np.zeros(0))

    monkeypatch.setattr(detector, "network_marks", no_marks)
    hu = lung_with_a_ball()
    grid = Grid.axial(hu.shape, spacing_mm=(1.0, 1.0, 1.0))
    volume = CTVolume(hu, grid, "made")
    lungs = Mask(np.ones(hu.shape, np.uint8), grid)
    NoduleDetector()(volume, lungs)
    NoduleDetector(mirrored=False)(volume, lungs)
    looks, no_look = given
    assert no_look is None
    at_the_ball = Marks(np.array([[30.0, 33, 28]]), np.array([10.0]), np.array([0.5]))
    elsewhere = Marks(np.array([[50.0, 50, 50]]), np.array([10.0]), np.array([0.5]))
    assert looks(at_the_ball)[0] > looks(elsewhere)[0]  # by its dot


def test_who_gets_a_second_look_only_just_gets_little_of_it(monkeypatch):
    hu = np.full((96, 96, 96, 1), -850, np.float32)
    said = np.zeros((24, 24, 24, 5), np.float32)
    said[6, 6, 6, 0] = said[18, 18, 18, 0] = 0.5
    marks = marks_of(said, (96, 96, 96), least=0.1)

    def doubts(crops):
        return np.zeros((len(crops), 12, 12, 12, 5), np.float32)

    def chances(odds):
        again = network._looked_again(hu, said, marks, np.array(odds), doubts)
        return [again[tuple(at)][0] for at in (np.array([6] * 3), np.array([18] * 3))]

    assert chances([3.0, 2.0]) == [0.125, 0.125]  # there is room for both
    monkeypatch.setattr(network, "LOOKED_AT_MOST", 1)
    assert chances([3.0, 2.0]) == [0.125, 0.5]
    assert chances([2.0, 3.0]) == [0.5, 0.125]
    assert chances([2.0, 2.0]) == [0.5, 0.5]
    assert chances([2.25, 2.0]) == [pytest.approx(0.3125), 0.5]


@pytest.mark.parametrize("more", [-1e-7, 0, 1e-7])
def test_the_box_does_not_hang_on_the_last_digit_of_the_spacing(more):
    # 24 mm are 15 slices of 1.6 mm; a file may hold 1.5999999
    grid = Grid.axial((60, 30, 30), spacing_mm=(1.6 + more, 1.0, 1.0))
    lungs = np.zeros(grid.shape, np.uint8)
    lungs[20:40, 5:25, 5:25] = 1
    volume = CTVolume(np.full(grid.shape, -850, np.int16), grid, "made")
    box = Region.cut(volume, Mask(lungs, grid), voxel_mm=1.0, margin_mm=24.0)
    assert box.grid.shape[0] == 80  # 50 slices of 1.6 mm
    # from slice 5, whose lower face lies at 4.5 * 1.6 mm
    assert box.grid.to_world([-0.5, 0, 0])[2] == pytest.approx(4.5 * 1.6, abs=1e-3)


def test_absent_weights_are_refused_before_any_work(tmp_path):
    detect = NoduleDetector(weights=str(tmp_path / "absent.keras"))
    with pytest.raises(WeightsError, match=r"absent\.keras"):
        detect.check()
    assert NoduleDetector(weights="").digests() == {}
    assert set(NoduleDetector().digests()) == {"nodules.xml", "nodules.bin"}


def test_a_share_below_0_is_refused():
    with pytest.raises(InputError, match="dot_share"):
        NoduleDetector(dot_share=-1)


@pytest.mark.slow
def test_the_network_of_a_run_finds_what_it_marks(tmp_path):
    pytest.importorskip("keras", reason="Keras is not installed")
    from hilum.nn.models import detection_net  # noqa: PLC0415  needs Keras

    model = detection_net(filters=(4, 4, 4, 4))
    model.save(tmp_path / "m.keras")
    detect = NoduleDetector(
        weights=str(tmp_path / "m.keras"), max_candidates=5, mirrored=False
    )
    grid = Grid.axial((20, 40, 40), spacing_mm=(2.0, 1.0, 1.0))
    rng = np.random.default_rng(0)
    hu = rng.integers(-900, -800, (20, 40, 40)).astype(np.int16)
    volume = CTVolume(hu, grid, "made")
    found = detect(volume, Mask(np.ones(hu.shape, np.uint8), grid))
    scores = [candidate.score for candidate in found]
    assert 0 < len(found) <= 5
    assert scores == sorted(scores, reverse=True)
    assert all(grid.contains(c.center_mm) for c in found)
    assert set(detect.digests()) == {"m.keras"}
    assert detect(volume, Mask(np.zeros(hu.shape, np.uint8), grid)) == ()
