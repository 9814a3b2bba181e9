"""Doubling time: the vector, its laws, and what is no growth."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hilum.clinical.growth import (
    doubling_time_days,
    judge_growth,
    sphere_mm3,
    volumes_of,
)
from hilum.clinical.rounding import mean_diameter_mm, round_half_up
from hilum.errors import InputError


def test_six_to_eight_mm_in_90_days():
    time = doubling_time_days(sphere_mm3(6), sphere_mm3(8), 90)
    assert time == pytest.approx(90 * math.log(2) / (3 * math.log(8 / 6)))
    assert time == pytest.approx(72.28, abs=0.005)


@pytest.mark.parametrize(
    ("diameter", "volume"),
    [(4, 33.5), (6, 113.1), (8, 268.1), (10, 523.6), (15, 1767.1), (30, 14137.2)],
)
def test_spheres(diameter, volume):
    assert sphere_mm3(diameter) == pytest.approx(volume, abs=0.05)


@given(st.floats(1, 1e5), st.floats(1, 3000))
def test_twice_the_volume_is_one_doubling(volume, days):
    assert doubling_time_days(volume, 2 * volume, days) == pytest.approx(days)


def test_no_growth_has_no_doubling_time():
    assert doubling_time_days(100, 100, 90) is None
    result = judge_growth(200, 100, 90)
    assert result.doubling_time_days is None
    assert result.change == "shrunk"
    assert "no doubling time" in result.rule


@pytest.mark.parametrize(
    ("second", "change"),
    [(124, "stable"), (125, "grown"), (76, "stable"), (75, "shrunk")],
)
def test_a_quarter_is_the_limit(second, change):
    assert judge_growth(100, second, 90).change == change


@pytest.mark.parametrize(
    ("days", "words"),
    [(400, "work-up"), (401, "intermediate"), (600, "intermediate"), (601, "benign")],
)
def test_what_a_doubling_time_means(days, words):
    assert words in judge_growth(100, 200, days).rule


def test_what_cannot_be():
    with pytest.raises(InputError, match="first volume must be above 0"):
        doubling_time_days(0, 1, 1)
    with pytest.raises(InputError, match="days"):
        doubling_time_days(1, 2, 0)
    with pytest.raises(InputError, match="not both"):
        volumes_of(None, None)
    with pytest.raises(InputError, match="long one first"):
        mean_diameter_mm(5, 6)
    assert volumes_of(None, (3.0, 4.0)) == (3.0, 4.0)


@pytest.mark.parametrize("beyond", [1e-300, 1e-3, 1001.0, 1e300])
def test_a_size_that_no_chest_holds_is_refused(beyond):
    # (1e300)^3 overflows; (1e-300)^3 is 0
    for diameters in ((beyond, 8.0), (6.0, beyond)):
        with pytest.raises(InputError, match=r"must lie in 0\.01 to 1000 mm"):
            volumes_of(diameters, None)
    with pytest.raises(InputError, match="another unit than mm³"):
        doubling_time_days(100.0, 1e10, 90)


def test_what_has_no_decimals_is_not_rounded():
    assert round_half_up(1e308, "0.1") == 1e308
    assert round_half_up(-1e15, "1") == -1e15
    assert round_half_up(7.95, "0.1") == 8.0


@pytest.mark.parametrize(
    ("second", "days", "words"),
    [
        (124.9, 90, "+24.9%: less than 25 %"),
        (75.1, 90, "-24.9%: less than 25 %"),
        (200, 400.1, "doubling time 400.1 days, 400 to 600 days"),
        (200, 400, "doubling time 400 days, <= 400 days"),
        (200, 600.4, "doubling time 600.4 days, > 600 days"),
    ],
)
def test_the_numbers_of_a_rule_are_on_the_side_that_it_says(second, days, words):
    assert words in judge_growth(100, second, days).rule


def test_a_time_that_nobody_lives_is_refused():
    with pytest.raises(InputError, match=r"0\.001 to 36525 days"):
        judge_growth(100, 200, 1e9)
