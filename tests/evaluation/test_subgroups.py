"""Parts of a cohort, two runs side by side, and the card that tells of them."""

import csv
import hashlib
import json
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hilum.cli import main
from hilum.errors import InputError, WeightsError
from hilum.evaluation.card import CardFacts, figure_rows, write_card
from hilum.evaluation.detections import read_marks, read_truth
from hilum.evaluation.dsb2017 import evaluate_dsb2017, log_loss
from hilum.evaluation.froc import compare_cpm, froc, match
from hilum.evaluation.luna16 import evaluate_luna16
from hilum.evaluation.outcomes import evaluate_patients
from hilum.evaluation.subgroups import judge_kinds, judge_scans, part, read_facts

POINT = "seriesuid,coordX,coordY,coordZ"


def write(path, *rows):
    path.write_text("\n".join(rows) + "\n")
    return path


# --- parts


def test_numbers_are_cut_where_the_field_cuts_them():
    groups = part("age", ["54", "55", "80", "", "64.9"])
    assert [(g.name, g.members.tolist()) for g in groups] == [
        ("below 55", [True, False, False, False, False]),
        ("55 to 65", [False, True, False, False, True]),
        ("75 and more", [False, False, True, False, False]),
        ("unknown", [False, False, False, True, False]),
    ]


def test_other_numbers_are_cut_into_thirds():
    groups = part("dose", [str(n) for n in range(9)])
    assert [int(g.members.sum()) for g in groups] == [3, 3, 3]
    few = part("screen", ["0", "1", "2", "1"])  # few values: each is a part
    assert [g.name for g in few] == ["0", "1", "2"]


@pytest.mark.parametrize(
    "values",
    [["x", "x"], [f"name {n}" for n in range(20)], ["a.mhd", "b.mhd", "c.mhd", ""]],
)
def test_what_parts_nothing_or_everything_is_left_out(values):
    assert part("column", values) == ()


@given(st.lists(st.sampled_from(["", "12", "57", "66.5", "90"]), max_size=30))
def test_parts_hold_every_case_once(values):
    groups = part("age", values)
    if groups:
        assert (np.sum([g.members for g in groups], axis=0) == 1).all()


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (("name,age", "a,50"), "no column id, seriesuid or patient"),
        (("id,age", "a,50", "a,51"), "came before"),
        (("id,age", "z,50"), "facts of none of the 2 cases"),
    ],
)
def test_damaged_facts_are_refused(tmp_path, rows, said):
    with pytest.raises(InputError, match=said):
        read_facts(write(tmp_path / "facts.csv", *rows), ["a", "b"])


# --- patients


@pytest.fixture
def patients(tmp_path):
    """In women the predictions rank perfectly, in men the other way round."""
    truth, said, other, facts = ["id,cancer"], ["id,cancer"], ["id,cancer"], ["id,sex"]
    for n in range(40):
        ill, woman = n % 2, n < 20
        truth.append(f"p{n},{ill}")
        said.append(f"p{n},{0.9 if ill == woman else 0.1}")
        other.append(f"p{n},0.5")
        facts.append(f"p{n},{'female' if woman else 'male'}")
    names = ("truth", "said", "other", "facts")
    tables = (truth, said, other, facts)
    return {
        n: write(tmp_path / f"{n}.csv", *t) for n, t in zip(names, tables, strict=True)
    }


def test_parts_of_patients_by_hand(patients):
    found = evaluate_dsb2017(patients["truth"], patients["said"], by=patients["facts"])
    women, men = found.subgroups
    assert (women.group, women.n, women.positives) == ("female", 20, 10)
    assert (women.figures["auc"].value, men.figures["auc"].value) == (1.0, 0.0)
    assert women.figures["log_loss"].value == pytest.approx(-np.log(0.9))
    assert found.auc == 0.5


def test_a_part_of_one_patient_has_no_interval(patients, tmp_path):
    rows = [f"p{n},{'one' if n == 0 else 'others'}" for n in range(40)]
    facts = write(tmp_path / "site.csv", "id,site", *rows)
    found = evaluate_dsb2017(patients["truth"], patients["said"], by=facts)
    one, others = found.subgroups
    loss = one.figures["log_loss"]  # p0 is a woman without cancer, said to have 0.1
    assert (one.n, loss.low, loss.high) == (1, None, None)
    assert loss.value == pytest.approx(-np.log(0.9))
    assert one.figures["auc"].value is None  # one class
    assert others.figures["log_loss"].low < others.figures["log_loss"].high


def test_two_runs_on_the_same_patients(patients):
    found = evaluate_dsb2017(
        patients["truth"], patients["said"], against=patients["other"]
    )
    # half of the patients get 0.9 for what is true, half 0.1; the other 0.5 for all
    expected = -(np.log(0.9) + np.log(0.1)) / 2 - log_loss([0.5], [True])
    assert found.log_loss_difference.value == pytest.approx(expected)
    assert found.comparison.difference == 0.0
    same = evaluate_dsb2017(
        patients["truth"], patients["said"], against=patients["said"]
    )
    assert same.log_loss_difference.high == same.log_loss_difference.low == 0.0


def test_parts_of_patients_by_follow_up(tmp_path, patients):
    rows = [f"p{n},{1 + n % 3},{n % 2}" for n in range(40)]
    truth = write(tmp_path / "outcomes.csv", "id,years,event", *rows)
    found = evaluate_patients(truth, patients["said"], by=patients["facts"])
    assert [(g.group, g.n) for g in found.subgroups] == [("female", 20), ("male", 20)]
    assert set(found.subgroups[0].figures) == {f"auc_{found.known_year}", "harrell_c"}
    women, men = (g.figures["harrell_c"].value for g in found.subgroups)
    assert women > 0.5 > men


# --- detections


@pytest.fixture
def detections(tmp_path):
    """Each of 8 scans has a nodule of 8 and one of 25 mm; only the large are found."""
    folder = tmp_path / "truth"
    folder.mkdir()
    rows, marks, none, facts = [], [], [], []
    for n in range(8):
        rows += [f"s{n},0,0,0,8,solid", f"s{n},100,0,0,25,part-solid"]
        marks += [f"s{n},101,0,0,0.9", f"s{n},-300,0,0,0.2"]
        none.append(f"s{n},-300,0,0,0.2")
        facts.append(f"s{n},{'soft' if n < 4 else 'sharp'}")
    write(folder / "annotations.csv", f"{POINT},diameter_mm,kind", *rows)
    write(folder / "annotations_excluded.csv", f"{POINT},diameter_mm")
    write(folder / "seriesuids.csv", *(f"s{n}" for n in range(8)))
    return {
        "truth": folder,
        "marks": write(tmp_path / "marks.csv", f"{POINT},probability", *marks),
        "none": write(tmp_path / "none.csv", f"{POINT},probability", *none),
        "facts": write(tmp_path / "facts.csv", "seriesuid,kernel", *facts),
    }


def test_parts_of_nodules_count_the_others_neither_way(detections):
    truth, marks = read_truth(detections["truth"]), read_marks(detections["marks"])
    groups = judge_kinds(truth, marks, detections["truth"])
    found = {(g.fact, g.group): g.figures["cpm"].value for g in groups}
    assert found == {
        ("diameter_mm", "6 to 10"): 0.0,
        ("diameter_mm", "20 and more"): 1.0,
        ("kind", "part-solid"): 1.0,
        ("kind", "solid"): 0.0,
    }
    assert {g.positives for g in groups} == {8}


def test_parts_of_scans(detections):
    truth, marks = read_truth(detections["truth"]), read_marks(detections["marks"])
    groups = judge_scans(truth, marks, read_facts(detections["facts"], truth.series))
    assert [(g.group, g.n, g.positives) for g in groups] == [
        ("sharp", 4, 8),
        ("soft", 4, 8),
    ]
    assert {g.figures["cpm"].value for g in groups} == {0.5}


def test_two_detectors_in_the_same_scans(detections):
    truth = read_truth(detections["truth"])
    first, second = (match(truth, read_marks(detections[n])) for n in ("marks", "none"))
    better = compare_cpm(first, second, rounds=50)
    assert (better.value, better.low, better.high) == (0.5, 0.5, 0.5)
    assert compare_cpm(second, first, rounds=50).value == -0.5
    assert compare_cpm(first, first, rounds=50).value == 0.0
    whole = froc(first, rounds=20).cpm.value - froc(second, rounds=20).cpm.value
    assert better.value == pytest.approx(whole)
    fewer = match(
        type(truth)(truth.series[:4], truth.nodules, truth.excluded),
        read_marks(detections["marks"]),
    )
    with pytest.raises(InputError, match="the same scans alone"):
        compare_cpm(first, fewer)


def test_mistakes_of_the_other_marks_are_told(detections, tmp_path):
    strange = detections["none"].read_text() + "elsewhere,0,0,0,0.5\n"
    other = write(tmp_path / "strange.csv", strange.rstrip())
    words = (detections["truth"], detections["marks"])
    with pytest.raises(InputError, match=r"not in seriesuids\.csv"):
        evaluate_luna16(*words, against=other)
    alone = evaluate_luna16(*words, force=True)
    found = evaluate_luna16(*words, against=other, force=True).to_json()
    assert "unknown-series" not in [m.code for m in alone.forced]
    assert "unknown-series" in found["forced"]
    said = [n for n in found["notices"] if n.startswith("Of the other marks: ")]
    assert any("not in seriesuids.csv" in n for n in said)


# --- cards


def test_the_card_of_a_detector_says_what_was_found(capsys, detections, tmp_path):
    card = tmp_path / "card.md"
    words = ["evaluate", "luna16", detections["truth"], detections["marks"], "--by",
             detections["facts"], "--against", detections["none"], "--card", card,
             "--name", "my | net", "--force"]  # fmt: skip
    assert main([str(word) for word in words]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["difference"]["value"] == 0.5
    assert len(printed["subgroups"]) == 6
    text = card.read_text()
    assert text.startswith("# Model card: `my / net`")
    assert "not a medical device" in text
    assert "| scans | 8 |" in text
    assert re.search(r"\(CPM\) \| 0\.500 \| 0\.500 to 0\.500 \|", text)
    assert "| (kernel: soft) | 4 | 8 |" in text  # in brackets: fewer than 30
    assert "corrected for how many parts" in text
    assert "| CPM | 0.500 | 0.500 to 0.500 |" in text
    assert "One nodule more or less is 6.2 %" in text  # 100 / 16
    widths = [line.count("|") for line in text.splitlines() if line.startswith("|")]
    assert set(widths) <= {3, 4, 6}  # every table is whole


@pytest.mark.parametrize("option", ["--card", "--plot"])
def test_figures_are_printed_though_a_page_cannot_be(
    capsys, detections, tmp_path, option
):
    (tmp_path / "file").touch()
    words = ["evaluate", "luna16", detections["truth"], detections["marks"],
             option, tmp_path / "file" / "page.png"]  # fmt: skip
    assert main([str(word) for word in words]) == 3
    out, err = capsys.readouterr()
    assert json.loads(out)["scans"] == 8
    assert err.startswith("hilum: ")
    assert "Traceback" not in err


def test_the_card_of_patients_shows_calibration(capsys, patients, tmp_path):
    card = tmp_path / "card.md"
    words = ["evaluate", "dsb2017", patients["truth"], patients["said"], "--card", card]
    assert main([str(word) for word in words]) == 0
    capsys.readouterr()
    text = card.read_text()
    assert "## Calibration" in text
    assert "No parts of the cohort were looked at" in text
    assert "| of them cancers | 20 |" in text
    assert "| log loss of their share for everybody | 0.693 |" in text  # -log(1/2)


def test_the_card_marks_parts_with_few_cancers(patients, tmp_path):
    auc = {"value": 0.9, "low": 0.8, "high": 1.0, "n": 500}
    parts = [
        {
            "fact": "sex",
            "group": name,
            "n": 500,
            "positives": few,
            "figures": {"auc": auc},
        }
        for name, few in (("female", 9), ("male", 10))
    ]
    other = {"first": 0.9, "second": 0.8, "difference": 0.1, "low": 0.0, "high": 0.2}
    figures = {"subgroups": parts, "comparison": other}
    facts = CardFacts(what="dsb2017", name="a", truth=patients["truth"])
    text = write_card(figures, facts, tmp_path / "card.md").read_text()
    assert "| (sex: female) | 500 | 9 |" in text
    assert "| sex: male | 500 | 10 |" in text
    assert "| AUC (0.900 and 0.800; interval by DeLong's method) | 0.100 |" in text


@pytest.mark.parametrize("what", ["dsb2017", "luna16", "nodules"])
def test_the_card_tells_of_cases_that_were_trained_on(
    tmp_path, patients, detections, example, what
):
    truth = {
        "dsb2017": patients["truth"],
        "luna16": detections["truth"],
        "nodules": example("nodules"),
    }[what]
    with (example("nodules") / "nodules.csv").open(newline="") as file:
        names = [row["file"] for row in csv.DictReader(file)]
    known = {"dsb2017": "p3", "luna16": "s3", "nodules": names[0]}[what]
    count = {"dsb2017": 40, "luna16": 8, "nodules": len(names)}[what]
    run = tmp_path / "run"
    run.mkdir()
    data = {"cases": 2, "patients": 2, "layout": "lidc", "cases_sha256": "ab" * 32}
    (run / "run.json").write_text(json.dumps({"hilum": "1.2", "data": data}))
    facts = CardFacts(what=what, name="a", truth=truth, run=run)
    write(run / "data.csv", "id,patient,fold", f"{known},other,0", "other,other,1")
    text = write_card({}, facts, tmp_path / "card.md").read_text()
    assert f"**1 of the {count} cases judged are in the list" in text
    write(run / "data.csv", "id,patient,fold", "other,other,1")
    text = write_card({}, facts, tmp_path / "card.md").read_text()
    assert "None of the cases judged is in the list" in text


def test_the_card_names_the_weights(tmp_path, patients):
    weights = tmp_path / "net.keras"
    weights.write_bytes(b"weights")
    facts = CardFacts(
        what="dsb2017", name="a", truth=patients["truth"], weights=(str(weights),)
    )
    text = write_card({}, facts, tmp_path / "card.md").read_text()
    digest = hashlib.sha256(b"weights").hexdigest()[:16]
    assert f"| weights | `net.keras`, SHA-256 {digest}" in text
    weights.unlink()
    with pytest.raises(WeightsError, match="Check the path"):
        write_card({}, facts, tmp_path / "card.md")


def test_figures_without_a_value_are_dashes():
    rows = figure_rows(
        {"auc": {"value": None, "low": None, "high": None, "n": 0}, "n": 4}
    )
    assert rows == [("AUC", "—", "—")]


def test_there_is_no_card_of_everything(tmp_path):
    facts = CardFacts(what="segmentation", name="a", truth=tmp_path)
    with pytest.raises(InputError, match="no model card"):
        write_card({}, facts, tmp_path / "card.md")


def test_the_card_tells_of_the_training(tmp_path, patients):
    run = tmp_path / "run"
    run.mkdir()
    data = {"cases": 12, "patients": 9, "layout": "lidc", "cases_sha256": "ab" * 32}
    (run / "run.json").write_text(json.dumps({"hilum": "1.2", "data": data}))
    facts = CardFacts(what="dsb2017", name="a", truth=patients["truth"], run=run)
    text = write_card({}, facts, tmp_path / "card.md").read_text()
    assert "| 12 cases of 9 patients (layout lidc; list: SHA-256 abababab" in text
    assert "trained on is not known" in text
    (run / "run.json").write_text("{}")
    with pytest.raises(InputError, match="hilum train"):
        write_card({}, facts, tmp_path / "card.md")


@pytest.mark.parametrize("column", ["patient_name", "Name", "PatientID", "birth-date"])
def test_nobody_is_told_from_the_facts(tmp_path, column):
    path = tmp_path / "facts.csv"
    path.write_text(f"id,{column},sex\na,DOE,f\nb,DOE,m\nc,ROE,m\nd,ROE,f\n")
    assert {group.fact for group in read_facts(path, ["a", "b", "c", "d"])} == {"sex"}
