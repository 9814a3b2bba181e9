"""Durable jobs: a study arrives, is stored, assessed, documented and delivered.

Whoever receives studies (the web page, a DICOM node) hands each to `Jobs.submit` and
may forget it: from then on the study survives a `kill -9`, a restart and a lost
worker. The same study twice is one job. Nothing here knows of HTTP or DICOM networks.

    with Jobs(JobSettings(data=Path("data")), targets={"pacs": send}) as jobs:
        spool = jobs.spool()                  # a new folder on the same disk
        ...                                   # write the slices into it
        job_id = jobs.submit(spool, origin="dicom", deliver_to=("pacs",), move=True)
        jobs.get(job_id).state                # "queued", "running", "done", ...

A target is any callable that takes a `Delivery`; see there for what it must obey.
"""

from hilum.service.jobs.delivery import Delivery, FolderTarget, Target
from hilum.service.jobs.job import FINAL, Job, State
from hilum.service.jobs.jobs import Jobs
from hilum.service.jobs.settings import JobSettings

__all__ = [
    "FINAL",
    "Delivery",
    "FolderTarget",
    "Job",
    "JobSettings",
    "Jobs",
    "State",
    "Target",
]
