"""How far two opinions agree on classes, voxels and volumes."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from hilum.errors import InputError


def balanced_accuracy(truth: npt.ArrayLike, said: npt.ArrayLike) -> float:
    """Average, over the classes that occur, the share of each that was told right.

    Args:
        truth: (n,) classes, integers.
        said: (n,) classes, integers.

    Returns:
        In [0, 1], or NaN without cases.

    Raises:
        InputError: The lengths differ.

    Example:
        >>> balanced_accuracy([0, 0, 0, 1], [0, 0, 1, 1])  # (2/3 + 1) / 2
        0.8333333333333333
    """
    true, told = np.asarray(truth), np.asarray(said)
    if true.shape != told.shape:
        raise InputError(
            f"Need one class said for each true one; got {told.shape} and {true.shape}."
        )
    shares = [float(np.mean(told[true == c] == c)) for c in np.unique(true)]
    return float(np.mean(shares)) if shares else float("nan")


def dice(truth: npt.ArrayLike, said: npt.ArrayLike) -> float:
    """Measure the overlap of two masks: twice the common voxels by all of both.

    Args:
        truth: Bool of any shape.
        said: Bool of the same shape.

    Returns:
        In [0, 1]; 1 when both are empty.

    Raises:
        InputError: The shapes differ.

    Example:
        >>> dice([True, True, False], [True, False, False])
        0.6666666666666666
    """
    true, told = np.asarray(truth, bool), np.asarray(said, bool)
    if true.shape != told.shape:
        raise InputError(
            f"Need masks on one grid; got shapes {told.shape} and {true.shape}. "
            "Resample one to the other."
        )
    total = np.count_nonzero(true) + np.count_nonzero(told)
    return float(2 * np.count_nonzero(true & told) / total) if total else 1.0


def volume_error(truth_mm3: float, said_mm3: float) -> float:
    """Give the error of a volume as a share of the true one, without its sign.

    Raises:
        InputError: The true volume is not above 0.

    Example:
        >>> volume_error(200.0, 150.0)
        0.25
    """
    if not truth_mm3 > 0:
        raise InputError(f"A true volume must be > 0 mm3; got {truth_mm3}.")
    return abs(said_mm3 - truth_mm3) / truth_mm3
