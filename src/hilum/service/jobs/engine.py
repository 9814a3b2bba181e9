"""What happens to a job, step by step, and what keeps it happening.

`Flow` decides when a step runs; the steps are here. A thread looks after the rest:
jobs that lost their workflow, old studies, uploads that nobody finished.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from hilum.errors import HilumError, InputError
from hilum.service.jobs.delivery import Delivery, Target
from hilum.service.jobs.documents import documents_in
from hilum.service.jobs.flow import DELIVERIES, STUDIES, Flow, name_workflow
from hilum.service.jobs.job import Job
from hilum.service.jobs.keeping import expire_old
from hilum.service.jobs.process import Outcome, Workers
from hilum.service.jobs.settings import JobSettings
from hilum.service.jobs.store import WORKERS_LOG, Store
from hilum.service.jobs.table import JobTable
from hilum.service.jobs.worker import Order

_log = logging.getLogger(__name__)
_log.addHandler(logging.NullHandler())

_LOST_TRIES = 2
_AGAIN_S = 2.0
"""How long a busy machine has to make room for another try."""

_LOOK_S = 5.0
_ORPHAN_S = 10.0
_FROM_WORKER = frozenset(
    (
        "study_uid",
        "series_uid",
        "patient",
        "acquired",
        "description",
        "in_scope",
        "probability",
        "nodules",
        "timings_s",
    )
)


class Engine:
    """Runs the steps of jobs.

    Args:
        settings: How jobs are run and kept.
        targets: Name to what takes documents.
        store: The data folder.
        table: The rows of jobs.
    """

    def __init__(
        self,
        settings: JobSettings,
        targets: Mapping[str, Target],
        store: Store,
        table: JobTable,
    ) -> None:
        self._settings, self._targets = settings, targets
        self._store, self._table = store, table
        self._secret = store.secret().hex()
        self._workers = Workers(
            limit_gb=settings.worker_gb,
            limit_s=60 * settings.worker_minutes,
            log=store.data / WORKERS_LOG,
        )
        self._stopping = threading.Event()
        self._active: set[str] = set()
        self._idle_since: dict[str, float] = {}
        self._flow: Flow | None = None
        self._keeper = threading.Thread(target=self._keep, daemon=True)

    def start(self) -> None:
        """Take up what was interrupted, and begin to work.

        Raises:
            InputError: Jobs run in this process already.
        """
        self._flow = Flow(self._store.data, self._settings.database, self)
        self._store.sweep()
        self._adopt()
        self._flow.start(workers=self._settings.workers, poll_s=self._settings.poll_s)
        self._look_after()
        self._keeper.start()

    def stop(self) -> None:
        """Stop working; what is unfinished goes on at the next start."""
        if self._flow is None or self._stopping.is_set():
            return
        self._stopping.set()
        self._workers.stop_all()
        self._flow.stop()
        self._keeper.join(timeout=_LOOK_S)

    @property
    def flow(self) -> Flow:
        """What decides when a step runs.

        Raises:
            InputError: The jobs were not started.
        """
        if self._flow is None:
            raise InputError("The jobs are not running. Use them in a `with` block.")
        return self._flow

    def enqueue(self, job_id: str, attempt: int) -> None:
        """Queue an attempt of a job; the same twice is one."""
        self.flow.enqueue(job_id, attempt)

    def cancel(self, job: Job) -> None:
        """Stop a job, wherever it is."""
        now = {"state": "cancelled", "error": None, "finished_s": time.time()}
        if self._table.change(job.id, now):
            self.flow.cancel(self._names(job))
            self._workers.stop(job.id)

    def forget(self, job: Job) -> None:
        """Remove what is kept of the workflows of a job."""
        self.flow.forget(self._names(job))

    def assess(self, job_id: str, attempt: int) -> bool:
        """Run the worker; whether there are documents to deliver."""
        name = name_workflow(job_id, attempt)
        self._active.add(name)
        try:
            outcome = self._run_worker(job_id, attempt)
        finally:
            self._active.discard(name)
        if outcome.kind == "done":
            return self._table.change(
                job_id,
                {"state": "delivering", "stage": "deliver", "error": None},
                attempt=attempt,
            )
        if self._stopping.is_set():
            raise SystemExit  # no Exception: DBOS notes nothing, and runs it again
        self._fail(job_id, attempt, outcome.error or "It failed.")
        return False

    def targets(self, job_id: str) -> list[str]:
        """Name the targets that have not got the documents."""
        job = self._table.get(job_id)
        left = [name for name in job.deliver_to if name not in job.delivered]
        for name, (error, _over) in self._table.undelivered(job_id).items():
            self._table.note_delivery(job_id, name, error=error, over=False)
        return left

    def deliver(self, job_id: str, target: str) -> bool:
        """Call a target once; whether it is over, done or refused for good."""
        try:
            job = self._table.get(job_id)
        except InputError:
            return True  # removed meanwhile
        if target in job.delivered or job.state != "delivering":
            return True
        name = name_workflow(job_id, job.attempt, target)
        self._active.add(name)
        try:
            self._call(job, target)
        except HilumError as error:
            self._table.note_delivery(job_id, target, error=str(error), over=True)
            return True
        except Exception as error:  # noqa: BLE001  a target may raise anything
            text = f"Delivery to {target} failed ({type(error).__name__})."
            self._table.note_delivery(job_id, target, error=text, over=False)
            _log.warning("%s Job %s.", text, job_id)
            return False
        finally:
            self._active.discard(name)
        self._table.note_delivery(job_id, target, error=None, over=True)
        return True

    def give_up(self, job_id: str, target: str) -> None:
        """Note that a target is not tried any more."""
        for name, (error, _over) in self._table.undelivered(job_id).items():
            if name == target:
                self._table.note_delivery(job_id, target, error=error, over=True)

    def conclude(self, job_id: str, attempt: int) -> None:
        """Note that the job is done or failed, when no delivery is left."""
        try:
            job = self._table.get(job_id)
        except InputError:
            return
        if job.state != "delivering":
            return
        failed = self._table.undelivered(job_id)
        left = [name for name in job.deliver_to if name not in job.delivered]
        if not left:
            values = {"state": "done", "stage": "", "finished_s": time.time()}
            self._table.change(job_id, values, attempt=attempt)
        elif all(name in failed and failed[name][1] for name in left):
            self._fail(job_id, attempt, " ".join(failed[name][0] for name in left))

    def pause(self, seconds: float) -> None:
        """Wait; end the thread when the service stops."""
        if self._stopping.wait(seconds):
            raise SystemExit  # no Exception: DBOS notes nothing, and runs it again

    def pauses_s(self) -> list[float]:
        """Give the pause after each failed try of a delivery; none after the last."""
        first, count = self._settings.delivery_pause_s, self._settings.delivery_attempts
        return [first * 2**index for index in range(count - 1)] + [0.0]

    def _call(self, job: Job, target: str) -> None:
        """Hand the documents to a target."""
        if target not in self._targets:
            raise InputError(
                f"There is no target `{target}` any more. Start the service with it, "
                "then try again."
            )
        self._targets[target](
            Delivery(
                key=f"{job.id}.{target}",
                job_id=job.id,
                documents=documents_in(self._store.results(job.id)),
                source=self._store.source(job.id),
                study_uid=job.study_uid,
                series_uid=job.series_uid,
                origin=job.origin,
            )
        )

    def _run_worker(self, job_id: str, attempt: int) -> Outcome:
        """Run a worker until it is done or has failed for good."""
        order = Order(
            assessor=self._settings.assessor,
            source=str(self._store.source(job_id)),
            results=str(self._store.results(job_id)),
            views=str(self._store.views(job_id)),
            formats=self._settings.formats,
            secret=self._secret,
            nice=self._settings.worker_nice,
        )

        def heard(line: dict[str, Any]) -> None:
            values = dict(line.get("about", {}))
            values = {k: v for k, v in values.items() if k in _FROM_WORKER}
            if "stage" in line:
                values |= {"stage": str(line["stage"])[:16], "started_s": time.time()}
            if values:
                self._table.change(job_id, values, attempt=attempt)

        lost = 0
        while True:
            self._wait_for_room(job_id, attempt)
            begun = {
                "state": "running",
                "stage": "start",
                "started_s": time.time(),
                "error": None,
            }
            if self._stopping.is_set() or not self._table.change(
                job_id, begun, attempt=attempt
            ):
                return Outcome("stopped", "It was stopped.")
            outcome = self._workers.run(job_id, order, heard)
            if outcome.kind in ("done", "input", "bug", "limit", "stopped"):
                return outcome
            if self._stopping.is_set():
                return outcome
            if outcome.kind == "system" and self._store.trouble() is not None:
                continue  # the disk, and not the study
            lost += 1
            if lost >= _LOST_TRIES:
                return Outcome(
                    "lost",
                    f"{outcome.error} It was tried {lost} times. Is there memory "
                    "enough? Try it again, or look into workers.log.",
                )
            self._stopping.wait(_AGAIN_S)

    def _wait_for_room(self, job_id: str, attempt: int) -> None:
        """Wait until the data folder can be written to; say why meanwhile."""
        while (trouble := self._store.trouble()) is not None:
            try:
                job = self._table.get(job_id)
                if job.is_final or job.attempt != attempt:
                    return
                self._table.change(job_id, {"error": trouble}, attempt=attempt)
            except (sa.exc.SQLAlchemyError, InputError):
                _log.warning("%s", trouble)
            if self._stopping.wait(1.0):
                return

    def _fail(self, job_id: str, attempt: int, error: str) -> None:
        values = {"state": "failed", "error": error, "finished_s": time.time()}
        self._table.change(job_id, values, attempt=attempt)

    def _names(self, job: Job) -> list[str]:
        """Name the workflows that a job may have now."""
        return [
            name_workflow(job.id, attempt, target)
            for attempt in range(1, job.attempt + 1)
            for target in (None, *job.deliver_to)
        ]

    def _adopt(self) -> None:
        """Add a job for each study that was stored and then interrupted."""
        for job_id in self._store.placed():
            if not self._table.has(job_id):
                self._table.add(
                    Job(
                        id=job_id,
                        state="queued",
                        size_bytes=self._store.size_bytes(job_id),
                        created_s=time.time(),
                        deliver_to=tuple(self._targets),
                    )
                )

    def _keep(self) -> None:
        """Look after jobs and studies until the service stops."""
        next_sweep = 0.0
        while not self._stopping.wait(_LOOK_S):
            try:
                self._look_after()
                if time.monotonic() > next_sweep:
                    next_sweep = time.monotonic() + 60.0
                    self._store.sweep_uploads()
                    for job in expire_old(self._settings, self._store, self._table):
                        self.forget(job)
            except Exception as error:  # noqa: BLE001  it has to go on
                _log.warning("Looking after jobs failed (%s).", type(error).__name__)

    def _look_after(self) -> None:
        """Queue again what lost its workflow, as after a disk that was full."""
        jobs = self._table.list(states=("queued", "running", "delivering"))
        workflows = {job.id: self._workflows_of(job) for job in jobs}
        names = [name for of_job in workflows.values() for name in of_job]
        states = self.flow.statuses(names)
        now = time.monotonic()
        for job in jobs:
            mine = {name: states[name] for name in workflows[job.id]}
            alive = {"waiting", "running"} & set(mine.values())
            if set(mine.values()) == {"unknown"} and job.state == "queued":
                self.enqueue(job.id, job.attempt)
            elif not alive:
                self._restart_ended(job)
            for name, state in mine.items():
                if state != "running" or name in self._active:
                    self._idle_since.pop(name, None)
                elif now - self._idle_since.setdefault(name, now) > _ORPHAN_S:
                    self._idle_since.pop(name)
                    self.flow.resume(name, workflows[job.id][name])

    def _workflows_of(self, job: Job) -> dict[str, str]:
        """Name the workflows that a job may wait for, and the queue of each."""
        named = {name_workflow(job.id, job.attempt): STUDIES}
        if job.state == "delivering":
            for target in set(job.deliver_to) - set(job.delivered):
                named[name_workflow(job.id, job.attempt, target)] = DELIVERIES
        return named

    def _restart_ended(self, job: Job) -> None:
        """Begin anew a job whose workflow ended without concluding it."""
        self.conclude(job.id, job.attempt)
        again = self._table.get(job.id)
        if not again.is_final and again.attempt == job.attempt:
            key = f"{job.id}.{job.attempt}.ended"
            now = time.monotonic()
            if now - self._idle_since.setdefault(key, now) > _ORPHAN_S:
                self._idle_since.pop(key)
                if self._table.reopen(job):
                    self.enqueue(job.id, job.attempt + 1)
