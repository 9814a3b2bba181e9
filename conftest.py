"""Leave out what needs Keras or the service where it is not installed, and say so."""

import gc
import importlib.util
import re

import pytest

HAS_KERAS = importlib.util.find_spec("keras") is not None
HAS_SERVICE = all(map(importlib.util.find_spec, ("dbos", "fastapi", "httpx")))
SERVICE = ("hilum/service", "tests/service")
IMPORTS_KERAS = re.compile(r"^(import|from) (keras|hilum\.nn)", re.MULTILINE)


@pytest.hookimpl(wrapper=True)
def pytest_collection():
    """Look for no garbage meanwhile: a quarter of the time of collecting went there.

    Afterwards it is looked for again, but no more among what was imported.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.collect()
        gc.freeze()
        gc.enable()


def pytest_ignore_collect(collection_path):
    """Ignore modules, doctests included, that import what is not installed."""
    if not HAS_SERVICE and any(part in collection_path.as_posix() for part in SERVICE):
        return True
    if HAS_KERAS or collection_path.suffix != ".py":
        return None  # let the others decide
    return bool(IMPORTS_KERAS.search(collection_path.read_text())) or None


def pytest_terminal_summary(terminalreporter):
    """Say it at the end, where it is read."""
    if not HAS_KERAS:
        terminalreporter.write_line(
            "Keras is not installed, so the networks were not tested. "
            "Install it with: pip install 'hilum[train]'"
        )
    if not HAS_SERVICE:
        terminalreporter.write_line(
            "The service was not tested. Install what it needs with: "
            "pip install 'hilum[serve]' httpx"
        )
