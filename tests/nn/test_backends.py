"""The layers are made of `keras.ops` alone: the same tests pass on JAX."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import keras
import pytest

TESTS = Path(__file__).parents[1]
ROOT = TESTS.parent

ON_JAX = (
    "nn/test_layers.py",
    "nn/test_layer_values.py",
    "primer/test_convolution.py",
    "primer/test_dense.py",
    "primer/test_noisy.py",
    "primer/test_normalisation.py",
    "primer/test_pooling.py",
    "primer/test_primer_activations.py",
    "primer/test_shapes_and_decisions.py",
)
"""Tests of layers, and of the NumPy operations against Keras."""
QUICK = "--xla_backend_optimization_level=0"
"""Compiling takes most of the time: each operation is run on a few numbers, once."""
OF_ANY_BACKEND = "every_argument or mixed_precision"
"""Tests of what Keras does before a backend has a say; they need not run twice."""


@pytest.mark.slow
@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="one backend starts the other"
)
@pytest.mark.skipif(
    importlib.util.find_spec("jax") is None and not os.environ.get("CI"),
    reason="jax is not installed",
)
def test_layers_and_operations_on_jax():
    # KERAS_BACKEND=jax python -m pytest tests/nn/test_layers.py
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider"]
    result = subprocess.run(
        [*command, "-k", f"not ({OF_ANY_BACKEND})", *(str(TESTS / t) for t in ON_JAX)],
        env={**os.environ, "KERAS_BACKEND": "jax", "XLA_FLAGS": QUICK},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=1200,
        check=False,
    )
    assert result.returncode == 0, result.stdout[-4000:] + result.stderr[-2000:]
    assert " skipped" not in result.stdout


@pytest.mark.parametrize("module", ["layers", "models"])
def test_no_backend_is_named(module):
    for path in (ROOT / "src" / "hilum" / "nn" / module).glob("*.py"):
        code = path.read_text()
        for backend in ("tensorflow", "jax", "torch", "numpy"):
            assert f"import {backend}" not in code
            assert f"from {backend}" not in code
