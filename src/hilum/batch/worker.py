"""The process that holds the networks and assesses one scan after the other.

It is told what to do by lines of JSON on stdin and answers by lines on stdout. While
the networks look at a scan, the one after it is read. When stdin closes, whoever
started it is gone, and it stops at once, so that no scan is worked on twice at a time.

    {"order": {...}, "ahead": {...} or null}     stdin: assess this; then comes that

    {"ready": true}                              stdout: the networks are loaded
    {"stage": "lungs"}                           a stage begins
    {"outcome": {...}}                           see `Outcome`
    {"stop": "...", "code": 5}                   no scan can be assessed here
"""

from __future__ import annotations

import json
import os
import queue
import shutil
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from time import perf_counter
from typing import Any

from hilum._cores import limit_cores
from hilum.batch.order import Order, Outcome
from hilum.errors import HilumError

ORPHANED = 75
"""Exit code of a worker whose run is gone (EX_TEMPFAIL)."""

Answer = Callable[[dict[str, Any]], None]


def main(arguments: list[str]) -> int:
    """Work until stdin says that all is done.

    Args:
        arguments: Cores to keep busy, 0 for all; the settings file, "" for none; what
            assesses, "module:class", such as `hilum.batch.work:Assessor`; and the
            folder for its temporary files, which was made for it.
    """
    limit_cores(int(arguments[0]) or None)
    out = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # whatever a library prints must not stand between the lines
    _go_first()

    def answer(message: dict[str, Any]) -> None:
        out.write(json.dumps(message) + "\n")

    orders: queue.SimpleQueue[str] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(orders, arguments[3]), daemon=True).start()
    try:
        module, _, name = arguments[2].partition(":")
        assessor = getattr(import_module(module), name)(arguments[1])
        work = _Work(assessor, answer)
        answer({"ready": True})
        while line := orders.get().strip():
            tree = json.loads(line)
            ahead = tree["ahead"]
            outcome = work(
                Order.from_json(tree["order"]),
                None if ahead is None else Order.from_json(ahead),
            )
            answer({"outcome": outcome.to_json()})
    except HilumError as error:
        answer({"stop": str(error), "code": error.exit_code})
        return error.exit_code
    return 0


class _Work:
    """What assesses, and the scan that is read ahead."""

    def __init__(self, assessor: Any, answer: Answer) -> None:
        self._assessor, self._answer = assessor, answer
        self._reader = ThreadPoolExecutor(1)
        self._ahead: tuple[Order, Future[Any]] | None = None

    def __call__(self, order: Order, ahead: Order | None) -> Outcome:
        self._answer({"stage": "read"})
        start = perf_counter()
        loaded = self._loading(order).result()
        loaded.order = order  # what was read ahead may have got another folder
        waited = round(perf_counter() - start, 3)
        if ahead is not None:
            self._ahead = ahead, self._reader.submit(self._assessor.load, ahead)
        outcome: Outcome = self._assessor.finish(loaded, self._say)
        outcome.seconds["wait"] = waited
        return outcome

    def _loading(self, order: Order) -> Future[Any]:
        """Give the reading of a scan, begun ahead or begun now."""
        if self._ahead is not None:
            known, future = self._ahead
            self._ahead = None
            if known.number == order.number:
                return future
            future.add_done_callback(lambda done: done.result().close())
        return self._reader.submit(self._assessor.load, order)

    def _say(self, stage: str) -> None:
        self._answer({"stage": stage})


def _listen(orders: queue.SimpleQueue[str], folder: str) -> None:
    """Pass lines on; the end of the pipe is the end of whoever holds it."""
    for line in sys.stdin:
        orders.put(line)
    shutil.rmtree(folder, ignore_errors=True)  # studies that a server sent
    os._exit(ORPHANED)


def _go_first() -> None:
    """Be the first to go when memory runs out, before whoever keeps the tables."""
    score = Path("/proc/self/oom_score_adj")
    with suppress(OSError):  # no such file, or one that may not be written
        score.write_text("800")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
