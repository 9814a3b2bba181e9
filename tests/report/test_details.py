"""What the page shows of a nodule beyond the assessment, and what it leaves out."""

import re
from dataclasses import dataclass, replace

import numpy as np
import pytest
from report_examples import (
    make_assessment,
    make_details,
    make_explanation,
    make_mask,
    make_nodule,
    make_volume,
    many_nodules,
)
from test_page import Page

from hilum.errors import InputError
from hilum.findings import Attributes, Guidelines, Nodule, Probability, Scope
from hilum.pipeline.guidelines import lung_rads_line
from hilum.report.cards import why_view
from hilum.report.details import NoduleDetails, gather_details
from hilum.report.figures import pictures
from hilum.report.guidelines import GuidelineLine, guideline_lines
from hilum.report.page import render_page
from hilum.runtime.predictor import load_predictor

LUNG_RADS = {"category": "4B", "rule": "a rule", "findings": ["4B"]}


@pytest.fixture(scope="module")
def volume():
    return make_volume()


@pytest.fixture(scope="module")
def full(volume):
    return render_page(make_assessment(), volume, details=make_details(volume))


def test_all_that_is_known_is_shown(full):
    page = Page(full)
    assert page.problems == []
    words = page.words
    assert "Expected rating 3.6 of 5; typical nodule 3.0" in words
    for said in ("Size +0.52", "Shape \u22120.07", "Image itself +0.16"):
        assert said in words
    assert "Change since the prior CT: grown" in words
    assert "Doubling time 90 days (70 to 150)" in words
    assert "full colour is 0.400 points" in words
    assert full.count('class="heat"') == 3
    assert "long and short axis are blue" in words


def test_nothing_is_made_up_where_nothing_is_known(volume):
    html = render_page(make_assessment(), volume)
    for said in ("Why the network", "Change since", "what counts", 'class="heat"'):
        assert said not in html
    assert "line axis" not in html
    assert "arcs show its mean diameter" in html


def test_out_of_scope_no_rating_is_explained(volume):
    html = render_page(
        make_assessment(
            scope=Scope(False, ("Odd.",)), cancer_probability=Probability.UNKNOWN
        ),
        volume,
        details=make_details(volume),
    )
    assert "Why the network" not in html
    assert "Show what counts" not in html
    assert "Change since the prior CT" in html  # growth is measured, and stays


def test_the_axes_are_drawn_where_they_were_measured(volume):
    known = NoduleDetails(mask=make_mask(volume))
    axial, coronal, sagittal = pictures(make_nodule(), 1, volume, known)
    lengths = []
    for path in axial.axes:
        ends = np.array(re.findall(r"[ML]([\d.]+) ([\d.]+)", path), float)
        lengths.append(np.linalg.norm(ends[1] - ends[0]))
    assert lengths == pytest.approx([26.3, 20.1], abs=0.02)
    assert "26.3\u00a0mm long and 20.1\u00a0mm short axis drawn on it" in axial.alt
    assert coronal.axes == sagittal.axes == ()


def test_the_axial_image_is_the_slice_that_was_measured(volume):
    # a mask that is widest three slices of 2 mm above the centre of the nodule
    mask = make_mask(volume, center_mm=(20.0, 10.0, -144.0))
    axial, coronal, _ = pictures(make_nodule(), 1, volume, NoduleDetails(mask=mask))
    assert "slice 29, z\u00a0\u2212144.0" in axial.caption
    assert "y\u00a010.0" in coronal.caption


def test_every_nodule_has_its_category_with_the_rule(volume):
    nodules = (make_nodule(), make_nodule(diameter_mm=5.0, solid_diameter_mm=5.0))
    line = lung_rads_line(nodules)
    words = Page(
        render_page(
            make_assessment(nodules=nodules, guidelines=Guidelines(lung_rads=line)),
            volume,
        )
    ).words
    assert "Lung-RADS v2022: 4B solid, baseline, 22.9 mm mean diameter" in words
    assert "Lung-RADS v2022: 2 solid, baseline, 5 mm mean diameter" in words


def test_every_nodule_has_the_rules_of_what_is_in_doubt(volume):
    nodule = make_nodule(
        diameter_mm=7.9,
        solid_diameter_mm=7.9,
        diameter_error_mm=0.3,
        attributes=Attributes(texture=3.5),
    )
    line = lung_rads_line((nodule,))
    assessment = make_assessment(
        nodules=(nodule,), guidelines=Guidelines(lung_rads=line)
    )
    words = Page(render_page(assessment, volume)).words
    assert "3 to 4B where size or kind is in doubt" in words
    # once beside the nodule and once among the guidelines
    for start in ("Within the error of measurement: ", "Were it part-solid, as its "):
        assert words.count(start) >= 2


def test_at_a_follow_up_only_the_rule_that_was_used_is_told():
    # both of 22.9 mm, which is 4B at baseline too, but by another rule
    line = LUNG_RADS | {
        "rule": "solid, growing",
        "possible": "4A to 4B",
        "nodule": 1,
        "status": "growing",
        "findings": ["4B", "4B"],
        "findings_possible": ["4A to 4B", "3 to 4B"],
    }
    nodules = (make_nodule(), make_nodule())
    judged, other = guideline_lines(
        make_assessment(nodules=nodules, guidelines=Guidelines(lung_rads=line))
    )
    assert (judged.rule, judged.possible) == ("solid, growing", "4A to 4B")
    assert other == GuidelineLine("4B", possible="3 to 4B")


def test_a_rule_that_does_not_lead_to_the_category_is_not_told(volume):
    line = LUNG_RADS | {"findings": ["4X"]}  # by something that the page cannot know
    html = render_page(make_assessment(guidelines=Guidelines(lung_rads=line)), volume)
    assert re.search(r"<dt>Lung-RADS</dt><dd>4X\s*</dd>", html)
    assert "Lung-RADS v2022: 4X" not in html


def test_facts_that_are_new_to_the_page_are_shown_under_their_names(volume):
    @dataclass(frozen=True, slots=True, kw_only=True)
    class Known(Nodule):
        lobe_probability: float | None = None
        near_pleura: bool | None = None

    plain = replace(
        make_nodule(),
        pleura_mm=3.25,
        upper_lobe_probability=0.9,
        tracking_uid="1.2.99",
    )
    shared = {name: getattr(plain, name) for name in Nodule.__dataclass_fields__}
    known = Known(**shared, lobe_probability=0.83)
    words = Page(render_page(make_assessment(nodules=(known,)), volume)).words
    assert "Lobe probability 0.83" in words
    assert "To the pleura 3.2 mm" in words
    assert "In an upper lobe 90%" in words
    assert "Near pleura" not in words
    assert "1.2.99" not in words  # for programs, not for readers


def test_a_nodule_that_is_new_is_called_so_without_a_plot(volume):
    html = render_page(make_assessment(), volume, details=[NoduleDetails(status="new")])
    assert "Change since the prior CT: new" in html
    assert "Doubling time" not in html


def test_what_was_checked_for_the_verdict_is_told(volume):
    @dataclass(frozen=True, slots=True)
    class Checked(Scope):
        checks: tuple = ()

    checks = (
        {"passed": True, "message": "Slices are 2 mm apart."},
        {"passed": False, "message": "One lung only."},
    )
    scope = Checked(False, ("One lung only.",), checks)
    words = Page(render_page(make_assessment(scope=scope), volume)).words
    assert "What was checked for the verdict: 2" in words
    assert "Slices are 2 mm apart. Not passed: One lung only." in words


def test_shares_are_drawn_to_one_scale():
    view = why_view(make_explanation(make_volume(), heated=False))
    size, shape, *_ = view.shares
    # the largest, 0.52 points, reaches from the middle to the end
    assert (size.left, size.width, size.raises) == (50, 50, True)
    assert shape.width == pytest.approx(50 * 0.07 / 0.52)
    assert shape.left + shape.width == pytest.approx(50)
    assert not shape.raises
    assert view.heat == ""


def test_small_shares_stay_small():
    few = replace(make_explanation(make_volume()), shares={"size": 0.05})
    assert why_view(few).shares[0].width == pytest.approx(5)  # of a reach of 0.5


def test_details_beyond_the_nodules_are_refused(volume):
    with pytest.raises(InputError, match="details of 2 nodules, but only 1"):
        render_page(make_assessment(), volume, details=(NoduleDetails(),) * 2)


def test_details_in_another_order_are_refused(volume):
    nodules = many_nodules(2)
    masks = [make_mask(volume, n.center_mm, (4, 4, 4)) for n in reversed(nodules)]
    details = [NoduleDetails(mask=m) for m in masks]
    with pytest.raises(InputError, match="not where the nodule is"):
        render_page(make_assessment(nodules=nodules), volume, details=details)


def test_details_of_the_first_nodules_alone_are_enough(volume):
    nodules = many_nodules(2)
    mask = make_mask(volume, nodules[0].center_mm, (4, 4, 4))
    html = render_page(
        make_assessment(nodules=nodules), volume, details=[NoduleDetails(mask=mask)]
    )
    assert html.count('class="line axis"') == 2


def rated(volume, **changes):
    """Assess one nodule as by the shipped network."""
    digests = {"malignancy": {"weights": "malignancy", **changes}}
    run = replace(
        make_assessment().provenance,
        settings=digests,
        weights=dict(load_predictor("malignancy").sha256),
    )
    return make_assessment(provenance=run)


def test_the_network_that_rated_is_asked_why(volume):
    (known,) = gather_details(rated(volume), volume, [make_mask(volume)])
    assert known.explanation.heat is not None
    html = render_page(rated(volume), volume, details=[known])
    assert "Why the network thinks so" in html
    assert 'class="line axis"' in html


@pytest.mark.parametrize("weights", ["", "absent", 3])
def test_weights_that_are_not_at_hand_explain_nothing(volume, weights):
    told = rated(volume, weights=weights)
    (known,) = gather_details(told, volume, [make_mask(volume)])
    assert known.explanation is None
    assert known.mask is not None


def test_other_weights_under_the_same_name_explain_nothing(volume):
    told = rated(volume)
    run = replace(told.provenance, weights={"malignancy.xml": "0" * 64})
    told = replace(told, provenance=run)
    (known,) = gather_details(told, volume, [make_mask(volume)])
    assert known.explanation is None
    nothing = replace(told, provenance=replace(run, settings={}))
    assert gather_details(nothing, volume, [make_mask(volume)])[0].explanation is None


def test_a_mask_is_needed_for_every_nodule(volume):
    with pytest.raises(InputError, match="0 masks for 1 nodules"):
        gather_details(make_assessment(), volume, [])
