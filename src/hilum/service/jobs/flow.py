"""The way of a study as DBOS carries it: the only module that knows DBOS.

Two workflows. `study` assesses and then starts one `delivery` for each target, so a
target that is down never holds up the queue of studies. Steps that were completed
are not run again after a crash; the one that was interrupted is, and each can bear it:
the worker skips what is done, and a target that was noted is not called again.

Sources:
    https://docs.dbos.dev/python/tutorials/workflow-tutorial (workflows, steps,
    recovery), /queue-tutorial, and the source of dbos 2.31.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal, Protocol

from dbos import DBOS, DBOSConfig, SetWorkflowID

from hilum.errors import InputError
from hilum.service.records.database import sqlalchemy_url, use_write_ahead_log

STUDIES, DELIVERIES = "hilum-studies", "hilum-deliveries"
_DELIVERIES_AT_ONCE = 8
_ASKED_AT_ONCE = 500
_VERSION = "hilum-1"
"""Recovery takes up workflows of this version only; raise it when steps change."""

Status = Literal["unknown", "waiting", "running", "ended"]


class _OneLine(logging.Formatter):
    """What went wrong in one line: no traceback, which could show what a row holds."""

    def format(self, record: logging.LogRecord) -> str:
        """Give the level, and the kind of the error."""
        kind = record.exc_info[0] if record.exc_info else None
        first = record.getMessage().splitlines()[0][:160]
        return f"hilum: dbos: {first} {kind.__name__ if kind else ''}".rstrip()


class Steps(Protocol):
    """What the workflows do, step by step; each may be run twice."""

    def assess(self, job_id: str, attempt: int) -> bool:
        """Run the worker; whether there are documents to deliver."""

    def targets(self, job_id: str) -> list[str]:
        """Name the targets that have not got the documents."""

    def deliver(self, job_id: str, target: str) -> bool:
        """Call a target once; whether it is over, done or refused for good."""

    def give_up(self, job_id: str, target: str) -> None:
        """Note that a target is not tried any more."""

    def conclude(self, job_id: str, attempt: int) -> None:
        """Note that the job is done or failed, when no delivery is left."""

    def pause(self, seconds: float) -> None:
        """Wait; end the thread when the service stops."""

    def pauses_s(self) -> list[float]:
        """Give the pause after each failed try of a delivery."""


class Flow:
    """DBOS with our workflows. One at a time in a process.

    Args:
        data: The data folder, for SQLite.
        url: Of a PostgreSQL database, or None.
        steps: What the workflows do.

    Raises:
        InputError: There is one in this process already.
    """

    _one = threading.Lock()

    def __init__(self, data: Path, url: str | None, steps: Steps) -> None:
        if not Flow._one.acquire(blocking=False):
            raise InputError(
                "Jobs run in this process already. Stop them, or use another process."
            )
        file = data / "jobs.sqlite"
        if url is None:
            use_write_ahead_log(file)
        logging.getLogger("dbos").setLevel(logging.ERROR)
        DBOS.destroy(destroy_registry=True)
        config: DBOSConfig = {
            "name": "hilum",
            "system_database_url": sqlalchemy_url(file, url),
            "application_version": _VERSION,
            "executor_id": "hilum",
            "log_level": "ERROR",
            "run_admin_server": False,
            "notification_listener_polling_interval_sec": 0.5,
        }
        DBOS(config=config)
        for handler in logging.getLogger("dbos").handlers:
            handler.setFormatter(_OneLine())
        self._study = _register(steps)

    def start(self, *, workers: int, poll_s: float) -> None:
        """Take up what was interrupted, and begin to work.

        Args:
            workers: Studies at once.
            poll_s: How often the queues are looked at.
        """
        DBOS.launch()
        DBOS.register_queue(
            STUDIES,
            worker_concurrency=workers,
            polling_interval_sec=poll_s,
            on_conflict="always_update",
        )
        DBOS.register_queue(
            DELIVERIES,
            worker_concurrency=_DELIVERIES_AT_ONCE,
            polling_interval_sec=poll_s,
            on_conflict="always_update",
        )

    def enqueue(self, job_id: str, attempt: int) -> None:
        """Queue a study; the same attempt twice is one."""
        with SetWorkflowID(name_workflow(job_id, attempt)):
            DBOS.enqueue_workflow(STUDIES, self._study, job_id, attempt)

    def cancel(self, names: list[str]) -> None:
        """Take workflows out of their queues; those that run end at their next step."""
        for name, status in self.statuses(names).items():
            if status != "unknown":
                DBOS.cancel_workflow(name)

    def statuses(self, names: Sequence[str]) -> dict[str, Status]:
        """Tell how far DBOS is with workflows, in one question."""
        found: dict[str, Status] = dict.fromkeys(names, "unknown")
        for start in range(0, len(names), _ASKED_AT_ONCE):
            for workflow in DBOS.list_workflows(
                workflow_ids=list(names[start : start + _ASKED_AT_ONCE]),
                load_input=False,
                load_output=False,
            ):
                if workflow.status in ("ENQUEUED", "DELAYED"):
                    found[workflow.workflow_id] = "waiting"
                elif workflow.status == "PENDING":
                    found[workflow.workflow_id] = "running"
                else:
                    found[workflow.workflow_id] = "ended"
        return found

    def resume(self, name: str, queue: str) -> None:
        """Queue once more a workflow that lost its thread."""
        DBOS.resume_workflow(name, queue_name=queue)

    def forget(self, names: list[str]) -> None:
        """Remove what DBOS keeps of ended workflows."""
        for name, status in self.statuses(names).items():
            if status == "ended":
                DBOS.delete_workflow(name)

    def stop(self) -> None:
        """Stop working; what is unfinished goes on at the next start."""
        DBOS.destroy(destroy_registry=True)
        Flow._one.release()


def name_workflow(job_id: str, attempt: int, target: str | None = None) -> str:
    """Give the name of a workflow.

    Args:
        job_id: The job.
        attempt: Of the job.
        target: For a delivery, where to.

    Example:
        >>> name_workflow("0f", 2), name_workflow("0f", 2, "pacs")
        ('0f.2', '0f.2.pacs')
    """
    return f"{job_id}.{attempt}" + ("" if target is None else f".{target}")


def _register(steps: Steps) -> Callable[[str, int], None]:
    """Make the workflows known to DBOS."""

    @DBOS.step(name="assess")
    def assess(job_id: str, attempt: int) -> bool:
        return steps.assess(job_id, attempt)

    @DBOS.step(name="targets")
    def targets(job_id: str) -> list[str]:
        return steps.targets(job_id)

    @DBOS.step(name="deliver")
    def deliver(job_id: str, target: str) -> bool:
        return steps.deliver(job_id, target)

    @DBOS.step(name="give_up")
    def give_up(job_id: str, target: str) -> None:
        steps.give_up(job_id, target)

    @DBOS.step(name="conclude")
    def conclude(job_id: str, attempt: int) -> None:
        steps.conclude(job_id, attempt)

    @DBOS.workflow(name="delivery")
    def delivery(job_id: str, attempt: int, target: str) -> None:
        for pause_s in steps.pauses_s():
            if deliver(job_id, target):
                break
            steps.pause(pause_s)
        else:
            give_up(job_id, target)
        conclude(job_id, attempt)

    @DBOS.workflow(name="study")
    def study(job_id: str, attempt: int) -> None:
        if not assess(job_id, attempt):
            return
        for target in targets(job_id):
            with SetWorkflowID(name_workflow(job_id, attempt, target)):
                DBOS.enqueue_workflow(DELIVERIES, delivery, job_id, attempt, target)
        conclude(job_id, attempt)

    return study
