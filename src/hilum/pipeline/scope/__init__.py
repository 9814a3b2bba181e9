"""Whether the figures hold for a series, and what may be said when they do not.

Every check has a stable code, what was measured, and its limits. One that decides puts
the series out of scope when it fails; the others leave a doubt.

The folder: `checks` (a measured value against its limits), `stacking` (slices),
`anatomy` (lungs and chest), `intensities` (Hounsfield units, contrast), `texture`
(reconstruction kernel, metal), `judging` (all of them), `patient` (what is said of the
probability).

The limits rest on the eleven scans that the detector was trained on (LIDC-IDRI and QIN
LUNG CT, 2.5 and 3 mm): each module says what they measured.
"""

from hilum.pipeline.scope.judging import judge_scope, scope_notices
from hilum.pipeline.scope.patient import patient_notices

__all__ = ["judge_scope", "patient_notices", "scope_notices"]
