"""A 3D RetinaNet of the usual size in plain torch, to compare time with.

ResNet-50 with 3D kernels, without its last stage, a feature pyramid of 256 channels at
strides 4, 8 and 16, and two heads of four convolutions with three anchors at each
place, as detectors of nodules are often built. It is not trained: only its time is of
use.

Source: Lin et al., "Focal Loss for Dense Object Detection", ICCV 2017; He et al., "Deep
Residual Learning for Image Recognition", CVPR 2016. Used by `detector_speed.py`.
"""

from __future__ import annotations

import time

import numpy as np
import torch
from torch import nn
from torch.nn import functional

PYRAMID = 256
ANCHORS = 3
BOX = 6
TILE = 128
"""Voxels along each edge of what is looked at in one go."""


class Bottleneck(nn.Module):
    """Three convolutions past which the input is added."""

    def __init__(self, channels: int, width: int, stride: int) -> None:
        super().__init__()
        out = 4 * width
        self.path = nn.Sequential(
            nn.Conv3d(channels, width, 1, bias=False),
            nn.BatchNorm3d(width),
            nn.ReLU(inplace=True),
            nn.Conv3d(width, width, 3, stride, 1, bias=False),
            nn.BatchNorm3d(width),
            nn.ReLU(inplace=True),
            nn.Conv3d(width, out, 1, bias=False),
            nn.BatchNorm3d(out),
        )
        self.past: nn.Module = nn.Identity()
        if stride > 1 or channels != out:
            self.past = nn.Sequential(
                nn.Conv3d(channels, out, 1, stride, bias=False), nn.BatchNorm3d(out)
            )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Compute the block."""
        return functional.relu(self.path(x) + self.past(x))


class RetinaNet(nn.Module):
    """Classes and boxes for every anchor of three levels."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv3d(1, 64, 7, 2, 3, bias=False),
            nn.BatchNorm3d(64),
            nn.ReLU(inplace=True),
            nn.MaxPool3d(3, 2, 1),
        )
        self.stages = nn.ModuleList()
        channels = 64
        for width, blocks, stride in ((64, 3, 1), (128, 4, 2), (256, 6, 2)):
            stage = []
            for n in range(blocks):
                stage.append(Bottleneck(channels, width, stride if n == 0 else 1))
                channels = 4 * width
            self.stages.append(nn.Sequential(*stage))
        self.inner = nn.ModuleList(nn.Conv3d(c, PYRAMID, 1) for c in (256, 512, 1024))
        self.outer = nn.ModuleList(
            nn.Conv3d(PYRAMID, PYRAMID, 3, padding=1) for _ in range(3)
        )
        self.chance = _head(ANCHORS)
        self.place = _head(ANCHORS * BOX)

    def forward(self, x: torch.Tensor) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """Compute the heads of each level, the finest first."""
        x = self.stem(x)
        levels = []
        for stage in self.stages:
            x = stage(x)
            levels.append(x)
        above, out = None, []
        for level, inner, outer in reversed(
            list(zip(levels, self.inner, self.outer, strict=True))
        ):
            here = inner(level)
            if above is not None:
                here = here + functional.interpolate(above, size=here.shape[2:])
            above = here
            out.append(outer(here))
        return [(self.chance(p), self.place(p)) for p in reversed(out)]


def _head(out: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for _ in range(4):
        layers += [nn.Conv3d(PYRAMID, PYRAMID, 3, padding=1), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers, nn.Conv3d(PYRAMID, out, 3, padding=1))


def seconds_over(shape: tuple[int, int, int]) -> tuple[float, int]:
    """Tell its time over a scan, tile by tile without any overlap, from one tile's.

    Args:
        shape: (slice, row, column) of the region.

    Returns:
        Seconds, and how many tiles there were.
    """
    model = RetinaNet().eval()
    tile = torch.from_numpy(np.zeros((1, 1, TILE, TILE, TILE), np.float32))
    tiles = int(np.prod([-(-n // TILE) for n in shape]))
    with torch.inference_mode():
        model(tile[..., :64, :64, :64])  # warm
        start = time.perf_counter()
        model(tile)
    return tiles * (time.perf_counter() - start), tiles
