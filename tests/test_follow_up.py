"""Guidelines at a follow-up: which rule fires, and for which nodule."""

import math
from dataclasses import replace

import pytest

from hilum.clinical.facts import Facts
from hilum.compare.growth import Sized, measure_growth, possible_of, status_of
from hilum.compare.pairs import growth_doubts
from hilum.findings import (
    Alignment,
    Attributes,
    Change,
    Comparison,
    Guidelines,
    Nodule,
    Scope,
)
from hilum.pipeline.follow_up import follow_up, followed_finding, status_since

MONTH = 30.4375


def nodule(diameter_mm, kind="solid", solid_mm=None):
    solid = {"solid": diameter_mm, "ground-glass": 0.0}.get(kind, solid_mm)
    return Nodule(
        center_mm=(0.0, 0.0, 0.0),
        diameter_mm=diameter_mm,
        long_axis_mm=diameter_mm,
        short_axis_mm=diameter_mm,
        volume_mm3=math.pi / 6 * diameter_mm**3,
        type=kind,
        solid_diameter_mm=diameter_mm if solid is None else solid,
        side="left",
        detection_score=0.9,
    )


def changed(before, now, number=1, *, days=180, status=None):
    growth = None
    if before and now:
        sizes = [Sized(n, None, 0.7) for n in (before, now)]
        growth = measure_growth(*sizes, days)
        status = status_of(growth.volume_change)
    return Change(
        status=status or ("new" if now else "gone"),
        possible=possible_of(growth) if growth else ("new",),
        prior=1 if before else None,
        current=number if now else None,
        before=before,
        now=now,
        prior_mm=(0.0, 0.0, 0.0),
        current_mm=(0.0, 0.0, 0.0),
        growth=growth,
        rule="as said",
    )


def compared(*changes, days=180):
    return Comparison(
        prior_series_uid="1",
        prior_scope=Scope(True),
        prior_nodules=(),
        days=days,
        alignment=Alignment(overlap=0.98, likeness=0.95, doubt_mm=1.0),
        changes=changes,
    )


def followed(*changes, days=180, facts=None):
    comparison = compared(*changes, days=days)
    nodules = tuple(c.now for c in changes if c.now)
    return follow_up(Guidelines(), nodules, facts or Facts(), comparison)


def category(*changes, days=180):
    return followed(*changes, days=days).lung_rads["category"]


@pytest.mark.parametrize(
    ("before", "now", "days", "expected"),
    [
        # growing: > 1.5 mm within 12 months
        (nodule(5.0), nodule(7.9), 180, "4A"),
        (nodule(6.0), nodule(8.0), 180, "4B"),
        (nodule(6.0), nodule(7.5), 180, "2"),  # +1.5 is stable; 3 steps down at 6
        (nodule(6.5), nodule(6.6), 90, "3"),  # category 3, no 6 months yet
        (nodule(6.5), nodule(6.6), 183, "2"),  # prior 3, stable at 6 months
        (nodule(6.5), nodule(6.6), 176, "2"),  # a week early counts as 6 months
        (nodule(6.5), nodule(6.6), 175, "3"),
        (nodule(9.0), nodule(9.1), 92, "3"),  # prior 4A, stable at 3 months
        (nodule(9.0), nodule(9.1), 60, "4A"),
        (nodule(12.0), nodule(9.0), 92, "3"),  # decreased likewise
        (nodule(7.5), nodule(8.4), 183, "4A"),  # stable, but crossed 8 mm
        # new: 4 to 6, 6 to 8, from 8 mm
        (None, nodule(3.9), 180, "2"),
        (None, nodule(5.9), 180, "3"),
        (None, nodule(7.9), 180, "4A"),
        (None, nodule(8.0), 180, "4B"),
        (None, nodule(29.0, "ground-glass"), 180, "2"),
        (nodule(31.0, "ground-glass"), nodule(31.5, "ground-glass"), 180, "2"),
        # a part-solid one by its solid part
        (nodule(9, "part-solid", 2.0), nodule(9, "part-solid", 3.9), 180, "4A"),
        (nodule(9, "part-solid", 2.0), nodule(9, "part-solid", 5.0), 180, "4B"),
        (nodule(9, "ground-glass"), nodule(9, "part-solid", 2.0), 180, "4A"),
    ],
)
def test_lung_rads_by_its_table(before, now, days, expected):
    assert category(changed(before, now, days=days), days=days) == expected


def test_over_a_year_growth_counts_by_what_it_comes_to_in_twelve_months():
    days = round(24 * MONTH)
    # 4 mm in 24 months is 2 mm in 12: growing; 2 mm is 1 mm: slow growth
    fast = changed(nodule(6.0), nodule(10.0), days=days)
    slow = changed(nodule(6.0), nodule(8.0), days=days)
    assert status_since(fast, days) == "growing"
    assert status_since(slow, days) == "slowly-growing"
    assert status_since(changed(nodule(6.0), nodule(7.0)), days) == "stable"
    for late in (366, 372):  # a year, and a week more
        assert status_since(changed(nodule(6.0), nodule(8.0)), late) == "growing"


def test_without_a_comparison_a_nodule_is_judged_as_at_baseline():
    lonely = changed(None, nodule(7.0), status="not-covered")
    assert status_since(lonely, 180) == "baseline"
    assert status_since(None, 180) == "baseline"
    assert category(lonely) == "3"  # a new one of 7 mm would be 4A


def test_what_changed_its_kind_does_not_keep_a_category():
    was, now = nodule(9.0, "calcified"), nodule(9.0)
    assert followed_finding(now, changed(was, now), 180).prior_category is None
    assert category(changed(was, now)) == "4A"


def test_a_new_nodule_outranks_the_most_suspicious():
    first = changed(nodule(9.0), nodule(9.0), 1, days=100)
    second = changed(None, nodule(9.0), 2)
    line = followed(first, second, days=100).lung_rads
    assert (line["category"], line["nodule"], line["status"]) == ("4B", 2, "new")
    assert line["findings"] == ["3", "4B"]
    # 9 mm may be 7.2 to 10.8 mm: what was 4A steps down whichever it is; a new one of
    # 7.2 mm is 4A
    assert line["findings_possible"] == ["3", "4A to 4B"]
    # one that was there and did not change does not: it may be no nodule
    line = followed(
        changed(nodule(5.0), nodule(5.0), 1), changed(nodule(20), nodule(20), 2)
    ).lung_rads
    assert (line["nodule"], line["category"]) == (1, "2")


def test_the_range_covers_growth_that_may_be_none():
    # 6.0 to 7.0 mm is +59 % by volume and not 1.5 mm by diameter. The error of 7.0 mm
    # is 1.4 mm: stable at 5.6 mm is 2, growing at 8.4 mm is 4B
    line = followed(changed(nodule(6.0), nodule(7.0)), days=180).lung_rads
    assert line["status"] == "stable"
    low, _, high = line["possible"].partition(" to ")
    assert (low, high) == ("2", "4B")


@pytest.mark.parametrize(
    ("kind", "texture", "possible"),
    [
        # solid of 9 mm, stable for six months: 4A stepped down to 3. Were it
        # part-solid, what it was before does not hold, and a solid part of 8 mm is 4B
        ("solid", 3.0, "3 to 4B"),
        ("solid", 4.5, "3"),
        # stable ground glass is 2; a solid one of 8 mm on 4A
        ("ground-glass", 4.8, "2 to 4A"),
        ("ground-glass", 2.0, "2"),
    ],
)
def test_the_range_covers_a_kind_in_doubt(kind, texture, possible):
    now = replace(
        nodule(9.0, kind),
        diameter_error_mm=0.2,
        attributes=Attributes(texture=texture),
    )
    before = replace(nodule(9.0, kind), diameter_error_mm=0.2)
    change = replace(changed(before, now), growth=None)
    line = followed(change).lung_rads
    assert (line["status"], line["possible"]) == ("stable", possible)


@pytest.mark.parametrize(
    ("before_mm", "error_mm", "now_mm", "category", "possible"),
    [
        # 4B is kept; 15.4 - 0.5 mm at the prior was 4A, which steps down to 3
        (15.4, 0.5, 15.4, "4B", "3 to 4B"),
        (15.4, 0.3, 15.4, "4B", "4B"),
        # 4A stepped down to 3; 8.2 - 0.5 mm was 3, which steps down to 2
        (8.2, 0.5, 8.2, "3", "2 to 3"),
        (8.9, 0.5, 8.9, "3", "3"),
        # a smaller one likewise
        (8.2, 0.5, 6.2, "3", "2 to 3"),
    ],
)
def test_the_range_covers_the_error_of_the_category_of_the_prior(
    before_mm, error_mm, now_mm, category, possible
):
    before, now = (
        replace(nodule(size), diameter_error_mm=error_mm)
        for size in (before_mm, now_mm)
    )
    line = followed(replace(changed(before, now), growth=None), days=190).lung_rads
    assert (line["category"], line["possible"]) == (category, possible)
    said = [rule for rule in line.get("other_rules", ()) if "at the prior" in rule]
    assert bool(said) == (possible != category)


def test_fleischner_at_a_follow_up_covers_kind_and_growth_in_doubt():
    now = replace(
        nodule(7.0), diameter_error_mm=0.2, attributes=Attributes(texture=3.5)
    )
    change = changed(nodule(7.0), now)
    doubtful = followed(change).fleischner
    sure = followed(replace(change, now=nodule(7.0), growth=None)).fleischner
    assert doubtful["recommendation"] == sure["recommendation"]
    assert doubtful["rule"] == sure["rule"]
    kinds = [r for r in doubtful["other_rules"] if r.startswith("were it part-solid")]
    # how much of it would be solid is not known: it may be all of the 7 mm
    part_solid = (
        "persists, solid part below 6 mm: yearly CT until 5 years after the first",
        "persists, solid part of 6 mm or more: highly suspicious; consider PET/CT, "
        "tissue sampling or resection",
    )
    assert kinds[0].endswith(" or ".join(part_solid))
    assert set(part_solid) < set(doubtful["possible"])
    assert len(doubtful["possible"]) == len(set(doubtful["possible"]))


def test_the_error_of_a_solid_part_may_reach_six_millimetres():
    # 5.4 mm is 5 in whole mm; 0.2 mm more is 6, in both scans: no growth
    before = nodule(12.0, "part-solid", 5.4)
    change = replace(
        changed(before, replace(before, diameter_error_mm=0.2)), growth=None
    )
    line = followed(change).fleischner
    assert line["recommendation"].startswith("persists, solid part below 6 mm")
    (rule,) = line["other_rules"]
    assert rule.startswith("within the error of measurement: part-solid, 12.2 to 12.2")
    assert line["possible"][1].startswith("persists, solid part of 6 mm or more")
    # one that cannot be measured stays so, and none grows by the error of both scans
    for part_mm, large in ((0.0, False), (0.4, True)):
        glass = nodule(12.0, "part-solid", 0.0)
        now = replace(glass, solid_diameter_mm=part_mm, diameter_error_mm=7.0)
        possible = followed(replace(changed(glass, now), growth=None)).fleischner[
            "possible"
        ]
        assert any("6 mm or more" in advice for advice in possible) is large
        assert not any("further work-up" in advice for advice in possible)


def test_a_solid_part_is_no_larger_than_the_least_that_the_whole_may_be():
    now = replace(nodule(9.0, "part-solid", 8.5), diameter_error_mm=2.0)
    line = followed(changed(nodule(9.0, "part-solid", 8.5), now)).fleischner
    assert line["recommendation"].startswith("persists, solid part of 6 mm or more")
    assert "not_applicable" not in line


def test_fleischner_says_when_growth_may_be_two_millimetres():
    # 7.0 to 8.3 mm is 7 to 8 in whole mm: stable. The interval of its volume reaches
    # 9 mm, which is growth
    change = changed(nodule(7.0), replace(nodule(8.3), diameter_error_mm=0.1))
    high_mm = 7.0 * (1 + change.growth.high) ** (1 / 3)
    assert high_mm > 8.5
    line = followed(change).fleischner
    assert line["recommendation"].startswith("CT at 18 to 24 months")
    (rule,) = line["other_rules"]
    assert rule.startswith("within the interval of its growth: solid, 7.0 to ")
    assert rule.endswith("further work-up: PET/CT, tissue sampling or resection")
    assert line["possible"][1].startswith("further work-up")


def test_calcified_nodules_stay_category_1():
    stones = changed(nodule(6.0, "calcified"), nodule(9.0, "calcified"))
    result = followed(stones)
    assert result.lung_rads["category"] == "1"
    assert "not_applicable" in result.fleischner


@pytest.mark.parametrize(
    ("before", "now", "possible", "advice"),
    [
        # were the calcification of no benign pattern: growing from 8 mm on is 4B, by
        # its size at baseline it would be 4A; a new one of 7 mm is 4A, at baseline 3
        (nodule(6.0, "calcified"), nodule(9.0, "calcified"), "1 to 4B", "further work"),
        (nodule(9.0, "calcified"), nodule(9.0, "calcified"), "1 to 4A", "CT at 18 to"),
        (None, nodule(7.0, "calcified"), "1 to 4A", "CT at 6 to 12 months"),
    ],
)
def test_a_stone_that_is_none_is_judged_as_new_or_grown(before, now, possible, advice):
    now = replace(now, diameter_error_mm=0.1)
    result = followed(changed(before, now))
    assert result.lung_rads["category"] == "1"
    assert result.lung_rads["possible"] == possible
    assert "not_applicable" in result.fleischner
    assert result.fleischner["possible"][0].startswith(advice)
    for line in (result.lung_rads, result.fleischner):
        assert all(
            rule.startswith("were its calcification of no benign pattern")
            for rule in line["other_rules"]
        )


@pytest.mark.parametrize(
    ("before", "now", "months", "expected"),
    [
        (nodule(7.0), nodule(9.0), 6, "further work-up"),
        (nodule(7.0), nodule(8.4), 6, "CT at 18 to 24 months after the first"),
        (nodule(7.0), nodule(7.0), 18, "no further routine follow-up"),
        (nodule(7.0), nodule(5.0), 6, "no routine follow-up"),
    ],
)
def test_fleischner_counts_two_millimetres(before, now, months, expected):
    days = round(months * MONTH) + 1
    line = followed(changed(before, now, days=days), days=days).fleischner
    assert line["recommendation"].startswith(expected)
    assert line["nodule"] == 1
    assert "CT before the prior" in line["missing"]


def test_fleischner_on_a_new_nodule_is_as_at_first():
    line = followed(changed(None, nodule(7.0)), facts=Facts(smoker="former")).fleischner
    assert line["recommendation"].startswith("CT at 6 to 12 months")
    assert line["status"] == "new"


def test_whom_fleischner_is_not_meant_for():
    change = changed(nodule(7.0), nodule(7.0))
    line = followed(change, facts=Facts(age_years=20)).fleischner
    assert "from 35 years" in line["not_applicable"]


def test_a_change_of_unknown_direction_is_noticed():
    # the edge says 5 to 7 mm, the drawing 7 to 5
    sizes = [
        Sized(nodule(edge), nodule(drawn).volume_mm3, 0.7)
        for edge, drawn in ((5, 7), (7, 5))
    ]
    growth = measure_growth(*sizes, 100)
    unsure = replace(
        changed(nodule(7.0), nodule(5.0)), growth=growth, possible=possible_of(growth)
    )
    sure = changed(nodule(6.0), nodule(12.0), number=2)
    (notice,) = growth_doubts(compared(unsure, sure))
    assert notice.code == "growth-unsure"
    assert notice.message.startswith("Whether nodule 1 grew is not known")
    (notice,) = growth_doubts(compared(replace(unsure, current=None)))
    assert "nodule 1 of the prior" in notice.message
    assert growth_doubts(compared(sure)) == ()


def test_without_nodules_nothing_changes():
    assert followed() == Guidelines()
