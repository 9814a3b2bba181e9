"""Work shared among threads."""

import threading
import time

import numpy as np
import pytest

from hilum._threads import in_threads, map_in_threads


@pytest.mark.parametrize("count", [0, 1, 2, 7, 100])
def test_ranges_cover_every_item_once(count):
    seen = np.zeros(count, int)

    def part(first, last):
        seen[first:last] += 1

    in_threads(part, count)
    np.testing.assert_array_equal(seen, np.ones(count))


@pytest.mark.parametrize("count", [0, 1, 2, 9])
def test_results_are_in_the_order_of_the_items(count):
    assert map_in_threads(lambda n: n * n, range(count)) == [
        n * n for n in range(count)
    ]


def test_the_longest_begin_first_and_results_stay_in_order(monkeypatch):
    monkeypatch.setattr("hilum._threads.count_cores", lambda: 1)
    begun = []

    def noted(number):
        begun.append(number)
        return 10 * number

    assert map_in_threads(noted, [1, 3, 2], work=float) == [10, 30, 20]
    assert begun == [3, 2, 1]


def test_an_error_stops_what_has_not_begun(monkeypatch):
    monkeypatch.setattr("hilum._threads.count_cores", lambda: 2)
    begun = []

    def refuse(number):
        begun.append(number)
        time.sleep(0.02)
        raise ValueError(number)

    with pytest.raises(ValueError, match="0"):
        map_in_threads(refuse, range(100))
    assert len(begun) < 20


def test_one_item_starts_no_thread():
    assert map_in_threads(lambda _: threading.current_thread(), [1]) == [
        threading.current_thread()
    ]


def test_an_error_of_one_item_is_raised():
    def refuse(number):
        raise ValueError(number)

    with pytest.raises(ValueError, match="1"):
        map_in_threads(refuse, [1, 2])
