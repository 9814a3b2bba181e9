"""NIfTI, MetaImage and .npz: the same HU at the same places, or a clear refusal."""

import dataclasses
import gzip
import json
import struct
import tracemalloc
import zipfile
import zlib
from pathlib import Path

import nibabel
import numpy as np
import pytest
from dicom_maker import hu_at, oblique
from hypothesis import given, settings
from hypothesis import strategies as st

from hilum.errors import InputError
from hilum.findings import Notice
from hilum.formats import is_volume_file, read_volume, write_mask, write_volume
from hilum.space import Grid, check_chest_sized
from hilum.volume import Acquisition, CTVolume, Mask

ALL = (".nii", ".nii.gz", ".mha", ".mhd", ".npz")
FOREIGN = (".nii", ".nii.gz", ".mha", ".mhd")
UID = "1.3.6.1.4.1.14519.5.2.1.6279.6001.179049373636438705059720603192"  # 64 long
SHAPE = (20, 24, 30)


def places(grid):
    index = np.stack(np.meshgrid(*map(np.arange, grid.shape), indexing="ij"), -1)
    return grid.to_world(index)


def grid_of(axes=((1, 0, 0), (0, 1, 0)), spacing=(11.0, 9.5, 8.25), frame=None):
    """Grid of SHAPE about the origin, with row and column cosines `axes`."""
    row, column = (np.array(a, float) for a in axes)
    affine = np.eye(4)
    affine[:3, :3] = np.stack([np.cross(row, column), column, row], 1) * spacing
    affine[:3, 3] = -affine[:3, :3] @ ((np.array(SHAPE) - 1) / 2)
    return Grid(SHAPE, affine, frame)


def volume_of(grid, uid=UID):
    return CTVolume.from_array(np.rint(hu_at(places(grid))), grid, uid)


def assert_shows_the_patient(volume, atol=0.501):
    """The HU are those of the world points: no flip, turn, shift or scale."""
    assert volume.grid.is_canonical
    assert volume.hu.dtype == np.int16
    assert volume.hu.flags.c_contiguous
    wanted = np.maximum(hu_at(places(volume.grid)), -1024)
    np.testing.assert_allclose(volume.hu, wanted, atol=atol)


@pytest.fixture
def volume():
    return volume_of(grid_of())


@pytest.fixture
def nifti(volume, tmp_path):
    """A sound .nii, to be spoilt."""
    path = tmp_path / "scan.nii"
    write_volume(volume, path)
    return path


def spoil(path, **fields):
    """Change fields of a NIfTI-1 header."""
    data = path.read_bytes()
    header = nibabel.Nifti1Header(data[:348], check=False)
    for key, value in fields.items():
        header[key] = value
    path.write_bytes(header.binaryblock + data[348:])
    return path


def metaimage(path, voxels, *, data="LOCAL", end="\n", **keys):
    """Write a .mha or .mhd by hand: axial, 11 x 9.5 x 8.25 mm, keys changed."""
    grid = grid_of()
    fields = {
        "ObjectType": "Image",
        "NDims": "3",
        "BinaryData": "True",
        "BinaryDataByteOrderMSB": "False",
        "TransformMatrix": "1 0 0 0 1 0 0 0 1",
        "Offset": " ".join(map(str, grid.affine[:3, 3])),
        "ElementSpacing": "8.25 9.5 11",
        "DimSize": "30 24 20",
        "ElementType": "MET_SHORT",
    }
    fields |= {key: value for key, value in keys.items() if value is not None}
    fields = {k: v for k, v in fields.items() if keys.get(k, "") is not None}
    text = "".join(f"{k} = {v}{end}" for k, v in fields.items())
    text += f"ElementDataFile = {data}{end}"
    path.write_bytes(text.encode() + (voxels if data == "LOCAL" else b""))
    return path


def stored(dtype="<i2", offset=0.0, slope=1.0):
    """Bytes of the axial test patient, in another number type and scale."""
    hu = np.rint(hu_at(places(grid_of())))
    return np.rint((hu - offset) / slope).astype(dtype).tobytes()


# ---- round trips -------------------------------------------------------------


@pytest.mark.parametrize("extension", ALL)
@pytest.mark.parametrize(
    "axes", [((1, 0, 0), (0, 1, 0)), oblique(8, -5, 12)], ids=["axial", "oblique"]
)
def test_what_is_written_comes_back(axes, extension, tmp_path):
    before = volume_of(grid_of(axes))
    write_volume(before, tmp_path / f"scan{extension}")
    after = read_volume(tmp_path / f"scan{extension}")
    np.testing.assert_array_equal(after.hu, before.hu)
    assert after.grid.same_as(before.grid)
    assert after.series_uid == UID
    assert_shows_the_patient(after, atol=0.52)
    assert after.notices == ()


def test_npz_keeps_all_that_is_known(tmp_path):
    before = dataclasses.replace(
        volume_of(grid_of(frame="1.2.3.9")),
        acquisition=Acquisition(kernel="B70f", slice_thickness_mm=2.5, contrast="ja"),
        notices=(Notice("missing-slices", "Slice at 3 mm: interpolated.", "read"),),
    )
    write_volume(before, tmp_path / "a.npz")
    after = read_volume(tmp_path / "a.npz")
    assert after.acquisition == before.acquisition
    assert after.notices == before.notices
    assert after.grid.frame_uid == "1.2.3.9"
    np.testing.assert_array_equal(after.grid.affine, before.grid.affine)


@pytest.mark.parametrize("extension", ALL)
def test_the_same_volume_gives_the_same_bytes(extension, volume, tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        write_volume(volume, tmp_path / folder / f"scan{extension}")
    for file in (tmp_path / "a").iterdir():
        assert file.read_bytes() == (tmp_path / "b" / file.name).read_bytes()


def test_npz_opens_with_numpy_without_pickles(volume, tmp_path):
    write_volume(volume, tmp_path / "a.npz")
    with np.load(tmp_path / "a.npz", allow_pickle=False) as members:
        np.testing.assert_array_equal(members["hu"], volume.hu)
        np.testing.assert_array_equal(members["affine"], volume.grid.affine)
        assert json.loads(str(members["about"]))["series_uid"] == UID


@pytest.mark.parametrize("extension", FOREIGN)
@pytest.mark.parametrize("uid", ["two words", "ü1.2.3", "x" * 90, ""])
def test_a_name_that_the_header_cannot_hold_gives_way_to_the_file_name(
    extension, uid, volume, tmp_path
):
    path = tmp_path / f"my.scan{extension}"
    write_volume(dataclasses.replace(volume, series_uid=uid), path)
    read = read_volume(path)
    kept = extension.startswith(".m") and uid == "x" * 90
    assert read.series_uid == (uid if kept else "my.scan")


@pytest.mark.parametrize("extension", ALL)
def test_extension_in_capitals(extension, volume, tmp_path):
    path = tmp_path / f"SCAN{extension.upper()}"
    write_volume(volume, path)
    np.testing.assert_array_equal(read_volume(path).hu, volume.hu)


def test_gzip_goes_by_content_not_by_name(volume, tmp_path):
    write_volume(volume, tmp_path / "a.nii.gz")
    (tmp_path / "a.nii.gz").rename(tmp_path / "b.nii")
    np.testing.assert_array_equal(read_volume(tmp_path / "b.nii").hu, volume.hu)
    write_volume(volume, tmp_path / "c.nii")
    (tmp_path / "c.nii").rename(tmp_path / "c.nii.gz")
    np.testing.assert_array_equal(read_volume(tmp_path / "c.nii.gz").hu, volume.hu)


# ---- the same as other readers and writers -----------------------------------

AXES = [
    ((1, 0, 0), (0, 1, 0)),
    ((-1, 0, 0), (0, 1, 0)),
    ((1, 0, 0), (0, 0, -1)),
    ((0, 1, 0), (0, 0, -1)),
    oblique(10, 20, -30),
    oblique(-100, 15, 5),
]


@pytest.mark.parametrize("extension", FOREIGN)
@pytest.mark.parametrize("axes", AXES, ids=map(str, range(len(AXES))))
@pytest.mark.parametrize("compress", [False, True])
def test_reads_what_simpleitk_writes(axes, extension, compress, tmp_path):
    sitk = pytest.importorskip("SimpleITK")
    grid = grid_of(axes)
    image = sitk.GetImageFromArray(np.rint(hu_at(places(grid))).astype(np.int16))
    spacing = np.array(grid.spacing_mm)
    cosines = (grid.affine[:3, :3] / spacing)[:, ::-1]
    image.SetOrigin(grid.affine[:3, 3].tolist())
    image.SetSpacing(spacing[::-1].tolist())
    image.SetDirection(cosines.ravel().tolist())
    path = tmp_path / f"a{extension}"
    sitk.WriteImage(image, str(path), compress)
    read = read_volume(path)
    assert read.grid.same_as(grid.to_canonical())
    assert_shows_the_patient(read, atol=0.52)
    assert read.series_uid == "a"


@pytest.mark.parametrize("extension", FOREIGN)
@pytest.mark.parametrize("axes", AXES[::4], ids=["axial", "oblique"])
def test_simpleitk_reads_what_is_written(axes, extension, tmp_path):
    sitk = pytest.importorskip("SimpleITK")
    volume = volume_of(grid_of(axes))
    write_volume(volume, tmp_path / f"a{extension}")
    image = sitk.ReadImage(str(tmp_path / f"a{extension}"))
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image), volume.hu)
    for index in [(0, 0, 0), (19, 0, 0), (0, 23, 0), (0, 0, 29), (7, 8, 9)]:
        np.testing.assert_allclose(
            image.TransformIndexToPhysicalPoint(index[::-1]),
            volume.grid.to_world(index),
            atol=1e-3,
        )


@pytest.mark.parametrize("axes", AXES, ids=map(str, range(len(AXES))))
def test_reads_what_nibabel_writes_and_back(axes, tmp_path):
    grid = grid_of(axes)
    ras = np.diag([-1, -1, 1, 1]) @ grid.affine[:, [2, 1, 0, 3]]
    hu = np.rint(hu_at(places(grid))).astype(np.float32)
    nibabel.save(nibabel.Nifti1Image(hu.transpose(2, 1, 0), ras), tmp_path / "a.nii.gz")
    read = read_volume(tmp_path / "a.nii.gz")
    assert_shows_the_patient(read, atol=0.52)
    write_volume(read, tmp_path / "b.nii")
    image = nibabel.load(tmp_path / "b.nii")
    np.testing.assert_array_equal(image.get_fdata(), read.hu.transpose(2, 1, 0))
    index = np.array([3, 4, 5])
    ras_point = nibabel.affines.apply_affine(image.affine, index[::-1])
    lps_point = ras_point * [-1, -1, 1]
    np.testing.assert_allclose(read.grid.to_world(index), lps_point, atol=1e-3)


def test_nifti_2_and_big_endian(volume, tmp_path):
    ras = np.diag([-1, -1, 1, 1]) @ volume.grid.affine[:, [2, 1, 0, 3]]
    hu = volume.hu.transpose(2, 1, 0)
    two = nibabel.Nifti2Image(hu, ras)
    nibabel.save(two, tmp_path / "two.nii")
    big = nibabel.Nifti1Header(endianness=">")
    big.set_data_dtype(">i2")
    nibabel.save(nibabel.Nifti1Image(hu, ras, big), tmp_path / "big.nii.gz")
    for name in ("two.nii", "big.nii.gz"):
        read = read_volume(tmp_path / name)
        np.testing.assert_array_equal(read.hu, volume.hu)
        assert read.grid.same_as(volume.grid)


# ---- NIfTI -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "dtype"),
    [(4, "<i2"), (8, "<i4"), (16, "<f4"), (64, "<f8"), (1024, "<i8")],
)
def test_nifti_number_types(code, dtype, nifti):
    spoil(nifti, datatype=code, bitpix=8 * np.dtype(dtype).itemsize)
    nifti.write_bytes(nifti.read_bytes()[:352] + stored(dtype))
    assert_shows_the_patient(read_volume(nifti))


@pytest.mark.parametrize(("code", "dtype"), [(512, "<u2"), (768, "<u4"), (1280, "<u8")])
def test_nifti_unsigned_with_slope_and_intercept(code, dtype, nifti):
    spoil(nifti, datatype=code, scl_slope=0.5, scl_inter=-1100)
    body = stored(dtype, offset=-1100, slope=0.5)
    nifti.write_bytes(nifti.read_bytes()[:352] + body)
    assert_shows_the_patient(read_volume(nifti))


@pytest.mark.parametrize("slope", [0.0, np.nan, np.inf])
def test_nifti_without_slope(slope, nifti):
    spoil(nifti, scl_slope=slope, scl_inter=77.0)
    assert_shows_the_patient(read_volume(nifti))


def test_floats_that_are_no_numbers_become_air_or_the_limit(nifti):
    spoil(nifti, datatype=16)
    hu = np.frombuffer(stored("<f4"), "<f4").copy()
    hu[:5] = [np.nan, np.inf, -np.inf, -3024, 1e30]
    nifti.write_bytes(nifti.read_bytes()[:352] + hu.tobytes())
    read = read_volume(nifti)
    np.testing.assert_array_equal(
        read.hu.ravel()[:5], [-1024, 32767, -1024, -1024, 32767]
    )


def test_outside_the_field_becomes_minus_1024_in_every_format(volume, tmp_path):
    hu = volume.hu.copy()
    hu[:, :3] = -2000
    low = dataclasses.replace(volume, hu=hu)
    for extension in ALL:
        write_volume(low, tmp_path / f"a{extension}")
        read = read_volume(tmp_path / f"a{extension}")
        assert read.hu.min() == -1024, extension
        np.testing.assert_array_equal(read.hu[:, 3:], volume.hu[:, 3:])


@pytest.mark.parametrize(("unit", "factor"), [(0, 1), (1, 1e-3), (2, 1), (3, 1e3)])
def test_nifti_in_metres_and_microns(unit, factor, volume, nifti):
    header = nibabel.load(nifti).header
    rows = {f"srow_{a}": header[f"srow_{a}"] * factor for a in "xyz"}
    spoil(nifti, xyzt_units=unit, qform_code=0, **rows)
    assert read_volume(nifti).grid.same_as(volume.grid)


def test_nifti_of_unknown_unit_is_refused(nifti):
    with pytest.raises(InputError, match="unit code 5"):
        read_volume(spoil(nifti, xyzt_units=5))


def test_nifti_by_qform_alone(tmp_path):
    volume = volume_of(grid_of(oblique(10, -20, 15)))
    write_volume(volume, tmp_path / "a.nii")
    spoil(tmp_path / "a.nii", sform_code=0, srow_x=0, srow_y=0, srow_z=0)
    read = read_volume(tmp_path / "a.nii")
    assert read.grid.same_as(volume.grid)
    assert read.notices == ()


def test_nifti_qform_and_sform_that_differ(volume, nifti):
    spoil(nifti, qoffset_x=500.0)
    read = read_volume(nifti)
    (notice,) = read.notices
    assert notice.code == "sform-qform-differ"
    assert notice.stage == "read"
    assert "the sform was used" in notice.message
    assert read.grid.same_as(volume.grid)


def test_nifti_that_is_nowhere_is_refused(nifti):
    with pytest.raises(InputError, match=r"neither sform nor qform.*side is left"):
        read_volume(spoil(nifti, sform_code=0, qform_code=0))


@pytest.mark.parametrize(
    "dim", [[4, 30, 24, 20, 1, 1, 1, 1], [3, 30, 24, 20, 9, 9, 9, 9]]
)
def test_nifti_of_one_volume_in_four_dimensions(dim, nifti, volume):
    read = read_volume(spoil(nifti, dim=dim))
    np.testing.assert_array_equal(read.hu, volume.hu)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"dim": [4, 30, 24, 10, 2, 1, 1, 1]}, "several volumes"),
        ({"dim": [5, 30, 24, 20, 1, 3, 1, 1]}, "several volumes, or vectors"),
        ({"dim": [2, 30, 24, 1, 1, 1, 1, 1]}, "needs three"),
        ({"dim": [3, 30, -24, 20, 1, 1, 1, 1]}, "needs three"),
        ({"dim": [0, 30, 24, 20, 1, 1, 1, 1]}, "needs three"),
        ({"dim": [3, 30, 24, 1, 1, 1, 1, 1]}, "no chest is"),
        ({"dim": [3, 32767, 32767, 32767, 1, 1, 1, 1]}, "no chest is"),
        ({"datatype": 128}, "holds RGB"),
        ({"datatype": 32}, "holds complex"),
        ({"datatype": 999}, "datatype 999"),
        ({"datatype": 16}, "has 28800 bytes of voxels; its header says 57600"),
        ({"vox_offset": np.nan}, "start at byte nan"),
        ({"vox_offset": 100}, "expected 352 or more"),
        ({"vox_offset": 1e9}, "start|bytes of voxels"),
        ({"scl_slope": 2, "scl_inter": np.nan}, "scl_inter nan"),
        ({"srow_x": [np.nan, 0, 0, 0]}, "not invertible"),
        ({"srow_x": [0, 0, 0, 0]}, "not invertible"),
        ({"srow_x": [-8.25, 4.0, 0, 0]}, "sheared"),
        ({"sform_code": 0, "quatern_b": 7.0}, "damaged qform"),
        ({"sform_code": 0, "pixdim": [1, -8, 9, 11, 0, 0, 0, 0]}, "damaged qform"),
        ({"magic": b"ni1"}, "not a NIfTI file in one piece"),
        ({"sizeof_hdr": 347}, "not a NIfTI file in one piece"),
    ],
)
def test_nifti_refused(fields, message, nifti):
    with pytest.raises(InputError, match=message):
        read_volume(spoil(nifti, **fields))


def test_nifti_with_zero_for_offset_and_qfac(volume, nifti):
    spoil(nifti, vox_offset=0, pixdim=[0, 8.25, 9.5, 11, 0, 0, 0, 0], sform_code=0)
    np.testing.assert_array_equal(read_volume(nifti).hu, volume.hu)


# ---- MetaImage ---------------------------------------------------------------


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize(
    ("kind", "dtype"),
    [("MET_SHORT", "i2"), ("MET_INT", "i4"), ("MET_FLOAT", "f4"), ("MET_DOUBLE", "f8")],
)
@pytest.mark.parametrize("order", ["<", ">"])
def test_metaimage_number_types(kind, dtype, order, end, tmp_path):
    path = metaimage(
        tmp_path / "a.mha",
        stored(order + dtype),
        end=end,
        ElementType=kind,
        BinaryDataByteOrderMSB=None,
        ElementByteOrderMSB=str(order == ">"),
    )
    assert_shows_the_patient(read_volume(path))


@pytest.mark.parametrize(
    ("offset", "matrix"),
    [
        ("Origin", "Rotation"),
        ("Position", "Orientation"),
        ("Offset", "TransformMatrix"),
    ],
)
def test_metaimage_names_of_the_same_key(offset, matrix, tmp_path):
    where = " ".join(map(str, grid_of().affine[:3, 3]))
    keys = {"Offset": None, "TransformMatrix": None}
    keys |= {offset: where, matrix: "1 0 0 0 1 0 0 0 1"}
    read = read_volume(metaimage(tmp_path / "a.mha", stored(), **keys))
    assert_shows_the_patient(read)
    assert read.notices == ()


def test_metaimage_with_data_beside_it(tmp_path):
    (tmp_path / "vox.raw").write_bytes(b"H" * 100 + stored())
    for size in ("100", "-1"):
        path = metaimage(tmp_path / "a.mhd", b"", data="vox.raw", HeaderSize=size)
        assert_shows_the_patient(read_volume(path))
    (tmp_path / "vox.zraw").write_bytes(zlib.compress(stored()))
    for size in (None, str((tmp_path / "vox.zraw").stat().st_size)):
        path = metaimage(
            tmp_path / "b.mhd",
            b"",
            data="vox.zraw",
            CompressedData="True",
            CompressedDataSize=size,
        )
        assert_shows_the_patient(read_volume(path))


def test_metaimage_without_place_is_read_with_a_notice(tmp_path):
    path = metaimage(tmp_path / "a.mha", stored(), Offset=None)
    (notice,) = read_volume(path).notices
    assert notice.code == "no-position"
    assert "no Offset;" in notice.message


def test_metaimage_of_one_volume_in_four_dimensions(tmp_path):
    where = " ".join(map(str, grid_of().affine[:3, 3]))
    path = metaimage(
        tmp_path / "a.mha",
        stored(),
        NDims="4",
        DimSize="30 24 20 1",
        ElementSpacing="8.25 9.5 11 1",
        Offset=f"{where} 0",
        TransformMatrix="1 0 0 0 0 1 0 0 0 0 1 0 0 0 0 1",
    )
    assert_shows_the_patient(read_volume(path))


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"NDims": "2"}, "2 dimensions"),
        ({"NDims": "3.5"}, "3.5 dimensions"),
        ({"NDims": None}, "NDims = 'nothing'"),
        ({"DimSize": "30 24"}, "DimSize = '30 24'; expected 3 numbers"),
        ({"DimSize": "30 24 -20"}, "at least 1"),
        ({"DimSize": "30 24 2.5"}, "whole numbers"),
        ({"DimSize": "30 24 1e300"}, "no chest is|at least 1|2\\^30"),
        ({"DimSize": "30 24 inf"}, "expected 3 numbers"),
        ({"DimSize": "30 24 19"}, "28800 bytes of voxels; its header says 27360"),
        ({"DimSize": "30 24 21"}, "28800 bytes of voxels; its header says 30240"),
        ({"ElementSpacing": None}, "ElementSpacing = 'nothing'"),
        ({"ElementSpacing": "0 1 1"}, "more than 0"),
        ({"ElementSpacing": "1 1 1"}, "no chest is"),
        ({"ElementSpacing": "nan 1 1"}, "expected 3 numbers"),
        ({"TransformMatrix": "1 0 0 0 1 0 0 0 0"}, "cosines of length"),
        ({"TransformMatrix": "1 0 0 .6 .8 0 0 0 1"}, "sheared"),
        ({"ElementType": "MET_UCHAR_ARRAY"}, "ElementType 'MET_UCHAR_ARRAY'"),
        ({"ElementType": None}, "ElementType ''"),
        ({"ElementNumberOfChannels": "3"}, "one binary number a voxel"),
        ({"BinaryData": "False"}, "one binary number a voxel"),
        ({"ObjectType": "Tube"}, "one binary number a voxel"),
        ({"ElementToIntensityFunctionSlope": "2"}, "which ITK ignores"),
        ({"HeaderSize": "-5"}, "do not fit"),
        ({"HeaderSize": "1e300"}, "do not fit"),
        ({"CompressedData": "True"}, "cannot be decompressed"),
        ({"CompressedData": "True", "CompressedDataSize": "99999999"}, "It is cut"),
    ],
)
def test_metaimage_refused(keys, message, tmp_path):
    with pytest.raises(InputError, match=message):
        read_volume(metaimage(tmp_path / "a.mha", stored(), **keys))


@pytest.mark.parametrize(
    "name",
    [
        "../secret.raw",
        "/etc/passwd",
        "..",
        "sub/vox.raw",
        "..\\secret.raw",
        "C:\\vox.raw",
        "LIST",
        "LIST 3",
        "slice%03d.raw 1 20 1",
        "vox*.raw",
        "~root",
        "",
    ],
)
def test_metaimage_never_leaves_its_folder(name, tmp_path):
    folder = tmp_path / "in"
    (folder / "sub").mkdir(parents=True)
    for place in (tmp_path / "secret.raw", folder / "sub" / "vox.raw"):
        place.write_bytes(stored())
    with pytest.raises(InputError, match="one file in the same folder"):
        read_volume(metaimage(folder / "a.mhd", b"", data=name))


def test_metaimage_does_not_follow_a_link_out_of_its_folder(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "secret.raw").write_bytes(stored())
    (tmp_path / "in" / "vox.raw").symlink_to(tmp_path / "secret.raw")
    with pytest.raises(InputError, match="not a file beside it"):
        read_volume(metaimage(tmp_path / "in" / "a.mhd", b"", data="vox.raw"))


def test_metaimage_without_its_data(tmp_path):
    with pytest.raises(InputError, match=r"`vox.raw`, which is not a file beside it"):
        read_volume(metaimage(tmp_path / "a.mhd", b"", data="vox.raw"))


@pytest.mark.parametrize(
    "text", [b"", b"hello", b"a = b\n", b"\0" * 500, b"x = y" * 99]
)
def test_something_else_by_the_name_of_a_metaimage(text, tmp_path):
    (tmp_path / "a.mha").write_bytes(text)
    with pytest.raises(InputError, match="not a MetaImage"):
        read_volume(tmp_path / "a.mha")


# ---- what is no CT in HU -----------------------------------------------------


@pytest.mark.parametrize(
    "scale",
    [
        lambda hu: hu > -500,  # a mask
        lambda hu: np.clip((hu + 1000) / 8, 0, 255),  # a picture
        lambda hu: np.clip(hu, -1000, None) + 1024,  # without its intercept
        lambda hu: (hu + 300) / 1000,  # normalised
        lambda hu: np.full_like(hu, -1000),  # empty
        lambda hu: np.zeros_like(hu),
    ],
)
@pytest.mark.parametrize("extension", [".nii", ".npz", ".mha"])
def test_values_that_are_no_hu_are_refused(scale, extension, volume, tmp_path):
    values = np.asarray(scale(volume.hu.astype(float)))
    other = CTVolume.from_array(values, volume.grid, "1.2.3")
    write_volume(other, tmp_path / f"a{extension}")
    with pytest.raises(InputError, match="A chest CT in HU has both air"):
        read_volume(tmp_path / f"a{extension}")


def test_chest_sized():
    def box(shape, spacing):
        check_chest_sized(Grid.axial(shape, spacing))

    box((300, 512, 512), (1.0, 0.7, 0.7))
    box((30, 512, 512), (8.0, 0.7, 0.7))
    box((1000, 512, 512), (2.0, 0.97, 0.97))  # the whole body
    for shape, spacing, message in [
        ((44, 44, 20), (1.25, 0.7, 0.7), "no chest is"),  # a nodule
        ((1, 512, 512), (300.0, 0.7, 0.7), "too few voxels"),
        ((30, 8, 512), (8.0, 50.0, 0.7), "too few voxels"),
        ((3000, 512, 512), (1.0, 0.7, 0.7), "no chest is"),
        ((300, 512, 512), (1.0, 3.0, 0.7), "no chest is"),
        ((2000, 1024, 1024), (1.0, 0.4, 0.4), "more than 2\\^30 voxels"),
    ]:
        with pytest.raises(InputError, match=message):
            box(shape, spacing)


# ---- damage ------------------------------------------------------------------


@pytest.mark.parametrize("extension", ALL)
@pytest.mark.parametrize("part", [0.0, 0.01, 0.3, 0.9, 0.999])
def test_a_cut_file_is_refused(extension, part, volume, tmp_path):
    path = tmp_path / f"a{extension}"
    write_volume(volume, path)
    for file in (path, tmp_path / "a.zraw"):
        if file.exists():
            whole = file.read_bytes()
            cut = min(int(len(whole) * part), len(whole) - 2)
            file.write_bytes(whole[:cut])
            with pytest.raises(InputError, match=r"`a\."):
                read_volume(path)
            file.write_bytes(whole)


@pytest.mark.parametrize("extension", [".nii", ".mha", ".nii.gz"])
def test_more_bytes_than_the_header_says_are_refused(extension, volume, tmp_path):
    path = tmp_path / f"a{extension}"
    write_volume(volume, path)
    if extension == ".nii.gz":
        path.write_bytes(path.read_bytes() + gzip.compress(b"more"))
    elif extension == ".mha":
        metaimage(path, zlib.compress(stored() + b"more"), CompressedData="True")
    else:
        path.write_bytes(path.read_bytes() + b"more")
    with pytest.raises(InputError, match="cut or damaged"):
        read_volume(path)


@pytest.mark.parametrize("extension", [".nii.gz", ".mha", ".npz"])
def test_a_flipped_bit_in_compressed_voxels_is_noticed(extension, volume, tmp_path):
    path = tmp_path / f"a{extension}"
    write_volume(volume, path)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 8
    path.write_bytes(data)
    with pytest.raises(InputError, match=r"damaged|inflates to"):
        read_volume(path)


def test_gzip_in_several_members(volume, nifti, tmp_path):
    data = nifti.read_bytes()
    parts = [data[i : i + 9000] for i in range(0, len(data), 9000)]
    packed = b"".join(map(gzip.compress, [*parts, b""]))
    (tmp_path / "b.nii.gz").write_bytes(packed)
    np.testing.assert_array_equal(read_volume(tmp_path / "b.nii.gz").hu, volume.hu)


def test_a_bomb_of_empty_gzip_members_ends(nifti):
    start = gzip.compress(nifti.read_bytes()[:9000])
    nifti.write_bytes(start + gzip.compress(b"") * 20000)
    with pytest.raises(InputError, match="too many empty streams"):
        read_volume(nifti)


@pytest.mark.parametrize("apart", [False, True])
def test_a_bomb_behind_the_voxels_is_not_inflated(apart, nifti):
    whole, bomb = nifti.read_bytes(), bytes(64 << 20)
    packed = gzip.compress(whole) + gzip.compress(bomb)
    nifti.write_bytes(packed if apart else gzip.compress(whole + bomb))
    del bomb
    tracemalloc.start()
    with pytest.raises(InputError, match="more bytes than"):
        read_volume(nifti)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 << 20


def test_a_header_cannot_ask_for_more_than_the_file_can_hold(nifti, tmp_path):
    # 1000 x 1000 x 1000 voxels of 8 bytes out of 20 kB: 8 GB were it believed
    header = nibabel.Nifti1Header(nifti.read_bytes()[:348])
    for key, value in {
        "dim": [3, 1000, 1000, 1000, 1, 1, 1, 1],
        "datatype": 64,
    }.items():
        header[key] = value
    for k, axis in enumerate("xyz"):
        header[f"srow_{axis}"] = np.eye(4)[k] * 0.5
    path = tmp_path / "bomb.nii.gz"
    path.write_bytes(gzip.compress(header.binaryblock + bytes(4 << 20)))
    with pytest.raises(InputError, match="fewer bytes than the 8000000352"):
        read_volume(path)
    path = metaimage(
        tmp_path / "bomb.mha",
        zlib.compress(bytes(1 << 20)),
        CompressedData="True",
        DimSize="1000 1000 1000",
        ElementSpacing=".5 .5 .5",
    )
    with pytest.raises(InputError, match="fewer bytes"):
        read_volume(path)


def rewrite(path, **members):
    """Replace members of a zip by bytes; None leaves them out."""
    with zipfile.ZipFile(path) as old:
        content = {n: old.read(n) for n in old.namelist()}
    content |= {f"{key}.npy": value for key, value in members.items()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as new:
        for name, value in content.items():
            if value is not None:
                new.writestr(name, value)


def npy(array, tmp_path, **how):
    np.save(tmp_path / "x.npy", array, **how)
    return (tmp_path / "x.npy").read_bytes()


def test_npz_of_others_is_refused(volume, tmp_path):
    path = tmp_path / "a.npz"
    about = npy(np.array("{}"), tmp_path)
    deep = npy(np.array("[" * 50000), tmp_path)
    hu = npy(volume.hu, tmp_path)
    spoilt = {
        "no hu": {"hu": None},
        "float hu": {"hu": npy(volume.hu.astype(float), tmp_path)},
        "turned hu": {"hu": npy(np.asfortranarray(volume.hu), tmp_path)},
        "two axes": {"hu": npy(volume.hu[0], tmp_path)},
        "pickle": {"hu": npy(np.array([{}]), tmp_path, allow_pickle=True)},
        "claims more": {"hu": hu.replace(b"(20, 24, 30)", b"(90, 24, 30)")},
        "claims all": {"hu": hu.replace(b"(20, 24, 30), ", b"(2000, 9999, 9999), ")},
        "no array": {"hu": b"hello"},
        "empty": {"hu": b""},
        "no json": {"about": npy(np.array("{"), tmp_path)},
        "empty about": {"about": about},
        "list": {"about": npy(np.array("[]"), tmp_path)},
        "nested": {"about": deep},
        "three affine": {"affine": npy(np.eye(3), tmp_path)},
        "nan affine": {"affine": npy(np.full((4, 4), np.nan), tmp_path)},
    }
    for what, members in spoilt.items():
        write_volume(volume, path)
        rewrite(path, **members)
        with pytest.raises(InputError):
            pytest.fail(f"{what}: {read_volume(path)}")
    path.write_bytes(b"PK\x03\x04 not a zip")
    with pytest.raises(InputError, match="not a volume that hilum wrote"):
        read_volume(path)


def huge(tmp_path):
    """A .npy that says it holds 1000 x 1000 x 1000 voxels, and holds four."""
    with (tmp_path / "huge.npy").open("wb") as file:
        header = {"descr": "<i2", "fortran_order": False, "shape": (1000, 1000, 1000)}
        np.lib.format.write_array_header_1_0(file, header)
        file.write(bytes(8))
    return (tmp_path / "huge.npy").read_bytes()


def test_npz_header_is_held_against_its_size(volume, tmp_path):
    path = tmp_path / "a.npz"
    write_volume(volume, path)
    rewrite(path, hu=huge(tmp_path))
    with pytest.raises(InputError, match=r"hu.npy has not the size"):
        read_volume(path)


def test_npz_size_is_held_against_what_can_inflate(volume, tmp_path):
    path, data = tmp_path / "a.npz", huge(tmp_path)
    write_volume(volume, path)
    rewrite(path, hu=data)
    claimed = struct.pack("<I", len(data) - 8 + 2 * 10**9)
    spoilt = path.read_bytes().replace(struct.pack("<I", len(data)), claimed)
    path.write_bytes(spoilt)
    tracemalloc.start()
    with pytest.raises(InputError, match=r"hu.npy cannot inflate"):
        read_volume(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 << 20


def test_npz_in_another_compression_is_refused(volume, tmp_path):
    path = tmp_path / "a.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_BZIP2) as archive:
        for name in ("about", "affine", "hu"):
            archive.writestr(f"{name}.npy", b"hello")
    with pytest.raises(InputError, match="a way that NumPy does not use"):
        read_volume(path)


# ---- names, places, writing --------------------------------------------------


def test_is_volume_file(tmp_path):
    for name in ("a.nii", "a.nii.gz", "a.MHA", "a.b.mhd", "a.npz"):
        assert is_volume_file(tmp_path / name)
    for name in ("a.dcm", "a.gz", "a", ".nii", "nii", "a.zip", "a.nrrd", "a.nii.zip"):
        assert not is_volume_file(tmp_path / name)
    (tmp_path / "folder.nii").mkdir()
    assert not is_volume_file(tmp_path / "folder.nii")


def test_errors_of_the_file_system_name_the_file(volume, tmp_path):
    with pytest.raises(InputError, match=r"Cannot read `a.nii`: No such file"):
        read_volume(tmp_path / "a.nii")
    (tmp_path / "d.npz").mkdir()
    with pytest.raises(InputError, match=r"Cannot read `d.npz`"):
        read_volume(tmp_path / "d.npz")
    for extension in ALL:
        with pytest.raises(InputError, match="Cannot write `a"):
            write_volume(volume, tmp_path / "absent" / f"a{extension}")
    with pytest.raises(InputError, match="no extension of a volume that we know"):
        write_volume(volume, tmp_path / "a.nrrd")
    with pytest.raises(InputError, match="no extension of a volume that we know"):
        read_volume(tmp_path / "a.dcm")


@pytest.mark.parametrize("extension", ALL)
def test_writing_is_all_or_nothing(extension, volume, tmp_path, monkeypatch):
    path = tmp_path / f"a{extension}"
    write_volume(volume, path)
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}

    def full(self, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(InputError, match=r"Cannot write `a.*No space left"):
        write_volume(volume_of(grid_of(spacing=(10.0, 9.0, 9.0))), path)
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before


def test_nifti_1_cannot_count_so_far(tmp_path):
    grid = Grid.axial((1, 1, 40000), (1.0, 1.0, 1.0))
    with pytest.raises(InputError, match="at most 32767"):
        write_mask(Mask(np.zeros(grid.shape, bool), grid), tmp_path / "a.nii")


@pytest.mark.parametrize("extension", FOREIGN)
def test_masks_open_elsewhere(extension, tmp_path):
    sitk = pytest.importorskip("SimpleITK")
    grid = grid_of(oblique(3, 4, 5))  # not canonical need not be
    labels = (places(grid)[..., 0] > 0).astype(np.uint8) + 1
    labels[:3] = 0
    write_mask(Mask(labels, grid), tmp_path / f"m{extension}")
    image = sitk.ReadImage(str(tmp_path / f"m{extension}"))
    assert image.GetPixelID() == sitk.sitkUInt8
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image), labels)
    np.testing.assert_allclose(
        image.TransformIndexToPhysicalPoint((5, 6, 7)),
        grid.to_world((7, 6, 5)),
        atol=1e-3,
    )
    write_mask(Mask(labels > 1, grid), tmp_path / f"m{extension}")
    image = sitk.ReadImage(str(tmp_path / f"m{extension}"))
    assert sitk.GetArrayFromImage(image).max() == 1


def test_a_mask_is_no_npz(tmp_path):
    grid = grid_of()
    with pytest.raises(InputError, match=r"Use .nii.gz or .mha"):
        write_mask(Mask(np.zeros(SHAPE, bool), grid), tmp_path / "m.npz")


@settings(max_examples=25)
@given(
    st.tuples(*[st.floats(-170, 170)] * 3),
    st.tuples(*[st.floats(6, 20)] * 3),
    st.tuples(*[st.floats(-1500, 1500)] * 3),
    st.sampled_from(ALL),
)
def test_any_place_survives_to_a_thousandth_of_a_millimetre(
    tmp_path_factory, turn, spacing, origin, extension
):
    row, column = oblique(*turn)
    affine = np.eye(4)
    affine[:3, :3] = np.stack([np.cross(row, column), column, row], 1) * spacing
    affine[:3, 3] = origin
    grid = Grid(SHAPE, affine).to_canonical()
    hu = np.random.default_rng(1).integers(-1024, 900, grid.shape).astype(np.int16)
    path = tmp_path_factory.mktemp("any") / f"a{extension}"
    write_volume(CTVolume(hu, grid, "1.2"), path)
    read = read_volume(path)
    assert read.grid.same_as(grid, atol_mm=1e-3)
    np.testing.assert_array_equal(read.hu, hu)
