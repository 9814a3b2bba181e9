"""Time to read a CT series, against reading its bytes and against other readers.

Makes 300 uncompressed slices of 512 x 512 in a temporary folder, reads them by each
reader in turn, several times over, and prints the shortest time of each. All are
warm: the files are in the page cache. `--syntax` makes compressed slices instead.

    python benchmarks/read_dicom.py [--slices 300] [--repeats 7] [--syntax explicit]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import SimpleITK
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    UID,
    CTImageStorage,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
    generate_uid,
)

from hilum.dicom import read_dicom

SYNTAXES = {
    "explicit": ExplicitVRLittleEndian,
    "implicit": ImplicitVRLittleEndian,
    "rle": RLELossless,
    "jpeg-ls": JPEGLSLossless,
    "jpeg2000": JPEG2000Lossless,
}
SIDE = 512


def make_slices(folder: Path, count: int, syntax: UID) -> None:
    """Write a series with the tags that scanners write, named in no order."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:SIDE, :SIDE] / SIDE - 0.5
    body = np.where(np.hypot(x, 1.3 * y) < 0.45, 40.0, -1000.0)
    body[np.hypot(np.abs(x) - 0.2, y) < 0.15] = -850
    noise = rng.normal(0, 20, (SIDE + count, SIDE))
    names = rng.permutation(count)
    study = generate_uid(entropy_srcs=["hilum benchmark"])[:50]
    series = f"{study}.2"
    for k in range(count):
        hu = body + noise[k : k + SIDE]
        stored = np.clip(hu + 1024, 0, 4095).astype(np.uint16)
        ds = _make_slice(k, stored, series, study)
        if syntax.is_compressed:
            ds.compress(syntax, stored, generate_instance_uid=False)
        else:
            ds.file_meta.TransferSyntaxUID = syntax
        ds.save_as(folder / f"IM{names[k]:04d}.dcm", enforce_file_format=True)


def _make_slice(k: int, stored: np.ndarray, series: str, study: str) -> Dataset:
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.SOPClassUID, ds.SOPInstanceUID = CTImageStorage, f"{series}.{k + 1}"
    ds.StudyInstanceUID, ds.SeriesInstanceUID = study, series
    ds.FrameOfReferenceUID = f"{study}.1"
    ds.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    ds.Modality, ds.Manufacturer, ds.PatientPosition = "CT", "NONE", "HFS"
    ds.SeriesDescription, ds.ConvolutionKernel = "CHEST", "STANDARD"
    ds.StudyDate = ds.SeriesDate = ds.AcquisitionDate = ds.ContentDate = "20200101"
    ds.StudyTime = ds.SeriesTime = ds.AcquisitionTime = ds.ContentTime = "101112"
    ds.SliceThickness, ds.KVP, ds.SeriesNumber = "1.25", "120", 2
    ds.InstanceNumber, ds.AcquisitionNumber = k + 1, 1
    ds.ImagePositionPatient = [-179.65, -179.65, -200 + 1.25 * k]
    ds.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    ds.PixelSpacing, ds.SliceLocation = [0.703125, 0.703125], -200 + 1.25 * k
    ds.RescaleSlope, ds.RescaleIntercept, ds.RescaleType = 1, -1024, "HU"
    ds.WindowCenter, ds.WindowWidth = -600, 1500
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.Rows, ds.Columns = stored.shape
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = 16, 12, 11
    ds.PixelRepresentation = 0
    ds.PixelData = stored.tobytes()
    ds["PixelData"].VR = "OW"
    return ds


def read_bytes(folder: Path) -> int:
    """Read every file and let go of it."""
    return sum(len(path.read_bytes()) for path in folder.iterdir())


def keep_bytes(folder: Path) -> list[bytes]:
    """Read every file and keep them all, as a volume has to be kept."""
    return [path.read_bytes() for path in folder.iterdir()]


def read_pydicom(folder: Path) -> np.ndarray:
    """Read with `pixel_array`, sort, rescale and stack."""
    slices = sorted(
        (pydicom.dcmread(path) for path in folder.iterdir()),
        key=lambda ds: ds.ImagePositionPatient[2],
    )
    hu = np.stack([ds.pixel_array for ds in slices]).astype(np.int16)
    return hu + np.int16(slices[0].RescaleIntercept)


def read_sitk(folder: Path) -> np.ndarray:
    """Read with SimpleITK's series reader."""
    reader = SimpleITK.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
    return SimpleITK.GetArrayFromImage(reader.Execute())


def read_hilum(folder: Path) -> np.ndarray:
    """Read with hilum: search, choice, checks and all."""
    return read_dicom(folder).hu


READERS: dict[str, Callable[[Path], object]] = {
    "bytes, dropped": read_bytes,
    "bytes, kept": keep_bytes,
    "hilum": read_hilum,
    "pydicom": read_pydicom,
    "SimpleITK": read_sitk,
}


def main() -> None:
    """Make the series, time the readers, print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--slices", type=int, default=300)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--syntax", choices=SYNTAXES, default="explicit")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_slices(folder, args.slices, SYNTAXES[args.syntax])
        hu = read_hilum(folder)
        for other in (read_pydicom, read_sitk):
            np.testing.assert_array_equal(hu, other(folder))
        best = dict.fromkeys(READERS, float("inf"))
        for _ in range(args.repeats):  # in turn, so that a busy moment hits all
            for reader, read in READERS.items():
                start = time.perf_counter()
                made = read(folder)
                best[reader] = min(best[reader], time.perf_counter() - start)
                del made
    print(f"{args.slices} slices of {SIDE} x {SIDE}, {args.syntax}; best of", end=" ")
    print(f"{args.repeats}")
    print(f"{'reader':16}{'seconds':>10}{'x bytes dropped':>18}{'x bytes kept':>15}")
    for reader, seconds in best.items():
        dropped, kept = (seconds / best[b] for b in ("bytes, dropped", "bytes, kept"))
        print(f"{reader:16}{seconds:10.3f}{dropped:18.1f}{kept:15.1f}")


if __name__ == "__main__":
    main()
