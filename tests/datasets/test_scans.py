"""A folder of scans with boxes."""

import numpy as np
import pytest

from hilum.datasets import open_dataset
from hilum.datasets.checking import check_scans
from hilum.datasets.scans import (
    CERTAIN_READERS,
    read_annotations,
    read_scans,
    with_readers,
)
from hilum.errors import InputError
from hilum.formats import write_volume
from hilum.phantom import PhantomSettings, make_phantom, write_phantom

HEADER = "seriesuid,coordX,coordY,coordZ,diameter_mm"
TINY = PhantomSettings(shape=(20, 32, 32), spacing_mm=(15, 12, 12))


def table(folder, *rows, header=HEADER):
    path = folder / "annotations.csv"
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


def folder_of(tmp_path, *names):
    (tmp_path / "ct").mkdir()
    volume = make_phantom(TINY, ()).volume
    for name in names:
        path = tmp_path / "ct" / name
        path.parent.mkdir(exist_ok=True)
        write_volume(volume, path)
    return tmp_path


def test_scans_without_a_row_have_no_nodule(tmp_path):
    folder = folder_of(tmp_path, "a.nii.gz", "p2/b.mha", "p2/c.nii.gz")
    table(folder, "a,1,2,3,6.5", "a,4,5,6,7", "c,1,1,1,3")
    cases = read_scans(folder)
    assert [(c.series_uid, c.patient, len(c.annotations)) for c in cases] == [
        ("a", "a", 2),
        ("b", "p2", 0),
        ("c", "p2", 1),
    ]
    assert cases[0].annotations[0].center_mm == (1.0, 2.0, 3.0)
    assert cases[0].annotations[0].readers == CERTAIN_READERS


def test_the_table_may_name_readers_and_patients(tmp_path):
    folder = folder_of(tmp_path, "a.nii.gz", "b.nii.gz")
    header = HEADER + ",readers,patient"
    table(folder, "a,1,2,3,6,1,x", "a,9,2,3,6,4,x", "b,1,2,3,6,4,x", header=header)
    cases = read_scans(folder)
    assert {c.patient for c in cases} == {"x"}
    assert [a.readers for a in with_readers(cases[0], 3).annotations] == [4]


def test_dicom_folders_are_found_by_series(tmp_path):
    phantom = make_phantom(TINY, ())
    write_phantom(phantom, tmp_path / "ct" / "someone")
    table(tmp_path, f"{phantom.volume.series_uid},1,2,3,6")
    (case,) = read_scans(tmp_path)
    assert case.patient == "someone"
    assert case.source == tmp_path / "ct" / "someone"
    table(tmp_path)  # no row: the best series is taken
    assert read_scans(tmp_path)[0].series_uid == phantom.volume.series_uid


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "lacks the column"),
        ("seriesuid,x,y,z\n", "coordX"),
        (f"{HEADER}\na,1,2,x,4\n", "Line 2"),
        (f"{HEADER}\na,1,2,3\n", "Line 2"),
        (f"{HEADER}\na,1,2,nan,4\n", "finite"),
        (f"{HEADER}\na,1,2,3,-1\n", "above 0"),
        (f"{HEADER}\n,1,2,3,4\n", "series UID"),
        (f"{HEADER},readers\na,1,2,3,4,many\n", "Line 2"),
        (f"{HEADER},patient\na,1,2,3,4,p\na,1,2,3,4,q\n", "two patients"),
    ],
)
def test_damaged_tables_are_refused(tmp_path, text, said):
    (tmp_path / "annotations.csv").write_text(text)
    with pytest.raises(InputError, match=said):
        read_annotations(tmp_path / "annotations.csv")


def test_a_first_line_that_may_name_a_patient_is_not_quoted(tmp_path):
    (tmp_path / "annotations.csv").write_text("DOE_JANE,1,2,3,4\n")
    with pytest.raises(InputError, match="it has none of those") as caught:
        read_annotations(tmp_path / "annotations.csv")
    assert "DOE" not in str(caught.value)
    (tmp_path / "annotations.csv").write_text("seriesuid,x\n")
    with pytest.raises(InputError, match="it has seriesuid,x"):
        read_annotations(tmp_path / "annotations.csv")


def test_what_is_not_there_is_said(tmp_path):
    with pytest.raises(InputError, match=r"Cannot read `annotations\.csv`"):
        read_scans(tmp_path)
    table(tmp_path, "a,1,2,3,4")
    with pytest.raises(InputError, match="no folder `ct`"):
        read_scans(tmp_path)
    folder_of(tmp_path, "b.nii.gz")
    with pytest.raises(InputError, match="1 of 1 series"):
        read_scans(tmp_path)
    table(tmp_path)
    write_volume(make_phantom(TINY, ()).volume, tmp_path / "ct" / "b.mha")
    with pytest.raises(InputError, match="twice"):
        read_scans(tmp_path)


def test_an_empty_folder_is_refused(tmp_path):
    table(tmp_path)
    (tmp_path / "ct").mkdir()
    with pytest.raises(InputError, match="0 others are"):
        read_scans(tmp_path)


def test_coordinates_are_floats(tmp_path):
    found, patients = read_annotations(table(tmp_path, "a,1e1,-2,.5,4"))
    np.testing.assert_allclose(found[0].center_mm, (10, -2, 0.5))
    assert patients == {}


def test_a_mask_beside_slices_is_no_scan_unless_the_table_names_it(tmp_path):
    phantom = make_phantom(TINY, ())
    patient = tmp_path / "ct" / "someone"
    write_phantom(phantom, patient / "slices")
    for place in (patient / "mask.nii.gz", patient / "slices" / "lungs.mha"):
        write_volume(phantom.volume, place)
    uid = phantom.volume.series_uid
    table(tmp_path, f"{uid},1,2,3,6")
    assert [(c.series_uid, c.source) for c in read_scans(tmp_path)] == [(uid, patient)]
    table(tmp_path, f"{uid},1,2,3,6", "lungs,1,2,3,6")
    assert {(c.series_uid, c.source) for c in read_scans(tmp_path)} == {
        (uid, patient),
        ("lungs", patient / "slices" / "lungs.mha"),
    }


def test_a_patient_that_cannot_be_read_does_not_hide_the_others(tmp_path):
    folder = folder_of(tmp_path, "a.nii.gz")
    for name in ("empty", "ruined"):
        (folder / "ct" / name).mkdir()
    (folder / "ct" / "ruined" / "1.dcm").write_bytes(b"ruin")
    (folder / "ct" / "notes.txt").write_text("nothing to see")
    table(folder, "a,1,2,3,6", "gone,1,2,3,6")
    assert [c.patient for c in read_scans(folder)] == ["a", "empty", "ruined"]
    data = open_dataset(folder)
    assert [(gap.code, gap.count) for gap in data.gaps] == [
        ("annotated-scans-absent", 1)
    ]
    problems = {facts.id: facts.problem for facts, _ in check_scans(data)}
    assert "holds no files" in problems["empty"]
    assert problems["ruined"]


def test_a_patient_without_a_chest_is_told_when_it_is_read(tmp_path):
    folder = folder_of(tmp_path, "a.nii.gz")
    place = folder / "ct" / "scout"
    write_phantom(make_phantom(TINY, ()), place)
    for path in sorted(place.rglob("*.dcm"))[1:]:
        path.unlink()
    table(folder, "a,1,2,3,6")
    found = {c.patient: c.series_uid for c in read_scans(folder)}
    assert sorted(found) == ["a", "scout"]
    problems = {f.id: f.problem for f, _ in check_scans(open_dataset(folder))}
    assert "slice" in problems[found["scout"]]
