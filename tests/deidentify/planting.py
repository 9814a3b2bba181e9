"""Identifiers, put wherever a file has room for them."""

from __future__ import annotations

from dicom_maker import BIRTH_DATE, PATIENT_ID, PHYSICIAN
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.uid import UID

SECRETS = (
    "Wunderlich",
    "WUNDERLICH",
    "Rosalinde",
    PATIENT_ID,
    BIRTH_DATE,
    "Quacksalber",
    "Kunibert",
    "St. Marien",
    "Zeppelinstrasse",
    "0176-5550",
    "ACC-990017",
    "MRN-4411",
    "SN-88123",
    "ROOM-17B",
    "1.2.826.0.1.3680043.10.999",
    "20010203",
)


def plant(ds: Dataset) -> Dataset:
    """Put identifiers into more than 20 places of an image."""
    name = "Wunderlich^Rosalinde"
    _plant_plainly(ds, name)
    _plant_nested(ds, name)
    _plant_in_private(ds, name)
    _plant_where_none_belong(ds, name)
    ds.file_meta.SourceApplicationEntityTitle = "MRN-4411"
    ds.file_meta.PrivateInformationCreatorUID = UID(f"{ds.StudyInstanceUID}.5")
    ds.file_meta.PrivateInformation = name.encode()
    ds.preamble = (name + PATIENT_ID).encode().ljust(128, b"\0")
    return ds


def _plant_plainly(ds, name):
    ds.OtherPatientIDs = ["MRN-4411", PATIENT_ID]
    ds.OtherPatientNames = name
    ds.PatientAddress = "Zeppelinstrasse 3"
    ds.PatientTelephoneNumbers = "0176-5550"
    ds.AccessionNumber = "ACC-990017"
    ds.StudyID = "MRN-4411"
    ds.InstitutionName = "St. Marien"
    ds.InstitutionAddress = "Zeppelinstrasse 3"
    ds.OperatorsName = PHYSICIAN
    ds.NameOfPhysiciansReadingStudy = PHYSICIAN
    ds.StationName = "ROOM-17B"
    ds.DeviceSerialNumber = "SN-88123"
    ds.StudyDescription = "CHEST for Wunderlich, see 1.2.826.0.1.3680043.10.999.1"
    ds.SeriesDescription = "Thorax Wunderlich 1.25 mm"
    ds.ProtocolName = "Quacksalber thorax"
    ds.PatientComments = f"{name} called 0176-5550"
    ds.ImageComments = f"born {BIRTH_DATE}"
    ds.AdditionalPatientHistory = "Rosalinde smokes"
    ds.RequestedProcedureDescription = "CT of WUNDERLICH"
    ds.DerivationDescription = "by Kunibert"
    ds.PatientAge, ds.PatientSex, ds.PatientWeight = "094Y", "F", "61"


def _plant_nested(ds, name):
    deepest = Dataset()
    deepest.PersonName = name
    deepest.TextValue = f"{name} {PATIENT_ID}"
    deepest.ReferencedSOPInstanceUID = f"{ds.StudyInstanceUID}.4"
    middle = Dataset()
    middle.ReferencedImageSequence = [deepest]
    middle.RequestedProcedureID = "ACC-990017"
    middle.ScheduledPerformingPhysicianName = PHYSICIAN
    ds.RequestAttributesSequence = [middle]
    source = Dataset()
    source.ReferencedSOPClassUID = ds.SOPClassUID
    source.ReferencedSOPInstanceUID = f"{ds.SeriesInstanceUID}.77"
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator = "W1", "99LOCAL"
    code.CodeMeaning = "Ward of Wunderlich"
    known = Dataset()
    known.CodeValue, known.CodingSchemeDesignator = "113014", "DCM"
    known.CodeMeaning = "Study"
    source.PurposeOfReferenceCodeSequence = [code, known]
    ds.SourceImageSequence = [source]
    anatomy = Dataset()
    anatomy.CodeValue, anatomy.CodingSchemeDesignator = "51185008", "SCT"
    anatomy.CodeMeaning = "Chest of Rosalinde"
    ds.AnatomicRegionSequence = [anatomy]


def _plant_in_private(ds, name):
    block = ds.private_block(0x0009, "ACME 1", create=True)
    block.add_new(0x01, "LO", name)
    inner = Dataset()
    inner.PatientName = name
    block.add_new(0x02, "SQ", [inner])
    named = ds.private_block(0x0029, name, create=True)
    named.add_new(0x10, "OB", PATIENT_ID.encode() + b"\0")
    nested = ds.RequestAttributesSequence[0].private_block(0x11, "ACME 2", create=True)
    nested.add_new(0x01, "UN", name.encode())


def _plant_where_none_belong(ds, name):
    """Into what is kept, and into what the standard's table does not list."""
    ds.SoftwareVersions = ["VB10", "edited by Wunderlich"]
    ds.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL", "WUNDERLICH"]
    ds.WindowCenterWidthExplanation = "Rosalinde"
    ds.FilterType = "W_WUNDERLICH_1"
    ds.BodyPartExamined = BIRTH_DATE
    ds.add(DataElement(0x00181271, "LO", name))  # a number by the dictionary
    ds.add(DataElement(0x00281203, "OW", name.encode()))  # a palette
    ds.add(DataElement(0x60000010, "US", 8))
    ds.add(DataElement(0x60000022, "LO", name))
    ds.add(DataElement(0x60003000, "OW", name.encode()))
    ds.add(DataElement(0x50003000, "OW", name.encode()))
    ds.add(DataElement(0x00080301, "US", 8))
    ds.add(DataElement(0xFFFCFFFC, "OB", name.encode()))
    ds.add(DataElement(0x00189074, "DT", "20010203101500.5+0100"))
    ds.add(DataElement(0x0018702B, "LO", PATIENT_ID))
    ds.PatientIdentityRemoved = "NO"
    ds.DeidentificationMethod = name
