"""What is not copied, why, and that it leaves nothing behind."""

import csv
import errno
import json
import os
import subprocess
import sys

import pydicom
import pytest
from dicom_beside import make_beside, set_rgb
from dicom_maker import IDENTITY, SeriesSpec, make_slices, write_slice
from hypothesis import given
from hypothesis import strategies as st

from hilum import cli
from hilum.deidentify import Key, Options, deidentify, read_key, runs
from hilum.deidentify.profile import Action, action_for, load_table
from hilum.deidentify.values import clean_description, shift_date, shift_datetime
from hilum.errors import InputError, MissingDependencyError

KEY = Key(b"a key that is used for tests only")
SPEC = SeriesSpec(shape=(4, 16, 20))
CHECKED = Options(pixels_checked=True)


def files(folder):
    return [p for p in folder.rglob("*") if p.is_file()]


def image(**tags):
    ds = make_slices(SPEC)[0]
    for keyword, value in tags.items():
        setattr(ds, keyword, value)
    return ds


def overlay_in_pixels():
    ds = image()
    ds.add_new(0x60000102, "US", 12)
    return ds


def colour():
    ds = image()
    set_rgb(ds, 8, 8)
    return ds


AT_RISK = {
    "burned-in annotation": lambda: image(BurnedInAnnotation="YES"),
    "secondary capture": lambda: make_beside("secondary-capture"),
    "screen save or derived picture": lambda: image(
        ImageType=["DERIVED", "SECONDARY", "SCREEN SAVE"]
    ),
    "colour picture": colour,
    "overlay inside the pixels": overlay_in_pixels,
    "ultrasound": lambda: image(SOPClassUID="1.2.840.10008.5.1.4.1.1.6.1"),
}


@pytest.mark.parametrize("reason", sorted(AT_RISK))
def test_images_that_may_show_text_are_refused_unless_checked(tmp_path, reason):
    write_slice(image(), tmp_path / "in/fine.dcm")
    ds = AT_RISK[reason]()
    write_slice(ds, tmp_path / "in/risk.dcm")
    summary = deidentify(tmp_path / "in", tmp_path / "out", key=KEY)
    assert summary.refused == {reason: 1}
    assert len(files(tmp_path / "out")) == summary.written == 1
    summary = deidentify(tmp_path / "in", tmp_path / "b", key=KEY, options=CHECKED)
    assert summary.refused == {}
    assert summary.written == 2


@pytest.mark.parametrize("kind", ["dose-report", "presentation", "rtstruct", "seg"])
def test_what_is_no_picture_is_refused_always(tmp_path, kind):
    write_slice(image(), tmp_path / "in/fine.dcm")
    write_slice(make_beside(kind), tmp_path / "in/beside.dcm")
    summary = deidentify(tmp_path / "in", tmp_path / "out", key=KEY, options=CHECKED)
    assert summary.refused == {"not an image of CT, MR or PET": 1}


def test_uids_that_nobody_registered_are_no_way_out(tmp_path):
    """A class or a transfer syntax is copied as it is, so it must be a known one."""
    write_slice(image(), tmp_path / "in/fine.dcm")
    capture = make_beside("secondary-capture")
    capture.SOPClassUID = "1.2.840.10008.5.1.4.1.1.7731"
    write_slice(capture, tmp_path / "in/class.dcm")
    data = (tmp_path / "in/fine.dcm").read_bytes()
    old, new = b"1.2.840.10008.1.2.1\0", b"1.2.840.7731.19.51\0\0"
    assert data.count(old) == 1
    (tmp_path / "in/syntax.dcm").write_bytes(data.replace(old, new))
    summary = deidentify(tmp_path / "in", tmp_path / "out", key=KEY, options=CHECKED)
    assert summary.refused == {
        "not an image of CT, MR or PET": 1,
        "unknown transfer syntax": 1,
    }


def test_a_directory_of_a_disc_is_no_image(tmp_path):
    write_slice(image(), tmp_path / "in/fine.dcm")
    directory = pydicom.Dataset()
    directory.file_meta = pydicom.dataset.FileMetaDataset()
    directory.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.1.3.10"
    directory.file_meta.MediaStorageSOPInstanceUID = "1.2.3"
    directory.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1"
    directory.FileSetID = "WUNDERLICH"
    write_slice(directory, tmp_path / "in/DICOMDIR")
    summary = deidentify(tmp_path / "in", tmp_path / "out", key=KEY)
    assert summary.refused == {"directory of a disc": 1}


def test_damaged_files_are_counted_and_leave_nothing(tmp_path):
    data = write_slice(image(), tmp_path / "in/fine.dcm").read_bytes()
    (tmp_path / "in/cut.dcm").write_bytes(data[:-40])
    (tmp_path / "in/short.dcm").write_bytes(data[:400])
    (tmp_path / "in/notes.txt").write_text("Wunderlich")
    (tmp_path / "in/nothing").write_bytes(b"")
    deep = image()
    item = pydicom.Dataset()
    for _ in range(40):
        outer = pydicom.Dataset()
        outer.ReferencedImageSequence = [item]
        item = outer
    deep.ReferencedImageSequence = [item]
    write_slice(deep, tmp_path / "in/deep.dcm")
    summary = deidentify(tmp_path / "in", tmp_path / "out", key=KEY)
    assert summary.refused == {"damaged": 3, "not DICOM": 2}
    assert len(files(tmp_path / "out")) == 1


@given(st.data())
def test_no_damage_lets_a_name_through(tmp_path_factory, data):
    """Whatever byte of the header changes: no traceback, no name in what is written."""
    folder = tmp_path_factory.mktemp("damage")
    path = write_slice(image(), folder / "in/a.dcm")
    write_slice(image(), folder / "in/b.dcm")
    whole = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(132, 1400))
        whole[place] = data.draw(st.integers(0, 255))
    path.write_bytes(whole)
    deidentify(folder / "in", folder / "out", key=KEY)
    for copy in files(folder / "out"):
        assert not any(word.encode() in copy.read_bytes() for word in IDENTITY[:3])


def test_nothing_to_copy_is_an_error_with_the_reasons(tmp_path):
    write_slice(make_beside("dose-report"), tmp_path / "in/sr.dcm")
    with pytest.raises(InputError, match=r"None of 1 files .* 1 not an image"):
        deidentify(tmp_path / "in", tmp_path / "out", key=KEY)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("out", ["in", "in/copies", "."])
def test_copies_never_mix_with_originals(tmp_path, out):
    write_slice(image(), tmp_path / "in/fine.dcm")
    with pytest.raises(InputError, match="lie in each other"):
        deidentify(tmp_path / "in", tmp_path / out, key=KEY)


def test_out_is_no_file(tmp_path):
    write_slice(image(), tmp_path / "in/fine.dcm")
    (tmp_path / "out").write_text("")
    with pytest.raises(InputError, match="is a file"):
        deidentify(tmp_path / "in", tmp_path / "out", key=KEY)


def test_a_full_disk_leaves_no_half_copy(tmp_path, monkeypatch):
    for number in range(3):
        write_slice(make_slices(SPEC)[number], tmp_path / f"in/{number}.dcm")
    real, writes = runs.replacing, []

    def fill_up(path):
        writes.append(path)
        if len(writes) == 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(path)

    monkeypatch.setattr(runs, "replacing", fill_up)
    with pytest.raises(InputError, match="No space left"):
        deidentify(tmp_path / "in", tmp_path / "out", key=KEY)
    (copy,) = files(tmp_path / "out")
    assert pydicom.dcmread(copy).PixelData


def test_files_beyond_the_limit_and_unreadable_ones(tmp_path, monkeypatch):
    write_slice(image(), tmp_path / "in/fine.dcm")
    (tmp_path / "in/large.dcm").write_bytes(bytes(20_000))
    monkeypatch.setattr(runs, "MOST_BYTES", 10_000)
    summary = deidentify(tmp_path / "in", tmp_path / "out", key=KEY)
    assert summary.refused == {"too large": 1}
    real = runs.Opener.open

    def fail(self, file):
        if file.name == "large.dcm":
            raise PermissionError(errno.EACCES, "Permission denied")
        return real(self, file)

    monkeypatch.setattr(runs, "MOST_BYTES", 100_000)
    monkeypatch.setattr(runs.Opener, "open", fail)
    summary = deidentify(tmp_path / "in", tmp_path / "out", key=KEY)
    assert summary.refused == {"cannot be read": 1}


def run(capsys, *argv):
    code = cli.main([str(a) for a in argv])
    out, err = capsys.readouterr()
    return code, json.loads(out) if out else None, err


def test_the_command_says_numbers_and_no_names(capsys, tmp_path):
    folder = tmp_path / "Wunderlich"
    write_slice(image(), folder / "Rosalinde.dcm")
    write_slice(make_beside("dose-report"), folder / "PID-7731-RW.dcm")
    (tmp_path / "key").write_bytes(KEY.secret + b"\n")
    argv = ["deidentify", folder, tmp_path / "out", "--key", tmp_path / "key"]
    code, result, err = run(capsys, *argv, "--refused", tmp_path / "refused.csv")
    assert code == 0
    assert result["written"] == 1
    assert result["refused"] == {"not an image of CT, MR or PET": 1}
    shown = json.dumps(result) + err
    assert not any(word in shown for word in (*IDENTITY, KEY.secret.decode()))
    with (tmp_path / "refused.csv").open() as file:
        (row,) = csv.DictReader(file)
    assert row["file"].endswith("PID-7731-RW.dcm")
    (copy,) = files(tmp_path / "out")
    assert pydicom.dcmread(copy).SOPInstanceUID == KEY.uid(image().SOPInstanceUID)


def test_the_key_is_never_shown_and_never_weak(capsys, tmp_path, monkeypatch):
    write_slice(image(), tmp_path / "in/a.dcm")
    monkeypatch.delenv("HILUM_DEIDENTIFY_KEY", raising=False)
    argv = ["deidentify", tmp_path / "in", tmp_path / "out"]
    code, _, err = run(capsys, *argv)
    assert code == 3
    assert "HILUM_DEIDENTIFY_KEY" in err
    code, _, err = run(capsys, *argv, "--key", "my secret passphrase itself")
    assert code == 3
    assert "passphrase" not in err
    for weak, message in (("shortkey", "at least 16"), ("abab" * 8, "easy to guess")):
        monkeypatch.setenv("HILUM_DEIDENTIFY_KEY", weak)
        code, _, err = run(capsys, *argv)
        assert code == 3
        assert message in err
        assert weak not in err
    assert not (tmp_path / "out").exists()
    assert "tests only" not in repr(KEY)


def test_a_key_from_the_environment_a_file_or_the_keyboard_is_one(
    tmp_path, monkeypatch
):
    monkeypatch.setenv("HILUM_DEIDENTIFY_KEY", "schlüssel for the tests")
    from_environment = read_key(None)
    (tmp_path / "key").write_text("schlüssel for the tests\r\n", encoding="utf-8")
    assert read_key(tmp_path / "key") == from_environment
    monkeypatch.delenv("HILUM_DEIDENTIFY_KEY")
    assert read_key(None, ask=lambda: "schlüssel for the tests") == from_environment
    (tmp_path / "film").write_bytes(bytes(range(256)) * 20)
    with pytest.raises(InputError, match="more than 4096"):
        read_key(tmp_path / "film")


def test_the_key_is_asked_for_at_a_terminal(capsys, tmp_path, monkeypatch):
    write_slice(image(), tmp_path / "in/a.dcm")
    monkeypatch.delenv("HILUM_DEIDENTIFY_KEY", raising=False)
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("getpass.getpass", lambda prompt: KEY.secret.decode())
    code, _, err = run(capsys, "deidentify", tmp_path / "in", tmp_path / "out")
    assert code == 0
    assert KEY.secret.decode() not in err
    (copy,) = files(tmp_path / "out")
    assert pydicom.dcmread(copy).SOPInstanceUID == KEY.uid(image().SOPInstanceUID)


def test_uids_by_hand():
    """The first 128 bits of HMAC-SHA256, as `openssl dgst -hmac` gives them."""
    text = "1.2.840.113619.2.55"
    done = subprocess.run(
        ["openssl", "dgst", "-sha256", "-hmac", KEY.secret.decode()],
        input=text.encode(),
        capture_output=True,
        check=True,
    )
    digest = done.stdout.split()[-1].decode()
    assert KEY.uid(text) == f"2.25.{int(digest[:32], 16)}"


def test_the_table_of_the_standard_is_the_one_that_is_named():
    table = load_table()
    assert len(table) > 600
    assert table[0x00100010] is Action.EMPTY  # PatientName: Z
    assert table[0x00081030] is Action.REMOVE  # StudyDescription: X
    assert table[0x0020000D] is Action.REPLACE_UID  # StudyInstanceUID: U
    assert table[0x00080021] is Action.DUMMY  # SeriesDate: X/D
    assert 0x00280010 not in table  # Rows


def test_without_the_table_nothing_happens(tmp_path, monkeypatch):
    write_slice(image(), tmp_path / "in/a.dcm")
    monkeypatch.setitem(sys.modules, "dicomanonymizer", None)
    name = "dicomanonymizer.dicom_anonymization_databases.dicomfields_2026c"
    monkeypatch.setitem(sys.modules, name, None)
    load_table.cache_clear()
    with pytest.raises(MissingDependencyError, match="de-identify"):
        deidentify(tmp_path / "in", tmp_path / "out", key=KEY)
    assert not os.path.lexists(tmp_path / "out")


@given(st.integers(0, 0xFFFF), st.integers(0, 0xFFFF), st.sampled_from(["LO", "UT"]))
def test_free_text_is_never_kept_unless_it_is_listed(group, number, vr):
    kept = {0x00080070, 0x00081090, 0x00181020, 0x00181160, 0x00181210, 0x00189320}
    kept |= {0x00209056, 0x00281054, 0x00281055, 0x00283004, 0x00080100, 0x00080102}
    kept |= {0x00080103, 0x00080104}
    tag = group << 16 | number
    options = Options(descriptors="removed")
    assert (action_for(tag, vr, options) is Action.KEEP) <= (tag in kept)


@given(st.dates().filter(lambda d: d.year > 100), st.integers(-3650, -1))
def test_shifts_are_undone_by_their_opposite(day, days):
    text = f"{day.year:04d}{day.month:02d}{day.day:02d}"
    moved = shift_date(text, days)
    assert moved != text
    assert shift_date(moved, -days) == text


def test_dates_by_hand():
    assert shift_date("2001.02.03", -34) == "20001231"
    assert shift_date("20010230", -1) is None
    assert shift_date("00010101", -1) is None
    assert shift_datetime("20010301235959.25-0500", -1) == "20010228235959.25"
    assert shift_datetime("yesterday", -1) is None


@given(st.text(max_size=60))
def test_descriptions_keep_known_words_alone(text):
    clean = clean_description(text)
    assert clean_description(clean) == clean
    assert clean.isascii()
    assert not {"wunderlich", "rosalinde"} & set(clean.lower().split())


def test_descriptions_by_hand():
    assert clean_description("CHEST  1.25mm  B70f") == "CHEST  1.25mm  B70f"
    assert (
        clean_description("ThoraxRoutine  8.0.0  B40f") == "ThoraxRoutine  8.0.0  B40f"
    )
    assert clean_description("ThoraxWunderlich Routine") == "Routine"
    assert clean_description("Lung Wunderlich R. 4711 Br40d3") == "Lung Br40d3"
    assert clean_description("Dr. Quacksalber") == ""
