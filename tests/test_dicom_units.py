"""The parts of the DICOM reader: geometry, Hounsfield units, scan, decoders, choice."""

import struct
import subprocess
import sys
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from dicom_checks import assert_shows_the_patient
from dicom_maker import LOSSLESS, LOSSY, UNCOMPRESSED, SeriesSpec, make_slices
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.encaps import encapsulate

from hilum.dicom import _decoder, decoders, elements, pixels, read_dicom
from hilum.dicom.choice import rank_kernel
from hilum.dicom.decoders import Decoder, count_processes
from hilum.dicom.elements import DamagedError, NotDicomError, scan_file
from hilum.dicom.fragments import Codestream, read_codestream, split_frames
from hilum.dicom.geometry import (
    drop_displaced,
    fill_lateral,
    find_lateral,
    find_longest_run,
    find_normal,
    find_repeats,
    fit_run,
    is_straight,
)
from hilum.dicom.headers import WANTED, is_ct
from hilum.dicom.hounsfield import shift_slice, to_hu
from hilum.dicom.looks import describe
from hilum.dicom.words import count, list_mm, shorten
from hilum.errors import InputError

AXIAL = (1, 0, 0, 0, 1, 0)

# ---- geometry ----------------------------------------------------------------


def test_normal_of_a_coronal_plane_by_hand():
    # rows run to the left (+x), columns to the feet (-z): x cross -z = +y
    np.testing.assert_allclose(find_normal((1, 0, 0, 0, 0, -1)), [0, 1, 0])


def test_repeats_within_a_hundredth_of_a_millimetre():
    at = np.array([3.0, 0.0, 3.008, 0.02, 0.0])
    groups = [g.tolist() for g in find_repeats(at)]
    assert groups == [[1, 4], [3], [0, 2]]


def test_jitter_up_to_the_tolerance_is_regular():
    # 2 mm apart: 5 % is 0.1 mm
    at = np.arange(20) * 2.0
    at[7] += 0.099
    assert fit_run(at).missing == []
    assert fit_run(at).spacing_mm == 2.0
    at[7] += 0.002
    assert fit_run(at) is None


def test_jitter_of_thin_slices_may_be_a_twentieth_of_a_millimetre():
    at = np.arange(20) * 0.5
    at[7] += 0.049  # more than 5 % of 0.5 mm, less than 0.05 mm
    assert fit_run(at) is not None


@pytest.mark.parametrize(
    ("count", "lost", "regular"),
    [
        (40, [10, 11, 12], True),
        (60, [10, 11, 12, 13], False),  # four in a row
        (40, [5, 15, 25, 35], True),  # a tenth of forty
        (40, [5, 15, 20, 25, 35], False),
        (5, [2], True),  # one may always be missing
        (6, [1, 4], False),
    ],
)
def test_how_many_slices_may_be_missing(count, lost, regular):
    at = np.delete(np.arange(count) * 1.25, lost)
    run = fit_run(at)
    assert (run is not None) is regular
    if run is not None:
        assert run.missing == lost
        assert run.count == count
        assert run.spacing_mm == pytest.approx(1.25)
        assert run.extent_mm == pytest.approx(1.25 * (count - 1))


@given(
    st.integers(20, 300),
    st.floats(0.3, 10),
    st.floats(-2000, 2000),
    st.data(),
)
def test_a_regular_stack_with_holes_is_put_back(count, spacing, start, data):
    most = min(6, count // 10)
    inner = st.integers(3, count - 4)
    lost = sorted(data.draw(st.sets(inner, max_size=most)))
    # at most three in a row, and a majority of plain gaps
    lost = [n for k, n in enumerate(lost) if k % 3 == 0]
    noise = np.array(data.draw(st.lists(st.floats(-1, 1), min_size=4, max_size=4)))
    at = start + spacing * np.arange(count)
    at[1:5] += 0.02 * spacing * noise
    run = fit_run(np.delete(at, lost))
    assert run.missing == lost
    assert run.count == count
    assert run.spacing_mm == pytest.approx(spacing, rel=1e-3)


def test_two_alternating_gaps_are_not_regular():
    assert fit_run(np.cumsum([0, 1, 1.3] * 10)) is None


def test_a_displaced_slice_leaves_a_hole():
    at = np.arange(12) * 3.0
    at[5] += 1.4
    run = drop_displaced(at)
    assert run.members.tolist() == [0, 1, 2, 3, 4, 6, 7, 8, 9, 10, 11]
    assert run.missing == [5]


def test_a_slice_between_two_others_is_dropped_without_a_hole():
    at = np.sort([*(np.arange(12) * 3.0), 13.4])
    run = drop_displaced(at)
    assert 13.4 not in at[run.members]
    assert run.missing == []


def test_many_displaced_slices_are_not_dropped():
    rng = np.random.default_rng(0)
    at = np.sort(np.arange(40) * 3.0 + rng.uniform(-1, 1, 40))
    assert drop_displaced(at) is None


@given(st.integers(3, 30), st.integers(3, 30), st.floats(0.5, 5), st.floats(1.3, 3))
def test_the_longest_run_is_regular_and_no_shorter_than_either_part(
    first, second, spacing, ratio
):
    one = spacing * np.arange(first)
    two = one[-1] + 17.77 * spacing + ratio * spacing * np.arange(second)
    at = np.concatenate([one, two])
    run = find_longest_run(at)
    assert np.ptp(np.diff(at[run.members])) <= 0.1 * run.spacing_mm + 0.1
    assert run.extent_mm >= max(np.ptp(one), np.ptp(two)) - 1e-6
    assert len(run.members) >= 3


def test_no_run_among_three_random_positions_or_too_few():
    assert find_longest_run(np.array([0.0, 1.0, 7.0])) is None
    assert find_longest_run(np.array([0.0, 1.0])) is None


def test_lateral_shift_of_a_tilted_gantry_by_hand():
    # table along z, slices turned 30 degrees about x: column = (0, cos, sin),
    # normal = (0, -sin, cos); a step of 10 mm in z is 8.660 along the normal and
    # 10 * sin 30 = 5 along the column
    c, s = np.cos(np.pi / 6), np.sin(np.pi / 6)
    corners = np.outer(np.arange(4), [0, 0, 10.0])
    lateral, angle = find_lateral(corners, (1, 0, 0, 0, c, s))
    np.testing.assert_allclose(lateral[:, 0], [0, 5, 10, 15], atol=1e-12)
    np.testing.assert_allclose(lateral[:, 1], 0, atol=1e-12)
    assert angle == pytest.approx(30)
    assert is_straight(lateral, np.arange(4), 0.1)
    lateral[2] += 1
    assert not is_straight(lateral, np.arange(4), 0.1)


def test_an_oblique_stack_along_its_normal_has_no_lateral_shift():
    c, s = np.cos(0.2), np.sin(0.2)
    corners = np.outer(np.arange(4), 5 * np.array([0, -s, c]))
    lateral, angle = find_lateral(corners, (1, 0, 0, 0, c, s))
    np.testing.assert_allclose(lateral, 0, atol=1e-12)
    assert angle == pytest.approx(0, abs=1e-6)


def test_shifts_of_missing_slices_lie_on_the_line():
    shifts = fill_lateral(np.array([[0, 0], [2.0, 4], [8, 16]]), np.array([0, 1, 4]), 5)
    np.testing.assert_allclose(shifts[:, 0], [0, 2, 4, 6, 8])
    np.testing.assert_allclose(shifts[:, 1], [0, 4, 8, 12, 16])


# ---- Hounsfield units --------------------------------------------------------


def plainly(raw, bits, shift, signed, rescale):
    """The same by whole numbers of any size, one voxel at a time."""
    out = []
    for word in raw.ravel().tolist():
        value = (word >> shift) & ((1 << bits) - 1)
        if signed and value >= 1 << (bits - 1):
            value -= 1 << bits
        hu = np.rint(value * rescale[0] + rescale[1])
        out.append(min(max(hu, -1024), 32767))
    return np.array(out).reshape(raw.shape)


@settings(max_examples=200)
@given(
    st.sampled_from([8, 16, 32]),
    st.integers(1, 32),
    st.booleans(),
    st.sampled_from([1.0, 1.0, 1.0, -1.0, 0.5, 2.0, 0.1]),
    st.sampled_from([0.0, -1024.0, -1000.0, 31000.0, -40000.0, 0.5, 1024.0]),
    st.integers(0, 2**32 - 1),
)
def test_hu_are_those_of_whole_numbers(allocated, bits, signed, slope, add, seed):
    bits = min(bits, allocated)
    shift = seed % (allocated - bits + 1)
    if not shift:
        bits = min(bits, allocated)
    rng = np.random.default_rng(seed)
    raw = rng.integers(0, 1 << allocated, (5, 7), f"u{allocated // 8}", endpoint=False)
    wanted = plainly(raw, bits, shift, signed, (slope, add))
    got = to_hu(
        raw.copy(), bits_stored=bits, shift=shift, signed=signed, rescale=(slope, add)
    )
    assert got.dtype == np.int16
    np.testing.assert_array_equal(got, wanted)


def test_hu_stay_in_the_memory_of_the_pixels():
    raw = np.arange(12, dtype=np.uint16).reshape(3, 4)
    hu = to_hu(raw, bits_stored=16, signed=False, rescale=(1.0, -1024.0))
    assert np.shares_memory(hu, raw)
    np.testing.assert_array_equal(hu.ravel(), np.arange(-1024, -1012))


def test_padding_of_the_value_of_tissue_counts_only_at_the_edge():
    # 40 HU is padding: a run from either edge is air, an island of it stays tissue
    raw = np.array([[40, 40, 7, 40, 9, 40], [1, 2, 40, 3, 4, 5]], np.uint16)
    hu = to_hu(raw, bits_stored=16, signed=True, rescale=(1.0, 0.0), padding=(40, 40))
    air = -1024
    np.testing.assert_array_equal(hu, [[air, air, 7, 40, 9, air], [1, 2, 40, 3, 4, 5]])


def test_padding_that_the_stored_bits_cannot_hold():
    raw = np.array([[63536, 1024, 63536, 2096]], np.uint16)  # 63536 & 4095 = 2096
    hu = to_hu(
        raw,
        bits_stored=12,
        signed=False,
        rescale=(1.0, -1024.0),
        padding=(63536, 63536),
    )
    np.testing.assert_array_equal(hu, [[-1024, 0, -1024, 1072]])


@given(st.floats(0, 3), st.floats(0, 3))
def test_a_shifted_plane_stays_a_plane(down, right):
    rows, columns = np.arange(8)[:, None], np.arange(9)[None, :]
    hu = (10 * rows + 100 * columns).astype(np.int16)
    out = np.empty((11, 12), np.int16)
    shift_slice(hu, out, down, right)
    r = np.arange(11)[:, None] - down
    c = np.arange(12)[None, :] - right
    inside = (r >= 0) & (r <= 7) & (c >= 0) & (c <= 8)
    wanted = np.broadcast_to(10 * r + 100 * c, out.shape)
    np.testing.assert_allclose(out[inside], wanted[inside], atol=0.51)
    beyond = (r < -0.51) | (r > 7.51) | (c < -0.51) | (c > 8.51)
    assert (out[beyond] == -1024).all()


# ---- the scan, held against pydicom ------------------------------------------


def scan(data, is_image=is_ct):
    return scan_file(BytesIO(data), len(data), wanted=WANTED, is_image=is_image)


def assert_as_pydicom(data):
    """Every wanted element is the one that pydicom finds, and so are the pixels."""
    found = scan(data)
    assert found.damage is None
    ds = dcmread(BytesIO(data), force=True)
    for tag in sorted(WANTED):
        if tag >> 16 == 2 or tag in elements.SEQUENCES or tag == 0x00283000:
            continue
        there = ds.get_item(tag)
        raw = None if there is None else there.value or b""
        assert found.elements.get(tag) == raw, hex(tag)
    assert found.syntax == ds.file_meta.TransferSyntaxUID
    if found.inflate_from < 0 and found.pixel_length >= 0:
        start = found.pixel_offset
        pixels = data[start : start + found.pixel_length]
        assert pixels == ds.get_item(0x7FE00010).value


@pytest.mark.parametrize("name", [*UNCOMPRESSED, "rle", "jpeg-ls"])
def test_scan_finds_what_pydicom_finds(name):
    syntax = (UNCOMPRESSED | LOSSLESS)[name]
    for ds in make_slices(SeriesSpec(shape=(2, 32, 40), syntax=syntax)):
        file = BytesIO()
        ds.save_as(file, enforce_file_format=True)
        assert_as_pydicom(file.getvalue())


@pytest.mark.real
def test_scan_finds_what_pydicom_finds_in_real_files(real_data):
    for folder in sorted((real_data / "ct").glob("*/*")):
        for path in sorted(folder.iterdir())[:5]:
            assert_as_pydicom(path.read_bytes())


@pytest.mark.parametrize("data", [b"", b"hello" * 100, bytes(1000), b"\x08\0\x05"])
def test_other_files_are_no_dicom(data):
    with pytest.raises(NotDicomError):
        scan(data)


def explicit(group, element, vr, value):
    return struct.pack("<HH2sH", group, element, vr, len(value)) + value


def nested(levels):
    """A private sequence of undefined length, nested so deep."""
    sequence = struct.pack("<HH2sHI", 9, 0x1001, b"SQ", 0, 0xFFFFFFFF)
    item = struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF)
    ends = struct.pack("<HHIHHI", 0xFFFE, 0xE00D, 0, 0xFFFE, 0xE0DD, 0)
    return (sequence + item) * levels + ends * levels


def test_nesting_has_a_limit():
    start = bytes(128) + b"DICM" + explicit(8, 0x60, b"CS", b"CT")
    end = explicit(0x10, 0x1010, b"AS", b"0") + explicit(0x20, 0x11, b"IS", b"7 ")
    good = scan(start + nested(10) + end)
    assert good.damage is None
    assert good.elements[0x00200011] == b"7 "
    deep = scan(start + nested(100_000) + end)
    assert "nest" in deep.damage
    assert deep.elements[0x00080060] == b"CT"


def test_the_number_of_elements_has_a_limit(monkeypatch):
    monkeypatch.setattr(elements, "_MOST_ELEMENTS", 1000)
    start = bytes(128) + b"DICM" + explicit(8, 0x60, b"CS", b"CT")
    many = explicit(9, 0x1001, b"LO", b"") * 2000
    assert "elements" in scan(start + many).damage


def test_blank_bytes_are_damage_and_not_a_million_elements():
    start = bytes(128) + b"DICM" + explicit(8, 0x60, b"CS", b"CT")
    found = scan(start + bytes(4000))
    assert found.damage == "its header is damaged"
    assert found.elements[0x00080060] == b"CT"


def test_what_is_no_image_is_not_scanned_to_its_end():
    start = bytes(128) + b"DICM" + explicit(8, 0x60, b"CS", b"SR")
    rest = explicit(0x28, 0x10, b"US", b"\1\0")
    assert 0x00280010 not in scan(start + rest).elements
    assert 0x00280010 in scan(start + rest, is_image=lambda _: True).elements


# ---- frames and their decoders -----------------------------------------------


def frame_of(name, **bits):
    """The codestream of one slice, and its header."""
    spec = SeriesSpec(shape=(2, 32, 40), syntax=(LOSSLESS | LOSSY)[name], **bits)
    ds = make_slices(spec)[0]
    frame = split_frames(BytesIO(ds.PixelData), 0, len(ds.PixelData), 1)[0]
    return frame, read_codestream(frame, spec.syntax)


@pytest.mark.parametrize("name", [*LOSSLESS, *LOSSY])
def test_a_codestream_says_its_size(name):
    _, stream = frame_of(name, signed=False, bits_stored=12, rescale=((1.0, -1024.0),))
    assert stream.components == 1
    if name != "rle":
        assert (stream.rows, stream.columns) == (32, 40)
        assert stream.precision in (12, 16)


@pytest.mark.parametrize("name", [*LOSSLESS, *LOSSY])
def test_decoding_here_is_decoding_there(name, monkeypatch):
    frame, stream = frame_of(name)
    decoder = Decoder(32 * 40)
    there = decoder.decode(frame, stream, (32, 40), 2)
    decoder.stop()
    monkeypatch.setattr(sys, "executable", "/usr/bin/true")
    here = Decoder(32 * 40).decode(frame, stream, (32, 40), 2)
    assert here == there
    assert len(here) == 32 * 40 * 2


def test_a_process_that_ends_costs_one_frame(monkeypatch):
    frame, stream = frame_of("jpeg-ls")
    decoder = Decoder(32 * 40)
    good = decoder.decode(frame, stream, (32, 40), 2)
    decoder._process.kill()
    with pytest.raises(DamagedError, match="crash"):
        decoder.decode(frame, stream, (32, 40), 2)
    assert decoder.decode(frame, stream, (32, 40), 2) == good
    decoder.stop()


@pytest.mark.parametrize("name", LOSSLESS)
def test_a_codestream_that_is_cut_is_damaged_and_does_not_stall(name):
    frame, stream = frame_of(name)
    decoder = Decoder(32 * 40)
    try:
        with pytest.raises(DamagedError):
            decoder.decode(frame[: len(frame) // 2], stream, (32, 40), 2)
    finally:
        decoder.stop()


def test_where_no_process_can_be_started_frames_are_decoded_here(monkeypatch):
    def refuse(*args, **kwargs):
        raise OSError("no more processes")

    monkeypatch.setattr(decoders.subprocess, "Popen", refuse)
    frame, stream = frame_of("jpeg2000-lossless")
    assert len(Decoder(32 * 40).decode(frame, stream, (32, 40), 2)) == 2560


def test_the_size_of_the_answer_is_checked(monkeypatch):
    monkeypatch.setattr(_decoder, "decode", lambda *_: b"too short")
    monkeypatch.setattr(sys, "executable", "")
    with pytest.raises(DamagedError):
        Decoder(4).decode(b"", Codestream("jpeg", 2, 2, 1, 16), (2, 2), 2)


def test_more_processes_for_more_frames_never_more_than_cores(monkeypatch):
    monkeypatch.setattr(decoders.os, "sched_getaffinity", lambda _: range(4))
    assert [count_processes(n) for n in (1, 47, 48, 95, 96, 5000)] == [1, 1, 2, 3, 4, 4]


@pytest.mark.parametrize(("cores", "threads"), [(1, 1), (3, 3), (16, 4)])
def test_slices_are_read_by_no_more_threads_than_there_are_cores(
    monkeypatch, cores, threads
):
    monkeypatch.setattr(pixels, "count_cores", lambda: cores)
    assert pixels.count_readers(200, is_packed=False) == threads


SCRIPT = """
import sys
from pathlib import Path
from hilum.dicom import read_dicom
print("once")
print(read_dicom(Path(sys.argv[1])).hu.shape)
"""


def test_a_script_without_a_main_guard_runs_once(tmp_path):
    spec = SeriesSpec(shape=(60, 32, 40), spacing_mm=(4, 9, 9))
    spec = SeriesSpec(**{**vars(spec), "syntax": LOSSLESS["rle"]})
    for k, ds in enumerate(make_slices(spec)):
        ds.save_as(tmp_path / f"{k}.dcm", enforce_file_format=True)
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    done = subprocess.run(
        [sys.executable, "-W", "error", script, tmp_path],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": str(Path(decoders.__file__).parents[2])},
    )
    assert done.stdout == "once\n(60, 32, 40)\n"
    assert done.stderr == ""


@pytest.mark.parametrize("has_table", [True, False])
@pytest.mark.parametrize("pieces", [1, 3])
def test_frames_are_split_by_table_or_by_look(has_table, pieces):
    frames = [b"\xff\xd8\xff" + bytes([k] * 500) + b"\xff\xd9" for k in range(4)]
    data = encapsulate(frames, fragments_per_frame=pieces, has_bot=has_table)
    got = split_frames(BytesIO(data), 0, len(data), 4)
    assert [f.rstrip(b"\0") for f in got] == frames


def test_fragments_that_do_not_make_the_frames_are_damaged():
    data = encapsulate([b"\0" * 100] * 5, has_bot=False)
    with pytest.raises(DamagedError, match="5 fragments"):
        split_frames(BytesIO(data), 0, len(data), 3)
    with pytest.raises(DamagedError, match="cut short"):
        split_frames(BytesIO(data[:300]), 0, 300, 5)


# ---- choice and words --------------------------------------------------------


@pytest.mark.parametrize(
    ("kernel", "rank"),
    [
        *(("STANDARD", 0), ("B31f", 0), ("Br40d\\3", 0), ("FC13", 0), ("C", 0)),
        *(("LUNG", 1), ("B50f", 1), ("Bl57d", 1), ("FC55", 1), ("L", 1)),
        *(("", 2), ("NONE", 2), ("BONE", 3), ("B80f", 3), ("FC86", 3), ("EDGE", 3)),
    ],
)
def test_rank_of_kernels(kernel, rank):
    assert rank_kernel(kernel) == rank


@pytest.mark.parametrize(
    ("head", "look"),
    [
        (b"", "empty"),
        (b"\x89PNG\r\n", "PNG"),
        (b"\x1f\x8b\x08", "gzip"),
        (bytes(344) + b"n+1\0", "NIfTI"),
        (b"patient;age\n1;2", "text"),
        (bytes(range(256)), "no file that is known"),
    ],
)
def test_a_file_is_described_by_its_start(head, look):
    assert look in describe(head)


def test_positions_are_listed_to_a_limit():
    assert list_mm([1.25, -28.0]) == "1.25, -28 mm"
    assert list_mm([1.0] * 8, most=3) == "1, 1, 1 and 5 more mm"


def test_things_are_counted_and_uids_shortened():
    assert count(1, "slice") == "1 slice"
    assert count(0, "slice") == "0 slices"
    assert shorten("1.2.3") == "1.2.3"
    assert shorten("1.2.840.113619.2.55.3") == "…19.2.55.3"


# ---- slices that fail only when they are read --------------------------------


def cut_some(folder, count):
    """Cut the pixels of deflated slices; their headers stay sound."""
    for k, ds in enumerate(make_slices(SeriesSpec(syntax=UNCOMPRESSED["deflated"]))):
        ds.save_as(folder / f"{k:02d}.dcm", enforce_file_format=True)
    for path in sorted(folder.iterdir())[10 : 10 + 2 * count : 2]:
        path.write_bytes(path.read_bytes()[:-300])
    return folder


def test_a_few_slices_that_cannot_be_inflated_are_interpolated(tmp_path):
    volume = read_dicom(cut_some(tmp_path, 3))
    assert_shows_the_patient(volume, atol=1.1)
    codes = [notice.code for notice in volume.notices]
    assert codes.count("damaged-slices") == codes.count("missing-slices") == 1
    text = next(n.message for n in volume.notices if n.code == "damaged-slices")
    assert "`10.dcm`" in text
    assert "3 of 30" in text


def test_too_many_of_them_are_refused_and_no_memory_shows(tmp_path):
    with pytest.raises(InputError, match=r"At least 4 of 30"):
        read_dicom(cut_some(tmp_path, 9))
