"""What tests need that may not be there: a reason to skip, and in CI to fail."""

import os
from importlib import import_module
from importlib.util import find_spec

import pytest


def miss(reason):
    """Skip, but never in CI: there it has to be."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"{reason}, and CI=true")
    pytest.skip(reason, allow_module_level=True)


def need(module, package):
    """Import a module, or miss it."""
    if find_spec(package) is None:
        miss(f"{package} is not installed")
    return import_module(module)
