"""What computes under Keras, TensorFlow as a rule, made ready before it is loaded."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

from hilum._optional import require

_STDERR = 2


def prepare_backend() -> None:
    """Choose what TensorFlow reads from the environment once, when it is loaded.

    Its oneDNN kernels are on by themselves only where the processor has AVX-512 for
    networks; without them 3D networks train 3 to 60 times slower on AVX2. What the
    user has set stays.
    """
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # its greetings are not ours


def load_keras(*, to: str) -> ModuleType:
    """Import Keras with its backend, without what the backend has to say of itself.

    Args:
        to: What needs it, as in "to train networks".

    Raises:
        MissingDependencyError: It is not installed.
    """
    prepare_backend()
    with _hushed():
        keras = require("keras", extra="train", to=to)
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
