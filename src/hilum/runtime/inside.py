"""A look inside a shipped network that rates nodules: filters, maps, what they weigh.

The network is OpenVINO IR with several members beside each other, each a stem of
stride 2, residual blocks, and a head; a map here is what one convolution leaves after
its ReLU. Arrays are channels last.

Sources:
    Selvaraju et al., "Grad-CAM: Visual Explanations from Deep Networks via
    Gradient-based Localization", arXiv:1610.02391, equations 1 and 2.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hilum._optional import require
from hilum.errors import WeightsError
from hilum.runtime.weights import find_weights

Array = npt.NDArray[np.float32]

_STEP = 1e-2
"""How far a channel is moved to see what it weighs."""


@dataclass(frozen=True, slots=True, eq=False)
class FeatureMaps:
    """What one layer makes of its input.

    Attributes:
        kernel: Edge of the convolution, in voxels of its input.
        stride: Of the convolution.
        values: (slice, row, column, channel), after the ReLU.
    """

    kernel: int
    stride: int
    values: Array


class OpenNetwork:
    """One member of a shipped network, layer by layer.

    Attributes:
        path: Of the IR.
        members: How many networks are beside each other in it.
        member: Which is looked into, from 0.
    """

    def __init__(self, source: Path | str = "malignancy", member: int = 0):
        """Open a network.

        Args:
            source: Name of shipped weights, or path of an `.xml` file.
            member: Which of the networks in it.

        Raises:
            WeightsError: The weights are absent or damaged, have no such member, or
                are of another kind of network.
        """
        self.path = find_weights(source)
        self.member = member
        ends = [o for o in self._model().get_ordered_ops() if _is_head(o)]
        self.members = len(ends)
        if not 0 <= member < self.members:
            raise WeightsError(
                f"`{self.path.name}` has {self.members} networks that rate malignancy "
                f"from a patch; there is none of number {member}. Is it a network for "
                "another task?"
            )

    def filters(self) -> Array:
        """Give the kernels of the first layer.

        Returns:
            (filters, slice, row, column, channel): HU in the window, then the mask.
        """
        first = self._layers(self._model())[0]
        values = _constant(_convolution(first).input_value(1).get_node())
        return np.moveaxis(np.asarray(values, np.float32), 1, -1)

    def maps(self, inputs: Mapping[str, Array]) -> tuple[FeatureMaps, ...]:
        """Run the network and keep what each layer gives.

        Args:
            inputs: As `hilum.runtime.ratings.rating_inputs` makes them, of one nodule.

        Returns:
            From the stem on, in order.
        """
        model = self._model()
        layers = self._layers(model)
        model.add_outputs([layer.output(0) for layer in layers])
        compiled = _compiled(model)
        first = len(compiled.outputs) - len(layers)
        found = compiled({name: np.asarray(v) for name, v in inputs.items()})
        maps = []
        for number, layer in enumerate(layers):
            convolution = _convolution(layer)
            values = np.array(found[first + number])[0]
            maps.append(
                FeatureMaps(
                    kernel=_kernel(convolution),
                    stride=int(convolution.get_attributes()["strides"][-1]),
                    values=np.moveaxis(values, 0, -1),
                )
            )
        return tuple(maps)

    def rating(self, inputs: Mapping[str, Array]) -> npt.NDArray[np.float64]:
        """Rate malignancy from the patch alone, by this member.

        Args:
            inputs: "hu" and "mask", each (batch, slice, row, column, 1); more may be
                there.

        Returns:
            (batch,) expected rating, 1 to 5.
        """
        openvino = require("openvino", extra="all", to="to run the networks")
        model = self._model()
        end = [o for o in model.get_ordered_ops() if _is_head(o)][self.member]
        entries = [
            p for p in model.get_parameters() if p.output(0).any_name in ("hu", "mask")
        ]
        run = _compiled(openvino.Model([end.output(0)], entries, "patch"))
        given = {name: np.asarray(inputs[name], np.float32) for name in ("hu", "mask")}
        return np.asarray(1 + run(given)[0].sum(axis=-1), np.float64)

    def head(self, last: Array) -> npt.NDArray[np.float64]:
        """Go on from the last map to the expected rating of malignancy.

        Args:
            last: (batch, slice, row, column, channel), in place of the last map.

        Returns:
            (batch,) from 1 to 5: 1 + P(rating > 1) + P(rating > 2) + ...
        """
        openvino = require("openvino", extra="all", to="to run the networks")
        model = self._model()
        layer = self._layers(model)[-1]
        end = [o for o in model.get_ordered_ops() if _is_head(o)][self.member]
        shape = openvino.PartialShape([-1, *layer.output(0).partial_shape[1:]])
        entry = openvino.opset13.parameter(shape, np.float32)
        for user in layer.output(0).get_target_inputs():
            user.replace_source_output(entry.output(0))
        rest = _compiled(openvino.Model([end.output(0)], [entry], "head"))
        given = np.ascontiguousarray(np.moveaxis(np.asarray(last, np.float32), -1, 1))
        return np.asarray(1 + rest([given])[0].sum(axis=-1), np.float64)

    def _model(self) -> Any:
        openvino = require("openvino", extra="all", to="to run the networks")
        return openvino.Core().read_model(self.path)

    def _layers(self, model: Any) -> list[Any]:
        """Find the volumes after a ReLU, of this member."""
        every = [
            op
            for op in model.get_ordered_ops()
            if op.get_type_name() == "Relu" and op.output(0).partial_shape.rank == 5
        ]
        each = len(every) // self.members
        return every[self.member * each : (self.member + 1) * each]


def grad_cam(network: OpenNetwork, last: Array) -> Array:
    """Weigh the last maps by what each adds to the rating, and keep what raises it.

    The weight of a channel is the mean over its voxels of the gradient of the
    expected rating. Averages and maxima over the volume follow, and so moving a whole
    channel up by a little gives the sum of its gradients: no other derivative is
    needed than a difference of two runs of the head.

    Args:
        network: That made the map.
        last: (slice, row, column, channel).

    Returns:
        (slice, row, column), at least 0.
    """
    channels = last.shape[-1]
    moved = np.eye(channels, dtype=np.float32)[:, None, None, None, :] * _STEP
    rise = network.head(last + moved) - network.head(last - moved)
    weights = rise / (2 * _STEP) / float(np.prod(last.shape[:-1]))
    return np.maximum(last @ weights.astype(np.float32), 0)


def _is_head(op: Any) -> bool:
    """Tell the end of the patch's branch, where malignancy is rated."""
    name = op.get_friendly_name()
    of_patch = "features_net" not in name and "/malignancy" in name
    last = name.rsplit("/", 2)[-2] if name.count("/") > 1 else ""
    return bool(
        op.get_type_name() == "Sigmoid" and of_patch and last.startswith("malignancy")
    )


def _convolution(layer: Any) -> Any:
    """Find the convolution that a ReLU follows, not the one of the way around it."""
    found, queue = [], [layer.input_value(0).get_node()]
    while queue:
        op = queue.pop()
        if op.get_type_name() == "Convolution":
            found.append(op)
        elif op.get_type_name() == "Add":
            queue += [value.get_node() for value in op.input_values()]
    return max(found, key=_kernel)


def _constant(node: Any) -> Any:
    """Give the numbers of weights, also of those that are kept in 16 bits."""
    if node.get_type_name() == "Convert":
        node = node.input_value(0).get_node()
    return node.data


def _kernel(convolution: Any) -> int:
    """Give the edge of its kernel."""
    return int(convolution.input_value(1).get_shape()[-1])


def _compiled(model: Any) -> Any:
    """Compile for the processor, in fp32: differences of two runs must be exact."""
    openvino = require("openvino", extra="all", to="to run the networks")
    options = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}
    return openvino.Core().compile_model(model, "CPU", options)
