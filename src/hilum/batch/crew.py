"""Several workers on one plan: each outcome comes once, in the order of finishing.

A worker that died with two scans in hand, the one it was on and the one it was
reading, may have died of either. So the scan is tried again alone; a second death alone
is its own, and it is a failure. A scan that takes too much memory is tried alone too.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Generator, Sequence

from hilum.batch.hand import GoneError, Worker
from hilum.batch.order import Order, Outcome
from hilum.batch.plan import Plan
from hilum.errors import InputError

Answer = tuple[Order, Outcome] | Exception

_WAIT_S = 0.5

_ALL_GONE = (
    "All workers are gone, and no new one can be started. Start the machines again, "
    "then this command: it goes on."
)


def outcomes_of(
    orders: Sequence[Order],
    workers: Sequence[Worker],
    *,
    idle: Callable[[], None] | None = None,
) -> Generator[tuple[Order, Outcome]]:
    """Have orders done, and give what came of each as soon as it is there.

    Args:
        orders: In the order in which they are begun.
        workers: Who does them; closed at the end.
        idle: Called about twice a second while nothing is finished.

    Raises:
        HilumError: No scan can be assessed here, or all workers are gone.
    """
    plan = Plan(orders)
    answers: queue.SimpleQueue[Answer] = queue.SimpleQueue()
    threads = [
        threading.Thread(target=_serve, args=(k, w, plan, answers), daemon=True)
        for k, w in enumerate(workers)
    ]
    started = [thread for thread in threads if _start(thread, answers)]
    left, at_work, cause = len(orders), len(threads), _ALL_GONE
    try:
        while left:
            try:
                answer = answers.get(timeout=_WAIT_S)
            except queue.Empty:
                if idle is not None:
                    idle()
                continue
            if isinstance(answer, GoneError):
                at_work -= 1
                cause = str(answer) or cause
                if left and not at_work:
                    raise InputError(cause)
                continue
            if isinstance(answer, Exception):
                raise answer
            left -= 1
            yield answer
    finally:
        plan.stop()
        for worker in workers:
            worker.close()
        for thread in started:
            thread.join(timeout=10)


def _start(thread: threading.Thread, answers: queue.SimpleQueue[Answer]) -> bool:
    """Start a thread; where the system has no room for one, its worker is gone."""
    try:
        thread.start()
    except RuntimeError as error:
        answers.put(
            GoneError(
                f"A worker could not be started: the system said: {error}. Take fewer "
                "workers. What is done is kept: the same command goes on."
            )
        )
        return False
    return True


def _serve(
    number: int,
    worker: Worker,
    plan: Plan,
    answers: queue.SimpleQueue[Answer],
) -> None:
    """Let one worker do orders until there are none."""
    order = None
    try:
        while (order := plan.take(number)) is not None:
            answers.put((order, _try(worker, order, plan.ahead(number))))
            plan.done()
        answers.put(GoneError())
    except GoneError as error:
        if order is not None:
            plan.give_back(number, order)
        answers.put(error)
    except Exception as error:  # noqa: BLE001  raised again where it is waited for
        answers.put(error)


def _try(worker: Worker, order: Order, ahead: Order | None) -> Outcome:
    """Have an order done; alone once more, and twice, where the worker was lost."""
    outcome = worker.run(order, ahead)
    if ahead is not None and _kind(outcome) in ("lost", "memory"):
        outcome = worker.run(order, None)
    if _kind(outcome) == "lost":
        outcome = worker.run(order, None)
    return outcome


def _kind(outcome: Outcome) -> str | None:
    return outcome.failure.kind if outcome.failure else None
