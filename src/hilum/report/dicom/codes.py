"""Every code that the documents use, with the scheme that defines it.

What no public scheme names has a code of hilum's own, scheme 99HILUM.

Sources:
    DICOM PS3.16 (CID 7151, 7181, 7469, 6048, 6102, 6141); SNOMED CT; RadLex 4
    (RID50134 Lung-RADS assessment and RID50136 to RID50141, its categories).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hilum.findings import Nodule

OWN = "99HILUM"
OWN_NAME = "hilum: terms of its reports that no public scheme names"

LARGEST_NODULE_MM = 30.0
"""What is larger is a mass (Fleischner Society glossary of terms, 2008)."""


@dataclass(frozen=True, slots=True)
class Term:
    """A code, the scheme that it belongs to, and what it means."""

    value: str
    scheme: str
    meaning: str

    def to_code(self) -> Any:
        """Give it as the documents' library wants it."""
        from highdicom.sr import CodedConcept  # noqa: PLC0415  slow to import

        return CodedConcept(self.value, self.scheme, self.meaning)


NODULE = Term("27925004", "SCT", "Nodule")
MASS = Term("4147007", "SCT", "Mass")
ABNORMAL = Term("49755003", "SCT", "Morphologically abnormal structure")
LUNG = Term("39607008", "SCT", "Lung")
ORGAN = Term("113343008", "SCT", "Organ")
RIGHT = Term("24028007", "SCT", "Right")
LEFT = Term("7771000", "SCT", "Left")
LOBES = {
    "upper lobe": Term("45653009", "SCT", "Upper lobe of lung"),
    "middle lobe": Term("72481006", "SCT", "Middle lobe of right lung"),
    "lower lobe": Term("90572001", "SCT", "Lower lobe of lung"),
}

CT = Term("25045-6", "LN", "CT unspecified body region")
"""The one of CID 100 that holds for a chest."""

LONG_AXIS = Term("103339001", "SCT", "Long Axis")
SHORT_AXIS = Term("103340004", "SCT", "Short Axis")
DIAMETER = Term("81827009", "SCT", "Diameter")
SOLID_DIAMETER = Term("solid-diameter", OWN, "Diameter of solid part")
VOLUME = Term("118565006", "SCT", "Volume")
ATTENUATION = Term("112031", "DCM", "Attenuation Coefficient")
MEAN = Term("373098007", "SCT", "Mean")
PROBABILITY = Term("111047", "DCM", "Probability of cancer")
DETECTION = Term("detection-score", OWN, "Detection score")

MILLIMETRE = Term("mm", "UCUM", "mm")
CUBIC_MILLIMETRE = Term("mm3", "UCUM", "mm3")
HOUNSFIELD = Term("[hnsf'U]", "UCUM", "Hounsfield unit")
NO_UNIT = Term("1", "UCUM", "no units")

KIND = Term("nodule-kind", OWN, "Density of nodule")
KINDS = {
    "solid": Term("solid", OWN, "Solid"),
    "part-solid": Term("part-solid", OWN, "Part-solid"),
    "ground-glass": Term("112120", "DCM", "Ground glass opacity"),
    "calcified": Term("18115005", "SCT", "Pathologic calcification"),
}
LUNG_RADS = Term("RID50134", "RADLEX", "Lung-RADS assessment")
CATEGORIES = {
    "1": Term("RID50136", "RADLEX", "Lung-RADS 1"),
    "2": Term("RID50137", "RADLEX", "Lung-RADS 2"),
    "3": Term("RID50138", "RADLEX", "Lung-RADS 3"),
    "4A": Term("RID50139", "RADLEX", "Lung-RADS 4A"),
    "4B": Term("RID50140", "RADLEX", "Lung-RADS 4B"),
    "4X": Term("RID50141", "RADLEX", "Lung-RADS 4X"),
}
SCOPE = Term("scope", OWN, "Scope of the figures")
IN_SCOPE = Term("in-scope", OWN, "In scope")
OUT_OF_SCOPE = Term("out-of-scope", OWN, "Out of scope")

QUALITATIVE = Term("C0034375", "UMLS", "Qualitative Evaluations")
COMMENT = Term("121106", "DCM", "Comment")


def finding_of(nodule: Nodule) -> Term:
    """Tell a nodule from a mass.

    Args:
        nodule: Its long axis decides.
    """
    return MASS if nodule.long_axis_mm > LARGEST_NODULE_MM else NODULE


def site_of(nodule: Nodule) -> tuple[Term, Term | None]:
    """Give the place of a nodule, and its side where that is known.

    Args:
        nodule: Its lobe is used where it is one of `LOBES`, whatever its side is
            called there.
    """
    side = {"right": RIGHT, "left": LEFT}.get(nodule.side or "")
    name = (nodule.lobe or "").lower()
    for lobe, term in LOBES.items():
        if name.endswith(lobe):
            return term, side
    return LUNG, side
