"""Which worker does what next, so that none waits and nothing is done twice."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable

from hilum.batch.order import Order


class Plan:
    """Orders that several workers share, in their order.

    A worker may look at the order after its own, to read ahead; it keeps it for
    itself unless another worker has nothing left to do.

    Args:
        orders: What is to be done.
    """

    def __init__(self, orders: Iterable[Order]) -> None:
        self._waiting = deque(orders)
        self._kept: dict[int, Order] = {}
        self._busy = 0
        self._is_stopped = False
        self._changed = threading.Condition()

    def take(self, worker: int) -> Order | None:
        """Take an order; wait where one may yet be given back; None: all is done."""
        with self._changed:
            while not self._is_stopped:
                order = self._next(worker)
                if order is not None:
                    self._busy += 1
                    return order
                if not self._busy:
                    break
                self._changed.wait()
            return None

    def _next(self, worker: int) -> Order | None:
        if worker in self._kept:
            return self._kept.pop(worker)
        if self._waiting:
            return self._waiting.popleft()
        return self._kept.popitem()[1] if self._kept else None

    def ahead(self, worker: int) -> Order | None:
        """Keep the next order for a worker, and show it."""
        with self._changed:
            if worker not in self._kept and self._waiting:
                self._kept[worker] = self._waiting.popleft()
            return self._kept.get(worker)

    def done(self) -> None:
        """Say that an order that was taken is done."""
        with self._changed:
            self._busy -= 1
            self._changed.notify_all()

    def give_back(self, worker: int, order: Order) -> None:
        """Leave an order, and what was kept, to the others."""
        with self._changed:
            self._busy -= 1
            kept = self._kept.pop(worker, None)
            self._waiting.extendleft(o for o in (kept, order) if o is not None)
            self._changed.notify_all()

    def stop(self) -> None:
        """Let no order be taken any more."""
        with self._changed:
            self._is_stopped = True
            self._changed.notify_all()
