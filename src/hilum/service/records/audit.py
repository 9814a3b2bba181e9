"""Who saw and did what, and when. Rows are added, never changed.

Names are those of tokens, studies the ids of jobs: no identifier of a patient.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import sqlalchemy as sa

from hilum.findings import Record
from hilum.service.records.database import AUDIT


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry(Record):
    """One line of the audit log.

    Attributes:
        when_s: Seconds since 1970.
        who: Name of the token; "local" without tokens, "nobody" when refused.
        address: Network address that asked.
        what: Such as "see report" or "reject finding".
        job_id: The study, or None.
        status: HTTP status of the answer.
    """

    when_s: float
    who: str
    address: str
    what: str
    job_id: str | None = None
    status: int = 200


class Audit:
    """The audit log of a service.

    Args:
        engine: Of `open_database`.
    """

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def note(
        self, *, who: str, address: str, what: str, job_id: str | None, status: int
    ) -> None:
        """Add a line; see `Entry`."""
        with self._engine.begin() as connection:
            connection.execute(
                sa.insert(AUDIT).values(
                    when_s=time.time(),
                    who=who[:64],
                    address=address[:64],
                    what=what[:64],
                    job_id=job_id,
                    status=status,
                )
            )

    def list(self, *, limit: int, job_id: str | None = None) -> tuple[Entry, ...]:
        """Give the last lines, the newest first.

        Args:
            limit: At most so many.
            job_id: Only those of one study.
        """
        query = sa.select(AUDIT).order_by(AUDIT.c.row.desc()).limit(limit)
        if job_id is not None:
            query = query.where(AUDIT.c.job_id == job_id)
        with self._engine.connect() as connection:
            rows = connection.execute(query).mappings().all()
        return tuple(
            Entry(**{k: v for k, v in row.items() if k != "row"}) for row in rows
        )
