"""Records: JSON both ways, and what a probability may be."""

import dataclasses
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hilum.errors import InputError
from hilum.findings import (
    Annotation,
    Assessment,
    Candidate,
    Guidelines,
    Nodule,
    Notice,
    Probability,
    Provenance,
    Scope,
)

unit = st.floats(0, 1)
number = st.floats(-1e6, 1e6)
text = st.text(max_size=20)


def probabilities():
    return st.lists(unit, min_size=3, max_size=3).map(
        lambda p: Probability(low=sorted(p)[0], value=sorted(p)[1], high=sorted(p)[2])
    ) | st.just(Probability.UNKNOWN)


def nodules():
    return st.builds(
        Nodule,
        center_mm=st.tuples(number, number, number),
        diameter_mm=number,
        long_axis_mm=number,
        short_axis_mm=number,
        volume_mm3=number,
        type=st.sampled_from(["solid", "part-solid", "ground-glass", "calcified"]),
        solid_diameter_mm=number,
        side=st.sampled_from(["left", "right", None]),
        detection_score=unit,
        malignancy=probabilities(),
    )


def assessments():
    return st.builds(
        Assessment,
        series_uid=text,
        scope=st.builds(Scope, st.booleans(), st.lists(text).map(tuple)),
        cancer_probability=probabilities(),
        nodules=st.lists(nodules(), max_size=3).map(tuple),
        guidelines=st.just(Guidelines(brock={"probability": 0.1})),
        notices=st.lists(st.builds(Notice, text, text, text), max_size=3).map(tuple),
        provenance=st.builds(
            Provenance,
            version=text,
            settings=st.just({"lungs": {"a": 1}}),
            weights=st.just({}),
            timings_s=st.dictionaries(text, number, max_size=2),
            source=st.just({}),
        ),
    )


@given(assessments())
def test_assessment_survives_json(assessment):
    tree = json.loads(json.dumps(assessment.to_json()))
    assert Assessment.from_json(tree) == assessment


def test_json_has_the_fields_of_the_contract():
    fields = {f.name for f in dataclasses.fields(Assessment)}
    assert fields == {
        "series_uid",
        "scope",
        "cancer_probability",
        "nodules",
        "guidelines",
        "notices",
        "provenance",
        "comparison",
    }


def test_damaged_records_are_refused():
    good = Candidate((1.0, 2.0, 3.0), 6.0, 0.5).to_json()
    assert Candidate.from_json(good).center_mm == (1.0, 2.0, 3.0)
    for bad, message in [
        ({**good, "scor": 1}, r"unknown fields \['scor'\]"),
        ({"score": 0.5}, r"lacks \['center_mm', 'diameter_mm'\]"),
        ({**good, "center_mm": [1, 2]}, "Expected 3 values"),
        ({**good, "center_mm": "x"}, "Expected a list"),
        ({**good, "score": "high"}, "Expected float"),
        ([], "must be a JSON object"),
    ]:
        with pytest.raises(InputError, match=message):
            Candidate.from_json(bad)


def test_a_type_outside_the_list_is_refused():
    nodule = Nodule(
        center_mm=(0.0, 0.0, 0.0),
        diameter_mm=6.0,
        long_axis_mm=7.0,
        short_axis_mm=5.0,
        volume_mm3=113.0,
        type="solid",
        solid_diameter_mm=6.0,
        side=None,
        detection_score=0.5,
    )
    assert nodule.suspicion == 0.0
    with pytest.raises(InputError, match="'hazy' is not one of 'solid'"):
        Nodule.from_json({**nodule.to_json(), "type": "hazy"})


@pytest.mark.parametrize(
    "bad",
    [
        (0.5, 0.6, 0.7),
        (0.5, 0.1, 0.4),
        (1.5, 0.1, 2.0),
        (float("nan"), 0.1, 0.9),
        (None, 0.1, 0.9),
        (0.5, None, None),
    ],
)
def test_an_interval_holds_its_value(bad):
    with pytest.raises(InputError, match="0 <= low <= value <= high <= 1"):
        Probability(*bad)


def test_what_json_cannot_hold_is_refused():
    with pytest.raises(InputError, match="`diameter_mm` is nan"):
        Candidate((0.0, 0.0, 0.0), float("nan"), 0.5).to_json()


def test_annotation_survives_json():
    a = Annotation("1.2", (0.0, 0.0, 0.0), 5.0)
    assert Annotation.from_json(a.to_json()) == a
