import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hilum.errors import InputError
from hilum.evaluation import (
    Figure,
    area_under_curve,
    balanced_accuracy,
    bootstrap,
    dice,
    expected_calibration_error,
    fit_platt,
    reliability,
    volume_error,
)
from hilum.evaluation.intervals import Share, disjoint_pairs, ends_of

scored = st.lists(
    st.tuples(st.integers(-5, 5), st.booleans()), min_size=2, max_size=40
).filter(lambda rows: len({t for _, t in rows}) == 2)


def apart(rows):
    score, truth = zip(*rows, strict=True)
    return np.array(score, float), np.array(truth)


def test_the_area_by_hand():
    # pairs (positive, negative): .4>.1, .4=.4 (half), .8>.1, .8>.4: 3.5 of 4
    assert area_under_curve([0.1, 0.4, 0.4, 0.8], [0, 0, 1, 1]) == 3.5 / 4


@given(scored)
def test_the_area_is_that_of_scikit_learn(rows):
    metrics = pytest.importorskip("sklearn.metrics")
    score, truth = apart(rows)
    expected = metrics.roc_auc_score(truth, score)
    assert area_under_curve(score, truth) == pytest.approx(expected)


@given(scored)
def test_the_area_keeps_under_rising_maps_and_turns_with_the_sign(rows):
    score, truth = apart(rows)
    area = area_under_curve(score, truth)
    assert area_under_curve(np.exp(score), truth) == pytest.approx(area)
    assert area_under_curve(-score, truth) == pytest.approx(1 - area)
    assert area_under_curve(score, ~truth) == pytest.approx(1 - area)


def test_there_is_no_area_without_both_kinds():
    assert np.isnan(area_under_curve([1, 2], [True, True]))


@pytest.mark.parametrize("score", [[1.0, float("nan")], [1.0]])
def test_scores_that_do_not_fit_are_refused(score):
    with pytest.raises(InputError, match="one score for each truth"):
        area_under_curve(score, [True, False])


@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=30)
)
def test_balanced_accuracy_is_the_mean_recall_of_scikit_learn(rows):
    metrics = pytest.importorskip("sklearn.metrics")
    truth, said = zip(*rows, strict=True)
    expected = metrics.recall_score(
        truth, said, labels=sorted(set(truth)), average="macro", zero_division=0
    )
    assert balanced_accuracy(truth, said) == pytest.approx(expected)


def test_classes_of_other_lengths_are_refused():
    with pytest.raises(InputError, match="one class said"):
        balanced_accuracy([0, 1], [0])


masks = st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=40)


@given(masks)
def test_dice_is_symmetric_and_the_f1_of_scikit_learn(rows):
    metrics = pytest.importorskip("sklearn.metrics")
    a, b = (np.array(part) for part in zip(*rows, strict=True))
    assert dice(a, b) == dice(b, a)
    expected = metrics.f1_score(a, b, zero_division=1)
    assert dice(a, b) == pytest.approx(expected)
    assert dice(a, a) == 1


def test_masks_of_other_shapes_are_refused():
    with pytest.raises(InputError, match="one grid"):
        dice(np.ones((2, 2)), np.ones(4))


def test_volume_error_has_no_sign_and_needs_a_volume():
    assert volume_error(100, 80) == volume_error(100, 120) == pytest.approx(0.2)
    with pytest.raises(InputError, match="> 0 mm3"):
        volume_error(0, 1)


def test_calibration_error_by_hand():
    # bin [.1, .2): said .15, true 0 of 1; bin [.9, 1]: said .95, true 1 of 2
    # (1 * .15 + 2 * .45) / 3 = .35
    assert expected_calibration_error(
        [0.15, 0.9, 1.0], [False, True, False]
    ) == pytest.approx(0.35)


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=60))
def test_bins_hold_each_case_once_and_their_means(rows):
    p, truth = (np.array(part) for part in zip(*rows, strict=True))
    table = reliability(p, truth)
    assert sum(b.n for b in table) == len(rows)
    assert sum(b.n * b.true for b in table) == pytest.approx(truth.sum())
    for b in table:
        assert b.low - 1e-9 <= b.said <= b.high + 1e-9
    assert 0 <= expected_calibration_error(p, truth) <= 1


def test_probabilities_out_of_range_are_refused():
    with pytest.raises(InputError, match="sigmoid"):
        reliability([1.5], [True])


def test_platt_finds_the_slope_that_made_the_truths():
    rng = np.random.default_rng(0)
    score = rng.normal(3, 1, 20000)
    truth = rng.random(20000) < 1 / (1 + np.exp(-(2 * score - 5)))
    platt = fit_platt(score, truth)
    assert platt.slope == pytest.approx(2, abs=0.1)
    assert platt.offset == pytest.approx(-5, abs=0.3)
    assert expected_calibration_error(platt(score), truth) < 0.02


def test_platt_is_the_logistic_regression_of_scikit_learn():
    linear = pytest.importorskip("sklearn.linear_model")
    rng = np.random.default_rng(1)
    score = rng.normal(size=4000)
    truth = rng.random(4000) < 1 / (1 + np.exp(-score))
    model = linear.LogisticRegression(C=1e6).fit(score[:, None], truth)
    platt = fit_platt(score, truth)
    assert platt.slope == pytest.approx(model.coef_[0, 0], rel=0.01)


def test_platt_needs_both_kinds():
    with pytest.raises(InputError, match="Cannot calibrate"):
        fit_platt([1.0, 2.0], [True, True])


def test_the_interval_of_a_mean_is_that_of_the_normal_distribution():
    rng = np.random.default_rng(0)
    values = rng.normal(5, 2, 400)
    figure = bootstrap(lambda i: values[i].mean(), [f"p{n}" for n in range(400)])
    # standard error 2 / sqrt(400) = 0.1, so +- 0.196
    assert figure.low == pytest.approx(values.mean() - 0.196, abs=0.03)
    assert figure.high == pytest.approx(values.mean() + 0.196, abs=0.03)
    assert figure.n == 400
    assert figure.excludes_zero


def test_cases_of_one_patient_are_not_independent():
    rng = np.random.default_rng(0)
    values = np.repeat(rng.normal(size=40), 10)
    whose = np.repeat([f"p{n}" for n in range(40)], 10)
    clustered = bootstrap(lambda i: values[i].mean(), whose)
    naive = bootstrap(lambda i: values[i].mean(), [f"c{n}" for n in range(400)])
    assert clustered.high - clustered.low > 2 * (naive.high - naive.low)


def test_the_difference_of_a_method_to_itself_is_zero():
    score, truth = np.arange(20.0), np.arange(20) % 3 == 0

    def difference(i):
        first = area_under_curve(score[i], truth[i])
        return first - area_under_curve(score[i], truth[i])

    figure = bootstrap(difference, [f"p{n}" for n in range(20)], rounds=50)
    assert figure == Figure(0.0, 0.0, 0.0, 20)
    assert not figure.excludes_zero


@pytest.mark.parametrize("count", [1, 3, 20, 300])
def test_all_right_is_as_sure_as_clopper_and_pearson_say(count):
    stats = pytest.importorskip("scipy.stats")
    whose = np.array([f"p{n}" for n in range(count)])
    for value in (1.0, 0.0):
        share = Share(lambda at, v=value: np.full(len(at), v).mean(), len)
        found = bootstrap(share, whose, rounds=20)
        exact = stats.binomtest(int(value * count), count).proportion_ci(0.95)
        np.testing.assert_allclose(
            [found.low, found.high], [exact.low, exact.high], atol=1e-12
        )
        assert found.value == value


def test_an_interval_of_draws_that_differ_is_that_of_the_draws():
    right = np.array([1.0, 1.0, 0.0, 1.0, 0.0])
    whose = [f"p{n}" for n in range(5)]
    plain = bootstrap(lambda at: right[at].mean(), whose)
    assert bootstrap(Share(lambda at: right[at].mean(), len), whose) == plain
    assert plain.low < plain.high


def test_of_two_intervals_of_a_perfect_figure_the_wider_is_given():
    draws = np.array([1.0] * 90 + [0.9] * 10)  # their 2.5 % are at 0.9
    # 3 units: 0.025^(1/3) = 0.2924; 300: 0.9878
    np.testing.assert_allclose(ends_of(1.0, draws, units=3), [0.2924, 1], atol=1e-4)
    np.testing.assert_allclose(ends_of(1.0, draws, units=300), [0.9, 1])
    np.testing.assert_allclose(ends_of(0.0, 1 - draws, units=3), [0, 0.7076], atol=1e-4)
    np.testing.assert_allclose(ends_of(0.0, 1 - draws, units=300), [0, 0.1])
    np.testing.assert_allclose(ends_of(1.0, draws), [0.9, 1])  # of no share


def test_without_a_unit_an_interval_says_that_it_knows_nothing():
    found = bootstrap(Share(lambda _: 1.0, lambda _: 0), ["a"], rounds=5)
    assert (found.low, found.high) == (0.0, 1.0)


def test_pairs_of_patients_by_hand():
    def pairs(text):
        names = [word[0] for word in text.split()]
        return disjoint_pairs(names, np.array([w[1] == "+" for w in text.split()]))

    assert pairs("a+ b+ c- d- e-") == 2
    assert pairs("a+ a+ b- b-") == 1  # two patients
    assert pairs("a+ a- b+ b-") == 1  # a's with b's, or b's with a's, not both
    assert pairs("a+ a-") == 0
    assert pairs("a+ b+") == 0
    assert pairs("a+ a- b- c+ d+") == 2  # c with a, d with b


@pytest.mark.parametrize(("ups", "downs"), [(1, 1), (2, 3), (3, 3), (6, 2)])
def test_an_area_of_one_is_no_likelier_than_its_pairs_being_in_order(ups, downs):
    # two normal distributions, 1.5 apart: the true area is Phi(1.5 / sqrt 2) = 0.856
    rng, true, rounds = np.random.default_rng(0), 0.8556, 2000
    truth = np.arange(ups + downs) < ups
    perfect = np.mean(
        [
            area_under_curve(rng.normal(size=ups + downs) + 1.5 * truth, truth) == 1
            for _ in range(rounds)
        ]
    )
    most = true ** min(ups, downs)
    error = 3 * np.sqrt(most * (1 - most) / rounds)
    assert 0.2 < perfect <= most + error
    if ups == downs == 1:  # where it is the chance itself
        assert perfect >= most - error


def test_the_same_seed_gives_the_same_interval():
    values = np.arange(30.0)
    whose = [f"p{n % 7}" for n in range(30)]
    first, again, other = (
        bootstrap(lambda i: values[i].mean(), whose, rounds=50, seed=s)
        for s in (0, 0, 1)
    )
    assert first == again
    assert first != other


def test_no_case_gives_no_figure_and_no_round_is_refused():
    assert bootstrap(lambda _: 1.0, []) == Figure(None, None, None, 0)
    with pytest.raises(InputError, match="at least 1 round"):
        bootstrap(lambda _: 1.0, ["p"], rounds=0)
