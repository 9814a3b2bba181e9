"""What tests of whole training runs share."""

import pytest


@pytest.fixture
def eagerly():
    """Train without graphs: tracing one costs more than the few steps of a test."""
    import tensorflow as tf  # noqa: PLC0415  only where it is used

    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)
