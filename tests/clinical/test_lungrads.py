"""Lung-RADS v2022: agreed vectors, published errors as negatives, and laws."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hilum.clinical.lungrads import (
    ScreeningFinding,
    change_since,
    check_status,
    judge_exam,
    judge_finding,
    judge_range,
    judge_sizes,
)
from hilum.clinical.lungrads.rules import ORDER
from hilum.errors import InputError


def category(**given):
    return judge_finding(ScreeningFinding(**given)).category


@pytest.mark.parametrize(
    ("status", "sizes", "expected"),
    [
        ("baseline", (5.9, 6.0, 7.9, 8.0, 14.9, 15.0), "2 3 3 4A 4A 4B"),
        ("new", (3.9, 4.0, 5.9, 6.0, 7.9, 8.0), "2 3 3 4A 4A 4B"),
        ("growing", (5.0, 7.9, 8.0), "4A 4A 4B"),
        ("slowly-growing", (7.0,), "4B"),
        ("stable", (5.9, 6.0, 8.0), "2 3 4A"),
    ],
)
def test_solid_by_diameter(status, sizes, expected):
    found = [category(kind="solid", status=status, diameter_mm=d) for d in sizes]
    assert found == expected.split()


@pytest.mark.parametrize(
    ("status", "volumes", "expected"),
    [
        ("baseline", (112, 113, 267, 268, 1766, 1767), "2 3 3 4A 4A 4B"),
        ("new", (33, 34, 112, 113, 267, 268), "2 3 3 4A 4A 4B"),
        ("growing", (267, 268), "4A 4B"),
    ],
)
def test_solid_by_volume(status, volumes, expected):
    found = [category(kind="solid", status=status, volume_mm3=v) for v in volumes]
    assert found == expected.split()


@pytest.mark.parametrize(
    ("status", "whole", "part", "expected"),
    [
        ("baseline", 5.9, None, "2"),
        ("baseline", 8, 0, "3"),
        ("baseline", 8, 5.9, "3"),
        ("baseline", 8, 6.0, "4A"),
        ("baseline", 8, 7.9, "4A"),
        ("baseline", 8, 8.0, "4B"),
        ("new", 5, None, "3"),
        ("new", 5, 3.9, "3"),
        ("new", 5, 4.0, "4B"),
        ("new", 6, 3.9, "4A"),
        ("new", 6, 4.0, "4B"),
        ("growing", 9, 3.9, "4A"),
        ("growing", 9, 4.0, "4B"),
        ("slowly-growing", 9, 3.0, "4B"),
    ],
)
def test_part_solid(status, whole, part, expected):
    given = {"kind": "part-solid", "status": status, "diameter_mm": whole}
    assert category(**given, solid_mm=part) == expected


@pytest.mark.parametrize(
    ("status", "size", "expected"),
    [
        ("baseline", 29.9, "2"),
        ("baseline", 30, "3"),
        ("new", 29.9, "2"),
        ("new", 30, "3"),
        ("growing", 29.9, "2"),
        ("growing", 30, "3"),
        ("stable", 30, "2"),
        ("slowly-growing", 30, "2"),
    ],
)
def test_ground_glass(status, size, expected):
    assert category(kind="ground-glass", status=status, diameter_mm=size) == expected


@pytest.mark.parametrize(
    ("airway", "status", "expected"),
    [
        ("segmental", "baseline", "4A"),
        ("segmental", "stable", "4B"),
        ("segmental", "growing", "4B"),
        ("segmental", "decreased", "2"),
        ("subsegmental", "baseline", "2"),
        ("subsegmental", "new", "2"),
        ("subsegmental", "stable", "2"),
        ("subsegmental", "growing", "4A"),
    ],
)
def test_airway(airway, status, expected):
    assert category(kind="airway", airway=airway, status=status) == expected


def test_a_subsegmental_airway_nodule_that_grows_is_judged_by_size():
    given = {"kind": "airway", "airway": "subsegmental", "status": "growing"}
    assert category(**given, diameter_mm=8) == "4B"


@pytest.mark.parametrize(
    ("cyst", "status", "change", "expected"),
    [
        ("multilocular", "baseline", "none", "4A"),
        ("thick-walled", "baseline", "none", "4A"),
        ("thin-walled", "baseline", "none", "1"),
        ("thick-walled", "growing", "wall", "4B"),
        ("thick-walled", "growing", "lumen", "3"),
        ("thin-walled", "stable", "multilocular", "4A"),
        ("multilocular", "growing", "none", "4B"),
        ("multilocular", "stable", "loculation", "4B"),
    ],
)
def test_cysts(cyst, status, change, expected):
    given = {"kind": "cyst", "cyst": cyst, "status": status, "cyst_change": change}
    assert category(**given) == expected


@pytest.mark.parametrize(
    ("prior", "months", "status", "expected"),
    [
        ("3", 6, "stable", "2"),
        ("3", 6, "decreased", "2"),
        ("3", 3, "stable", "3"),  # a published error has 3 and 6 months swapped
        ("4A", 3, "stable", "3"),
        ("4A", 3, "decreased", "3"),  # another never steps down on "decreased"
        ("4A", 2, "stable", "4A"),
        ("4A", None, "stable", "4A"),
        ("4B", 12, "stable", "4B"),
        ("4X", 12, "stable", "4B"),
        ("2", 12, "stable", "2"),
    ],
)
def test_steps_down(prior, months, status, expected):
    given = {"kind": "solid", "diameter_mm": 7, "status": status}
    assert category(**given, prior_category=prior, prior_months=months) == expected


def test_a_stable_nodule_that_crossed_a_threshold_is_judged_anew():
    given = {"kind": "solid", "status": "stable", "prior_category": "2"}
    given |= {"prior_months": 12}
    assert category(**given, diameter_mm=6.1, prior_diameter_mm=5.9) == "3"
    assert category(**given, diameter_mm=6.2, prior_diameter_mm=6.1) == "2"
    given |= {"kind": "part-solid", "prior_category": "3", "diameter_mm": 9}
    given |= {"prior_diameter_mm": 9, "solid_mm": 6.2}
    assert category(**given, prior_solid_mm=5.5) == "4A"
    assert category(**given) == "2"


def test_an_airway_nodule_does_not_step_down():
    given = {"kind": "airway", "airway": "segmental", "status": "stable"}
    assert category(**given, prior_category="4A", prior_months=3) == "4B"


def test_proven_benign():
    given = {"kind": "solid", "status": "stable", "diameter_mm": 20}
    assert category(**given, prior_category="4B", proven_benign=True) == "2"


def test_juxtapleural():
    given = {"kind": "solid", "juxtapleural": True}
    assert category(**given, diameter_mm=9.9) == "2"
    assert category(**given, diameter_mm=10.0) == "4A"
    assert category(**given, volume_mm3=523) == "2"
    assert category(**given, status="new", diameter_mm=9.9) == "2"
    assert category(**given, status="growing", diameter_mm=9.9) == "4B"


def test_4x_needs_category_3():
    assert category(kind="solid", diameter_mm=7, suspicious=("spiculation",)) == "4X"
    assert category(kind="solid", diameter_mm=5, suspicious=("spiculation",)) == "2"


def test_benign_patterns():
    assert category(kind="benign") == "1"


def test_the_rule_has_the_numbers():
    verdict = judge_finding(ScreeningFinding(kind="solid", diameter_mm=8.4))
    said = "solid, baseline, 8.4 mm mean diameter: >= 8 and < 15 mm -> 4A"
    assert verdict.rule == said


def test_diameters_count_to_a_tenth():
    assert category(kind="solid", diameter_mm=5.94) == "2"
    assert category(kind="solid", diameter_mm=5.95) == "3"


def test_the_exam_is_as_suspicious_as_its_worst_finding():
    small = ScreeningFinding(kind="solid", diameter_mm=4)
    large = ScreeningFinding(kind="solid", diameter_mm=16)
    exam = judge_exam([small, large, small])
    assert exam.category == "4B"
    assert [v.category for v in exam.findings] == ["2", "4B", "2"]
    assert judge_exam([small], other_finding=True).category == "2S"
    assert judge_exam([]).category == "1"
    exam = judge_exam([large], incomplete="prior CT awaited")
    assert exam.category == "0"
    assert "findings alone would be 4B" in exam.rule


def test_growth_is_more_than_1_5_mm_within_a_year():
    assert change_since(6, 7.5, 12) == "stable"
    assert change_since(6, 7.6, 12) == "growing"
    assert change_since(6, 7.6, 12.1) == "slowly-growing"
    assert change_since(7.6, 6, 12) == "decreased"
    with pytest.raises(InputError, match="time between must be above 0"):
        change_since(6, 7, 0)


def test_the_error_of_measurement_reaches_the_category():
    finding = ScreeningFinding(kind="solid", diameter_mm=7.8)
    assert judge_range(finding, error_mm=0.1) == ("3", "3")
    assert judge_range(finding, error_mm=0.3) == ("3", "4A")
    with pytest.raises(InputError, match="measured by diameter"):
        judge_range(ScreeningFinding(kind="solid", volume_mm3=100), error_mm=1)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"kind": "solid"}, "needs its mean diameter"),
        ({"kind": "solid", "diameter_mm": 0}, "above 0 mm"),
        ({"kind": "solid", "volume_mm3": float("nan")}, "above 0 mm3"),
        ({"kind": "glass", "diameter_mm": 3}, "`kind` must be one of"),
        ({"kind": "solid", "diameter_mm": 3, "status": "old"}, "`status` must be"),
        ({"kind": "airway"}, "where it lies"),
        ({"kind": "cyst"}, "A cyst must be"),
        ({"kind": "part-solid", "diameter_mm": 7, "solid_mm": 8}, "larger than"),
        ({"kind": "part-solid", "diameter_mm": 7, "solid_mm": -1}, "0 or more"),
        ({"kind": "solid", "diameter_mm": 7, "prior_category": "3"}, "no prior"),
        (
            {"kind": "solid", "diameter_mm": 7, "status": "new", "prior_category": "3"},
            r"first time \(new\) has no prior",
        ),
        (
            {
                "kind": "solid",
                "diameter_mm": 20,
                "status": "stable",
                "prior_category": "1",
            },
            "none of category 1 before",
        ),
        (  # at baseline such a cyst is 4A, and what "changed" made it 3
            {"kind": "cyst", "cyst": "thick-walled", "cyst_change": "lumen"},
            "has not changed",
        ),
        (
            {
                "kind": "solid",
                "diameter_mm": 7,
                "status": "stable",
                "prior_category": "3",
                "prior_months": 1e9,
            },
            "to 1200 months",
        ),
        (
            {"kind": "solid", "diameter_mm": 7, "status": "new", "prior_category": "5"},
            "prior category must be",
        ),
    ],
)
def test_what_cannot_be_is_refused(bad, message):
    with pytest.raises(InputError, match=message):
        ScreeningFinding(**bad)


def test_the_solid_part_is_asked_for_where_it_decides():
    with pytest.raises(InputError, match="judged by its solid part"):
        category(kind="part-solid", diameter_mm=8)


@given(
    st.sampled_from(["baseline", "new", "growing", "stable"]),
    st.floats(1, 60),
    st.floats(0, 20),
)
def test_a_larger_nodule_is_never_less_suspicious(status, size, more):
    small = category(kind="solid", status=status, diameter_mm=size)
    large = category(kind="solid", status=status, diameter_mm=size + more)
    assert ORDER.index(small) <= ORDER.index(large)


def test_sizes_that_no_chest_holds_are_refused():
    for size in ({"diameter_mm": 1e308}, {"volume_mm3": 1e20}):
        with pytest.raises(InputError, match="another unit"):
            ScreeningFinding(kind="solid", **size)


def test_the_error_of_a_size_judges_both_ends():
    part = ScreeningFinding(kind="part-solid", diameter_mm=8.0, solid_mm=5.5)
    assert [v.category for v in judge_sizes(part, error_mm=1.0)] == ["3", "3", "4A"]
    assert [v.category for v in judge_sizes(part, error_mm=0.0)] == ["3"] * 3
    with pytest.raises(InputError, match="measured by diameter"):
        judge_sizes(ScreeningFinding(kind="solid", volume_mm3=200.0), error_mm=1.0)
    with pytest.raises(InputError, match="error of measurement"):
        judge_sizes(part, error_mm=-1.0)


def both(**given):
    return judge_finding(ScreeningFinding(**given))


def test_a_volume_that_agrees_with_the_diameter_is_said_to():
    # 7 mm: 6 to 8 mm; 180 mm³: 113 to 268 mm³; both 3
    said = both(kind="solid", diameter_mm=7.0, volume_mm3=180.0)
    assert (said.category, said.by_volume) == ("3", "3")
    assert said.rule == (
        "solid, baseline, 7 mm mean diameter: >= 6 and < 8 mm -> 3; the diameter "
        "decides, by the volume of 180 mm³ it is the same"
    )
    exam = judge_exam(
        [ScreeningFinding(kind="solid", diameter_mm=7.0, volume_mm3=180.0)]
    )
    assert exam.possible == ""


@pytest.mark.parametrize(
    ("given", "decides", "other"),
    [
        ({"kind": "solid", "diameter_mm": 7.9, "volume_mm3": 268}, "3", "4A"),
        ({"kind": "solid", "diameter_mm": 8.0, "volume_mm3": 267}, "4A", "3"),
        (
            {"kind": "solid", "status": "new", "diameter_mm": 3, "volume_mm3": 34},
            "2",
            "3",
        ),
        ({"kind": "ground-glass", "diameter_mm": 30, "volume_mm3": 14136}, "3", "2"),
        (
            {
                "kind": "part-solid",
                "diameter_mm": 9,
                "solid_mm": 5.9,
                "solid_volume_mm3": 113,
            },
            "3",
            "4A",
        ),
        (
            {
                "kind": "airway",
                "airway": "subsegmental",
                "status": "growing",
                "diameter_mm": 7,
                "volume_mm3": 268,
            },
            "4A",
            "4B",
        ),
        (
            {
                "kind": "solid",
                "diameter_mm": 9,
                "juxtapleural": True,
                "volume_mm3": 524,
            },
            "2",
            "4A",
        ),
        # 4X by diameter only: category 2 stays 2
        (
            {
                "kind": "solid",
                "diameter_mm": 6,
                "volume_mm3": 112,
                "suspicious": ("spiculation",),
            },
            "4X",
            "2",
        ),
    ],
)
def test_a_volume_that_disagrees_is_told_and_the_diameter_decides(
    given, decides, other
):
    said = both(**given)
    assert (said.category, said.by_volume) == (decides, other)
    assert said.rule.endswith(f"it would be {other}")
    exam = judge_exam([ScreeningFinding(**given)])
    assert exam.category == decides
    low, high = sorted((decides, other))
    assert exam.possible == f"{low} to {high}"


def test_an_examination_may_be_between_what_its_diameters_and_volumes_say():
    # the first is 3 or 4A, the second 4A: 4A anyway; without the second 3 or 4A
    doubtful = ScreeningFinding(kind="solid", diameter_mm=7.9, volume_mm3=268)
    sure = ScreeningFinding(kind="solid", diameter_mm=9.0)
    assert judge_exam([doubtful, sure]).possible == ""
    assert judge_exam([doubtful, doubtful]).possible == "3 to 4A"
    assert judge_exam([doubtful], incomplete="prior CT awaited").possible == ""


def test_where_no_size_decides_none_is_said_to():
    sizes = {"diameter_mm": 7.0, "volume_mm3": 300.0}
    for kind in (
        {"kind": "benign"},
        {"kind": "airway", "airway": "segmental"},
        {"kind": "airway", "airway": "subsegmental"},
        {"kind": "cyst", "cyst": "multilocular"},
    ):
        said = both(**kind, **sizes)
        assert "decides" not in said.rule
        assert said.by_volume is None


def test_a_volume_that_needs_a_solid_part_says_so():
    # 5.9 mm in all is 2 without a solid part; 113 mm³ would ask for one
    said = both(kind="part-solid", diameter_mm=5.9, volume_mm3=113.0)
    assert (said.category, said.by_volume) == ("2", None)
    assert "113 mm³ it hangs on the solid part, which is not given" in said.rule


def test_at_a_follow_up_a_volume_counts_as_crossed_where_it_is_higher_than_before():
    given = {"kind": "solid", "status": "stable", "diameter_mm": 7.0}
    given |= {"prior_category": "3", "prior_months": 6, "prior_diameter_mm": 7.0}
    assert both(**given, volume_mm3=200).by_volume == "2"  # steps down, as by diameter
    assert both(**given, volume_mm3=300).by_volume == "4A"
    # the diameter crossed 6 mm: both are judged anew, and 110 mm³ is still below 113
    crossed = given | {"prior_category": "2", "prior_diameter_mm": 5.9}
    said = both(**crossed | {"diameter_mm": 6.0}, volume_mm3=110)
    assert (said.category, said.by_volume) == ("3", "2")


def test_the_error_of_a_diameter_says_nothing_of_a_volume():
    finding = ScreeningFinding(kind="solid", diameter_mm=7.0, volume_mm3=300.0)
    for verdict in judge_sizes(finding, error_mm=1.2):
        assert verdict.by_volume is None


def test_a_solid_part_larger_than_the_whole_is_refused_by_volume_too():
    with pytest.raises(InputError, match=r"\(200 mm³\) is larger"):
        ScreeningFinding(kind="part-solid", volume_mm3=150.0, solid_volume_mm3=200.0)


@pytest.mark.parametrize(
    ("told", "category", "possible", "missing"),
    [
        # 7 mm is 3; it was 3 and steps down to 2, or stays
        ({}, "3", "2 to 3", ("prior_category", "prior_months")),
        ({"prior_category": "3"}, "3", "2 to 3", ("prior_months",)),
        # a smaller one may have been 4B, which is kept
        (
            {"status": "decreased"}, "3", "2 to 4B", ("prior_category", "prior_months"),
        ),
        # kept at 2, unless it crossed 6 mm since: only the prior's diameter tells
        ({"prior_category": "2"}, "2", "2 to 3", ("prior_diameter_mm",)),
        ({"prior_category": "2", "prior_diameter_mm": 6.5}, "2", "", ()),
        ({"prior_category": "2", "prior_diameter_mm": 5.8}, "3", "", ()),
        # a volume now and a diameter then do not tell either
        (
            {"prior_category": "2", "prior_diameter_mm": 6.5, "diameter_mm": None,
             "volume_mm3": 180},
            "2", "2 to 3", ("diameter_mm",),
        ),
        ({"status": "growing"}, "4A", "", ()),
    ],
)  # fmt: skip
def test_what_was_not_told_of_the_prior_gives_a_range(
    told, category, possible, missing
):
    given = {"kind": "solid", "status": "stable", "diameter_mm": 7} | told
    exam = judge_exam([ScreeningFinding(**given)])
    assert (exam.category, exam.possible, exam.missing) == (category, possible, missing)


def test_of_a_thick_walled_cyst_that_grew_it_matters_what_did():
    grew = {"kind": "cyst", "cyst": "thick-walled", "status": "growing"}
    exam = judge_exam([ScreeningFinding(**grew)])
    assert (exam.possible, exam.missing) == ("3 to 4B", ("cyst_change",))
    assert judge_exam([ScreeningFinding(**grew, cyst_change="lumen")]).possible == ""


def test_a_cyst_that_changed_does_not_step_down():
    # the growing wall is 4B; 4A before, three months ago, made it 3
    given = {"kind": "cyst", "cyst": "thick-walled", "status": "stable"}
    before = {"prior_category": "4A", "prior_months": 3}
    assert category(**given, **before, cyst_change="wall") == "4B"
    assert category(**given, **before) == "3"


@pytest.mark.parametrize(
    ("status", "before", "now", "fits"),
    [
        ("stable", 6.0, 7.5, True),
        ("stable", 6.0, 7.6, False),
        ("stable", 7.6, 6.0, False),
        ("growing", 6.0, 8.0, True),
        ("growing", 7.0, 5.0, False),
        ("slowly-growing", 7.0, 7.0, False),
        ("decreased", 7.0, 5.0, True),
        ("decreased", 5.0, 7.0, False),
        ("new", None, 7.0, True),
        ("stable", None, 7.0, True),
    ],
)
def test_a_status_fits_its_diameters(status, before, now, fits):
    given = {"status": status, "prior_diameter_mm": before, "diameter_mm": now}
    finding = ScreeningFinding(kind="solid", **given)
    if fits:
        check_status(finding)
        return
    with pytest.raises(InputError, match=f"status is {status}, and the mean"):
        check_status(finding)


def test_the_status_of_a_part_solid_nodule_is_that_of_its_solid_part():
    part = {"kind": "part-solid", "status": "growing", "diameter_mm": 9}
    check_status(ScreeningFinding(**part, solid_mm=5, prior_solid_mm=2))
    with pytest.raises(InputError, match=r"-3 mm \(5 to 2 mm\)"):
        check_status(ScreeningFinding(**part, solid_mm=2, prior_solid_mm=5))


def test_blanks_say_no_reason_for_category_0():
    finding = ScreeningFinding(kind="solid", diameter_mm=9)
    assert judge_exam([finding], incomplete="  ").category == "4A"
