"""Pixels: every transfer syntax, number of bits, rescale and padding gives its HU."""

from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest
from dicom_checks import assert_shows_the_patient, noticed, wanted_hu
from dicom_maker import (
    LOSSLESS,
    LOSSY,
    NEAR,
    UNCOMPRESSED,
    SeriesSpec,
    encode,
    make_series,
    make_slices,
    set_pixels,
    write_slice,
    write_slices,
)
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.filebase import DicomFileLike
from pydicom.filewriter import write_file_meta_info

from hilum.dicom import read_dicom
from hilum.errors import InputError

EXACT = UNCOMPRESSED | LOSSLESS
SIGNED = {"signed": True, "bits_stored": 16, "rescale": ((1.0, 0.0),)}
UNSIGNED = {"signed": False, "bits_stored": 12, "rescale": ((1.0, -1024.0),)}


@pytest.mark.parametrize("bits", [SIGNED, UNSIGNED], ids=["signed", "unsigned"])
@pytest.mark.parametrize("syntax", EXACT.values(), ids=EXACT)
def test_lossless_syntaxes_give_every_hu(syntax, bits, tmp_path):
    spec = SeriesSpec(syntax=syntax, **bits)
    volume = read_dicom(make_series(tmp_path, spec))
    assert volume.grid.shape == spec.shape
    assert_shows_the_patient(volume)


@pytest.mark.parametrize("bits", [SIGNED, UNSIGNED], ids=["signed", "unsigned"])
def test_near_lossless_stays_within_its_bound(bits, tmp_path):
    spec = SeriesSpec(syntax=LOSSY["jpeg-ls-near"], **bits)
    volume = read_dicom(make_series(tmp_path, spec))
    assert_shows_the_patient(volume, atol=NEAR + 0.51)
    with pytest.raises(AssertionError):  # it was lossy indeed
        assert_shows_the_patient(volume, atol=0.51)


@pytest.mark.parametrize("bits", [SIGNED, UNSIGNED], ids=["signed", "unsigned"])
@pytest.mark.parametrize("name", ["jpeg2000-lossy", "htj2k-lossy"])
def test_lossy_wavelets_come_near(name, bits, tmp_path):
    volume = read_dicom(make_series(tmp_path, SeriesSpec(syntax=LOSSY[name], **bits)))
    assert_shows_the_patient(volume, atol=12)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["jpeg2000-lossless", "rle", "jpeg-ls"])
def test_many_compressed_slices_keep_their_order(name, tmp_path):
    # enough of them that a reader may share them out among workers
    spec = SeriesSpec(
        shape=(160, 48, 56),
        spacing_mm=(1.5, 6, 6),
        syntax=EXACT[name],
        thickness_mm=1.5,
    )
    assert_shows_the_patient(read_dicom(make_series(tmp_path, spec)))


def test_one_series_in_several_syntaxes(tmp_path):
    syntaxes = [UNCOMPRESSED["explicit"], LOSSLESS["rle"], LOSSLESS["jpeg-ls"]]
    each = [make_slices(SeriesSpec(syntax=s)) for s in syntaxes]
    slices = [each[k % 3][k] for k in range(30)]
    assert_shows_the_patient(read_dicom(write_slices(slices, tmp_path)))


@pytest.mark.parametrize("bits", [12, 13, 14, 15, 16])
@pytest.mark.parametrize("signed", [True, False])
@pytest.mark.parametrize("garbage", [False, True])
def test_bits_stored(bits, signed, garbage, tmp_path):
    spec = SeriesSpec(
        bits_stored=bits,
        signed=signed,
        rescale=((1.0, 0.0 if signed else -1024.0),),
        garbage=garbage and bits < 16,
    )
    assert_shows_the_patient(read_dicom(make_series(tmp_path, spec)))


def test_overlay_in_the_bits_above(tmp_path):
    spec = SeriesSpec(**UNSIGNED, garbage=True)
    slices = make_slices(spec)
    for ds in slices:
        ds.add_new(0x60000010, "US", spec.shape[1])
        ds.add_new(0x60000011, "US", spec.shape[2])
        ds.add_new(0x60000040, "CS", "G")
        ds.add_new(0x60000050, "SS", [1, 1])
        ds.add_new(0x60000100, "US", 16)
        ds.add_new(0x60000102, "US", 12)
    assert_shows_the_patient(read_dicom(write_slices(slices, tmp_path)))


@pytest.mark.parametrize(
    "rescale",
    [
        ((1.0, -1024.0), (1.0, -1000.0), (1.0, 0.0)),
        ((1.0, -1024.0), (0.5, -1024.0), (0.25, -1100.0)),
        ((0.5, -1024.0),),
    ],
)
def test_rescale_of_each_slice(rescale, tmp_path):
    spec = SeriesSpec(rescale=rescale)
    assert_shows_the_patient(read_dicom(make_series(tmp_path, spec)), atol=0.76)


def test_coarse_and_negative_slopes(tmp_path):
    make_series(tmp_path / "two", SeriesSpec(rescale=((2.0, -1024.0),)))
    assert_shows_the_patient(read_dicom(tmp_path / "two"), atol=1.01)
    make_series(tmp_path / "minus", SeriesSpec(rescale=((-1.0, 500.0),)))
    assert_shows_the_patient(read_dicom(tmp_path / "minus"))


def test_hu_are_clipped_not_wrapped(tmp_path):
    spec = SeriesSpec(signed=False, rescale=((1.0, -1024.0),))
    slices = make_slices(spec)
    for ds in slices:
        bits = np.frombuffer(ds.PixelData, "<u2").reshape(32, 40).copy()
        bits[0, 0], bits[0, 1], bits[0, 2] = 65535, 33791, 33792  # 64511, 32767, 32768
        encode(ds, bits, spec)
    volume = read_dicom(write_slices(slices, tmp_path))
    np.testing.assert_array_equal(volume.hu[:, 0, :3], 32767)
    np.testing.assert_allclose(volume.hu[:, 1:], wanted_hu(volume)[:, 1:], atol=0.51)


def test_below_air_is_air(tmp_path):
    spec = SeriesSpec()
    slices = make_slices(spec)
    for ds in slices:
        bits = np.frombuffer(ds.PixelData, "<i2").reshape(32, 40).copy()
        bits[0, :4] = [-1024, -1025, -3024, -32768]
        encode(ds, bits.view(np.uint16), spec)
    volume = read_dicom(write_slices(slices, tmp_path))
    np.testing.assert_array_equal(volume.hu[:, 0, :4], -1024)


@pytest.mark.parametrize(
    ("padding", "spec"),
    [
        (-2000, SeriesSpec()),
        (0, SeriesSpec(signed=False, rescale=((1.0, -1024.0),))),
        (63536, SeriesSpec(signed=False, rescale=((1.0, -1024.0),))),
        (3000, SeriesSpec()),
    ],
)
def test_padding_becomes_air(padding, spec, tmp_path):
    slices = make_slices(spec)
    for ds in slices:
        bits = np.frombuffer(ds.PixelData, "<u2").reshape(32, 40).copy()
        bits[:3, :5] = padding & 0xFFFF
        encode(ds, bits, spec)
        ds.add_new(0x00280120, "SS" if spec.signed else "US", padding)
    volume = read_dicom(write_slices(slices, tmp_path))
    np.testing.assert_array_equal(volume.hu[:, :3, :5], -1024)
    np.testing.assert_allclose(volume.hu[:, 3:], wanted_hu(volume)[:, 3:], atol=0.51)


def test_padding_range_becomes_air(tmp_path):
    spec = SeriesSpec()
    slices = make_slices(spec)
    for ds in slices:
        bits = np.frombuffer(ds.PixelData, "<i2").reshape(32, 40).copy()
        bits[:2, :3] = [3000, 3050, 3100]
        encode(ds, bits.view(np.uint16), spec)
        ds.add_new(0x00280120, "SS", 3000)
        ds.add_new(0x00280121, "SS", 3100)
    volume = read_dicom(write_slices(slices, tmp_path))
    np.testing.assert_array_equal(volume.hu[:, :2, :3], -1024)
    np.testing.assert_allclose(volume.hu[:, 2:], wanted_hu(volume)[:, 2:], atol=0.51)


@pytest.mark.parametrize("syntax", UNCOMPRESSED.values(), ids=UNCOMPRESSED)
def test_sequences_and_private_elements_before_the_pixels(syntax, tmp_path):
    slices = make_slices(SeriesSpec(syntax=syntax))
    for ds in slices:
        decoy = Dataset()  # the same tags, inside: they are not the slice's
        decoy.Rows, decoy.Columns, decoy.PixelSpacing = 7, 7, [1, 1]
        decoy.ImagePositionPatient = [0, 0, 0]
        decoy.RescaleIntercept = "-9999"
        icon = Dataset()
        icon.Rows, icon.Columns, icon.BitsAllocated = 2, 2, 8
        icon.PixelData = b"\1\2\3\4"
        icon["PixelData"].VR = "OB"
        decoy.IconImageSequence = [icon]
        ds.ReferencedImageSequence = [decoy, decoy]
        ds.IconImageSequence = [icon]
        ds["IconImageSequence"].is_undefined_length = True
        ds.RequestAttributesSequence = []
        ds.add_new(0x00090010, "LO", "SOME VENDOR")
        ds.add_new(0x00091001, "OB", bytes(range(256)) * 20)
        ds.add_new(0x00091002, "SQ", [decoy])
        ds[0x00091002].is_undefined_length = True
        ds.add_new(0x00191003, "UN", b"\xfe\xff\x00\xe0\xff\xff\xff\xff" * 2)
    assert_shows_the_patient(read_dicom(write_slices(slices, tmp_path)))


def test_a_meta_that_lacks_the_syntax(tmp_path):
    # seen in old archives; the data set itself shows what it is
    make_series(tmp_path)
    for path in tmp_path.iterdir():
        ds = dcmread(path)
        del ds.file_meta.TransferSyntaxUID
        body = path.read_bytes()
        start = body.index(b"\x08\x00\x08\x00CS")
        meta = BytesIO()
        write_file_meta_info(DicomFileLike(meta), ds.file_meta, enforce_standard=False)
        path.write_bytes(bytes(128) + b"DICM" + meta.getvalue() + body[start:])
    assert_shows_the_patient(read_dicom(tmp_path))


@pytest.mark.parametrize("name", ["implicit", "explicit"])
def test_without_preamble(name, tmp_path):
    spec = SeriesSpec(syntax=UNCOMPRESSED[name])
    for k, ds in enumerate(make_slices(spec)):
        write_slice(ds, tmp_path / f"{(k * 7) % 30}", preamble=False)
    assert_shows_the_patient(read_dicom(tmp_path))


def test_rescale_missing_from_hu_already(tmp_path):
    tags = {"RescaleSlope": None, "RescaleIntercept": None, "RescaleType": None}
    make_series(tmp_path, SeriesSpec(tags=tags))
    assert_shows_the_patient(read_dicom(tmp_path))


def test_monochrome1_is_read_right_or_refused(tmp_path):
    # the values are HU all the same: MONOCHROME1 only says how to show them
    make_series(tmp_path, SeriesSpec(tags={"PhotometricInterpretation": "MONOCHROME1"}))
    assert_shows_the_patient(read_dicom(tmp_path))


def test_eight_bits_allocated_is_read_or_refused(tmp_path):
    spec = SeriesSpec(rescale=((8.0, -1024.0),), signed=False, bits_stored=8)
    slices = make_slices(spec)
    for ds in slices:
        bits = np.frombuffer(ds.PixelData, "<u2").astype(np.uint8)
        ds.BitsAllocated, ds.BitsStored, ds.HighBit = 8, 8, 7
        ds.PixelData = bits.tobytes()
    write_slices(slices, tmp_path)
    try:
        volume = read_dicom(tmp_path)
    except InputError:
        return
    assert_shows_the_patient(volume, atol=4.01)


def test_thirty_two_bits_allocated_is_read_or_refused(tmp_path):
    slices = make_slices(SeriesSpec())
    for ds in slices:
        bits = np.frombuffer(ds.PixelData, "<i2").astype("<i4")
        ds.BitsAllocated, ds.BitsStored, ds.HighBit = 32, 32, 31
        ds.PixelData = bits.tobytes()
    write_slices(slices, tmp_path)
    try:
        volume = read_dicom(tmp_path)
    except InputError:
        return
    assert_shows_the_patient(volume)


def test_slices_of_other_size_do_not_spoil_the_series(tmp_path):
    slices = make_slices(SeriesSpec())
    odd = make_slices(SeriesSpec(shape=(30, 16, 16), series_uid="1.2.3.9"))[15]
    odd.SeriesInstanceUID = slices[0].SeriesInstanceUID
    volume = read_dicom(write_slices([*slices, odd], tmp_path))
    assert volume.grid.shape == (30, 32, 40)
    assert_shows_the_patient(volume)
    assert noticed(volume.notices, "size|shape|rows|16|matrix|slice")


def test_a_slice_that_changes_its_bits(tmp_path):
    # one slice unsigned with its own intercept among signed ones
    slices = make_slices(SeriesSpec())
    other = SeriesSpec(**UNSIGNED)
    slices[12] = make_slices(other)[12]
    assert_shows_the_patient(read_dicom(write_slices(slices, tmp_path)))
    again = replace(other, rescale=((1.0, -1000.0),))
    slices[13] = make_slices(again)[13]
    set_pixels(slices[14], np.rint(wanted_stored(slices[14])), SeriesSpec())
    assert_shows_the_patient(read_dicom(write_slices(slices, tmp_path / "b")))


def wanted_stored(ds):
    return np.frombuffer(ds.PixelData, "<i2").reshape(ds.Rows, ds.Columns)
