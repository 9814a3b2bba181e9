"""What every test may rely on."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

from hilum._optional import prepare_backend

prepare_backend()  # TensorFlow's own kernels pool and convolve otherwise in rare cases
settings.register_profile("hilum", deadline=None)  # numba compiles at first use
settings.load_profile("hilum")

collect_ignore_glob = ["conftest.py", "*/conftest.py"]
"""No doctests there, and all share one name, by which pytest confuses them."""

LONG = ("browser", "real", "slow")


def pytest_collection_modifyitems(items):
    """Begin with the files that have long tests, so that none is left for the end.

    Files stay whole and in order otherwise: a worker takes a file at a time.
    """
    long = {item.path for item in items if any(map(item.get_closest_marker, LONG))}
    items.sort(key=lambda item: item.path not in long)


@pytest.fixture(scope="session")
def real_data():
    """Folder of the real CT and labels, where it is."""
    default = Path(__file__).parents[2] / "shared" / "data"
    folder = Path(os.environ.get("HILUM_DATA", default))
    if not (folder / "annotations.csv").exists():
        pytest.skip(f"no real CT: set HILUM_DATA to a folder with it ({folder.name})")
    return folder


@pytest.fixture(scope="session")
def orthanc(tmp_path_factory):
    """A PACS of this session; see `orthanc.Orthanc`."""
    from orthanc import running_orthanc  # noqa: PLC0415  only where it is used

    with running_orthanc(tmp_path_factory.mktemp("orthanc")) as running:
        yield running


@pytest.fixture(scope="session")
def example(tmp_path_factory):
    """Folder of a small synthetic data set of a layout, made once; never change it."""
    from hilum.synthetic import ExampleSettings, write_example  # noqa: PLC0415

    root = tmp_path_factory.mktemp("examples")
    tiny = ExampleSettings(shape=(40, 64, 64), spacing_mm=(7.0, 5.6, 5.6))

    def made(layout):
        if not (root / layout).exists():
            write_example(layout, root / layout, settings=tiny)
        return root / layout

    return made
