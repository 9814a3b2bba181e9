"""The voxels behind an assessment: what a record of numbers cannot hold."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hilum.errors import InputError
from hilum.space import Grid, Index
from hilum.volume import Mask


@dataclass(frozen=True, slots=True, eq=False)
class Outlines:
    """Where the nodules and the lungs of one assessment are.

    Attributes:
        series_uid: The series that was assessed.
        nodules: Bool mask of each nodule, in the order of the assessment, each on a
            part of the grid of the volume.
        lungs: Labels on the grid of the volume: 1 right lung, 2 left lung.
        drawn: Each nodule as a network drew it for its rating; none: as in `nodules`.
    """

    series_uid: str
    nodules: tuple[Mask, ...]
    lungs: Mask
    drawn: tuple[Mask, ...] = ()

    @property
    def rated(self) -> tuple[Mask, ...]:
        """What the ratings of the nodules were made from."""
        return self.drawn or self.nodules

    @property
    def sha256(self) -> str:
        """Digest of the nodules' voxels and places, for the provenance.

        Example:
            >>> from hilum.space import Grid
            >>> lungs = Mask(np.zeros((2, 2, 2), np.uint8), Grid((2, 2, 2), np.eye(4)))
            >>> Outlines("1.2", (), lungs).sha256 == Outlines("1.3", (), lungs).sha256
            False
        """
        grid = self.lungs.grid
        digest = hashlib.sha256(f"{self.series_uid} {grid.shape}".encode())
        for mask in (*self.nodules, *self.drawn):
            start, part = tight(mask, grid)
            digest.update(f"{start} {part.shape}".encode())
            digest.update(np.packbits(part).tobytes())
        return digest.hexdigest()

    def check(self, series_uid: str, count: int, sha256: str | None) -> None:
        """Refuse to be the outlines of another assessment.

        Args:
            series_uid: That was assessed.
            count: How many nodules the assessment holds.
            sha256: What its provenance says of its outlines; None: nothing.

        Raises:
            InputError: They are of another series, or another run.
        """
        if self.series_uid != series_uid or len(self.nodules) != count:
            raise InputError(
                f"The outlines are {len(self.nodules)} nodules of series "
                f"{self.series_uid}; the assessment has {count} of series "
                f"{series_uid}. Use the outlines that were written with it."
            )
        if sha256 is not None and sha256 != self.sha256:
            raise InputError(
                "The outlines are not those that the assessment was made with: their "
                "digest differs from `outlines_sha256` in its provenance. Keep both "
                "files of one run together, or assess again."
            )


def tight(mask: Mask, grid: Grid) -> tuple[Index, npt.NDArray[np.bool_]]:
    """Cut a mask to the box of what is set.

    Args:
        mask: On a part of `grid`.
        grid: Where the box is counted.

    Returns:
        First voxel of the box on `grid`, and a bool array of the box; an empty one
        where nothing is set.
    """
    voxels = mask.voxels.astype(bool, copy=False)
    first = np.rint(grid.to_index(mask.grid.to_world((0, 0, 0)))).astype(int)
    box = []
    for axis in range(3):
        others = tuple(a for a in range(3) if a != axis)
        hit = np.flatnonzero(voxels.any(axis=others))
        box.append(slice(int(hit[0]), int(hit[-1]) + 1) if len(hit) else slice(0, 0))
    z, y, x = (b.start + int(f) for b, f in zip(box, first, strict=True))
    return (z, y, x), voxels[tuple(box)]
