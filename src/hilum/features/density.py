"""How dense a nodule is, inside, at its edge and around it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from hilum.features.cells import Cells
from hilum.features.surroundings import BoolArray
from hilum.space import FloatArray

_DEEP_SHARE = 0.35
_DENSE_HU = -400.0

DENSITY_FEATURES = (
    "inside_mean_hu",
    "inside_sd_hu",
    "inside_skewness",
    "inside_p05_hu",
    "inside_p25_hu",
    "inside_p50_hu",
    "inside_p75_hu",
    "inside_p95_hu",
    "inside_p99_hu",
    "core_mean_hu",
    "core_sd_hu",
    "core_p95_hu",
    "core_less_rim_hu",
    "share_solid",
    "share_glass",
    "share_fat",
    "share_dense",
    "share_calcified",
    "log_calcified_mm3",
    "log_mass_mg",
    "band_in_2_hu",
    "band_in_1_hu",
    "band_out_1_hu",
    "band_out_2_hu",
    "band_out_3_hu",
    "shell_p10_hu",
    "shell_p50_hu",
    "shell_p90_hu",
    "around_p50_hu",
    "around_p90_hu",
    "around_dense_share",
    "touching_share",
    "edge_step",
    "edge_slope_hu_mm",
    "edge_slope_variation",
    "roughness_hu",
    "roughness_core_hu",
)
"""Names of what `density_features` measures; levels in HU."""


def density_features(cells: Cells) -> Mapping[str, float]:
    """Measure densities.

    Returns:
        The names of `DENSITY_FEATURES` to numbers.
    """
    hu, depth = np.clip(cells.hu, -1024, 1500), cells.depth_mm
    inside = hu[cells.inside]
    deep = depth >= depth.max() * (1 - _DEEP_SHARE)
    core = hu[deep]
    shell = _or(hu[(depth <= 0) & (depth > -2)], cells.lung_hu)
    around = _or(hu[(depth <= -2) & (depth > -6)], cells.lung_hu)
    bands = {
        f"band_{name}_hu": _band(hu, depth, low, cells.lung_hu)
        for name, low in (
            ("in_2", 1.0),
            ("in_1", 0.0),
            ("out_1", -1.0),
            ("out_2", -2.0),
            ("out_3", -3.0),
        )
    }
    if not (depth >= 1.0).any():
        bands["band_in_2_hu"] = float(core.mean())
    found = {
        **_inside(inside, cells.cell_mm**3),
        "core_mean_hu": core.mean(),
        "core_sd_hu": core.std(),
        "core_p95_hu": np.percentile(core, 95),
        "core_less_rim_hu": core.mean() - bands["band_in_1_hu"],
        **bands,
        "shell_p10_hu": np.percentile(shell, 10),
        "shell_p50_hu": np.percentile(shell, 50),
        "shell_p90_hu": np.percentile(shell, 90),
        "around_p50_hu": np.percentile(around, 50),
        "around_p90_hu": np.percentile(around, 90),
        "around_dense_share": np.mean(around > _DENSE_HU),
        **_edge(cells, hu, bands),
    }
    return {name: float(found[name]) for name in DENSITY_FEATURES}


def _inside(inside: FloatArray, cell_mm3: float) -> dict[str, float]:
    """Measure the levels of the nodule's cells, and what they weigh."""
    levels = np.percentile(inside, [5, 25, 50, 75, 95, 99])
    spread = inside.std() + 1.0
    weight_mg = np.clip(inside + 1000, 0, None).sum() / 1000 * cell_mm3
    return {
        "inside_mean_hu": inside.mean(),
        "inside_sd_hu": inside.std(),
        "inside_skewness": np.mean(((inside - inside.mean()) / spread) ** 3),
        **{
            f"inside_p{p:02d}_hu": level
            for p, level in zip((5, 25, 50, 75, 95, 99), levels, strict=True)
        },
        "share_solid": float(np.mean(inside > -250)),
        "share_glass": float(np.mean((inside > -750) & (inside < -350))),
        "share_fat": float(np.mean((inside > -120) & (inside < -30))),
        "share_dense": float(np.mean(inside > 130)),
        "share_calcified": float(np.mean(inside > 250)),
        "log_calcified_mm3": np.log1p(np.sum(inside > 250) * cell_mm3),
        "log_mass_mg": np.log1p(weight_mg),
    }


def _edge(cells: Cells, hu: FloatArray, bands: Mapping[str, float]) -> dict[str, float]:
    """Measure how sharp and how even the edge is, and what is joined to it."""
    depth, cell = cells.depth_mm, cells.cell_mm
    outer = hu[(depth <= -1) & (depth > -2.5)]
    near = _box_around(depth >= -max(cell, 1.0))
    hu, depth = hu[near], depth[near]
    slope = np.sqrt(sum(g**2 for g in np.gradient(hu, cell)))
    rim, inside = np.abs(depth) <= max(cell, 1.0), depth > 0
    contrast = max(bands["band_in_1_hu"] - bands["band_out_3_hu"], 50.0)
    inner = depth > min(1.0, float(depth.max()) / 2)
    return {
        "touching_share": float(np.mean(outer > _DENSE_HU)) if outer.size else 0.0,
        "edge_step": (bands["band_in_1_hu"] - bands["band_out_1_hu"]) / contrast,
        "edge_slope_hu_mm": float(slope[rim].mean()),
        "edge_slope_variation": float(slope[rim].std() / (slope[rim].mean() + 1.0)),
        "roughness_hu": float(slope[inside].mean()),
        "roughness_core_hu": float(slope[inner].mean()),
    }


def _box_around(where: BoolArray) -> tuple[slice, slice, slice]:
    """Find the box that holds some cells and their neighbours, at least two wide."""
    z, y, x = (
        slice(max(int(at[0]) - 1, 0), int(at[-1]) + 2)
        for at in (
            np.flatnonzero(where.any(axis=axes)) for axes in ((1, 2), (0, 2), (0, 1))
        )
    )
    return z, y, x


def _band(hu: FloatArray, depth: FloatArray, low: float, otherwise: float) -> float:
    """Give the mean level of the layer of 1 mm from a depth on."""
    return float(_or(hu[(depth >= low) & (depth < low + 1)], otherwise).mean())


def _or(values: FloatArray, otherwise: float) -> FloatArray:
    """Give values, or one in their place where there are none."""
    return values if values.size else np.array([otherwise])
