"""What the routes share: the jobs, the records of people, and the settings."""

from __future__ import annotations

from dataclasses import dataclass

from fastapi import Request

from hilum.service.jobs import Job, Jobs
from hilum.service.jobs.aligning import Aligner
from hilum.service.records.annotations import Annotations
from hilum.service.records.audit import Audit
from hilum.service.records.tokens import Tokens
from hilum.service.web.models import Study
from hilum.service.web.problems import ProblemError
from hilum.service.web.receiving import Receiver
from hilum.service.web.sessions import Sessions
from hilum.service.web.settings import WebSettings


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Context:
    """The parts of a running service."""

    jobs: Jobs
    settings: WebSettings
    receiver: Receiver
    annotations: Annotations
    audit: Audit
    tokens: Tokens
    sessions: Sessions
    aligner: Aligner

    def job(self, job_id: str) -> Job:
        """Give a job.

        Raises:
            ProblemError: There is none of that id.
        """
        if not self.jobs.table.has(job_id):
            raise ProblemError(
                404, "There is no such study. It may have been removed by its age."
            )
        return self.jobs.get(job_id)

    def studies(self, jobs: tuple[Job, ...]) -> list[Study]:
        """Describe jobs for the page."""
        return [
            Study(
                id=job.id,
                state=job.state,
                stage=job.stage,
                error=job.error,
                attempt=job.attempt,
                origin=job.origin,
                size_bytes=job.size_bytes,
                created_s=job.created_s,
                finished_s=job.finished_s,
                patient=job.patient,
                acquired=job.acquired,
                description=job.description,
                in_scope=job.in_scope,
                probability=job.probability,
                nodules=job.nodules,
                deliver_to=list(job.deliver_to),
                delivered=list(job.delivered),
                progress=round(far.done, 3),
                left_s=None if far.left_s is None else round(far.left_s, 1),
            )
            for job, far in zip(jobs, self.jobs.progress(jobs), strict=True)
        ]

    def study(self, job_id: str) -> Study:
        """Describe one job for the page.

        Raises:
            ProblemError: There is none of that id.
        """
        return self.studies((self.job(job_id),))[0]


def context_of(request: Request) -> Context:
    """Give the parts of the service that a request came to.

    Args:
        request: The request.
    """
    found: Context = request.app.state.context
    return found
