"""Many scans: in a folder, a table, a data set's layout or a DICOMweb server.

Every engine gives the same results: a worker is a process that holds the networks,
whether there is one, one for each share of the cores, or a cluster of machines. What
is done stands on the disk, and a run that was stopped in whatever way goes on.

The folder: `cohort` and `table` (which scans), `order` (what is to be done and what
came of it), `work` (one scan), `worker` (the process around it), `hand` (that process
from outside, with limits), `plan` and `crew` (several of them), `cluster` (on other
machines), `ledger` and `outputs` (the tables), `running` (all of that in one body).
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hilum.batch.cohort import find_cohort
    from hilum.batch.order import Failure, Row, Scan
    from hilum.batch.running import (
        BatchProgress,
        BatchResult,
        BatchSettings,
        run_batch,
    )

_HOMES = {
    "hilum.batch.cohort": ("find_cohort",),
    "hilum.batch.order": ("Failure", "Row", "Scan"),
    "hilum.batch.running": (
        "BatchProgress",
        "BatchResult",
        "BatchSettings",
        "run_batch",
    ),
}
_HOME = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "BatchProgress",
    "BatchResult",
    "BatchSettings",
    "Failure",
    "Row",
    "Scan",
    "find_cohort",
    "run_batch",
]


def __getattr__(name: str) -> Any:
    """Load a name when it is first used: a worker starts with few of them."""
    if name not in _HOME:
        raise AttributeError(f"module 'hilum.batch' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)
