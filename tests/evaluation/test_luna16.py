"""The LUNA16 protocol: each rule by hand, the whole by a slow reference and by laws."""

import csv
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hilum import cli
from hilum.errors import InputError
from hilum.evaluation.detections import Points, Truth, read_marks, read_truth
from hilum.evaluation.froc import MOST_MARKS, RATES, froc, match
from hilum.evaluation.luna16 import evaluate_luna16

HEADER = ("seriesuid", "coordX", "coordY", "coordZ")


def points(*rows):
    """Rows are (series, x, y, z, value)."""
    return Points(
        np.array([r[0] for r in rows], dtype=np.str_),
        np.array([r[1:4] for r in rows], dtype=float).reshape(-1, 3),
        np.array([r[4] for r in rows], dtype=float),
    )


def judged(series, nodules, marks, excluded=None):
    truth = Truth(
        tuple(series), points(*nodules), None if excluded is None else points(*excluded)
    )
    return match(truth, points(*marks))


def cpm(outcomes, **how):
    return froc(outcomes, rounds=how.pop("rounds", 1)).cpm.value


def write(folder, series, nodules, marks, excluded=None, value="probability"):
    """Write the four tables and give the path of the predictions."""
    folder.mkdir(exist_ok=True)
    (folder / "seriesuids.csv").write_text("".join(f"{s}\n" for s in series))
    tables = {"annotations.csv": (nodules, "diameter_mm"), "marks.csv": (marks, value)}
    if excluded is not None:
        tables["annotations_excluded.csv"] = (excluded, "diameter_mm")
    for name, (rows, last) in tables.items():
        with (folder / name).open("w", newline="") as file:
            csv.writer(file).writerows([(*HEADER, last), *rows])
    return folder / "marks.csv"


# --- each rule, by hand


@pytest.mark.parametrize(
    ("x", "hits"),
    [
        (2.999, 1),  # 2.999^2 < 3^2
        (3.0, 0),  # strictly less
        (3.001, 0),
    ],
)
def test_a_mark_on_the_surface_is_no_hit(x, hits):
    outcomes = judged("a", [("a", 0, 0, 0, 6.0)], [("a", x, 0, 0, 0.5)])
    assert outcomes.is_hit.sum() == hits
    assert (~outcomes.is_hit).sum() == 1 - hits


def test_the_surest_mark_is_the_hit_and_the_others_do_not_count():
    outcomes = judged(
        "a", [("a", 0, 0, 0, 10.0)], [("a", 1, 0, 0, 0.3), ("a", 0, 1, 0, 0.9)]
    )
    assert outcomes.probability.tolist() == [0.9]
    assert outcomes.is_hit.tolist() == [True]
    assert outcomes.ignored == 1


def test_a_mark_on_two_nodules_hits_both():
    nodules = [("a", 0, 0, 0, 10.0), ("a", 2, 0, 0, 10.0)]
    outcomes = judged("a", nodules, [("a", 1, 0, 0, 0.7)])
    assert outcomes.is_hit.tolist() == [True, True]
    assert outcomes.ignored == 0


def test_marks_on_excluded_findings_count_neither_way():
    marks = [("a", 50, 0, 0, 0.8), ("a", 0, 0, 0, 0.6)]
    nodules = [("a", 0, 0, 0, 6.0)]
    assert judged("a", nodules, marks, [("a", 50, 0, 0, 6.0)]).ignored == 1
    with_list = judged("a", nodules, marks, [("a", 50, 0, 0, 6.0)])
    without = judged("a", nodules, marks)
    assert (~with_list.is_hit).sum() == 0
    assert (~without.is_hit).sum() == 1


def test_a_mark_on_a_nodule_and_on_an_excluded_finding_is_a_hit():
    place = ("a", 0, 0, 0, 6.0)
    outcomes = judged("a", [place], [("a", 0, 0, 0, 0.6)], [place])
    assert outcomes.is_hit.tolist() == [True]


def test_an_unknown_diameter_is_10_mm(tmp_path):
    write(tmp_path, "a", [("a", 0, 0, 0, -1)], [], [("a", 9, 0, 0, -1)])
    truth = read_truth(tmp_path)
    assert truth.nodules.value.tolist() == [10.0]
    assert truth.excluded.value.tolist() == [10.0]


def test_only_marks_above_the_101st_count():
    # 101 marks at 0.5, one at 0.9: the 101st has 0.5, so only 0.9 lies above it
    marks = [("a", 100 + n, 0, 0, 0.5) for n in range(101)]
    outcomes = judged("a", [("a", 0, 0, 0, 6.0)], [*marks, ("a", 0, 0, 0, 0.9)])
    assert outcomes.probability.tolist() == [0.9]
    assert outcomes.dropped == 101
    outcomes = judged("a", [("a", 0, 0, 0, 6.0)], marks[:MOST_MARKS])
    assert len(outcomes.probability) == MOST_MARKS
    assert outcomes.dropped == 0


def test_missed_nodules_stay_in_the_denominator():
    nodules = [("a", 0, 0, 0, 6.0), ("a", 50, 0, 0, 6.0)]
    assert cpm(judged("a", nodules, [("a", 0, 0, 0, 0.6)])) == 0.5


def test_scans_without_nodules_and_without_marks_count_as_scans():
    # one false positive in four scans: a quarter a scan. Sorted: hit 0.9, false 0.8,
    # hit 0.7. Curve: (0, 0) (0, 1/2) (1/4, 1/2) (1/4, 1). At 1/8: 1/2; from 1/4: 1.
    nodules = [("a", 0, 0, 0, 6.0), ("b", 0, 0, 0, 6.0)]
    marks = [("a", 0, 0, 0, 0.9), ("c", 0, 0, 0, 0.8), ("b", 0, 0, 0, 0.7)]
    curve = froc(judged("abcd", nodules, marks), rounds=1)
    at = [figure.value for figure in curve.at_rates]
    np.testing.assert_allclose(at, [0.5, 1, 1, 1, 1, 1, 1])
    np.testing.assert_allclose(curve.cpm.value, 6.5 / 7)


def test_between_thresholds_the_curve_runs_straight():
    # equal probabilities are one threshold: from (0, 0) to (1 a scan, 1)
    nodules, marks = [("a", 0, 0, 0, 6.0)], [("a", 0, 0, 0, 0.5), ("a", 90, 0, 0, 0.5)]
    curve = froc(judged("a", nodules, marks), rounds=1)
    at = [figure.value for figure in curve.at_rates]
    np.testing.assert_allclose(at, [1 / 8, 1 / 4, 1 / 2, 1, 1, 1, 1], atol=1e-9)


def test_no_nodule_at_all_gives_no_figure():
    curve = froc(judged("a", [], [("a", 0, 0, 0, 0.5)]), rounds=5)
    assert curve.cpm.value is None
    assert curve.at_rates[0].low is None


# --- the whole, against loops that can be checked by eye


def slow(series, nodules, marks, excluded):
    """The protocol, without any array."""
    hits, false = [], []
    for uid in series:
        mine = sorted((m for m in marks if m[0] == uid), key=lambda m: -m[4])
        if len(mine) > MOST_MARKS:
            mine = [m for m in mine if m[4] > mine[MOST_MARKS][4]]

        def on(mark, finding):
            gaps = [(mark[k] - finding[k]) ** 2 for k in (1, 2, 3)]
            return sum(gaps) < (finding[4] / 2) ** 2

        here = [n for n in nodules if n[0] == uid]
        not_here = [n for n in excluded if n[0] == uid]
        for nodule in here:
            on_it = [m[4] for m in mine if on(m, nodule)]
            hits += [max(on_it)] if on_it else []
        false += [m[4] for m in mine if not any(on(m, n) for n in here + not_here)]
    curve = [(0.0, 0.0)]
    for limit in sorted({*hits, *false}, reverse=True):
        rate = sum(f >= limit for f in false) / len(series)
        curve.append((rate, sum(h >= limit for h in hits) / len(nodules)))

    def at(rate):
        last = max(n for n, (x, _) in enumerate(curve) if x <= rate)
        if last + 1 == len(curve):
            return curve[last][1]
        (x, y), (next_x, next_y) = curve[last], curve[last + 1]
        return y + (next_y - y) * (rate - x) / (next_x - x)

    return [at(rate) for rate in RATES]


SERIES = ("a", "b", "c", "d")
place = st.integers(-6, 6)
row = st.tuples(st.sampled_from(SERIES), place, place, place)
chance = st.integers(0, 20).map(lambda n: n / 20)
findings = st.lists(st.tuples(row, st.sampled_from([3.0, 4.0, 6.0])), max_size=6)
some_marks = st.lists(st.tuples(row, chance), max_size=24)


def flat(rows):
    return [(*where, value) for where, value in rows]


@given(findings.filter(bool), some_marks, findings)
def test_it_agrees_with_the_slow_reference(nodules, marks, excluded):
    nodules, marks, excluded = map(flat, (nodules, marks, excluded))
    curve = froc(judged(SERIES, nodules, marks, excluded), rounds=1)
    wanted = slow(SERIES, nodules, marks, excluded)
    np.testing.assert_allclose([f.value for f in curve.at_rates], wanted, atol=1e-9)


# --- laws


@given(findings.filter(bool), some_marks, row, chance)
def test_one_more_false_positive_never_helps(nodules, marks, where, probability):
    nodules, marks = flat(nodules), flat(marks)
    far = (where[0], 500, 500, 500, probability)
    before = froc(judged(SERIES, nodules, marks), rounds=1).sensitivity
    after = froc(judged(SERIES, nodules, [*marks, far]), rounds=1).sensitivity
    assert (after <= before + 1e-9).all()


@given(findings.filter(bool), some_marks, st.randoms())
def test_the_order_of_rows_plays_no_part(nodules, marks, random):
    nodules, marks = flat(nodules), flat(marks)
    before = froc(judged(SERIES, nodules, marks), rounds=5)
    random.shuffle(marks)
    random.shuffle(nodules)
    after = froc(judged(SERIES, nodules, marks), rounds=5)
    np.testing.assert_allclose(after.sensitivity, before.sensitivity)
    assert after.cpm == before.cpm


@given(findings.filter(bool), some_marks)
def test_only_the_order_of_probabilities_counts(nodules, marks):
    nodules, marks = flat(nodules), flat(marks)
    squeezed = [(*m[:4], m[4] ** 3 / 2) for m in marks]
    a = froc(judged(SERIES, nodules, marks), rounds=1).sensitivity
    b = froc(judged(SERIES, nodules, squeezed), rounds=1).sensitivity
    np.testing.assert_allclose(a, b)


@given(findings.filter(bool), some_marks)
def test_the_curve_never_falls_and_stays_in_its_band(nodules, marks):
    curve = froc(judged(SERIES, flat(nodules), flat(marks)), rounds=20)
    assert (np.diff(curve.sensitivity) >= -1e-12).all()
    assert curve.sensitivity.min() >= 0
    assert curve.sensitivity.max() <= 1
    assert (curve.low <= curve.high + 1e-12).all()


@settings(max_examples=20)
@given(findings.filter(bool))
def test_a_perfect_detector_has_cpm_1(nodules):
    nodules = flat(nodules)
    curve = froc(judged(SERIES, nodules, [(*n[:4], 0.9) for n in nodules]), rounds=5)
    assert curve.cpm.value == pytest.approx(1)


def test_the_interval_narrows_with_scans():
    rng = np.random.default_rng(0)

    def width(count):
        series = [f"s{n}" for n in range(count)]
        nodules = [(s, 0, 0, 0, 6.0) for s in series]
        marks = [(s, 0, 0, 0, rng.uniform()) for s in series if rng.uniform() < 0.6]
        marks += [(s, 90, 0, 0, rng.uniform()) for s in series]
        figure = froc(judged(series, nodules, marks), rounds=200).cpm
        assert figure.low < figure.value < figure.high
        return figure.high - figure.low

    assert width(400) < width(25) / 2


# --- mistakes, each by its name

NODULES = [
    ("a", -70.0, -30.0, 120.0, 8.0),
    ("b", 55.0, -20.0, -140.0, 6.0),
    ("b", -35.0, 60.0, -190.0, 12.0),
]
RIGHT = [(*n[:4], 0.9 - 0.1 * k) for k, n in enumerate(NODULES)]


def moved(turn):
    return [(s, *turn(x, y, z), p) for s, x, y, z, p in RIGHT]


@pytest.mark.parametrize(
    ("marks", "said", "code"),
    [
        (moved(lambda x, y, z: (z, y, x)), "x and z are swapped", "wrong-frame"),
        (moved(lambda x, y, z: (-x, -y, z)), "RAS, not LPS", "wrong-frame"),
        (
            moved(lambda x, y, z: (z, -y, -x)),
            "RAS, not LPS, and x and z",
            "wrong-frame",
        ),
        (moved(lambda x, y, z: (y, x, z)), "x and y are swapped", "wrong-frame"),
        (moved(lambda x, y, z: (x, y, -z)), "sign of z", "wrong-frame"),
        (
            moved(lambda x, y, z: (x + 220, y + 250, z + 210)),
            "voxel",
            "voxel-coordinates",
        ),
        ([*RIGHT, ("q", 1, 2, 3, 0.5)], "not in seriesuids.csv", "unknown-series"),
        ([(*m[:4], m[4] * 4 - 2) for m in RIGHT], "sigmoid", "not-probabilities"),
        ([(*m[:4], 0.5) for m in RIGHT], "no order", "constant-probability"),
        ([*RIGHT, RIGHT[0]], "very place", "repeated-marks"),
        (
            [("a", 0.0, 0.0, 9.0, 0.5), ("a", -0.0, -0.0, 9.0, 0.6)],
            "very place",
            "repeated-marks",
        ),
        ([], "no mark at all", "no-marks"),
    ],
)
def test_a_mistake_is_named_and_can_be_overridden(tmp_path, marks, said, code):
    path = write(tmp_path, "abc", NODULES, marks, [])
    with pytest.raises(InputError, match=said):
        evaluate_luna16(tmp_path, path)
    forced = evaluate_luna16(tmp_path, path, force=True).to_json()
    assert code in forced["forced"]
    assert any(said in notice for notice in forced["notices"])


def test_right_marks_are_not_suspected(tmp_path):
    figures = evaluate_luna16(tmp_path, write(tmp_path, "abc", NODULES, RIGHT, []))
    tree = figures.to_json()
    assert tree["cpm"] == 1.0
    assert (tree["scans"], tree["nodules"], tree["hits"]) == (3, 3, 3)
    assert tree["forced"] == []
    assert tree["notices"] == []


def test_a_poor_detector_is_scored_not_suspected(tmp_path):
    marks = [("a", 10.0, -90.0, 33.0, 0.5), ("b", -41.0, 22.0, 9.0, 0.7)]
    path = write(tmp_path, "abc", NODULES, marks, [])
    assert evaluate_luna16(tmp_path, path).to_json()["cpm"] == 0


def test_one_fold_is_not_scored_against_all(tmp_path):
    series = [f"s{n}" for n in range(20)]
    nodules = [(s, -50.0, n, 0, 6.0) for n, s in enumerate(series)]
    marks = [(*n[:4], 0.5 + k / 100) for k, n in enumerate(nodules)]
    path = write(tmp_path, series, nodules, marks[:4], [])
    with pytest.raises(InputError, match="one fold"):
        evaluate_luna16(tmp_path, path)
    write(tmp_path, series[:4], nodules, marks[:4], [])
    figures = evaluate_luna16(tmp_path, path)
    assert figures.to_json()["cpm"] == pytest.approx(1)
    assert figures.nodules == 4


def test_half_of_the_scans_is_a_fold_too(tmp_path):
    series = [f"s{n}" for n in range(6)]
    nodules = [(s, -50.0, n, 0, 6.0) for n, s in enumerate(series)]
    marks = [(*n[:4], 0.5 + k / 100) for k, n in enumerate(nodules)]
    with pytest.raises(InputError, match="Only 3 of 6 scans with nodules"):
        evaluate_luna16(tmp_path, write(tmp_path, series, nodules, marks[:3], []))
    path = write(tmp_path, series, nodules, marks[:4], [])
    assert evaluate_luna16(tmp_path, path).hits == 4


def many(count=8):
    """Scans with a nodule each, to either side, and ten marks far from it."""
    rng = np.random.default_rng(0)
    series = [f"s{n}" for n in range(count)]
    nodules = [
        (s, 60.0 * (-1) ** n, -40.0, n - 90.0, 6.0) for n, s in enumerate(series)
    ]
    marks = [
        (s, *rng.uniform(2, 400, 3), rng.uniform()) for s in series for _ in range(10)
    ]
    return series, nodules, marks


@pytest.mark.parametrize(
    "odd",
    [
        ("s0", -1.0, 100.0, 50.0, 0.5),  # a box at the border
        ("s0", 9.0, 2500.0, 50.0, 0.5),
    ],
)
def test_voxels_are_known_though_one_mark_is_odd(tmp_path, odd):
    series, nodules, marks = many()
    path = write(tmp_path, series, nodules, [*marks, odd], [])
    with pytest.raises(InputError, match="voxel indices"):
        evaluate_luna16(tmp_path, path)


def test_marks_on_both_sides_of_0_are_no_voxels(tmp_path):
    series, nodules, marks = many()
    marks = [(s, x - 200, y - 200, z, p) for s, x, y, z, p in marks]
    path = write(tmp_path, series, nodules, marks, [])
    assert evaluate_luna16(tmp_path, path).hits == 0


def test_a_weak_detector_in_another_frame_is_known_by_its_many_fits(tmp_path):
    rng = np.random.default_rng(1)
    series = [f"s{n}" for n in range(500)]
    nodules = [(s, *rng.uniform(-150, 150, 3), 6.0) for s in series]
    found = [(s, -x, -y, z, rng.uniform()) for s, x, y, z, _ in nodules[:80]]
    elsewhere = [(s, *rng.uniform(300, 400, 3), rng.uniform()) for s in series]
    path = write(tmp_path, series, nodules, [*found, *elsewhere], [])
    with pytest.raises(InputError, match="80 if coordinates are RAS"):
        evaluate_luna16(tmp_path, path)


def test_one_fit_of_many_marks_is_chance(tmp_path):
    rng = np.random.default_rng(2)
    marks = [("a", *rng.uniform(-300, -200, 3), rng.uniform()) for _ in range(60)]
    marks += [("a", 70.0, -30.0, 120.0, 0.4)]  # the nodule, mirrored
    path = write(tmp_path, "a", NODULES[:1], marks, [])
    assert evaluate_luna16(tmp_path, path).hits == 0


def test_nodules_that_are_left_out_are_said(tmp_path):
    path = write(tmp_path, "a", NODULES, RIGHT[:1], [])
    tree = evaluate_luna16(tmp_path, path).to_json()
    assert tree["nodules"] == 1
    assert "2 nodules of annotations.csv" in tree["notices"][0]
    write(tmp_path, "a", [], RIGHT[:1], [])
    tree = evaluate_luna16(tmp_path, path).to_json()
    assert tree["cpm"] is None
    assert "no nodule to find" in tree["notices"][0]


def test_series_are_read_from_a_column_of_that_name(tmp_path):
    path = write(tmp_path, "abc", NODULES, RIGHT, [])
    right = evaluate_luna16(tmp_path, path).to_json()
    for text in (
        "SeriesInstanceUID\na\nb\nc\n",
        "subset,seriesuid\n0,a\n1,b\n2,c\n",
        "c\n\nb\na\n",  # in another order
    ):
        (tmp_path / "seriesuids.csv").write_text(text)
        assert evaluate_luna16(tmp_path, path).to_json() == right


def test_marks_on_two_nodules_count_once(tmp_path):
    nodules = [("a", 0.0, 0.0, 0.0, 10.0), ("a", 2.0, 0.0, 0.0, 10.0)]
    marks = [("a", 1.0, 0.0, 0.0, 0.9), ("a", -90.0, -9.0, -9.0, 0.5)]
    tree = evaluate_luna16(tmp_path, write(tmp_path, "a", nodules, marks, [])).to_json()
    assert (tree["hits"], tree["marks"]) == (2, 2)


def test_the_truth_must_be_a_folder(tmp_path):
    path = write(tmp_path, "abc", NODULES, RIGHT, [])
    with pytest.raises(InputError, match=r"`marks.csv` is no folder"):
        evaluate_luna16(path, tmp_path)


def test_of_two_files_the_wrong_one_is_named(tmp_path):
    path = write(tmp_path, "abc", NODULES, RIGHT, [])
    other = tmp_path / "other.csv"
    other.write_text(path.read_text() + "q,1,2,3,0.4\n")
    with pytest.raises(InputError, match="Of the other marks: 1 series"):
        evaluate_luna16(tmp_path, path, against=other)


def test_an_absent_list_of_excluded_findings_is_said(tmp_path):
    path = write(tmp_path, "abc", NODULES, RIGHT)
    tree = evaluate_luna16(tmp_path, path).to_json()
    assert tree["excluded_list"] is False
    assert "annotations_excluded.csv" in tree["notices"][0]


def test_a_patient_on_both_sides_is_found(tmp_path):
    path = write(tmp_path, "abc", NODULES, RIGHT, [])
    split = tmp_path / "split.csv"
    split.write_text("seriesuid,patient,set\na,p1,train\nb,p2,test\nc,p1,test\n")
    with pytest.raises(InputError, match="1 of 2 patients"):
        evaluate_luna16(tmp_path, path, split=split)
    split.write_text("seriesuid,patient,set\na,p1,train\nb,p2,test\nc,p1,Train\n")
    assert evaluate_luna16(tmp_path, path, split=split).forced == ()


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ("", "nothing of 3 of the 3 scans"),
        ("x,p1,train\ny,p2,test\n", "nothing of 3 of the 3 scans"),
        ("a,p1,train\na,p1,test\nb,p2,test\nc,p3,test\n", "1 of 3 series"),
        ("a,,train\nb,,test\n", "Line 2 of `split.csv` tells no patient"),
        ("a,p1,test\nb,p2,\n", "Line 3 of `split.csv` tells no set"),
    ],
)
def test_a_split_that_shows_nothing_is_refused(tmp_path, rows, said):
    path = write(tmp_path, "abc", NODULES, RIGHT, [])
    split = tmp_path / "split.csv"
    split.write_text(f"seriesuid,patient,set\n{rows}")
    with pytest.raises(InputError, match=said):
        evaluate_luna16(tmp_path, path, split=split)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("seriesuids.csv", "a\nb\na\n", "more than once, such as ...a"),
        ("seriesuids.csv", "", "lists no series"),
        ("seriesuids.csv", "seriesuid\n", "lists no series"),
        ("seriesuids.csv", "0,a\n1,b\n", "none is called seriesuid"),
        ("seriesuids.csv", 'a\n"b\nc\n', "Cannot read"),
        ("seriesuids.csv", "x\ny\n", "None of the 3 nodules"),
        ("annotations.csv", "", "lacks the column"),
        ("annotations.csv", "seriesuid,x,y,z,d\n", "lacks the column coordX"),
        ("annotations.csv", "seriesuid;coordX;coordY;coordZ;diameter_mm\n", "commas"),
        (
            "annotations.csv",
            "seriesuid,coordX,coordY,coordZ,diameter_mm\na,1,2,3,0\n",
            "diameter of 0",
        ),
        (
            "annotations.csv",
            "seriesuid,coordX,coordY,coordZ,diameter_mm\na,1,2,3,1e4\n",
            "which no nodule has",
        ),
        (
            "annotations.csv",
            "seriesuid,coordX,coordY,coordZ,diameter_mm\na,1,2,3,6\na,1.0,2,3,7\n",
            "1 nodules more than once",
        ),
        (
            "marks.csv",
            "seriesuid,coordX,coordY,coordZ,probability\na,1,1e300,3,0.5\n",
            "that no scan holds",
        ),
        (
            "marks.csv",
            "seriesuid,coordX,coordY,coordZ,probability\n\n\na,1,2,x,0.5\n",
            "Line 4 .*coordZ is 'x'",
        ),
        (
            "marks.csv",
            "seriesuid,coordX,coordY,coordZ,probability,note\n"
            'a,1,2,3,0.5,"open\nb,1,2,3,0.6,\n',
            "Cannot read",
        ),
        (
            "marks.csv",
            "seriesuid,coordX,coordY,coordZ,probability\na,1,2,x,0.5\n",
            "Line 2 .*coordZ is 'x'",
        ),
        (
            "marks.csv",
            "seriesuid,coordX,coordY,coordZ,probability\na,1,2,nan,0.5\n",
            "NaN, infinity",
        ),
        (
            "marks.csv",
            "seriesuid,coordX,coordY,coordZ,probability\na,1,2\n",
            "cut short",
        ),
    ],
)
def test_damaged_tables_are_refused(tmp_path, name, text, said):
    path = write(tmp_path, "abc", NODULES, RIGHT, [])
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=said):
        evaluate_luna16(tmp_path, path)


@pytest.mark.parametrize("name", ["seriesuids.csv", "annotations.csv", "marks.csv"])
@pytest.mark.parametrize("how", ["absent", "folder", "bytes"])
def test_what_cannot_be_read_is_refused(tmp_path, name, how):
    path = write(tmp_path, "abc", NODULES, RIGHT, [])
    (tmp_path / name).unlink()
    if how == "folder":
        (tmp_path / name).mkdir()
    elif how == "bytes":
        (tmp_path / name).write_bytes(b"\x80\x81\xff" * 40)
    with pytest.raises(InputError, match=f"Cannot read `{name}`"):
        evaluate_luna16(tmp_path, path)


def test_tables_of_other_programs_are_read(tmp_path):
    write(tmp_path, "ab", [("a", 0, 0, 0, 6.0)], [])
    text = "\ufeffseriesuid,coordX,coordY,coordZ,probability,note\r\na , 1,2,3,.5,x\r\n"
    (tmp_path / "marks.csv").write_text(text, newline="")
    marks = read_marks(tmp_path / "marks.csv")
    assert marks.series.tolist() == ["a"]
    assert marks.center_mm.tolist() == [[1, 2, 3]]


# --- the command, and the real list


def test_the_command_prints_the_figures_and_draws(tmp_path, capsys):
    pytest.importorskip("matplotlib", reason="Matplotlib is not installed")
    path = write(tmp_path, "abc", NODULES, RIGHT, [])
    plot = tmp_path / "froc.png"
    code = cli.main(
        ["evaluate", "luna16", str(tmp_path), str(path), "--plot", str(plot)]
    )
    tree = json.loads(capsys.readouterr().out)
    assert code == 0
    assert tree["cpm"] == 1.0
    # two scans have nodules: 0.025^(1/2)
    np.testing.assert_allclose(tree["cpm_interval"], [0.1581, 1.0], atol=1e-4)
    assert list(tree["sensitivity"]) == ["0.125", "0.25", "0.5", "1", "2", "4", "8"]
    assert plot.read_bytes()[:4] == b"\x89PNG"


@pytest.mark.parametrize("option", ["--plot", "--card"])
@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("annotations.csv", "named twice"),
        ("seriesuids.csv", "named twice"),
        ("marks.csv", "named twice"),
        ("", "a folder"),
    ],
)
def test_what_is_read_is_not_written_over(tmp_path, capsys, option, name, said):
    path = write(tmp_path, "abc", NODULES, RIGHT, [])
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    place = str(tmp_path / name) if name else "."
    arguments = ["evaluate", "luna16", str(tmp_path), str(path), option, place]
    assert cli.main(arguments) == 3
    assert said in capsys.readouterr().err
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before


def test_two_results_need_two_names(tmp_path, capsys):
    path = write(tmp_path, "abc", NODULES, RIGHT, [])
    place = str(tmp_path / "new.png")
    arguments = ["evaluate", "luna16", str(tmp_path), str(path)]
    assert cli.main([*arguments, "--plot", place, "--card", place]) == 3
    assert "named twice" in capsys.readouterr().err


def test_the_command_refuses_with_exit_3(tmp_path, capsys):
    swapped = moved(lambda x, y, z: (z, y, x))
    path = write(tmp_path, "abc", NODULES, swapped, [])
    assert cli.main(["evaluate", "luna16", str(tmp_path), str(path)]) == 3
    assert "--force" in capsys.readouterr().err
    forced = ["evaluate", "luna16", str(tmp_path), str(path), "--force"]
    assert cli.main(forced) == 0


@pytest.mark.real
def test_the_whole_reference_list_is_found_by_itself(real_data, tmp_path):
    folder = real_data / "labels" / "luna16"
    truth = read_truth(folder)
    assert (len(truth.series), len(truth.nodules)) == (888, 1186)
    assert len(truth.excluded) == 35192

    def predictions(turn):
        path = tmp_path / "marks.csv"
        with path.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow((*HEADER, "probability"))
            for n, (uid, center) in enumerate(
                zip(truth.nodules.series, truth.nodules.center_mm, strict=True)
            ):
                writer.writerow((uid, *turn(*center), 0.5 + n / 10_000))
        return path

    right = evaluate_luna16(folder, predictions(lambda x, y, z: (x, y, z)))
    assert right.to_json()["cpm"] == pytest.approx(1)
    assert right.hits == 1186
    with pytest.raises(InputError, match="RAS, not LPS"):
        evaluate_luna16(folder, predictions(lambda x, y, z: (-x, -y, z)))
    with pytest.raises(InputError, match="x and z are swapped"):
        evaluate_luna16(folder, predictions(lambda x, y, z: (z, y, x)))
