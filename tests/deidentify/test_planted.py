"""Whatever identifiers a file holds, its copy holds none; and it is the same image."""

import shutil
import subprocess
from dataclasses import replace

import numpy as np
import pydicom
import pytest
from dicom_beside import zip_folder
from dicom_maker import (
    LOSSLESS,
    PATIENT_NAME,
    UNCOMPRESSED,
    SeriesSpec,
    make_enhanced,
    make_slices,
    write_slice,
    write_slices,
)
from orthanc import need
from planting import SECRETS, plant
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian, JPEGLSLossless

import hilum
from hilum.deidentify import Key, Options, deidentify

KEY = Key(b"a key that is used for tests only")
SPEC = SeriesSpec(shape=(4, 16, 20))
CHEST = SeriesSpec()


def copies(folder):
    return sorted(p for p in folder.rglob("*") if p.is_file())


def elements(ds):
    for element in ds:
        yield element
        if element.VR == "SQ":
            for item in element.value:
                yield from elements(item)


def assert_clean(folder):
    for path in copies(folder):
        copy = pydicom.dcmread(path)
        where = str(path.relative_to(folder))
        data = path.read_bytes() + f"{copy.file_meta}{copy}".encode()  # deflated, too
        for secret in SECRETS:
            assert secret.encode() not in data, (secret, copy)
            assert secret not in where


@pytest.mark.parametrize("syntax", sorted(UNCOMPRESSED))
def test_planted_identifiers_are_gone(tmp_path, syntax):
    spec = replace(SPEC, syntax=UNCOMPRESSED[syntax])
    slices = [plant(ds) for ds in make_slices(spec)]
    source = tmp_path / "Wunderlich^Rosalinde"
    for number, ds in enumerate(slices):
        write_slice(ds, source / "PID-7731-RW" / f"Wunderlich{number}.dcm")
    summary = deidentify(source, tmp_path / "out", key=KEY)
    assert (summary.files, summary.written, summary.refused) == (4, 4, {})
    assert (summary.patients, summary.studies, summary.series) == (1, 1, 1)
    assert_clean(tmp_path / "out")
    by_number = {int(ds.InstanceNumber): ds for ds in slices}
    for path in copies(tmp_path / "out"):
        copy = pydicom.dcmread(path)
        before = by_number[int(copy.InstanceNumber)]
        assert copy.file_meta.TransferSyntaxUID == before.file_meta.TransferSyntaxUID
        assert copy.PixelData == before.PixelData
        for tag in (0x00200032, 0x00200037, 0x00280030, 0x00281053, 0x00280010):
            assert copy[tag].value == before[tag].value
        assert not any(e.tag.is_private for e in elements(copy))


def test_every_secret_was_there_before(tmp_path):
    (tmp_path / "in").mkdir()
    data = write_slice(plant(make_slices(SPEC)[0]), tmp_path / "in/a.dcm").read_bytes()
    for secret in SECRETS:
        assert secret.encode() in data, secret


def test_numbers_are_kept_to_the_byte(tmp_path):
    """Not as a number that is written anew: '1.50' stays '1.50', ' 8' stays ' 8'."""
    ds = make_slices(SPEC)[0]
    path = write_slice(ds, tmp_path / "in/a.dcm")
    old = path.read_bytes()
    assert old.count(b"IS\x02\x002 ") == 1  # SeriesNumber
    path.write_bytes(old.replace(b"IS\x02\x002 ", b"IS\x02\x0002"))
    deidentify(path, tmp_path / "out", key=KEY)
    assert b"IS\x02\x0002" in copies(tmp_path / "out")[0].read_bytes()


@pytest.mark.parametrize("name", ["jpeg-ls", "jpeg2000-lossless"])
def test_compressed_pixels_stay_compressed(tmp_path, name):
    spec = replace(CHEST, syntax=LOSSLESS[name])
    slices = make_slices(spec)
    write_slices(slices, tmp_path / "in")
    deidentify(tmp_path / "in", tmp_path / "out", key=KEY)
    before = {int(ds.InstanceNumber): ds for ds in slices}
    for path in copies(tmp_path / "out"):
        copy = pydicom.dcmread(path)
        assert copy.file_meta.TransferSyntaxUID == spec.syntax
        assert copy.PixelData == before[int(copy.InstanceNumber)].PixelData
    np.testing.assert_array_equal(
        hilum.read_ct(tmp_path / "out").hu, hilum.read_ct(tmp_path / "in").hu
    )


def test_multi_frame_images(tmp_path):
    ds = make_enhanced(CHEST)
    content = Dataset()
    content.FrameComments = PATIENT_NAME
    content.FrameAcquisitionDateTime = "20010203101500"
    content.StackID = "1"
    ds.PerFrameFunctionalGroupsSequence[1].FrameContentSequence = [content]
    write_slice(ds, tmp_path / "in/a.dcm")
    deidentify(tmp_path / "in", tmp_path / "out", key=KEY)
    assert_clean(tmp_path / "out")
    before, after = hilum.read_ct(tmp_path / "in"), hilum.read_ct(tmp_path / "out")
    np.testing.assert_array_equal(after.hu, before.hu)
    np.testing.assert_array_equal(after.grid.affine, before.grid.affine)


def test_an_identifier_in_a_comment_of_the_codec_is_refused(tmp_path):
    spec = replace(SPEC, syntax=JPEGLSLossless, bits_stored=12, signed=False)
    slices = make_slices(spec)
    frame = slices[0].PixelData
    slices[0].PixelData = frame[:-4] + b"WUNDERLICH" + frame[-4:]
    write_slices(slices, tmp_path / "in")
    summary = deidentify(tmp_path / "in", tmp_path / "out", key=KEY)
    assert summary.refused == {"identifier inside the pixel data": 1}
    assert len(copies(tmp_path / "out")) == summary.written == 3


def test_bytes_behind_the_pixels_are_cut(tmp_path):
    ds = make_slices(SPEC)[0]
    pixels = ds.PixelData
    ds.PixelData = pixels + b"Wunde Rosal "
    write_slice(ds, tmp_path / "in/a.dcm")
    deidentify(tmp_path / "in", tmp_path / "out", key=KEY)
    assert pydicom.dcmread(copies(tmp_path / "out")[0]).PixelData == pixels


def test_a_file_without_a_header(tmp_path):
    spec = replace(CHEST, syntax=ImplicitVRLittleEndian)
    for number, ds in enumerate(make_slices(spec)):
        write_slice(ds, tmp_path / f"in/{number}", preamble=False)
    summary = deidentify(tmp_path / "in", tmp_path / "out", key=KEY)
    assert summary.written == 30
    assert_clean(tmp_path / "out")
    np.testing.assert_array_equal(
        hilum.read_ct(tmp_path / "out").hu, hilum.read_ct(tmp_path / "in").hu
    )


def test_what_is_said_of_it(tmp_path):
    write_slice(plant(make_slices(SPEC)[0]), tmp_path / "in/a.dcm")
    options = Options(dates="removed", descriptors="removed")
    deidentify(tmp_path / "in", tmp_path / "out", key=KEY, options=options)
    copy = pydicom.dcmread(copies(tmp_path / "out")[0])
    assert copy.PatientIdentityRemoved == "YES"
    assert [c.CodeValue for c in copy.DeidentificationMethodCodeSequence] == ["113100"]
    assert copy.LongitudinalTemporalInformationModified == "REMOVED"
    assert "StudyDescription" not in copy
    assert copy.StudyDate == ""
    assert copy.PatientSex == ""
    assert "StationName" in copy
    assert copy.StationName == "REMOVED"


def test_options_keep_what_they_name(tmp_path):
    write_slice(plant(make_slices(SPEC)[0]), tmp_path / "in/a.dcm")
    options = Options(keep_device=True, keep_characteristics=True)
    deidentify(tmp_path / "in", tmp_path / "out", key=KEY, options=options)
    copy = pydicom.dcmread(copies(tmp_path / "out")[0])
    codes = [c.CodeValue for c in copy.DeidentificationMethodCodeSequence]
    assert codes == ["113100", "113105", "113107", "113108", "113109"]
    assert (copy.StationName, copy.DeviceSerialNumber) == ("ROOM-17B", "SN-88123")
    assert (copy.PatientAge, copy.PatientSex) == ("090Y", "F")
    assert copy.StudyDescription == "CHEST for"
    assert copy.SeriesDescription == "Thorax 1.25 mm"
    data = copies(tmp_path / "out")[0].read_bytes()
    for secret in set(SECRETS) - {"ROOM-17B", "SN-88123"}:
        assert secret.encode() not in data, secret


def test_known_codes_stay_and_local_ones_go(tmp_path):
    write_slice(plant(make_slices(SPEC)[0]), tmp_path / "in/a.dcm")
    deidentify(tmp_path / "in", tmp_path / "out", key=KEY)
    copy = pydicom.dcmread(copies(tmp_path / "out")[0])
    (anatomy,) = copy.AnatomicRegionSequence
    assert (anatomy.CodeValue, anatomy.CodeMeaning) == ("51185008", "REMOVED")
    assert copy.ImageType == ["ORIGINAL", "PRIMARY", "AXIAL", "OTHER"]
    (source,) = copy.SourceImageSequence
    (purpose,) = source.PurposeOfReferenceCodeSequence
    assert purpose.CodeMeaning == "Study"


@pytest.mark.parametrize(
    "options",
    [
        Options(),
        Options(dates="removed", descriptors="removed"),
        Options(keep_device=True, keep_characteristics=True),
    ],
    ids=["default", "removed", "kept"],
)
def test_the_copy_breaks_no_rule_that_the_original_kept(tmp_path, options):
    dciodvfy = need("dciodvfy")

    def errors(path):
        done = subprocess.run([dciodvfy, path], capture_output=True, text=True)
        lines = set(done.stderr.splitlines())
        assert "CTImage" in lines
        return {line for line in lines if line.startswith("Error")}

    before = write_slice(plant(make_slices(SPEC)[0]), tmp_path / "in/a.dcm")
    deidentify(tmp_path / "in", tmp_path / "out", key=KEY, options=options)
    (after,) = copies(tmp_path / "out")
    assert errors(after) <= errors(before)


def test_references_still_meet(tmp_path):
    """The same UID becomes the same UID, in every place and every file."""
    slices = make_slices(SPEC)
    reference = Dataset()
    reference.ReferencedSOPClassUID = slices[1].SOPClassUID
    reference.ReferencedSOPInstanceUID = slices[1].SOPInstanceUID
    slices[0].ReferencedImageSequence = [reference]
    write_slices(slices, tmp_path / "in")
    deidentify(tmp_path / "in", tmp_path / "out", key=KEY)
    by_number = {
        int(ds.InstanceNumber): ds
        for ds in map(pydicom.dcmread, copies(tmp_path / "out"))
    }
    first, second = (by_number[int(ds.InstanceNumber)] for ds in slices[:2])
    (kept,) = first.ReferencedImageSequence
    assert kept.ReferencedSOPInstanceUID == second.SOPInstanceUID
    assert kept.ReferencedSOPClassUID == slices[1].SOPClassUID
    assert second.file_meta.MediaStorageSOPInstanceUID == second.SOPInstanceUID
    assert second.SOPInstanceUID == KEY.uid(slices[1].SOPInstanceUID)


def test_intervals_between_studies_stay(tmp_path):
    for day, study in (("20010203", "1"), ("20010504", "2")):
        spec = replace(
            SPEC,
            study_uid=f"1.2.826.0.1.3680043.10.999.5{study}",
            tags={"StudyDate": day},
        )
        write_slices(make_slices(spec), tmp_path / "in" / study)
    deidentify(tmp_path / "in", tmp_path / "out", key=KEY)
    copied = {pydicom.dcmread(p).StudyDate for p in copies(tmp_path / "out")}
    days = sorted(map(pydicom.valuerep.DA, copied))
    assert (days[1] - days[0]).days == 90  # 25 of February, 31, 30, 4 of May
    assert not copied & {"20010203", "20010504"}


def test_again_is_the_same_and_another_key_is_not(tmp_path):
    write_slices([plant(ds) for ds in make_slices(SPEC)], tmp_path / "in")
    zipped = zip_folder(tmp_path / "in", tmp_path / "in.zip")
    for source, out in ((tmp_path / "in", "a"), (tmp_path / "in", "a"), (zipped, "b")):
        deidentify(source, tmp_path / out, key=KEY)
    one = {
        p.relative_to(tmp_path / "a"): p.read_bytes() for p in copies(tmp_path / "a")
    }
    two = {
        p.relative_to(tmp_path / "b"): p.read_bytes() for p in copies(tmp_path / "b")
    }
    assert one == two
    assert len(one) == 4
    deidentify(zipped, tmp_path / "c", key=Key(b"another key, as long as the first"))
    other = {p.relative_to(tmp_path / "c") for p in copies(tmp_path / "c")}
    assert not other & set(one)


def test_repeated_slices_stay_apart(tmp_path):
    (path,) = [write_slice(make_slices(SPEC)[0], tmp_path / "in/a.dcm")]
    shutil.copy(path, tmp_path / "in/b.dcm")
    assert deidentify(tmp_path / "in", tmp_path / "out", key=KEY).written == 2
    first, second = copies(tmp_path / "out")
    assert first.read_bytes() == second.read_bytes()


def test_a_patient_named_like_a_term_keeps_the_geometry(tmp_path):
    tags = {"PatientName": "CHEST^AXIAL", "PatientID": "ORIGINAL"}
    write_slices(make_slices(replace(SPEC, tags=tags)), tmp_path / "in")
    deidentify(tmp_path / "in", tmp_path / "out", key=KEY)
    copy = pydicom.dcmread(copies(tmp_path / "out")[0])
    assert copy.ImageType == ["ORIGINAL", "PRIMARY", "AXIAL"]
    assert copy.BodyPartExamined == "CHEST"
    assert copy.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
