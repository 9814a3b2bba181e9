"""The row for tables of cohorts."""

import csv
import re
from pathlib import Path

import pytest
from report_examples import VARIANTS, make_assessment, make_nodule

from hilum.errors import InputError
from hilum.findings import Guidelines, Notice, Probability, Scope
from hilum.report.table import COLUMNS, to_row, write_csv


def read(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("name", VARIANTS)
def test_every_column_is_there_in_order_and_survives_the_file(name, tmp_path):
    assessment = make_assessment(**VARIANTS[name])
    row = to_row(assessment)
    assert list(row) == list(COLUMNS)
    write_csv(assessment, tmp_path / "a.csv")
    assert read(tmp_path / "a.csv") == [row]


def test_numbers_by_hand():
    row = to_row(make_assessment(**VARIANTS["rich"]))
    expected = {
        "series_uid": "1.2.3",
        "in_scope": "yes",
        "cancer_probability": "0.34",
        "cancer_probability_low": "0.12",
        "cancer_probability_high": "0.61",
        "nodules": "1",
        "lung_rads": "4B",
        "fleischner": "PET/CT",
        "brock_probability": "0.349",
        "mayo_probability": "0.41",
        "top_x_mm": "20",
        "top_z_mm": "-150",
        "top_type": "solid",
        "top_side": "left",
        "top_lobe": "",
        "top_long_axis_mm": "26.3",
        "top_volume_mm3": "6271.4",
        "top_malignancy": "0.67",
        "notices": "odd",
        "version": "9.8.7",
    }
    assert {name: row[name] for name in expected} == expected


def test_a_recommendation_that_hangs_on_a_fact_is_not_left_out():
    def cell(**fleischner):
        guidelines = Guidelines(fleischner=fleischner)
        return to_row(make_assessment(guidelines=guidelines))["fleischner"]

    several = ["CT at 6 months, then CT", "no routine follow-up"]
    assert cell(recommendation=None, possible=several) == " | ".join(several)
    assert cell(recommendation=several[1], possible=several) == several[1]
    assert cell(not_applicable="a stone", possible=several) == "a stone"
    assert cell(possible="odd") == ""


def test_out_of_scope_has_reasons_and_no_probability():
    row = to_row(make_assessment(**VARIANTS["outside"]))
    assert row["in_scope"] == "no"
    assert row["scope_reasons"] == "Slices are 8.0 mm apart; the limit is 5.0 mm."
    assert row["cancer_probability"] == row["lung_rads"] == ""
    assert row["top_diameter_mm"] == "22.9"  # the measures stay


def test_without_nodules_their_cells_are_empty():
    row = to_row(make_assessment(nodules=()))
    assert row["nodules"] == "0"
    assert {v for k, v in row.items() if k.startswith("top_")} == {""}


def test_nothing_reads_as_a_formula():
    assessment = make_assessment(
        scope=Scope(False, ("=1+1", "two")),
        cancer_probability=Probability.UNKNOWN,
        nodules=(make_nodule(lobe="@evil"),),
        guidelines=Guidelines(fleischner={"not_applicable": "-x"}),
        notices=(Notice("+a", "", "read"), Notice("+a", "", "read")),
    )
    row = to_row(assessment)
    assert row["scope_reasons"] == "'=1+1 | two"
    assert (row["top_lobe"], row["fleischner"]) == ("'@evil", "'-x")
    assert row["notices"] == "'+a"


def test_a_folder_that_is_not_there_is_an_input_error(tmp_path):
    with pytest.raises(InputError, match=r"Cannot write `a\.csv`"):
        write_csv(make_assessment(), tmp_path / "nowhere" / "a.csv")


def test_the_columns_are_documented():
    page = Path(__file__).parents[2] / "docs" / "how-to" / "report.md"
    rows = re.findall(r"^\| `(\w+)` \| (.*) \|$", page.read_text("utf-8"), re.MULTILINE)
    assert dict(rows) == COLUMNS
    assert [name for name, _ in rows] == list(COLUMNS)
