"""How long studies are kept."""

from __future__ import annotations

import time

from hilum.service.jobs.job import Job
from hilum.service.jobs.settings import JobSettings
from hilum.service.jobs.store import Store
from hilum.service.jobs.table import JobTable

_DAY_S = 86_400.0


def expire_old(settings: JobSettings, store: Store, table: JobTable) -> list[Job]:
    """Remove the files of finished studies that are too old, or too many.

    The row stays, as `expired`, and so do the annotations of readers. A study that is
    not finished is never removed.

    Args:
        settings: Hold the limits.
        store: The data folder.
        table: The rows of jobs.

    Returns:
        The jobs whose files were removed, the oldest first.
    """
    if settings.keep_days is None and settings.keep_gb is None:
        return []
    now = time.time()
    over = table.list(states=("done", "failed", "cancelled"))
    oldest_first = sorted(over, key=lambda job: job.finished_s or job.created_s)
    sizes = {job_id: store.size_bytes(job_id) for job_id in store.placed()}
    total = sum(sizes.values())
    limit = float("inf") if settings.keep_gb is None else settings.keep_gb * 1e9
    days = float("inf") if settings.keep_days is None else settings.keep_days
    removed = []
    for job in oldest_first:
        age_s = now - (job.finished_s or job.created_s)
        if age_s <= days * _DAY_S and total <= limit:
            continue
        store.remove(job.id)
        table.expire(job.id)
        total -= sizes.get(job.id, 0)
        removed.append(job)
    return removed
