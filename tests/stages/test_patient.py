"""Leaky noisy-or and the patient stage."""

import json
import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hilum.clinical.facts import Facts
from hilum.errors import InputError
from hilum.findings import Nodule, Probability
from hilum.stages.malignancy import BrockModel
from hilum.stages.patient import RiskModel, leaky_noisy_or

probability = st.floats(0, 1)
NODULE = Nodule(
    center_mm=(0.0, 0.0, 0.0),
    diameter_mm=8.0,
    long_axis_mm=8.0,
    short_axis_mm=8.0,
    volume_mm3=268.0,
    type="solid",
    solid_diameter_mm=8.0,
    side=None,
    detection_score=0.5,
)


@pytest.mark.parametrize(
    ("malignancy", "leak", "expected"),
    [
        ([], 0.0, 0.0),
        ([], 0.1, 0.1),
        ([0.5, 0.2], 0.1, 1 - 0.9 * 0.5 * 0.8),
        ([1.0, 0.3], 0.0, 1.0),
    ],
)
def test_values(malignancy, leak, expected):
    assert leaky_noisy_or(malignancy, leak=leak) == pytest.approx(expected)


@given(st.lists(probability, max_size=8), probability)
def test_one_more_nodule_never_lowers_the_risk(malignancy, extra):
    assert leaky_noisy_or([*malignancy, extra]) >= leaky_noisy_or(malignancy) - 1e-12


@pytest.mark.parametrize("bad", [-0.1, 1.5, float("nan")])
def test_logits_are_refused_with_advice(bad):
    with pytest.raises(InputError, match="sigmoid"):
        leaky_noisy_or([0.2, bad])


@pytest.mark.parametrize("leak", [-0.1, 1.0, float("nan")])
def test_leak_is_checked(leak):
    with pytest.raises(InputError, match="Leak must lie in"):
        leaky_noisy_or([0.2], leak=leak)


SURE = {"detection": (1.0, 0.0), "detection_doubt": (0.0, 0.0, 0.0)}
"""A detection score that is a chance."""


def rated(low, value, high, **changes):
    malignancy = Probability(low=low, value=value, high=high)
    return replace(NODULE, malignancy=malignancy, **changes)


def test_a_patient_by_hand():
    worse = rated(0.2, 0.4, 0.8)
    # 1 - (1 - leak) * (1 - 0.5 * m) for m = 0.2, 0.4, 0.8
    model = RiskModel(leak=0.01, leak_range=(0.005, 0.02), **SURE)
    risk = model((worse,))
    assert risk.low == pytest.approx(1 - 0.995 * 0.9)
    assert risk.value == pytest.approx(1 - 0.99 * 0.8)
    assert risk.high == pytest.approx(1 - 0.98 * 0.6)
    nobody = model(())
    assert (nobody.low, nobody.value, nobody.high) == pytest.approx((0.005, 0.01, 0.02))


def test_a_leak_of_ones_own_lies_in_its_interval():
    nobody = RiskModel(leak=0.05)(())
    assert (nobody.low, nobody.value, nobody.high) == pytest.approx(
        (0.0003, 0.05, 0.05)
    )


def test_a_chance_of_being_a_nodule_by_hand():
    # score 0.8: log odds ln 4 = 1.386; 2 * ln 4 - ln 2 = ln 8, so 8 / 9
    model = RiskModel(detection=(2.0, -math.log(2)), detection_doubt=(0.0, 0.0, 0.25))
    chance = model.chance_of_nodule(0.8)
    assert chance.value == pytest.approx(8 / 9)
    # a deviation of 0.5 in the offset: 1.96 * 0.5 = 0.98 either way
    reach = 0.5 * 1.959964
    assert chance.low == pytest.approx(1 / (1 + math.exp(reach) / 8), rel=1e-6)
    assert chance.high == pytest.approx(1 / (1 + math.exp(-reach) / 8), rel=1e-6)


def test_looks_move_the_ends_and_not_the_value():
    model = RiskModel(leak=0.0, leak_range=(0.0, 0.0), look=0.5, **SURE)
    nodule = rated(0.2, 0.2, 0.2, detection_score=0.9999)
    plain = model((nodule,))
    # odds of 16 to a half are 4: 0.25 becomes 1, so 1/2; odds of 1/4 halve 0.25
    look = Probability(low=0.2, value=0.5, high=16 / 17)
    told = model((nodule,), (look,))
    assert told.value == plain.value
    assert told.high == pytest.approx(0.5, rel=1e-3)
    assert told.low == pytest.approx(0.125 / 1.125, rel=1e-3)
    sure = model((nodule,), (Probability(low=0.5, value=0.5, high=0.5),))
    assert (sure.low, sure.high) == pytest.approx((plain.low, plain.high))


FACTS = st.builds(
    Facts,
    age_years=st.none() | st.floats(20, 90),
    sex=st.sampled_from([None, "female", "male"]),
    emphysema=st.sampled_from([None, True, False]),
)
KINDS = ("ground-glass", "solid", "part-solid")  # in the order of Brock 2a
FOUND = st.tuples(
    st.floats(2, 60),  # diameter
    st.floats(0, 1),  # score
    st.lists(probability, min_size=3, max_size=3).map(sorted),  # look
    st.integers(0, 2),  # kind
)


def whole_path(found, facts, curve):
    """From findings to the probability of the patient, as the pipeline goes."""
    nodules = tuple(
        replace(NODULE, diameter_mm=d, detection_score=s, type=KINDS[k])
        for d, s, _, k in found
    )
    looks = tuple(Probability(*_ordered(look)) for *_, look, _ in found)
    risk = RiskModel(calibration=curve)(BrockModel()(nodules, facts), looks)
    return risk.low, risk.value, risk.high


def _ordered(look):
    low, value, high = look
    return value, low, high  # fields are value, low, high


@pytest.fixture(scope="module")
def curve(tmp_path_factory):
    path = tmp_path_factory.mktemp("curve") / "calibration.json"
    points = [[0, 0.02], [0.1, 0.02], [0.4, 0.3], [1, 0.9]]
    path.write_text(json.dumps({"points": points, "sentence": "On 40 patients."}))
    return path


@given(
    st.lists(FOUND, min_size=1, max_size=8),
    st.integers(0, 7),
    st.tuples(st.floats(0, 30), probability, probability, st.integers(0, 2)),
    FACTS,
    st.booleans(),
)
@settings(max_examples=150)
def test_a_worse_nodule_never_lowers_the_risk(curve, found, at, more, facts, calibrate):
    at %= len(found)
    diameter, score, look, kind = found[at]
    larger, surer, uglier, denser = more
    worse = list(found)
    worse[at] = (
        diameter + larger,
        score + (1 - score) * surer,
        [p + (1 - p) * uglier for p in look],
        max(kind, denser),
    )
    path = curve if calibrate else None
    before, after = (whole_path(f, facts, path) for f in (found, worse))
    for one, other in zip(before, after, strict=True):
        assert other >= one - 1e-12


@given(st.lists(FOUND, max_size=8), FACTS)
def test_the_value_lies_in_its_interval(found, facts):
    low, value, high = whole_path(found, facts, None)
    assert 0 <= low <= value <= high <= 1


def test_ends_are_combined_by_themselves():
    # the second has the higher value, the first the higher end: each counts once
    wide, narrow = rated(0.0, 0.3, 0.9), rated(0.35, 0.4, 0.45)
    one = RiskModel(top=1, leak=0.0, leak_range=(0.0, 0.0), **SURE)
    risk = one((wide, narrow))
    assert (risk.low, risk.value, risk.high) == pytest.approx((0.175, 0.2, 0.45))


@pytest.mark.parametrize(
    ("settings_", "message"),
    [
        ({"leak_range": (0.5, 0.1)}, "`leak_range` must rise"),
        ({"leak_range": (0.0, 1.0)}, "`leak_range`"),
        ({"detection": (0.5, 0.0)}, "rise with the score beyond its doubt"),
        ({"detection_doubt": (0.1, 1.0, 0.1)}, "`detection`"),
        ({"look": -0.1}, "`look` must lie in"),
    ],
)
def test_settings_that_would_not_rise_are_refused(settings_, message):
    with pytest.raises(InputError, match=message):
        RiskModel(**settings_)


def test_looks_of_other_nodules_are_refused():
    with pytest.raises(InputError, match="Got 2 looks of 1 nodules"):
        RiskModel()((rated(0.1, 0.1, 0.1),), (Probability.UNKNOWN,) * 2)


def test_a_calibration_says_what_it_was_made_on(curve):
    assert RiskModel().calibrated_on() is None
    assert RiskModel(calibration=curve).calibrated_on() == "On 40 patients."


def test_only_the_top_count():
    many = tuple(
        replace(NODULE, malignancy=Probability(low=p, value=p, high=p))
        for p in (0.1, 0.2, 0.3)
    )
    assert RiskModel(top=2)(many) == RiskModel()(many[1:])


def test_a_nodule_without_malignancy_is_refused():
    with pytest.raises(InputError, match="Run the malignancy stage first"):
        RiskModel()((NODULE,))
