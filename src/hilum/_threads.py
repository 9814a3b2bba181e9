"""Work shared among threads, which helps where it is done without the GIL."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np

from hilum._cores import count_cores

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_threads(part: Callable[[int, int], None], count: int) -> None:
    """Run `part(first, last)` over ranges that together cover `range(count)`.

    Args:
        part: Called with each range; releases the GIL, so that threads help.
        count: How many items there are.
    """
    workers = max(1, min(count, count_cores()))
    edges = np.linspace(0, count, workers + 1).astype(int).tolist()
    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(part, edges[:-1], edges[1:]))


def map_in_threads(
    function: Callable[[Item], Result],
    items: Sequence[Item],
    *,
    work: Callable[[Item], float] | None = None,
) -> list[Result]:
    """Apply a function to each item in threads; the results are in order.

    Args:
        function: Spends most of its time without the GIL, in NumPy or compiled.
        items: In any number.
        work: How much there is to do for an item; the longest begin first, so that
            none is left alone at the end.

    Example:
        >>> map_in_threads(abs, [-2, 1])
        [2, 1]
    """
    if len(items) < 2:
        return [function(item) for item in items]
    order = list(range(len(items)))
    if work is not None:
        order.sort(key=lambda n: -work(items[n]))
    with ThreadPoolExecutor(min(len(items), count_cores())) as pool:
        done = pool.map(function, [items[n] for n in order])
        found = dict(zip(order, done, strict=True))
    return [found[n] for n in range(len(items))]
