"""Growth in plain values: the plot by hand, the words, and what is refused."""

import math
import re

import pytest
from report_examples import make_course

from hilum.errors import InputError
from hilum.report.growth import course_between, growth_figure


def plain(text):
    return re.sub(r"[\s\u00a0\u202f]+", " ", text)


def facts_of(course):
    return {name: plain(text) for name, text in growth_figure(course).facts}


def test_facts_by_hand():
    assert facts_of(make_course()) == {
        "Time between": "90 days",
        "Volume, day 0": "500 mm³ (400 to 600)",
        "Volume now": "1 000 mm³ (900 to 1 100)",
        "Change": "+100%",
        "Doubling time": "90 days (70 to 150)",
    }


def test_shrinking_has_no_doubling_time():
    course = make_course(
        volumes_mm3=((900, 1000, 1100), (400, 500, 600)), doubling_time_days=None
    )
    facts = facts_of(course)
    assert facts["Change"] == "\u221250%"
    assert facts["Doubling time"] == "none: it did not grow"


def test_an_unknown_end_is_said_openly():
    course = make_course(doubling_time_days=(70.0, 90.0, math.inf))
    assert facts_of(course)["Doubling time"] == "90 days (70 or more)"


def test_a_volume_without_a_known_error_has_no_interval():
    course = make_course(volumes_mm3=((500, 500, 500), (1000, 1000, 1000)))
    assert facts_of(course)["Volume now"] == "1 000 mm³"


def test_steady_growth_is_a_straight_line():
    # doubling every 100 days
    volumes = tuple((0.9 * v, v, 1.1 * v) for v in (100.0, 200.0, 400.0))
    figure = growth_figure(make_course(days=(0.0, 100.0, 200.0), volumes_mm3=volumes))
    (x0, y0), (x1, y1), (x2, y2) = ((s.x, s.y) for s in figure.spots)
    assert x1 - x0 == pytest.approx(x2 - x1)
    assert y0 - y1 == pytest.approx(y1 - y2)
    assert y0 > y1
    assert all(s.high_y < s.y < s.low_y for s in figure.spots)


@pytest.mark.parametrize("last", [1000.0, 505.0, 60_000.0, 50.0])
def test_everything_stays_on_the_plot(last):
    figure = growth_figure(
        make_course(volumes_mm3=((400, 500, 600), (0.9 * last, last, 1.1 * last)))
    )
    for y in (*(s.low_y for s in figure.spots), *(s.high_y for s in figure.spots)):
        assert 10 <= y <= 124
    assert all(10 <= tick.at <= 124 for tick in figure.volumes)
    assert 1 <= len(figure.volumes) <= 5
    assert all(10 <= guide.y <= 124 and guide.x <= 278 for guide in figure.guides)


def test_guides_rise_by_their_doubling_time():
    course = make_course(
        days=(0.0, 400.0), volumes_mm3=((450, 500, 550), (900, 1000, 1100))
    )
    figure = growth_figure(course)
    # 500 doubled in 400 days is where the nodule is
    assert figure.guides[0].y == pytest.approx(figure.spots[-1].y)
    assert figure.guides[1].y > figure.guides[0].y


def test_the_picture_is_told_in_words():
    figure = growth_figure(make_course())
    assert "Doubling time: 90\u00a0days" in figure.alt
    assert figure.said == "doubling time 90 days, \u2264 400 days \u2192 work-up"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"days": (0.0,), "volumes_mm3": ((1, 2, 3),)}, "two scans or more"),
        ({"days": (90.0, 0.0)}, "two scans or more"),
        ({"days": (0.0, 1.0, 2.0)}, "a volume for each"),
        ({"volumes_mm3": ((0, 1, 2), (1, 2, 3))}, "must be 0 < low"),
        ({"volumes_mm3": ((2, 1, 3), (1, 2, 3))}, "must be 0 < low"),
        ({"volumes_mm3": ((1, 2, math.inf), (1, 2, 3))}, "must be 0 < low"),
    ],
)
def test_what_cannot_be_drawn_is_refused(changes, said):
    with pytest.raises(InputError, match=said):
        make_course(**changes)


def test_two_scans_make_a_course():
    course = course_between(
        90,
        (500.0, 100.0),
        (1000.0, 100.0),
        doubling_days=(70.0, 90.0, 150.0),
        said="doubling time 90 days, <= 400 days -> work-up",
    )
    assert course == make_course()


def test_what_may_not_grow_has_no_longest_time_and_no_error_is_below_nothing():
    course = course_between(
        30, (10.0, 12.0), (12.0, None), doubling_days=(None, 114.0, None)
    )
    assert course.doubling_time_days == (114.0, 114.0, math.inf)
    assert course.volumes_mm3[0][0] == pytest.approx(0.5)
    assert course_between(30, (10.0, None), (9.0, None)).doubling_time_days is None
