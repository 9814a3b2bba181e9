"""Prior and current: what became of each nodule.

The folder: `pairs` (whether two scans are a pair), `registration` and `quality` (one
scan onto the other, and how well), `matching` (which nodule is which), `growth` (how
much it grew, and how sure that is), `comparing` (all of that in one body), `pair`
(from two sources to an assessment with a prior).
"""

from hilum.compare.comparing import compare_readings
from hilum.compare.pair import PairOptions, PairResult, compare, compare_volumes
from hilum.compare.registration import Register, Registration

__all__ = [
    "PairOptions",
    "PairResult",
    "Register",
    "Registration",
    "compare",
    "compare_readings",
    "compare_volumes",
]
