"""Jobs as rows: the state that people see, changed one row at a time."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import fields
from typing import Any

import sqlalchemy as sa

from hilum.errors import InputError
from hilum.service.jobs.job import FINAL, STAGES, Job, State
from hilum.service.records.database import DELIVERIES, JOBS

_COLUMNS = {item.name for item in fields(Job)} - {"delivered"}
_HISTORY = 20


class JobTable:
    """The rows of jobs and of their deliveries.

    Args:
        engine: Of `open_database`.
    """

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def add(self, job: Job) -> bool:
        """Add a job; False when there is one of that id."""
        row = {name: getattr(job, name) for name in _COLUMNS}
        row["deliver_to"] = list(job.deliver_to)
        try:
            with self._engine.begin() as connection:
                connection.execute(sa.insert(JOBS).values(**row))
        except sa.exc.IntegrityError:
            return False
        return True

    def get(self, job_id: str) -> Job:
        """Give one job.

        Raises:
            InputError: There is none of that id.
        """
        found = self._select(JOBS.c.id == job_id)
        if not found:
            raise InputError(
                "There is no such study. It may have been removed by its age."
            )
        return found[0]

    def has(self, job_id: str) -> bool:
        """Tell whether there is a job of that id."""
        return bool(self._select(JOBS.c.id == job_id))

    def list(
        self, *, states: Iterable[State] | None = None, limit: int | None = None
    ) -> tuple[Job, ...]:
        """List jobs, the newest first."""
        where = sa.true() if states is None else JOBS.c.state.in_(list(states))
        return self._select(where, limit)

    def of_study(self, study_uid: str) -> tuple[Job, ...]:
        """List the jobs of one study, the newest first."""
        return self._select(JOBS.c.study_uid == study_uid)

    def of_patient(self, patient: str) -> tuple[Job, ...]:
        """List the jobs of one patient, by the keyed digest, the newest first."""
        return self._select(JOBS.c.patient == patient)

    def change(
        self, job_id: str, values: dict[str, Any], *, attempt: int | None = None
    ) -> bool:
        """Change a job that is not in a final state; False when it is.

        Args:
            job_id: The job.
            values: Column to value.
            attempt: Only if the job is at this attempt.
        """
        where = (JOBS.c.id == job_id) & JOBS.c.state.notin_(FINAL)
        if attempt is not None:
            where &= JOBS.c.attempt == attempt
        return self._update(where, values)

    def reopen(self, job: Job) -> bool:
        """Queue a final job once more; False when another did so first."""
        where = (JOBS.c.id == job.id) & (JOBS.c.attempt == job.attempt)
        return self._update(
            where,
            {
                "state": "queued",
                "stage": "",
                "error": None,
                "attempt": job.attempt + 1,
                "started_s": None,
                "finished_s": None,
            },
        )

    def expire(self, job_id: str) -> None:
        """Note that the files of a final job are gone."""
        where = (JOBS.c.id == job_id) & JOBS.c.state.in_(FINAL)
        self._update(where, {"state": "expired", "error": None})

    def remove(self, job_id: str) -> None:
        """Forget a job."""
        with self._engine.begin() as connection:
            connection.execute(sa.delete(JOBS).where(JOBS.c.id == job_id))
            connection.execute(
                sa.delete(DELIVERIES).where(DELIVERIES.c.job_id == job_id)
            )

    def note_delivery(
        self, job_id: str, target: str, *, error: str | None, over: bool
    ) -> None:
        """Note that a target has the documents, or why it has not.

        Args:
            job_id: The job.
            target: Name of the target.
            error: Why not; None: it has them.
            over: Whether it is not tried any more.
        """
        values = {
            "done_s": time.time() if error is None else None,
            "error": error,
            "over": over,
        }
        where = (DELIVERIES.c.job_id == job_id) & (DELIVERIES.c.target == target)
        with self._engine.begin() as connection:
            changed = connection.execute(
                sa.update(DELIVERIES).where(where).values(**values)
            )
            if not changed.rowcount:
                connection.execute(
                    sa.insert(DELIVERIES).values(job_id=job_id, target=target, **values)
                )

    def undelivered(self, job_id: str) -> dict[str, tuple[str, bool]]:
        """Give the error of each delivery that failed, and whether it is over."""
        query = sa.select(DELIVERIES).where(
            (DELIVERIES.c.job_id == job_id) & DELIVERIES.c.error.is_not(None)
        )
        with self._engine.connect() as connection:
            return {
                row.target: (row.error, row.over) for row in connection.execute(query)
            }

    def usual_s(self, defaults: dict[str, float]) -> dict[str, float]:
        """Give the median time of each stage over the last jobs."""
        query = (
            sa.select(JOBS.c.timings_s)
            .where(JOBS.c.timings_s.is_not(None) & (JOBS.c.state == "done"))
            .order_by(JOBS.c.finished_s.desc())
            .limit(_HISTORY)
        )
        with self._engine.connect() as connection:
            rows = [row.timings_s or {} for row in connection.execute(query)]
        usual = dict(defaults)
        for stage in STAGES:
            known = sorted(row[stage] for row in rows if stage in row)
            if known:
                usual[stage] = known[len(known) // 2]
        return usual

    def _update(self, where: sa.ColumnElement[bool], values: dict[str, Any]) -> bool:
        with self._engine.begin() as connection:
            done = connection.execute(sa.update(JOBS).where(where).values(**values))
        return bool(done.rowcount)

    def _select(
        self, where: sa.ColumnElement[bool], limit: int | None = None
    ) -> tuple[Job, ...]:
        query = (
            sa.select(JOBS).where(where).order_by(JOBS.c.created_s.desc(), JOBS.c.id)
        )
        with self._engine.connect() as connection:
            rows = connection.execute(query.limit(limit)).mappings().all()
            ids = [row["id"] for row in rows]
            done: dict[str, list[str]] = {}
            for start in range(0, len(ids), 500):
                sent = sa.select(DELIVERIES.c.job_id, DELIVERIES.c.target).where(
                    DELIVERIES.c.job_id.in_(ids[start : start + 500])
                    & DELIVERIES.c.done_s.is_not(None)
                )
                for row in connection.execute(sent.order_by(DELIVERIES.c.target)):
                    done.setdefault(row.job_id, []).append(row.target)
        return tuple(
            Job(
                **{
                    **row,
                    "deliver_to": tuple(row["deliver_to"]),
                    "delivered": tuple(done.get(row["id"], ())),
                }
            )
            for row in rows
        )
