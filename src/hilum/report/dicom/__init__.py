"""What other systems read: DICOM SR, SEG and key images of one assessment.

Each document refers to the instances that were assessed, lies in their study and
frame of reference, and says what made it. Text is UTF-8 whatever the source uses.
New UIDs are made of a random UUID under the root 2.25, so no two documents share one.

The folder: `made` (all documents of one assessment), `context` (patient, study,
equipment, UIDs), `codes` (every code that is written), `placing` (masks back onto the
slices), `seg`, `sr` and `capture` (one document each), `loading` (their library).

Sources:
    DICOM PS3.3 A.35.13 (Comprehensive 3D SR), A.51 (Segmentation), A.8.1 (Secondary
    Capture); PS3.16 TID 1500; PS3.5 B.2.
"""

from hilum.report.dicom.context import to_bytes, write_dicom
from hilum.report.dicom.loading import load_library
from hilum.report.dicom.made import DicomDocuments
from hilum.report.dicom.seg import SegmentStyle

__all__ = [
    "DicomDocuments",
    "SegmentStyle",
    "load_library",
    "to_bytes",
    "write_dicom",
]
