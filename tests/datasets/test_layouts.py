"""Each layout, opened: by hand, by what is missing, and by what is wrong."""

import re
import shutil
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hilum.datasets import LAYOUTS, open_dataset
from hilum.datasets.cutting import cut_nodules
from hilum.datasets.lidc_folder import annotated, grid_of, load_readings
from hilum.datasets.luna16 import read_candidates, read_excluded
from hilum.datasets.nlst import (
    Outcome,
    Unusable,
    outcome_after,
    read_nlst,
    read_participants,
)
from hilum.datasets.tables import read_rows
from hilum.errors import InputError
from hilum.sources import read_ct


def copy_of(folder, tmp_path):
    return shutil.copytree(folder, tmp_path / "copy")


@pytest.mark.parametrize("layout", LAYOUTS)
def test_each_layout_is_recognised(example, layout):
    data = open_dataset(example(layout))
    assert data.layout == layout
    assert len(data) == len({case.id for case in data}) >= 3
    assert all(case.source.exists() for case in data)


def test_luna16_has_folds_nodules_and_both_kinds_of_voxels(example):
    data = open_dataset(example("luna16"))
    assert sorted(case.fold for case in data) == ["subset0", "subset1", "subset2"]
    assert sorted(len(case.annotations) for case in data) == [0, 8, 8]
    raw = [c for c in data if c.source.with_suffix(".raw").exists()]
    packed = [c for c in data if c.source.with_suffix(".zraw").exists()]
    assert (len(raw), len(packed)) == (1, 2)
    for case in (raw[0], packed[0]):
        assert read_ct(case.source).series_uid == case.id
    assert [gap.code for gap in data.gaps] == ["subsets-absent"]


def test_candidates_and_excluded_findings(example):
    data = open_dataset(example("luna16"))
    on, off = (read_candidates(data.candidates, nodules=n) for n in (True, False))
    assert sum(map(len, on.values())) == 16
    assert all(points.shape == (1, 3) for points in off.values())
    excluded = read_excluded(data.excluded)
    (finding,) = excluded[data.cases[0].id]
    assert (finding.diameter_mm, finding.readers) == (10.0, 1)  # -1: unknown


def test_scans_of_one_patient_stay_together_when_a_table_says_so(example, tmp_path):
    folder = copy_of(example("luna16"), tmp_path)
    uids = [case.id for case in open_dataset(folder)]
    rows = [f"{uid},p{n // 2}" for n, uid in enumerate(uids)]
    (folder / "patients.csv").write_text("\n".join(["seriesuid,patient", *rows]))
    assert [case.patient for case in open_dataset(folder)] == ["p0", "p0", "p1"]


def test_what_luna16_lacks_is_said(example, tmp_path):
    folder = copy_of(example("luna16"), tmp_path)
    for path in folder.glob("subset0/*"):
        path.unlink()
    next(folder.glob("subset1/*.raw")).unlink()
    (folder / "candidates_V2.csv").unlink()
    gaps = {gap.code: gap.count for gap in open_dataset(folder).gaps}
    assert gaps == {
        "annotated-scans-absent": 1,
        "listed-scans-absent": 1,
        "voxels-absent": 1,
        "table-absent": 1,
        "subsets-absent": 8,
    }
    header = next(folder.glob("subset1/*.mhd"))
    shutil.copy(header, folder / "subset2" / header.name)
    with pytest.raises(InputError, match="twice"):
        open_dataset(folder)
    (folder / "annotations.csv").unlink()
    with pytest.raises(InputError, match=r"no annotations\.csv"):
        open_dataset(folder)


def test_masks_of_lungs_are_no_scans(example, tmp_path):
    folder = copy_of(example("luna16"), tmp_path)
    before = open_dataset(folder)
    masks = folder / "seg-lungs-LUNA16"  # as published: the names of the scans
    masks.mkdir()
    for case in before:
        shutil.copy(case.source, masks)
    after = open_dataset(folder)
    assert [c.source for c in after] == [c.source for c in before]
    assert after.gaps == before.gaps


def test_empty_subsets_are_refused(tmp_path):
    (tmp_path / "subset0").mkdir()
    (tmp_path / "annotations.csv").write_text(
        "seriesuid,coordX,coordY,coordZ,diameter_mm\n"
    )
    with pytest.raises(InputError, match=r"no \.mhd"):
        open_dataset(tmp_path)


@pytest.mark.parametrize(
    ("row", "said"),
    [("a,1,2,x,0", "could not convert"), ("a,1,2,3,2", "expected 0 or 1")],
)
def test_damaged_candidates_are_refused(tmp_path, row, said):
    path = tmp_path / "candidates.csv"
    path.write_text(f"seriesuid,coordX,coordY,coordZ,class\n{row}\n")
    with pytest.raises(InputError, match=said):
        read_candidates(path, nodules=True)


def test_damaged_excluded_findings_are_refused(tmp_path):
    path = tmp_path / "annotations_excluded.csv"
    path.write_text("seriesuid,coordX,coordY,coordZ,diameter_mm\na,1,2,3,x\n")
    with pytest.raises(InputError, match="Line 2"):
        read_excluded(path)


def test_readers_of_lidc_agree_with_the_phantom(example):
    data = open_dataset(example("lidc"))
    readings = load_readings(data)
    boxes = {c.id: c.annotations for c in open_dataset(example("luna16"))}
    assert [case.patient[-2:] for case in data] == ["01", "02", "03"]
    for case in data:
        known = annotated(case, readings).annotations
        assert grid_of(case).same_as(read_ct(case.source).grid)
        for found in known:  # pixels of 5.6 mm and slices of 7 mm
            gaps = [
                np.linalg.norm(np.subtract(found.center_mm, a.center_mm))
                for a in boxes[case.id]
            ]
            assert min(gaps) < 5
            assert found.readers in (3, 4)
    assert annotated(data.cases[0], {}) is data.cases[0]


def test_ratings_of_lidc_are_means_over_readers(example):
    data = open_dataset(example("lidc"))
    reading = load_readings(data)[data.cases[0].id]
    for nodule in reading.nodules(grid_of(data.cases[0])):
        rated = nodule.ratings
        # the second of four readers rates the malignancy one higher, up to 5
        base = round(rated.malignancy - 1 / nodule.annotation.readers)
        assert rated.malignancy in (5, base + 1 / nodule.annotation.readers)
        assert rated.malignancy == nodule.annotation.malignancy
        assert rated.subtlety == 5


def test_lidc_without_reader_files_says_so(example, tmp_path):
    folder = copy_of(example("lidc"), tmp_path)
    shutil.rmtree(folder / "tcia-lidc-xml")
    assert [gap.code for gap in open_dataset(folder).gaps] == ["readings-absent"]
    series = next(folder.rglob("0001.dcm")).parent
    shutil.copytree(series, series.parent / "again")
    with pytest.raises(InputError, match="twice"):
        open_dataset(folder)


def test_reader_files_without_ct_are_refused(example, tmp_path):
    shutil.copytree(example("lidc") / "tcia-lidc-xml", tmp_path / "xml")
    with pytest.raises(InputError, match="no CT series"):
        open_dataset(tmp_path)


def test_dsb2017_has_labels_and_parts(example):
    data = open_dataset(example("dsb2017"))
    assert sorted((c.fold, c.cancer) for c in data if c.cancer) == [
        ("train", True),
        ("train", True),
    ]
    assert [c.cancer for c in data if c.fold == "test"] == [None]
    assert [(gap.code, gap.count) for gap in data.gaps] == [("labels-absent", 1)]
    inside = open_dataset(example("dsb2017") / "stage1")  # the stage itself
    assert [c.id for c in inside] == [c.id for c in data]


def test_solutions_give_labels_and_must_not_contradict(example, tmp_path):
    folder = copy_of(example("dsb2017"), tmp_path)
    data = open_dataset(folder)
    unknown = next(c.id for c in data if c.cancer is None)
    known = next(c.id for c in data if c.cancer)
    solution = folder / "stage1_solution.csv"
    solution.write_text(f"id,cancer,Usage\n{unknown},1,Public\nf00,0,Private\n")
    again = open_dataset(folder)
    assert all(c.cancer for c in again)
    assert [gap.code for gap in again.gaps] == ["labelled-scans-absent"]
    solution.write_text(f"id,cancer\n{known},0\n")
    with pytest.raises(InputError, match="cancer by one table"):
        open_dataset(folder)
    solution.write_text(f"id,cancer\n{known},maybe\n")
    with pytest.raises(InputError, match="expected 0 or 1"):
        open_dataset(folder)


def test_rows_of_one_patient_must_agree(example, tmp_path):
    folder = copy_of(example("dsb2017"), tmp_path)
    known = next(c.id for c in open_dataset(folder) if c.cancer)
    labels = folder / "stage1_labels.csv"
    whole = labels.read_text()
    labels.write_text(f"{whole}{known},1\n")
    assert next(c for c in open_dataset(folder) if c.id == known).cancer
    labels.write_text(f"{whole}{known},0\n")
    with pytest.raises(InputError, match="a line before it did"):
        open_dataset(folder)


def test_a_patient_in_two_stages_is_refused(tmp_path):
    for stage in ("stage1", "stage2"):
        (tmp_path / stage / ("a" * 32)).mkdir(parents=True)
    with pytest.raises(InputError, match="two stages"):
        open_dataset(tmp_path)


def test_an_empty_stage_is_refused(tmp_path):
    (tmp_path / "stage1").mkdir()
    with pytest.raises(InputError, match="no folder of a patient"):
        open_dataset(tmp_path)


def test_nlst_has_years_to_cancer_and_to_the_end(example):
    by_id = {case.id: case for case in open_dataset(example("nlst"))}
    # candx_days 800, scr_days0 5: (800 - 5) / 365.25
    first = by_id["100002-T0"]
    np.testing.assert_allclose(first.years, 795 / 365.25)
    assert (first.event, first.cancer, first.facts["sex"]) == (True, True, "male")
    # fup_days 2300; the second screen is on day 6 + 365
    second = by_id["100003-T1"]
    np.testing.assert_allclose(second.years, (2300 - 371) / 365.25)
    assert (second.event, second.cancer, second.facts["sex"]) == (False, None, "female")
    assert second.patient == "100003"


days = st.integers(0, 3000)


@given(days, days, days)
def test_a_later_screen_leaves_less_time(screened, later, followed):
    row = {"scr_days0": str(screened), "scr_days1": str(screened + later),
           "candx_days": "", "fup_days": str(followed)}  # fmt: skip
    first, second = outcome_after(row, 0), outcome_after(row, 1)
    if isinstance(second, Outcome):
        np.testing.assert_allclose(first.years - second.years, later / 365.25)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"scr_days0": "", "fup_days": "900"}, "no-screen"),
        ({"scr_days0": "5", "fup_days": ""}, "no-follow-up"),
        ({"scr_days0": "50", "fup_days": "10"}, "no-follow-up"),
        ({"scr_days0": "50", "candx_days": "10", "fup_days": "900"}, "after-diagnosis"),
        ({"scr_days0": "5", "candx_days": "-3", "fup_days": "900"}, "after-diagnosis"),
        ({"scr_days0": ".E", "candx_days": "10", "fup_days": "900"}, "no-screen"),
        ({"scr_days0": ".W", "candx_days": ".N", "fup_days": "900"}, "no-screen"),
        (
            {"scr_days0": "5", "candx_days": ".N", "can_scr": "4", "fup_days": "900"},
            "no-diagnosis-day",
        ),
    ],
)
def test_screens_without_an_outcome(row, reason):
    assert outcome_after(row, 0) == Unusable(reason)


def test_no_cancer_needs_no_day_of_diagnosis():
    row = {"scr_days0": "0", "candx_days": ".N", "can_scr": "0", "fup_days": "731"}
    # 731 / 365.25 = 2.0014
    assert outcome_after(row, 0) == Outcome(731 / 365.25, False)


def test_the_day_of_diagnosis_counts_as_event():
    row = {"scr_days0": "10", "candx_days": "10", "fup_days": "2000"}
    assert outcome_after(row, 0) == Outcome(0.0, True)


@pytest.mark.parametrize("column", ["candx_days", "fup_days"])
def test_more_days_than_a_life_has_are_refused(column):
    row = {"scr_days0": "10", "candx_days": "", "fup_days": "2000", column: "1e308"}
    with pytest.raises(InputError, match="Are they dates"):
        outcome_after(row, 0)


@pytest.mark.parametrize("name", ["labels.csv", "prsn.CSV"])
def test_a_table_of_no_layout_is_not_passed_over(example, tmp_path, name):
    folder = copy_of(example("folder"), tmp_path)
    assert open_dataset(folder).gaps == ()
    (folder / name).write_text("id;cancer\npatient-001;1\n")
    data = open_dataset(folder)
    assert data.layout == "folder"
    (gap,) = data.gaps
    assert (gap.code, gap.count) == ("tables-unknown", 1)


def test_follow_up_is_asked_for(tmp_path):
    path = tmp_path / "prsn.csv"
    path.write_text("pid,scr_days0,candx_days,canc_free_days\n1,2,,900\n")
    with pytest.raises(InputError, match="lacks the column fup_days"):
        read_participants(path)
    path.write_text("PID,scr_days0,candx_days,fup_days\n1,2,,9\n1,2,,9\n")
    with pytest.raises(InputError, match="two rows of one pid"):
        read_participants(path)


def test_screens_left_out_are_counted(example, tmp_path):
    folder = copy_of(example("nlst"), tmp_path)
    (folder / "100002").rename(folder / "7")
    study = next((folder / "100004").iterdir())
    study.rename(study.with_name("no-date"))  # the header says 2020
    gaps = {gap.code: gap.count for gap in open_dataset(folder).gaps}
    assert gaps == {"no-row": 1, "no-year": 1, "participants-without-ct": 3}
    shutil.rmtree(folder / "100003")
    with pytest.raises(InputError, match="holds no CT of a participant"):
        open_dataset(folder)


def test_two_folders_of_one_screen_are_refused(example, tmp_path):
    folder = copy_of(example("nlst"), tmp_path)
    study = next((folder / "100002").iterdir())
    shutil.copytree(study, study.with_name("03-04-1999-again"))
    with pytest.raises(InputError, match="one folder"):
        open_dataset(folder)


def test_a_table_of_patients_has_labels_and_facts(example):
    data = open_dataset(example("patients") / "cohort.csv")
    assert [case.cancer for case in data] == [True, True, False]
    assert dict(data.cases[0].facts) == {"age": "50", "sex": "female"}


def cohort(folder, *rows):
    path = folder / "cohort.csv"
    path.write_text("\n".join(rows) + "\n")
    return path


def test_scans_are_found_by_id(example, tmp_path):
    scan = next((example("boxes") / "ct").iterdir())
    (tmp_path / "ct").mkdir()
    shutil.copy(scan, tmp_path / "ct" / "x.nii.gz")
    table = cohort(
        tmp_path, "id,patient,years,event,set", "x,p,2.5,1,test", "y,p,2,0,test"
    )
    data = open_dataset(tmp_path)
    (case,) = data
    assert (case.patient, case.years, case.event, case.fold) == ("p", 2.5, True, "test")
    assert [gap.code for gap in data.gaps] == ["scans-absent"]
    cohort(tmp_path, "id", "../x", "z")
    with pytest.raises(InputError, match="None of the 2 scans"):
        open_dataset(table)


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (("id,path", "a,.", "a,."), "came before"),
        (("id,path", ",."), "no id"),
        (("id,path,cancer", "a,.,2"), "expected 0 or 1"),
        (("id,path,years", "a,.,2"), "both `years`"),
        (("id,path,years", "a,.,many"), "expected a number"),
        (("name,path", "a,."), "lacks the column id"),
    ],
)
def test_damaged_tables_of_patients_are_refused(tmp_path, rows, said):
    with pytest.raises(InputError, match=said):
        open_dataset(cohort(tmp_path, *rows))


def test_spaces_around_names_of_columns_do_no_harm(tmp_path):
    path = cohort(tmp_path, "id , path, cancer,sex ", "a,.,1,female")
    (case,) = open_dataset(path)
    assert (case.cancer, dict(case.facts)) == (True, {"sex": "female"})


def test_a_line_that_is_cut_short_is_told(tmp_path):
    path = cohort(tmp_path, "a,b,c", "1,2,3", "1")
    with pytest.raises(InputError, match=r"Line 3 .* it has 1 of 3 values"):
        read_rows(path, ("a", "b"))


def test_scans_of_one_name_are_told_apart(tmp_path):
    for name in ("a.nii.gz", "a.mha", "b.mha", "c/1.nii.gz", "c/1.mha", "c/2.mha"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    data = open_dataset(tmp_path)
    ids = ["a.mha", "a.nii.gz", "b", "c/1.mha", "c/1.nii.gz", "c/2"]
    assert [case.id for case in data] == ids
    assert [case.patient for case in data] == ["a", "a", "b", "c", "c", "c"]


def test_a_table_of_boxes_stands_for_its_folder(example):
    data = open_dataset(example("boxes") / "annotations.csv")
    assert (data.layout, len(data)) == ("boxes", 3)


def test_what_is_no_data_set_says_what_each_needs(tmp_path, example):
    (tmp_path / "notes").mkdir()
    (tmp_path / "a.txt").write_text("x")
    with pytest.raises(InputError, match=r"1 folders and 1 files \(\.txt\).*LUNA16"):
        open_dataset(tmp_path)
    with pytest.raises(InputError, match="no CSV"):
        open_dataset(tmp_path / "a.txt")
    with pytest.raises(InputError, match="nothing at"):
        open_dataset(tmp_path / "absent")
    with pytest.raises(InputError, match="hilum train malignancy"):
        open_dataset(example("nodules"))


def test_a_series_that_becomes_no_volume_has_no_grid(example, monkeypatch):
    broken = SimpleNamespace(uid="1.2.3", plan=None, problem="It has one slice.")
    monkeypatch.setattr(
        "hilum.datasets.lidc_folder.choose_series", lambda *_, **__: (broken, ())
    )
    case = open_dataset(example("lidc")).cases[0]
    with pytest.raises(InputError, match="one slice"):
        grid_of(case)


def test_a_folder_that_may_not_be_read_is_told(tmp_path, monkeypatch):
    def refuse(_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("hilum.datasets.opening.is_luna16", refuse)
    with pytest.raises(InputError, match="Permission denied"):
        open_dataset(tmp_path)


def test_nlst_needs_its_table(tmp_path):
    with pytest.raises(InputError, match="no table of participants"):
        read_nlst(tmp_path)


def test_readers_who_outlined_nothing_give_no_nodules(example, tmp_path):
    folder = copy_of(example("lidc"), tmp_path)
    for path in folder.rglob("*.xml"):
        kept = re.sub("<unblindedReadNodule>.*?</unblindedReadNodule>", "",
                      path.read_text())  # fmt: skip
        path.write_text(kept)
    with pytest.raises(InputError, match="outlined no nodule"):
        cut_nodules(open_dataset(folder), tmp_path / "nodules")


def test_a_uid_that_is_a_path_does_not_lead_out(example, tmp_path, monkeypatch):
    data, uid = open_dataset(example("lidc")), "../../../evil"
    reading = replace(load_readings(data)[data.cases[0].id], series_uid=uid)
    monkeypatch.setattr(
        "hilum.datasets.cutting.load_readings", lambda _: {uid: reading}
    )
    case = replace(data.cases[0], id=uid, series_uid=None)
    out = tmp_path / "a" / "b" / "out"
    assert cut_nodules(replace(data, cases=(case,)), out) > 0
    assert [p.name for p in tmp_path.iterdir()] == ["a"]
    assert [p.name for p in out.parent.iterdir()] == ["out"]


def test_cutting_goes_on_when_a_scan_came_before_the_others(example, tmp_path):
    data = open_dataset(example("lidc"))
    last = replace(data, cases=data.cases[1:])
    count = cut_nodules(last, tmp_path / "out")
    # read by series: the first scan is cut, the second one is not taken for it
    more = cut_nodules(data, tmp_path / "out")
    assert more == count + cut_nodules(
        replace(data, cases=data.cases[:1]), tmp_path / "b"
    )


def test_cutting_goes_on_after_the_last_whole_scan(example, tmp_path):
    data, told = open_dataset(example("lidc")), []
    count = cut_nodules(data, tmp_path, talk=told.append)
    assert len(told) == 3
    done = {p.name: p.stat().st_mtime_ns for p in (tmp_path / "image").iterdir()}
    assert cut_nodules(data, tmp_path) == count == len(done)
    again = {p.name: p.stat().st_mtime_ns for p in (tmp_path / "image").iterdir()}
    assert again == done
