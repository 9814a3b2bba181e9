"""Leaky noisy-or and the patient stage."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hilum.errors import InputError
from hilum.findings import Nodule, Probability
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


def test_a_patient_by_hand():
    worse = replace(NODULE, malignancy=Probability(low=0.2, value=0.4, high=0.8))
    # 1 - 0.99 * (1 - 0.5 * m) for m = 0.2, 0.4, 0.8
    risk = RiskModel(leak=0.01)((worse,))
    assert risk.low == pytest.approx(1 - 0.99 * 0.9)
    assert risk.value == pytest.approx(1 - 0.99 * 0.8)
    assert risk.high == pytest.approx(1 - 0.99 * 0.6)
    nobody = RiskModel(leak=0.01)(())
    assert (nobody.low, nobody.value, nobody.high) == pytest.approx((0.01,) * 3)


def test_only_the_top_count():
    many = tuple(
        replace(NODULE, malignancy=Probability(low=p, value=p, high=p))
        for p in (0.1, 0.2, 0.3)
    )
    assert RiskModel(top=2)(many) == RiskModel()(many[1:])


def test_a_nodule_without_malignancy_is_refused():
    with pytest.raises(InputError, match="Run the malignancy stage first"):
        RiskModel()((NODULE,))
