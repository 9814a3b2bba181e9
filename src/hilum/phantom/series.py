"""Write a phantom as a scanner would: a DICOM series, and its truth beside it.

The tags are those of the CT Image IOD (DICOM PS3.3 A.3). UIDs, dates and names
follow from the phantom's settings, so that the same phantom is the same file.
"""

from __future__ import annotations

import csv
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hilum._names import name_of
from hilum._threads import in_threads
from hilum.errors import InputError
from hilum.phantom.chest import KERNEL_NAMES, Phantom, uid_of

if TYPE_CHECKING:
    from pydicom import Dataset

LUNA16_COLUMNS = ("seriesuid", "coordX", "coordY", "coordZ", "diameter_mm")
TRUTH_COLUMNS = (
    "volume_mm3",
    "long_axis_mm",
    "short_axis_mm",
    "type",
    "solid_diameter_mm",
    "form",
    "site",
)
CT_IMAGE_STORAGE = "1.2.840.10008.5.1.4.1.1.2"
EXPLICIT_LITTLE_ENDIAN = "1.2.840.10008.1.2.1"
IMPLEMENTATION = "2.25.115264231806531459213713117305911207936"


def write_phantom(phantom: Phantom, folder: str | Path) -> Path:
    """Write a phantom as a DICOM series with `annotations.csv` beside it.

    Slices are uncompressed, explicit little endian, named and numbered from head
    to foot. `annotations.csv` has the columns of LUNA16, then what else is known.

    Args:
        phantom: What to write.
        folder: Where; made if absent. The series goes into a subfolder of it,
            named after its UID.

    Returns:
        The subfolder with the slices.

    Raises:
        InputError: The folder cannot be written to.
    """
    folder = Path(folder)
    series = folder / phantom.volume.series_uid
    try:
        series.mkdir(parents=True, exist_ok=True)
        _write_annotations(phantom, folder / "annotations.csv")
        _write_slices(phantom, series)
    except OSError as error:
        raise InputError(
            f"Cannot write the phantom to `{name_of(folder)}`: {error.strerror}. "
            "Name a folder that can be written to, on a disk with room for it."
        ) from error
    return series


def _write_annotations(phantom: Phantom, path: Path) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(LUNA16_COLUMNS + TRUTH_COLUMNS)
        for truth in phantom.truths:
            places = [f"{v:.4f}" for v in (*truth.center_mm, truth.diameter_mm)]
            more = [getattr(truth, name) for name in TRUTH_COLUMNS]
            writer.writerow(
                [phantom.volume.series_uid, *places]
                + [f"{v:.4f}" if isinstance(v, float) else v for v in more]
            )


def _write_slices(phantom: Phantom, folder: Path) -> None:
    from pydicom.filebase import DicomBytesIO  # noqa: PLC0415  only for writing
    from pydicom.filewriter import dcmwrite  # noqa: PLC0415  only for writing

    hu = phantom.volume.hu
    count = len(hu)
    heads: list[bytes] = []
    for number in range(count):
        buffer = DicomBytesIO()
        dcmwrite(buffer, _header(phantom, count - 1 - number), enforce_file_format=True)
        heads.append(buffer.getvalue())

    def part(first: int, last: int) -> None:
        for number in range(first, last):
            stored = (hu[count - 1 - number] + 1024).astype("<i2").tobytes()
            pixels = b"\xe0\x7f\x10\x00OW\x00\x00" + len(stored).to_bytes(4, "little")
            path = folder / f"{number + 1:04d}.dcm"
            path.write_bytes(heads[number] + pixels + stored)

    in_threads(part, count)


def _header(phantom: Phantom, index: int) -> Dataset:
    """Everything of one slice but its pixels."""
    from pydicom.dataset import Dataset, FileMetaDataset  # noqa: PLC0415

    volume, settings = phantom.volume, phantom.settings
    number = len(volume.hu) - index
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = CT_IMAGE_STORAGE
    meta.MediaStorageSOPInstanceUID = uid_of("instance", volume.series_uid, number)
    meta.TransferSyntaxUID = EXPLICIT_LITTLE_ENDIAN
    meta.ImplementationClassUID = IMPLEMENTATION
    meta.ImplementationVersionName = "HILUM"
    header = Dataset()
    header.file_meta = meta
    tags = _patient_and_study(phantom) | _equipment(phantom)
    tags |= {
        "SOPClassUID": CT_IMAGE_STORAGE,
        "SOPInstanceUID": meta.MediaStorageSOPInstanceUID,
        "InstanceNumber": number,
        "FrameOfReferenceUID": volume.grid.frame_uid,
        "PositionReferenceIndicator": "",
        "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"],
        "GantryDetectorTilt": _decimal(settings.tilt_deg),
    }
    tags |= _plane(phantom, index)
    for keyword, value in tags.items():
        setattr(header, keyword, value)
    return header


def _patient_and_study(phantom: Phantom) -> dict[str, Any]:
    volume, settings = phantom.volume, phantom.settings
    tags: dict[str, Any] = {
        "SpecificCharacterSet": "ISO_IR 192",
        "PatientName": f"PHANTOM^SEED{settings.seed}",
        "PatientID": f"PHANTOM-{settings.seed}",
        "PatientBirthDate": "19550101",
        "PatientSex": "O",
        "PatientIdentityRemoved": "YES",
        "DeidentificationMethod": "Synthetic",
        "StudyInstanceUID": volume.acquisition.study_uid,
        "StudyID": str(settings.scan),
        "StudyDescription": "Synthetic chest CT",
        "AccessionNumber": "",
        "ReferringPhysicianName": "",
        "SeriesInstanceUID": volume.series_uid,
        "SeriesNumber": 1,
        "SeriesDescription": volume.acquisition.description,
        "AcquisitionNumber": 1,
        "Modality": "CT",
    }
    for stage in ("Study", "Series", "Acquisition", "Content"):
        tags[f"{stage}Date"] = settings.acquired
        tags[f"{stage}Time"] = "120000"
    return tags


def _equipment(phantom: Phantom) -> dict[str, Any]:
    acquisition, settings = phantom.volume.acquisition, phantom.settings
    tags: dict[str, Any] = {
        "Manufacturer": acquisition.manufacturer,
        "ManufacturerModelName": acquisition.model,
        "SoftwareVersions": "hilum phantom",
        "BodyPartExamined": acquisition.body_part,
        "PatientPosition": acquisition.patient_position,
        "KVP": _decimal(acquisition.kvp or 120.0),
        "ConvolutionKernel": KERNEL_NAMES[settings.kernel],
        "RotationDirection": "CW",
    }
    if settings.blood_hu > 100:
        tags["ContrastBolusAgent"] = "Synthetic"
    if math.isfinite(settings.dose):
        tags["XRayTubeCurrent"] = max(1, round(200 * settings.dose))
        tags["ExposureTime"] = 500
    return tags


def _plane(phantom: Phantom, index: int) -> dict[str, Any]:
    """Where the slice lies and how its pixels are stored."""
    grid = phantom.volume.grid
    _, rows, columns = grid.shape
    _, row_mm, column_mm = grid.spacing_mm
    across, down = grid.affine[:3, 2] / column_mm, grid.affine[:3, 1] / row_mm
    corner = grid.to_world([index, 0, 0])
    return {
        "ImagePositionPatient": [_decimal(v) for v in corner],
        "ImageOrientationPatient": [_decimal(v) for v in (*across, *down)],
        "SliceLocation": _decimal(corner[2]),
        "PixelSpacing": [_decimal(row_mm), _decimal(column_mm)],
        "SliceThickness": _decimal(phantom.settings.thickness_mm),
        "Rows": rows,
        "Columns": columns,
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2",
        "BitsAllocated": 16,
        "BitsStored": 16,
        "HighBit": 15,
        "PixelRepresentation": 1,
        "RescaleIntercept": "-1024",
        "RescaleSlope": "1",
        "RescaleType": "HU",
        "WindowCenter": ["-600", "40"],
        "WindowWidth": ["1500", "400"],
    }


def _decimal(value: float) -> str:
    """Write a number as DICOM's decimal string, at most 16 characters."""
    text = f"{float(value):.8f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text[:16]
