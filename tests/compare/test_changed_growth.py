"""How much a nodule grew, and how sure that is."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hilum.compare.growth import (
    SURFACE_MM,
    SURFACE_SLICES,
    Sized,
    log_error,
    measure_growth,
    outlining_of,
    possible_of,
    status_of,
)
from hilum.findings import Nodule

diameter = st.floats(4.0, 28.0)


def nodule(diameter_mm, **changes):
    fields = {
        "center_mm": (0.0, 0.0, 0.0),
        "diameter_mm": diameter_mm,
        "long_axis_mm": diameter_mm,
        "short_axis_mm": diameter_mm,
        "volume_mm3": math.pi / 6 * diameter_mm**3,
        "type": "solid",
        "solid_diameter_mm": diameter_mm,
        "side": "left",
        "detection_score": 0.9,
    }
    return Nodule(**{**fields, **changes})


def sized(edge_mm, drawn_mm=None, slice_mm=1.0, *, dense_mm=None):
    drawn_mm3 = None if drawn_mm is None else math.pi / 6 * drawn_mm**3
    dense = None if dense_mm is None else nodule(dense_mm)
    return Sized(nodule(edge_mm), drawn_mm3, slice_mm, dense)


def test_the_doubling_time_by_hand():
    # FORMULAS: 6 to 8 mm in 90 days doubles in 72.28 days; (8 / 6)^3 - 1 = 1.370
    growth = measure_growth(sized(6.0), sized(8.0), 90)
    assert growth.doubling_time_days == pytest.approx(72.28, abs=0.005)
    assert growth.volume_change == pytest.approx(1.370, abs=0.001)
    assert growth.low < growth.volume_change < growth.high
    assert growth.shortest_days < 72.28 < growth.longest_days


def test_the_error_of_a_volume_by_hand():
    # a surface s off on both sides: the volume by (1 + 2 s / d)^3
    surface_mm = SURFACE_MM + SURFACE_SLICES * 2.0
    expected = 3 * math.log(1 + 2 * surface_mm / 10.0)
    assert log_error(nodule(10.0), 2.0) == pytest.approx(expected)
    assert log_error(nodule(10.0), 5.0) > expected  # thicker slices
    assert log_error(nodule(20.0), 2.0) < expected  # a larger nodule


def test_a_halo_that_one_scan_shows_is_left_out_of_both():
    halo, bare = sized(14.0, dense_mm=8.0), sized(8.0)
    assert outlining_of(halo, bare) == outlining_of(bare, halo) == "dense"
    assert outlining_of(halo, halo) == outlining_of(bare, bare) == "edge"
    growth = measure_growth(bare, halo, 100)
    assert growth.outlining == "dense"
    assert growth.volume_change == 0  # not the jump from 8 to 14 mm
    assert growth.high > (14 / 8) ** 3 - 1  # which may be true all the same
    assert bare.by("dense").diameter_mm == halo.by("dense").diameter_mm == 8.0


def test_the_interval_holds_what_the_dense_part_did():
    # the whole grew from 12 to 14 mm, its dense part not at all
    growth = measure_growth(sized(12, dense_mm=6), sized(14, dense_mm=6), 100)
    assert growth.volume_change == pytest.approx((14 / 12) ** 3 - 1)
    assert growth.low < 0


def test_the_interval_holds_both_outlines():
    # by the drawing nothing grew, by the edge from 8 to 10 mm
    growth = measure_growth(sized(8.0, 9.0), sized(10.0, 9.0), 100)
    assert growth.volume_change == pytest.approx((10 / 8) ** 3 - 1)
    assert growth.high > (10 / 8) ** 3 - 1
    assert growth.low < 0
    assert possible_of(growth) == ("grown", "stable")
    one_drawn = measure_growth(sized(8.0, 9.0), sized(10.0), 100)
    assert one_drawn.low > growth.low


def test_what_did_not_grow_has_no_doubling_time():
    growth = measure_growth(sized(10.0), sized(7.0), 200)
    assert growth.doubling_time_days is None
    assert growth.shortest_days is None
    assert growth.longest_days is None
    assert status_of(growth.volume_change) == "shrunk"
    assert possible_of(growth) == ("shrunk",)


def test_a_wide_interval_names_everything_in_it():
    growth = measure_growth(sized(6.0, 6.0), sized(8.0, 5.0), 100)
    assert set(possible_of(growth)) == {"grown", "stable", "shrunk"}
    assert possible_of(growth)[0] == "grown"


@given(diameter, diameter, st.integers(1, 4000))
def test_swapping_the_scans_turns_the_change_around(first, second, days):
    ahead = measure_growth(sized(first), sized(second), days)
    back = measure_growth(sized(second), sized(first), days)
    assert math.log1p(ahead.high) == pytest.approx(-math.log1p(back.low))
    assert math.log1p(ahead.volume_change) == pytest.approx(
        -math.log1p(back.volume_change)
    )


@given(diameter, st.floats(1.01, 1.5), st.integers(1, 4000))
def test_the_doubling_time_lies_in_its_interval(first, times, days):
    growth = measure_growth(sized(first), sized(min(first * times, 30)), days)
    if growth.doubling_time_days is not None:
        assert growth.shortest_days <= growth.doubling_time_days
        if growth.longest_days is not None:
            assert growth.doubling_time_days <= growth.longest_days
