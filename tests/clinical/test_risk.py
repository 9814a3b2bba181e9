"""Brock: published vectors, published errors as negatives, and its ranges."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hilum.clinical.facts import Facts
from hilum.clinical.risk import BrockFactors, brock, brock_range
from hilum.errors import InputError


def factors(age, diameter, kind="solid", count=1, spiculated=None, **flags):
    names = ("female", "family_history", "emphysema", "upper_lobe")
    return BrockFactors(
        age_years=age,
        diameter_mm=diameter,
        type=kind,
        count=count,
        spiculated=spiculated,
        **{name: flags.get(name, False) for name in names},
    )


@pytest.mark.parametrize(
    ("given_factors", "expected"),
    [
        # model 2b
        (
            factors(65, 15, count=2, spiculated=True, female=True, emphysema=True,
                    upper_lobe=True),
            0.4768,
        ),
        (factors(55, 5, spiculated=False), 0.00289),
        (
            factors(70, 20, "part-solid", spiculated=True, female=True,
                    family_history=True, emphysema=True, upper_lobe=True),
            0.8014,
        ),
        (factors(62, 8, spiculated=False), 0.01716),
        (factors(62, 8, spiculated=True), 0.03644),
        (
            factors(60, 10, "ground-glass", 3, spiculated=False, upper_lobe=True),
            0.04294,
        ),
        (factors(60, 10, "ground-glass", 3, spiculated=True, upper_lobe=True), 0.08858),
        # model 2a
        (factors(62, 8), 0.01906),
        (
            factors(62, 8, female=True, family_history=True, emphysema=True,
                    upper_lobe=True),
            0.11731,
        ),
        (factors(60, 10, "ground-glass", 3, upper_lobe=True), 0.04372),
    ],
)  # fmt: skip
def test_published_vectors(given_factors, expected):
    assert brock(given_factors) == pytest.approx(expected, abs=6e-5)


def test_not_with_4_mm_inside_the_root():
    # a published error: ((8 - 4) / 10)^-0.5 - 1.58113883 = 0, so x = -6.8071 + 0.2409
    wrong = 1 / (1 + math.exp(6.8071 - 3 * 0.0803))
    assert abs(brock(factors(62, 8)) - wrong) > 0.01


def test_not_with_the_intercept_of_mayo():
    right = brock(factors(62, 8))
    wrong = 1 / (1 + math.exp(-(math.log(right / (1 - right)) + 6.8071 - 6.8272)))
    assert abs(right - wrong) > 1e-4


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (factors(62, 0), "size must be > 0"),
        (factors(62, math.nan), "size must be > 0"),
        (factors(62, 8, count=0), "at least 1"),
        (factors(62, 8, "calcified"), "outside the study"),
    ],
)
def test_what_the_study_did_not_have_is_refused(bad, message):
    with pytest.raises(InputError, match=message):
        brock(bad)


def test_nothing_missing_gives_a_point():
    facts = Facts(age_years=62, sex="male", family_history=False, emphysema=False)
    risk = brock_range(facts, diameter_mm=8, type="solid", count=1, upper_lobe=False)
    assert risk.low == risk.high == pytest.approx(0.01906, abs=6e-6)
    assert risk.value == pytest.approx(risk.low)


@given(st.floats(3, 30), st.integers(1, 20), st.floats(50, 75))
def test_a_known_fact_never_widens_the_range(diameter, count, age):
    wide = brock_range(Facts(), diameter_mm=diameter, type="solid", count=count)
    narrow = brock_range(
        Facts(age_years=age, sex="female"),
        diameter_mm=diameter,
        type="solid",
        count=count,
    )
    assert wide.low <= narrow.low <= narrow.value <= narrow.high <= wide.high


@given(st.floats(2, 60), st.floats(0.1, 10))
def test_a_bigger_nodule_is_more_suspicious(diameter, more):
    assert brock(factors(62, diameter + more)) > brock(factors(62, diameter))


@pytest.mark.parametrize("age", [3, 130, math.nan])
def test_ages_of_no_adult_are_refused(age):
    with pytest.raises(InputError, match="18 to 120"):
        Facts(age_years=age)


def test_sex_is_checked():
    with pytest.raises(InputError, match="female or male; got 'f'"):
        Facts(sex="f")
    assert Facts(sex="male").missing == ("age_years", "family_history", "emphysema")
