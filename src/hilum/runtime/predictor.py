"""A network as a function: arrays in, arrays out.

Two kinds of file are read: `.keras`, by Keras in safe mode, and OpenVINO IR (`.xml`
with its `.bin`), which is faster on processors. A network is loaded once a process.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import numpy.typing as npt

from hilum._cores import cores_limit, gains_by_bf16
from hilum._optional import require
from hilum.errors import WeightsError
from hilum.runtime.weights import SUFFIXES, digests_of, find_weights, parts_of

Array = npt.NDArray[np.float32]
Arrays = Array | Mapping[str, Array]

PRECISION_HINTS = {"fp32": "f32", "bf16": "bf16", "int8": "f32"}
"""What OpenVINO computes in, by what was exported: int8 is in the network itself."""

_LIMIT_BYTES = 1 << 28
_KERAS_MODULES = frozenset(
    f"keras{tail}"
    for tail in (
        "",
        ".activations",
        ".constraints",
        ".initializers",
        ".layers",
        ".regularizers",
        ".src.models.functional",
    )
)


class Predictor:
    """A loaded network; several threads may call it, one after the other.

    Attributes:
        path: Where it was loaded from.
        precision: "fp32", "bf16" or "int8".
        sha256: Digest of each of its files, by name.
    """

    def __init__(self, path: Path):
        """Load a network.

        Args:
            path: A `.keras` file, or the `.xml` of an OpenVINO IR.

        Raises:
            WeightsError: The file is damaged, or not a network that can be trusted.
            MissingDependencyError: Keras or OpenVINO is not installed.
        """
        self.path = path
        self.sha256 = (
            digests_of(path) if all(p.is_file() for p in parts_of(path)) else {}
        )
        load = _load_keras if path.suffix == ".keras" else _load_openvino
        self._run, self.precision = load(path)
        self._lock = Lock()

    def __call__(self, inputs: Arrays) -> Any:
        """Compute the outputs.

        Args:
            inputs: (batch, ...) float32; by name for a network of several inputs.

        Returns:
            (batch, ...) float32; by name for a network of several outputs.

        Raises:
            WeightsError: The network takes other inputs.
        """
        if isinstance(inputs, Mapping):
            given: Any = {k: np.asarray(v, np.float32) for k, v in inputs.items()}
        else:
            given = np.asarray(inputs, np.float32)
        with self._lock:
            try:
                return self._run(given)
            except (ValueError, RuntimeError, KeyError, TypeError) as error:
                raise WeightsError(
                    f"`{self.path.name}` cannot take {_described(given)}: "
                    f"{str(error).strip().splitlines()[0]} "
                    "Is it a network for another task?"
                ) from error


_loaded: dict[tuple[Any, ...], Predictor] = {}
_loading = Lock()


def load_predictor(source: Path | str) -> Predictor:
    """Load a network, once a process.

    Args:
        source: Name of shipped weights, or path of a `.keras` or `.xml` file.

    Raises:
        WeightsError: There are no such weights, they are damaged, of another digest,
            or not a network that can be trusted.
        MissingDependencyError: Keras or OpenVINO is not installed.
    """
    if isinstance(source, str) and Path(source).suffix in SUFFIXES:
        source = Path(source)
    with _loading:
        key = (source, *_state(source)) if isinstance(source, Path) else (source,)
        if key not in _loaded:
            _loaded[key] = Predictor(find_weights(source))
        return _loaded[key]


def _state(path: Path) -> Iterator[Any]:
    """Tell when the files were written, so that new ones are loaded anew."""
    for part in parts_of(path):
        if part.is_file():
            yield part.stat().st_mtime_ns, part.stat().st_size


def _load_openvino(path: Path) -> tuple[Any, str]:
    """Compile an IR, its precision stated, since OpenVINO would choose bf16 itself."""
    openvino = require("openvino", extra="all", to="to run the networks")
    weights = path.with_suffix(".bin")
    if not weights.is_file():
        raise WeightsError(
            f"`{path.name}` has no `{weights.name}` beside it. Copy both files."
        )
    try:
        core = openvino.Core()
        model = core.read_model(path)
        precision = _stated_precision(model)
        options = {
            "INFERENCE_PRECISION_HINT": _hint(precision),
            "PERFORMANCE_HINT": "LATENCY",
            **_threads(),
        }
        compiled = core.compile_model(model, "CPU", options)
    except (RuntimeError, KeyError) as error:
        raise WeightsError(
            f"`{path.name}` is no whole OpenVINO model: "
            f"{str(error).strip().splitlines()[-1]}. Export it again."
        ) from error
    names = [_name(output) for output in compiled.outputs]

    def run(inputs: Any) -> Any:
        results = compiled(inputs if isinstance(inputs, dict) else [inputs])
        arrays = [np.array(results[n]) for n in range(len(names))]
        return arrays[0] if len(arrays) == 1 else dict(zip(names, arrays, strict=True))

    return run, precision


def _threads() -> dict[str, Any]:
    """Say how many threads there may be, where the cores are shared with others.

    Threads are not tied to cores then, or several processes would tie theirs to the
    same ones.
    """
    cores = cores_limit()
    if cores is None:
        return {}
    return {"INFERENCE_NUM_THREADS": cores, "ENABLE_CPU_PINNING": False}


def _hint(precision: str, processor: Path = Path("/proc/cpuinfo")) -> str:
    """Choose what to compute in: bf16 only where the processor gains by it."""
    try:
        gains = gains_by_bf16(processor.read_text())
    except OSError:  # not Linux: nothing to tell it by
        gains = False
    return PRECISION_HINTS[precision if precision != "bf16" or gains else "fp32"]


def _stated_precision(model: Any) -> str:
    """Read what the IR was exported as; fp32 where it does not say."""
    path = ["hilum", "precision"]
    return str(model.get_rt_info(path).value) if model.has_rt_info(path) else "fp32"


def _name(output: Any) -> str:
    return str(output.any_name) if output.names else ""


def _load_keras(path: Path) -> tuple[Any, str]:
    """Load a Keras model that holds nothing but known layers."""
    keras = require("keras", extra="train", to="to run .keras files")
    require("hilum.nn.layers", extra="train", to="to run .keras files")
    _check_config(path)
    try:
        model = keras.models.load_model(path, compile=False, safe_mode=True)
    except (ValueError, TypeError, OSError, KeyError, zipfile.BadZipFile) as error:
        raise WeightsError(
            f"`{path.name}` cannot be loaded: {str(error).strip().splitlines()[0]} "
            "Was it made by another version, or damaged? Train or export it again."
        ) from error

    def run(inputs: Any) -> Any:
        outputs = model(inputs, training=False)
        return keras.tree.map_structure(keras.ops.convert_to_numpy, outputs)

    return run, "fp32"


def _check_config(path: Path) -> None:
    """Refuse what names code other than the layers of Keras and of this package.

    Safe mode alone is not enough: a model can name functions of any module.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            size = archive.getinfo("config.json").file_size
            text = archive.read("config.json") if size < _LIMIT_BYTES else b""
            config = json.loads(text)
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise WeightsError(
            f"`{path.name}` is no whole .keras file: {error}. Copy it again, or give "
            "a file that `hilum train` or `model.save` wrote."
        ) from error
    known = require("keras", extra="train", to="to run .keras files").saving
    for module, name in _named(config):
        ours = name.startswith("hilum>") and known.get_registered_object(name)
        if module not in _KERAS_MODULES and not ours:
            raise WeightsError(
                f"`{path.name}` names the code `{module}.{name}`, which is neither of "
                "Keras's layers nor of hilum. Use weights from a source you trust."
            )


def _named(config: Any) -> Iterator[tuple[str, str]]:
    """Go through the objects that a configuration names, how deep so ever."""
    if isinstance(config, dict):
        if "class_name" in config and config.get("class_name") not in _VALUES:
            registered = config.get("registered_name") or config["class_name"]
            yield str(config.get("module")), str(registered)
        for key, value in config.items():
            if key not in ("compile_config", "build_config"):
                yield from _named(value)
    elif isinstance(config, list):
        for value in config:
            yield from _named(value)


_VALUES = ("__keras_tensor__", "__tensor__", "__numpy__", "__tuple__", "__bytes__")


def _described(inputs: Any) -> str:
    """Tell the shapes of inputs."""
    if isinstance(inputs, dict):
        return ", ".join(f"{name} {array.shape}" for name, array in inputs.items())
    return str(inputs.shape)
