"""One worker process, seen from the process that gives it orders.

A worker that hangs, takes too much memory or dies is ended and replaced at the next
order; the scan that it was on is an outcome like any other. The time of a scan counts
from when its result is waited for, so what is read ahead costs it nothing.
"""

from __future__ import annotations

import json
import os
import queue
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any, Protocol

from hilum.batch.order import Failure, Kind, Order, Outcome
from hilum.errors import HilumError, InputError, MissingDependencyError, WeightsError

ASSESSOR = "hilum.batch.work:Assessor"

START_S = 600.0
"""Longest time that a worker may take to load the networks, on a busy machine."""

_START_AGAIN_S = (1.0, 5.0)
"""How long to wait before a worker that did not come up is started again."""

_LOOK_S = 0.1
_DEATH_S = 10.0
_ERRORS: dict[int, type[HilumError]] = {
    kind.exit_code: kind for kind in (InputError, MissingDependencyError, WeightsError)
}
_THREADS = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "TF_NUM_INTRAOP_THREADS",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class HandSettings:
    """How a worker runs.

    Attributes:
        cores: That it may keep busy; 0: all.
        time_limit_s: Longest time for one scan.
        memory_limit_gb: Most memory of the worker.
        settings: A TOML file of settings, or "".
        assessor: What it runs, "module:class"; see `hilum.batch.work.Assessor`.
    """

    cores: int = 0
    time_limit_s: float = 1800.0
    memory_limit_gb: float = 6.0
    settings: str = ""
    assessor: str = ASSESSOR

    def with_cores(self, cores: int) -> HandSettings:
        """Give the same with another number of cores."""
        return replace(self, cores=cores)


class Worker(Protocol):
    """Whoever takes orders one at a time: here, or on another machine."""

    def run(self, order: Order, ahead: Order | None) -> Outcome:
        """Assess a scan; read the one that comes after it."""

    def close(self) -> None:
        """Stop, whatever it is doing."""


class GoneError(Exception):
    """A worker is gone and cannot be replaced; others may take its orders."""


class _NotStartedError(Exception):
    """A worker process did not come up; another may."""


class Hand:
    """A worker process on this machine.

    Args:
        settings: How it runs.
    """

    def __init__(self, settings: HandSettings) -> None:
        self._settings = settings
        self._process: subprocess.Popen[str] | None = None
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._is_closed = False
        self._folder = ""

    def run(self, order: Order, ahead: Order | None) -> Outcome:
        """Assess one scan.

        Args:
            order: The scan.
            ahead: The scan that will probably be next.

        Returns:
            What came of it; a failure of kind "lost" where the worker died.

        Raises:
            GoneError: No worker can be started.
            HilumError: No scan can be assessed here.
        """
        if self._is_closed:
            return lost(order, "The run was stopped.")
        process = self._process or self._start()
        given = {
            "order": order.to_json(),
            "ahead": None if ahead is None else ahead.to_json(),
        }
        try:
            if process.stdin is None:
                raise BrokenPipeError
            process.stdin.write(json.dumps(given) + "\n")
            process.stdin.flush()
        except OSError:
            return self._lost(order, "read")
        return self._listen(order, process)

    def close(self) -> None:
        """Stop the worker, whatever it is doing."""
        self._is_closed = True
        self._end()

    def _start(self) -> subprocess.Popen[str]:
        """Start a worker, again where it fails: a busy machine has no room at times.

        Raises:
            GoneError: None can be started.
            HilumError: No scan can be assessed here.
        """
        cause = ""
        for wait_s in (0.0, *_START_AGAIN_S):
            if self._is_closed:
                break
            time.sleep(wait_s)
            try:
                return self._start_once()
            except _NotStartedError as error:
                cause = str(error)
        raise GoneError(
            f"A worker could not be started in {1 + len(_START_AGAIN_S)} tries; the "
            f"last time {cause or 'the run was stopped'}. Is there memory for it? Take "
            "fewer workers, and run `hilum doctor`. What is done is kept: the same "
            "command goes on."
        )

    def _start_once(self) -> subprocess.Popen[str]:
        """Start a worker, and wait until its networks are loaded."""
        self._lines = queue.SimpleQueue[str | None]()
        try:
            self._folder = tempfile.mkdtemp(prefix="hilum-")  # for studies of a server
            process = self._process = self._popen()
        except OSError as error:  # no memory, too many processes, a full disk
            shutil.rmtree(self._folder, ignore_errors=True)
            cause = error.strerror or type(error).__name__
            raise _NotStartedError(f"the system said: {cause}") from error
        if process.stdout is not None:
            self._pump_from(process.stdout)
        if self._is_closed:
            self._end()
        end = time.monotonic() + START_S
        while "ready" not in (message := self._hear() or {}):
            if "stop" in message:
                self._end()
                _refuse(message)
            if "end" in message:
                raise _NotStartedError(f"it {_ended(self._end())}")
            if time.monotonic() > end:
                self._end()
                raise _NotStartedError(f"it was not ready in {START_S:g} s")
        return process

    def _pump_from(self, pipe: IO[str]) -> None:
        """Read what the worker says in a thread.

        Raises:
            _NotStartedError: There is no room for a thread, as for a process at
                times; the worker, which nobody would hear, is ended.
        """
        thread = threading.Thread(target=_pump, args=(pipe, self._lines), daemon=True)
        try:
            thread.start()
        except RuntimeError as error:
            self._end()
            raise _NotStartedError(f"the system said: {error}") from error

    def _popen(self) -> subprocess.Popen[str]:
        settings = self._settings
        threads = dict.fromkeys(_THREADS, str(settings.cores)) if settings.cores else {}
        return subprocess.Popen(
            [
                sys.executable,
                "-P",  # no module of the folder that we happen to be in
                "-m",
                "hilum.batch.worker",
                str(settings.cores),
                settings.settings,
                settings.assessor,
                self._folder,
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # what libraries print may name people
            text=True,
            env=os.environ | threads | {"TMPDIR": self._folder},
            start_new_session=True,  # Ctrl-C is for the run to handle
        )

    def _listen(self, order: Order, process: subprocess.Popen[str]) -> Outcome:
        stage, end = "read", time.monotonic() + self._settings.time_limit_s
        while True:
            message = self._hear()
            if message is None:
                kind = self._over(process, end)
                if kind is not None:
                    self._end()
                    return self._too_much(order, stage, kind)
            elif "stage" in message:
                stage = str(message["stage"])
            elif "outcome" in message:
                return Outcome.from_json(message["outcome"])
            elif "stop" in message:
                self._end()
                _refuse(message)
            else:
                return self._lost(order, stage)

    def _hear(self) -> dict[str, Any] | None:
        """Wait a little for the next message; None: there was none."""
        try:
            line = self._lines.get(timeout=_LOOK_S)
        except queue.Empty:
            return None
        try:
            message: dict[str, Any] = json.loads(line or "")
        except ValueError:  # cut short by its end
            return {"end": True}
        return message

    def _over(self, process: subprocess.Popen[str], end: float) -> Kind | None:
        """Tell what a worker takes too much of."""
        if time.monotonic() > end:
            return "time"
        used = _memory_bytes(process.pid)
        return "memory" if used > self._settings.memory_limit_gb * 1e9 else None

    def _too_much(self, order: Order, stage: str, kind: Kind) -> Outcome:
        if kind == "time":
            reason = (
                f"It took more than {self._settings.time_limit_s:g} s and was stopped. "
                "Raise --time-limit if that is too few."
            )
        else:
            reason = (
                f"It needed more than {self._settings.memory_limit_gb:g} GB of memory "
                "and was stopped. Raise --memory-limit if there is more."
            )
        return _failed(order, kind, stage, reason)

    def _lost(self, order: Order, stage: str) -> Outcome:
        return _failed(order, "lost", stage, f"The worker {_ended(self._end())}.")

    def _end(self) -> int:
        """End the process and its children, and remove what they left half done.

        A process that waits for a dead file server ends when that answers; it is
        not waited for, nor are its pipes closed, which would wait too.

        Returns:
            Its exit code.
        """
        process, self._process = self._process, None
        if process is None:
            return 0
        if process.poll() is None:
            _kill_group(process.pid)
        try:
            code = process.wait(timeout=_DEATH_S)
        except subprocess.TimeoutExpired:  # in a share that answers no more
            return -signal.SIGKILL
        finally:
            shutil.rmtree(self._folder, ignore_errors=True)
        for pipe in (process.stdin, process.stdout):
            _close(pipe)
        return code


def lost(order: Order, reason: str) -> Outcome:
    """Say that a worker is gone that was on a scan.

    Args:
        order: The scan.
        reason: In words.
    """
    return _failed(order, "lost", "read", reason)


def _failed(order: Order, kind: Kind, stage: str, reason: str) -> Outcome:
    failure = Failure(scan=order.number, kind=kind, stage=stage, reason=reason)
    return Outcome(failure=failure)


def _pump(pipe: IO[str], lines: queue.SimpleQueue[str | None]) -> None:
    try:
        for line in pipe:
            lines.put(line)
    except ValueError:  # closed under it
        pass
    lines.put(None)


def _refuse(message: dict[str, Any]) -> None:
    """Raise what no scan of this run can do without."""
    raise _ERRORS.get(int(message["code"]), InputError)(str(message["stop"]))


def _ended(code: int) -> str:
    if code == -signal.SIGKILL:
        return "ended by signal 9, as where memory runs out"
    return f"ended by signal {-code}" if code < 0 else f"ended by exit code {code}"


def _kill_group(pid: int) -> None:
    try:
        os.killpg(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return


def _memory_bytes(pid: int) -> int:
    """Read how much memory a process has; 0 where the system does not tell."""
    try:
        pages = Path(f"/proc/{pid}/statm").read_text().split()[1]
    except (OSError, IndexError):
        return 0
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def _close(pipe: IO[str] | None) -> None:
    try:
        if pipe is not None:
            pipe.close()
    except (BrokenPipeError, ValueError):
        return
