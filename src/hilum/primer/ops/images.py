"""Pictures of numbers: histogram, equalisation, blur and edges.

All on (row, column) arrays; borders are mirrored without repeating the edge itself
(OpenCV's default, BORDER_REFLECT_101), so that results equal OpenCV's.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hilum.errors import InputError
from hilum.primer.ops.convolution import convolve

FloatArray = NDArray[np.float64]

SOBEL = ((-1.0, 0.0, 1.0), (-2.0, 0.0, 2.0), (-1.0, 0.0, 1.0))
"""Slope along the columns, smoothed along the rows; transposed for the other axis."""


def histogram(x: ArrayLike, low: float, high: float, bins: int) -> FloatArray:
    """Count the values in each of equal bins from low to high.

    Values beyond count in the first or the last bin, as a display would show them.

    Args:
        x: Any shape.
        low: Where the first bin starts.
        high: Where the last bin ends, above `low`.
        bins: How many.

    Returns:
        (bins,) counts; their sum is the size of x.

    Raises:
        InputError: There is no bin, or the range is empty.

    Example:
        >>> histogram([-2000, 0, 10, 3000], low=-1000, high=1000, bins=2).tolist()
        [1.0, 3.0]
    """
    if bins < 1 or not high > low:
        raise InputError(
            f"A histogram needs bins and a range; got {bins} from {low} to {high}."
        )
    place = np.floor((np.asarray(x, np.float64) - low) / (high - low) * bins)
    place = np.clip(place, 0, bins - 1).astype(np.int64)
    return np.bincount(place.ravel(), minlength=bins).astype(np.float64)


def equalise(grey: ArrayLike) -> FloatArray:
    """Spread grey values 0 to 255 so that each range holds as many pixels.

    The new grey of a pixel is the share of pixels that are no brighter, with the
    darkest grey that occurs at 0 (OpenCV's `equalizeHist`, which rounds in float32,
    so that an exact half may fall the other way there).

    Args:
        grey: (row, column) whole numbers from 0 to 255.

    Example:
        >>> equalise([[100, 100, 101, 102]]).tolist()
        [[0.0, 0.0, 128.0, 255.0]]
    """
    grey = np.asarray(grey).astype(np.int64)
    counts = histogram(grey, 0, 256, 256)
    no_brighter = np.cumsum(counts)
    first = counts[np.flatnonzero(counts)[0]]
    if first == grey.size:  # one grey alone: nothing to spread
        return grey.astype(np.float64)
    table = np.rint((no_brighter - first) * (255.0 / (grey.size - first)))
    return np.asarray(table[grey], np.float64)


def gaussian_kernel(sigma: float, radius: int | None = None) -> FloatArray:
    """Weigh neighbours by a bell curve; the weights sum to 1.

    Args:
        sigma: Width in pixels, > 0.
        radius: Pixels to each side; None takes three times the width, rounded up.

    Returns:
        (2 radius + 1,).

    Raises:
        InputError: The width is not > 0.
    """
    if not sigma > 0:
        raise InputError(f"The width of a blur must be > 0 pixels; got {sigma}.")
    reach = math.ceil(3 * sigma) if radius is None else radius
    weights = np.exp(-(np.arange(-reach, reach + 1.0) ** 2) / (2 * sigma**2))
    return np.asarray(weights / weights.sum(), np.float64)


def filter_image(image: ArrayLike, kernel: ArrayLike) -> FloatArray:
    """Convolve one image with one kernel of odd size, borders mirrored.

    Args:
        image: (row, column), larger than the kernel's half.
        kernel: (odd, odd).

    Returns:
        (row, column), as large as the image.
    """
    image, kernel = np.asarray(image, np.float64), np.asarray(kernel, np.float64)
    rows, columns = (n // 2 for n in kernel.shape)
    padded = np.pad(image, ((rows, rows), (columns, columns)), mode="reflect")
    y = convolve(padded[None, :, :, None], kernel[:, :, None, None])
    return y[0, :, :, 0]


def blur(image: ArrayLike, sigma: float) -> FloatArray:
    """Blur by a bell curve, along the rows and then along the columns.

    Two passes of n weights do what one of n x n would: the bell is their product.

    Args:
        image: (row, column).
        sigma: Width in pixels, > 0.
    """
    weights = gaussian_kernel(sigma)
    return filter_image(filter_image(image, weights[None, :]), weights[:, None])


def edges(image: ArrayLike) -> FloatArray:
    """Steepness at each pixel: the length of the gradient by Sobel's filters."""
    across = filter_image(image, SOBEL)
    down = filter_image(image, np.transpose(SOBEL))
    return np.hypot(across, down)
