"""From `.keras` to OpenVINO IR, by Keras's own exporter, and compared with it.

- `fp32`: the same numbers, to 1e-4.
- `bf16`: computed in bfloat16 where the processor is faster in it, else in
  fp32; weights half as large.
- `int8`: weights and activations in 8 bits, their ranges learned from `calibration`.

Whether bf16 and int8 are good enough shows in the figure that they serve.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hilum._optional import require
from hilum.errors import InputError, WeightsError
from hilum.formats.atomic import replacing, writing
from hilum.runtime.predictor import PRECISION_HINTS, Arrays, Predictor
from hilum.runtime.weights import BESIDE, digests_of

FP32_TOLERANCE = 1e-4
"""How far apart the outputs of Keras and of the fp32 export may be."""

_LEVELS = 256
_KEEP_VALUES = ("Transpose", "Reshape", "Tile", "Squeeze", "Unsqueeze")
"""Operations of OpenVINO that move values and leave them as they are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    """What was exported.

    Attributes:
        path: The `.xml`; beside it lie the `.bin` and a `.json` with their digests.
        precision: "fp32", "bf16" or "int8".
        largest_difference: Of any output from Keras's.
        bytes: Of `.xml` and `.bin` together.
    """

    path: Path
    precision: str
    largest_difference: float
    bytes: int


def export_weights(
    source: Path,
    out: Path,
    *,
    precision: str = "fp32",
    calibration: Sequence[Arrays] = (),
) -> Export:
    """Write a trained network as OpenVINO IR.

    Args:
        source: A `.keras` file.
        out: The `.xml`; files of that name are replaced. A `.calibration.json` and a
            `.typical.json` beside the source are copied along.
        precision: "fp32", "bf16" or "int8".
        calibration: Real inputs, each with the axis of the batch; the outputs are
            compared on the first 16. Without any, on random HU.

    Raises:
        InputError: The precision is unknown, int8 lacks calibration, the names are
            wrong, or the files cannot be written.
        WeightsError: The network cannot be loaded, or is not the same in fp32.
        MissingDependencyError: Keras, OpenVINO or nncf is not installed.
    """
    check_export(source, out, precision)
    if precision == "int8" and not calibration:
        raise InputError(
            "int8 needs inputs for calibration, from which the ranges are learned. "
            "Pass some 100 real inputs, or export as fp32 or bf16."
        )
    keras = require("keras", extra="train", to="to export networks")
    openvino = require("openvino", extra="train", to="to export networks")
    expected = Predictor(source)
    model = keras.models.load_model(source, compile=False, safe_mode=True)
    inputs = list(calibration[:16]) or [_random_inputs(model)]
    with tempfile.TemporaryDirectory() as folder, _quiet():
        whole = str(Path(folder) / "whole.xml")
        model.export(whole, format="openvino", verbose=False)
        network = openvino.Core().read_model(whole)
        if precision == "int8":
            network = _quantised(network, calibration)
        network.set_rt_info(precision, ["hilum", "precision"])
        made = Path(folder) / out.name
        openvino.save_model(network, made, compress_to_fp16=precision == "bf16")
        del network  # it holds the file open
        difference = _largest_difference(expected, Predictor(made), inputs)
        if precision == "fp32" and not difference <= FP32_TOLERANCE:
            raise WeightsError(
                f"The export of `{source.name}` differs from Keras by up to "
                f"{difference:.1e}, more than {FP32_TOLERANCE:.0e}. "
                "Use the .keras file."
            )
        for suffix in BESIDE:
            if source.with_suffix(suffix).is_file():
                content = source.with_suffix(suffix).read_bytes()
                made.with_suffix(suffix).write_bytes(content)
        _move(made, out, precision, source)
    size = sum(p.stat().st_size for p in (out, out.with_suffix(".bin")))
    return Export(
        path=out, precision=precision, largest_difference=difference, bytes=size
    )


def check_export(source: Path, out: Path, precision: str) -> None:
    """Refuse what cannot be exported, before any work.

    Args:
        source: A `.keras` file.
        out: The `.xml`.
        precision: "fp32", "bf16" or "int8".

    Raises:
        InputError: The precision is unknown, or the names are wrong.
        MissingDependencyError: What that precision needs is not installed.
    """
    if precision not in PRECISION_HINTS:
        raise InputError(
            f"Unknown precision {precision!r}. Expected one of "
            f"{', '.join(PRECISION_HINTS)}."
        )
    if source.suffix != ".keras" or out.suffix != ".xml":
        raise InputError(
            f"Cannot export `{source.name}` to `{out.name}`: expected a .keras file "
            "and a name that ends in .xml."
        )
    if precision == "int8":
        require("nncf", extra="train", to="to export int8")


def _quantised(network: Any, calibration: Sequence[Arrays]) -> Any:
    """Give the network 8-bit weights and activations.

    NNCF as it comes would lose the largest answers (it takes the mean of the largest of
    each input for the end of a range), and on processors without 8-bit dot products
    sums of two products run over 16 bits; so weights are kept to half of their range.
    """
    nncf = require("nncf", extra="train", to="to export int8")
    logging.getLogger("nncf").setLevel(logging.ERROR)
    ranges = nncf.quantization.range_estimator.RangeEstimatorParametersSet.MINMAX
    are_fixed = _fix_sizes(network)
    quantised = nncf.quantize(
        network,
        nncf.Dataset(list(calibration)),
        subset_size=len(calibration),
        fast_bias_correction=not are_fixed,  # else it takes a minute, and is better
        advanced_parameters=nncf.AdvancedQuantizationParameters(
            activations_range_estimator_params=ranges,
            overflow_fix=nncf.OverflowFix.ENABLE,
        ),
    )
    _quantise_joined(quantised)
    return quantised


def _fix_sizes(network: Any) -> bool:
    """Write into a network the sizes that its transposed convolutions would work out.

    NNCF cannot correct biases accurately where a size is an input of a convolution.

    Args:
        network: Changed.

    Returns:
        Whether all sizes are known; those of a network for any size are not.
    """
    openvino = require("openvino", extra="train", to="to export networks")
    are_fixed = True
    for node in network.get_ordered_ops():
        is_transposed = node.get_type_name() == "ConvolutionBackpropData"
        if not is_transposed or node.get_input_size() < 3:
            continue
        sizes = list(node.get_output_partial_shape(0))[2:]
        if all(size.is_static for size in sizes):
            known = np.array([size.get_length() for size in sizes], np.int64)
            constant = openvino.opset13.constant(known)
            node.input(2).replace_source_output(constant.output(0))
        else:
            are_fixed = False
    return are_fixed


def _quantise_joined(network: Any) -> None:
    """Quantise what is concatenated once more, where all parts have the same range.

    OpenVINO computes what comes after in 32 bits otherwise, if a part was tiled or
    turned since it was quantised.

    Args:
        network: Changed.
    """
    openvino = require("openvino", extra="train", to="to export networks")
    for node in network.get_ordered_ops():
        if node.get_type_name() != "Concat":
            continue
        ranges = {_range_of(part.get_node()) for part in node.input_values()}
        if len(ranges) > 1 or not (range_ := ranges.pop()):
            continue
        ends = [np.float32(end) for end in range_]
        users = node.output(0).get_target_inputs()
        joined = openvino.opset13.fake_quantize(node.output(0), *ends, *ends, _LEVELS)
        for user in users:
            user.replace_source_output(joined.output(0))
    network.validate_nodes_and_infer_types()


def _range_of(node: Any) -> tuple[float, float] | None:
    """Give the range of 8 bits that what a node gives has, if it is known."""
    while node.get_type_name() in _KEEP_VALUES:
        node = node.input_value(0).get_node()
    if node.get_type_name() != "FakeQuantize":
        return None
    low, high = (node.input_value(n).get_node().get_data() for n in (3, 4))
    return float(low.min()), float(high.max())


def _random_inputs(model: Any) -> Arrays:
    """Make inputs of the right shape: HU, or a mask for an input of that name."""
    rng = np.random.default_rng(0)
    arrays = {}
    for tensor in model.inputs:
        shape = [2, *(n or 32 for n in tensor.shape[1:])]
        hu = rng.normal(-500, 400, shape).astype(np.float32)
        mask = tensor.name.split(":")[0] == "mask"
        arrays[tensor.name] = (hu > -300).astype(np.float32) if mask else hu
    return arrays if len(arrays) > 1 else next(iter(arrays.values()))


def _largest_difference(
    one: Predictor, other: Predictor, inputs: Sequence[Arrays]
) -> float:
    """Compare all outputs of two networks."""
    largest = 0.0
    for given in inputs:
        expected, found = one(given), other(given)
        if not isinstance(expected, dict):
            expected, found = {"": expected}, {"": found}
        for name, values in expected.items():
            largest = max(largest, float(np.abs(values - found[name]).max()))
    return largest


def _move(made: Path, out: Path, precision: str, source: Path) -> None:
    """Put the files in place, the note of their digests last."""
    note = {"precision": precision, "source": source.name, "sha256": digests_of(made)}
    with writing(out):
        out.with_suffix(".json").unlink(missing_ok=True)
        beside = [s for s in BESIDE if made.with_suffix(s).is_file()]
        for suffix in (*beside, ".bin", ".xml"):
            with replacing(out.with_suffix(suffix)) as file:
                file.write(made.with_suffix(suffix).read_bytes())
        with replacing(out.with_suffix(".json")) as file:
            file.write((json.dumps(note, indent=2) + "\n").encode())


@contextlib.contextmanager
def _quiet() -> Any:
    """Keep what the exporters print away from stdout, which is for results."""
    with contextlib.redirect_stdout(io.StringIO()):
        yield
