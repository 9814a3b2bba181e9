"""A service of jobs in a process of its own, for tests that kill it.

python serving.py DATA STUDIES OUT     submit all STUDIES, end when all are over
"""

import os
import sys
from pathlib import Path

from hilum.service.jobs import FINAL, FolderTarget, Jobs, JobSettings


class LoggedTarget:
    """A folder target that also logs each call, to see whether there were two."""

    def __init__(self, out):
        self.folder, self.log = FolderTarget(out), out / "calls.log"

    def __call__(self, delivery):
        line = f"{delivery.key}\n".encode()
        descriptor = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.write(descriptor, line)
        os.close(descriptor)
        self.folder(delivery)


def main():
    data, studies, out = map(Path, sys.argv[1:])
    settings = JobSettings(
        data=data,
        worker_nice=0,
        assessor="fake_assessor:assess",
        workers=2,
        poll_s=0.1,
        free_gb=0.001,
    )
    with Jobs(settings, targets={"out": LoggedTarget(out)}) as jobs:
        sys.stdout.write("started\n")
        sys.stdout.flush()
        ids = [jobs.submit(path) for path in sorted(studies.iterdir())]
        for job_id in ids:
            job = jobs.wait(job_id, timeout_s=120)
            assert job.state in FINAL


if __name__ == "__main__":
    main()
