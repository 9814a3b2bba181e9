"""The front of the package: hand over a study, ask for it, stop it, try it again."""

from __future__ import annotations

import threading
import time
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from hilum._optional import require
from hilum.errors import InputError
from hilum.service.jobs.delivery import Target
from hilum.service.jobs.documents import documents_in
from hilum.service.jobs.job import FINAL, STAGES, USUAL_S, Job, State
from hilum.service.jobs.settings import JobSettings
from hilum.service.jobs.store import Store, explain

_ID_DIGITS = 32


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a job is.

    Attributes:
        done: Share in [0, 1] of the time that it usually takes.
        left_s: Seconds until its documents are there, the queue before it
            included; None when nothing is known, as when it waits.
    """

    done: float
    left_s: float | None


class Jobs:
    """Studies on their way, durable. Use it in a `with` block; one a process.

    Args:
        settings: How jobs are run and kept.
        targets: Name to what takes documents; names have letters, digits, "-", "_".

    Raises:
        InputError: The data folder or the database cannot be used, a name of a target
            is odd, or a format is not known.
        MissingDependencyError: DBOS is not installed.
    """

    def __init__(
        self, settings: JobSettings, *, targets: Mapping[str, Target] | None = None
    ) -> None:
        require("dbos", extra="serve", to="to keep jobs")
        from hilum.report.documents import parse_formats  # noqa: PLC0415  slow
        from hilum.service.jobs.engine import Engine  # noqa: PLC0415  needs the extra
        from hilum.service.jobs.table import JobTable  # noqa: PLC0415
        from hilum.service.records.database import open_database  # noqa: PLC0415

        self.settings = settings
        self.targets = dict(targets or {})
        for name in self.targets:
            if not name.replace("-", "").replace("_", "").isalnum() or len(name) > 64:
                raise InputError(
                    f"A target may not be called {name!r}: use up to 64 letters, "
                    "digits, - and _."
                )
        parse_formats(",".join(settings.formats))
        self.store = Store(settings.data, settings.free_gb * 1e9)
        try:
            self.database = open_database(self.store.data, settings.database)
        except InputError:
            self.store.close()
            raise
        self.table = JobTable(self.database)
        self._lock = threading.Lock()
        self._engine = Engine(settings, self.targets, self.store, self.table)

    def __enter__(self) -> Self:
        """Take up what was interrupted, and begin to work."""
        self._engine.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop working; what is unfinished goes on at the next start."""
        self.close()

    def close(self) -> None:
        """Stop working, and let go of the folder and the database."""
        self._engine.stop()
        self.database.dispose()
        self.store.close()

    def spool(self) -> Path:
        """Make a new, empty folder on the disk of the data, to receive into.

        Raises:
            InputError: Nothing can be written now.
        """
        try:
            return self.store.spool()
        except OSError as error:
            raise InputError(explain(error)) from error

    def submit(
        self,
        source: Path,
        *,
        origin: str = "upload",
        deliver_to: Sequence[str] | None = None,
        move: bool = False,
    ) -> str:
        """Hand over a study; when this returns, it survives whatever happens.

        The same study twice is one job, however named, nested or packed: the id is
        the digest of its images. One that failed, was cancelled or has expired is
        begun anew.

        Args:
            source: A folder of slices, a zip, or one file.
            origin: Where it came from, such as "upload" or "dicom"; no identifier
                of a person.
            deliver_to: Names of targets; by default all.
            move: Take the source away from where it is; from a folder of `spool`
                that costs nothing.

        Returns:
            The id of the job.

        Raises:
            InputError: There are no files, the zip is damaged or hostile, a target
                is not known, or nothing can be stored now (its cause is an OSError).
        """
        names = tuple(self.targets if deliver_to is None else deliver_to)
        unknown = sorted(set(names) - set(self.targets))
        if unknown:
            raise InputError(
                f"There is no target `{unknown[0]}`. Targets are: "
                f"{', '.join(self.targets) or 'none'}."
            )
        try:
            job_id, is_new = self._store(Path(source), names, origin[:64], move=move)
        except OSError as error:
            raise InputError(explain(error)) from error
        over = ("failed", "cancelled", "expired")
        if not is_new and self.get(job_id).state in over:
            self.retry(job_id)
        return job_id

    def _store(
        self, source: Path, deliver_to: tuple[str, ...], origin: str, *, move: bool
    ) -> tuple[str, bool]:
        """Put a study in its place and queue it; whether it is a new one."""
        from hilum.service.jobs.digest import digest_study  # noqa: PLC0415  slow

        digest, size = digest_study(source)
        job = Job(
            id=digest[:_ID_DIGITS],
            state="queued",
            origin=origin,
            size_bytes=size,
            created_s=time.time(),
            deliver_to=deliver_to,
        )
        with self._lock:
            self.store.place(source, job.id, move=move)
            is_new = self.table.add(job)
            if is_new:
                self._engine.enqueue(job.id, job.attempt)
        return job.id, is_new

    def get(self, job_id: str) -> Job:
        """Give a job as it is now.

        Raises:
            InputError: There is none of that id.
        """
        return self.table.get(job_id)

    def list(
        self, *, states: Iterable[State] | None = None, limit: int | None = None
    ) -> tuple[Job, ...]:
        """List jobs, the newest first.

        Args:
            states: Only those in one of these states.
            limit: At most so many.
        """
        return self.table.list(states=states, limit=limit)

    def of_study(self, study_uid: str) -> tuple[Job, ...]:
        """List the jobs of one study, by its UID, once read; the newest first."""
        return self.table.of_study(study_uid)

    def of_patient(self, job_id: str) -> tuple[Job, ...]:
        """List the other studies of the patient of a study, the newest first."""
        job = self.get(job_id)
        if job.patient is None:
            return ()
        found = self.table.of_patient(job.patient)
        others = [other for other in found if other.id != job_id]
        return tuple(sorted(others, key=lambda j: j.acquired or "", reverse=True))

    def wait(self, job_id: str, *, timeout_s: float = 60.0) -> Job:
        """Wait until nothing more happens to a job by itself.

        Raises:
            InputError: There is none of that id.
            TimeoutError: It takes longer.
        """
        end = time.monotonic() + timeout_s
        while not (job := self.get(job_id)).is_final:
            if time.monotonic() > end:
                raise TimeoutError(f"The job is still {job.state} ({job.stage}).")
            time.sleep(0.05)
        return job

    def cancel(self, job_id: str) -> Job:
        """Stop a job that is not finished; its study stays.

        Raises:
            InputError: There is none of that id.
        """
        self._engine.cancel(self.get(job_id))
        return self.get(job_id)

    def retry(self, job_id: str) -> Job:
        """Queue a job that failed or was cancelled once more; what is done stays.

        Raises:
            InputError: There is none of that id, it is not over, or its files are
                gone.
        """
        job = self.get(job_id)
        if job.state not in ("failed", "cancelled", "expired"):
            raise InputError(
                f"The study is {job.state}; only one that failed or was cancelled can "
                "be tried again."
            )
        if job_id not in set(self.store.placed()):
            raise InputError("The files of the study are gone. Send it again.")
        if self.table.reopen(job):
            self._engine.enqueue(job_id, job.attempt + 1)
        return self.get(job_id)

    def remove(self, job_id: str) -> None:
        """Stop a job and remove its study with all documents.

        Raises:
            InputError: There is none of that id.
        """
        job = self.get(job_id)
        self._engine.cancel(job)
        self.store.remove(job_id)
        self.table.remove(job_id)
        self._engine.forget(job)

    def documents(self, job_id: str) -> dict[str, Path]:
        """Give the documents of a job that are complete, by their format.

        Raises:
            InputError: There is none of that id.
        """
        self.get(job_id)
        return documents_in(self.store.results(job_id))

    def progress(self, jobs: Sequence[Job]) -> tuple[Progress, ...]:
        """Tell how far jobs are, by the times that the last ones took."""
        if all(job.is_final for job in jobs):
            return tuple(Progress(1.0, None) for _job in jobs)
        usual = self.table.usual_s(USUAL_S)
        waiting = self.list(states=("queued", "running"))
        arrived = sorted(job.created_s for job in waiting)
        return tuple(
            how_far(
                job, usual, bisect_left(arrived, job.created_s) / self.settings.workers
            )
            for job in jobs
        )

    def trouble(self) -> str | None:
        """Say why nothing can be stored or begun now, or None when all is well."""
        return self.store.trouble()


def how_far(job: Job, usual_s: Mapping[str, float], ahead: float) -> Progress:
    """Tell how far a job is.

    Args:
        job: As it is now.
        usual_s: What each stage usually takes.
        ahead: How many studies come before it, by worker.

    Example:
        >>> job = Job(id="0f", state="queued", created_s=0.0)
        >>> how_far(job, {"read": 2.0, "lungs": 3.0}, ahead=2)
        Progress(done=0.0, left_s=15.0)
    """
    total = sum(usual_s.values())
    if job.state == "delivering" or job.is_final:
        return Progress(1.0, None)
    if job.error is not None:  # it waits, nobody knows how long
        return Progress(0.0, None)
    if job.state == "queued":
        return Progress(0.0, (ahead + 1) * total)
    if job.stage not in usual_s:
        return Progress(0.0, total)
    index = STAGES.index(job.stage)
    past = sum(usual_s[stage] for stage in STAGES[:index])
    spent = max(0.0, time.time() - (job.started_s or time.time()))
    # a stage that takes longer than usual is nearly, but never quite, over
    past += min(spent, 0.95 * usual_s[job.stage])
    return Progress(past / total, max(total - past, 0.0))


__all__ = ["FINAL", "Jobs", "Progress"]
