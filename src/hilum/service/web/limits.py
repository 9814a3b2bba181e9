"""How often one user may ask: buckets that fill with time."""

from __future__ import annotations

import time
from collections import OrderedDict

_MOST_BUCKETS = 10_000


class Limiter:
    """A bucket of permits for each name; safe in one event loop.

    Args:
        per_s: Permits that come in a second.
        burst: Permits that a full bucket holds.
    """

    def __init__(self, per_s: float, burst: float) -> None:
        self._per_s, self._burst = per_s, burst
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, name: str) -> float:
        """Take a permit; 0 when there was one, else seconds until there is."""
        return self._take(name, 1.0)

    def look(self, name: str) -> float:
        """Tell how long until there is a permit, and take none."""
        return self._take(name, 0.0)

    def _take(self, name: str, cost: float) -> float:
        now = time.monotonic()
        left, then = self._buckets.pop(name, (self._burst, now))
        left = min(self._burst, left + (now - then) * self._per_s)
        wait = 0.0 if left >= 1 else (1 - left) / self._per_s
        self._buckets[name] = (left - cost if wait == 0 else left, now)
        if len(self._buckets) > _MOST_BUCKETS:
            self._buckets.popitem(last=False)
        return wait
