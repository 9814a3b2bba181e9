"""Which scans a folder holds."""

from hilum.datasets.plain import read_plain
from hilum.datasets.walking import find_scans


def slices(folder):
    folder.mkdir(parents=True)
    for number in range(2):
        (folder / f"IM{number}").write_bytes(bytes(128) + b"DICM")


def test_slices_are_not_lost_beside_a_mask(tmp_path):
    slices(tmp_path / "a")
    (tmp_path / "a" / "lungs.nii.gz").write_bytes(b"")
    slices(tmp_path / "b" / "deeper")
    (tmp_path / "b" / "ct.mha").write_bytes(b"")
    found = [path.relative_to(tmp_path).as_posix() for path in find_scans(tmp_path)]
    assert found == ["a", "a/lungs.nii.gz", "b/ct.mha", "b/deeper"]


def test_what_is_hidden_or_no_scan_is_passed_over(tmp_path):
    slices(tmp_path / ".trash")
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "labels.csv").write_text("id,cancer\n")
    assert list(find_scans(tmp_path)) == []


def test_a_plain_folder_keeps_slices_beside_a_mask(tmp_path):
    slices(tmp_path / "one" / "ct")
    (tmp_path / "one" / "ct" / "lungs.nii.gz").write_bytes(b"")
    (tmp_path / "two").mkdir()
    (tmp_path / "two" / "ct.mha").write_bytes(b"")
    found = [(c.id, c.patient, c.source.name) for c in read_plain(tmp_path)]
    assert found == [
        ("one", "one", "one"),
        ("one/ct/lungs", "one", "lungs.nii.gz"),
        ("two", "two", "ct.mha"),
    ]
