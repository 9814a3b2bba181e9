"""A service of the fake assessor, and clients for it."""

import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, replace

import httpx
import uvicorn

from hilum.service.jobs import Jobs, JobSettings
from hilum.service.web.app import make_app
from hilum.service.web.serving import address_of, configure, listen


def dicom(text):
    """Make what the service takes for DICOM, and the fake for commands."""
    return bytes(128) + b"DICM" + text.encode()


@dataclass
class Service:
    """Jobs that run."""

    jobs: Jobs

    @contextmanager
    def client(self, settings, **options):
        """Serve on a free port, and make a client of it."""
        listener = listen(replace(settings, port=0))
        server = uvicorn.Server(configure(make_app(self.jobs, settings), settings))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        address = address_of(settings, listener)
        try:
            with httpx.Client(base_url=address, timeout=60, **options) as client:
                client.jobs, client.service = self.jobs, self
                yield client
        finally:
            server.should_exit = True
            thread.join()
            listener.close()


@contextmanager
def running(data, **changes):
    """Run the jobs of a service."""
    options = {
        "assessor": "fake_assessor:assess",
        "poll_s": 0.05,
        "free_gb": 0.001,
        "workers": 2,
        "worker_nice": 0,
        **changes,
    }
    with Jobs(JobSettings(data=data, **options)) as jobs:
        yield Service(jobs)


def wait_until(client, job_id, state, timeout_s=120):
    """Ask for a job until it is in a state."""
    end = time.monotonic() + timeout_s
    while True:
        job = client.get(f"/api/jobs/{job_id}").json()
        if job["state"] == state:
            return job
        assert job["state"] not in ("done", "failed", "cancelled"), job
        assert time.monotonic() < end, job
        time.sleep(0.1)
