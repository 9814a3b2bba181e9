"""Masks against those of readers: `hilum evaluate segmentation`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from hilum.errors import InputError
from hilum.evaluation.agreement import dice
from hilum.evaluation.intervals import Figure, bootstrap
from hilum.findings import Record
from hilum.formats import is_volume_file, read_mask
from hilum.space import Spacing
from hilum.volume import Mask

Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskFigures(Record):
    """How well masks agree; intervals of 95 % over files.

    Attributes:
        n: Pairs of files.
        dice: Mean overlap.
        volume_error: Median of the relative error of the volume, without its sign.
        volume_bias: Mean of it with its sign.
        surface_mm: Mean distance of the surfaces.
        hausdorff95_mm: 95 % of the distances of the surfaces lie below; median.
    """

    n: int
    dice: Figure
    volume_error: Figure
    volume_bias: Figure
    surface_mm: Figure
    hausdorff95_mm: Figure


def evaluate_segmentation(truth: Path, predictions: Path) -> MaskFigures:
    """Judge masks; every label above 0 counts.

    Args:
        truth: A mask (.nii, .nii.gz, .mha, .mhd), or a folder of them.
        predictions: The same, with the same names.

    Raises:
        InputError: A file is absent or cannot be read, or two are on other grids.
    """
    pairs = _pairs(Path(truth), Path(predictions))
    rows = []
    for true_path, said_path in pairs:
        true, said = read_mask(true_path), read_mask(said_path)
        if not true.grid.same_as(said.grid):
            raise InputError(
                f"`{said_path.name}` is on another grid (shape {said.grid.shape}) than "
                f"the truth (shape {true.grid.shape}). Resample one to the other."
            )
        rows.append(_compare(true, said))
    table = np.array(rows)
    names = [p[0].name for p in pairs]

    def figure(column: int, of: str) -> Figure:
        how = np.nanmedian if of == "median" else np.nanmean
        column_values = table[:, column]

        def statistic(at: npt.NDArray[np.int64]) -> float:
            values = column_values[at]
            return float(how(values)) if np.isfinite(values).any() else float("nan")

        return bootstrap(statistic, names)

    return MaskFigures(
        n=len(pairs),
        dice=figure(0, "mean"),
        volume_error=figure(1, "median"),
        volume_bias=figure(2, "mean"),
        surface_mm=figure(3, "mean"),
        hausdorff95_mm=figure(4, "median"),
    )


def surface_distances_mm(truth: Bools, said: Bools, spacing_mm: Spacing) -> npt.NDArray:  # type: ignore[type-arg]
    """Measure from each surface to the other.

    Args:
        truth: (slice, row, column).
        said: Of the same shape.
        spacing_mm: Of the voxels.

    Returns:
        (n,) mm, of all surface voxels of both; empty when a mask is.
    """
    import edt  # noqa: PLC0415  not needed to import

    if not truth.any() or not said.any():
        return np.zeros(0)
    found = []
    for one, other in ((truth, said), (said, truth)):
        far = edt.edt(
            np.ascontiguousarray(~_surface(other)), anisotropy=spacing_mm, parallel=2
        )
        found.append(far[_surface(one)])
    return np.concatenate(found).astype(np.float64)


def _surface(mask: Bools) -> Bools:
    """Give the voxels of a mask that touch what is outside."""
    from scipy import ndimage  # noqa: PLC0415  slow to import

    return np.asarray(mask & ~ndimage.binary_erosion(mask, border_value=0))


def _compare(true: Mask, said: Mask) -> tuple[float, float, float, float, float]:
    """Give Dice, the volume's error without and with its sign, and the distances."""
    a, b = true.voxels > 0, said.voxels > 0
    off = (b.sum() - a.sum()) / a.sum() if a.any() else float("nan")
    far = surface_distances_mm(a, b, true.grid.spacing_mm)
    if not far.size:
        return dice(a, b), abs(off), off, float("nan"), float("nan")
    return dice(a, b), abs(off), off, float(far.mean()), float(np.percentile(far, 95))


def _pairs(truth: Path, said: Path) -> list[tuple[Path, Path]]:
    """Pair the files of two folders by name, or take two files."""
    if truth.is_file() and said.is_file():
        return [(truth, said)]
    if not (truth.is_dir() and said.is_dir()):
        raise InputError(
            "Give two masks, or two folders of masks with the same names; got "
            f"`{truth.name}` and `{said.name}`."
        )
    names = sorted(p.name for p in truth.iterdir() if is_volume_file(p))
    if not names:
        raise InputError(
            f"`{truth.name}` holds no mask. Expected files such as .nii.gz or .mha, of "
            "the same names in both folders."
        )
    missing = [n for n in names if not (said / n).is_file()]
    if missing:
        raise InputError(
            f"{len(missing)} of {len(names)} masks of `{truth.name}` have none of the "
            f"same name in `{said.name}`. Expected one for each."
        )
    return [(truth / n, said / n) for n in names]
