"""Which cases readers and networks disagree on most."""

import csv
import json

import pytest

from hilum.cli import main
from hilum.datasets import read_nodules
from hilum.errors import InputError
from hilum.evaluation.worst import find_worst

POINT = "seriesuid,coordX,coordY,coordZ"


@pytest.fixture
def truth(tmp_path):
    folder = tmp_path / "truth"
    folder.mkdir()
    (folder / "annotations.csv").write_text(
        f"{POINT},diameter_mm\na,0,0,0,10\na,50,0,0,10\nb,0,0,0,8\n"
    )
    (folder / "annotations_excluded.csv").write_text(
        f"{POINT},diameter_mm\na,90,0,0,10\n"
    )
    (folder / "seriesuids.csv").write_text("a\nb\n")
    return folder


@pytest.fixture
def marks(tmp_path):
    path = tmp_path / "marks.csv"
    path.write_text(
        f"{POINT},probability\n"
        "a,1,0,0,0.9\n"  # on the first nodule
        "a,0,1,0,0.3\n"  # on it, too: the surest counts
        "a,90,0,0,0.99\n"  # on an excluded finding: neither way
        "a,200,0,0,0.8\n"  # on nothing
        "b,1,0,0,0.4\n"  # on the nodule, weakly
    )
    return path


def test_detections_by_hand(truth, marks):
    found = [(c.kind, c.case, c.disagreement) for c in find_worst(truth, marks).cases]
    assert found == [
        ("missed", "a", 1.0),  # nothing on the second nodule
        ("false-positive", "a", 0.8),
        ("missed", "b", 0.6),
        ("missed", "a", 0.1),
    ]


def test_scans_look_at_their_own_findings_alone(truth, marks):
    marks.write_text(f"{POINT},probability\nb,90,0,0,0.7\nelsewhere,0,0,0,1\n")
    found = {(c.kind, c.case, c.disagreement) for c in find_worst(truth, marks).cases}
    # the excluded finding at 90 is of the other scan; "elsewhere" is not judged
    assert found == {
        ("missed", "a", 1.0),
        ("missed", "b", 1.0),
        ("false-positive", "b", 0.7),
    }


def test_the_command_prints_the_worst_and_writes_all(capsys, truth, marks, tmp_path):
    out = tmp_path / "worst.csv"
    words = ["data", "worst", str(truth), str(marks), "--most", "1", "--out", str(out)]
    assert main(words) == 0
    printed = json.loads(capsys.readouterr().out)
    assert (printed["cases"], len(printed["worst"])) == (4, 1)
    assert printed["worst"][0]["center_mm"] == [50, 0, 0]
    with out.open(newline="") as file:
        assert len(list(csv.DictReader(file))) == 4


def test_ratings_out_of_fold(example, tmp_path):
    folder = example("nodules")
    cases = read_nodules(folder)
    path = tmp_path / "predictions.csv"
    lines = [f"{c.name},{c.ratings.malignancy}" for c in cases[1:-1]]
    lines.append(f"{cases[-1].name},1")  # readers said more than 1
    path.write_text("\n".join(["file,folder_malignancy", *lines]))
    found = find_worst(folder, path)
    assert found.left_out == 1
    assert found.cases[0].case == cases[-1].name
    expected = (cases[-1].ratings.malignancy - 1) / 4
    assert found.cases[0].disagreement == pytest.approx(expected, abs=1e-4)
    assert {case.disagreement for case in found.cases[1:]} == {0.0}


def test_the_shipped_networks_are_asked(example):
    found = find_worst(example("nodules"))
    assert found.left_out == 0
    values = [case.disagreement for case in found.cases]
    assert values == sorted(values, reverse=True)
    assert all(1 <= case.network <= 5 for case in found.cases)


def test_what_cannot_be_compared_is_refused(truth, tmp_path, example):
    with pytest.raises(InputError, match="need predictions"):
        find_worst(truth)
    with pytest.raises(InputError, match="neither"):
        find_worst(tmp_path)
    path = tmp_path / "p.csv"
    path.write_text("file,score\n")
    with pytest.raises(InputError, match="none of the columns"):
        find_worst(example("nodules"), path)
    path.write_text("file,malignancy\na,0.3\n")
    with pytest.raises(InputError, match="1 to 5"):
        find_worst(example("nodules"), path)
