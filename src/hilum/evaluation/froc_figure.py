"""FROC curves as pictures, all on the same axes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from hilum._optional import require
from hilum.evaluation.froc import GRID, RATES, FrocCurve
from hilum.formats.atomic import replacing, writing

_DPI = 110


def froc_axes(title: str) -> Any:
    """Make the axes of FROC curves, empty: sensitivity by false positives a scan.

    Args:
        title: Above them.

    Returns:
        Matplotlib's axes, on a figure of their own.

    Raises:
        MissingDependencyError: Matplotlib is missing.
    """
    module = require("matplotlib.figure", extra="train", to="to draw the FROC curve")
    axes = module.Figure(figsize=(6.4, 4.2), layout="constrained").add_subplot()
    axes.set_xscale("log", base=2)
    axes.set_xticks(RATES, ["1/8", "1/4", "1/2", "1", "2", "4", "8"])
    axes.set_ylim(0, 1.02)
    axes.set_xlabel("false positives a scan")
    axes.set_ylabel("sensitivity")
    axes.set_title(title)
    axes.grid(alpha=0.3)
    return axes


def write_axes(axes: Any, path: Path) -> None:
    """Write what was drawn, with its legend.

    Args:
        axes: Those of `froc_axes`.
        path: Where, a PNG.

    Raises:
        InputError: The file cannot be written.
    """
    axes.legend(loc="lower right")
    with writing(path), replacing(path) as file:
        axes.figure.savefig(file, dpi=_DPI, format="png")


def draw_froc(curve: FrocCurve, path: Path, *, title: str = "") -> None:
    """Draw a FROC curve with its 95 % band.

    Args:
        curve: Out of `froc`.
        path: Where, a PNG.
        title: Above it.

    Raises:
        InputError: The file cannot be written.
        MissingDependencyError: Matplotlib is missing.
    """
    cpm = curve.cpm
    found = "no nodules" if cpm.value is None else (
        f"CPM {cpm.value:.3f} [{cpm.low:.3f}, {cpm.high:.3f}]"
    )  # fmt: skip
    axes = froc_axes(f"{title}, {found}" if title else found)
    axes.fill_between(GRID, curve.low, curve.high, alpha=0.25, label="95 % interval")
    axes.plot(GRID, curve.sensitivity, label="sensitivity")
    at = [np.nan if f.value is None else f.value for f in curve.at_rates]
    axes.plot(RATES, at, "o", color="C0", markersize=4)
    write_axes(axes, path)
