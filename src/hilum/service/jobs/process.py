"""Starting workers, listening to them, and stopping those that take too much."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal

from hilum.service.jobs.worker import Order

_LOOK_S = 0.25
_PAGE = os.sysconf("SC_PAGE_SIZE")

Kind = Literal["done", "input", "bug", "system", "lost", "stopped", "limit"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a worker ended.

    Attributes:
        kind: "done"; "input", the study cannot be used; "bug", ours; "system", the
            machine; "lost", it died; "stopped", by a person; "limit", it took too
            much memory or time.
        error: In words, or None when done.
    """

    kind: Kind
    error: str | None = None


class Workers:
    """The workers of a service.

    Args:
        limit_gb: Memory at which one is stopped.
        limit_s: Time after which one is stopped.
        log: File that gets what workers write to stderr.
    """

    def __init__(self, *, limit_gb: float, limit_s: float, log: Path) -> None:
        self._limit_bytes, self._limit_s, self._log = limit_gb * 1e9, limit_s, log
        self._running: dict[str, subprocess.Popen[str]] = {}
        self._stopped: set[str] = set()
        self._lock = threading.Lock()

    def run(
        self, job_id: str, order: Order, heard: Callable[[dict[str, Any]], None]
    ) -> Outcome:
        """Run one worker to its end.

        Args:
            job_id: What `stop` names it by.
            order: What it is to do.
            heard: Called with each line that it says.
        """
        try:
            worker = self._start(job_id)
        except OSError as error:  # no memory, too many processes
            cause = error.strerror or type(error).__name__
            return Outcome("system", f"The worker could not be started: {cause}.")
        try:
            return self._listen(job_id, worker, order, heard)
        finally:
            with self._lock:
                self._running.pop(job_id, None)
                self._stopped.discard(job_id)
            if worker.poll() is None:
                worker.kill()
            worker.wait()
            for pipe in (worker.stdin, worker.stdout):
                _close(pipe)

    def stop(self, job_id: str) -> None:
        """Stop the worker of a job, if there is one."""
        with self._lock:
            worker = self._running.get(job_id)
            if worker is not None:
                self._stopped.add(job_id)
                worker.kill()

    def stop_all(self) -> None:
        """Stop every worker; their jobs go on at the next start."""
        with self._lock:
            for worker in self._running.values():
                worker.kill()

    def _start(self, job_id: str) -> subprocess.Popen[str]:
        with self._log.open("ab") as log, self._lock:
            worker = self._running[job_id] = subprocess.Popen(
                [sys.executable, "-m", "hilum.service.jobs.worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                start_new_session=True,  # Ctrl-C is for the service to handle
            )
        return worker

    def _listen(
        self,
        job_id: str,
        worker: subprocess.Popen[str],
        order: Order,
        heard: Callable[[dict[str, Any]], None],
    ) -> Outcome:
        if worker.stdin is None or worker.stdout is None:
            return Outcome("lost", "The worker could not be started.")
        try:
            worker.stdin.write(json.dumps(order.to_json()) + "\n")
            worker.stdin.flush()
        except BrokenPipeError:
            return Outcome("lost", "The worker ended before it began.")
        over: list[str] = []
        guard = threading.Thread(target=self._guard, args=(worker, over), daemon=True)
        try:
            guard.start()
        except RuntimeError as error:  # no room for a thread: nobody would limit it
            return Outcome("system", f"The worker could not be watched: {error}.")
        last: dict[str, Any] = {}
        for line in worker.stdout:
            try:
                last = json.loads(line)
            except ValueError:  # cut short by its end
                break
            if "error" not in last and "done" not in last:
                heard(last)
        code = worker.wait()
        if over:
            return Outcome("limit", over[0])
        with self._lock:
            if job_id in self._stopped:
                return Outcome("stopped", "It was stopped.")
        if "done" in last:
            return Outcome("done")
        if "error" in last:
            return Outcome(last["kind"], str(last["error"]))
        cause = f"signal {-code}" if code < 0 else f"exit code {code}"
        return Outcome("lost", f"The worker ended by {cause}.")

    def _guard(self, worker: subprocess.Popen[str], over: list[str]) -> None:
        """Stop a worker that takes too much memory or time."""
        end = time.monotonic() + self._limit_s
        statm = Path(f"/proc/{worker.pid}/statm")
        while worker.poll() is None:
            if time.monotonic() > end:
                over.append(
                    f"It took more than {self._limit_s / 60:.0f} minutes and was "
                    "stopped. Raise `--worker-minutes` if that is too few."
                )
            try:
                used = int(statm.read_text().split()[1]) * _PAGE
            except (OSError, IndexError, ValueError):
                used = 0
            if used > self._limit_bytes:
                over.append(
                    f"It needed more than {self._limit_bytes / 1e9:.1f} GB of memory "
                    "and was stopped. Raise `--worker-gb` if there is more."
                )
            if over:
                worker.kill()
                return
            time.sleep(_LOOK_S)


def _close(pipe: IO[str] | None) -> None:
    try:
        if pipe is not None:
            pipe.close()
    except BrokenPipeError:
        return
