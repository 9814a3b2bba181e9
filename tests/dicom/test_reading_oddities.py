"""Oddities of real archives: legal or tolerated, and read like any other file."""

import json
import time
import tracemalloc
import zipfile
import zlib

import numpy as np
import pytest
from dicom_checks import assert_shows_the_patient, wanted_hu
from dicom_maker import (
    LOSSLESS,
    UNCOMPRESSED,
    SeriesSpec,
    encode,
    make_enhanced,
    make_series,
    make_slices,
    write_slice,
    write_slices,
)
from pydicom.encaps import encapsulate, encapsulate_extended, generate_frames

from hilum.dicom import read_dicom
from hilum.errors import InputError

CODECS = ["rle", "jpeg-70", "jpeg-ls", "jpeg2000-lossless", "htj2k-lossless"]


def frames_of(ds):
    return list(
        generate_frames(ds.PixelData, number_of_frames=ds.get("NumberOfFrames", 1))
    )


@pytest.mark.parametrize("has_bot", [True, False])
@pytest.mark.parametrize("name", CODECS[1:])  # RLE has one fragment a frame
def test_a_frame_in_several_fragments(name, has_bot, tmp_path):
    slices = make_slices(SeriesSpec(syntax=LOSSLESS[name]))
    for ds in slices:
        ds.PixelData = encapsulate(
            frames_of(ds), fragments_per_frame=3, has_bot=has_bot
        )
    assert_shows_the_patient(read_dicom(write_slices(slices, tmp_path)))


@pytest.mark.parametrize("pieces", [1, 2])
@pytest.mark.parametrize("name", CODECS[1:])
def test_frames_of_an_enhanced_file_in_fragments(name, pieces, tmp_path):
    ds = make_enhanced(SeriesSpec(syntax=LOSSLESS[name]))
    ds.PixelData = encapsulate(frames_of(ds), fragments_per_frame=pieces, has_bot=True)
    write_slice(ds, tmp_path / "one.dcm")
    assert_shows_the_patient(read_dicom(tmp_path))


@pytest.mark.parametrize("name", CODECS)
def test_an_enhanced_file_without_offsets(name, tmp_path):
    ds = make_enhanced(SeriesSpec(syntax=LOSSLESS[name]))
    ds.PixelData = encapsulate(frames_of(ds), has_bot=False)
    write_slice(ds, tmp_path / "one.dcm")
    assert_shows_the_patient(read_dicom(tmp_path))


def test_an_enhanced_file_with_extended_offsets(tmp_path):
    ds = make_enhanced(SeriesSpec(syntax=LOSSLESS["jpeg-ls"]))
    data, offsets, lengths = encapsulate_extended(frames_of(ds))
    ds.PixelData = data
    ds.ExtendedOffsetTable, ds.ExtendedOffsetTableLengths = offsets, lengths
    write_slice(ds, tmp_path / "one.dcm")
    assert_shows_the_patient(read_dicom(tmp_path))


@pytest.mark.parametrize("more", [2, 100])
def test_pixel_data_longer_than_needed(more, tmp_path):
    slices = make_slices(SeriesSpec())
    for ds in slices:
        ds.PixelData = ds.PixelData + bytes(more)
    assert_shows_the_patient(read_dicom(write_slices(slices, tmp_path)))


@pytest.mark.parametrize("syntax", UNCOMPRESSED.values(), ids=UNCOMPRESSED)
def test_padding_after_the_pixels(syntax, tmp_path):
    slices = make_slices(SeriesSpec(syntax=syntax))
    for ds in slices:
        ds.add_new(0xFFFCFFFC, "OB", bytes(500))
    assert_shows_the_patient(read_dicom(write_slices(slices, tmp_path)))


def test_group_lengths(tmp_path):
    slices = make_slices(SeriesSpec())
    for ds in slices:
        for group in (0x0008, 0x0010, 0x0020, 0x0028, 0x7FE0):
            ds.add_new((group, 0), "UL", 1234)
    assert_shows_the_patient(read_dicom(write_slices(slices, tmp_path)))


def test_known_tags_of_unknown_type(tmp_path):
    # a system that does not know an element writes it as UN
    slices = make_slices(SeriesSpec(rescale=((1.0, -1000.0),)))
    for ds in slices:
        for keyword in ("RescaleSlope", "RescaleIntercept", "SliceThickness"):
            text = str(getattr(ds, keyword)).encode()
            tag = ds[keyword].tag
            ds[tag].VR, ds[tag]._value = "UN", text + b" " * (len(text) % 2)
    assert_shows_the_patient(read_dicom(write_slices(slices, tmp_path)))


@pytest.mark.parametrize("claimed", ["implicit", "explicit"])
def test_a_file_that_is_not_in_the_syntax_that_it_claims(claimed, tmp_path):
    actual = {"implicit": "explicit", "explicit": "implicit"}[claimed]
    make_series(tmp_path, SeriesSpec(syntax=UNCOMPRESSED[actual]))
    uids = {"implicit": b"1.2.840.10008.1.2\0", "explicit": b"1.2.840.10008.1.2.1\0"}
    length = {name: bytes([len(uid)]) for name, uid in uids.items()}
    for path in tmp_path.iterdir():
        data = path.read_bytes()
        tag = b"\x02\x00\x10\x00UI"
        at = data.index(tag)
        own = tag + length[actual] + b"\0" + uids[actual]
        assert data[at : at + len(own)] == own
        other = tag + length[claimed] + b"\0" + uids[claimed]
        path.write_bytes(data[:at] + other + data[at + len(own) :])
    assert_shows_the_patient(read_dicom(tmp_path))


def test_numbers_with_spaces_and_exponents(tmp_path):
    slices = make_slices(SeriesSpec())
    for ds in slices:
        x, y, z = map(float, ds.ImagePositionPatient)
        raw = f" {x:.1f} \\{y:+.4E}\\  {z:.2f}".encode()
        ds["ImagePositionPatient"]._value = raw.decode() + " " * (len(raw) % 2)
        ds["PixelSpacing"]._value = " 9.0\\9.000E+00 "
        ds["RescaleSlope"]._value = "+1 "
    assert_shows_the_patient(read_dicom(write_slices(slices, tmp_path)))


@pytest.mark.parametrize(
    ("charset", "text"),
    [
        ("ISO_IR 100", "Thorax Übersicht".encode("latin-1")),
        ("ISO_IR 192", "胸部 CT".encode()),
        ("ISO 2022 IR 87", b"\x1b$B6;It\x1b(B CT"),
        ("NO_SUCH_SET", b"Thor\xe4x\xff\xfe"),
    ],
)
def test_descriptions_in_other_characters(charset, text, tmp_path):
    place = b"PLACEHOLDER-" + b"x" * (len(text) + len(text) % 2)
    make_series(tmp_path, SeriesSpec(description=place.decode()))
    for path in tmp_path.iterdir():
        data = path.read_bytes()
        path.write_bytes(data.replace(place, text.ljust(len(place))))
    for path in tmp_path.iterdir():
        assert text in path.read_bytes()
    volume = read_dicom(tmp_path)
    assert_shows_the_patient(volume)
    json.dumps(volume.acquisition.to_json())


@pytest.mark.slow
@pytest.mark.parametrize("spacing", [0.625, 0.7, 1.25, 2.5])
@pytest.mark.parametrize("digits", [1, 2])
def test_positions_of_few_digits(spacing, digits, tmp_path):
    count = int(130 / spacing)
    spec = SeriesSpec(
        shape=(count, 16, 20), spacing_mm=(spacing, 18, 18), thickness_mm=spacing
    )
    slices = make_slices(spec)
    for ds in slices:
        x, y, z = map(float, ds.ImagePositionPatient)
        ds.ImagePositionPatient = [f"{v:.{digits}f}" for v in (x, y, z)]
    volume = read_dicom(write_slices(slices, tmp_path))
    assert volume.grid.shape == spec.shape
    assert volume.grid.spacing_mm[0] == pytest.approx(spacing, abs=1.1 * 0.1 / count)
    assert_shows_the_patient(volume, atol=1.0)


def test_instance_numbers_in_no_order_do_not_tell_phases_apart(tmp_path):
    # two phases, and nothing but random InstanceNumbers: any choice would mix them
    one, two = make_slices(SeriesSpec()), make_slices(SeriesSpec())
    for ds in two:
        bits = np.frombuffer(ds.PixelData, "<i2").reshape(32, 40) + np.int16(150)
        encode(ds, bits.view(np.uint16), SeriesSpec())
        ds.SOPInstanceUID = f"{ds.SOPInstanceUID}.2"
    numbers = np.random.default_rng(4).permutation(60) + 1
    for ds, number in zip([*one, *two], numbers, strict=True):
        ds.InstanceNumber = int(number)
    write_slices([*one, *two], tmp_path)
    try:
        volume = read_dicom(tmp_path)
    except InputError:
        return
    apart = volume.hu - wanted_hu(volume)
    assert np.ptp(apart) <= 1.02, "the volume mixes slices of two phases"


@pytest.mark.parametrize("order", ["phase by phase", "place by place"])
def test_instance_numbers_in_order_tell_phases_apart(order, tmp_path):
    one, two = make_slices(SeriesSpec()), make_slices(SeriesSpec())
    for k, (a, b) in enumerate(zip(one, two, strict=True)):
        bits = np.frombuffer(b.PixelData, "<i2").reshape(32, 40) + np.int16(150)
        encode(b, bits.view(np.uint16), SeriesSpec())
        b.SOPInstanceUID = f"{b.SOPInstanceUID}.2"
        by_phase = order == "phase by phase"
        a.InstanceNumber, b.InstanceNumber = (
            (k + 1, k + 31) if by_phase else (2 * k + 1, 2 * k + 2)
        )
    write_slices([*one, *two], tmp_path)
    try:
        volume = read_dicom(tmp_path)
    except InputError:
        return
    apart = volume.hu - wanted_hu(volume)
    assert np.ptp(apart) <= 1.02, "the volume mixes slices of two phases"
    assert volume.notices


def hollow(size):
    """A CT file whose private element of zeros comes before everything useful."""
    ds = make_slices(SeriesSpec())[0]
    ds.add_new(0x00090010, "LO", "VENDOR")
    ds.add_new(0x00091001, "OB", bytes(size))
    return ds


@pytest.mark.slow
def test_a_zip_of_many_hollow_members_ends_soon(tmp_path):
    write_slice(hollow(60 << 20), tmp_path / "one.dcm")
    data = (tmp_path / "one.dcm").read_bytes()
    (tmp_path / "one.dcm").unlink()
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for k in range(8):
            archive.writestr(f"{k}.dcm", data)
    del data
    size = (tmp_path / "a.zip").stat().st_size
    start = time.process_time()
    with pytest.raises(InputError):
        read_dicom(tmp_path / "a.zip")
    took = time.process_time() - start
    tracemalloc.start()
    with pytest.raises(InputError):
        read_dicom(tmp_path / "a.zip")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 32 << 20
    assert took < 5, f"{took:.1f} s for a zip of {size >> 10} kB"


@pytest.mark.slow
def test_a_deflated_bomb_ends_soon(tmp_path):
    spec = SeriesSpec(syntax=UNCOMPRESSED["deflated"])
    slices = make_slices(spec)
    write_slices(slices, tmp_path)
    path = next(tmp_path.iterdir())
    data = path.read_bytes()
    start = data.index(UNCOMPRESSED["deflated"].encode()) + 22
    while data[start : start + 2] == b"\x02\x00":  # the rest of the meta information
        start += 8 + int.from_bytes(data[start + 6 : start + 8], "little")
    body = zlib.decompress(data[start:], -15)
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    bomb = packer.compress(body[:200])
    bomb += packer.compress(b"\x08\x00\xff\x0fOB\0\0" + (1 << 27).to_bytes(4, "little"))
    for _ in range(1 << 3):
        bomb += packer.compress(bytes(1 << 24))
    path.write_bytes(data[:start] + bomb + packer.flush())
    begin = time.process_time()
    volume = read_dicom(tmp_path)
    took = time.process_time() - begin
    assert_shows_the_patient(volume, atol=1.1)
    tracemalloc.start()
    read_dicom(tmp_path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 32 << 20
    assert took < 5, f"{took:.1f} s for one file of {path.stat().st_size >> 20} MB"
