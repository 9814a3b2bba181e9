"""Runs of the true assessor on small phantoms."""

import csv
import json

import pytest
from cohort_runs import rows_of

from hilum.batch import BatchSettings, run_batch
from hilum.findings import Assessment
from hilum.phantom import PhantomSettings, make_phantom, write_phantom
from hilum.pipeline import assess, detect


@pytest.fixture(scope="module")
def phantoms(tmp_path_factory):
    """Two scans of two people, and a folder that is no scan."""
    folder = tmp_path_factory.mktemp("phantoms")
    for seed, name in ((5, "a"), (6, "c")):
        settings = PhantomSettings(
            seed=seed, shape=(60, 96, 96), spacing_mm=(5, 3.8, 3.8)
        )
        write_phantom(make_phantom(settings), folder / name)
    (folder / "b").mkdir()
    (folder / "b" / "1.dcm").write_bytes(b"no DICOM at all")
    (folder / "a" / "annotations.csv").unlink()
    (folder / "c" / "annotations.csv").unlink()
    return folder


@pytest.mark.slow
def test_two_workers_find_what_assess_finds(phantoms, tmp_path):
    out = tmp_path / "out"
    how = BatchSettings(engine="processes", workers=2, formats=("html",))
    result = run_batch(phantoms, out, settings=how)
    assert (result.scans, result.assessed, result.failed) == (3, 2, 1)
    (failure,) = rows_of(out / "failures.csv")
    assert (failure["scan"], failure["kind"], failure["stage"]) == (
        "2",
        "input",
        "read",
    )
    for number, name in ((1, "a"), (3, "c")):
        folder = out / "scans" / f"{number:06d}"
        tree = json.loads((folder / "assessment.json").read_text())
        alone = assess(phantoms / name).to_json()
        for known in (tree, alone):
            known["provenance"]["timings_s"] = {}
        assert tree == alone
        assert (folder / "report.html").stat().st_size > 10_000
        detect(phantoms / name, tmp_path / "alone.csv")
        assert (folder / "candidates.csv").read_bytes() == (
            tmp_path / "alone.csv"
        ).read_bytes()
        row = next(r for r in rows_of(out / "summary.csv") if r["scan"] == str(number))
        assert row["series_uid"] == alone["series_uid"]
        assert int(row["nodules"]) == len(Assessment.from_json(alone).nodules) > 0
    with (out / "luna16.csv").open() as file:
        found = {row["seriesuid"] for row in csv.DictReader(file)}
    assert len(found) == 2
    with (out / "submission.csv").open() as file:
        patients = {row["id"]: float(row["cancer"]) for row in csv.DictReader(file)}
    assert patients["b"] == 0.26  # that of the competition, for want of an own
    assert set(patients) == {"a", "b", "c"}
    assert float(rows_of(out / "timings.csv")[0]["lungs"]) > 0
