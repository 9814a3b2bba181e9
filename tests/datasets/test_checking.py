"""What `hilum data check` finds: nothing in a sound set, and each planted fault."""

import json
import shutil
from dataclasses import replace

import pytest

from hilum._talk import Talk
from hilum.cli import main
from hilum.datasets import open_dataset
from hilum.datasets.checking import (
    check_dataset,
    check_scans,
    digest_of,
    spread,
    summarise,
)
from hilum.errors import InputError
from hilum.sources import read_ct


@pytest.mark.slow
def test_a_sound_data_set_is_sound(example):
    check = check_dataset(example("boxes"))
    assert check.ok
    assert (check.cases, check.readable, check.nodules, check.outside) == (3, 3, 16, 0)
    assert check.slice_spacing_mm == spread([7.0] * 3)
    assert check.kernels == {"unknown": 3}


def test_readers_of_lidc_are_counted(example):
    check = check_dataset(example("lidc"))
    assert check.ok
    assert check.nodules >= 8
    assert check.kernels == {"PHANTOM-B30": 3}


def test_planted_faults_are_found(example, tmp_path):
    folder = shutil.copytree(example("luna16"), tmp_path / "luna16")
    (first,) = folder.glob("subset0/*.mhd")
    (second,) = folder.glob("subset1/*.mhd")
    (third,) = folder.glob("subset2/*.mhd")
    shutil.copy(first, folder / "subset1" / "copy.mhd")  # names the .zraw of the first
    shutil.copy(first.with_suffix(".zraw"), folder / "subset1")
    second.with_suffix(".raw").write_bytes(b"cut")
    table = folder / "annotations.csv"
    table.write_text(table.read_text() + f"{third.stem},9000,0,0,5\n")
    rows = [f"{first.stem},p", f"{third.stem},p"]
    (folder / "patients.csv").write_text("\n".join(["seriesuid,patient", *rows]))
    check = check_dataset(folder)
    assert not check.ok
    assert (check.cases, check.readable, check.outside) == (4, 3, 1)
    (reason,) = check.unreadable
    assert check.unreadable[reason] == [second.stem]
    (copies,) = check.duplicates
    assert set(copies) == {first.stem, "copy"}
    assert sorted(leak.code for leak in check.leaks) == [
        "patient-in-two-folds",
        "pixels-in-two-folds",
        "pixels-of-two-patients",
    ]


def test_a_damaged_reader_file_does_not_end_the_check(example, tmp_path):
    folder = shutil.copytree(example("lidc"), tmp_path / "lidc")
    first = min(folder.rglob("*.xml"))
    first.write_bytes(first.read_bytes()[:300])
    check = check_dataset(folder)
    assert not check.ok
    assert (check.cases, check.readable, check.nodules) == (3, 3, 0)
    (gap,) = check.gaps
    assert (gap.code, gap.count) == ("readings-damaged", 3)
    assert first.name in gap.message


def test_a_series_with_a_damaged_slice_is_not_sound(example, tmp_path):
    folder = shutil.copytree(example("lidc"), tmp_path / "lidc")
    slices = sorted(min(folder.rglob("*.dcm")).parent.iterdir())
    slices[len(slices) // 2].write_bytes(b"cut")
    check = check_dataset(folder)
    assert check.readable == 3
    assert check.notices["damaged-files"] == 1
    assert not check.ok


@pytest.mark.parametrize("kind", [KeyError, MemoryError, OSError])
def test_an_error_of_ours_in_one_scan_does_not_end_the_check(
    caplog, example, monkeypatch, kind
):
    data = open_dataset(example("lidc"))
    broken = data.cases[1]

    def read(source, *, series_uid):
        if series_uid == broken.series_uid:
            raise kind("JOHN DOE")
        return read_ct(source, series_uid=series_uid)

    monkeypatch.setattr("hilum.datasets.checking.read_ct", read)
    with caplog.at_level("DEBUG", logger="hilum"):
        found = [facts for facts, _ in check_scans(data)]
    assert [facts.problem is None for facts in found] == [True, False, True]
    assert kind.__name__ in found[1].problem
    assert "JOHN" not in found[1].problem
    (record,) = caplog.records
    assert record.levelname == "DEBUG"
    assert record.exc_info[0] is kind
    check = summarise(data, found, {})
    assert check.unreadable == {found[1].problem: [broken.id]}


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
def test_whoever_stops_the_check_stops_it(example, monkeypatch, kind):
    def read(*_args, **_named):
        raise kind

    monkeypatch.setattr("hilum.datasets.checking.read_ct", read)
    with pytest.raises(kind):
        next(check_scans(open_dataset(example("lidc"))))


def test_pixels_are_the_same_in_any_format(example):
    (header,) = example("luna16").glob("subset0/*.mhd")
    packed = example("boxes") / "ct" / "scan-001.nii.gz"
    other = example("boxes") / "ct" / "scan-002.nii.gz"
    assert digest_of(read_ct(header)) == digest_of(read_ct(packed))
    assert digest_of(read_ct(other)) != digest_of(read_ct(packed))


def test_labels_are_of_patients_not_of_scans(example):
    data = open_dataset(example("nlst"))  # the second of three has two screens
    assert len(data) == 4
    assert summarise(data, [], {}).labels == {"cancer": 1, "none": 2}
    ill = replace(data.cases[1], event=True)  # found after the second screen
    changed = replace(data, cases=(data.cases[0], ill, *data.cases[2:]))
    assert summarise(changed, [], {}).labels == {"cancer": 2, "none": 1}


def test_spread_of_nothing():
    assert spread([None]).n == 0
    assert spread([None]).median is None


def test_the_command_writes_a_page(capsys, example, tmp_path):
    out = tmp_path / "check"
    assert main(["data", "check", str(example("patients")), "--out", str(out)]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert json.loads((out / "check.json").read_text()) == printed
    assert printed["labels"] == {"cancer": 2, "none": 1}
    page = (out / "check.html").read_text()
    assert "Nothing was found that is wrong" in page
    assert "http" not in page  # no address, no network
    assert len((out / "scans.csv").read_text().splitlines()) == 4
    assert (out / "spacing.png").read_bytes().startswith(b"\x89PNG")


def test_a_folder_that_cannot_be_written_is_told(example, tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="Cannot write"):
        check_dataset(example("boxes"), out=tmp_path / "file" / "out")


def test_long_work_says_where_it_is_without_a_terminal(capsys, monkeypatch):
    seconds = iter([0.0, 1.0, 10.0, 40.0, 41.0, 50.0])
    monkeypatch.setattr("hilum._talk.perf_counter", lambda: next(seconds))
    talk = Talk(quiet=False)  # at 0 s
    talk("check")  # at 1 s
    talk.at("scan 1 of 3")  # at 10 s: too soon
    talk.at("scan 2 of 3")  # at 40 s
    assert capsys.readouterr().err == "hilum: reading the scans: scan 2 of 3\n"
    Talk(quiet=True).at("scan 3 of 3")
    assert capsys.readouterr().err == ""
