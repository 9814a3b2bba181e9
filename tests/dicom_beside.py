"""What lies beside the slices of a study and is no CT of a chest; and zips."""

from __future__ import annotations

import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
from dicom_maker import SeriesSpec, make_common, set_pixels
from pydicom.dataset import Dataset
from pydicom.uid import UID, ExplicitVRLittleEndian

KINDS = (
    "localizer",
    "dose-report",
    "secondary-capture",
    "rtstruct",
    "seg",
    "presentation",
    "mr",
    "pet",
)


def make_beside(kind: str, spec: SeriesSpec | None = None) -> Dataset:
    """Make what lies beside the slices of a study and is no CT of a chest.

    Args:
        kind: localizer, dose-report, secondary-capture, rtstruct, seg,
            presentation, mr or pet.
        spec: Series of the study.
    """
    spec = spec or SeriesSpec()
    classes = {
        "localizer": ("1.2.840.10008.5.1.4.1.1.2", "CT"),
        "dose-report": ("1.2.840.10008.5.1.4.1.1.88.67", "SR"),
        "secondary-capture": ("1.2.840.10008.5.1.4.1.1.7", "CT"),
        "rtstruct": ("1.2.840.10008.5.1.4.1.1.481.3", "RTSTRUCT"),
        "seg": ("1.2.840.10008.5.1.4.1.1.66.4", "SEG"),
        "presentation": ("1.2.840.10008.5.1.4.1.1.11.1", "PR"),
        "mr": ("1.2.840.10008.5.1.4.1.1.4", "MR"),
        "pet": ("1.2.840.10008.5.1.4.1.1.128", "PT"),
    }
    sop_class, modality = classes[kind]
    own = f"{spec.study_uid}.77{list(classes).index(kind)}"
    ds = make_common(replace(spec, series_uid=own), UID(sop_class), f"{own}.1")
    ds.Modality, ds.SeriesDescription = modality, kind
    if kind == "localizer":
        ds.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
        ds.ImagePositionPatient = [-250, 0, 200]
        ds.ImageOrientationPatient = [1, 0, 0, 0, 0, -1]
        ds.PixelSpacing = [2, 2]
        ds.RescaleSlope, ds.RescaleIntercept = 1, 0
        set_pixels(ds, np.zeros((200, 250)), spec)
    elif kind == "secondary-capture":
        ds.ImageType = ["DERIVED", "SECONDARY"]
        set_rgb(ds, 32, 40)
    elif kind == "seg":
        ds.Rows, ds.Columns, ds.NumberOfFrames = 32, 40, 2
        ds.BitsAllocated = ds.BitsStored = 1
        ds.HighBit = ds.PixelRepresentation = 0
        ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
        ds.PixelData = b"\x0f" * (32 * 40 * 2 // 8)
        ds["PixelData"].VR = "OB"
    elif kind in ("mr", "pet"):
        ds.ImagePositionPatient, ds.ImageOrientationPatient = (
            [0, 0, 0],
            [1, 0, 0, 0, 1, 0],
        )
        ds.PixelSpacing = [9, 9]
        set_pixels(ds, np.ones((32, 40)), spec)
    elif kind in ("dose-report",):
        ds.ValueType, ds.ContinuityOfContent = "CONTAINER", "SEPARATE"
    return ds


def set_rgb(ds: Dataset, rows: int, columns: int) -> None:
    """Turn a dataset into a colour picture."""
    ds.Rows, ds.Columns, ds.SamplesPerPixel = rows, columns, 3
    ds.PhotometricInterpretation, ds.PlanarConfiguration = "RGB", 0
    ds.BitsAllocated = ds.BitsStored = 8
    ds.HighBit, ds.PixelRepresentation = 7, 0
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.PixelData = bytes(rows * columns * 3)
    ds["PixelData"].VR = "OB"


def zip_folder(folder: Path, path: Path, *, inside: str = "a/b") -> Path:
    """Zip the files of a folder, in folders of their own."""
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in files:
            archive.write(file, f"{inside}/{file.relative_to(folder)}")
    return path
