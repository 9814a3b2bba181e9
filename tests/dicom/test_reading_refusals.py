"""Refusals: a clear InputError, or the bad file named and the rest read.

And never, in any message, notice, log or listing, who the patient is.
"""

import json
import resource
import struct
import time
import zipfile

import numpy as np
import pytest
from dicom_beside import KINDS, make_beside, set_rgb, zip_folder
from dicom_checks import assert_shows_the_patient, leaks, noticed
from dicom_maker import (
    LOSSLESS,
    PATIENT_NAME,
    ROOT,
    SERIES,
    UNCOMPRESSED,
    SeriesSpec,
    make_enhanced,
    make_series,
    make_slices,
    write_slice,
    write_slices,
)

from hilum.dicom import find_studies, read_dicom
from hilum.errors import InputError


def with_tags(**tags):
    return lambda folder: make_series(folder, SeriesSpec(tags=tags))


def of_shape(shape, spacing):
    return lambda folder: make_series(
        folder, SeriesSpec(shape=shape, spacing_mm=spacing, thickness_mm=spacing[0])
    )


def beside(*kinds):
    def make(folder):
        for kind in kinds:
            write_slice(make_beside(kind), folder / f"{kind}.dcm")
        return folder

    return make


def rgb(folder):
    slices = make_slices(SeriesSpec())
    for ds in slices:
        set_rgb(ds, 32, 40)
    return write_slices(slices, folder)


def cut_pixels(folder):
    slices = make_slices(SeriesSpec())
    for ds in slices:
        ds.PixelData = ds.PixelData[:1000]
    return write_slices(slices, folder)


def cut_compressed(folder):
    make_series(folder, SeriesSpec(syntax=LOSSLESS["jpeg2000-lossless"]))
    for path in folder.iterdir():
        path.write_bytes(path.read_bytes()[:-700])
    return folder


def no_pixels(folder):
    slices = make_slices(SeriesSpec())
    for ds in slices:
        del ds.PixelData
    return write_slices(slices, folder)


def cut_enhanced(folder):
    path = write_slice(make_enhanced(SeriesSpec()), folder / "one.dcm")
    path.write_bytes(path.read_bytes()[:-5000])
    return folder


def unknown_syntax(folder):
    slices = make_slices(SeriesSpec())
    write_slices(slices, folder)
    for path in folder.iterdir():
        data = path.read_bytes()
        path.write_bytes(
            data.replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.9\0")
        )
    return folder


def lonely(folder):
    return write_slices(make_slices(SeriesSpec())[4:5], folder)


def at_one_place(folder):
    return make_series(folder, SeriesSpec(offsets_mm=(0.0,) * 29 + (0.001,)))


def empty_folder(folder):
    folder.mkdir()
    return folder


def absent(folder):
    return folder / "nothing"


def other(name, data):
    def make(folder):
        folder.mkdir()
        (folder / name).write_bytes(data)
        return folder / name

    return make


def only_junk(folder):
    folder.mkdir()
    (folder / "a.txt").write_text(PATIENT_NAME)
    (folder / "b.dcm").write_bytes(b"\0" * 128 + b"DICM" + b"\xff" * 300)
    return folder


REFUSED = {
    "empty folder": (empty_folder, "(?i)no |empty|nothing"),
    "absent": (absent, "(?i)nothing|not exist|no such|found"),
    "junk": (only_junk, "(?i)DICOM|CT"),
    "text file": (other("a.dcm", b"hello " * 100), "(?i)DICOM"),
    "empty file": (other("a.dcm", b""), "(?i)DICOM|empty"),
    "pdf": (other("report.pdf", b"%PDF-1.4 " + bytes(500)), "(?i)DICOM"),
    "no zip": (other("scan.zip", b"hello " * 100), "(?i)zip|DICOM"),
    "empty zip": (other("scan.zip", b"PK\5\6" + bytes(18)), "(?i)zip|DICOM|CT"),
    "one slice": (lonely, "(?i)slice"),
    "all at one place": (at_one_place, "(?i)position|spacing|place|slice"),
    "a nodule": (of_shape((20, 32, 40), (1.0, 0.7, 0.7)), "(?i)chest"),
    "few slices": (of_shape((4, 32, 40), (40.0, 9, 9)), "(?i)slice|chest"),
    "a finger": (of_shape((60, 64, 64), (1.0, 1.0, 1.0)), "(?i)chest"),
    "RGB": (rgb, "(?i)RGB|colou?r|sample"),
    "no spacing": (with_tags(PixelSpacing=None), "(?i)spacing"),
    "zero spacing": (with_tags(PixelSpacing=["0", "0"]), "(?i)spacing"),
    "minus spacing": (with_tags(PixelSpacing=["-9", "9"]), "(?i)spacing"),
    "no positions": (with_tags(ImagePositionPatient=None), "(?i)position"),
    "no orientation": (with_tags(ImageOrientationPatient=None), "(?i)orientation"),
    "flat orientation": (
        with_tags(ImageOrientationPatient=["1", "0", "0", "1", "0", "0"]),
        "(?i)orientation|cosine|perpendicular",
    ),
    "long cosines": (
        with_tags(ImageOrientationPatient=["2", "0", "0", "0", "2", "0"]),
        "(?i)orientation|cosine|unit",
    ),
    "no rows": (with_tags(Rows=None), "(?i)rows|size|pixel"),
    "zero rows": (with_tags(Rows=0), "(?i)rows|size|pixel"),
    "absurd rows": (with_tags(Rows=65535), "(?i)rows|size|pixel|chest|byte"),
    "no pixels": (no_pixels, "(?i)pixel"),
    "cut pixels": (cut_pixels, "(?i)pixel|cut|trunc|byte"),
    "cut compressed": (cut_compressed, "(?i)pixel|cut|trunc|decod|damaged"),
    "cut enhanced": (cut_enhanced, "(?i)pixel|cut|trunc|byte|damaged"),
    "unknown syntax": (unknown_syntax, "(?i)syntax"),
    "other modality": (with_tags(Modality="MR"), "(?i)CT"),
    **{f"only {kind}": (beside(kind), "(?i)CT|series") for kind in KINDS},
    "only others": (beside(*KINDS), "(?i)CT|series"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_with_the_reason_and_no_name(name, tmp_path, caplog):
    make, message = REFUSED[name]
    source = make(tmp_path / "in")
    with pytest.raises(InputError, match=message) as caught:
        pytest.fail(str(read_dicom(source)))
    text = str(caught.value)
    assert len(text) > 20
    assert not leaks(text)
    assert not leaks(caplog.text)
    assert str(tmp_path) not in text, "a path of this machine, not a base name"
    assert caught.value.exit_code == 3


# ---- a corrupt file among good ones ------------------------------------------


def cut_short(data):
    return data[: len(data) - 900]


def cut_in_the_header(data):
    return data[:400]


def garbage_after_the_preamble(data):
    return data[:132] + bytes(np.random.default_rng(0).integers(0, 256, 800, np.uint8))


def absurd_length(data):
    at = data.index(b"\xe0\x7f\x10\x00OW")
    return data[: at + 8] + struct.pack("<I", 0x7FFFFFF0) + data[at + 12 :]


@pytest.mark.parametrize(
    "damage", [cut_short, cut_in_the_header, garbage_after_the_preamble, absurd_length]
)
@pytest.mark.parametrize("which", [0, 13])
def test_a_corrupt_file_is_named_and_the_rest_read(damage, which, tmp_path):
    slices = make_slices(SeriesSpec())
    write_slices(slices, tmp_path)
    names = np.random.default_rng(7).permutation(30)
    bad = tmp_path / f"IM{names[which]:04d}.dcm"
    bad.write_bytes(damage(bad.read_bytes()))
    volume = read_dicom(tmp_path)
    assert volume.grid.shape[0] == (29 if which == 0 else 30)
    assert_shows_the_patient(volume, atol=1.1)
    assert noticed(volume.notices, bad.name), [n.message for n in volume.notices]


@pytest.mark.parametrize("name", ["jpeg2000-lossless", "jpeg-ls", "rle", "jpeg-70"])
def test_a_corrupt_codestream_is_named_and_the_rest_read(name, tmp_path):
    make_series(tmp_path, SeriesSpec(syntax=LOSSLESS[name]))
    names = np.random.default_rng(7).permutation(30)
    bad = tmp_path / f"IM{names[13]:04d}.dcm"
    data = bad.read_bytes()
    at = data.index(b"\xfe\xff\x00\xe0", data.index(b"\xe0\x7f\x10\x00OB") + 20) + 8
    bad.write_bytes(data[:at] + b"\x13\x37" * 40 + data[at + 80 :])
    volume = read_dicom(tmp_path)
    assert volume.grid.shape[0] == 30
    assert_shows_the_patient(volume, atol=1.1)
    assert noticed(volume.notices, bad.name)


def test_too_many_corrupt_files_are_refused_or_a_shorter_run_is_read(tmp_path):
    make_series(tmp_path)
    for path in sorted(tmp_path.iterdir())[:22]:
        path.write_bytes(path.read_bytes()[:700])
    with pytest.raises(InputError):
        pytest.fail(str(read_dicom(tmp_path).notices))


# ---- zips --------------------------------------------------------------------


def test_a_zip_is_read_like_its_folder(tmp_path):
    make_series(tmp_path / "ct")
    write_slice(make_beside("localizer"), tmp_path / "ct/scout")
    (tmp_path / "ct/readme.txt").write_text("junk")
    before = sorted(p.name for p in tmp_path.iterdir())
    zip_folder(tmp_path / "ct", tmp_path / "scan.zip")
    one, two = read_dicom(tmp_path / "ct"), read_dicom(tmp_path / "scan.zip")
    np.testing.assert_array_equal(one.hu, two.hu)
    assert one.grid.same_as(two.grid)
    assert one.series_uid == two.series_uid
    assert_shows_the_patient(two)
    search = find_studies(tmp_path / "scan.zip")
    assert SERIES in {s.uid for study in search.studies for s in study.series}
    assert sorted(p.name for p in tmp_path.iterdir()) == [*before, "scan.zip"]


@pytest.mark.parametrize("name", ["jpeg2000-lossless", "rle"])
def test_a_zip_of_compressed_slices(name, tmp_path):
    make_series(tmp_path / "ct", SeriesSpec(syntax=LOSSLESS[name]))
    zip_folder(tmp_path / "ct", tmp_path / "scan.zip")
    assert_shows_the_patient(read_dicom(tmp_path / "scan.zip"))


def test_a_zip_goes_by_content_not_by_name(tmp_path):
    make_series(tmp_path / "ct")
    zip_folder(tmp_path / "ct", tmp_path / "scan.bin")
    assert_shows_the_patient(read_dicom(tmp_path / "scan.bin"))


def members(path, names_and_data):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in names_and_data:
            archive.writestr(name, data)
    return path


@pytest.mark.parametrize(
    "evil", ["../../evil{}.dcm", "/tmp/evil{}.dcm", "a/../../evil{}", "..\\evil{}"]
)
def test_a_zip_that_leaves_its_folder_is_refused(evil, tmp_path):
    make_series(tmp_path / "ct")
    files = sorted((tmp_path / "ct").iterdir())
    path = members(
        tmp_path / "scan.zip",
        [(evil.format(k), f.read_bytes()) for k, f in enumerate(files)],
    )
    before = set(tmp_path.parent.rglob("evil*"))
    with pytest.raises(InputError, match=r"(?i)zip|outside|path"):
        pytest.fail(str(read_dicom(path).notices))
    assert set(tmp_path.parent.rglob("evil*")) == before


def test_an_encrypted_zip_is_refused(tmp_path):
    make_series(tmp_path / "ct")
    path = zip_folder(tmp_path / "ct", tmp_path / "scan.zip")
    data = bytearray(path.read_bytes())
    for sign, at in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        k = data.find(sign)
        while k >= 0:
            data[k + at] |= 1  # the flag for encryption
            k = data.find(sign, k + 4)
    path.write_bytes(data)
    with pytest.raises(InputError, match=r"(?i)encrypt|password"):
        read_dicom(path)


@pytest.mark.slow
def test_a_bomb_is_refused_at_once(tmp_path):
    path = tmp_path / "bomb.zip"
    chunk = bytes(1 << 24)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for k in range(3):
            with archive.open(f"IM{k}.dcm", "w", force_zip64=True) as member:
                member.write(b"\0" * 128 + b"DICM")
                for _ in range(20):
                    member.write(chunk)
    assert path.stat().st_size < 2_000_000
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.process_time()
    with pytest.raises(InputError):
        read_dicom(path)
    assert time.process_time() - start < 5
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 200_000, f"{grown} kB for a zip of 1 MB"


def test_a_zip_that_lies_about_its_sizes_is_refused(tmp_path):
    # every central directory entry claims 100 bytes, the members hold 16 MB each
    path = tmp_path / "liar.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for k in range(4):
            archive.writestr(f"{k}.dcm", bytes(1 << 24))
    data = bytearray(path.read_bytes())
    k = data.find(b"PK\1\2")
    while k >= 0:
        data[k + 24 : k + 28] = struct.pack("<I", 100)
        k = data.find(b"PK\1\2", k + 4)
    path.write_bytes(data)
    with pytest.raises(InputError):
        read_dicom(path)


def test_links_in_a_zip_are_not_followed(tmp_path):
    make_series(tmp_path / "secret")
    path = tmp_path / "scan.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for k, file in enumerate(sorted((tmp_path / "secret").iterdir())):
            info = zipfile.ZipInfo(f"IM{k}.dcm")
            info.create_system, info.external_attr = 3, 0o120777 << 16
            archive.writestr(info, str(file))
    with pytest.raises(InputError, match="is a link"):
        read_dicom(path)


def test_a_damaged_member_of_a_zip_is_named_and_the_rest_read(tmp_path):
    make_series(tmp_path / "ct")
    files = sorted((tmp_path / "ct").iterdir())
    path = tmp_path / "scan.zip"
    with zipfile.ZipFile(path, "w") as archive:  # stored: the digest tells
        for file in files:
            archive.write(file, file.name)
    target = files[11]
    data = bytearray(path.read_bytes())
    at = data.find(target.read_bytes()[-400:-300])
    data[at] ^= 0xFF
    path.write_bytes(data)
    volume = read_dicom(path)
    assert noticed(volume.notices, target.name)
    assert_shows_the_patient(volume, atol=1.1)


def test_a_cut_zip_is_refused(tmp_path):
    make_series(tmp_path / "ct")
    path = zip_folder(tmp_path / "ct", tmp_path / "scan.zip")
    path.write_bytes(path.read_bytes()[:20000])
    with pytest.raises(InputError, match=r"(?i)zip"):
        read_dicom(path)


def test_a_zip_in_a_folder_or_a_zip_does_not_break_the_rest(tmp_path):
    make_series(tmp_path / "ct")
    zip_folder(tmp_path / "ct", tmp_path / "ct/older.zip")
    assert_shows_the_patient(read_dicom(tmp_path / "ct"))
    zip_folder(tmp_path / "ct", tmp_path / "outer.zip")
    assert_shows_the_patient(read_dicom(tmp_path / "outer.zip"))


def test_links_in_a_folder_that_go_round_in_circles_end(tmp_path):
    make_series(tmp_path / "ct")
    (tmp_path / "ct/again").symlink_to(tmp_path / "ct", target_is_directory=True)
    (tmp_path / "ct/broken").symlink_to(tmp_path / "absent")
    volume = read_dicom(tmp_path / "ct")
    assert_shows_the_patient(volume)


# ---- who the patient is ------------------------------------------------------


def test_nobody_learns_who_the_patient_is(tmp_path, caplog):
    """Listings, notices, acquisition and logs of series with every repair."""
    caplog.set_level(0)
    slices = make_slices(SeriesSpec())
    del slices[9]
    write_slices([*slices, *slices[:2]], tmp_path / "ct")
    (tmp_path / "ct/zz.dcm").write_bytes(
        (tmp_path / "ct/IM0003.dcm").read_bytes()[:900]
    )
    for kind in KINDS:
        write_slice(make_beside(kind), tmp_path / kind)
    make_series(
        tmp_path / "two",
        SeriesSpec(
            series_uid=f"{ROOT}.1.2", kernel="B70f", tags={"PixelSpacing": None}
        ),
    )
    search = find_studies(tmp_path)
    volume = read_dicom(tmp_path)
    told = [
        json.dumps([study.to_json() for study in search.studies]),
        *(f"{n.code} {n.message}" for n in (*search.notices, *volume.notices)),
        repr(search.studies),
        repr(search),
        json.dumps(volume.acquisition.to_json()),
        repr(volume),
        caplog.text,
    ]
    assert volume.notices
    for text in told:
        assert not leaks(text), text[:2000]


@pytest.mark.parametrize("syntax", [*UNCOMPRESSED.values(), *LOSSLESS.values()])
def test_damaged_patient_tags_do_not_leak(syntax, tmp_path, caplog):
    caplog.set_level(0)
    make_series(tmp_path, SeriesSpec(syntax=syntax))
    for path in tmp_path.iterdir():
        data = path.read_bytes()
        spoilt = data.replace(b"19510704", b"1951XX04")  # no date any more
        path.write_bytes(spoilt.replace(b"Wunderlich", b"Wunder\xfflic\xfe"))
    try:
        told = str([(n.code, n.message) for n in read_dicom(tmp_path).notices])
    except InputError as error:
        told = str(error)
    assert "Wunder" not in told + caplog.text
    assert not leaks(told + caplog.text)
