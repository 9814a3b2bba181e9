"""Damage files at random, read them, and say what came of it.

Run as a program, so that a crash of a codec ends this process and no other:

    python mutation_run.py KIND FIRST LAST SCRATCH

Every case is a seed, and prints one line of JSON: the seed, what came of it, the
peak of the memory that Python and NumPy took, and the seconds. The last line
holds the peak of the process or of its largest child. A case that is begun is
named on stderr, so the last name there is the one that crashed or hung.
"""

from __future__ import annotations

import gzip
import json
import resource
import shutil
import signal
import struct
import sys
import time
import tracemalloc
import warnings
import zipfile
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
from dicom_maker import (
    LOSSLESS,
    LOSSY,
    ROOT,
    UNCOMPRESSED,
    SeriesSpec,
    make_enhanced,
    make_slices,
)
from pydicom import config, dcmread
from pydicom.tag import Tag

from hilum.errors import InputError
from hilum.volume import CTVolume

LIMIT_S = 20
SYNTAXES = UNCOMPRESSED | LOSSLESS | LOSSY
SMALL = SeriesSpec(shape=(12, 32, 32), spacing_mm=(12, 9, 9), thickness_mm=12.0)
MARKS = {True: b"\xe0\x7f\x10\x00", False: b"\x7f\xe0\x00\x10"}
Files = dict[str, bytes]

ABSURD = {
    "Rows": [0, 1, 2, 31, 33, 64, 65535],
    "Columns": [0, 1, 16, 31, 65535],
    "BitsAllocated": [0, 1, 8, 12, 32, 64, 65535],
    "BitsStored": [0, 1, 8, 17, 32, 65535],
    "HighBit": [0, 7, 16, 65535],
    "PixelRepresentation": [1, 2, 65535],
    "SamplesPerPixel": [0, 2, 3, 65535],
    "NumberOfFrames": ["0", "-1", "2", "99999", "2147483647", "abc", ""],
    "PixelSpacing": ["0\\0", "-9\\9", "1e300\\1", "9", "", "nan\\nan", "1e-9\\9", "x"],
    "ImagePositionPatient": [
        "",
        "0\\0",
        "0\\0\\0",
        "1e300\\0\\0",
        "nan\\0\\0",
        "0\\0\\inf",
        "0\\0\\-1e9",
        "a\\b\\c",
        "1\\2\\3\\4",
    ],
    "ImageOrientationPatient": [
        "",
        "0\\0\\0\\0\\0\\0",
        "1\\0\\0\\1\\0\\0",
        "1\\0\\0\\0\\1",
        "nan\\0\\0\\0\\1\\0",
        "9e99\\0\\0\\0\\1\\0",
        "1\\0\\0\\0\\-1\\0",
        "-1\\0\\0\\0\\0\\1",
    ],
    "RescaleSlope": ["0", "-1", "1e30", "nan", "inf", "", "x", "1e-30"],
    "RescaleIntercept": ["1e30", "-inf", "nan", "", "-32768", "1\\2"],
    "SliceThickness": ["0", "-5", "nan", "1e9", "", "?"],
    "GantryDetectorTilt": ["90", "-90", "1e9", "nan", ""],
    "InstanceNumber": ["", "99999999999", "-1", "x"],
    "AcquisitionNumber": ["", "2", "x"],
    "SeriesInstanceUID": ["", "1.2", "x" * 64, "1..2"],
    "StudyInstanceUID": ["", "1.2"],
    "FrameOfReferenceUID": ["", "1.2"],
    "SOPInstanceUID": ["", "1.2"],
    "SOPClassUID": ["", "1.2", "1.2.840.10008.5.1.4.1.1.7"],
    "Modality": ["", "MR", "CT\\MR"],
    "ImageType": ["", "LOCALIZER", "ORIGINAL\\PRIMARY\\LOCALIZER"],
    "PhotometricInterpretation": ["", "RGB", "MONOCHROME1", "PALETTE COLOR"],
    "KVP": ["x", "nan", "1e999", ""],
    "PixelPaddingValue": [0, 65535],
    "PatientPosition": ["", "XXX"],
}


class HangError(Exception):
    """A case took longer than the limit."""


def sound(kind: str, rng: np.random.Generator) -> Files:
    """Files of a sound series for a kind of damage: name to bytes."""
    names = list(SYNTAXES)
    name = names[rng.integers(len(names))]
    if kind == "codec":
        name = list(LOSSLESS | LOSSY)[rng.integers(len(LOSSLESS | LOSSY))]
    if kind in ("header", "pixels", "cut", "lengths", "zip") and rng.random() < 0.6:
        name = list(UNCOMPRESSED)[rng.integers(len(UNCOMPRESSED))]
    if kind in ("values", "tags", "mix", "files"):
        name = ["explicit", "implicit", "big-endian", "jpeg-ls"][rng.integers(4)]
    if kind == "enhanced":
        name = ["explicit", "rle", "jpeg2000-lossless", "implicit"][rng.integers(4)]
    return _sound(name, enhanced=kind == "enhanced")


def _sound(name: str, *, enhanced: bool = False, **changes: object) -> Files:
    """Make a sound series once; the cache is what makes the run short."""
    key = f"{name} {enhanced} {sorted(changes.items())}"
    if key not in _CACHE:
        spec = replace(SMALL, syntax=SYNTAXES[name], **changes)
        slices = [make_enhanced(spec)] if enhanced else make_slices(spec)
        files = {}
        for k, ds in enumerate(slices):
            out = BytesIO()
            ds.save_as(out, enforce_file_format=True)
            files[f"IM{(k * 5) % 12:03d}.dcm"] = out.getvalue()
        _CACHE[key] = files
    return dict(_CACHE[key])


_CACHE: dict[str, Files] = {}


def damage(kind: str, files: Files, rng: np.random.Generator) -> Files:
    """Damage one, some or all files of a series."""
    if kind == "mix":
        return mix(files, rng)
    if kind == "files":
        return misplace(files, rng)
    if kind == "zip":
        return {"scan.zip": flip(_zipped(files), rng, 0, None)}
    ways = {
        "header": flip_header,
        "pixels": flip_pixels,
        "codec": flip_pixels,
        "cut": cut,
        "lengths": absurd_length,
        "values": absurd_value,
        "tags": other_tags,
        "enhanced": any_of_them,
    }
    how = int(rng.integers(3))
    chosen = set(
        rng.choice(list(files), [1, 4, len(files)][how] if len(files) > 4 else 1)
    )
    if how == 2:
        chosen = set(files)
    same = int(rng.integers(2**31)) if rng.random() < 0.5 else None
    for name in sorted(chosen):
        own = np.random.default_rng(same) if same is not None else rng
        files[name] = ways[kind](files[name], own)
    return files


def flip(data: bytes, rng: np.random.Generator, first: int, last: int | None) -> bytes:
    """Change 1 to 20 bytes between two places."""
    out, last = bytearray(data), len(data) if last is None else last
    if last <= first:
        return data
    for at in rng.integers(first, last, int(rng.integers(1, 21))):
        out[at] = int(rng.integers(256)) if rng.random() < 0.7 else out[at] ^ 0x80
    return bytes(out)


def _pixels_at(data: bytes) -> int:
    """Where the pixel data element starts, or the end of the file."""
    places = [data.rfind(mark + vr) for mark in MARKS.values() for vr in (b"O", b"")]
    return max(places) if max(places) > 0 else len(data)


def flip_header(data: bytes, rng: np.random.Generator) -> bytes:
    return flip(data, rng, 128, _pixels_at(data))


def flip_pixels(data: bytes, rng: np.random.Generator) -> bytes:
    return flip(data, rng, _pixels_at(data), None)


def cut(data: bytes, rng: np.random.Generator) -> bytes:
    way = rng.integers(3)
    if way == 0:  # the end is missing
        return data[: rng.integers(0, len(data))]
    first = int(rng.integers(0, len(data)))
    last = min(len(data), first + int(rng.integers(1, 400)))
    if way == 1:  # a piece in the middle is missing
        return data[:first] + data[last:]
    return data[:first] + bytes(last - first) + data[last:]  # or blank


def absurd_length(data: bytes, rng: np.random.Generator) -> bytes:
    """Give one element or fragment an absurd length."""
    out = bytearray(data)
    starts = [132]
    for mark in (b"\x28\x00", b"\x20\x00", b"\x08\x00", b"\xe0\x7f", b"\xfe\xff"):
        at = data.find(mark, 132)
        while at >= 0 and len(starts) < 400:
            starts.append(at)
            at = data.find(mark, at + 2)
    at = starts[rng.integers(len(starts))]
    lengths = [0, 1, 2, 0xFFFF, 0x10000, 0x7FFFFFFF, 0xFFFFFFFE, 0xFFFFFFFF, 99_999_999]
    value = lengths[rng.integers(len(lengths))]
    packed = struct.pack("<I", value)
    where = at + (4, 6, 8)[rng.integers(3)]
    packed = packed[:2] if where == at + 6 else packed
    out[where : where + len(packed)] = packed
    return bytes(out)


def _edited(data: bytes, edit: object, rng: np.random.Generator) -> bytes:
    """Change a dataset and write it without anybody checking what is written."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with config.disable_value_validation():
            ds = dcmread(BytesIO(data), force=True)
            out = BytesIO()
            try:
                edit(ds, rng)  # type: ignore[operator]
                ds.save_as(out, enforce_file_format=False)
            except Exception:  # noqa: BLE001  pydicom refuses to write it: take a flip
                return flip_header(data, rng)
            return out.getvalue()


def absurd_value(data: bytes, rng: np.random.Generator) -> bytes:
    def edit(ds: object, rng: np.random.Generator) -> None:
        for keyword in rng.choice(list(ABSURD), int(rng.integers(1, 3)), replace=False):
            values = ABSURD[keyword]
            value = values[rng.integers(len(values))]
            for level in _levels(ds):
                if keyword in level or level is ds:
                    setattr(level, str(keyword), value)

    return _edited(data, edit, rng)


def _levels(ds: object) -> list[object]:
    """The dataset and the items of its functional groups."""
    levels = [ds]
    for name in ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"):
        for group in ds.get(name, []):  # type: ignore[attr-defined]
            levels += [item for element in group for item in element.value]
    return levels


def other_tags(data: bytes, rng: np.random.Generator) -> bytes:
    """Remove elements, swap the values of two, or give one another tag."""

    def edit(ds: object, rng: np.random.Generator) -> None:
        tags = [e.tag for e in ds]  # type: ignore[attr-defined]
        way = rng.integers(3)
        picked = [Tag(int(t)) for t in rng.choice([int(t) for t in tags], 2)]
        if way == 0:
            for tag in rng.choice([int(t) for t in tags], int(rng.integers(1, 6))):
                if Tag(int(tag)) in ds:  # type: ignore[operator]
                    del ds[Tag(int(tag))]  # type: ignore[attr-defined]
        elif way == 1:
            one, two = (ds[t] for t in picked)  # type: ignore[index]
            one._value, two._value = two._value, one._value
            one.VR, two.VR = two.VR, one.VR
        else:
            element = ds[picked[0]]  # type: ignore[index]
            del ds[picked[0]]  # type: ignore[attr-defined]
            element.tag = picked[1]
            ds[picked[1]] = element  # type: ignore[index]

    return _edited(data, edit, rng)


def any_of_them(data: bytes, rng: np.random.Generator) -> bytes:
    ways = [flip_header, flip_pixels, cut, absurd_length, absurd_value, other_tags]
    return ways[rng.integers(len(ways))](data, rng)


def mix(files: Files, rng: np.random.Generator) -> Files:
    """Put slices of another series of the same UID, or without it, among these."""
    changes = [
        {"axes": "coronal"},
        {"spacing_mm": (7.0, 9.0, 9.0)},
        {"spacing_mm": (12.0, 4.0, 9.0)},
        {"shape": (12, 16, 48)},
        {"center_mm": (0.0, 0.0, 5.0)},
        {"center_mm": (0.0, 0.0, 150.0)},
        {"tilt_deg": 15.0},
        {"series_uid": f"{ROOT}.1.2"},
        {"signed": False, "rescale": ((1.0, -1024.0),)},
        {"offsets_mm": tuple(np.cumsum([0.0, *rng.integers(1, 30, 11)]).tolist())},
    ]
    name = ["explicit", "rle"][rng.integers(2)]
    others = _sound(name, **changes[rng.integers(len(changes))])
    kept = rng.choice(list(files), int(rng.integers(1, 13)), replace=False)
    added = rng.choice(list(others), int(rng.integers(1, 13)), replace=False)
    return {k: files[k] for k in kept} | {f"more/{k}": others[k] for k in added}


def misplace(files: Files, rng: np.random.Generator) -> Files:
    """Rename, repeat, lose and exchange files, and put junk among them."""
    names = list(files)
    out: Files = {}
    for name in names:
        way = rng.integers(8)
        if way == 0:
            continue
        out[f"d{rng.integers(3)}/{rng.integers(9999)}" if way < 3 else name] = files[
            name
        ]
        if way == 3:
            out[f"copy of {name}"] = files[names[rng.integers(len(names))]]
        if way == 4:
            out[f"{name}.txt"] = rng.bytes(int(rng.integers(0, 3000)))
        if way == 5:  # half of one file, half of another
            other = files[names[rng.integers(len(names))]]
            half = int(rng.integers(100, 1500))
            out[name] = files[name][:half] + other[half:]
    return out or {"junk": b"junk"}


def _zipped(files: Files) -> bytes:
    out = BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return out.getvalue()


def volume_files(kind: str, scratch: Path) -> Files:
    """A sound volume in one of the other formats."""
    from dicom_maker import hu_at  # noqa: PLC0415

    from hilum.formats import write_volume  # noqa: PLC0415

    shape, mm = (24, 64, 64), (6.0, 4.5, 4.5)
    from hilum.space import Grid  # noqa: PLC0415

    grid = Grid.axial(shape, mm, origin_mm=(-141.75, -141.75, -69))
    index = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), -1)
    hu = np.rint(hu_at(grid.to_world(index))).astype(np.int16)
    folder = scratch / "sound"
    folder.mkdir(exist_ok=True)
    write_volume(CTVolume(hu, grid, "1.2.3"), folder / f"scan{kind}")
    files = {p.name: p.read_bytes() for p in folder.iterdir()}
    shutil.rmtree(folder)
    return files


def damage_volume(files: Files, rng: np.random.Generator) -> Files:
    """Damage the header, the voxels or the end of one file of a volume."""
    name = list(files)[rng.integers(len(files))]
    data = files[name]
    if name.endswith(".npz") and rng.random() < 0.6:
        return {name: damage_member(data, rng)}
    packed = name.endswith(".gz") and rng.random() < 0.6
    data = gzip.decompress(data) if packed else data
    header = {"nii": 348, "gz": 348, "mha": 420, "mhd": 420, "npz": 4000}
    end = min(header.get(name.rsplit(".", 1)[-1], 0), len(data))
    way = rng.integers(5)
    if way <= 1 and end:
        data = flip(data, rng, 0, end)
    elif way == 2:
        data = flip(data, rng, 0, None)
    elif way == 3:
        data = cut(data, rng)
    else:  # absurd numbers in text or binary headers
        at = int(rng.integers(0, max(end, 4)))
        data = (
            data[:at]
            + (b"9999999999", b"-1", b"\xff\xff\xff\x7f", b"nan ")[rng.integers(4)]
            + data[at + int(rng.integers(0, 12)) :]
        )
    files[name] = gzip.compress(data, 1) if packed else data
    return files


def damage_member(data: bytes, rng: np.random.Generator) -> bytes:
    """Damage one array inside a zip, and zip it again with a sound digest."""
    with zipfile.ZipFile(BytesIO(data)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    name = list(members)[rng.integers(len(members))]
    way = rng.integers(3)
    if way == 0:
        members[name] = cut(members[name], rng)
    else:
        members[name] = flip(members[name], rng, 0, (None, 128)[way - 1])
    return _zipped(members)


def read(source: Path, *, dicom: bool) -> CTVolume:
    """Read as a user does."""
    if dicom:
        from hilum.dicom import read_dicom  # noqa: PLC0415

        return read_dicom(source)
    from hilum.formats import read_volume  # noqa: PLC0415

    return read_volume(source)


def put(files: Files, folder: Path) -> Path:
    """Write the files of a case; gives what is to be read."""
    shutil.rmtree(folder, ignore_errors=True)
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    volumes = [n for n in files if not n.endswith((".dcm", "raw"))]
    return folder / volumes[0] if len(files) <= 2 and volumes else folder


def outcome(source: Path, *, dicom: bool) -> str:
    """Read, and say in a word what came of it."""
    signal.signal(signal.SIGALRM, _alarm)
    signal.setitimer(signal.ITIMER_REAL, LIMIT_S)
    try:
        volume = read(source, dicom=dicom)
        ok = isinstance(volume, CTVolume) and volume.grid.is_canonical
        ok = ok and volume.hu.dtype == np.int16 and int(volume.hu.min()) >= -1024
        json.dumps([n.to_json() for n in volume.notices], allow_nan=False)
        json.dumps(volume.acquisition.to_json(), allow_nan=False)
        return "volume" if ok else "bad volume"
    except InputError as error:
        return "refused" if str(error) else "refused without a reason"
    except HangError:
        return f"hang of more than {LIMIT_S} s"
    except BaseException as error:  # noqa: BLE001  this is what the run looks for
        return f"{type(error).__name__}: {error}"[:300]
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def traced_outcome(source: Path, *, dicom: bool) -> tuple[str, int]:
    """Read; gives also the peak of the memory. Damaging is not traced: it is slow."""
    tracemalloc.start()
    try:
        result = outcome(source, dicom=dicom)
        return result, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def _alarm(*_: object) -> None:
    raise HangError


def main() -> None:
    """Run the cases of one kind, by seed."""
    warnings.simplefilter("error")
    kind, first, last = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    scratch, dicom = Path(sys.argv[4]), not kind.startswith(".")
    sounds = {} if dicom else volume_files(kind, scratch)
    peaks: dict[int, int] = {}
    for seed in range(first - 1, last + 1):  # the first is only to warm up
        rng = np.random.default_rng([seed, *kind.encode()])
        files = sound(kind, rng) if dicom else dict(sounds)
        print(f"{kind} {seed}", file=sys.stderr, flush=True)
        size = sum(map(len, files.values()))
        if size not in peaks:
            source = put(files, scratch / "case")
            outcome(source, dicom=dicom)  # what is imported on the way is not counted
            result, peaks[size] = traced_outcome(source, dicom=dicom)
            if result != "volume":
                print(json.dumps([seed, f"sound series: {result}", 0, 0, 0]))
        files = damage(kind, files, rng) if dicom else damage_volume(files, rng)
        source = put(files, scratch / "case")
        start = time.perf_counter()
        result, peak = traced_outcome(source, dicom=dicom)
        took = time.perf_counter() - start
        if seed >= first:
            print(json.dumps([seed, result, peak, peaks[size], round(took, 3)]))
    whose = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    print(json.dumps(max(resource.getrusage(who).ru_maxrss for who in whose)))


if __name__ == "__main__":
    main()
