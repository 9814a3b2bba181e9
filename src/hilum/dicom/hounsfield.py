"""From stored values to Hounsfield units: pure functions of arrays.

The rule of the floor: everything below -1024 HU becomes -1024, be it padding
outside the field of view or noise in air; nothing that was measured lies lower.
The ceiling is that of int16, 32767.

Sources:
    DICOM PS3.3 C.7.6.3 (image pixel), C.7.5.1.1.2 (pixel padding value), C.11.1
    (modality LUT: rescale slope and intercept).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from hilum.volume import AIR_HU, HUArray

Stored = npt.NDArray[np.unsignedinteger[Any]]

_CEILING_HU = 32767


def to_hu(
    raw: Stored,
    *,
    bits_stored: int,
    shift: int = 0,
    signed: bool,
    rescale: tuple[float, float],
    padding: tuple[int, int] | None = None,
) -> HUArray:
    """Turn the bytes of one frame into Hounsfield units.

    Args:
        raw: (row, column) as they stand in the file, as unsigned integers of 8, 16
            or 32 bits; overwritten.
        bits_stored: How many bits of each hold the value; what stands in the others
            (overlays, noise) is dropped.
        shift: Bits below the value.
        signed: Whether the value is a two's complement.
        rescale: Slope and intercept.
        padding: Range of stored values that stand for no measurement.

    Returns:
        (row, column) int16, in the memory of `raw` where that is possible.

    Example:
        >>> raw = np.array([[0, 1024, 0xF400]], np.uint16)
        >>> to_hu(raw, bits_stored=12, signed=False, rescale=(1, -1024)).tolist()
        [[-1024, 0, 0]]
    """
    foreign = _find_foreign_padding(raw, bits_stored, padding)
    values = _to_values(raw, bits_stored, shift, signed=signed)
    blank = _find_padding(values, rescale, padding)
    hu = _rescale(values, bits_stored, *rescale)
    for mask in (foreign, blank):
        if mask is not None:
            hu[mask] = AIR_HU
    return hu


def _to_values(raw: Stored, bits: int, shift: int, *, signed: bool) -> npt.NDArray[Any]:
    """Drop the bits that are not stored, and extend the sign."""
    if shift:
        raw >>= raw.dtype.type(shift)
    unused = 8 * raw.dtype.itemsize - bits
    if not signed:
        if unused > 0:
            raw &= raw.dtype.type((1 << bits) - 1)
        return raw
    values = raw.view(f"i{raw.dtype.itemsize}")
    if unused > 0:
        values <<= values.dtype.type(unused)
        values >>= values.dtype.type(unused)
    return values


def _rescale(
    values: npt.NDArray[Any], bits: int, slope: float, intercept: float
) -> HUArray:
    """Compute slope * value + intercept, rounded and clipped to the floor."""
    if values.dtype.itemsize == 2 and slope == 1 and intercept == int(intercept):
        add = int(intercept)
        least = -(1 << (bits - 1)) if values.dtype.kind == "i" else 0
        most = least + (1 << bits) - 1
        low, high = max(least, AIR_HU - add), min(most, _CEILING_HU - add)
        if low <= high:
            # clipped before, the sum stays in range, whatever wraps on the way
            if low > least or high < most:
                # limits of the same type: with int the loop is six times slower
                kind = values.dtype.type
                np.clip(values, kind(low), kind(high), out=values)
            words: Stored = values.view(np.uint16)
            if add:
                words += np.uint16(add & 0xFFFF)
            return np.asarray(values).view(np.int16)
    hu = values.astype(np.float64)
    hu *= slope
    hu += intercept
    np.rint(hu, out=hu)
    np.clip(hu, AIR_HU, _CEILING_HU, out=hu)
    if values.dtype.itemsize != 2:
        return hu.astype(np.int16)
    out = values.view(np.int16)
    out[...] = hu
    return out


def _find_foreign_padding(
    raw: Stored, bits_stored: int, padding: tuple[int, int] | None
) -> npt.NDArray[np.bool_] | None:
    """Find padding that the stored bits cannot hold, such as 63536 in 12 bits."""
    if padding is None or bits_stored >= 8 * raw.dtype.itemsize:
        return None
    fits = -(1 << (bits_stored - 1)), (1 << bits_stored) - 1
    odd = {p for p in padding if not fits[0] <= p <= fits[1]}
    if not odd:
        return None
    whole = (1 << (8 * raw.dtype.itemsize)) - 1
    return np.isin(raw, np.array([p & whole for p in odd], raw.dtype))


def _find_padding(
    values: npt.NDArray[Any],
    rescale: tuple[float, float],
    padding: tuple[int, int] | None,
) -> npt.NDArray[np.bool_] | None:
    """Find padding that would show as something denser than air.

    Padding surrounds the field of view, so only what reaches the left or the right
    edge of the picture along its row counts: tissue may have the same value.
    """
    if padding is None:
        return None
    low, high = min(padding), max(padding)
    if max(rescale[0] * low, rescale[0] * high) + rescale[1] <= AIR_HU:
        return None
    is_padding = (values >= low) & (values <= high)
    if not is_padding.any():
        return None
    left = np.logical_and.accumulate(is_padding, axis=1)
    right = np.logical_and.accumulate(is_padding[:, ::-1], axis=1)[:, ::-1]
    return np.asarray(left | right)


def shift_slice(hu: HUArray, out: HUArray, down: float, right: float) -> None:
    """Move a slice by a part of a pixel and more, into a larger slice of air.

    Interpolates linearly. What comes to lie within half a pixel outside of the
    moved slice takes the value of its edge.

    Args:
        hu: (row, column) HU.
        out: (row, column) with room for the moved slice; overwritten.
        down: Rows to move by, >= 0.
        right: Columns to move by, >= 0.
    """
    moved = hu.astype(np.float32)
    starts: list[int] = []
    for amount in (down, right):
        moved, start = _shift_rows(moved, amount)
        moved = moved.T
        starts.append(start)
    out[...] = AIR_HU
    rows, columns = moved.shape
    box = out[starts[0] : starts[0] + rows, starts[1] : starts[1] + columns]
    box[...] = np.rint(moved[: box.shape[0], : box.shape[1]])


def _shift_rows(image: npt.NDArray[np.float32], amount: float) -> Any:
    """Move the rows down; returns them and where the first of them is now."""
    whole, part = divmod(amount, 1.0)
    if part < 1e-6 or part > 1 - 1e-6:
        return image, round(amount)
    above = np.concatenate([image[:1], image])
    below = np.concatenate([image, image[-1:]])
    lines = np.float32(1 - part) * below + np.float32(part) * above
    # the first new row lies `part` above the first old one, the last as far below
    if part > 0.5:
        return lines[1:], int(whole) + 1
    return lines[:-1], int(whole)
