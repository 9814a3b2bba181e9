"""Twenty uploads at once: is anything lost, how much memory, how quick is the page?

The studies are 40 MB each of what looks like DICOM, and assessing is a sleep of 0.2 s,
so that the figures are those of the service and not of the networks.

    python benchmarks/service_load.py
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import psutil

UPLOADS, SIZE_MB = 20, 40
HERE = Path(__file__).parent


def assess(order, say):
    """Stand for the assessment: what a worker of the service runs here."""
    say({"stage": "read"})
    time.sleep(0.2)
    Path(order.results).mkdir(exist_ok=True)
    (Path(order.results) / "assessment.json").write_text("{}")


def serve(data):
    """Serve until the end of stdin, with the address as the first line."""
    import uvicorn  # noqa: PLC0415  in the process of the service alone

    from hilum.service.jobs import Jobs, JobSettings  # noqa: PLC0415
    from hilum.service.web.app import make_app  # noqa: PLC0415
    from hilum.service.web.serving import address_of, configure, listen  # noqa: PLC0415
    from hilum.service.web.settings import WebSettings  # noqa: PLC0415

    web = WebSettings(port=0, requests_per_s=1e6)
    settings = JobSettings(data=Path(data), assessor="service_load:assess", workers=2)
    with listen(web) as listener, Jobs(settings) as jobs:
        print(address_of(web, listener), flush=True)
        uvicorn.Server(configure(make_app(jobs, web), web)).run(sockets=[listener])


def body(number):
    """Stream a study that is like no other."""
    yield bytes(128) + b"DICM" + f"{number}".encode()
    piece = os.urandom(1 << 20)
    for _ in range(SIZE_MB):
        yield piece


def main():
    """Measure, and print a table."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE), *sys.path])}
    with tempfile.TemporaryDirectory() as data:
        service = subprocess.Popen(
            [sys.executable, __file__, "serve", data],
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        try:
            measure(service.stdout.readline().strip(), psutil.Process(service.pid))
        finally:
            service.terminate()
            service.wait()


def measure(address, process):
    """Upload, and ask for the list of studies meanwhile."""
    seconds, memory = [], [process.memory_info().rss / 1e6]
    start = time.perf_counter()
    with (
        httpx.Client(base_url=address, timeout=300) as client,
        ThreadPoolExecutor(UPLOADS) as pool,
    ):
        sent = [
            pool.submit(client.post, "/api/studies", content=body(number))
            for number in range(UPLOADS)
        ]
        while not all(future.done() for future in sent):
            asked = time.perf_counter()
            client.get("/api/studies").raise_for_status()
            seconds.append(time.perf_counter() - asked)
            memory.append(process.memory_info().rss / 1e6)
            time.sleep(0.05)
        uploaded = time.perf_counter() - start
        refused = [f.result().text for f in sent if f.result().is_error]
        if refused:
            raise SystemExit(f"{len(refused)} refused: {refused[0]}")
        ids = {future.result().json()["id"] for future in sent}
        while True:
            states = [s["state"] for s in client.get("/api/studies").json()["studies"]]
            memory.append(process.memory_info().rss / 1e6)
            if all(state in ("done", "failed") for state in states):
                break
            time.sleep(0.2)
    print(f"{UPLOADS} uploads of {SIZE_MB} MB at once")
    print(f"  done, and each its own      {states.count('done')}, {len(ids)}")
    print(f"  all sent after              {uploaded:.1f} s")
    print(f"  all done after              {time.perf_counter() - start:.1f} s")
    print(f"  page, median                {1000 * statistics.median(seconds):.0f} ms")
    print(f"  page, slowest of {len(seconds):<10} {1000 * max(seconds):.0f} ms")
    print(f"  memory before, at most      {memory[0]:.0f}, {max(memory):.0f} MB")


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        serve(sys.argv[2])
    else:
        main()
