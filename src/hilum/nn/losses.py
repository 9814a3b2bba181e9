"""What networks are trained to make small, where Keras has it not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from keras import ops

_EASY = 2.0
_NEAR = 4.0
_PLACE_SHARE = 0.3
_LEAST = 1e-4


def marks_loss(
    answer: Any, found: Any, *, total: Callable[[Any], Any] = lambda count: count
) -> Any:
    """Compute the loss of marks: a focal loss of the chance, and L1 of the place.

    -(1 - p)^2 log p in the cell with the middle of a nodule, -(1 - y)^4 p^2
    log(1 - p) in the others, where y falls from 1 with the distance from it; summed
    and divided by the number of nodules in the batch, or 1. Then 0.3 times the mean
    error of place and logarithm of the diameter in the cells with a middle.

    Args:
        answer: (batch, slice, row, column, 7): y, whether the cell counts (0 or 1),
            whether the middle of a nodule is in it, its place, its size.
        found: (batch, slice, row, column, 5), as `detection_net` gives it.
        total: Sums a count over the devices that share the batch; one alone by
            default.

    Returns:
        (batch,).

    Source:
        Zhou et al., "Objects as Points", arXiv:1904.07850, equations 1 to 3.
    """
    near, counts, middle = answer[..., 0], answer[..., 1], answer[..., 2]
    chance = ops.clip(found[..., 0], _LEAST, 1 - _LEAST)
    hit = -middle * ops.power(1 - chance, _EASY) * ops.log(chance)
    false = -(1 - middle) * ops.power(1 - near, _NEAR) * ops.power(chance, _EASY)
    surprise = hit + false * ops.log(1 - chance)
    error = ops.sum(ops.abs(found[..., 1:] - answer[..., 3:]), axis=-1)
    each = counts * (surprise + _PLACE_SHARE * middle * error)
    nodules = ops.maximum(total(ops.sum(counts * middle)), 1.0)
    batch = total(ops.cast(ops.shape(answer)[0], each.dtype))
    return ops.sum(each, axis=(1, 2, 3)) * batch / nodules
