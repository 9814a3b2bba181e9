"""What a layer costs, before it runs: sizes, parameters, multiply-adds, reach."""

from __future__ import annotations

import math
from collections.abc import Sequence

from hilum.errors import InputError
from hilum.primer.ops.convolution import is_same, same_padding


def output_size(
    size: int, kernel: int, stride: int = 1, padding: str = "valid", dilation: int = 1
) -> int:
    """Count the outputs of a convolution or a pooling along one axis.

    "valid": floor((size - extent) / stride) + 1 with extent = (kernel - 1) dilation
    + 1; "same": ceil(size / stride).

    Raises:
        InputError: The kernel reaches beyond the input.

    Example:
        >>> output_size(7, 3, stride=2), output_size(7, 3, stride=2, padding="same")
        (3, 4)
    """
    if is_same(padding):
        return -(-size // stride)
    extent = (kernel - 1) * dilation + 1
    if size < extent:
        raise InputError(
            f"A kernel that spans {extent} voxels does not fit into {size}. "
            "Pad with padding='same', or use a larger input."
        )
    return (size - extent) // stride + 1


def convolution_cost(
    outputs: Sequence[int], kernel: Sequence[int], channels: int, filters: int
) -> tuple[int, int]:
    """Count what a convolution has to store and to do.

    Args:
        outputs: Spatial sizes of its output.
        kernel: Spatial sizes of its kernel.
        channels: Of its input.
        filters: How many kernels.

    Returns:
        Parameters, the biases among them, and multiply-adds.

    Example:
        >>> convolution_cost((32, 32), (3, 3), channels=16, filters=32)
        (4640, 4718592)
    """
    weights = math.prod(kernel) * channels * filters
    return weights + filters, math.prod(outputs) * weights


def dense_cost(inputs: int, units: int) -> tuple[int, int]:
    """Count parameters and multiply-adds of a fully connected layer.

    Example:
        >>> dense_cost(320, 64)
        (20544, 20480)
    """
    return inputs * units + units, inputs * units


def receptive_field(layers: Sequence[tuple[int, int]]) -> tuple[int, int]:
    """See how much of the input one output sees, along one axis.

    Each layer adds (kernel - 1) steps, and a step is the product of the strides so
    far.

    Args:
        layers: (kernel, stride) of each convolution or pooling, in order.

    Returns:
        Input voxels that one output depends on, and input voxels from one output to
        the next.

    Example:
        >>> receptive_field([(3, 1), (2, 2), (3, 1)])
        (8, 2)
    """
    field, step = 1, 1
    for kernel, stride in layers:
        field += (kernel - 1) * step
        step *= stride
    return field, step


def reads_from(
    layers: Sequence[tuple[int, int]], size: int, place: int
) -> tuple[int, int]:
    """Find the input voxels that one output depends on, with "same" padding.

    Go back from the last layer to the first: outputs a to b read inputs
    a stride - before to b stride - before + kernel - 1.

    Args:
        layers: (kernel, stride) of each convolution, in order.
        size: Of the input, along one axis.
        place: Of the output, from 0.

    Returns:
        First and last voxel; they may lie in the padding, outside 0 to size - 1.

    Example:
        >>> reads_from([(5, 2), (3, 1)], size=32, place=8)
        (13, 21)
    """
    sizes = [size]
    for _, stride in layers:
        sizes.append(-(-sizes[-1] // stride))
    first = last = place
    for (kernel, stride), n in zip(layers[::-1], sizes[-2::-1], strict=True):
        before, _ = same_padding(n, kernel, stride)
        first, last = first * stride - before, last * stride - before + kernel - 1
    return first, last
