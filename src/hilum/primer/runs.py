"""Training runs behind the page: each a process of its own, one at a time.

A run keeps its log and its `.keras` file in a folder that lives as long as the runs do.
A run that outlives its time limit by `GRACE_S` is ended.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass, field
from pathlib import Path
from threading import Lock
from time import monotonic
from typing import Any, Self

from hilum.errors import InputError
from hilum.primer.trainer import Plan, parse_plan

GRACE_S = 240.0
"""For starting, making or reading data, and saving, on a busy computer."""

MOST_RUNS = 50
"""Kept at a time; the next one takes the place of the oldest."""


@dataclass(slots=True)
class Run:
    """One training.

    Attributes:
        plan: What is trained.
        folder: Where its log and its network are.
        process: That trains.
        started_s: When, on the monotonic clock.
        stopped: Whether the reader stopped it.
        late: Whether it was ended because it hung.
    """

    plan: Plan
    folder: Path
    process: subprocess.Popen[bytes]
    started_s: float = field(default_factory=monotonic)
    stopped: bool = False
    late: bool = False

    @property
    def model(self) -> Path:
        """The network that it leaves."""
        return self.folder / "model.keras"

    @property
    def state(self) -> str:
        """Tell "training", "done", "stopped" or "failed"."""
        if self.process.poll() is None:
            return "training"
        if self.stopped:
            return "stopped"
        return "done" if self.process.returncode == 0 else "failed"

    def to_json(self, number: int) -> dict[str, Any]:
        """Tell how far it is."""
        log = self.folder / "log.jsonl"
        lines = log.read_text(encoding="utf-8").splitlines() if log.exists() else []
        return {
            "id": number,
            "plan": asdict(self.plan),
            "state": self.state,
            "log": [json.loads(line) for line in lines if line.endswith("}")],
            "keras": self.model.exists(),
            "why": self._why() if self.state == "failed" else "",
        }

    def _why(self) -> str:
        """Say why it failed: the last error of what the process wrote."""
        if self.late:
            return "It took too long. Is the computer busy?"
        text = (self.folder / "errors.txt").read_text(errors="replace").strip()
        lines = text.splitlines() or ["It ended without a word."]
        errors = [line for line in lines if "Error: " in line]
        return (errors or lines)[-1].rsplit("Error: ", 1)[-1]


class Runs:
    """All runs since the server started; leaving ends what still trains."""

    def __init__(self, nodules: Path | None = None):
        """Prepare for runs.

        Args:
            nodules: Folder of rated nodules to train on, if there is one.
        """
        self.nodules = nodules
        self._folder = tempfile.TemporaryDirectory(prefix="hilum-primer-")
        self._runs: dict[int, Run] = {}
        self._next = 0
        self._lock = Lock()

    def __enter__(self) -> Self:
        """Start with none."""
        return self

    def __exit__(self, *error: object) -> None:
        """End the processes and forget their files."""
        for run in self._runs.values():
            _end(run.process)
        self._folder.cleanup()

    def start(self, tree: Any) -> int:
        """Start a training.

        Args:
            tree: The plan, as JSON gives it.

        Returns:
            Number of the run.

        Raises:
            InputError: The plan does not fit, another training runs, or there is no
                folder of nodules to train on.
        """
        plan = parse_plan(tree)
        if plan.data == "nodules" and self.nodules is None:
            raise InputError(
                "There are no real nodules to train on. Start the primer with "
                "--nodules FOLDER, a folder as `hilum train` takes it."
            )
        with self._lock:
            self._tidy()
            if any(run.state == "training" for run in self._runs.values()):
                raise InputError("A network is being trained. Stop it, or wait.")
            while len(self._runs) >= MOST_RUNS:
                forgotten = self._runs.pop(min(self._runs))
                shutil.rmtree(forgotten.folder, ignore_errors=True)
            number, self._next = self._next, self._next + 1
            self._runs[number] = self._begin(plan, number)
            return number

    def _begin(self, plan: Plan, number: int) -> Run:
        folder = Path(self._folder.name) / str(number)
        folder.mkdir()
        nodules = None if self.nodules is None else str(self.nodules.resolve())
        told = {**asdict(plan), "nodules": nodules}
        (folder / "plan.json").write_text(json.dumps(told), encoding="utf-8")
        with (folder / "errors.txt").open("wb") as errors:
            process = subprocess.Popen(
                _command(folder),
                stdin=subprocess.DEVNULL,
                stdout=errors,
                stderr=errors,
            )
        return Run(plan, folder, process)

    def all(self) -> list[dict[str, Any]]:
        """Tell of every run how far it is."""
        self._tidy()
        return [run.to_json(number) for number, run in list(self._runs.items())]

    def stop(self, number: int) -> None:
        """Let a run end with its present epoch, and keep its network.

        Raises:
            InputError: There is no such run.
        """
        run = self._find(number)
        if run.state == "training":
            run.stopped = True
            (run.folder / "stop").touch()

    def network(self, number: int) -> bytes:
        """Give the `.keras` file of a run.

        Raises:
            InputError: There is no such run, or it has no network yet.
        """
        run = self._find(number)
        if not run.model.exists():
            raise InputError("That network is not ready yet.")
        return run.model.read_bytes()

    def _find(self, number: int) -> Run:
        run = self._runs.get(number)
        if run is None:
            raise InputError(f"There is no run {number}; there are {len(self._runs)}.")
        return run

    def _tidy(self) -> None:
        """End what hangs."""
        for run in list(self._runs.values()):
            late = monotonic() - run.started_s > run.plan.limit_s + GRACE_S
            if late and run.process.poll() is None:
                run.late = True
                _end(run.process)


def _command(folder: Path) -> list[str]:
    """Say how to train as the plan in a folder says."""
    plan = str(folder / "plan.json")
    return [sys.executable, "-m", "hilum.primer.trainer", plan, str(folder)]


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a process, and wait until it is gone."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
