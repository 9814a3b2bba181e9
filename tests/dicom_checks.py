"""What a volume that was read has to show, whatever the reader is."""

from __future__ import annotations

import re

import numpy as np
from dicom_maker import IDENTITY, hu_at

from hilum.volume import CTVolume


def points_of(grid):
    """World points (slice, row, column, 3) of every voxel of a grid."""
    index = np.stack(np.meshgrid(*map(np.arange, grid.shape), indexing="ij"), -1)
    return grid.to_world(index)


def wanted_hu(volume, center_mm=(0.0, 0.0, 0.0)):
    """HU of the test patient where the volume says that its voxels are."""
    return np.maximum(hu_at(points_of(volume.grid) - np.array(center_mm)), -1024)


def assert_shows_the_patient(volume, *, atol=0.51, center_mm=(0.0, 0.0, 0.0)):
    """The HU are those of the world points: no flip, turn, shift, shear or scale."""
    assert isinstance(volume, CTVolume)
    assert volume.grid.is_canonical
    assert volume.hu.dtype == np.int16
    assert volume.hu.flags.c_contiguous
    np.testing.assert_allclose(volume.hu, wanted_hu(volume, center_mm), atol=atol)


def assert_perpendicular(grid, atol=1e-3):
    """The axes of the grid are perpendicular."""
    axes = grid.affine[:3, :3] / np.linalg.norm(grid.affine[:3, :3], axis=0)
    np.testing.assert_allclose(axes.T @ axes, np.eye(3), atol=atol)


def noticed(notices, pattern):
    """Messages of the notices whose code or message matches, in any case."""
    texts = [f"{n.code}: {n.message}" for n in notices]
    return [text for text in texts if re.search(pattern, text, re.IGNORECASE)]


def leaks(text: str) -> list[str]:
    """Which parts of the patient's identity a text gives away."""
    return [part for part in IDENTITY if part.lower() in text.lower()]
