"""Whose study it is, what made the document, and under which UIDs."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from io import BytesIO
from pathlib import Path
from typing import Any

from hilum._version import __version__
from hilum.dicom.headers import Header
from hilum.dicom.instances import Instances
from hilum.formats.atomic import replacing

MANUFACTURER = "hilum"
MODEL = "hilum"
RESEARCH = "For research and teaching. Not a medical device."
IMPLEMENTATION = "2.25.115264231806531459213713117305911207936"
DEVICE = "2.25.271582946130572409113829350427151240715"
"""UID of hilum as the observer of its reports."""

UTF_8 = "ISO_IR 192"
SERIES = {"SEG": 1, "SR": 2, "OT": 3}
"""Added to a hundred times the number of the CT series."""

_PATIENT = (
    *("PatientName", "PatientID", "IssuerOfPatientID", "TypeOfPatientID"),
    *("IssuerOfPatientIDQualifiersSequence", "PatientBirthDate", "PatientBirthTime"),
    *("PatientSex", "QualityControlSubject", "OtherPatientNames"),
    *("OtherPatientIDsSequence", "EthnicGroupCodeSequence", "PatientComments"),
    *("PatientSpeciesDescription", "PatientSpeciesCodeSequence"),
    *("ResponsiblePerson", "ResponsiblePersonRole", "ResponsibleOrganization"),
    *("PatientIdentityRemoved", "DeidentificationMethod"),
    "DeidentificationMethodCodeSequence",
    *("ClinicalTrialSponsorName", "ClinicalTrialProtocolID"),
    *("ClinicalTrialProtocolName", "ClinicalTrialSiteID", "ClinicalTrialSiteName"),
    *("ClinicalTrialSubjectID", "ClinicalTrialSubjectReadingID"),
)
_STUDY = (
    *("StudyInstanceUID", "StudyDate", "StudyTime", "AccessionNumber", "StudyID"),
    *("IssuerOfAccessionNumberSequence", "ReferringPhysicianName"),
    *("StudyDescription", "ProcedureCodeSequence", "PhysiciansOfRecord"),
    *("NameOfPhysiciansReadingStudy", "PatientAge", "PatientSize", "PatientWeight"),
    *("AdmissionID", "AdditionalPatientHistory", "AdmittingDiagnosesDescription"),
    *("ClinicalTrialTimePointID", "ClinicalTrialTimePointDescription"),
)
_SERIES = (
    *("SeriesInstanceUID", "SeriesNumber", "Modality", "BodyPartExamined"),
    *("FrameOfReferenceUID", "PositionReferenceIndicator", "PatientPosition"),
    *("Manufacturer", "ManufacturerModelName", "SoftwareVersions"),
    *("DeviceSerialNumber", "InstitutionName", "StationName"),
)
_LOSS = (
    *("LossyImageCompression", "LossyImageCompressionRatio"),
    "LossyImageCompressionMethod",
)
_FRAMES = (
    *("SOPClassUID", "SOPInstanceUID", "InstanceNumber", "ImageType", "Rows"),
    *("Columns", "NumberOfFrames", "SharedFunctionalGroupsSequence"),
    *("PerFrameFunctionalGroupsSequence", "DimensionOrganizationSequence"),
)
_WANTED = (*_PATIENT, *_STUDY, *_SERIES, *_LOSS, *_FRAMES)
_NEEDED = (
    *("PatientID", "PatientName", "PatientBirthDate", "PatientSex"),
    *("AccessionNumber", "StudyID", "StudyDate", "StudyTime"),
    *("ReferringPhysicianName", "PositionReferenceIndicator", "Manufacturer"),
)
"""What every object of the study has to have, be it empty."""


@dataclass(frozen=True, eq=False)
class Context:
    """What the documents of one assessment share.

    Attributes:
        instances: The images that they refer to.
        when: When they are made.
    """

    instances: Instances
    when: datetime = field(default_factory=datetime.now)

    @cached_property
    def _read(self) -> tuple[Any, Any]:
        """Read what all slices share, and apart from it the patient's name."""
        found = self.instances.read_tags(_WANTED)
        _make_valid(found)
        name = deepcopy(found["PatientName"])
        found.PatientName = None
        return found, name

    @property
    def shared(self) -> Any:
        """What all slices share, as read from the first: patient, study, series.

        It lacks the patient's name, which the library puts into its warnings; `name`
        adds it to what was made.

        Raises:
            InputError: The file cannot be read any more.
        """
        return self._read[0]

    def name(self, document: Any) -> Any:
        """Give a document its patient's name, and return it.

        Args:
            document: A pydicom data set, without the name.
        """
        document.add(self._read[1])
        return document

    def sources(self, places: Sequence[int]) -> list[Any]:
        """Describe the slices that a document refers to, as its library wants them.

        Args:
            places: Places among `instances.slices`; at least one.

        Returns:
            A data set a slice, without pixels: the first with patient and study, all
            with their series and place. Frames of one instance share one.

        Raises:
            InputError: A file cannot be read any more.
        """
        if self.instances.slices[0].frames > 1:
            return [self.shared] * len(places)
        found = [_slice(self.instances.slices[place], self.shared) for place in places]
        for keyword in (*_PATIENT, *_STUDY, "SpecificCharacterSet"):
            if keyword in self.shared:
                found[0].add(self.shared[keyword])
        return found

    def series_number(self, modality: str) -> int:
        """Number a new series, so that it sorts behind its CT.

        Args:
            modality: Of the new series.
        """
        try:
            number = max(0, int(self.shared.get("SeriesNumber") or 0))
        except (TypeError, ValueError):
            number = 0
        return min(number, 10_000_000) * 100 + SERIES[modality]


def new_uid() -> str:
    """Make a UID of a random UUID, under the root 2.25."""
    from pydicom.uid import generate_uid  # noqa: PLC0415  slow to import

    return str(generate_uid(prefix=None))


def to_bytes(dataset: Any) -> bytes:
    """Write a document as a DICOM file.

    Args:
        dataset: A pydicom data set with its file meta information.
    """
    from pydicom.filewriter import dcmwrite  # noqa: PLC0415  slow to import

    dataset.file_meta.ImplementationClassUID = IMPLEMENTATION
    dataset.file_meta.ImplementationVersionName = f"HILUM {__version__}"[:16]
    buffer = BytesIO()
    dcmwrite(buffer, dataset, enforce_file_format=True)
    return buffer.getvalue()


def write_dicom(dataset: Any, path: Path) -> None:
    """Write a document to a file, whole or not at all.

    Args:
        dataset: As for `to_bytes`.
        path: The file; replaced where it exists.
    """
    data = to_bytes(dataset)
    with replacing(path) as file:
        file.write(data)


def scanner_of(source: Any) -> list[Any]:
    """Name the scanner as equipment that contributed, where it is known.

    Args:
        source: A slice of the CT.
    """
    from highdicom import ContributingEquipment  # noqa: PLC0415  slow to import

    try:
        return [ContributingEquipment.for_image_acquisition(source)]
    except (AttributeError, TypeError, ValueError):  # it lacks a manufacturer, or more
        return []


def _slice(header: Header, shared: Any) -> Any:
    """Describe one slice by what its header told."""
    from pydicom import Dataset  # noqa: PLC0415  slow to import

    described = Dataset()
    for keyword in ("StudyInstanceUID", *_SERIES, *_LOSS):
        if keyword in shared:
            described.add(shared[keyword])
    described.SOPClassUID = header.sop_class
    described.SOPInstanceUID = header.instance_uid
    described.InstanceNumber = header.instance_number
    described.Rows = header.format.rows
    described.Columns = header.format.columns
    described.ImagePositionPatient = list(header.position_mm or ())
    described.ImageOrientationPatient = list(header.orientation or ())
    described.PixelSpacing = list(header.spacing_mm or ())
    described.SliceThickness = header.thickness_mm
    return described


def _make_valid(source: Any) -> None:
    """Add what must be there, and empty what breaks the rules of its kind."""
    from pydicom.valuerep import DA, TM  # noqa: PLC0415  slow to import

    for keyword in _NEEDED:
        if keyword not in source:
            setattr(source, keyword, None)
    for keyword, kind in (
        *(("PatientBirthDate", DA), ("StudyDate", DA), ("StudyTime", TM)),
        ("PatientBirthTime", TM),
    ):
        if keyword in source:
            try:
                kind(source.get(keyword))
            except (TypeError, ValueError):
                setattr(source, keyword, None)
    if source.PatientSex not in ("M", "F", "O"):
        source.PatientSex = None
    if source.get("PatientIdentityRemoved") == "YES" and not (
        source.get("DeidentificationMethod")
        or source.get("DeidentificationMethodCodeSequence")
    ):
        source.DeidentificationMethod = "not stated"
    source.SpecificCharacterSet = UTF_8
