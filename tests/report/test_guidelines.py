from report_examples import VARIANTS, make_assessment

from hilum.findings import Guidelines, Probability
from hilum.report.guidelines import guideline_lines, guideline_views, is_given

SEVERAL = ["CT at 6 months, then consider CT", "CT at 6 months, then CT"]


def view_of(**said):
    (view,) = guideline_views(make_assessment(guidelines=Guidelines(fleischner=said)))
    return view


def test_all_that_hangs_on_a_missing_fact_is_left_open():
    view = view_of(recommendation=None, possible=SEVERAL, missing=["ever_smoker"])
    assert view.possible == tuple(SEVERAL)
    assert view.headline == "depends on what is missing"
    assert view.grounds == (("missing", "ever smoker"),)


def test_one_answer_is_not_said_twice():
    view = view_of(recommendation=SEVERAL[0], possible=SEVERAL[:1], rule="a rule")
    assert (view.headline, view.possible) == (SEVERAL[0], ())
    assert view.grounds == (("rule", "a rule"),)


def test_why_a_guideline_is_not_meant_is_told_beside_what_else_may_be():
    view = view_of(not_applicable="a calcified nodule", possible=SEVERAL)
    assert (view.headline, view.why_not) == ("no result", "a calcified nodule")
    assert view.possible == tuple(SEVERAL)
    assert view.grounds == ()


def test_out_of_scope_nothing_is_given_unless_asked_for():
    line = {"category": "4B", "findings": ["4B"]}
    outside = VARIANTS["outside"] | {"guidelines": Guidelines(lung_rads=line)}
    assessment = make_assessment(**outside)
    assert not is_given(assessment)
    assert guideline_views(assessment) == guideline_lines(assessment) == ()
    forced = outside | {"cancer_probability": Probability(0.3, 0.1, 0.6)}
    assert is_given(make_assessment(**forced))
    assert len(guideline_views(make_assessment(**forced))) == 1
