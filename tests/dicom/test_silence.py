"""What pydicom doubts is quoted to nobody, and afterwards all is as it was."""

import logging
import threading
import warnings

import pytest

from hilum.dicom.silence import silence

LOGGER = logging.getLogger("pydicom")


def test_silences_that_overlap_give_back_what_was_before():
    before = warnings.filters
    first, second = silence(), silence()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)  # as where two threads read at once
    assert LOGGER.disabled
    warnings.warn("Not heard.", stacklevel=1)
    second.__exit__(None, None, None)
    assert warnings.filters is before
    assert not LOGGER.disabled
    with pytest.warns(UserWarning, match="Heard"):
        warnings.warn("Heard again.", stacklevel=1)


def test_a_logger_that_was_off_stays_off_and_errors_end_a_silence(monkeypatch):
    monkeypatch.setattr(LOGGER, "disabled", True)
    before = warnings.filters
    with pytest.raises(KeyError), silence():
        raise KeyError
    assert LOGGER.disabled
    assert warnings.filters is before


def test_many_threads_leave_the_filters_as_they_were():
    before, together = warnings.filters, threading.Barrier(4)

    def read():
        for _ in range(50):
            together.wait(60)
            with silence():
                pass

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert warnings.filters is before
    assert not LOGGER.disabled
