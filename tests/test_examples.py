"""The examples run, and do what they say."""

import csv
import runpy
from pathlib import Path

import pytest

import hilum

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.mark.slow
def test_a_bad_scan_is_a_row(tmp_path):
    scans = tmp_path / "scans"
    settings = hilum.PhantomSettings(
        seed=3, shape=(60, 96, 96), spacing_mm=(5.0, 3.7, 3.7)
    )
    hilum.write_phantom(hilum.make_phantom(settings), scans / "good")
    (scans / "notes.txt").write_text("no scan")
    main = runpy.run_path(str(EXAMPLES / "assess_folder.py"))["main"]
    main(scans, tmp_path / "table.csv")
    with (tmp_path / "table.csv").open() as file:
        good, bad = csv.DictReader(file)
    assert int(good["nodules"]) >= 1
    assert bad["nodules"] == ""
    assert "notes.txt" in bad["why_not"]
