"""Assessments of many patients as one table."""

import csv
import json
import math

import pytest

import hilum
from hilum import cli
from hilum.errors import InputError
from hilum.evaluation import evaluate_dsb2017, write_submission
from hilum.findings import Assessment, Guidelines, Probability, Provenance, Scope


@pytest.fixture
def folder(tmp_path):
    """Three patients; the scan of the second is out of scope."""
    root = tmp_path / "assessed"
    for name, value in (("a1", 0.2), ("b2", None), ("c3", 0.7)):
        known = Probability(value, value, value)
        result = Assessment(
            series_uid="1.2",
            scope=Scope(value is not None),
            cancer_probability=known,
            nodules=(),
            guidelines=Guidelines(),
            notices=(),
            provenance=Provenance(
                version=hilum.__version__,
                settings={},
                weights={},
                timings_s={},
                source={},
            ),
        )
        (root / name).mkdir(parents=True)
        (root / name / "assessment.json").write_text(json.dumps(result.to_json()))
    (root / "empty").mkdir()
    (root / "notes.txt").write_text("nothing")
    return root


def rows_of(path):
    with path.open(newline="") as file:
        return [tuple(row) for row in csv.reader(file)]


def test_each_folder_is_a_patient_and_who_is_out_of_scope_gets_the_prior(
    folder, tmp_path
):
    out = tmp_path / "submission.csv"
    made = write_submission(folder, out, prior=0.1)
    assert rows_of(out) == [
        ("id", "cancer"), ("a1", "0.2"), ("b2", "0.1"), ("c3", "0.7"),
    ]  # fmt: skip
    assert (made.patients, made.assessed, made.out_of_scope) == (3, 2, 1)
    assert made.warnings == ("Out of scope, given the prior of 0.1: 1 patients.",)


def test_a_sample_says_whom_and_in_which_order(folder, tmp_path):
    sample, out = tmp_path / "sample.csv", tmp_path / "submission.csv"
    sample.write_text("id,cancer\nc3,0.5\nx9,0.5\na1,0.5\n")
    made = write_submission(folder, out, sample=sample)
    assert rows_of(out)[1:] == [("c3", "0.7"), ("x9", "0.26"), ("a1", "0.2")]
    assert (made.absent, made.out_of_scope) == (1, 0)
    assert len(made.warnings) == 2  # x9 is absent, b2 is not asked for


def test_for_a_calibration_nobody_gets_the_prior(folder, tmp_path):
    out = tmp_path / "said.csv"
    made = write_submission(folder, out, assessed_only=True)
    assert rows_of(out) == [("id", "cancer"), ("a1", "0.2"), ("c3", "0.7")]
    assert (made.patients, made.assessed, made.out_of_scope) == (2, 2, 0)
    assert made.warnings == ("Without a probability, left out: 1 patients.",)
    sample = tmp_path / "sample.csv"
    sample.write_text("id\nb2\nd4\n")
    with pytest.raises(InputError, match="No patient has a probability"):
        write_submission(folder, out, sample=sample, assessed_only=True)


def test_it_is_what_the_evaluation_takes(folder, tmp_path, capsys):
    out, labels = tmp_path / "submission.csv", tmp_path / "labels.csv"
    assert cli.main(["submission", str(folder), str(out)]) == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out)["patients"] == 3
    assert "Out of scope, given the prior of 0.26: 1" in printed.err
    labels.write_text("id,cancer\na1,0\nb2,1\nc3,1\n")
    figures = evaluate_dsb2017(labels, out)
    assert figures.log_loss == pytest.approx(-math.log(0.8 * 0.26 * 0.7) / 3)
    assert figures.auc == 1.0


def test_what_cannot_be_gathered(folder, tmp_path):
    out = tmp_path / "submission.csv"
    with pytest.raises(InputError, match=r"`prior` must lie in \[0, 1\]; got 1.5"):
        write_submission(folder, out, prior=1.5)
    with pytest.raises(InputError, match=r"has an assessment\.json"):
        write_submission(folder / "empty", out)
    with pytest.raises(InputError, match="Cannot read the folder"):
        write_submission(folder / "absent", out)
    (folder / "b2" / "assessment.json").write_text("{}")
    with pytest.raises(InputError, match="folder 2 of 3") as caught:
        write_submission(folder, out)
    assert "b2" not in str(caught.value)
    assert not out.exists()
    (folder / "b2" / "assessment.json").write_text("[" * 100_000)  # too deep to parse
    with pytest.raises(InputError, match="folder 2 of 3"):
        write_submission(folder, out)
