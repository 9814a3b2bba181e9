"""Which nodule is which: one to one, and best for all together."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hilum.compare.matching import Spot, match, reach_mm

coordinate = st.floats(-60, 60)
spot = st.builds(
    Spot, st.tuples(coordinate, coordinate, coordinate), st.floats(4.0, 20.0)
)


def at(x, diameter_mm=6.0):
    return Spot((x, 0.0, 0.0), diameter_mm)


def test_the_reach_by_hand():
    # twice the doubt and the radius of the larger: 2 * 1.5 + 10 / 2
    assert reach_mm(at(0, 6.0), at(0, 10.0), 1.5) == 8.0
    # and never below 4 mm: 2 * 0.5 + 4 / 2 = 3
    assert reach_mm(at(0, 4.0), at(0, 3.0), 0.5) == 4.0


def test_all_together_beats_the_nearest_first():
    # by the nearest first, 3 would take 2, and 0 would be left alone
    prior, current = [at(0.0), at(3.0)], [at(2.0), at(5.5)]
    assert match(prior, current, doubt_mm=1.0) == ((0, 0), (1, 1))


def test_size_decides_between_two_at_one_distance():
    prior = [at(-2.0, 5.0), at(2.0, 10.0)]
    assert match(prior, [at(0.0, 9.0)], doubt_mm=1.5) == ((1, 0),)
    assert match(prior, [at(0.0, 5.5)], doubt_mm=1.5) == ((0, 0),)


def test_beyond_the_reach_there_is_no_match():
    # reach 2 * 1 + 6 / 2 = 5 mm
    assert match([at(0.0)], [at(5.1)], doubt_mm=1.0) == ()
    assert match([at(0.0)], [at(4.9)], doubt_mm=1.0) == ((0, 0),)
    assert match([at(0.0)], [at(5.1)], doubt_mm=2.0) == ((0, 0),)  # more doubt


@pytest.mark.parametrize(("prior", "current"), [([], [at(0)]), ([at(0)], [])])
def test_nothing_matches_nothing(prior, current):
    assert match(prior, current, doubt_mm=1.0) == ()


@given(st.lists(spot, max_size=6), st.lists(spot, max_size=6), st.floats(0.5, 5))
def test_matches_are_one_to_one_within_reach(prior, current, doubt_mm):
    pairs = match(prior, current, doubt_mm=doubt_mm)
    assert len({i for i, _ in pairs}) == len({j for _, j in pairs}) == len(pairs)
    for i, j in pairs:
        gap = math.dist(prior[i].at_mm, current[j].at_mm)
        assert gap <= reach_mm(prior[i], current[j], doubt_mm)


@given(st.lists(spot, min_size=1, max_size=6, unique=True), st.randoms())
def test_the_order_of_nodules_does_not_matter(spots, random):
    # every nodule where it was; those within each other are left out
    apart = [
        s
        for n, s in enumerate(spots)
        if all(math.dist(s.at_mm, o.at_mm) > 30 for o in spots[:n])
    ]
    turned = random.sample(apart, len(apart))
    pairs = match(apart, turned, doubt_mm=1.0)
    assert [(apart[i], turned[j]) for i, j in pairs] == [(s, s) for s in turned]
