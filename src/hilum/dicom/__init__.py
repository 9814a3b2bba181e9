"""CT series in DICOM: found, chosen by a rule, and read into Hounsfield units.

Every question of DICOM is asked here and once. Positions decide where slices lie;
a repair becomes a notice of the volume, an impossibility an `InputError`, and no
message or notice names a patient.

`find_studies` walks a folder, a file or a zip and describes each series from its
headers; `choose_series` picks one by a stated rule; `read_series` reads it.
`read_dicom` does all three.
"""

from __future__ import annotations

from hilum.dicom.choice import choose_series
from hilum.dicom.reader import read_dicom, read_series
from hilum.dicom.search import Search, find_studies
from hilum.dicom.series import Series, Study

__all__ = [
    "Search",
    "Series",
    "Study",
    "choose_series",
    "find_studies",
    "read_dicom",
    "read_series",
]
