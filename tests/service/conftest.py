"""What the tests of the service share."""

import os
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
SOURCE = HERE.parents[1] / "src"


@pytest.fixture(scope="session", autouse=True)
def _workers_find_the_fake_assessor():
    """Workers are processes of their own: they learn by the environment."""
    before = os.environ.get("PYTHONPATH")
    paths = [str(SOURCE), str(HERE), *filter(None, [before])]
    os.environ["PYTHONPATH"] = os.pathsep.join(paths)
    yield
    if before is None:
        del os.environ["PYTHONPATH"]
    else:
        os.environ["PYTHONPATH"] = before


@pytest.fixture(scope="session")
def python():
    """The interpreter, for processes that a test starts."""
    return sys.executable
