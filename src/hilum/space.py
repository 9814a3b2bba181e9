"""Where voxels are: the one geometry shared by volumes, masks and findings.

World points are DICOM patient coordinates (LPS: +x left, +y posterior, +z head),
in millimetres, ordered (x, y, z). Array indices are ordered (slice, row, column).
Nothing above this module multiplies by an affine.

Sources:
    DICOM PS3.3 C.7.6.2.1.1 (Image Plane Module, equation C.7.6.2.1-1).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import permutations
from typing import Self

import numpy as np
import numpy.typing as npt

from hilum.errors import InputError

FloatArray = npt.NDArray[np.float64]
Index = tuple[int, int, int]
Spacing = tuple[float, float, float]


_SAME_PLACE = 1e-3
"""A part of a voxel that formats of less precision may move it."""


@dataclass(frozen=True, slots=True, eq=False)
class Grid:
    """A regular voxel grid placed in the patient.

    Attributes:
        shape: Voxels along (slice, row, column), each at least 1.
        affine: (4, 4) float64, index (slice, row, column) to world (x, y, z) in mm.
            Copied and made read-only.
        frame_uid: Frame of Reference UID, or None when the file format has none.

    Raises:
        InputError: The shape is empty, or the affine is not (4, 4), not finite
            or not invertible.
    """

    shape: Index
    affine: FloatArray
    frame_uid: str | None = None
    _spacing_mm: Spacing = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Own a read-only affine, so that a grid can be shared freely."""
        shape = tuple(int(n) for n in self.shape)
        if len(shape) != 3 or min(shape) < 1:
            raise InputError(
                f"Grid shape is {self.shape}; expected three counts of at least 1: "
                "(slices, rows, columns)."
            )
        affine = np.array(self.affine, dtype=np.float64)
        if affine.shape != (4, 4):
            raise InputError(
                f"Grid affine has shape {affine.shape}; expected (4, 4), "
                "mapping (slice, row, column, 1) to (x, y, z, 1) in mm."
            )
        if not np.isfinite(affine).all() or _is_singular(affine[:3, :3]):
            raise InputError(
                f"Grid affine is not invertible: {affine.tolist()}. "
                "Check slice spacing: repeated slice positions give spacing 0."
            )
        affine.setflags(write=False)
        z, y, x = np.linalg.norm(affine[:3, :3], axis=0).tolist()
        object.__setattr__(self, "shape", shape)
        object.__setattr__(self, "affine", affine)
        object.__setattr__(self, "_spacing_mm", (z, y, x))

    @classmethod
    def axial(
        cls,
        shape: Index,
        spacing_mm: Spacing,
        *,
        origin_mm: tuple[float, float, float] = (0.0, 0.0, 0.0),
        frame_uid: str | None = None,
    ) -> Self:
        """Make an axial grid: slices to the head, rows to the back, columns left.

        Args:
            shape: Voxels along (slice, row, column).
            spacing_mm: Distance between voxel centres along (slice, row, column).
            origin_mm: World point (x, y, z) of the centre of voxel (0, 0, 0).
            frame_uid: Frame of Reference UID, or None.
        """
        affine = np.eye(4)
        affine[:3, :3] = np.fliplr(np.diag(spacing_mm[::-1]))
        affine[:3, 3] = origin_mm
        return cls(shape, affine, frame_uid)

    @property
    def spacing_mm(self) -> Spacing:
        """Distance between voxel centres along (slice, row, column)."""
        return self._spacing_mm

    @property
    def voxel_mm3(self) -> float:
        """Volume of one voxel."""
        return float(abs(np.linalg.det(self.affine[:3, :3])))

    @property
    def extent_mm(self) -> Spacing:
        """Length of the grid from edge to edge along (slice, row, column)."""
        z, y, x = (n * s for n, s in zip(self.shape, self.spacing_mm, strict=True))
        return z, y, x

    @property
    def is_canonical(self) -> bool:
        """Whether slices run closest to +z, rows to +y and columns to +x."""
        return self.canonical_axes() == ((0, 1, 2), (False, False, False))

    def canonical_axes(self) -> tuple[Index, tuple[bool, bool, bool]]:
        """Find which axes, flipped or not, come closest to (+z, +y, +x).

        Returns:
            For each of (slice, row, column) of the canonical grid: the axis of
            this grid that it is, and whether that axis has to be flipped.
        """
        # cosines[world, axis]; the best assignment maximises the sum of |cosine|
        columns = self.affine[:3, :3]
        cosines = columns / np.linalg.norm(columns, axis=0)
        worlds = (2, 1, 0)
        order = max(
            permutations((0, 1, 2)),
            key=lambda p: sum(
                abs(cosines[w, a]) for w, a in zip(worlds, p, strict=True)
            ),
        )
        flips = [bool(cosines[w, a] < 0) for w, a in zip(worlds, order, strict=True)]
        return (order[0], order[1], order[2]), (flips[0], flips[1], flips[2])

    def to_canonical(self) -> Grid:
        """Reorder and flip the axes to come closest to (+z, +y, +x).

        World points of voxels do not move; their indices do.
        """
        order, flips = self.canonical_axes()
        affine = self.affine.copy()
        affine[:3, :3] = self.affine[:3, list(order)]
        shape = tuple(self.shape[axis] for axis in order)
        for axis, flip in enumerate(flips):
            if flip:
                affine[:3, 3] += affine[:3, axis] * (shape[axis] - 1)
                affine[:3, axis] *= -1
        return Grid((shape[0], shape[1], shape[2]), affine, self.frame_uid)

    def to_world(self, index: npt.ArrayLike) -> FloatArray:
        """Map voxel indices to the patient.

        Args:
            index: (..., 3) indices (slice, row, column); may be fractional.

        Returns:
            (..., 3) float64 points (x, y, z) in mm. Integer indices give
            voxel centres.
        """
        index = np.asarray(index, dtype=np.float64)
        return np.asarray(index @ self.affine[:3, :3].T + self.affine[:3, 3])

    def to_index(self, world: npt.ArrayLike) -> FloatArray:
        """Map points in the patient to fractional voxel indices.

        Args:
            world: (..., 3) points (x, y, z) in mm.

        Returns:
            (..., 3) float64 indices (slice, row, column), not rounded and not
            clipped to the grid.
        """
        offset = np.asarray(world, dtype=np.float64) - self.affine[:3, 3]
        return np.asarray(offset @ np.linalg.inv(self.affine[:3, :3]).T)

    def index_map_from(self, other: Grid) -> FloatArray:
        """Give the map from indices of another grid to indices of this one.

        Returns:
            (4, 4) float64: (slice, row, column, 1) of `other` to (slice, row,
            column, 1) here.
        """
        return np.asarray(np.linalg.inv(self.affine) @ other.affine)

    def contains(self, world: npt.ArrayLike) -> npt.NDArray[np.bool_]:
        """Tell which points lie inside a voxel of the grid.

        Args:
            world: (..., 3) points (x, y, z) in mm.

        Returns:
            (...) bool.
        """
        index = self.to_index(world)
        inside = (index >= -0.5) & (index < np.array(self.shape) - 0.5)
        return np.asarray(inside.all(axis=-1))

    def plain(self) -> Grid:
        """Take lengths to 0.1 µm, the digits that file formats agree in.

        NIfTI keeps the affine in float32. That holds spacings to 0.001 µm, which agree
        after this; an origin some hundred mm away it holds to 0.02 µm, so that one may
        still be 0.1 µm off, by which all voxels move alike. Voxel n along an axis lies
        within n times 0.05 µm of where it does on this grid: 0.03 mm for 512.

        Example:
            >>> Grid.axial((2, 2, 2), (1.600000023841858, 1, 1)).plain().spacing_mm
            (1.6, 1.0, 1.0)
        """
        return Grid(self.shape, np.round(self.affine, 4), self.frame_uid)

    def crop(self, start: Index, stop: Index) -> Grid:
        """Keep a box of voxels, where they are in the patient.

        Args:
            start: First voxel (slice, row, column) that is kept.
            stop: First voxel (slice, row, column) that is not.

        Raises:
            InputError: The box is empty or leaves the grid.
        """
        for first, last, count in zip(start, stop, self.shape, strict=True):
            if not 0 <= first < last <= count:
                raise InputError(
                    f"Cannot crop {start} to {stop} from a grid of {self.shape}; "
                    "each start must be below its stop, and both inside the grid."
                )
        affine = self.affine.copy()
        affine[:3, 3] = self.to_world(start)
        z, y, x = (b - a for a, b in zip(start, stop, strict=True))
        return Grid((z, y, x), affine, self.frame_uid)

    def regrid(self, spacing_mm: Spacing) -> Grid:
        """Cover the same box with voxels of another size.

        The first edge stays where it is; the last moves out to a whole voxel, unless
        less than a thousandth of one is missing.

        Args:
            spacing_mm: New distance of voxel centres along (slice, row, column).

        Raises:
            InputError: A spacing is not a positive number.
        """
        if not all(np.isfinite(s) and s > 0 for s in spacing_mm):
            raise InputError(f"Spacing must be > 0 mm; got {spacing_mm}.")
        scale = np.array(spacing_mm) / self.spacing_mm
        affine = self.affine.copy()
        affine[:3, :3] = self.affine[:3, :3] * scale
        affine[:3, 3] = self.to_world((scale - 1) / 2)
        z, y, x = np.ceil(np.array(self.shape) / scale - 1e-3).astype(int).tolist()
        return Grid((max(z, 1), max(y, 1), max(x, 1)), affine, self.frame_uid)

    def anchored(self, world: npt.ArrayLike) -> Grid:
        """Move by less than a voxel, inwards, so that a point is a voxel's centre.

        Voxels of grids of the same directions and spacing then lie on one lattice,
        whatever they were cut from. A voxel fewer along each axis that moves.

        Args:
            world: (3,) point (x, y, z) in mm; need not lie in the grid.
        """
        moved = np.mod(self.to_index(world), 1.0)
        moved[(moved < _SAME_PLACE) | (moved > 1 - _SAME_PLACE)] = 0.0
        affine = self.affine.copy()
        affine[:3, 3] = self.to_world(moved)
        z, y, x = (
            max(n - int(m > 0), 1) for n, m in zip(self.shape, moved, strict=True)
        )
        return Grid((z, y, x), affine, self.frame_uid)

    def nearest_index(self, world: npt.ArrayLike) -> Index:
        """Give the voxel nearest to a point, which may lie beyond the grid.

        Args:
            world: (3,) point (x, y, z) in mm.
        """
        z, y, x = np.rint(self.to_index(world)).astype(int).tolist()
        return z, y, x

    def same_as(self, other: Grid, atol_mm: float = 1e-3) -> bool:
        """Tell whether two grids place every voxel alike.

        Two known, different frames of reference never match.

        Args:
            other: The grid to compare with.
            atol_mm: How far apart, at most, the two centres of a voxel may be.
        """
        frames = {self.frame_uid, other.frame_uid} - {None}
        if len(frames) > 1 or self.shape != other.shape:
            return False
        last = [n - 1 for n in self.shape]
        corners = np.stack(np.meshgrid(*([0, n] for n in last)), -1).reshape(-1, 3)
        apart = self.to_world(corners) - other.to_world(corners)
        return bool(np.linalg.norm(apart, axis=-1).max() <= atol_mm)


def check_chest_sized(grid: Grid) -> None:
    """Refuse what cannot be a CT of a chest, before its voxels are read.

    Every reader asks this, so that a scan is refused alike in every format.

    Args:
        grid: Where the voxels would be, in any axis order.

    Raises:
        InputError: An edge is under 100 mm, or too long for a patient on a
            table; there are too few slices, rows or columns, or too many voxels.
    """
    grid = grid.to_canonical()
    size = " x ".join(
        f"{n} x {s:.4g} mm" for n, s in zip(grid.shape, grid.spacing_mm, strict=True)
    )
    z, y, x = grid.extent_mm
    if min(z, y, x) < 100 or z > 2500 or max(y, x) > 1000:
        raise InputError(
            f"Volume is {z:.0f} x {y:.0f} x {x:.0f} mm ({size}; up, back, left), which "
            "no chest is: expected 100 to 2500 mm up and 100 to 1000 mm across. "
            "Give a whole chest series, and check its spacing."
        )
    if grid.shape[0] < 8 or min(grid.shape[1:]) < 16:
        raise InputError(
            f"Volume has too few voxels for a chest ({size}; up, back, left): "
            "expected at least 8 slices of 16 x 16."
        )
    if np.prod(grid.shape, dtype=np.float64) > 2**30:
        raise InputError(
            f"Volume has more than 2^30 voxels ({size}; up, back, left), over 2 GB. "
            "Crop it to the chest or resample it first."
        )


def _is_singular(matrix: FloatArray) -> bool:
    """Tell whether the axes span no volume, whatever their length."""
    lengths = np.linalg.norm(matrix, axis=0)
    if not lengths.min() > 1e-9 or not lengths.max() < 1e9:
        return True
    return bool(abs(np.linalg.det(matrix / lengths)) < 1e-6)
