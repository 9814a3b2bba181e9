"""Workers on other machines, by Ray.

Each actor is on the machine that Ray gives it and holds one worker process there,
which holds the networks; so a scan that hangs can be ended, its memory is measured
where it is, and an actor that dies takes nothing but its one scan with it. Actors
share nothing: an actor writes into a folder of its own machine and sends the files
back; whoever asked writes them. Sources must be seen from every machine.

Sources:
    Ray documentation, "Actors", "Fault tolerance: actors" (max_restarts=0, for the
    scan is ordered anew by the one who keeps the tables).
"""

from __future__ import annotations

import logging
import os
import secrets
import socket
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hilum._optional import require
from hilum._version import __version__
from hilum.batch.hand import GoneError, Hand, HandSettings, lost
from hilum.batch.order import Order, Outcome
from hilum.errors import HilumError, InputError
from hilum.formats.atomic import replacing_folder, writing
from hilum.runtime.weights import digest_of, weights_folder

_REPLACE_S = 60.0
"""How long a new actor is waited for before its orders go to the others."""

_ANSWER_S = 10.0

_NOT_JOINED = (ConnectionError, ValueError, RuntimeError, OSError)
_MODE = "RAY_AUTH_MODE"

Files = dict[str, bytes]


class Station:
    """What an actor does: a worker process of its machine, files sent back.

    Args:
        settings: How the worker runs.
    """

    def __init__(self, settings: HandSettings) -> None:
        self._hand = Hand(settings)

    def ready(self) -> tuple[str, str]:
        """Say which hilum and which weights are on this machine."""
        return _installed()

    def run(self, order: Order, ahead: Order | None) -> tuple[Outcome, Files]:
        """Assess one scan.

        Args:
            order: The scan.
            ahead: The scan that will probably be next.

        Returns:
            What came of it, and its files by their path in its folder.
        """
        with TemporaryDirectory(prefix="hilum-") as name:
            here = replace(order, out=str(Path(name) / "scan"))
            outcome = self._hand.run(here, ahead)
            return outcome, _read_files(Path(here.out))


class RayWorker:
    """An actor, seen from the process that keeps the tables.

    Args:
        settings: How its worker runs.
    """

    def __init__(self, settings: HandSettings) -> None:
        self._settings = settings
        self._actor: Any = None
        self._is_closed = False

    def run(self, order: Order, ahead: Order | None) -> Outcome:
        """Assess one scan on whatever machine; write its folder here.

        Args:
            order: The scan.
            ahead: The scan that will probably be next.

        Raises:
            GoneError: The actor cannot be replaced, or its machine starts no worker.
            InputError: A machine has another hilum than this one, or other weights.
            HilumError: No scan can be assessed.
        """
        if self._is_closed:
            return lost(order, "The run was stopped.")
        ray = _ray()
        actor = self._actor or self._start(ray)
        try:
            outcome, files = ray.get(actor.run.remote(order, ahead))
        except ray.exceptions.RayTaskError as error:
            cause = error.cause
            if isinstance(cause, GoneError):
                self._end()
                raise cause from None
            raise (cause if isinstance(cause, HilumError) else error) from None
        except ray.exceptions.RayError as error:
            self._end()
            return lost(order, f"The actor is gone ({type(error).__name__}).")
        if self._is_closed:  # the folder may be another run's by now
            return lost(order, "The run was stopped.")
        if outcome.row is not None:
            _write_files(files, Path(order.out))
        return outcome  # type: ignore[no-any-return]

    def close(self) -> None:
        """Stop the actor, whatever it is doing; no other follows it."""
        self._is_closed = True
        self._end()

    def _end(self) -> None:
        actor, self._actor = self._actor, None
        ray = _ray()
        if actor is not None and ray.is_initialized():
            ray.kill(actor)

    def _start(self, ray: Any) -> Any:
        """Start an actor where there is room; its machine may be another one."""
        options = {
            "num_cpus": max(1, self._settings.cores),
            "max_restarts": 0,
            "scheduling_strategy": "SPREAD",
        }
        actor = ray.remote(Station).options(**options).remote(self._settings)
        try:
            there = ray.get(actor.ready.remote(), timeout=_REPLACE_S)
        except ray.exceptions.RayError as error:
            ray.kill(actor)
            raise GoneError from error
        self._actor = actor
        if there != _installed():
            self._end()
            raise InputError(
                f"A machine of the cluster has hilum {there[0]}, and this one "
                f"{__version__}, or their weights differ. Install the same on all."
            )
        if self._is_closed:
            self._end()
        return actor


@contextmanager
def ray_workers(
    limits: HandSettings, workers: int | None, address: str | None, *, most: int
) -> Iterator[Sequence[RayWorker]]:
    """Join a cluster, or start Ray on this machine, while a block runs.

    Args:
        limits: How each worker runs.
        workers: How many; None: as many as the cluster has cores.
        address: Of the cluster; None: this machine alone.
        most: More than so many are of no use.

    Raises:
        MissingDependencyError: Ray is not installed.
        InputError: The cluster cannot be joined.
    """
    _take_token(address)
    _listen_to(address)
    ray = _ray()
    is_ours = not ray.is_initialized()
    if is_ours:
        _join(ray, workers, address)
    try:
        nodes = [n["Resources"].get("CPU", 0) for n in ray.nodes() if n["Alive"]]
        count = workers or max(1, int(sum(nodes)))
        share = limits.with_cores(cores_each(nodes, count))
        yield [RayWorker(share) for _ in range(max(1, min(count, most)))]
    finally:
        if is_ours:
            ray.shutdown()


def cores_each(nodes: Sequence[float], workers: int) -> int:
    """Tell how many cores each worker may have, so that all of them find room.

    A worker is on one machine, whatever the cores of all machines together.

    Args:
        nodes: Cores of each machine.
        workers: How many there are to be.

    Example:
        >>> cores_each([16, 16, 16], 4), cores_each([1, 1], 1)
        (8, 1)
    """
    for cores in range(int(sum(nodes)) // workers, 1, -1):
        if sum(int(node) // cores for node in nodes) >= workers:
            return cores
    return 1


def _take_token(address: str | None) -> None:
    """Settle how Ray tells who may run something on it, before it is imported.

    Left alone, Ray on one machine would keep a token in the home, and each `ray start`
    there would ask for it ever after. So a run on this machine has a token of its own;
    on a cluster that of the machine is shown, if it has one.
    """
    if _MODE in os.environ or "ray" in sys.modules:
        return  # somebody chose
    if address is None:
        os.environ[_MODE] = "token"
        os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)
        return
    kept = os.environ.get("RAY_AUTH_TOKEN_PATH") or Path.home() / ".ray/auth_token"
    if "RAY_AUTH_TOKEN" in os.environ or Path(kept).is_file():
        os.environ[_MODE] = "token"


def _join(ray: Any, workers: int | None, address: str | None) -> None:
    quiet = {"log_to_driver": False, "logging_level": logging.ERROR}
    where = "Ray cannot be started here"
    _check_address(address)
    try:
        if address is None:
            # "local": a cluster that somebody else runs here is not joined unasked
            ray.init(
                address="local", num_cpus=workers, include_dashboard=False, **quiet
            )
        else:
            where = "There is no Ray cluster at that address"
            ray.init(address=address, **quiet)
    except (*_NOT_JOINED, ray.exceptions.RayError) as error:
        if address is not None and "AuthenticationError" in _causes(error):
            raise InputError(
                "The Ray cluster at that address asks for another token. Copy "
                "~/.ray/auth_token of the machine with the head to this one, and set "
                "RAY_AUTH_MODE=token."
            ) from error
        raise InputError(
            f"{where} ({type(error).__name__}). Start one with `ray start --head`, or "
            "leave out --address."
        ) from error


def _causes(error: BaseException | None) -> str:
    """Give all that an error came from, as one text."""
    texts = []
    while error is not None:
        texts.append(f"{type(error).__name__}: {error}")
        error = error.__cause__ or error.__context__
    return "\n".join(texts)


def _check_address(address: str | None) -> None:
    """Refuse an address where nobody answers: Ray itself would try for minutes."""
    host, _, port = (address or "").rpartition(":")
    if not host or not port.isdigit():
        return  # none, or a word of Ray's such as "auto"
    try:
        socket.create_connection((host, int(port)), timeout=_ANSWER_S).close()
    except (OSError, OverflowError, UnicodeError) as error:
        raise InputError(
            f"There is no Ray cluster at that address ({type(error).__name__}). Start "
            "one with `ray start --head`, or leave out --address."
        ) from error


def _listen_to(address: str | None) -> None:
    """Let Ray without a cluster listen to this machine alone, before it is imported.

    By itself it does so on Windows and macOS only; this setting of Ray's, whatever its
    name says, makes Linux like them.
    """
    if address is None:
        os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")


def _ray() -> Any:
    """Import Ray, which must report to nobody."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    return require("ray", extra="ray", to="to assess a cohort on a cluster")


def _installed() -> tuple[str, str]:
    """Tell the version of hilum and the digest of its weights."""
    return __version__, digest_of(weights_folder() / "index.json")


def _read_files(folder: Path) -> Files:
    """Read what a worker wrote; nothing where it wrote nothing."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def _write_files(files: Files, out: Path) -> None:
    """Write the folder of a scan, in one step."""
    with writing(out), replacing_folder(out) as folder:
        for name, data in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
