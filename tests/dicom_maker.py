"""DICOM files made for tests: any syntax, orientation, repair or mishap.

What a slice shows is a function of where it lies in the patient (`hu_at`), so a
volume that was read wrongly (flipped, transposed, sheared, out of order, off by
one) disagrees with it somewhere. Names of files and InstanceNumbers never follow
the order of the slices. Every file names a patient, so that leaks can be found.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.pixels import get_encoder
from pydicom.uid import (
    HTJ2K,
    JPEG2000,
    UID,
    CTImageStorage,
    DeflatedExplicitVRLittleEndian,
    EnhancedCTImageStorage,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

PATIENT_NAME = "Wunderlich^Rosalinde"
PATIENT_ID = "PID-7731-RW"
BIRTH_DATE = "19510704"
PHYSICIAN = "Quacksalber^Kunibert"
IDENTITY = ("Wunderlich", "Rosalinde", PATIENT_ID, BIRTH_DATE, "Quacksalber")

ROOT = "1.2.826.0.1.3680043.10.999"
STUDY = f"{ROOT}.1"
SERIES = f"{ROOT}.1.1"
FRAME = f"{ROOT}.1.9"

UNCOMPRESSED = {
    "implicit": ImplicitVRLittleEndian,
    "explicit": ExplicitVRLittleEndian,
    "big-endian": ExplicitVRBigEndian,
    "deflated": DeflatedExplicitVRLittleEndian,
}
LOSSLESS = {
    "rle": RLELossless,
    "jpeg-57": JPEGLossless,
    "jpeg-70": JPEGLosslessSV1,
    "jpeg-ls": JPEGLSLossless,
    "jpeg2000-lossless": JPEG2000Lossless,
    "htj2k-lossless": HTJ2KLossless,
    "htj2k-rpcl": HTJ2KLosslessRPCL,
}
LOSSY = {
    "jpeg-ls-near": JPEGLSNearLossless,
    "jpeg2000-lossy": JPEG2000,
    "htj2k-lossy": HTJ2K,
}
NEAR = 3

AXES: Mapping[str, tuple[tuple[float, ...], tuple[float, ...]]] = {
    "HFS": ((1, 0, 0), (0, 1, 0)),
    "HFP": ((-1, 0, 0), (0, -1, 0)),
    "FFS": ((-1, 0, 0), (0, 1, 0)),
    "FFP": ((1, 0, 0), (0, -1, 0)),
    "HFDL": ((0, -1, 0), (1, 0, 0)),
    "coronal": ((1, 0, 0), (0, 0, -1)),
    "coronal-up": ((1, 0, 0), (0, 0, 1)),
    "sagittal": ((0, 1, 0), (0, 0, -1)),
    "sagittal-left": ((0, -1, 0), (0, 0, -1)),
}


def hu_at(world: Any) -> np.ndarray:
    """HU of the test patient at points (..., 3) in mm from the middle of the series.

    Linear, with another slope along each axis, so that linear interpolation keeps
    it; within 200 mm of the middle it has air and tissue and no more than 12 bits.
    """
    x, y, z = np.moveaxis(np.asarray(world, float), -1, 0)
    return -300.3 + 1.3 * x - 1.7 * y + 2.1 * z


def oblique(about_x: float, about_y: float, about_z: float) -> Any:
    """Row and column cosines of an axial plane turned by degrees about x, y, z."""
    turn = np.eye(3)
    for axis, degrees in enumerate((about_x, about_y, about_z)):
        c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
        a, b = [k for k in range(3) if k != axis]
        one = np.eye(3)
        one[a, a] = one[b, b] = c
        one[a, b], one[b, a] = -s, s
        turn = one @ turn
    return tuple(turn[:, 0]), tuple(turn[:, 1])


@dataclass(frozen=True, kw_only=True)
class SeriesSpec:
    """One CT series; the default is axial, 240 x 288 x 360 mm about the origin.

    Attributes:
        offsets_mm: Places of the slices along the step direction, from the first;
            None: regular.
        axes: Row and column cosines, or a name out of AXES.
        tilt_deg: Gantry tilt: slices turned about x, table moves along z.
        rescale: (slope, intercept) of each slice in turn, repeated.
        near: Largest error of JPEG-LS near-lossless.
        garbage: Fill the bits above BitsStored with noise.
        tags: Changed in every slice; None deletes.
    """

    shape: tuple[int, int, int] = (30, 32, 40)
    spacing_mm: tuple[float, float, float] = (8.0, 9.0, 9.0)
    center_mm: tuple[float, float, float] = (0.0, 0.0, 0.0)
    offsets_mm: tuple[float, ...] | None = None
    axes: Any = "HFS"
    tilt_deg: float = 0.0
    syntax: str = ExplicitVRLittleEndian
    bits_stored: int = 16
    signed: bool = True
    rescale: tuple[tuple[float, float], ...] = ((1.0, 0.0),)
    near: int = NEAR
    garbage: bool = False
    series_uid: str = SERIES
    study_uid: str = STUDY
    frame_uid: str | None = FRAME
    description: str = "CHEST 8.0 B30f"
    kernel: str = "B30f"
    thickness_mm: float | None = 8.0
    number: int = 2
    seed: int = 0
    tags: Mapping[str, Any] = field(default_factory=dict)

    def cosines(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Directions of a row, of a column, and of the step to the next slice."""
        row, column = AXES[self.axes] if isinstance(self.axes, str) else self.axes
        row, column = np.array(row, float), np.array(column, float)
        normal = np.cross(row, column)
        if self.tilt_deg:
            t = np.radians(self.tilt_deg)
            column = np.array([0, np.cos(t), np.sin(t)])
        return row, column, normal

    def corners(self) -> np.ndarray:
        """World points (slice, 3) of the first voxel of each slice."""
        row, column, step = self.cosines()
        count, rows, columns = self.shape
        dz, dy, dx = self.spacing_mm
        offsets = np.array(self.offsets_mm or dz * np.arange(count))
        half = (
            row * dx * (columns - 1) / 2
            + column * dy * (rows - 1) / 2
            + step * (offsets[0] + offsets[-1]) / 2
        )
        return np.array(self.center_mm) - half + offsets[:, None] * step

    def points(self) -> np.ndarray:
        """World points (slice, row, column, 3) of every voxel."""
        row, column, _ = self.cosines()
        _, rows, columns = self.shape
        _, dy, dx = self.spacing_mm
        r = np.arange(rows)[:, None, None] * dy * column
        c = np.arange(columns)[None, :, None] * dx * row
        return self.corners()[:, None, None] + r + c


def make_slices(spec: SeriesSpec) -> list[Dataset]:
    """Make the slices in the order of their places, not yet written."""
    row, column, _ = spec.cosines()
    hu, corners = hu_at(spec.points() - np.array(spec.center_mm)), spec.corners()
    rng = np.random.default_rng(spec.seed)
    numbers = rng.permutation(len(corners)) + 1
    slices = []
    for k, (frame, corner) in enumerate(zip(hu, corners, strict=True)):
        ds = make_common(spec, CTImageStorage, f"{spec.series_uid}.{k + 1}")
        ds.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
        ds.InstanceNumber = int(numbers[k])
        ds.ImagePositionPatient = [_ds(v) for v in corner]
        ds.ImageOrientationPatient = [_ds(v) for v in (*row, *column)]
        ds.PixelSpacing = [_ds(v) for v in spec.spacing_mm[1:]]
        ds.SliceLocation = _ds(corner[2])
        slope, intercept = spec.rescale[k % len(spec.rescale)]
        ds.RescaleSlope, ds.RescaleIntercept = _ds(slope), _ds(intercept)
        ds.RescaleType = "HU"
        set_pixels(ds, np.rint((frame - intercept) / slope), spec)
        _change(ds, spec.tags)
        slices.append(ds)
    return slices


def set_pixels(ds: Dataset, stored: np.ndarray, spec: SeriesSpec) -> None:
    """Put stored values into a dataset, in the syntax and bits of the series."""
    ds.Rows, ds.Columns = stored.shape[-2:]
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.BitsAllocated, ds.BitsStored = 16, spec.bits_stored
    ds.HighBit = spec.bits_stored - 1
    ds.PixelRepresentation = int(spec.signed)
    low = -(1 << (spec.bits_stored - 1)) if spec.signed else 0
    values = np.clip(stored, low, low + (1 << spec.bits_stored) - 1).astype(np.int64)
    if spec.garbage:
        above = (0xFFFF << spec.bits_stored) & 0xFFFF
        rng = np.random.default_rng(spec.seed + 1)
        keep = (1 << spec.bits_stored) - 1
        values = (values & keep) | (rng.integers(0, 65536, values.shape) & above)
    ds.file_meta.TransferSyntaxUID = UID(spec.syntax)
    encode(ds, values.astype(np.uint16), spec)


def encode(ds: Dataset, bits: np.ndarray, spec: SeriesSpec) -> None:
    """Store 16-bit patterns (rows, columns) or (frames, rows, columns)."""
    syntax = ds.file_meta.TransferSyntaxUID
    if not syntax.is_encapsulated:
        order = ">u2" if syntax == ExplicitVRBigEndian else "<u2"
        ds.PixelData = bits.astype(order).tobytes()
        ds["PixelData"].VR = "OW"
        return
    frames = bits.reshape(-1, *bits.shape[-2:])
    packed = [_encode_frame(frame, syntax, spec) for frame in frames]
    ds.PixelData = encapsulate(packed)
    ds["PixelData"].VR = "OB"
    ds["PixelData"].is_undefined_length = True


def _encode_frame(bits: np.ndarray, syntax: UID, spec: SeriesSpec) -> bytes:
    keep = (1 << spec.bits_stored) - 1
    if syntax in (JPEGLossless, JPEGLosslessSV1):
        return imagecodecs.ljpeg_encode(bits & keep, bitspersample=spec.bits_stored)
    if syntax in (HTJ2KLossless, HTJ2KLosslessRPCL, HTJ2K):
        values = bits.astype(np.int16) if spec.signed else bits & keep
        if syntax == HTJ2K:
            return imagecodecs.htj2k_encode(values, level=0.0001, reversible=False)
        return imagecodecs.htj2k_encode(values, reversible=True)
    options: dict[str, Any] = {}
    if syntax == JPEGLSNearLossless:
        options = {"jls_error": spec.near}
    elif syntax == JPEG2000:
        options = {"j2k_psnr": [90.0]}
    frame = bits.astype(np.int16) if spec.signed else bits
    return get_encoder(syntax).encode(
        frame,
        rows=frame.shape[0],
        columns=frame.shape[1],
        samples_per_pixel=1,
        number_of_frames=1,
        bits_allocated=16,
        bits_stored=spec.bits_stored,
        pixel_representation=int(spec.signed),
        photometric_interpretation="MONOCHROME2",
        **options,
    )


def make_enhanced(spec: SeriesSpec, *, order: Iterable[int] | None = None) -> Dataset:
    """Make one enhanced multi-frame CT, its frames in a shuffled order."""
    row, column, _ = spec.cosines()
    hu, corners = hu_at(spec.points() - np.array(spec.center_mm)), spec.corners()
    shuffled = np.random.default_rng(spec.seed).permutation(len(corners))
    frames = list(order) if order is not None else shuffled.tolist()
    ds = make_common(spec, EnhancedCTImageStorage, f"{spec.series_uid}.1")
    ds.ImageType = ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"]
    ds.InstanceNumber = 1
    ds.NumberOfFrames = len(frames)
    shared, measures, plane = Dataset(), Dataset(), Dataset()
    measures.PixelSpacing = [_ds(v) for v in spec.spacing_mm[1:]]
    measures.SliceThickness = _ds(spec.thickness_mm or spec.spacing_mm[0])
    plane.ImageOrientationPatient = [_ds(v) for v in (*row, *column)]
    shared.PixelMeasuresSequence = [measures]
    shared.PlaneOrientationSequence = [plane]
    ds.SharedFunctionalGroupsSequence = [shared]
    groups, stored = [], []
    for k in frames:
        group, place, rescale = Dataset(), Dataset(), Dataset()
        place.ImagePositionPatient = [_ds(v) for v in corners[k]]
        slope, intercept = spec.rescale[k % len(spec.rescale)]
        rescale.RescaleSlope, rescale.RescaleIntercept = _ds(slope), _ds(intercept)
        rescale.RescaleType = "HU"
        group.PlanePositionSequence = [place]
        group.PixelValueTransformationSequence = [rescale]
        groups.append(group)
        stored.append(np.rint((hu[k] - intercept) / slope))
    ds.PerFrameFunctionalGroupsSequence = groups
    set_pixels(ds, np.stack(stored), spec)
    _change(ds, spec.tags)
    return ds


def write_slice(ds: Dataset, path: Path, *, preamble: bool = True) -> Path:
    """Write one file; without preamble it is the bare dataset, as old systems do."""
    path.parent.mkdir(parents=True, exist_ok=True)
    syntax = ds.file_meta.TransferSyntaxUID
    if preamble:
        ds.save_as(path, enforce_file_format=True)
    else:
        bare = Dataset()
        bare.update({e.tag: e for e in ds if e.tag.group != 2})
        bare.save_as(
            path,
            implicit_vr=syntax.is_implicit_VR,
            little_endian=syntax.is_little_endian,
        )
    return path


def write_slices(slices: Iterable[Dataset], folder: Path, *, seed: int = 7) -> Path:
    """Write files whose names do not follow the order of the slices."""
    slices = list(slices)
    names = np.random.default_rng(seed).permutation(len(slices))
    for name, ds in zip(names, slices, strict=True):
        write_slice(ds, folder / f"IM{name:04d}.dcm")
    return folder


def make_series(folder: Path, spec: SeriesSpec | None = None) -> Path:
    """Make a series and write it; returns the folder."""
    return write_slices(make_slices(spec or SeriesSpec()), folder)


def make_common(spec: SeriesSpec, sop_class: UID, instance: str) -> Dataset:
    """Make a dataset with the patient, study, series and equipment."""
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.MediaStorageSOPClassUID = sop_class
    ds.file_meta.MediaStorageSOPInstanceUID = UID(instance)
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.SOPClassUID, ds.SOPInstanceUID = sop_class, instance
    ds.PatientName, ds.PatientID = PATIENT_NAME, PATIENT_ID
    ds.PatientBirthDate, ds.ReferringPhysicianName = BIRTH_DATE, PHYSICIAN
    ds.StudyInstanceUID, ds.SeriesInstanceUID = spec.study_uid, spec.series_uid
    if spec.frame_uid:
        ds.FrameOfReferenceUID = spec.frame_uid
    ds.Modality = "CT"
    ds.SeriesNumber = spec.number
    ds.SeriesDescription, ds.ConvolutionKernel = spec.description, spec.kernel
    if spec.thickness_mm is not None:
        ds.SliceThickness = _ds(spec.thickness_mm)
    ds.Manufacturer, ds.ManufacturerModelName = "SIEMENS", "Sensation 64"
    ds.KVP, ds.BodyPartExamined = "120", "CHEST"
    ds.StudyDate = ds.SeriesDate = ds.AcquisitionDate = "20010203"
    ds.AcquisitionNumber = 1
    known = isinstance(spec.axes, str) and spec.axes.isupper()
    ds.PatientPosition = spec.axes if known else "HFS"
    if spec.tilt_deg:
        ds.GantryDetectorTilt = _ds(spec.tilt_deg)
    return ds


def _change(ds: Dataset, tags: Mapping[str, Any]) -> None:
    for keyword, value in tags.items():
        if value is not None:
            setattr(ds, keyword, value)
        elif keyword in ds:
            delattr(ds, keyword)


def _ds(value: float) -> str:
    """Write a decimal string of at most 16 characters, as the standard asks."""
    text = repr(float(value))
    return text if len(text) <= 16 else f"{value:.8f}"[:16]
