"""Figures of patients: by hand, by law, against scikit-learn, and what is refused."""

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hilum.datasets.tables import columns_of
from hilum.errors import InputError
from hilum.evaluation.decisions import compare_aucs, decision_curve, sensitivity_at
from hilum.evaluation.dsb2017 import brier, evaluate_dsb2017, log_loss
from hilum.evaluation.outcomes import Outcomes, _pairs_in_time, evaluate_patients
from hilum.evaluation.patients import Labelled, read_table
from hilum.evaluation.recalibration import (
    apply_curve,
    calibrate,
    cross_fit,
    fit_curve,
)
from hilum.evaluation.survival import followed_until, harrell_c, horizon_auc, uno_c


def write(path, header, rows):
    lines = [header, *(",".join(map(str, row)) for row in rows)]
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture
def cohort(tmp_path):
    """Write 200 patients, 26 % with cancer, and probabilities that are too high."""
    rng = np.random.default_rng(3)
    cancer = rng.uniform(size=200) < 0.26
    score = rng.normal(size=200) + 1.5 * cancer
    said = 1 / (1 + np.exp(-score))
    ids = [f"p{n}" for n in range(200)]
    truth = write(
        tmp_path / "labels.csv",
        "id,cancer,age",
        zip(ids, cancer.astype(int), ids, strict=True),
    )
    rows = list(zip(ids, said, strict=True))[::-1]
    return truth, write(tmp_path / "said.csv", "id,cancer", rows), cancer, said


def test_dsb2017_is_scikit_learns(cohort):
    metrics = pytest.importorskip("sklearn.metrics")
    truth, predictions, cancer, said = cohort
    result = evaluate_dsb2017(truth, predictions)
    assert result.n == 200
    assert result.cancers == cancer.sum()
    assert result.log_loss == pytest.approx(metrics.log_loss(cancer, said))
    assert result.auc == pytest.approx(metrics.roc_auc_score(cancer, said))
    assert result.brier == pytest.approx(metrics.brier_score_loss(cancer, said))
    assert result.log_loss_interval[0] < result.log_loss < result.log_loss_interval[1]
    assert result.auc_interval[0] < result.auc < result.auc_interval[1]
    share = cancer.mean()
    prior = -(share * math.log(share) + (1 - share) * math.log(1 - share))
    assert result.prior_log_loss == pytest.approx(prior)
    json.dumps(result.to_json(), allow_nan=False)


def test_the_constant_prior_of_the_competition():
    # 26 % of 100: -(0.26 ln 0.26 + 0.74 ln 0.74) = 0.57306
    truth = np.arange(100) < 26
    assert log_loss(np.full(100, 0.26), truth) == pytest.approx(0.57306, abs=1e-5)


def test_certainty_that_is_wrong_is_clipped():
    assert log_loss([0.0], [True]) == pytest.approx(-math.log(1e-15))
    assert log_loss([1.0], [True]) == pytest.approx(0, abs=1e-12)
    assert brier([1.0, 0.0], [False, False]) == 0.5


def test_without_both_kinds_there_is_no_auc(tmp_path):
    truth = write(tmp_path / "t.csv", "id,cancer", [("a", 0), ("b", 0)])
    said = write(tmp_path / "p.csv", "id,cancer", [("a", 0.1), ("b", 0.2)])
    result = evaluate_dsb2017(truth, said)
    assert result.auc is None
    assert result.log_loss > 0


@pytest.mark.parametrize(
    ("truth", "said", "message"),
    [
        ([("a", 0.3), ("b", 1)], [("a", 0.1), ("b", 0.2)], "0 or 1"),
        ([("a", 0), ("b", 1)], [("a", 0.1)], "1 of 2 labelled patients have no"),
        ([("a", 0)], [("a", 0.1), ("b", 0.2)], "1 predictions are of patients"),
        ([("a", 0)], [("a", 1.2)], "Apply a sigmoid"),
        ([("a", 0)], [("a", "nan")], "no finite number"),
        ([("a", 0)], [("a", "x")], "no finite number"),
        ([("a", 0), ("a", 1)], [("a", 0.1)], "came before"),
        ([("", 0)], [("a", 0.1)], "no id"),
    ],
)
def test_tables_that_do_not_fit_are_refused(tmp_path, truth, said, message):
    truth = write(tmp_path / "t.csv", "id,cancer", truth)
    said = write(tmp_path / "p.csv", "id,cancer", said)
    with pytest.raises(InputError, match=message):
        evaluate_dsb2017(truth, said)


def test_columns_and_files_that_are_absent(tmp_path):
    with pytest.raises(InputError, match="Cannot read"):
        read_table(tmp_path / "none.csv", ("cancer",))
    path = write(tmp_path / "t.csv", "id,label", [("a", 0)])
    with pytest.raises(InputError, match="lacks the column cancer; it has id,label"):
        read_table(path, ("cancer",))
    (tmp_path / "e.csv").write_text("id,cancer\n")
    with pytest.raises(InputError, match="has no row"):
        read_table(tmp_path / "e.csv", ("cancer",))
    twice = write(tmp_path / "w.csv", "id,cancer,cancer", [("a", 0.1, 0.9)])
    with pytest.raises(InputError, match="column cancer more than once"):
        read_table(twice, ("cancer",))
    assert columns_of(path) == ("id", "label")
    assert columns_of(tmp_path / "none.csv") == ()


def test_a_decimal_comma_is_refused_and_not_read_as_nothing(tmp_path):
    # "p0,0,73" would be a probability of 0, and a log loss of 34 for a cancer
    path = tmp_path / "comma.csv"
    path.write_text("id,cancer\np0,0,73\n")
    with pytest.raises(InputError, match=r"Line 2 of .*has 3 values.*with a point"):
        read_table(path, ("cancer",))
    path.write_text("id,cancer\np0,0.73,\n")  # as a spreadsheet may end its lines
    assert read_table(path, ("cancer",)) == {"p0": {"cancer": 0.73}}


def test_concordance_by_hand():
    # times 1+ 2+ 3o 4+; comparable: (1,2) (1,3) (1,4) (2,3) (2,4) = 5
    # scores 4 1 3 2: (1,2) (1,3) (1,4) right, (2,3) (2,4) wrong = 3/5
    time, event = [1, 2, 3, 4], [True, True, False, True]
    assert harrell_c([4, 1, 3, 2], time, event) == pytest.approx(3 / 5)
    assert harrell_c([1, 1, 1, 1], time, event) == 0.5
    # G(1) = G(2) = 1, G(3) = 1/2: nobody is later than 4, so weights are all 1
    assert uno_c([4, 1, 3, 2], time, event) == pytest.approx(3 / 5)


def test_censoring_is_made_good_for():
    # followed: 1 ends at 2 of 4 at risk there (2, 3, 4, 5) -> 3/4
    time = np.array([1.0, 2, 3, 4, 5])
    event = np.array([True, False, True, True, False])
    found = followed_until(time, event, np.array([1.0, 2, 3]))
    np.testing.assert_allclose(found, [1, 3 / 4, 3 / 4])
    # pairs of 1: 4 of weight 1; of 3: 2, of 4: 1, each of weight 16/9
    score = [5, 0, 1, 2, 3]  # 3 and 4 are below those after them
    assert uno_c(score, time, event) == pytest.approx(4 / (4 + 3 * 16 / 9))
    assert uno_c(score, time, event, until=3) == 1.0


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(1, 6), st.booleans()),
                min_size=2, max_size=30))  # fmt: skip
def test_turning_the_score_turns_the_concordance(rows):
    score, time, event = map(np.array, zip(*rows, strict=True))
    for measure in (harrell_c, uno_c):
        there, back = measure(score, time, event), measure(-score, time, event)
        if not math.isnan(there):
            assert there + back == pytest.approx(1)


def survival_cohort():
    rng = np.random.default_rng(1)
    score = rng.normal(size=300)
    ill = rng.exponential(6 * np.exp(-score))
    end = rng.uniform(0.5, 8, 300)
    return score, np.round(np.minimum(ill, end), 3), ill <= end


def test_concordance_is_that_of_scikit_survival():
    metrics = pytest.importorskip("sksurv.metrics", reason="no scikit-survival")
    score, time, event = survival_cohort()
    told = np.array(list(zip(event, time, strict=True)), dtype="?,f8")
    harrell = metrics.concordance_index_censored(event, time, score)[0]
    assert harrell_c(score, time, event) == pytest.approx(harrell)
    uno = metrics.concordance_index_ipcw(told, told, score, tau=6)[0]
    assert uno_c(score, time, event, until=6) == pytest.approx(uno)
    for year in (1, 2, 4, 6):
        auc = metrics.cumulative_dynamic_auc(told, told, score, [year])[0][0]
        assert horizon_auc(score, time, event, year=year) == pytest.approx(auc)


def test_sensitivity_at_a_specificity():
    score, truth = [1, 2, 3, 4, 5, 6], [0, 0, 1, 0, 1, 1]
    assert sensitivity_at(score, truth, specificity=1) == pytest.approx(2 / 3)
    assert sensitivity_at(score, truth, specificity=2 / 3) == 1.0
    assert sensitivity_at(score, truth, specificity=0) == 1.0
    assert math.isnan(sensitivity_at([1], [1], specificity=0.9))


def test_net_benefit_by_hand():
    # act on 0.9 and 0.4 at 0.25: 1 right, 1 wrong of 4; 1/4 - 1/4 * (1/3) = 1/6
    # all: 1/4 - 3/4 * 1/3 = 0
    found = decision_curve([0.9, 0.4, 0.1, 0.1], [1, 0, 0, 0], [0.25])[0]
    assert (found.model, found.all) == pytest.approx((1 / 6, 0))
    with pytest.raises(InputError, match="thresholds in"):
        decision_curve([0.5], [1], [1.0])


def test_delong_by_simulation():
    rng = np.random.default_rng(0)
    truth = np.arange(120) % 3 == 0
    first = rng.normal(size=120) + 1.2 * truth
    second = first + rng.normal(size=120)
    said = compare_aucs(first, second, truth)
    draws = []
    ups, downs = np.flatnonzero(truth), np.flatnonzero(~truth)
    for _ in range(400):
        at = np.concatenate([rng.choice(ups, len(ups)), rng.choice(downs, len(downs))])
        again = compare_aucs(first[at], second[at], truth[at])
        draws.append(again.difference)
    error = (said.high - said.low) / (2 * 1.96)
    assert np.std(draws) == pytest.approx(error, rel=0.15)
    assert said.low < said.difference < said.high


def test_a_score_does_not_differ_from_itself():
    truth = [True, False, True, False]
    said = compare_aucs([1, 2, 3, 4], [1, 2, 3, 4], truth)
    assert (said.difference, said.p_value) == (0, 1)
    with pytest.raises(InputError, match="two of each kind"):
        compare_aucs([1, 2], [1, 2], [True, False])


@pytest.mark.slow
def test_patients_by_follow_up(tmp_path):
    score, time, event = survival_cohort()
    ids = [f"p{n}" for n in range(300)]
    truth = write(
        tmp_path / "t.csv",
        "id,years,event",
        zip(ids, time, event.astype(int), strict=True),
    )
    p = 1 / (1 + np.exp(-score))
    one = write(tmp_path / "p.csv", "id,cancer", zip(ids, p, strict=True))
    header = "id," + ",".join(f"year_{y}" for y in range(1, 7))
    rows = [(i, *(q * y / 6 for y in range(1, 7))) for i, q in zip(ids, p, strict=True)]
    six = write(tmp_path / "six.csv", header, rows)
    noisy = write(
        tmp_path / "n.csv",
        "id,cancer",
        zip(ids, np.random.default_rng(2).uniform(size=300), strict=True),
    )
    result = evaluate_patients(truth, one, against=noisy)
    assert set(result.auc) == {"1", "2", "3", "4", "5", "6"}
    assert result.auc["3"].value == pytest.approx(horizon_auc(p, time, event, year=3))
    assert result.harrell_c.value == pytest.approx(harrell_c(p, time, event))
    assert result.comparison.difference > 0.1
    assert result.comparison.p_value < 0.01
    assert result.known_year == 6
    assert evaluate_patients(truth, six).auc["3"].value == result.auc["3"].value
    json.dumps(result.to_json(), allow_nan=False)


def test_one_cancer_is_judged_and_not_compared(tmp_path):
    ids = [f"p{n}" for n in range(6)]
    truth = write(
        tmp_path / "t.csv",
        "id,years,event",
        zip(ids, [0.5, 7, 7, 7, 7, 7], [1, 0, 0, 0, 0, 0], strict=True),
    )
    said = write(
        tmp_path / "p.csv",
        "id,cancer",
        zip(ids, [0.9, 0.1, 0.2, 0.3, 0.4, 0.5], strict=True),
    )
    result = evaluate_patients(truth, said, against=said)
    assert result.auc["1"].value == 1.0
    # one patient with cancer: one pair, one unit; 0.025^(1/1)
    for found in (result.auc["1"], result.harrell_c, result.sensitivity["0.9"]):
        assert (found.value, found.low, found.high) == (1.0, 0.025, 1.0)
    assert result.comparison is None


def test_pairs_in_time_are_drawn_and_not_chosen():
    def pairs(years, event, names):
        cases = Outcomes(
            ids=tuple(names),
            patients=tuple(names),
            years=np.array(years, float),
            event=np.array(event, bool),
            said=np.zeros((len(names), 6)),
        )
        return _pairs_in_time(cases, np.arange(len(names)))

    names = [f"p{n}" for n in range(100)]
    assert pairs(range(7), [1] * 7, names[:7]) == 3  # all can be ordered
    assert pairs([5.0] * 6, [1] * 6, names[:6]) == 0
    assert pairs([5.0] * 2, [1, 0], names[:2]) == 1  # the one was well at that time
    assert pairs(range(6), [0] * 6, names[:6]) == 0
    # 50 fall ill early, 50 are well: 50 pairs could be chosen. Of those drawn one in
    # 50 / 100 * 49 / 99 has nobody who fell ill: 37.6 are left
    years, event = [1 + n / 100 for n in range(50)] + [9.0] * 50, [1] * 50 + [0] * 50
    rng = np.random.default_rng(0)
    found = [pairs(years, event, rng.permutation(names).tolist()) for _ in range(60)]
    assert abs(np.mean(found) - 37.6) < 1
    order = rng.permutation(100)
    assert pairs(years, event, names) == pairs(
        np.array(years)[order], np.array(event)[order], np.array(names)[order].tolist()
    )


def test_perfect_ranks_of_few_patients_are_not_sure(tmp_path):
    # 3 with cancer, 5 without: 3 pairs, 0.025^(1/3) = 0.2924
    rows = [(f"p{n}", int(n < 3)) for n in range(8)]
    truth = write(tmp_path / "t.csv", "id,cancer", rows)
    said = write(tmp_path / "p.csv", "id,cancer", [(i, 0.1 + 0.8 * y) for i, y in rows])
    facts = [(i, "old" if n in (0, 1, 3, 4, 5) else "young") for n, (i, _) in
             enumerate(rows)]  # fmt: skip
    by = write(tmp_path / "f.csv", "id,age", facts)
    found = evaluate_dsb2017(truth, said, by=by)
    assert found.auc == 1
    np.testing.assert_allclose(found.auc_interval, [0.2924, 1], atol=1e-4)
    old = next(g for g in found.subgroups if g.group == "old").figures["auc"]
    # 2 with, 3 without: 0.025^(1/2) = 0.1581
    np.testing.assert_allclose([old.low, old.high], [0.1581, 1], atol=1e-4)


def test_several_screens_of_a_patient_do_not_narrow_the_intervals(tmp_path):
    rng = np.random.default_rng(0)
    rows, said, screens, told = [], [], [], []
    for n in range(40):
        name, risk = f"p{n:02d}", rng.uniform()
        outcome = f"{rng.uniform(0.1, 8):.3f},{int(rng.uniform() < risk)}"
        rows.append(f"{name},{outcome}")
        said.append(f"{name},{risk:.4f}")
        screens += [f"{name}-T{k},{name},{outcome}" for k in range(3)]
        told += [f"{name}-T{k},{risk:.4f}" for k in range(3)]

    def judged(name, head, rows, said):
        truth, made = tmp_path / f"{name}.csv", tmp_path / f"{name}-said.csv"
        truth.write_text("\n".join([head, *rows]))
        made.write_text("\n".join(["id,cancer", *said]))
        return evaluate_patients(truth, made).harrell_c

    once = judged("once", "id,years,event", rows, said)
    whole = judged("screens", "id,patient,years,event", screens, told)
    blind = judged("blind", "id,other,years,event", screens, told)
    # the same patients three times say no more than once
    np.testing.assert_allclose(
        [whole.value, whole.low, whole.high], [once.value, once.low, once.high]
    )
    assert blind.high - blind.low < 0.8 * (whole.high - whole.low)


def test_follow_up_that_cannot_be(tmp_path):
    said = write(tmp_path / "p.csv", "id,cancer", [("a", 0.5)])
    for years, event in ((-1, 0), (1, 2)):
        truth = write(tmp_path / "t.csv", "id,years,event", [("a", years, event)])
        with pytest.raises(InputError, match="not 0 or 1, or `years` below 0"):
            evaluate_patients(truth, said)
    truth = write(tmp_path / "t.csv", "id,years,event", [("a", 1, 1)])
    header = "id," + ",".join(f"year_{y}" for y in range(1, 7))
    said = write(tmp_path / "p.csv", header, [("a", 0.5, 0.4, 0.6, 0.6, 0.6, 0.6)])
    with pytest.raises(InputError, match="cumulative"):
        evaluate_patients(truth, said)


def test_calibration_helps_those_it_was_not_fitted_to(cohort, tmp_path):
    truth, predictions, *_ = cohort
    result = calibrate(truth, predictions, tmp_path / "out")
    best = min(result.platt.log_loss, result.isotonic.log_loss)
    assert best < result.before.log_loss - 0.05
    assert getattr(result, result.method).log_loss == best
    assert "Calibrated on 200 patients" in result.sentence
    points = json.loads((tmp_path / "out/calibration.json").read_text())["points"]
    assert (np.diff(points, axis=0) >= -1e-12).all()
    assert (tmp_path / "out/reliability.png").stat().st_size > 5000
    assert len(read_table(tmp_path / "out/calibrated.csv", ("cancer",))) == 200


@pytest.mark.parametrize("method", ["platt", "isotonic"])
def test_a_fitted_curve_rises_and_does_not_give_certainty(cohort, method):
    *_, cancer, said = cohort
    curve = fit_curve(said, cancer, method)
    values = apply_curve(curve, np.linspace(0, 1, 101))
    assert (np.diff(values) >= -1e-12).all()
    assert values.max() < 1
    cases = Labelled(tuple(map(str, range(200))), cancer, said)
    assert cross_fit(cases, method).shape == (200,)


def test_the_calibrated_table_is_one_again_whatever_is_in_an_id(tmp_path):
    ids = [f'"clinic {n % 2}, {n}"' for n in range(60)]
    rng = np.random.default_rng(1)
    said = [round(0.2 + 0.4 * (n % 2) + 0.3 * rng.uniform(), 3) for n in range(60)]
    truth = write(
        tmp_path / "t.csv", "id,cancer", [(i, n % 2) for n, i in enumerate(ids)]
    )
    table = write(tmp_path / "p.csv", "id,cancer", zip(ids, said, strict=True))
    calibrate(truth, table, tmp_path / "o")
    again = read_table(tmp_path / "o" / "calibrated.csv", ("cancer",))
    assert list(again) == [i.strip('"') for i in ids]


def test_what_cannot_be_calibrated(tmp_path):
    rows = [(n, int(n < 5)) for n in range(50)]
    truth = write(tmp_path / "t.csv", "id,cancer", rows)
    said = write(tmp_path / "p.csv", "id,cancer", [(n, 0.5) for n in range(50)])
    with pytest.raises(InputError, match="got 5 and 45"):
        calibrate(truth, said, tmp_path / "o")
    rows = [(n, int(n < 25)) for n in range(50)]
    truth = write(tmp_path / "t.csv", "id,cancer", rows)
    with pytest.raises(InputError, match="alike"):
        calibrate(truth, said, tmp_path / "o")
    said = np.linspace(0.1, 0.9, 50)
    with pytest.raises(InputError, match="fewer cancers"):
        fit_curve(said, np.arange(50) < 25, "platt")
    with pytest.raises(InputError, match="platt or isotonic"):
        fit_curve(said, np.arange(50) < 25, "line")
