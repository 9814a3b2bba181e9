"""Errors carry their exit code; a missing part says how to install it."""

import pytest

from hilum._optional import require
from hilum.errors import HilumError, InputError, MissingDependencyError, WeightsError


def test_exit_codes_are_the_contract():
    codes = [
        e.exit_code
        for e in (HilumError, InputError, MissingDependencyError, WeightsError)
    ]
    assert codes == [1, 3, 4, 5]


def test_input_errors_are_value_errors():
    assert issubclass(InputError, ValueError)
    assert not issubclass(WeightsError, ValueError)


def test_missing_extra_says_how_to_install():
    with pytest.raises(MissingDependencyError, match=r"pip install 'hilum\[serve\]'"):
        require("no_such_module", extra="serve", to="to serve the viewer")


def test_what_is_installed_is_imported():
    assert require("json", extra="serve", to="to test").dumps([1]) == "[1]"
