"""What a network says of a mark and what the dot filter sees, in one score."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hilum.space import Grid
from hilum.stages.nodules import NoduleDetector
from hilum.stages.nodules.dots import Dots
from hilum.stages.nodules.joining import contrast_of, odds_with_dots
from hilum.stages.nodules.marks import Marks
from hilum.stages.nodules.region import Region
from hilum.volume import Mask

LUNG, SOFT = -850, 50
MIDDLE = (30.0, 30.0, 30.0)


def marks(*places, chance=0.5):
    """Marks at (index, diameter)."""
    index, diameter = zip(*places, strict=True)
    return Marks(np.array(index), np.array(diameter), np.full(len(places), chance))


def dots(*found):
    """Dots at (index, strength)."""
    index = np.array([at for at, _ in found], float).reshape(-1, 3)
    return Dots(index, np.full(len(found), 6.0), np.array([s for _, s in found]))


def odds(found, seen, contrast=1.0, share=1.0):
    contrast = np.broadcast_to(contrast, len(found.index))
    return odds_with_dots(found, seen, contrast, even_strength=0.3, share=share)


def lung_with_a_ball(inside_hu, diameter=12.0):
    away = np.indices((61, 61, 61)) - np.reshape(MIDDLE, (3, 1, 1, 1))
    within = np.linalg.norm(away, axis=0) <= diameter / 2
    return np.where(within, inside_hu, LUNG).astype(np.int16)


def contrast(hu, diameter=12.0):
    return contrast_of(hu, marks((MIDDLE, diameter)), soft_tissue_hu=SOFT - LUNG)[0]


def test_odds_by_hand():
    found = marks(([0.0, 0, 0], 6.0), ([50.0, 0, 0], 6.0))
    seen = dots(([0, 3, 0], 0.6), ([0, -3, 0], 0.5), ([20, 0, 0], 0.9))
    # log(0.5 / 0.5) + log(0.6 / 0.3); and where there is no dot log(0.05 / 0.3)
    np.testing.assert_allclose(odds(found, seen), [np.log(2), np.log(1 / 6)])
    np.testing.assert_allclose(odds(found, seen, share=0.5)[0], np.log(2) / 2)
    # a dot of a third of the contrast counts as one of the same shape in soft tissue
    np.testing.assert_allclose(
        odds(found, dots(([0, 3, 0], 0.2)), 1 / 3), [np.log(2), np.log(1 / 6)]
    )


def test_contrast_lifts_a_dot_to_that_of_soft_tissue_at_most():
    found = marks(([0.0, 0, 0], 6.0))
    for strength, counts_as in ((0.2, 0.6), (0.5, 1.0), (1.0, 1.0), (1.2, 1.2)):
        (rank,) = odds(found, dots(([0, 0, 0], strength)), 1 / 3)
        assert rank == pytest.approx(np.log(counts_as / 0.3)), strength


def test_a_dot_counts_within_the_mark_and_within_4_voxels():
    small, large = marks(([0.0, 0, 0], 5.0)), marks(([0.0, 0, 0], 12.0))
    for away, of_small, of_large in ((3.9, 2, 2), (5.9, 1 / 6, 2), (6.1, 1 / 6, 1 / 6)):
        seen = dots(([0, 0, away], 0.6))
        assert odds(small, seen)[0] == pytest.approx(np.log(of_small)), away
        assert odds(large, seen)[0] == pytest.approx(np.log(of_large)), away


def test_without_dots_the_network_decides():
    found = marks(([0.0, 0, 0], 6.0), chance=0.8)
    np.testing.assert_allclose(odds(found, dots(), share=0.0), [np.log(4)])
    nothing = Marks(np.zeros((0, 3)), np.zeros(0), np.zeros(0))
    assert odds(nothing, dots(([0, 0, 0], 0.5))).shape == (0,)


@given(
    st.floats(0.01, 0.99),
    st.floats(0, 1.5),
    st.floats(1 / 3, 1),
    st.floats(0, 1),
)
def test_a_stronger_dot_never_lowers_the_odds(chance, strength, rise, more):
    found = marks(([0.0, 0, 0], 6.0), chance=chance)
    less, no_less = (
        odds(found, dots(([0, 0, 0], s)), rise)[0] for s in (strength, strength + more)
    )
    assert np.isfinite(less)
    assert less <= no_less


def test_contrast_by_hand():
    assert contrast(lung_with_a_ball(SOFT)) == 1
    assert contrast(lung_with_a_ball(LUNG + 540)) == pytest.approx(0.6)
    assert contrast(lung_with_a_ball(LUNG + 100)) == pytest.approx(1 / 3)  # the least
    assert contrast(lung_with_a_ball(400)) == 1  # calcium is no more than soft tissue
    assert contrast(np.full((61, 61, 61), LUNG, np.int16)) == pytest.approx(1 / 3)


@pytest.mark.parametrize(
    ("diameter", "power"),
    [(3.0, 0), (8.0, 0), (9.0, 0.5), (10.0, 1), (16.0, 1), (18.0, 0.5), (20.0, 0)],
)
def test_contrast_counts_in_marks_of_middle_size(diameter, power):
    hu = lung_with_a_ball(LUNG + 540, diameter)
    assert contrast(hu, diameter) == pytest.approx(0.6**power)


def test_contrast_is_to_the_lung_and_not_to_the_wall_beside_it():
    hu = lung_with_a_ball(LUNG + 540)
    hu[:, :, 30 + 7 :] = SOFT  # the pleura, a voxel away
    assert contrast(hu) == pytest.approx(0.6)


def test_contrast_at_the_edge_of_a_region_takes_what_is_there():
    whole = lung_with_a_ball(LUNG + 540)
    low, high = whole[25:, 25:, 25:].copy(), whole[:36, :36, :36]
    low[-9:] = SOFT  # the far side is not next to it
    for hu, index in ((low, [5.0, 5, 5]), (high, [30.0, 30, 30])):
        found = contrast_of(hu, marks((index, 12.0)), soft_tissue_hu=SOFT - LUNG)
        np.testing.assert_allclose(found, [0.6])
    nothing = Marks(np.zeros((0, 3)), np.zeros(0), np.zeros(0))
    assert contrast_of(whole, nothing, soft_tissue_hu=SOFT - LUNG).shape == (0,)


@pytest.fixture
def score_of(monkeypatch):
    """Score of the middle of a volume, of which the network knows nothing."""

    def score(hu, diameter):
        found = marks((MIDDLE, diameter))
        for name, said in (("network_marks", found), ("load_predictor", None)):
            monkeypatch.setattr(
                f"hilum.stages.nodules.detector.{name}", lambda *_, s=said, **__: s
            )
        grid = Grid.axial(hu.shape, spacing_mm=(1.0, 1.0, 1.0))
        region = Region(hu, grid, Mask(np.ones(hu.shape, np.uint8), grid))
        (candidate,) = NoduleDetector()._marked(region)
        return candidate.score

    return score


def test_a_ball_of_ground_glass_ranks_as_one_of_soft_tissue(score_of):
    soft, glass = (
        score_of(lung_with_a_ball(hu, 11.0), 11.0) for hu in (SOFT, LUNG + 330)
    )
    assert soft > 0.6
    assert glass == pytest.approx(soft, abs=0.02)


def test_the_faintest_dot_still_counts(score_of):
    no_dot = score_of(lung_with_a_ball(LUNG), 11.0)
    assert no_dot == pytest.approx(1 / 7)  # log(0.05 / 0.3)
    # of a strength of 0.07: less than what is a candidate by itself
    assert score_of(lung_with_a_ball(LUNG + 70, 11.0), 11.0) > 2 * no_dot
