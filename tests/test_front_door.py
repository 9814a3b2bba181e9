"""The package's front door: light, complete, and honest about its names."""

import subprocess
import sys

import pytest

import hilum


def test_every_public_name_loads():
    for name in hilum.__all__:
        assert getattr(hilum, name).__name__ == name
    assert set(hilum.__all__) <= set(dir(hilum))


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'asess'"):
        _ = hilum.asess


@pytest.mark.parametrize("statement", ["import hilum", "import hilum.cli"])
def test_import_stays_light(statement):
    heavy = ("numpy", "numba", "scipy", "pydicom", "keras", "rich", "jinja2")
    code = f"import sys; {statement}; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    )
    assert done.stdout.strip() == "[]"


def test_reading_needs_no_compiler():
    # numba takes half a second; reading a series must not pay for it
    code = (
        "import sys, hilum; hilum.read_ct; hilum.find_studies; "
        "print([m for m in ('numba', 'keras', 'tensorflow') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    )
    assert done.stdout.strip() == "[]"
