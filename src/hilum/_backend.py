"""Keras and what computes under it, loaded without their greetings."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

from hilum._optional import require

_STDERR = 2


def load_keras(*, to: str, computes: bool = True) -> ModuleType:
    """Import Keras with its backend, without what the backend has to say of itself.

    Args:
        to: What needs it, as in "to train networks".
        computes: Whether the backend starts to work, after which TensorFlow lets
            nobody choose its devices.

    Raises:
        MissingDependencyError: It is not installed.
    """
    with _hushed():
        keras = require("keras", extra="train", to=to)
        if computes:
            keras.ops.zeros(1)  # the backend greets again when it first computes
    return keras


@contextmanager
def _hushed() -> Iterator[None]:
    """Hold back what C++ writes to standard error; show it if an error is raised."""
    try:
        kept = os.dup(_STDERR)
    except OSError:  # there is none
        yield
        return
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), _STDERR)
        try:
            yield
        except BaseException:
            os.dup2(kept, _STDERR)
            held.seek(0)
            os.write(_STDERR, held.read())
            raise
        finally:
            os.dup2(kept, _STDERR)
            os.close(kept)
