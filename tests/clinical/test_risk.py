"""Clinical models: published vectors, published errors as negatives, ranges."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hilum.clinical.facts import Facts
from hilum.clinical.risk import (
    BrockFactors,
    MayoFactors,
    PlcoFactors,
    brock,
    brock_range,
    estimate_brock,
    estimate_herder,
    estimate_mayo,
    estimate_plco,
    herder,
    mayo,
    plco,
)
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
        (factors(62, 0), "size must be above 0"),
        (factors(62, math.nan), "size must be above 0"),
        (factors(62, 1e-9), "another unit than mm"),
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
    names = ("age_years", "sex", "emphysema")
    assert Facts(sex="male").missing_of(names) == ("age_years", "emphysema")


def test_a_smoker_is_one_of_three_words():
    with pytest.raises(InputError, match="never, former or current"):
        Facts(smoker="sometimes")


def test_an_estimate_has_its_sum_and_what_was_not_told():
    facts = Facts(age_years=65, sex="female", emphysema=True)
    said = estimate_brock(
        facts, diameter_mm=15, type="solid", count=2, upper_lobe=True, spiculation=True
    )
    assert said.probability == pytest.approx(0.4768, abs=5e-5)
    assert "= -0.0930; p = 0.4768" in said.rule
    assert said.missing == ("family_history",)
    # with a family history -0.0930 + 0.2961 = 0.2031, p = 0.5506
    assert (said.low, said.high) == pytest.approx((0.4768, 0.5506), abs=5e-5)
    assert said.doubts == ()


def test_without_an_age_there_is_a_range_alone():
    said = estimate_brock(Facts(sex="male"), diameter_mm=8, type="solid", count=1)
    assert said.probability is None
    assert 0 < said.low < said.high < 1


def test_an_age_outside_the_study_is_flagged():
    said = estimate_brock(
        Facts(age_years=40, sex="male"), diameter_mm=8, type="solid", count=1
    )
    assert "40 years old" in said.doubts[0]


def test_brock_refuses_a_mass_and_mayo_what_it_was_not_built_on():
    with pytest.raises(InputError, match="up to 30 mm; got 45 mm"):
        estimate_brock(Facts(), diameter_mm=45, type="solid", count=1)
    for size in (3.9, 30.1):
        with pytest.raises(InputError, match="4 to 30 mm"):
            estimate_mayo(Facts(), diameter_mm=size)
    with pytest.raises(InputError, match="cancer now"):
        estimate_mayo(Facts(known_cancer=True), diameter_mm=10)


def mayo_factors(age=65, smoker=True, size=12.0, spiculated=True, upper=True):
    return MayoFactors(
        age_years=age,
        ever_smoker=smoker,
        extrathoracic_cancer=False,
        diameter_mm=size,
        spiculated=spiculated,
        upper_lobe=upper,
    )


def test_mayo_vectors():
    assert mayo(mayo_factors()) == pytest.approx(0.46488, abs=5e-6)
    lower = mayo_factors(50, smoker=False, size=8, spiculated=False, upper=False)
    assert mayo(lower) == pytest.approx(0.02078, abs=5e-6)
    with pytest.raises(InputError, match="number of years"):
        mayo(mayo_factors(math.nan))


@pytest.mark.parametrize("intercept", [-6.872, -6.8238])
def test_not_with_a_wrong_intercept_of_mayo(intercept):
    right = mayo(mayo_factors())
    x = math.log(right / (1 - right)) + 6.8272 + intercept
    assert abs(1 / (1 + math.exp(-x)) - right) > 5e-4


def test_mayo_over_what_is_not_told():
    said = estimate_mayo(Facts(age_years=65), diameter_mm=12)
    assert set(said.missing) == {
        "smoker",
        "extrathoracic_cancer",
        "upper_lobe",
        "spiculation",
    }
    assert said.low == said.probability < said.high
    assert estimate_mayo(Facts(), diameter_mm=12).probability is None


def test_herder_vector_and_its_published_error():
    assert herder(0.187, "intense") == pytest.approx(0.6731, abs=5e-5)
    for uptake, wrong in (("faint", 1.439), ("moderate", 3.893), ("intense", 5.534)):
        x = -4.739 + 3.691 * 0.187 + wrong
        assert abs(herder(0.187, uptake) - 1 / (1 + math.exp(-x))) > 0.02
    assert estimate_herder(0.187, "none").probability < 0.02


@pytest.mark.parametrize(("p", "uptake"), [(18.7, "intense"), (0.2, "much")])
def test_herder_refuses_percent_and_unknown_uptake(p, uptake):
    with pytest.raises(InputError, match=r"percent|one of none"):
        herder(p, uptake)


def smoker(**changes):
    usual = {"age_years": 62, "education": 4, "bmi": 27, "current_smoker": False}
    usual |= {"cigarettes_per_day": 20, "years_smoked": 27, "years_quit": 10}
    return PlcoFactors(**{**usual, **changes})


def test_plco_by_hand():
    # all centred: x = -4.532506 - 1.822606 (10/20 - 0.4021541613) = -4.710840
    assert plco(smoker()) == pytest.approx(1 / (1 + math.exp(4.710840)), abs=1e-8)
    # + 0.2597431 (smokes) + 10 * 0.0308572 (not quit) + 0.3944778 (Black)
    # + 0.3553063 (COPD) = -3.392741
    more = smoker(current_smoker=True, years_quit=0, race="black", copd=True)
    assert plco(more) == pytest.approx(1 / (1 + math.exp(3.392741)), abs=1e-7)


def test_more_education_is_less_risk():
    # a published error has the sign flipped
    assert plco(smoker(education=6)) < plco(smoker(education=1))


def test_plco_flags_who_was_not_in_the_trial():
    assert "45 years old" in estimate_plco(smoker(age_years=45)).doubts[0]
    assert estimate_plco(smoker()).doubts == ()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"cigarettes_per_day": 0}, "who smoke"),
        ({"education": 7}, "1 to 6"),
        ({"bmi": math.nan}, "`bmi`"),
        ({"race": "blue"}, "Race must be"),
        ({"current_smoker": True}, "has not quit"),
        ({"years_smoked": 60}, "do not fit"),
    ],
)
def test_plco_refuses_what_cannot_be(changes, message):
    with pytest.raises(InputError, match=message):
        smoker(**changes)


def test_brock_ranges_over_kind_and_count_that_were_not_told():
    facts = Facts(age_years=60, sex="male", family_history=False, emphysema=False)
    given = {"diameter_mm": 10.0, "upper_lobe": False, "spiculation": False}
    found = estimate_brock(facts, **given)
    assert found.missing == ("type", "count")
    assert found.probability == brock(factors(60, 10, spiculated=False))
    # the ends: ground glass with nine others, and part-solid alone
    low = factors(60, 10, kind="ground-glass", count=10, spiculated=False)
    assert found.low == brock(low)
    assert found.high == brock(factors(60, 10, kind="part-solid", spiculated=False))
    told = estimate_brock(facts, **given, type="solid", count=1)
    assert told.low == told.high == found.probability


def test_brock_takes_no_count_that_nobody_counted():
    with pytest.raises(InputError, match="at most 1000"):
        brock(factors(60, 10, count=1001))


def test_plco_ranges_over_what_was_not_told():
    person = smoker()
    assert estimate_plco(person).missing == ()
    found = estimate_plco(person, missing=("copd", "race"))
    assert found.missing == ("race", "copd")
    assert found.probability == plco(person)
    assert found.low == plco(smoker(race="hispanic"))
    assert found.high == plco(smoker(race="pacific", copd=True))
    # who may smoke or have quit at any time since
    person = smoker(years_quit=0)
    found = estimate_plco(person, missing=("current_smoker", "years_quit"))
    longest = person.age_years - person.years_smoked
    assert found.low == plco(smoker(years_quit=longest))
    assert found.high == plco(smoker(years_quit=0, current_smoker=True))
    with pytest.raises(InputError, match="cannot do without bmi"):
        estimate_plco(person, missing=("bmi",))
