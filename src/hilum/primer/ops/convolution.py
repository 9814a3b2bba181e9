"""Convolution and its transpose, in one to three dimensions.

As in every network library the kernel is not flipped: strictly this is
cross-correlation. `stride` and `dilation` are one number for all
spatial axes or one for each. Padding is "valid" (none) or "same" (zeros, so
that the output has ceil(size / stride) positions).

Source:
    Dumoulin and Visin, "A guide to convolution arithmetic for deep learning",
    arXiv:1603.07285. When the zeros of "same" are odd in number, one more goes to
    the end, as in TensorFlow and JAX.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hilum.errors import InputError

FloatArray = NDArray[np.float64]
Steps = int | Sequence[int]


def same_padding(
    size: int, kernel: int, stride: int = 1, dilation: int = 1
) -> tuple[int, int]:
    """Count the zeros that "same" puts before and after one axis.

    Wanted are ceil(size / stride) outputs; the last one reaches
    (outputs - 1) * stride + extent, and what lies beyond the input is padded.

    Returns:
        Zeros before and after; after has one more when the sum is odd.

    Example:
        >>> same_padding(5, kernel=3), same_padding(6, kernel=3, stride=2)
        ((1, 1), (0, 1))
    """
    extent = (kernel - 1) * dilation + 1
    outputs = -(-size // stride)
    total = max((outputs - 1) * stride + extent - size, 0)
    return total // 2, total - total // 2


def convolve(
    x: ArrayLike,
    kernel: ArrayLike,
    bias: ArrayLike = 0.0,
    *,
    stride: Steps = 1,
    padding: str = "valid",
    dilation: Steps = 1,
) -> FloatArray:
    """Slide a kernel over the input: at each place, multiply and sum.

    y[p] = bias + sum_k x[p * stride + k * dilation] @ kernel[k]

    Args:
        x: (batch, *spatial, channels).
        kernel: (*spatial, channels, filters).
        bias: (filters,).
        stride: Input voxels from one output to the next.
        padding: "valid" or "same".
        dilation: Input voxels from one kernel element to the next.

    Returns:
        (batch, *outputs, filters).

    Raises:
        InputError: Channels disagree, or the kernel reaches beyond the input.

    Example:
        >>> edge = np.reshape([-1.0, 0.0, 1.0], (3, 1, 1))
        >>> convolve(np.reshape([0, 0, 1, 1, 0], (1, 5, 1)), edge)[0, :, 0].tolist()
        [1.0, 1.0, -1.0]
    """
    x, kernel = np.asarray(x, np.float64), np.asarray(kernel, np.float64)
    axes = _axes(x, kernel, channel_axis=-2, stride=stride, dilation=dilation)
    if is_same(padding):
        x = np.pad(x, [(0, 0), *[same_padding(*axis) for axis in axes], (0, 0)])
    outputs = [
        axis.outputs(size) for axis, size in zip(axes, x.shape[1:], strict=False)
    ]
    y = np.zeros((len(x), *outputs, kernel.shape[-1]))
    for offset in np.ndindex(kernel.shape[:-2]):
        y += x[_places(axes, offset, outputs)] @ kernel[offset]
    return y + np.asarray(bias, np.float64)


def transposed_size(
    size: int,
    kernel: int,
    *,
    stride: int = 1,
    padding: str = "valid",
    dilation: int = 1,
    output_padding: int | None = None,
) -> int:
    """Count the outputs of a transposed convolution along one axis.

    Several input sizes convolve to the same output size; `output_padding` says
    which of them to go back to. None takes size * stride for "same", and at least
    that for "valid".

    Example:
        >>> transposed_size(4, 3, stride=2, padding="same")
        8
        >>> transposed_size(4, 3, stride=2, padding="same", output_padding=0)
        7
    """
    extent = (kernel - 1) * dilation + 1
    if is_same(padding):
        if output_padding is None:
            return size * stride
        return (size - 1) * stride + extent % 2 + output_padding
    if output_padding is None:
        output_padding = max(stride - extent, 0)
    return (size - 1) * stride + extent + output_padding


def convolve_transposed(
    x: ArrayLike,
    kernel: ArrayLike,
    bias: ArrayLike = 0.0,
    *,
    stride: Steps = 1,
    padding: str = "valid",
    dilation: Steps = 1,
    output_padding: int | None = None,
) -> FloatArray:
    """Give every input voxel a copy of the kernel, and add the copies up.

    y[p * stride + k * dilation] += x[p] @ kernel[k].T, then "same" cuts the border
    off. It is the transpose (adjoint) of `convolve` with the same kernel, not its
    inverse: <convolve(a), b> = <a, convolve_transposed(b)>.

    Args:
        x: (batch, *spatial, channels).
        kernel: (*spatial, filters, channels): `convolve`'s, read backwards.
        bias: (filters,).
        stride: Output voxels from one input to the next.
        padding: "valid" or "same": of the convolution that this transposes.
        dilation: Output voxels from one kernel element to the next.
        output_padding: See `transposed_size`.

    Returns:
        (batch, *outputs, filters).
    """
    x, kernel = np.asarray(x, np.float64), np.asarray(kernel, np.float64)
    axes = _axes(x, kernel, channel_axis=-1, stride=stride, dilation=dilation)
    wanted = [axis.transposed(padding, output_padding) for axis in axes]
    covered = [(axis.size - 1) * axis.stride + axis.extent for axis in axes]
    sizes = [max(pair) for pair in zip(covered, wanted, strict=True)]
    y = np.zeros((len(x), *sizes, kernel.shape[-2]))
    for offset in np.ndindex(kernel.shape[:-2]):
        y[_places(axes, offset, x.shape[1:-1])] += x @ kernel[offset].T
    cut = [max(c - w, 0) // 2 for c, w in zip(covered, wanted, strict=True)]
    kept = [slice(c, c + w) for c, w in zip(cut, wanted, strict=True)]
    return np.asarray(y[(slice(None), *kept)] + bias, np.float64)


class _Axis(NamedTuple):
    """One spatial axis: the input's size, and how the kernel lies on it."""

    size: int
    kernel: int
    stride: int
    dilation: int

    @property
    def extent(self) -> int:
        """Voxels from the kernel's first element to its last."""
        return (self.kernel - 1) * self.dilation + 1

    def outputs(self, padded: int) -> int:
        """Count the places where the kernel lies inside the padded input."""
        if padded < self.extent:
            raise InputError(
                f"A kernel that spans {self.extent} voxels does not fit into {padded}. "
                "Pad with padding='same', or use a larger input."
            )
        return (padded - self.extent) // self.stride + 1

    def transposed(self, padding: str, output_padding: int | None) -> int:
        """Count the outputs of the transposed convolution."""
        return transposed_size(
            self.size,
            self.kernel,
            stride=self.stride,
            padding=padding,
            dilation=self.dilation,
            output_padding=output_padding,
        )


def _axes(
    x: FloatArray,
    kernel: FloatArray,
    *,
    channel_axis: int,
    stride: Steps,
    dilation: Steps,
) -> list[_Axis]:
    """Pair input and kernel, axis by axis; refuse a kernel for another input."""
    if x.ndim != kernel.ndim or x.shape[-1] != kernel.shape[channel_axis]:
        raise InputError(
            f"Kernel {kernel.shape} is not for input {x.shape}: with n spatial axes "
            "the input is (batch, n sizes, channels) and the kernel (n sizes, "
            "channels, filters), the last two swapped when transposed."
        )
    rank = x.ndim - 2
    steps = per_axis(stride, rank), per_axis(dilation, rank)
    columns = zip(x.shape[1:-1], kernel.shape[:-2], *steps, strict=True)
    return [_Axis(*column) for column in columns]


def per_axis(steps: Steps, rank: int) -> Sequence[int]:
    """Repeat one number for every spatial axis.

    Example:
        >>> per_axis(2, 3), per_axis((1, 2), 2)
        ([2, 2, 2], (1, 2))
    """
    return [steps] * rank if isinstance(steps, int) else steps


def is_same(padding: str) -> bool:
    """Tell "same" from "valid"."""
    if padding not in ("valid", "same"):
        raise InputError(f"Padding is 'valid' or 'same'; got {padding!r}.")
    return padding == "same"


def _places(
    axes: Sequence[_Axis], offset: Sequence[int], counts: Sequence[int]
) -> tuple[slice, ...]:
    """Where one kernel element lies, for every position of the kernel."""
    starts = [o * axis.dilation for o, axis in zip(offset, axes, strict=True)]
    return (
        slice(None),
        *[
            slice(first, first + (n - 1) * axis.stride + 1, axis.stride)
            for first, n, axis in zip(starts, counts, axes, strict=True)
        ],
    )
