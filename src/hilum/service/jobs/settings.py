"""What a service may use, and for how long it keeps things."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from hilum.errors import InputError

ASSESSOR = "hilum.service.jobs.assessor:assess_study"


@dataclass(frozen=True, slots=True, kw_only=True)
class JobSettings:
    """How jobs are run and kept.

    Attributes:
        data: Folder of the service; made when it is not there.
        database: URL of a PostgreSQL database, such as
            "postgresql://user@host/hilum"; None: SQLite files in `data`.
        formats: Documents to write, as `write_documents` names them.
        workers: Studies that are assessed at once, each in a process of its own.
        worker_gb: Memory at which a worker is stopped, in GB.
        worker_minutes: Time after which a worker is stopped.
        worker_nice: How far a worker steps back for the page, 0 to 19.
        keep_days: Age at which a finished study is removed; None: never.
        keep_gb: Size of all studies above which the oldest finished are removed,
            in GB; None: no limit.
        free_gb: Room on the disk below which nothing is accepted or begun, in GB.
        delivery_attempts: Times a delivery is tried.
        delivery_pause_s: Pause after the first failed try; doubles each time.
        assessor: What a worker runs, "module:function"; see `worker`.
        poll_s: How often queues are looked at.

    Raises:
        InputError: A number is out of its range.
    """

    data: Path
    database: str | None = None
    formats: tuple[str, ...] = ("json", "html")
    workers: int = 1
    worker_gb: float = 6.0
    worker_minutes: float = 30.0
    worker_nice: int = 10
    keep_days: float | None = None
    keep_gb: float | None = None
    free_gb: float = 1.0
    delivery_attempts: int = 8
    delivery_pause_s: float = 2.0
    assessor: str = ASSESSOR
    poll_s: float = 0.5

    def __post_init__(self) -> None:
        """Refuse settings that cannot work."""
        if not 1 <= self.workers <= 8:
            raise InputError(f"`workers` must lie in 1 to 8; got {self.workers}.")
        for name in ("worker_gb", "worker_minutes", "keep_days", "keep_gb", "poll_s"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise InputError(f"`{name}` must be above 0; got {value}.")
        if not 0 <= self.worker_nice <= 19:
            raise InputError(
                f"`worker_nice` must lie in 0 to 19; got {self.worker_nice}."
            )
        if self.delivery_attempts < 1 or self.delivery_pause_s < 0:
            raise InputError(
                "`delivery_attempts` must be at least 1 and `delivery_pause_s` not "
                f"below 0; got {self.delivery_attempts} and {self.delivery_pause_s}."
            )
